"""The scorer `edit_distance`: the published rule, a fuzzy substring within a share of the term's length."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import regex

from rctgap.errors import AnalysisError, Fault
from rctgap.scorers.keys import NO_TERMS, NO_TEXT, by_key
from rctgap.scorers.negation import negated
from rctgap.scorers.protocol import Case, Evidence, GoldKey, Score

__all__ = ["EditDistance", "fuzzy_search"]

PERCENT = 100


@dataclass(frozen=True, slots=True)
class EditDistance:
    """A case is right if a term, or a synonym of it, is within a few edits of some part of its texts.

    Upper and lower case are alike. A term of n letters may differ by (100 - threshold) * n // 100 insertions, deletions
    and substitutions from some substring, inside words as well: `UTI` is found in "routine", `covid` in "provide". That
    is the rule of Raman et al. (2026) and of the trial that they re-analyse. It is kept as it is, to be read beside
    `whole_word`. Denials do not change a score; the evidence says whether a hit is denied.

    Attributes
    ----------
    threshold : int
        Percent of the term's letters that must agree.

    Raises
    ------
    AnalysisError
        A threshold outside 1 to 100.

    References
    ----------
    Raman et al. (2026), arXiv 2605.22612.

    Examples
    --------
    >>> from rctgap.scorers.edit_distance import EditDistance
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> [one.value for one in EditDistance().score([Case(("I can provide advice.",), gold_key("covid"))])]
    [1.0]
    """

    threshold: int = 80

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= PERCENT:
            shown = str(self.threshold)
            raise AnalysisError(
                Fault("this is no percentage", "Give 1 to 100; the published one is 80", place="threshold", value=shown)
            )

    @property
    def name(self) -> str:
        """`edit_distance`."""
        return "edit_distance"

    @property
    def version(self) -> str:
        """Changes whenever some score could."""
        return "1"

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """The threshold."""
        return (("threshold", str(self.threshold)),)

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in order: 1 or 0, with one place of the first term of the key that is found."""
        return map(self._score, cases)

    def _score(self, case: Case) -> Score:
        if not case.key.terms:
            return Score(None, note=NO_TERMS)
        if not case.texts:
            return Score(0.0, note=NO_TEXT)
        found = next(self.hits(case), None)
        return Score(0.0) if found is None else Score(1.0, (found,))

    def hits(self, case: Case) -> Iterator[Evidence]:
        """One place of each term that is found, in the order of the key: exact where there is one, else a near one."""
        lowered = [text.lower() for text in case.texts]
        for name, spellings in _targets(case.key, self.threshold):
            found = _first(spellings, lowered)
            if found is not None:
                number, place = found
                start, end = _as_given(case.texts[number], lowered[number], place)
                yield Evidence(number, start, end, name, negated(case.texts[number], start, end))


type _Spellings = tuple[tuple[str, int], ...]


@by_key
def _targets(key: GoldKey, threshold: int) -> tuple[tuple[str, _Spellings], ...]:
    """Each term's name, and its spellings in lower case with the edits that they allow."""
    return tuple(
        (term.name, tuple((one, (PERCENT - threshold) * len(one) // PERCENT) for one in map(str.lower, term.spellings)))
        for term in key.terms
    )


def _first(spellings: _Spellings, texts: Sequence[str]) -> tuple[int, tuple[int, int]] | None:
    """The first text that holds one of some spellings, and where."""
    for number, text in enumerate(texts):
        for spelling, edits in spellings:
            place = fuzzy_search(spelling, text, edits)
            if place is not None:
                return number, place
    return None


def _as_given(text: str, lowered: str, place: tuple[int, int]) -> tuple[int, int]:
    """A slice of a text in lower case as one of the text itself: a dotted capital I is longer in lower case."""
    if len(text) == len(lowered):
        return place
    ends = list(accumulate(len(one.lower()) for one in text))
    return bisect_right(ends, place[0]), bisect_right(ends, place[1] - 1) + 1


def fuzzy_search(term: str, text: str, edits: int) -> tuple[int, int] | None:
    """Where some substring of a text is within so many edits of a term, as a slice; None where none is.

    A term cut into one piece more than there are edits has a piece that no edit touches. Only around such pieces is
    the text searched, so that most texts are done with plain searches.

    Parameters
    ----------
    term, text : str
        As they are to be compared.
    edits : int
        Most insertions, deletions and substitutions; less than the term's length.

    Returns
    -------
    (int, int) or None
        The exact term where the text holds it, else the closest substring around the first that is close enough.

    Examples
    --------
    >>> from rctgap.scorers.edit_distance import fuzzy_search
    >>> fuzzy_search("gallstones", "galstones, perhaps", 2)
    (0, 9)
    >>> fuzzy_search("gallstones", "a migraine, perhaps", 2) is None
    True
    """
    exact = text.find(term)
    if exact >= 0 or not edits:
        return (exact, exact + len(term)) if exact >= 0 else None
    pattern = _fuzzy(term, edits)
    for start, end in _windows(term, text, edits):
        found = pattern.search(text, start, end)
        if found is not None:
            near = _closest(term, edits).search(text, found.start(), min(found.end() + 2 * edits, end))
            return (near or found).span()
    return None


@lru_cache(maxsize=65_536)
def _fuzzy(term: str, edits: int) -> "regex.Pattern[str]":
    return regex.compile(f"(?:{regex.escape(term)}){{e<={edits}}}")


@lru_cache(maxsize=65_536)
def _closest(term: str, edits: int) -> "regex.Pattern[str]":
    return regex.compile(f"(?b)(?:{regex.escape(term)}){{e<={edits}}}")


@lru_cache(maxsize=65_536)
def _pieces(term: str, edits: int) -> tuple[tuple[int, str], ...]:
    """The term cut into edits + 1 pieces, each with its place."""
    cuts = [len(term) * number // (edits + 1) for number in range(edits + 2)]
    return tuple((start, term[start:end]) for start, end in pairwise(cuts))


def _windows(term: str, text: str, edits: int) -> list[tuple[int, int]]:
    """Parts of the text that can hold a match, merged, in order."""
    found = []
    for offset, piece in _pieces(term, edits):
        place = text.find(piece)
        while place >= 0:
            start = place - offset - edits
            found.append((max(start, 0), min(start + len(term) + 2 * edits, len(text))))
            place = text.find(piece, place + 1)
    found.sort()
    merged = found[:1]
    for start, end in found[1:]:
        if start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
