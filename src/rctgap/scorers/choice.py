"""The scorer `choice`: which option of a multiple-choice item a reply names."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rctgap.documents import nearest
from rctgap.errors import AnalysisError, Fault
from rctgap.scorers.keys import NO_TEXT, by_key
from rctgap.scorers.negation import negated
from rctgap.scorers.protocol import Case, Evidence, GoldKey, Score

__all__ = ["Choice"]

WAYS = ("zero", "any", "last")
NO_OPTIONS, NONE_NAMED, SEVERAL = "the key has no options", "no option named", "several options named"
_JOINT = re.compile(r"[\s,;/]+")


@dataclass(frozen=True, slots=True)
class Choice:
    """A case is right if its texts name the right option and no other.

    An option is named by its label, alone or in one of the forms "(c)", "c)", "option c", "C." at the start of a line,
    or by the words of its text in order, whatever the case, with commas or "and" between. The longest option counts
    where one holds another (VLDL and LDL), and a number is not found in a longer one (15% in 115%). Denied mentions do
    not count. An answer that is stated as such ("the answer is ...", "I would choose ...") overrides whatever else is
    named; the last counts. The letter "a" as an article is no label. A paraphrase names nothing: the rule finds fewer
    right replies than a reader does, most of all where options are sentences; and where labels are numbers, numbered
    lists name them.

    Attributes
    ----------
    ambiguous : {"zero", "any", "last"}
        Where several options are named: wrong, right if the right one is among them, or right if it is named last.

    Raises
    ------
    AnalysisError
        Another `ambiguous`.

    Examples
    --------
    >>> from rctgap.scorers.choice import Choice
    >>> from rctgap.scorers.keys import gold_key
    >>> from rctgap.scorers.protocol import Case
    >>> key = gold_key(options={"a": "15%", "b": "30%"}, answer="b")
    >>> replies = ["About 30% of it.", "130% or so.", "15% to 30%.", "The answer is (b), not a."]
    >>> [one.value for one in Choice().score(Case((text,), key) for text in replies)]
    [1.0, 0.0, 0.0, 1.0]
    """

    ambiguous: Literal["zero", "any", "last"] = "zero"

    def __post_init__(self) -> None:
        if self.ambiguous not in WAYS:
            raise AnalysisError(
                Fault(
                    "no way to handle several options",
                    nearest(self.ambiguous, WAYS),
                    place="ambiguous",
                    value=self.ambiguous,
                )
            )

    @property
    def name(self) -> str:
        """`choice`."""
        return "choice"

    @property
    def version(self) -> str:
        """Changes whenever some score could."""
        return "1"

    @property
    def settings(self) -> Sequence[tuple[str, str]]:
        """What is made of several options."""
        return (("ambiguous", self.ambiguous),)

    def score(self, cases: Iterable[Case]) -> Iterator[Score]:
        """Scores in order, with the place of each option named."""
        return map(self._score, cases)

    def _score(self, case: Case) -> Score:
        if not case.key.options:
            return Score(None, note=NO_OPTIONS)
        if not case.texts:
            return Score(0.0, note=NO_TEXT)
        stated = [one for one in _stated(case) if not one.negated]
        if stated:
            return Score(float(stated[-1].term == case.key.answer), (stated[-1],))
        named = _named(case)
        counted = [one for one in named if not one.negated]
        if not counted:
            return Score(0.0, tuple(named), NONE_NAMED)
        labels = {one.term for one in counted}
        if len(labels) == 1:
            return Score(float(case.key.answer in labels), tuple(counted))
        last = counted[-1].term == case.key.answer
        right = {"zero": False, "any": case.key.answer in labels, "last": last}[self.ambiguous]
        return Score(float(right), tuple(counted), SEVERAL)


def _named(case: Case) -> list[Evidence]:
    """Options in the order in which they are named."""
    patterns = _patterns(case.key)
    named = []
    for number, text in enumerate(case.texts):
        found = [(*one.span(), _of_text(patterns, one)) for one in patterns.text.finditer(text)]
        found += [(*one.span(), _of_label(one)) for one in patterns.label.finditer(text)]
        named += [Evidence(number, start, end, label, negated(text, start, end)) for start, end, label in sorted(found)]
    return named


def _stated(case: Case) -> list[Evidence]:
    """Options that are stated as the answer, in order; denied where the statement is."""
    patterns = _patterns(case.key)
    stated = []
    for number, text in enumerate(case.texts):
        for one in patterns.stated.finditer(text):
            label = _of_label(one) if one.lastgroup == "label" else _of_text(patterns, one)
            stated.append(Evidence(number, *one.span(one.lastindex or 0), label, negated(text, *one.span())))
    return stated


@dataclass(frozen=True, slots=True)
class _Patterns:
    """How options are found by their texts, by their labels, and where one is stated as the answer."""

    labels: tuple[str, ...]
    text: re.Pattern[str]
    label: re.Pattern[str]
    stated: re.Pattern[str]


def _of_text(patterns: _Patterns, found: re.Match[str]) -> str:
    """Label of the option whose text was found: its group has its place in `labels`."""
    return patterns.labels[(found.lastindex or 1) - 1]


def _of_label(found: re.Match[str]) -> str:
    return str(found[found.lastindex or 0]).lower()


@by_key
def _patterns(key: GoldKey) -> _Patterns:
    options = sorted(key.options, key=lambda one: -len(one[1]))
    texts = "|".join(f"({_option(text)})" for _, text in options)
    label = "|".join(sorted((re.escape(one) for one, _ in options), key=len, reverse=True))
    alone = r"[\s\"'“”*_().:]{0,9}"
    forms = (
        rf"\A{alone}({label}){alone}\Z",
        rf"\(({label})\)",
        rf"(?m:^[^\S\n]{{0,20}}[*_#>\-]{{0,3}}[^\S\n]?({label})[.):](?=[\s*]|$))",
        rf"\boption\s{{1,9}}[\"'“*(]{{0,3}}({label})(?!\w)",
        rf"(?<![\w(])({label})\)(?!\w)",
    )
    verb = r"\s{1,9}(?:is|would\s{1,9}be|should\s{1,9}be)\b"
    said = (
        rf"\b(?:(?:answer|choice|option){verb}\s{{0,9}}:?|(?:answer|choice)\s{{0,9}}:|"
        r"(?:choose|pick|select|go\s{1,9}with|going\s{1,9}with)\b)"
    )
    filler = r"\s{0,9}(?:(?:the|option|answer|most|likely|probably)\s{1,9}){0,3}[\"'“*(]{0,4}"
    # a letter that is also an English word is a label only where something ends behind it
    ended = r"(?!\w)(?:(?-i:(?<![ai]))|(?=\s{0,9}(?:[).,;:!?\"'”*]|\Z)))"
    return _Patterns(
        tuple(one for one, _ in options),
        re.compile(rf"(?<![\w.%])(?<!\d,)(?:{texts})", re.IGNORECASE),
        re.compile("|".join(forms), re.IGNORECASE),
        re.compile(rf"{said}{filler}(?:(?:{texts})|(?P<label>{label}){ended})", re.IGNORECASE),
    )


def _option(text: str) -> str:
    """Pattern of an option's text: its words in order, joined as people join them; percent in figures or words."""
    bare = re.sub(r"\s?per\s?cent\b", "%", text.strip().rstrip(".").strip(), flags=re.IGNORECASE)
    words = [re.escape(one) for one in _JOINT.split(bare) if one]
    if len(words) > 1 and words[0].lower() in {"the", "a", "an"}:
        words = words[1:]
    joined = r"(?:[\s,;/\-]{1,20}(?:and\s{1,9}|&\s{1,9}|or\s{1,9})?)".join(words)
    after = r"(?!\w|[.,]\d|\s?%|\s?per\s?cent\b)" if bare[-1:].isdigit() else r"(?!\w|[.,]\d)"
    return joined.replace("%", r"(?:\s?%|\s?per\s?cent\b)") + after
