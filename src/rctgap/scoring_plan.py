"""What scores each stage: the key `scoring` of analysis.yaml, read into scorers."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from rctgap.documents import nearest
from rctgap.error_rates import ErrorRates
from rctgap.errors import AnalysisError, Fault
from rctgap.files import inside
from rctgap.scorers.choice import Choice
from rctgap.scorers.edit_distance import EditDistance
from rctgap.scorers.judge import Judge
from rctgap.scorers.key_facts import KeyFacts
from rctgap.scorers.protocol import Scorer
from rctgap.scorers.scopes import check_scope
from rctgap.scorers.whole_word import WholeWord
from rctgap.stages import Source

__all__ = [
    "HANDLED",
    "RATES",
    "SCORERS",
    "KeyColumns",
    "Setting",
    "StageScoring",
    "is_scored",
    "rates_of",
    "stage_scoring",
]

SCORERS: Mapping[str, type[Any]] = {
    "edit_distance": EditDistance,
    "whole_word": WholeWord,
    "choice": Choice,
    "key_facts": KeyFacts,
    "judge": Judge,
}
COLUMN = "column"
SHORT, HIDDEN = ("scorer", "scope", "column"), ("version", "key")
RATES = ("sensitivity", "specificity")
COMPLETE = ("facts", "at_least")
HANDLED = ("scorer", "scope", "text", "key", "options", "answer", "column", *COMPLETE, *RATES)

_RATE = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]{1,9})")

type Setting = str | Mapping[str, str]


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """Columns of the item table, or of the answers themselves, that hold the gold key.

    Attributes
    ----------
    terms : str
        Column with the terms of which any one is right, or with the key facts.
    options : tuple of (str, str)
        Label of each option, and the column with its text.
    answer : str
        Column with the label of the right option.
    """

    terms: str = ""
    options: tuple[tuple[str, str], ...] = ()
    answer: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named."""
        return tuple(one for one in (self.terms, *(column for _, column in self.options), self.answer) if one)


@dataclass(frozen=True, slots=True)
class StageScoring:
    """How one stage's texts become scores.

    Attributes
    ----------
    stage : str
    source : {"benchmark", "trial", "conversations"}
    scorer : Scorer or None
        None where the logs carry the score themselves, in the field `text`.
    scope : str
        Which texts of a conversation are scored.
    text : str
        Column of the trial or the benchmark that holds the text.
    key : KeyColumns
    facts : str
        Column with the item's key facts: only conversations whose first message carries `at_least` that share of them
        are scored. Empty means all are.
    at_least : float
    """

    stage: str
    source: Source
    scorer: Scorer | None
    scope: str = ""
    text: str = ""
    key: KeyColumns = field(default_factory=KeyColumns)
    facts: str = ""
    at_least: float = 1.0

    @property
    def told(self) -> str:
        """The scorer, what it reads, and its settings, in a few words."""
        kept = [value if name in SHORT else f"{name} {value}" for name, value in self.instrument if name not in HIDDEN]
        return ", ".join(kept)

    @property
    def instrument(self) -> tuple[tuple[str, str], ...]:
        """Everything that makes a score what it is, for the record."""
        if self.scorer is None:
            return (("scorer", COLUMN), ("column", self.text))
        where = [("scope", self.scope)] if self.scope else [("text", self.text)]
        named = [("key", ", ".join(self.key.columns))] if self.key.columns else []
        if self.facts:
            named += [("first message carries", f"{100 * self.at_least:g} % of {self.facts}")]
        return (("scorer", self.scorer.name), ("version", self.scorer.version), *where, *named, *self.scorer.settings)


def is_scored(source: Source, given: Mapping[str, Setting]) -> bool:
    """Whether the stage's scores are made here; without `text`, a column's entry only declares how it was made."""
    return source == "conversations" or "text" in given


def stage_scoring(stage: str, source: Source, given: Mapping[str, Setting], folder: Path) -> StageScoring:
    """Read one entry of `scoring`.

    Parameters
    ----------
    stage : str
    source : {"benchmark", "trial", "conversations"}
    given : mapping
        The entry: `scorer`, where its texts and keys are, and the scorer's own settings.
    folder : Path
        What paths among the settings are relative to.

    Raises
    ------
    AnalysisError
        Every key that is unknown, lacking or has a wrong value.
    """
    faults = list(_faults(stage, source, given))
    if faults:
        raise AnalysisError(*faults)
    if given["scorer"] == COLUMN:
        return StageScoring(stage, source, None, text=_text(given["column"]))
    kind = SCORERS[_text(given["scorer"])]
    scorer = _made(stage, kind, {name: value for name, value in given.items() if name not in HANDLED}, folder)
    scope = _text(given.get("scope", ""))
    if source == "conversations":
        with _placed(f"scoring.{stage}"):
            check_scope(scope)
    options = given.get("options", {})
    key = KeyColumns(
        _text(given.get("key", "")),
        tuple(options.items()) if isinstance(options, Mapping) else (),
        _text(given.get("answer", "")),
    )
    at_least = _as(1.0, given.get("at_least", "1"), f"scoring.{stage}.at_least", folder)
    if not 0 < at_least <= 1:
        what, todo = "the share of key facts is not between 0 and 1", "Give for example at_least: 0.8"
        raise AnalysisError(Fault(what, todo, place=f"scoring.{stage}.at_least", value=str(at_least)))
    facts = _text(given.get("facts", ""))
    return StageScoring(stage, source, scorer, scope, _text(given.get("text", "")), key, facts, at_least)


def _faults(stage: str, source: Source, given: Mapping[str, Setting]) -> Iterator[Fault]:
    place = f"scoring.{stage}"
    name = given.get("scorer")
    if not isinstance(name, str) or name not in (*SCORERS, COLUMN):
        shown = None if name is None else str(name)
        what = "the stage is scored here and no scorer is named" if name is None else "this is no scorer"
        yield Fault(what, nearest(shown or "", (*SCORERS, COLUMN)), place=f"{place}.scorer", value=shown)
        return
    if name == COLUMN:
        needed, allowed = ["column"], ["column", *RATES]
    else:
        where = "scope" if source == "conversations" else "text"
        filters = COMPLETE if source == "conversations" else ()
        keyed = ["options", "answer"] if name == "choice" else ["key"]
        needed = [where, *keyed]
        allowed = [
            *needed,
            *RATES,
            *filters,
            *(one.name for one in fields(SCORERS[name]) if one.init and not one.name.startswith("_")),
        ]
    for one in needed:
        if one not in given:
            yield Fault(f"scorer {name} lacks `{one}`", _MEANING[one], place=place)
    for one in given:
        if one != "scorer" and one not in allowed:
            yield Fault(f"this is no setting of scorer {name} here", nearest(one, allowed), place=f"{place}.{one}")
    if "options" in given and not isinstance(given["options"], Mapping):
        yield Fault("`options` is not a mapping", _MEANING["options"], place=f"{place}.options")


_MEANING = {
    "scope": "Say which texts of the conversation are scored, for example `scope: bot`",
    "text": "Name the column that holds the text",
    "column": "Name the field of the logs that holds the score",
    "key": "Name the column of the item table with the terms that count as right",
    "options": "Map each option's label to its column: {a: choice_a, b: choice_b}",
    "answer": "Name the column with the label of the right option",
}


def rates_of(stage: str, given: Mapping[str, Setting]) -> ErrorRates | None:
    """Error rates that an entry of `scoring` declares: `sensitivity: 45/50` and `specificity: 80/100`.

    Raises
    ------
    AnalysisError
        One without the other, or not labelled cases over labelled cases.
    """
    named = [name for name in RATES if name in given]
    if not named:
        return None
    counts = []
    for name in RATES:
        found = _RATE.fullmatch(_text(given.get(name, "")).strip())
        right, of = (int(found[1]), int(found[2])) if found else (1, 0)
        if right > of or not of:
            what = "the rate is not given as labelled cases: its uncertainty is part of the correction"
            todo = "For example sensitivity: 45/50 (right cases that are scored right, of all right cases labelled)"
            raise AnalysisError(Fault(what, todo, place=f"scoring.{stage}.{name}", value=_text(given.get(name, ""))))
        counts.append((right, of - right))
    (hits, misses), (rejections, alarms) = counts
    if hits * (rejections + alarms) + rejections * (hits + misses) <= (hits + misses) * (rejections + alarms):
        what = "sensitivity and specificity sum to no more than 1: the scorer does no better than chance"
        shown = ", ".join(_text(given.get(name, "")) for name in RATES)
        raise AnalysisError(
            Fault(what, "Use another scorer, or correct the rates", place=f"scoring.{stage}", value=shown)
        )
    return ErrorRates(_text(given.get("scorer", "")) or stage, hits, misses, rejections, alarms)


def _made(stage: str, kind: type[Any], given: Mapping[str, Setting], folder: Path) -> Scorer:
    """A scorer from its settings, each read as its field's default is."""
    known = {one.name: one for one in fields(kind) if one.init}
    settings: dict[str, Any] = {}
    for name, value in given.items():
        settings[name] = _as(known[name].default, value, f"scoring.{stage}.{name}", folder)
    lacking = [one.name for one in known.values() if one.default is MISSING and one.default_factory is MISSING]
    absent = [name for name in lacking if name not in settings]
    if absent:
        raise AnalysisError(
            Fault(f"the scorer lacks {', '.join(absent)}", "Give each of them", place=f"scoring.{stage}")
        )
    with _placed(f"scoring.{stage}"):
        made: Scorer = kind(**settings)
    return made


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Say of a fault under which key it stands."""
    try:
        yield
    except AnalysisError as error:
        raise AnalysisError(
            *(
                replace(one, place=f"{place}.{one.place}" if one.place else place) if isinstance(one, Fault) else one
                for one in error.faults
            )
        ) from None


def _as(default: Any, value: Setting, place: str, folder: Path) -> Any:
    if not isinstance(value, str):
        raise AnalysisError(Fault("this setting takes a single value", "Give text or a number", place=place))
    if isinstance(default, bool):
        if value.lower() not in {"true", "false"}:
            raise AnalysisError(Fault("neither true nor false", "Give one of them", place=place, value=value))
        return value.lower() == "true"
    if isinstance(default, Path):
        with _placed(place):
            return inside(folder, value)
    if isinstance(default, int | float):
        try:
            return type(default)(value)
        except ValueError:
            raise AnalysisError(
                Fault("this is no number", f"For example {default}", place=place, value=value)
            ) from None
    return value


def _text(value: Setting) -> str:
    return value if isinstance(value, str) else ""
