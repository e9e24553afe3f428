"""What can be set of the scorer `judge`, checked before anything is sent."""

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rctgap.errors import AnalysisError, Fault

__all__ = ["KEY_VARIABLE", "URL_VARIABLE", "JudgeSettings", "address", "checked_url"]

URL_VARIABLE = "RCTGAP_JUDGE_URL"
KEY_VARIABLE = "RCTGAP_JUDGE_KEY"
LOCAL = ("localhost", "127.0.0.1", "::1")
EXAMPLE = "For example https://api.example.org/v1, or http://localhost:8000/v1"
MAX_CONCURRENCY, MAX_RETRIES, MAX_SECONDS, MAX_TEMPERATURE = 64, 20, 3600.0, 2.0

_PLAIN = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeSettings:
    """Which model judges, by what rubric, and how it is reached.

    The key of the endpoint is no setting: it is read from the environment variable `RCTGAP_JUDGE_KEY` when a request is
    sent, and kept nowhere.

    Attributes
    ----------
    model : str
        As the endpoint calls it.
    rubric : str
        What makes a text right, in words; the gold key's terms are added to it.
    endpoint : str
        Base URL of an OpenAI-compatible API, to which `/chat/completions` is added; empty for the environment variable
        `RCTGAP_JUDGE_URL`. It must be https, unless the host is this computer: conversations are confidential.
    temperature : float
        Between 0 and 2.
    max_tokens : int
        Of an answer.
    concurrency : int
        Requests at a time, 1 to 64.
    retries : int
        How often a request is sent again, 0 to 20.
    timeout : float
        Seconds for one request.
    backoff, longest_wait : float
        Seconds before the first retry, doubled for each further one; and the longest wait, `Retry-After` included.
    seed : int
        Of the jitter of the waits.
    cache : Path
        SQLite file with every answer that was paid for; made where there is none.
    allow_partial : bool
        Leave a case without a score where the endpoint gives no answer, instead of refusing the run.

    Raises
    ------
    AnalysisError
        Every setting with a wrong value.
    """

    model: str
    rubric: str
    endpoint: str = ""
    temperature: float = 0.0
    max_tokens: int = 500
    concurrency: int = 4
    retries: int = 5
    timeout: float = 60.0
    backoff: float = 1.0
    longest_wait: float = 60.0
    seed: int = 0
    cache: Path = Path("judge_cache.sqlite")
    allow_partial: bool = False

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise AnalysisError(*faults)
        if self.endpoint:
            checked_url(self.endpoint)


def _faults(given: JudgeSettings) -> Iterator[Fault]:
    for name, text in (("model", given.model), ("rubric", given.rubric)):
        if not text.strip():
            yield Fault("the text is empty", f"Give the {name} of the judge", place=f"judge.{name}")
    bounds: tuple[tuple[str, float, float, float], ...] = (
        ("temperature", given.temperature, 0.0, MAX_TEMPERATURE),
        ("max_tokens", given.max_tokens, 1, 1_000_000),
        ("concurrency", given.concurrency, 1, MAX_CONCURRENCY),
        ("retries", given.retries, 0, MAX_RETRIES),
        ("timeout", given.timeout, 0.001, MAX_SECONDS),
        ("backoff", given.backoff, 0.0, MAX_SECONDS),
        ("longest_wait", given.longest_wait, 0.0, MAX_SECONDS),
    )
    for name, value, low, high in bounds:
        if not (math.isfinite(value) and low <= value <= high):
            allowed = f"Allowed: from {low:g} to {high:g}"
            yield Fault("the number is out of range", allowed, place=f"judge.{name}", value=f"{value}")


def address(settings: JudgeSettings) -> str:
    """URL to which requests go: the setting `endpoint`, or else `RCTGAP_JUDGE_URL`.

    Raises
    ------
    AnalysisError
        Neither is given, or the URL cannot be used.
    """
    base = settings.endpoint or os.environ.get(URL_VARIABLE, "")
    if not base:
        todo = f"Give `endpoint` or the environment variable {URL_VARIABLE}. {EXAMPLE}"
        raise AnalysisError(Fault("no endpoint is named", todo, place="judge.endpoint"))
    return f"{checked_url(base)}/chat/completions"


def checked_url(url: str) -> str:
    """Hold a base URL against what confidential texts need; returned without a slash at its end.

    Raises
    ------
    AnalysisError
        It is not https and not this computer, or holds a user, a password, a query or a fragment. It is not shown.

    Examples
    --------
    >>> from rctgap.scorers.judge_settings import checked_url
    >>> checked_url("http://localhost:8000/v1/")
    'http://localhost:8000/v1'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or port == 0 or not _PLAIN.fullmatch(url) or "\\" in url or parts.scheme not in {"http", "https"}:
        raise _refused("this is no web address", EXAMPLE)
    if "@" in parts.netloc or "?" in url or "#" in url:
        todo = f"Give the plain address, and the key in the environment variable {KEY_VARIABLE}. {EXAMPLE}"
        raise _refused("the address holds a user, a key or a query", todo)
    if parts.scheme == "http" and host not in LOCAL:
        what = "the address is not https: conversations are confidential, and http is open to everyone on the way"
        raise _refused(what, f"{EXAMPLE}; http is for this computer alone ({', '.join(LOCAL)})")
    return url.rstrip("/")


def _refused(what: str, allowed: str) -> AnalysisError:
    return AnalysisError(Fault(what, allowed, place="judge.endpoint"))
