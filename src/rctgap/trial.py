"""A trial's validated data and design, built only by `read_trial`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from rctgap.dictionary import Dictionary, Table, implied_table, read_dictionary
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.files import read_table
from rctgap.lookups import rows_where
from rctgap.margins import MarginComparison, compare_margins
from rctgap.validation import validate

__all__ = ["Arm", "AttritionStep", "Borrowing", "Design", "Exclusion", "TrialData", "read_trial"]


@dataclass(frozen=True, slots=True)
class Borrowing:
    """A stage taken from another randomised arm's rows, and why that is allowed."""

    stage: str
    arm: str
    because: str

    def __post_init__(self) -> None:
        if not self.because.strip():
            raise DataError(
                Fault(
                    f"stage {self.stage!r} is borrowed from {self.arm!r} without a reason",
                    "State under `because` why its scores have the same distribution in both arms",
                    place="arms.ai.rows",
                )
            )


@dataclass(frozen=True, slots=True)
class Arm:
    """An AI arm: its label in the data, the system its participants used, and the stages it borrows."""

    label: str
    system: str = ""
    borrowed: tuple[Borrowing, ...] = ()

    @property
    def tested(self) -> str:
        """The system under test: the label, unless stated."""
        return self.system or self.label

    def rows_of(self, stage: str) -> str:
        """The arm whose rows carry this stage."""
        return next((loan.arm for loan in self.borrowed if loan.stage == stage), self.label)

    def borrows(self, stage: str) -> bool:
        """Whether the stage comes from another arm."""
        return self.rows_of(stage) != self.label


@dataclass(frozen=True, slots=True)
class Design:
    """Arms and units of the trial.

    Attributes
    ----------
    control : str, optional
        Label of the control arm.
    ai : sequence of str or Arm
        The AI arms to analyse.
    unit : {"participant", "observation"}
        What was randomised.
    crossover : bool
        Whether a participant may appear in several arms.
    strata : tuple of str
        Columns within which randomisation was carried out.
    column : str, optional
        The arm column, where the dictionary gives several columns the role `arm`.

    Raises
    ------
    DataError
        No AI arm, an arm named twice, or the control among the AI arms.

    Examples
    --------
    >>> from rctgap.trial import Design
    >>> [arm.label for arm in Design(control="control", ai=["a1"]).arms]
    ['a1']
    """

    control: str | None = None
    ai: Sequence[str | Arm] = ()
    unit: Literal["participant", "observation"] = "participant"
    crossover: bool = False
    strata: tuple[str, ...] = ()
    column: str | None = None

    def __post_init__(self) -> None:
        given = (self.ai,) if isinstance(self.ai, str) else tuple(self.ai)
        object.__setattr__(self, "ai", tuple(arm if isinstance(arm, Arm) else Arm(str(arm)) for arm in given))
        object.__setattr__(self, "strata", tuple(self.strata))
        object.__setattr__(self, "control", None if self.control is None else str(self.control))
        labels = [arm.label for arm in self.arms] + ([self.control] if self.control is not None else [])
        if not self.arms:
            raise DataError(Fault("no AI arm is given", "Name at least one arm to analyse", place="arms.ai"))
        for label in labels:
            if labels.count(label) > 1 or label == "all":
                raise DataError(
                    Fault(
                        "an arm's label must be its own",
                        "Name each arm once; `all` is kept for the pooled row",
                        place="arms",
                        value=label,
                    )
                )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """The AI arms as records."""
        return self.ai  # type: ignore[return-value]  # __post_init__ made them all Arm

    @property
    def labels(self) -> tuple[str, ...]:
        """Every arm whose rows are used: control, AI arms, lenders."""
        lenders = [loan.arm for arm in self.arms for loan in arm.borrowed]
        known = ([self.control] if self.control is not None else []) + [arm.label for arm in self.arms] + lenders
        return tuple(dict.fromkeys(known))


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Rows left out before the analysis: those where every named column has its value."""

    where: Mapping[str, object]
    reason: str


@dataclass(frozen=True, slots=True)
class AttritionStep:
    """Answers that entered and left one step, by arm."""

    step: str
    arm: str
    n_in: int
    n_out: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrialData:
    """Validated data of a trial. Frames handed out are copies: nothing done to them reaches the record."""

    design: Design
    table: Table
    runs_table: Table | None
    attrition: tuple[AttritionStep, ...]
    margins: tuple[MarginComparison, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    _answers: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    _runs: pd.DataFrame | None = field(default=None, repr=False)

    @property
    def answers(self) -> pd.DataFrame:
        """One row per answer or pattern of answers, with the dictionary's columns."""
        return self._answers.copy()

    @property
    def runs(self) -> pd.DataFrame | None:
        """Benchmark runs, or None."""
        return None if self._runs is None else self._runs.copy()

    def column(self, role: str) -> str | None:
        """Name of the trial column with this role."""
        if role == "arm":
            return arm_column(self.table, self.design)
        found = self.table.by_role(role)
        return found[0].name if found else None

    def run_column(self, role: str) -> str | None:
        """Name of the benchmark column with this role."""
        found = self.runs_table.by_role(role) if self.runs_table is not None else ()
        return found[0].name if found else None


def read_trial(
    trial: pd.DataFrame | Path | str,
    *,
    design: Design,
    benchmark: pd.DataFrame | Path | str | None = None,
    items: pd.DataFrame | Path | str | None = None,
    dictionary: Dictionary | Path | str | Mapping[str, object] | None = None,
    exclude: Sequence[Exclusion] = (),
) -> TrialData:
    """Validate a trial's tables against their dictionary and design.

    Parameters
    ----------
    trial : DataFrame or path
        One row per participant and item, or patterns with a `count` column.
    design : Design
        Arms and units.
    benchmark : DataFrame or path, optional
        Runs of the AI alone: one row per run, or a `count`, or `successes` and `trials`.
    items : DataFrame or path, optional
        The item table.
    dictionary : Dictionary, path or mapping, optional
        Without one, columns named exactly like a role are that role.
    exclude : sequence of Exclusion
        Rows to leave out, each with a reason.

    Returns
    -------
    TrialData

    Raises
    ------
    DictionaryError
        The dictionary itself is faulty.
    DataError
        Every fault found in the tables and against the design, in one error.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.trial import Design, read_trial
    >>> frame = pd.DataFrame({"arm": ["a1", "control"], "decision": [1, 0], "count": [30, 40]})
    >>> read_trial(frame, design=Design("control", ["a1"])).attrition[0].n_in
    30
    """
    known = _dictionary(dictionary)
    given = {"trial": trial, "benchmark": benchmark, "items": items}
    raw = {name: _load(source) for name, source in given.items() if source is not None}
    sources = {name: str(source) for name, source in given.items() if isinstance(source, Path | str)}
    tables = {name: _table(known, name, frame) for name, frame in raw.items()}
    clean: dict[str, pd.DataFrame] = {}
    faults: list[Fault | str] = []
    for name, frame in raw.items():
        try:
            clean[name] = validate(frame, tables[name], name=sources.get(name, name), others=raw)
        except DataError as error:
            faults.extend(error.faults)
    if faults:
        raise DataError(*faults)
    label = sources.get("trial", "trial")
    answers = clean["trial"]
    arm = arm_column(tables["trial"], design, label)
    margins = compare_margins(answers, tables["trial"], arm)
    if "benchmark" in clean:
        margins += compare_margins(clean["benchmark"], tables["benchmark"])
    kept, steps = _exclude(answers, tables["trial"], exclude, arm, label)
    _check_design(kept, tables["trial"], design, arm, label)
    return TrialData(
        design, tables["trial"], tables.get("benchmark"), steps, margins, sources, kept, clean.get("benchmark")
    )


def _dictionary(source: Dictionary | Path | str | Mapping[str, object] | None) -> Dictionary | None:
    return source if source is None or isinstance(source, Dictionary) else read_dictionary(source)


def _load(source: pd.DataFrame | Path | str) -> pd.DataFrame:
    return source if isinstance(source, pd.DataFrame) else read_table(Path(source))


def _table(known: Dictionary | None, name: str, frame: pd.DataFrame) -> Table:
    if known is None:
        return implied_table([str(column) for column in frame.columns])
    if name not in known.tables:
        raise DataError(Fault("the dictionary does not describe this table", nearest(name, known.tables), place=name))
    return known.tables[name]


def arm_column(table: Table, design: Design, file: str = "trial") -> str:
    """The column that says which arm a row is in.

    Raises
    ------
    DataError
        No column has the role, several have it and the design names none, or it names another.
    """
    known = [one.name for one in table.by_role("arm")]
    if design.column is not None and design.column not in known:
        raise DataError(
            Fault("this column does not have the role `arm`", nearest(design.column, known), file, design.column)
        )
    if design.column is None and len(known) != 1:
        what = "no column has the role `arm`" if not known else f"columns {', '.join(known)} have the role `arm`"
        todo = (
            "Give the arm column that role in the dictionary" if not known else "Say which one to go by (arms.column)"
        )
        raise DataError(Fault(what, todo, file))
    return design.column or known[0]


def counts(frame: pd.DataFrame, table: Table) -> "pd.Series[int]":
    """How many answers each row stands for: its count, times the most trials of any stage where it is binomial."""
    found = table.by_role("count")
    number = frame[found[0].name].astype("int64") if found else pd.Series(1, index=frame.index, dtype="int64")
    tried = [field.name for field in table.by_role("trials")]
    return number * frame[tried].astype("float64").fillna(0.0).max(axis=1).astype("int64") if tried else number


def _exclude(
    frame: pd.DataFrame, table: Table, exclude: Sequence[Exclusion], arm: str, file: str
) -> tuple[pd.DataFrame, tuple[AttritionStep, ...]]:
    steps = [*_steps("read", frame, frame, table, arm, "as received")]
    for rule in exclude:
        kept = frame[~_matches(frame, table, rule, file)]
        steps.extend(_steps("exclude", frame, kept, table, arm, rule.reason))
        frame = kept
    return frame.reset_index(drop=True), tuple(steps)


def _matches(frame: pd.DataFrame, table: Table, rule: Exclusion, file: str) -> "pd.Series[bool]":
    for column, value in rule.where.items():
        if column not in frame.columns:
            known = map(str, frame.columns)
            raise DataError(Fault("an exclusion names no column of the trial", nearest(column, known), file, column))
        field = table.field(column)
        if field.levels and str(value) not in field.spellings:
            shown = None if field.withheld else str(value)
            allowed = "Name one of its levels" if field.withheld else nearest(str(value), field.labels)
            raise DataError(Fault("an exclusion names no level of this field", allowed, file, column, value=shown))
    return rows_where(frame, table, rule.where)


def _steps(
    step: str, before: pd.DataFrame, after: pd.DataFrame, table: Table, arm: str, reason: str
) -> list[AttritionStep]:
    entered = counts(before, table).groupby(before[arm].astype("string"), sort=True).sum()
    left = counts(after, table).groupby(after[arm].astype("string"), sort=True).sum()
    return [
        AttritionStep(step, str(label), int(total), int(left.get(label, 0)), reason) for label, total in entered.items()
    ]


def _check_design(frame: pd.DataFrame, table: Table, design: Design, arm: str, file: str) -> None:
    present = {str(label) for label in frame[arm].dropna().unique()}
    faults = [
        Fault("no row is in this arm", nearest(label, present), file, arm, value=label)
        for label in design.labels
        if label not in present
    ]
    blank = frame.index[frame[arm].isna()]
    faults += [Fault("the arm is blank", "Every row needs its arm", file, arm, int(row) + 1) for row in blank[:20]]
    faults += _nobody(frame, table, design, arm, file)
    faults += _crossed(frame, table, arm, file) if not design.crossover else []
    faults += [
        Fault("a stratum names no column of the trial", nearest(column, map(str, frame.columns)), file, column)
        for column in design.strata
        if column not in frame.columns
    ]
    if faults:
        raise DataError(*faults)


def _nobody(frame: pd.DataFrame, table: Table, design: Design, arm: str, file: str) -> list[Fault]:
    """Rows without a participant where others have one: they could be tied to nobody, nor be called independent."""
    person = table.by_role("participant")
    if not person:
        return []
    blank = frame[person[0].name].isna() & frame[arm].isin(design.labels)
    if not blank.any() or bool(frame.loc[frame[arm].isin(design.labels), person[0].name].isna().all()):
        return []
    allowed = "Give every answer its participant, or exclude the row with a reason"
    return [
        Fault(f"{int(blank.sum())} rows have no participant and others do", allowed, file, person[0].name, int(row) + 1)
        for row in frame.index[blank][:20]
    ]


def _crossed(frame: pd.DataFrame, table: Table, arm: str, file: str) -> list[Fault]:
    person = table.by_role("participant")
    if not person:
        return []
    pairs = frame[[person[0].name, arm]].dropna().drop_duplicates()
    again = pairs[pairs[person[0].name].duplicated()]
    shown = None if person[0].sensitive else again.head(20)
    return [
        Fault(
            "a participant appears in a second arm",
            "Correct the arm, or declare `crossover: true`",
            file,
            person[0].name,
            int(row) + 1,
            None if shown is None else str(again.loc[row, person[0].name]),
        )
        for row in again.index[:20]
    ]
