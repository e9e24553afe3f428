"""The scorer `key_facts`: what share of an item's key facts the texts carry."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rctgap.scorers.keys import NO_TERMS, NO_TEXT
from rctgap.scorers.protocol import Case, Evidence, Score
from rctgap.scorers.whole_word import hits

__all__ = ["KeyFacts"]


@dataclass(frozen=True, slots=True)
class KeyFacts:
    """The share of the key's facts of which some spelling stands in the texts as whole words.

    Words are found as `whole_word` finds them. A fact that is denied is carried all the same: "no fever" tells of
    fever. A fact may stand inside another: "chest pain" carries pain as well, if that is a fact of its own.

    Examples
    --------
    >>> from rctgap.scorers.key_facts import KeyFacts
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> key = gold_key("fever | temperature; stiff neck; headache; rash")
    >>> [one.value for one in KeyFacts().score([Case(("A headache since noon.", "No fever."), key)])]
    [0.5]
    """

    @property
    def name(self) -> str:
        """`key_facts`."""
        return "key_facts"

    @property
    def version(self) -> str:
        """Changes whenever some score could."""
        return "1"

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """None."""
        return ()

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in order, with the first place of each fact that is carried, in the order of the texts."""
        return map(_score, cases)


def _score(case: Case) -> Score:
    facts = {term.name for term in case.key.terms}
    if not facts:
        return Score(None, note=NO_TERMS)
    first: dict[str, Evidence] = {}
    for found in hits(case):
        first.setdefault(found.term, found)
        if len(first) == len(facts):
            break
    return Score(len(first) / len(facts), tuple(first.values()), "" if case.texts else NO_TEXT)
