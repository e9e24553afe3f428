"""A trial's validated data and design, built only by `read_trial`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from rctgap.design import Arm, Design, Exclusion
from rctgap.dictionary import Dictionary, Table, implied_table, read_dictionary
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.files import read_table
from rctgap.lookups import rows_where
from rctgap.margins import MarginComparison, compare_margins
from rctgap.validation import validate

__all__ = ["AttritionStep", "TrialData", "read_trial"]


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
    items_table: Table | None = None
    _answers: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    _runs: pd.DataFrame | None = field(default=None, repr=False)
    _items: pd.DataFrame | None = field(default=None, repr=False)
    _rows: "tuple[int, ...]" = field(default=(), repr=False)

    @property
    def answers(self) -> pd.DataFrame:
        """One row per answer or pattern of answers, with the dictionary's columns."""
        return self._answers.copy()

    @property
    def runs(self) -> pd.DataFrame | None:
        """Benchmark runs, or None."""
        return None if self._runs is None else self._runs.copy()

    @property
    def items(self) -> pd.DataFrame | None:
        """The item table, or None."""
        return None if self._items is None else self._items.copy()

    @property
    def rows(self) -> tuple[int, ...]:
        """The row of the trial's file that each answer stands in, counted from 1 below the header."""
        return self._rows

    def column(self, role: str) -> str | None:
        """Name of the trial column with this role."""
        if role == "arm":
            return arm_column(self.table, self.design)
        found = self.table.by_role(role)
        return found[0].name if found else None

    def canonical(self, name: str) -> str:
        """A system by the one name that its spellings share: as the design names it, where it is under test."""
        arm = self.column("arm") or "arm"
        wanted = canonical_name(name, self.table, self.runs_table, arm)
        tested = (one.tested for one in self.design.arms)
        return next((one for one in tested if canonical_name(one, self.table, self.runs_table, arm) == wanted), wanted)

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
    >>> from rctgap.design import Design
    >>> from rctgap.trial import read_trial
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
    design = _canonical_design(design, tables["trial"], arm)
    margins = compare_margins(answers, tables["trial"], arm)
    if "benchmark" in clean:
        margins += compare_margins(clean["benchmark"], tables["benchmark"])
    kept, steps = _exclude(answers, tables["trial"], exclude, arm, label)
    _check_design(kept, tables["trial"], design, arm, label)
    return TrialData(
        design,
        tables["trial"],
        tables.get("benchmark"),
        steps,
        margins,
        sources,
        tables.get("items"),
        kept.reset_index(drop=True),
        clean.get("benchmark"),
        clean.get("items"),
        tuple(int(row) + 1 for row in kept.index),
    )


def canonical_name(name: str, table: Table, runs: Table | None, arm: str) -> str:
    """The one name of a system or arm that its declared spellings share: the arm's label, if it is an arm's."""
    systems = [*(runs.by_role("system") if runs else ()), *table.by_role("system")]
    for known in (*systems, table.field(arm)):
        if name in known.spellings:
            name = known.label_of(name)
    return name


def _canonical_design(design: Design, table: Table, arm: str) -> Design:
    """The design with every arm by its label."""

    def label(name: str) -> str:
        known = table.field(arm)
        return known.label_of(name) if name in known.spellings else name

    arms = [
        Arm(
            label(one.label),
            one.system,
            tuple(replace(loan, arm=label(loan.arm)) for loan in one.borrowed),
        )
        for one in design.arms
    ]
    return replace(design, control=None if design.control is None else label(design.control), ai=arms)


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
    return frame, tuple(steps)


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
