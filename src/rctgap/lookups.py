"""Finds rows of validated tables: those that hold given values, and those whose foreign key leads nowhere."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rctgap.casting import Column, as_text, cast
from rctgap.documents import nearest
from rctgap.errors import Fault
from rctgap.fields import ForeignKey, Table, text_of

__all__ = ["dangling", "rows_where", "unreachable"]


def rows_where(frame: pd.DataFrame, table: Table, where: Mapping[str, object]) -> "pd.Series[bool]":
    """Mark the rows of a validated frame that hold these values, given as value, label or alias.

    Parameters
    ----------
    frame : DataFrame, shape (n, fields)
        A frame from `validate`.
    table : Table
        Its description.
    where : mapping of str to value
        Field names and the value that each must have.

    Returns
    -------
    Series of bool, shape (n,)

    Raises
    ------
    DictionaryError
        The table has no such field.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.dictionary import implied_table
    >>> from rctgap.lookups import rows_where
    >>> from rctgap.validation import validate
    >>> table = implied_table(["arm", "used"])
    >>> frame = validate(pd.DataFrame({"arm": ["a1", "a1"], "used": ["1", "0"]}), table, name="trial")
    >>> rows_where(frame, table, {"used": 0}).tolist()
    [False, True]
    """
    hit = pd.Series(data=True, index=frame.index)
    for name, value in where.items():
        field = table.field(name)
        same = pd.Series(data=False, index=frame.index)
        wanted = cast(field, (), pd.Series([text_of(value)], dtype="string")).printed.iloc[0]
        for side in ((frame[name] == wanted) if wanted is not pd.NA else None, as_text(frame[name]) == text_of(value)):
            if side is not None:
                same |= side.fillna(False).astype(bool)
        hit &= same
    return hit


def dangling(table: Table, key: ForeignKey, clean: pd.DataFrame, target: pd.DataFrame) -> NDArray[np.int64]:
    """Find the rows, from 0, whose key occurs nowhere in the target; a key with a missing part points nowhere.

    Parameters
    ----------
    table : Table
        The table that holds the key.
    key : ForeignKey
        Its fields and those that they point to.
    clean : DataFrame, shape (n, fields)
        The validated rows.
    target : DataFrame, shape (m, any)
        The rows pointed to, raw or validated; values are compared as text, through the
        levels of the table's own fields.
    """
    if not set(key.reference.fields) <= set(target.columns):
        return np.empty(0, dtype="int64")
    own = _joined(as_text(clean[name]) for name in key.fields)
    there = _joined(
        as_text(target[column]).map(table.field(name).label_of, na_action="ignore").astype("string")
        for name, column in zip(key.fields, key.reference.fields, strict=True)
    )
    lost = own.notna() & ~own.isin(there.dropna().unique())
    return np.flatnonzero(lost.to_numpy(dtype=bool))


def _joined(columns: Iterable[Column]) -> Column:
    first, *rest = columns
    for column in rest:
        first = first.str.cat(column, sep="\x1f")
    return first


def unreachable(table: Table, others: Mapping[str, pd.DataFrame], name: str) -> Iterator[Fault]:
    """Yield a fault for every column that a foreign key points to and its table lacks."""
    for key in table.foreign_keys:
        target = others.get(key.reference.resource)
        known = [str(column) for column in target.columns] if target is not None else key.reference.fields
        for column in key.reference.fields:
            if column not in known:
                what = f"table {key.reference.resource} lacks the column {column!r} that this key points to"
                yield Fault(what, nearest(column, known), name, ", ".join(key.fields))
