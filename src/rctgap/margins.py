"""Published figures that a dictionary declares, compared with the data; a swap of labels that fits better is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from rctgap.dictionary import Margin, Table
from rctgap.lookups import rows_where

__all__ = ["MarginComparison", "compare_margins"]


@dataclass(frozen=True, slots=True)
class MarginComparison:
    """A declared margin beside what the rows under its label give, and the label whose margins fit those rows."""

    label: tuple[tuple[str, str], ...]
    item: str
    column: str
    source: str
    declared: str
    found: str
    agrees: bool
    fits: str = ""
    fit_detail: str = ""
    counts: tuple[float, ...] = ()


def compare_margins(frame: pd.DataFrame, table: Table, arm: str | None = None) -> tuple[MarginComparison, ...]:
    """Compare every declared margin with the rows it describes.

    Labels that no row carries are left out, but their margins are candidates when the rows
    of another label do not fit their own.

    Parameters
    ----------
    frame : DataFrame
        Validated rows.
    table : Table
        Their description, with `margins`.
    arm : str, optional
        The arm column that the analysis goes by; margins on another arm column are left out.
    """
    weight = _weights(frame, table)
    other = {field.name for field in table.by_role("arm")} - {arm}
    groups = {label: margins for label, margins in _by_label(table).items() if not other & {name for name, _ in label}}
    found: list[MarginComparison] = []
    for label, margins in groups.items():
        rows = rows_where(frame, table, dict(label))
        if not rows.any():
            continue
        misses = [margin for margin in margins if not _agrees(margin, *_observed(frame, table, weight, margin))]
        fits, detail = _better(frame, table, weight, label, groups) if misses else ("", "")
        for margin in margins:
            n, mean = _observed(frame, table, weight, margin)
            agrees = margin not in misses
            items = [value for column, value in _where(margin, table) if column in _item_columns(table)]
            found.append(
                MarginComparison(
                    label,
                    ", ".join(items),
                    margin.column or "",
                    margin.source,
                    _declared(margin),
                    _figures(n, mean, margin),
                    agrees,
                    "" if agrees else fits,
                    "" if agrees else detail,
                    (n,) if margin.column is None or not n else (n, n * mean, n - n * mean),
                )
            )
    return tuple(found)


def _weights(frame: pd.DataFrame, table: Table) -> "pd.Series[float]":
    count = table.by_role("count")
    return frame[count[0].name].astype("float64") if count else pd.Series(1.0, index=frame.index)


type _Label = tuple[tuple[str, str], ...]


def _by_label(table: Table) -> Mapping[_Label, Sequence[Margin]]:
    """Margins grouped by the arm-like part of `where`: all of it but the item."""
    groups: dict[_Label, list[Margin]] = {}
    for margin in table.margins:
        key = tuple((c, v) for c, v in _where(margin, table) if c not in _item_columns(table))
        groups.setdefault(key, []).append(margin)
    return groups


def _item_columns(table: Table) -> set[str]:
    return {field.name for field in table.by_role("item")}


def _where(margin: Margin, table: Table) -> _Label:
    return tuple((column, str(table.field(column).label_of(value))) for column, value in margin.where.items())


def _observed(
    frame: pd.DataFrame, table: Table, weight: "pd.Series[float]", margin: Margin, label: _Label | None = None
) -> tuple[float, float]:
    where = dict(_where(margin, table))
    if label is not None:
        items = {c: v for c, v in where.items() if c in _item_columns(table)}
        where = dict(label) | items
    rows = rows_where(frame, table, where)
    if margin.column is None:
        return float(weight[rows].sum()), float("nan")
    rows &= frame[margin.column].notna()
    n = float(weight[rows].sum())
    total = float((weight[rows] * frame.loc[rows, margin.column].astype("float64")).sum())
    return n, total / n if n else float("nan")


def _agrees(margin: Margin, n: float, mean: float) -> bool:
    if margin.n is not None and round(n) != margin.n:
        return False
    if margin.value is None:
        return True
    half = 0.5 * 10.0 ** -(margin.decimals or 0)
    return bool(abs(mean - margin.value) <= half + 1e-9)


def _better(
    frame: pd.DataFrame,
    table: Table,
    weight: "pd.Series[float]",
    label: _Label,
    groups: Mapping[_Label, Sequence[Margin]],
) -> tuple[str, str]:
    """The other label, of the same columns, whose margins these rows meet best, where it is better than their own."""
    scores: dict[_Label, float] = {}
    tallies: dict[_Label, tuple[int, int]] = {}
    for other, margins in groups.items():
        if [column for column, _ in other] != [column for column, _ in label]:
            continue
        met = sum(_agrees(margin, *_observed(frame, table, weight, margin, label)) for margin in margins)
        scores[other] = met / len(margins)
        tallies[other] = (met, len(margins))
    best = max(scores, key=lambda key: scores[key])
    if best == label or scores[best] <= scores[label]:
        return "", ""
    met, of = tallies[best]
    own_met, own_of = tallies[label]
    name = ", ".join(value for _, value in best)
    return name, f"{met} of {of} of its margins are met, against {own_met} of {own_of} of their own label's"


def _declared(margin: Margin) -> str:
    parts = []
    if margin.value is not None:
        parts.append(f"{margin.value:.{margin.decimals or 0}f}")
    if margin.n is not None:
        parts.append(f"n = {margin.n}")
    return ", ".join(parts)


def _figures(n: float, mean: float, margin: Margin) -> str:
    parts = []
    if margin.value is not None:
        parts.append(f"{mean:.{(margin.decimals or 0) + 1}f} ({mean * n:.10g} of {n:.0f})" if n else "no row")
    else:
        parts.append(f"n = {n:.0f}")
    return ", ".join(parts)
