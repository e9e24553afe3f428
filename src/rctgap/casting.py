"""Array functions from a raw column to its declared type; what cannot be cast is marked, never guessed."""

import datetime as dt
import decimal
import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rctgap.fields import LEXICAL, Field, text_of

__all__ = ["Cast", "as_text", "cast", "full_match"]

type Column = pd.Series[Any]
type Mask = NDArray[np.bool_]

_EXACT_INTEGERS = 2.0**53


@dataclass(frozen=True, slots=True)
class Cast:
    """A column of n rows in its declared type.

    Attributes
    ----------
    typed : Series, shape (n,)
        Nullable values; missing codes and faulty cells are NA.
    faulty : bool array, shape (n,)
        Cells that are not of the type, or no level.
    labels : Series, shape (n,), optional
        Labels of the levels, where these replace the values.
    """

    typed: Column
    faulty: Mask
    labels: Column | None = None

    @property
    def printed(self) -> Column:
        """What the validated frame holds."""
        return self.typed if self.labels is None else self.labels


def cast(field: Field, codes: Collection[str], raw: Column) -> Cast:
    """Cast a raw column to its field's kind.

    Parameters
    ----------
    field : Field
        Kind, levels, and how numbers, dates and booleans are written.
    codes : collection of str
        Missing codes.
    raw : Series, shape (n,)
        Text, or typed values, with index 0 to n - 1.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.casting import cast
    >>> from rctgap.fields import Field
    >>> found = cast(Field(name="age", type="integer"), {"NA"}, pd.Series(["31", "NA", "3.0"]))
    >>> found.typed.isna().tolist(), found.faulty.tolist()
    ([False, True, True], [False, False, True])
    """
    if field.levels:
        return _from_levels(field, codes, raw)
    stored = raw.dtype.kind
    if stored in "iuf" and field.kind in {"integer", "number", "year", "any"} and _fits(raw):
        return _from_numbers(field, codes, raw)
    if stored == "M" and field.kind in {"date", "datetime", "any"}:
        return _from_moments(field, raw)
    if stored == "b" and field.kind in {"boolean", "integer", "number", "any"}:
        return _from_booleans(field, raw)
    found = _from_text(field, codes, as_text(raw))
    return Cast(found.typed, found.faulty | _nested(raw))


def as_text(raw: Column) -> Column:
    """Spell every value as text; missing values stay missing.

    Parameters
    ----------
    raw : Series, shape (n,)
        Any dtype.

    Returns
    -------
    Series of string, shape (n,)
    """
    match raw.dtype.kind:
        case "i" | "u":
            return raw.astype("string")
        case "b":
            return raw.astype("string").str.lower()
        case "f":
            return _float_text(raw)
        case _ if isinstance(raw.dtype, pd.StringDtype):
            return raw.astype("string")
        case _:
            return pd.Series([_spelled(value) for value in raw.astype(object)], index=raw.index, dtype="string")


def full_match(text: Column, pattern: str) -> Mask:
    """Mark the values that a pattern matches from end to end, in linear time (RE2); missing values do not match."""
    found = pc.match_substring_regex(pa.array(text, type=pa.large_string(), from_pandas=True), rf"\A(?:{pattern})\z")
    return np.asarray(pc.fill_null(found, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def _float_text(raw: Column) -> Column:
    numbers = raw.to_numpy(dtype="float64", na_value=np.nan)
    whole = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) <= _EXACT_INTEGERS)
    integers = pd.Series(np.where(whole, numbers, 0).astype("int64"), index=raw.index).astype("string")
    if whole.all():
        return integers
    text = pd.Series(numbers, index=raw.index).astype("string").mask(np.isnan(numbers))
    return integers.where(whole, text)


def _spelled(value: Any) -> Any:
    if _is_nested(value):
        return ascii(value)
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return pd.NA
    return text_of(value.item() if isinstance(value, np.generic) else value)


def _is_nested(value: Any) -> bool:
    """Tell lists, mappings, bytes and broken text from single values."""
    if isinstance(value, str):
        return not value.isascii() and _SURROGATE.search(value) is not None
    single = int | float | dt.date | decimal.Decimal | np.generic
    return not (isinstance(value, single) or value is None or value is pd.NA or value is pd.NaT)


_SURROGATE = re.compile("[\ud800-\udfff]")


def _nested(raw: Column) -> Mask:
    if raw.dtype.kind != "O" or isinstance(raw.dtype, pd.StringDtype):
        return np.zeros(len(raw), dtype=bool)
    return np.fromiter((_is_nested(value) for value in raw.astype(object)), dtype=bool, count=len(raw))


def _from_levels(field: Field, codes: Collection[str], raw: Column) -> Cast:
    text = as_text(raw)
    text = text.mask(text.isin(list(codes)))
    stored = text.map({spelling: level.text for spelling, level in field.spellings.items()}).astype("string")
    found = _from_text(field, (), stored)
    faulty = found.faulty | (text.notna() & stored.isna()).to_numpy(dtype=bool)
    if field.measured:
        return Cast(found.typed, faulty)
    names = {spelling: level.name for spelling, level in field.spellings.items()}
    return Cast(found.typed, faulty, text.map(names).astype("string"))


def _fits(raw: Column) -> bool:
    return raw.dtype.kind != "u" or not bool((raw > np.iinfo("int64").max).any())


def _from_booleans(field: Field, raw: Column) -> Cast:
    """Take stored truth values as they are, or as 0 and 1 where a number is declared."""
    found: Column = raw.astype("boolean")
    if field.kind in {"integer", "number"}:
        found = found.astype("Int64")
    return Cast(found.astype("Float64") if field.kind == "number" else found, np.zeros(len(raw), dtype=bool))


def _from_numbers(field: Field, codes: Collection[str], raw: Column) -> Cast:
    whole = raw.dtype.kind != "f"
    numbers = raw.to_numpy(dtype="int64", na_value=0) if whole else raw.to_numpy(dtype="float64", na_value=np.nan)
    absent = raw.isna().to_numpy(dtype=bool) | np.isnan(numbers)
    absent |= np.isin(numbers, [float(code) for code in codes if re.fullmatch(LEXICAL["number"], code)])
    faulty = ~absent & np.isinf(numbers)
    if field.kind in {"integer", "year"}:
        if not whole:
            faulty |= ~absent & ((numbers != np.floor(numbers)) | (np.abs(numbers) > _EXACT_INTEGERS))
        if field.kind == "year":
            faulty |= ~absent & ((numbers < 0) | (numbers > 9999))  # noqa: PLR2004 - four digits
        whole = True
    elif field.kind == "number":
        whole = False
    return Cast(_masked(numbers, absent | faulty, raw.index, whole=whole), faulty)


def _masked(numbers: NDArray[Any], hidden: Mask, index: "pd.Index[Any]", *, whole: bool) -> Column:
    if whole:
        return pd.Series(pd.arrays.IntegerArray(np.where(hidden, 0, numbers).astype("int64"), hidden), index=index)
    return pd.Series(pd.arrays.FloatingArray(np.where(hidden, 0, numbers).astype("float64"), hidden), index=index)


def _from_moments(field: Field, raw: Column) -> Cast:
    zone = getattr(raw.dtype, "tz", None)
    moments = raw.dt.tz_convert("UTC") if zone is not None else raw.dt.tz_localize("UTC")
    moments = moments.astype("datetime64[us, UTC]")
    if field.kind != "date":
        return Cast(moments, np.zeros(len(raw), dtype=bool))
    local = raw.dt.tz_localize(None).astype("datetime64[us]")
    faulty = (local.notna() & (local != local.dt.normalize())).to_numpy(dtype=bool)
    return Cast(local.mask(faulty), faulty)


def _from_text(field: Field, codes: Collection[str], text: Column) -> Cast:
    text = text.mask(text.isin(list(codes)))
    match field.kind:
        case "integer" | "number" | "year":
            values = _numbers(field, text)
        case "date" | "datetime":
            values = _moments(field, text)
        case "boolean":
            spellings = dict.fromkeys(field.true_values, True) | dict.fromkeys(field.false_values, False)
            values = text.map(spellings).astype("boolean")
        case _:
            values = text
    return Cast(values, (text.notna() & values.isna()).to_numpy(dtype=bool))


def _numbers(field: Field, text: Column) -> Column:
    if field.group_char:
        text = text.str.replace(field.group_char, "", regex=False)
    if field.decimal_char != ".":
        text = text.str.replace(".", "?", regex=False).str.replace(field.decimal_char, ".", regex=False)
    matched = text.where(full_match(text, LEXICAL[field.kind]))
    if field.kind != "number":
        return pd.to_numeric(matched).astype("Int64")
    numbers = matched.astype("Float64")
    return numbers.mask(np.isinf(numbers.to_numpy(dtype="float64", na_value=0.0)))


def _moments(field: Field, text: Column) -> Column:
    form = field.format
    if form == "default":
        text = text.where(full_match(text, LEXICAL[field.kind]))
        form = "%Y-%m-%d" if field.kind == "date" else "ISO8601"
    zoned = pd.to_datetime(text, format=form, errors="coerce", utc=True).astype("datetime64[us, UTC]")
    return zoned.dt.tz_localize(None) if field.kind == "date" else zoned
