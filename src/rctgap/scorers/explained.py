"""Why `whole_word` calls a case wrong that the published rule calls right, case by case."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rctgap.scorers.protocol import Case, Score
from rctgap.scorers.whole_word import WholeWord, dropped

__all__ = ["Explained"]


@dataclass(frozen=True, slots=True)
class Explained:
    """`whole_word` with the reason, as its note, where `edit_distance` finds a term that it does not.

    It searches twice and takes many times as long; no score differs.

    Examples
    --------
    >>> from rctgap.scorers.explained import Explained
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> from rctgap.scorers.whole_word import WholeWord
    >>> next(iter(Explained(WholeWord()).score([Case(("That is routine.",), gold_key("UTI"))]))).note
    'edit_distance finds UTI: inside a word'
    """

    scorer: WholeWord

    @property
    def name(self) -> str:
        """`whole_word`."""
        return self.scorer.name

    @property
    def version(self) -> str:
        """That of `whole_word`."""
        return self.scorer.version

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """Those of `whole_word`."""
        return self.scorer.settings

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in order, wrong ones with the reason where there is one."""
        for case in cases:
            found = next(iter(self.scorer.score([case])))
            reasons = dict.fromkeys(f"{one.term}: {one.reason}" for one in dropped(case)) if found.value == 0.0 else {}
            yield replace(found, note=f"edit_distance finds {', '.join(reasons)}") if reasons else found
