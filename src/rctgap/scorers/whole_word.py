"""The scorer `whole_word`: terms as words, short ones exactly, denied ones not counted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from typing import Literal

from rctgap.documents import nearest
from rctgap.errors import AnalysisError, Fault
from rctgap.scorers.edit_distance import EditDistance
from rctgap.scorers.keys import NO_TERMS, NO_TEXT, by_key
from rctgap.scorers.negation import negated
from rctgap.scorers.protocol import Case, Evidence, GoldKey, Score
from rctgap.scorers.word_patterns import WordPattern, only_in_capitals, word_pattern

__all__ = ["Dropped", "Reason", "WholeWord", "dropped", "hits"]

HANDLING = ("drop", "keep")
ONLY_DENIED = "only denied"

type Reason = Literal["inside a word", "short term in lower case", "denied", "only a near spelling"]


@dataclass(frozen=True, slots=True)
class WholeWord:
    """A case is right if a term, or a synonym of it, stands in its texts as whole words.

    Words of terms may be joined by spaces or a hyphen. Terms of more than five letters may stand in the singular or
    the plural, and in British or American spelling (ae and oe for e, our for or). Terms of up to five letters must
    match exactly, and abbreviations of up to three capitals only in capitals. A word with "non-", "pre-" or "anti-"
    before it, or "-like", "-free" or "-negative" behind it, is another word. Misspelt terms are not found: give them
    as synonyms.

    Attributes
    ----------
    negation : {"drop", "keep"}
        Whether hits that the words around them deny are left out (see `rctgap.scorers.negation`) or count.
    variants : bool
        Whether British and American spellings are alike.

    Raises
    ------
    AnalysisError
        Another `negation`.

    Examples
    --------
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> from rctgap.scorers.whole_word import WholeWord
    >>> key = gold_key("covid; UTI | urinary tract infection")
    >>> cases = [Case(("I can provide routine advice.",), key), Case(("A urinary-tract infection?",), key)]
    >>> [one.value for one in WholeWord().score(cases)]
    [0.0, 1.0]
    """

    negation: Literal["drop", "keep"] = "drop"
    variants: bool = True

    def __post_init__(self) -> None:
        if self.negation not in HANDLING:
            raise AnalysisError(
                Fault(
                    "no way to handle denials", nearest(self.negation, HANDLING), place="negation", value=self.negation
                )
            )

    @property
    def name(self) -> str:
        """`whole_word`."""
        return "whole_word"

    @property
    def version(self) -> str:
        """Changes whenever some score could."""
        return "1"

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """How denials and spellings are handled."""
        return (("negation", self.negation), ("variants", str(self.variants).lower()))

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in order: 1 or 0, with the first hit that counts, or else the first that is denied."""
        return map(self._score, cases)

    def _score(self, case: Case) -> Score:
        if not case.key.terms:
            return Score(None, note=NO_TERMS)
        if not case.texts:
            return Score(0.0, note=NO_TEXT)
        denied: tuple[Evidence, ...] = ()
        for found in hits(case, variants=self.variants):
            if self.negation == "keep" or not found.negated:
                return Score(1.0, (found,))
            denied = denied or (found,)
        return Score(0.0, denied, ONLY_DENIED if denied else "")


def hits(case: Case, *, variants: bool = True) -> Iterator[Evidence]:
    """Every place where a term of the key stands as whole words, in the order of the texts.

    A term may stand inside another one; places of one term do not overlap.
    """
    patterns = _patterns(case.key, variants)
    for number, text in enumerate(case.texts):
        plain = text.lower()
        if len(plain) != len(text):  # a dotted capital I alone is longer in lower case
            plain = text.replace("\u0130", "I").lower()
        present = [one for one in patterns if one[1].part in (text if one[1].capitals else plain)]
        if not present:
            continue
        places = [_places(pattern, term, text if pattern.capitals else plain) for term, pattern in present]
        ends: dict[str, int] = {}
        for start, minus_end, term in merge(*places):
            if start >= ends.get(term, 0):
                ends[term] = -minus_end
                yield Evidence(number, start, -minus_end, term, negated(text, start, -minus_end))


def _places(pattern: WordPattern, term: str, text: str) -> Iterator[tuple[int, int, str]]:
    return ((one.start(), -one.end(), term) for one in pattern.words.finditer(text))


@by_key
def _patterns(key: GoldKey, variants: bool) -> tuple[tuple[str, WordPattern], ...]:
    return tuple((term.name, word_pattern(one, variants=variants)) for term in key.terms for one in term.spellings)


# ---------------------------------------------------------------- what the published rule finds and this one does not


@dataclass(frozen=True, slots=True)
class Dropped:
    """A term that `edit_distance` finds and `whole_word` does not.

    Attributes
    ----------
    term : str
    reason : {"inside a word", "short term in lower case", "denied", "only a near spelling"}
    evidence : Evidence
        Where `edit_distance` finds it.
    """

    term: str
    reason: Reason
    evidence: Evidence


def dropped(case: Case) -> tuple[Dropped, ...]:
    """Why `whole_word` calls a case wrong that `edit_distance` calls right: each term found; empty where both agree.

    Examples
    --------
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> from rctgap.scorers.whole_word import dropped
    >>> [(one.term, one.reason) for one in dropped(Case(("That is routine.",), gold_key("UTI; migraine")))]
    [('UTI', 'inside a word')]
    """
    found = list(hits(case))
    if not all(one.negated for one in found):
        return ()
    denied = {one.term for one in found}
    spellings = {term.name: term.spellings for term in case.key.terms}
    return tuple(
        Dropped(one.term, "denied" if one.term in denied else _reason(spellings[one.term], case.texts, one), one)
        for one in EditDistance().hits(case)
    )


def _reason(spellings: Sequence[str], texts: Sequence[str], found: Evidence) -> Reason:
    capitals = [word_pattern(one.lower(), variants=False).words for one in spellings if only_in_capitals(one)]
    if any(pattern.search(text.lower()) for pattern in capitals for text in texts):
        return "short term in lower case"
    text, start, end = texts[found.text], found.start, found.end
    if text[start:end].lower() in {one.lower() for one in spellings}:
        return "inside a word"
    begun = start > 0 and text[start - 1 : start + 1].isalnum()
    goes_on = end < len(text) and text[end - 1 : end + 1].isalnum()
    return "inside a word" if begun or goes_on else "only a near spelling"
