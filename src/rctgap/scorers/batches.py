"""Scores of many cases, on any executor, in order and with little in memory."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import batched

from rctgap.scorers.protocol import Case, Score, Scorer

__all__ = ["score_all"]

SIZE = 2000
IN_FLIGHT = 8


def score_all(
    scorer: Scorer, cases: Iterable[Case], executor: Executor | None = None, size: int = SIZE
) -> Iterator[Score]:
    """Scores in the order of the cases; the executor never changes one.

    Parameters
    ----------
    scorer : Scorer
    cases : iterable of Case
        Read as needed: at most eight batches are held.
    executor : concurrent.futures.Executor, optional
        For a process pool the scorer must be picklable, as a frozen record is.
    size : int
        Cases a batch.

    Examples
    --------
    >>> from rctgap.scorers.batches import score_all
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> from rctgap.scorers.whole_word import WholeWord
    >>> [one.value for one in score_all(WholeWord(), [Case(("It may be gallstones.",), gold_key("gallstones"))])]
    [1.0]
    """
    if executor is None:
        yield from scorer.score(cases)
        return
    waiting: deque[Future[list[Score]]] = deque()
    try:
        for batch in batched(cases, size):
            waiting.append(executor.submit(_scores, scorer, batch))
            if len(waiting) >= IN_FLIGHT:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        for one in waiting:
            one.cancel()


def _scores(scorer: Scorer, cases: tuple[Case, ...]) -> list[Score]:
    return list(scorer.score(cases))
