"""Validates a frame against its table: one canonical frame, or one error with every fault."""

import datetime as dt
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pandera.pandas as pa
from numpy.typing import NDArray
from pandera.config import ValidationDepth, config_context

from rctgap.casting import Cast, Column, as_text, cast, full_match
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.fields import Field, Table, text_of
from rctgap.lookups import dangling, unreachable

__all__ = ["validate"]

WITHHELD = "(withheld)"
_SHOWN = 120


def validate(
    frame: pd.DataFrame, table: Table, *, name: str, others: Mapping[str, pd.DataFrame] | None = None
) -> pd.DataFrame:
    """Check a raw frame against its table and return it in canonical form.

    Every field of the table must be a column. Columns that the table does not describe
    are left out. Text is compared exactly: blanks around a value are not removed.

    Parameters
    ----------
    frame : DataFrame, shape (n, any)
        Text cells, typed columns, or both; never modified.
    table : Table
        Its description.
    name : str
        The file or table, named in faults.
    others : mapping of str to DataFrame, optional
        Tables that foreign keys point to, by name in the dictionary, raw or validated.
        Keys to tables that are not given are not checked.

    Returns
    -------
    DataFrame, shape (n, fields)
        The table's fields in order, index 0 to n - 1, missing codes as NA. Dtypes are
        string, Int64 (integer, year), Float64, boolean, datetime64[us] (date) and
        datetime64[us, UTC] (datetime; without a zone, UTC). A field with levels holds
        labels as string, unless its role is a number: then it holds the values.

    Raises
    ------
    DataError
        All faults, each with column, row (from 1 below the header) and value; values of
        sensitive fields and texts are withheld.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.dictionary import implied_table
    >>> from rctgap.validation import validate
    >>> frame = pd.DataFrame({"arm": ["a1", "control"], "score": ["1", ""]})
    >>> validate(frame, implied_table(frame.columns), name="trial")["score"].isna().tolist()
    [False, True]
    """
    if not frame.columns.is_unique or frame.columns.nlevels > 1:
        raise DataError(Fault("two columns have the same name", "Name each column once, in one header row", name))
    raw = {field.name: _raw(frame, field) for field in table.fields if field.name in frame.columns}
    casts = {field.name: _cast(table, field, raw[field.name]) for field in table.fields if field.name in raw}
    clean = pd.DataFrame({key: found.printed for key, found in casts.items()}, index=range(len(frame)))
    findings = [*_uncast(table, casts), *_broken(table, casts)]
    findings += _dangling(table, frame, clean, others or {})
    faults = [*_absent(table, frame, name), *_faults(_hinted(table, findings, raw), raw, name)]
    faults += unreachable(table, others or {}, name)
    if faults:
        raise DataError(*faults)
    return clean


@dataclass(frozen=True, slots=True)
class _Rule:
    """One requirement on one field or several; `trims` where blanks around a value could be why it fails."""

    fields: tuple[Field, ...]
    what: str
    allowed: str | Callable[[str], str]
    trims: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields."""
        return tuple(field.name for field in self.fields)


type _Finding = tuple[_Rule, NDArray[np.int64]]  # what is broken, and the rows, from 0, that break it


def _raw(frame: pd.DataFrame, field: Field) -> Column:
    return frame[field.name].reset_index(drop=True)


def _cast(table: Table, field: Field, raw: Column) -> Cast:
    return cast(field, [code.value for code in table.missing(field)], raw)


def _uncast(table: Table, casts: Mapping[str, Cast]) -> Iterator[_Finding]:
    for field in table.fields:
        if field.name in casts:
            yield _Rule((field,), *_expected(field), trims=True), np.flatnonzero(casts[field.name].faulty)


def _expected(field: Field) -> tuple[str, str | Callable[[str], str]]:
    if field.levels:
        return "this is no level of the field", _remembered(lambda text: nearest(text, field.spellings))
    what, allowed = _EXPECTED.get(field.kind, _EXPECTED["any"])
    if field.kind == "boolean":
        return what, f"Allowed: {', '.join((*field.true_values, *field.false_values))}"
    return what, allowed if field.format == "default" else f"Write it as {field.format}"


_EXPECTED: Mapping[str, tuple[str, str]] = {
    "boolean": ("this is not true or false", ""),
    "integer": ("this is not an integer", "Write digits only; absent values need a missing code"),
    "number": (
        "this is not a finite number",
        "Write digits and the declared decimal mark; absent values need a missing code",
    ),
    "date": ("this is not a date", "Write YYYY-MM-DD, or declare a `format`"),
    "datetime": ("this is not a time", "Write YYYY-MM-DDThh:mm:ssZ, or declare a `format`"),
    "year": ("this is not a year", "Write four digits"),
    "any": ("this is not a single value", "Give text, a number, a date, true or false"),
}


def _remembered(spell: Callable[[str], str]) -> Callable[[str], str]:
    known: dict[str, str] = {}

    def recall(text: str) -> str:
        if text not in known:
            known[text] = spell(text)
        return known[text]

    return recall


type _Check = tuple[_Rule, pa.Check]


def _broken(table: Table, casts: Mapping[str, Cast]) -> Iterator[_Finding]:
    """Find all rows that break a constraint, by one lazy schema; cells already faulty are not named again."""
    fields = [field for field in table.fields if field.name in casts]
    rules: dict[str, _Rule] = {}
    columns = {}
    for field in fields:
        checks = [_named(rules, rule, check) for rule, check in _limits(field)]
        columns[field.name] = pa.Column(None, checks, nullable=not _required(table, field))
        rules[f"{field.name}/not_nullable"] = _Rule((field,), "the value is missing", "Every row needs one")
    across = [_named(rules, rule, check) for rule, check in _across(table, fields)]
    schema = pa.DataFrameSchema(columns, checks=across)
    typed = pd.DataFrame({name: found.typed for name, found in casts.items()})
    try:
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
            schema.validate(typed, lazy=True)
    except pandera.errors.SchemaErrors as failed:
        yield from _rows(failed.failure_cases, rules, casts)


def _named(rules: dict[str, _Rule], rule: _Rule, check: pa.Check) -> pa.Check:
    check.error = str(len(rules))
    rules[check.error] = rule
    return check


def _rows(cases: pd.DataFrame, rules: Mapping[str, _Rule], casts: Mapping[str, Cast]) -> Iterator[_Finding]:
    blank = cases["check"] == "not_nullable"
    keys = cases["check"].where(~blank, cases["column"].astype("string") + "/not_nullable")
    for key, rows in cases["index"].groupby(keys, sort=False):
        rule = rules[str(key)]
        named = np.unique(rows.to_numpy(dtype="int64"))
        faulty = np.logical_or.reduce([casts[field.name].faulty[named] for field in rule.fields])
        yield rule, named[~faulty]


def _required(table: Table, field: Field) -> bool:
    return field.constraints.required or field.name in table.primary_key or field.role == "count"


def _limits(field: Field) -> Iterator[_Check]:
    limits = field.constraints.given
    bounds: Mapping[str, tuple[Callable[[Any], pa.Check], str, str]] = {
        "minimum": (pa.Check.ge, "below the minimum", "At least"),
        "maximum": (pa.Check.le, "above the maximum", "At most"),
        "exclusiveMinimum": (pa.Check.gt, "not above the minimum", "Above"),
        "exclusiveMaximum": (pa.Check.lt, "not below the maximum", "Below"),
    }
    for key, (make, what, allowed) in bounds.items():
        if key in limits:
            rule = _Rule((field,), f"the value is {what}", f"{allowed} {text_of(limits[key])}")
            yield rule, make(_typed(field, limits[key]))
    if field.constraints.unique:
        rule = _Rule((field,), "the value repeats an earlier row's", "Each value occurs once")
        yield rule, pa.Check(lambda column: ~column.duplicated())
    yield from _spelling(field)
    yield from _role(field)


def _spelling(field: Field) -> Iterator[_Check]:
    limits = field.constraints
    if limits.enum is not None:
        rule = _Rule(
            (field,), "the value is not listed", f"Allowed: {', '.join(map(text_of, limits.enum))}", trims=True
        )
        yield rule, pa.Check.isin([_typed(field, value) for value in limits.enum])
    if (pattern := limits.pattern) is not None:
        rule = _Rule(
            (field,), "the value does not match the pattern", f"The whole value must match {pattern}", trims=True
        )
        yield rule, pa.Check(lambda text: pd.Series(full_match(text, pattern), index=text.index))
    if (least := limits.min_length) is not None:
        rule = _Rule((field,), "the text is too short", f"At least {least} characters")
        yield rule, pa.Check(lambda text: text.str.len() >= least)
    if (most := limits.max_length) is not None:
        rule = _Rule((field,), "the text is too long", f"At most {most} characters", trims=True)
        yield rule, pa.Check(lambda text: text.str.len() <= most)


def _role(field: Field) -> Iterator[_Check]:
    match field.role:
        case "score" | "used" if field.kind != "boolean" and not _inside_unit(field):
            yield _Rule((field,), f"a {field.role} lies in [0, 1]", "Rescale the column"), pa.Check.in_range(0, 1)
        case "count" | "successes" | "trials":
            yield _Rule((field,), "a number of answers is negative", "Zero or more"), pa.Check.ge(0)
        case "label_probability":
            rule = _Rule((field,), "a probability lies in (0, 1]", "Give each row's chance to be labelled")
            yield rule, pa.Check.in_range(0, 1, include_min=False)


def _inside_unit(field: Field) -> bool:
    """Whether the field's own limits keep it in [0, 1], so that a fault is not told twice."""
    limits = field.constraints.given
    least, most = limits.get("minimum"), limits.get("maximum")
    return least is not None and most is not None and float(least) >= 0 and float(most) <= 1


def _typed(field: Field, bound: Any) -> Any:
    """Cast a bound, or an entry of an enum, as its column was cast."""
    if field.levels:
        return cast(field, (), pd.Series([text_of(bound)], dtype="string")).typed.iloc[0]
    return cast(field, (), pd.Series([pd.Timestamp(bound) if isinstance(bound, dt.date) else bound])).typed.iloc[0]


def _across(table: Table, fields: Sequence[Field]) -> Iterator[_Check]:
    """Require what binds several fields of a row."""
    known = {field.name: field for field in fields}
    for key in (table.primary_key, *table.unique_keys):
        if key and all(name in known for name in key):
            rule = _Rule(tuple(known[name] for name in key), "the key repeats an earlier row's", "Each key occurs once")
            yield rule, _frame_check(_first_of(key))
    for won in (field for field in fields if field.role == "successes"):
        for tried in (field for field in fields if field.role == "trials" and field.stage == won.stage):
            rule = _Rule((won, tried), "there are more successes than trials", f"At most {tried.name}")
            yield rule, _frame_check(_within(won.name, tried.name))
            rule = _Rule((won, tried), "successes and trials are not both given", "Give both, or neither")
            yield rule, _frame_check(_together(won.name, tried.name))


def _frame_check(good: Callable[[pd.DataFrame], Column]) -> pa.Check:
    return pa.Check(good, ignore_na=False)


def _first_of(key: tuple[str, ...]) -> Callable[[pd.DataFrame], Column]:
    names = list(key)
    return lambda frame: ~frame.duplicated(names) | frame[names].isna().any(axis=1)


def _within(won: str, tried: str) -> Callable[[pd.DataFrame], Column]:
    return lambda frame: (frame[won] <= frame[tried]).fillna(True).astype(bool)


def _together(won: str, tried: str) -> Callable[[pd.DataFrame], Column]:
    return lambda frame: frame[won].isna() == frame[tried].isna()


def _dangling(
    table: Table, raw: pd.DataFrame, clean: pd.DataFrame, others: Mapping[str, pd.DataFrame]
) -> Iterator[_Finding]:
    for key in table.foreign_keys:
        target = others.get(key.reference.resource) if key.reference.resource else raw
        if target is not None and set(key.fields) <= set(clean.columns):
            there = key.reference.resource or "this table"
            fields = tuple(table.field(name) for name in key.fields)
            rule = _Rule(fields, f"no row of {there} has this key", "Correct the value, or add the row there")
            lost = dangling(table, key, clean, target)
            bare = clean.loc[lost, list(key.fields)].apply(lambda column: as_text(column).str.strip())
            still = np.isin(np.arange(len(lost)), dangling(table, key, bare, target))
            yield from ((rule, lost[still]), (_blanks(fields), lost[~still]))


def _blanks(fields: tuple[Field, ...]) -> _Rule:
    return _Rule(fields, "there are blanks around the value", "Remove them: without, it would be right")


def _absent(table: Table, frame: pd.DataFrame, name: str) -> Iterator[Fault]:
    spare = [str(column) for column in frame.columns if column not in table.names]
    for field in table.fields:
        if field.name not in frame.columns:
            guess = difflib.get_close_matches(field.name, spare, n=1, cutoff=0.6)
            mend = (
                f"Did you mean {guess[0]!r}, a column that the dictionary lacks?"
                if guess
                else "Add it, or drop the field"
            )
            yield Fault("the column is missing", mend, name, field.name)


def _hinted(table: Table, findings: Sequence[_Finding], raw: Mapping[str, Column]) -> Iterator[_Finding]:
    """Say of every value that would be right without the blanks around it that this is so, once."""
    mended: dict[tuple[str, ...], NDArray[np.int64]] = {}
    for field in table.fields:
        wrong = [rows for rule, rows in findings if rule.trims and rule.names == (field.name,)]
        if wrong:
            found = _right_without_blanks(table, field, raw[field.name], np.unique(np.concatenate(wrong)))
            mended[(field.name,)] = found
            yield _blanks((field,)), found
    for rule, rows in findings:
        yield rule, rows[~np.isin(rows, mended[rule.names])] if rule.trims else rows


def _right_without_blanks(table: Table, field: Field, raw: Column, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    text = as_text(raw.iloc[rows])
    bare = text.str.strip()
    changed = bare[(bare != text).fillna(False)]
    alone = {field.name: _cast(table, field, changed.reset_index(drop=True))}
    findings = (*_uncast(table, alone), *_broken(table, alone))
    wrong = [rows for rule, rows in findings if rule.trims]
    return np.delete(changed.index.to_numpy(dtype="int64"), np.unique(np.concatenate(wrong)))


def _faults(findings: Iterable[_Finding], raw: Mapping[str, Column], name: str) -> Iterator[Fault]:
    """Order the faults by column, as the table has them, then by row."""
    places = {column: place for place, column in enumerate(raw)}
    found: list[tuple[int, int, Fault]] = []
    for rule, rows in findings:
        for row, shown in zip(rows.tolist(), _shown(rule, rows, raw), strict=True):
            allowed = rule.allowed if isinstance(rule.allowed, str) else rule.allowed(shown or "")
            fault = Fault(rule.what, allowed, name, ", ".join(rule.names), row + 1, shown)
            found.append((places[rule.names[0]], row, fault))
    yield from (fault for _, _, fault in sorted(found, key=lambda entry: entry[:2]))


def _shown(rule: _Rule, rows: NDArray[np.int64], raw: Mapping[str, Column]) -> Sequence[str | None]:
    """Spell the values of some rows as they were given, unless they are withheld."""
    if any(field.withheld for field in rule.fields):
        return [WITHHELD] * len(rows)
    columns = [as_text(raw[name].iloc[rows]).fillna("").tolist() for name in rule.names]
    return [", ".join(cells)[:_SHOWN] or None for cells in zip(*columns, strict=True)]
