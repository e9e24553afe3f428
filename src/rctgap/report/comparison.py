"""Several results side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rctgap.report.blocks import Table
from rctgap.report.headline import stage_of
from rctgap.report.words import arm_name, listed, measured, quantity, shown_arms, signed
from rctgap.results import ComponentRow, GapDecomposition
from rctgap.tables import BLANK

if TYPE_CHECKING:
    from rctgap.report.chapter import NamedResult

__all__ = ["comparison"]


def comparison(named: Sequence["NamedResult"]) -> Table:
    """One row for each result and arm: both ends, the gap and its families, the effect, what stands against it."""
    levels = dict.fromkeys(f"{100 * one.result.settings.level:g} %" for one in named)
    families = tuple(
        dict.fromkeys(row.quantity for one in named for row in one.result.components if row.kind == "family")
    )
    header = (
        "result",
        "arm",
        "first stage, %",
        "last stage, %",
        "gap",
        *families,
        "realized effect",
        "final",
        "failed checks",
    )
    rows = tuple(_cells(one, arm, families) for one in named for arm in shown_arms(one.result))
    caption = f"The results side by side: percent and points with {' or '.join(levels)} intervals"
    numbers = frozenset(range(2, 6 + len(families)))
    return Table(caption, header, rows, numbers=numbers, wide=frozenset({len(header) - 1}))


def _cells(named: "NamedResult", arm: str, families: tuple[str, ...]) -> tuple[str, ...]:
    result = named.result
    rows = {row.quantity: row for row in result.main() if row.arm == arm}
    names = result.settings.stages
    parts = tuple(_points(rows.get(name)) for name in ("gap", *families))
    failed = "; ".join(quantity(check.check) for check in result.checks if check.status == "fail")
    final = "yes" if result.final else "no"
    ends = (_stage(result, arm, names[0]), _stage(result, arm, names[-1]))
    return (
        named.name,
        arm_name(result, arm),
        *ends,
        *parts,
        _effect(rows.get("realized_effect")),
        final,
        listed(failed),
    )


def _points(row: ComponentRow | None) -> str:
    return BLANK if row is None else measured(row.estimate, row.lower, row.upper)


def _effect(row: ComponentRow | None) -> str:
    if row is None or row.estimate is None:
        return BLANK
    if row.lower is None or row.upper is None:
        return f"{signed(row.estimate)} (no interval)"
    return f"{signed(row.estimate)} ({signed(row.lower)} to {signed(row.upper)})"


def _stage(result: GapDecomposition, arm: str, stage: str) -> str:
    row = stage_of(result, arm, stage)
    return BLANK if row is None else f"{quantity(stage)} {measured(row.estimate, row.lower, row.upper)}"
