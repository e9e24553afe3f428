"""What every scorer takes and gives back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Case", "Evidence", "GoldKey", "Score", "Scorer", "Term"]


@dataclass(frozen=True, slots=True)
class Term:
    """Something that counts as right: its name, and other words for it."""

    name: str
    synonyms: tuple[str, ...] = ()

    @property
    def spellings(self) -> tuple[str, ...]:
        """The name, then its synonyms."""
        return (self.name, *self.synonyms)


@dataclass(frozen=True, slots=True)
class GoldKey:
    """What the answers of one item are held against.

    Attributes
    ----------
    terms : tuple of Term
        Any one of them makes an answer right; for `key_facts`, the facts of which the share is counted.
    options : tuple of (str, str)
        Label and text of the options of a multiple-choice item.
    answer : str
        Label of the right option.
    """

    terms: tuple[Term, ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to score: texts in the order in which they were said, and the key.

    Equal keys may be told by identity: cases of one item share one `GoldKey`.
    """

    texts: tuple[str, ...] = field(repr=False)
    key: GoldKey


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a score comes from: a position, never a text.

    Attributes
    ----------
    text : int
        Position of the text in the case, from 0.
    start, end : int
        Characters of that text, as in a slice; of the text as given.
    term : str
        The key's term or option that was found there.
    negated : bool
        Whether the words before it deny it.
    """

    text: int
    start: int
    end: int
    term: str
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Score:
    """What a scorer makes of a case.

    Attributes
    ----------
    value : float or None
        Between 0 and 1; None where the case cannot be scored, and `note` says why.
    evidence : tuple of Evidence
    note : str
        A short reason out of a fixed list of the scorer's own words; never a word of the texts.
    """

    value: float | None
    evidence: tuple[Evidence, ...] = ()
    note: str = ""


class Scorer(Protocol):
    """A rule that turns cases into scores."""

    @property
    def name(self) -> str:
        """What analysis.yaml calls it."""
        ...

    @property
    def version(self) -> str:
        """Recorded with every score; changes whenever some score could."""
        ...

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """What was set, in the words of analysis.yaml."""
        ...

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in the order of the cases, each as soon as it is known."""
        ...
