"""Requests to a chat-completions endpoint: what is sent again, what ends the run, and what waits."""

import math
import os
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from typing import TYPE_CHECKING, Annotated

import pydantic

from rctgap.errors import AnalysisError, Fault
from rctgap.scorers.judge_cache import Origin
from rctgap.scorers.judge_settings import KEY_VARIABLE, JudgeSettings, address

if TYPE_CHECKING:
    import httpx

__all__ = ["STOPPED", "NoReplyError", "Reply", "Send", "ask", "connected", "retry_after"]

INSTALL = 'Install the extra: pip install "rctgap[judge]"'
MAX_BYTES = 2_000_000
OK = 200
RETRIED = frozenset({408, 409, 425, 429})
SERVER_FAULT = 500
STOPPED = "the run was stopped"

_KEY = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Reply:
    """What the endpoint gave back for one request."""

    content: str = field(repr=False)
    origin: Origin


class NoReplyError(Exception):
    """No usable reply to one request; another try may bring one."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.after = reason, after


type Send = Callable[[bytes], Reply]


@contextmanager
def connected(settings: JudgeSettings) -> Iterator[Send]:
    """A function that sends one request, over connections that close at the end. Redirects are never followed.

    Raises
    ------
    AnalysisError
        httpx is not installed, the address cannot be used, or the key holds characters that no key has.
    """
    try:
        import httpx  # noqa: PLC0415 - an extra
    except ImportError:
        raise AnalysisError(Fault("a judge is asked through httpx, which is not installed", INSTALL)) from None
    url = address(settings)
    headers = {"Content-Type": "application/json", "Accept": "application/json", **_authorization()}
    try:
        httpx.URL(url)
        made = httpx.Client(
            headers=headers,
            timeout=settings.timeout,
            limits=httpx.Limits(max_connections=settings.concurrency),
            follow_redirects=False,
            trust_env=url.lower().startswith("https:"),  # a proxy would carry plain http off this computer
        )
    except (httpx.InvalidURL, ValueError, ImportError, OSError) as fault:
        what = f"no connection can be set up ({type(fault).__name__})"
        todo = "Check the address, and the environment's proxy and certificate variables"
        raise AnalysisError(Fault(what, todo, place="judge.endpoint")) from None
    with made as client:

        def send(body: bytes) -> Reply:
            try:
                return _sent(client, url, body, settings.timeout)
            except httpx.TimeoutException:
                raise NoReplyError("no reply in time") from None
            except httpx.RequestError as fault:
                raise NoReplyError(f"connection failed ({type(fault).__name__})") from None

        yield send


def _authorization() -> dict[str, str]:
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if key and not _KEY.fullmatch(key):
        todo = "Give it without spaces, line breaks or accents; it is not shown"
        raise AnalysisError(Fault("the key holds characters that no key has", todo, place=KEY_VARIABLE))
    return {"Authorization": f"Bearer {key}"} if key else {}


def _sent(client: "httpx.Client", url: str, body: bytes, timeout: float) -> Reply:
    """One request; `timeout` bounds the whole reply, and not each piece of it alone."""
    until = time.monotonic() + timeout
    with client.stream("POST", url, content=body) as response:
        _check_status(response.status_code, response.headers)
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MAX_BYTES:
                raise NoReplyError("the reply is too long")
            if time.monotonic() > until:
                raise NoReplyError("no reply in time")
    return _read(bytes(content))


def _check_status(status: int, headers: Mapping[str, str]) -> None:
    if status == OK:
        return
    if status in RETRIED or status >= SERVER_FAULT:
        raise NoReplyError(f"status {status}", retry_after(headers.get("retry-after", ""), datetime.now(UTC)))
    what = f"the judge's endpoint refused the request with status {status}; the run was stopped"
    raise AnalysisError(Fault(what, _TODO.get(status, _OTHERWISE), place="judge.endpoint"))


_OTHERWISE = "Check `endpoint`, `model` and what the endpoint accepts; redirects are not followed"
_TODO = {
    400: "Check `model`, `max_tokens` and `temperature`, and that a conversation fits the model's context",
    401: f"Give a valid key in the environment variable {KEY_VARIABLE}",
    403: f"Check that the key in {KEY_VARIABLE} may use this model",
    404: "Check `endpoint` (its path often ends in /v1) and `model`",
}


class _Usage(pydantic.BaseModel):
    prompt_tokens: Annotated[int, pydantic.Field(ge=0, lt=2**60)] = 0
    completion_tokens: Annotated[int, pydantic.Field(ge=0, lt=2**60)] = 0


class _Message(pydantic.BaseModel):
    content: str | None = None


class _Choice(pydantic.BaseModel):
    message: _Message


class _Completion(pydantic.BaseModel):
    """The parts of a chat completion that are used; endpoints add others."""

    choices: Annotated[list[_Choice], pydantic.Field(min_length=1)]
    model: Annotated[str, pydantic.Field(max_length=200)] = ""
    system_fingerprint: Annotated[str, pydantic.Field(max_length=200)] | None = None
    usage: _Usage | None = None


def _read(body: bytes) -> Reply:
    try:
        read = _Completion.model_validate_json(body)
    except pydantic.ValidationError:
        raise NoReplyError("the reply is no chat completion") from None
    usage = read.usage or _Usage()
    origin = Origin(read.model, read.system_fingerprint or "", usage.prompt_tokens, usage.completion_tokens)
    return Reply(read.choices[0].message.content or "", origin)


def ask[T](
    send: Send, body: bytes, read: Callable[[str], T | None], settings: JudgeSettings, name: str, stop: Event
) -> tuple[T | None, Origin]:
    """Send a request until its answer can be read, with growing waits after failures.

    Parameters
    ----------
    send : callable
    body : bytes
    read : callable
        Makes something of what the judge wrote; None where it cannot.
    settings : JudgeSettings
        `retries`, and the waits.
    name : str
        With `settings.seed`, the seed of the jitter.
    stop : threading.Event
        Ends waits, and keeps further requests from being sent.

    Returns
    -------
    (object or None, Origin)
        None where every answer that came could not be read, the last try's among them.

    Raises
    ------
    NoReplyError
        The last try brought no reply, or the run was stopped.
    AnalysisError
        The endpoint refuses requests of this kind: another try is of no use.
    """
    jitter = random.Random(f"{settings.seed} {name}")  # noqa: S311 - spreads retries, keeps no secret
    for number in range(settings.retries + 1):
        if stop.is_set():
            break
        try:
            reply = send(body)
        except NoReplyError as fault:
            if number == settings.retries:
                raise
            stop.wait(_wait(settings, number, fault.after, jitter.random()))
            continue
        answer = read(reply.content)
        if answer is not None or number == settings.retries:
            return answer, reply.origin
    raise NoReplyError(STOPPED)


def _wait(settings: JudgeSettings, number: int, after: float | None, share: float) -> float:
    """Seconds before the next try: doubled each time, spread over its upper half, never less than the server asks."""
    own = settings.backoff * 2.0**number * (1.0 + share) / 2.0
    return min(settings.longest_wait, max(own, after or 0.0))


def retry_after(value: str, now: datetime) -> float | None:
    """Seconds that a `Retry-After` header asks for, as a number or a date; None where it cannot be read.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from rctgap.scorers.judge_client import retry_after
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> retry_after("7", noon), retry_after("Thu, 01 Jan 2026 12:00:30 GMT", noon), retry_after("soon", noon)
    (7.0, 30.0, None)
    """
    try:
        seconds = float(value)
    except ValueError:
        seconds = _until(value, now)
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until(value: str, now: datetime) -> float:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return math.nan
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now.timestamp()
