"""The scorer `judge`: a language model behind a chat-completions endpoint, asked once for each distinct case."""

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event
from typing import Self

from rctgap.errors import AnalysisError, Fault, RctgapError, RctgapWarning
from rctgap.scorers.judge_answer import NO_VALID_ANSWER, StoredScore, full_score, read_answer
from rctgap.scorers.judge_cache import AnswerCache, open_cache
from rctgap.scorers.judge_client import STOPPED, NoReplyError, Send, ask, connected
from rctgap.scorers.judge_prompt import prompt_version, request_body, request_hash
from rctgap.scorers.judge_settings import JudgeSettings
from rctgap.scorers.protocol import Case, Score

__all__ = ["Judge"]

AHEAD = 4  # cases held for each request under way
GIVE_UP = 10
NO_TEXT = "no text"
NO_REPLY = "no reply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge(JudgeSettings):
    """A language model scores each case by a rubric; its settings are those of `JudgeSettings`.

    Every answer is in the cache before it is used, so that a run that is stopped, in whatever way, goes on where it was
    when it is started again, and pays for no answer twice: only requests under way at the moment of a hard kill, at
    most `concurrency`, can be lost. Cases that make the same request are asked once. With every answer in the cache,
    neither endpoint nor key nor httpx is needed.

    An answer that has not the form asked for is asked for again, `retries` times, and then is the score None, noted as
    "no valid answer"; this is kept as well, for it was paid for and a second run must not differ. Quotes that the judge
    gives as evidence become positions; one that does not stand in the text is dropped, and noted as "evidence not
    found".

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rctgap.scorers.judge import Judge
    >>> from rctgap.scorers.protocol import Case, GoldKey
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     judge = Judge(model="m1", rubric="Is the condition named?", cache=Path(folder) / "judge.sqlite")
    ...     list(judge.score([Case((), GoldKey())]))
    [Score(value=0.0, evidence=(), note='no text')]
    """

    @property
    def name(self) -> str:
        """`judge`."""
        return "judge"

    @property
    def version(self) -> str:
        """Hash of prompt, model, rubric and decoding settings."""
        return prompt_version(self)

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """What a score depends on; the rubric is in `prompt`, a hash. Never the key."""
        where = (("endpoint", self.endpoint),) if self.endpoint else ()
        partial = (("allow_partial", "true"),) if self.allow_partial else ()
        return (
            ("model", self.model),
            ("prompt", prompt_version(self)),
            ("temperature", f"{self.temperature:g}"),
            ("max_tokens", str(self.max_tokens)),
            *where,
            *partial,
        )

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in the order of the cases, which are read a few ahead.

        Where the endpoint leaves a case without an answer, no score is handed on from there; the others are still asked
        and kept, and the error comes at the end. After ten such cases in a row nothing more is asked.

        Raises
        ------
        AnalysisError
            The endpoint cannot be used, refuses requests, or left cases without an answer; the cache is something else.
        OutputError
            The cache cannot be written.

        Warns
        -----
        RctgapWarning
            With `allow_partial`, the first case that is left without a score.
        """
        with open_cache(self.cache) as cache, _Run(self, cache) as run:
            for outcome in run.outcomes(cases):
                if self.allow_partial:
                    yield outcome or Score(None, note=NO_REPLY)
                elif outcome is not None and not run.failed:
                    yield outcome
            if run.failed and not self.allow_partial:
                raise _unfinished(self, run)


class _Run:
    """Requests under way: so many at a time, each distinct one once, and what became of them."""

    def __init__(self, settings: Judge, cache: AnswerCache) -> None:
        self._settings, self._cache = settings, cache
        self._pool = ThreadPoolExecutor(settings.concurrency)
        self._stop, self._stack = Event(), ExitStack()
        self._send: Send | None = None
        self._asked: dict[str, Future[StoredScore]] = {}
        self._in_a_row = 0
        self.kept: set[str] = set()
        self.failed: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Ask nothing more; what is under way is waited for, and kept."""
        self._stop.set()
        self._pool.shutdown(wait=True)
        self._stack.close()

    @property
    def gave_up(self) -> bool:
        """Whether so many requests in a row failed that nothing more is asked."""
        return self._in_a_row >= GIVE_UP

    def outcomes(self, cases: Iterable[Case]) -> Iterator[Score | None]:
        """Each case's score, or None where there was no reply, in order and as soon as it is known."""
        waiting: deque[tuple[Case, str, Score | Future[StoredScore]]] = deque()
        for case in cases:
            if self.gave_up and not self._settings.allow_partial:
                break
            waiting.append((case, *self._begun(case)))
            while waiting and (len(waiting) >= AHEAD * self._settings.concurrency or _known(waiting[0][2])):
                yield self._outcome(*waiting.popleft())
        while waiting:
            yield self._outcome(*waiting.popleft())

    def _begun(self, case: Case) -> tuple[str, Score | Future[StoredScore]]:
        if not any(text.strip() for text in case.texts):
            return "", Score(0.0, note=NO_TEXT)
        body = request_body(self._settings, case)
        request = request_hash(self._settings, body)
        if request in self._asked:
            return request, self._asked[request]
        stored = self._cache.get(request)
        if stored is not None:
            self.kept.add(request)
            return request, full_score(stored, case)
        if self._send is None:
            self._send = self._stack.enter_context(connected(self._settings))
        self._asked[request] = self._pool.submit(self._answer, self._send, case, body, request)
        return request, self._asked[request]

    def _answer(self, send: Send, case: Case, body: bytes, request: str) -> StoredScore:
        """In a thread: the judge's answer, kept before anything else is done with it."""
        try:
            answer, origin = ask(
                send, body, lambda content: read_answer(content, case), self._settings, request, self._stop
            )
            return self._cache.put(request, answer or StoredScore(value=None, note=NO_VALID_ANSWER), origin)
        except RctgapError:
            self._stop.set()
            raise

    def _outcome(self, case: Case, request: str, found: Score | Future[StoredScore]) -> Score | None:
        if isinstance(found, Score):
            return found
        try:
            stored = found.result()
        except NoReplyError as fault:
            self._note_failure(request, fault.reason)
            return None
        self._asked.pop(request, None)
        self._in_a_row = 0
        self.kept.add(request)
        return full_score(stored, case)

    def _note_failure(self, request: str, reason: str) -> None:
        if request in self.failed or reason == STOPPED:
            return
        if not self.failed and self._settings.allow_partial:
            what = f"a case is left without a score: the judge gave no reply ({reason})"
            warnings.warn(f"{what}; later ones are not announced", RctgapWarning, stacklevel=2)
        self.failed[request] = reason
        self._in_a_row += 1
        if self.gave_up:
            self._stop.set()


def _known(found: Score | Future[StoredScore]) -> bool:
    return isinstance(found, Score) or found.done()


def _unfinished(settings: Judge, run: _Run) -> AnalysisError:
    kept, lost = len(run.kept), len(run.failed)
    reasons = ", ".join(sorted(set(run.failed.values())))
    more = f"; after {GIVE_UP} in a row nothing more was asked" if run.gave_up else ""
    what = f"of {kept + lost:,} distinct cases asked, {kept:,} are scored, {lost:,} had no reply ({reasons}){more}"
    todo = "The scores are kept: run again to go on with the rest, or set `allow_partial: true` to do without them"
    return AnalysisError(Fault(what, todo, str(settings.cache)))
