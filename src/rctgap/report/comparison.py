"""Several results side by side."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rctgap.decomposition import NOT_SHOWN
from rctgap.records import AssumptionRow, ComponentRow
from rctgap.report.blocks import Block, Notice, Table
from rctgap.report.columns import without_arms
from rctgap.report.headline import consented, stage_of
from rctgap.report.words import arm_name, measured, quantity, shown_arms, signed
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK

if TYPE_CHECKING:
    from rctgap.report.chapter import NamedResult

__all__ = ["comparison"]

STATUS = {"holds": "✓", "violated": "✗", "inconclusive": "?", "untested": BLANK, "not_testable": BLANK}


def comparison(named: Sequence["NamedResult"]) -> tuple[Block, ...]:
    """Results side by side, the checks that fail in words, and the gap under every estimand that the data allow."""
    blocks: list[Block] = [_side_by_side(named)]
    failed = _failures(named)
    if failed:
        blocks.append(Notice("Checks that fail", failed))
    blocks.append(_estimands(named))
    if any(one.result.assumptions for one in named):
        blocks.append(_statuses(named))
    return tuple(blocks)


def _statuses(named: Sequence["NamedResult"]) -> Table:
    """What each result's data say of each assumption of all arms together."""
    ids = dict.fromkeys(row.assumption_id for one in named for row in one.result.assumptions)
    status = {(one.name, row.assumption_id): row for one in named for row in one.result.assumptions}
    rows = tuple((name, *(_status(status.get((one.name, name))) for one in named)) for name in ids)
    caption = "The assumptions against their margins; (j) where a step speaks to several jointly"
    return Table(caption, ("assumption", *(one.name for one in named)), rows)


def _status(row: AssumptionRow | None) -> str:
    if row is None:
        return BLANK
    return f"{STATUS.get(row.status, BLANK)} {quantity(row.status)}{' (j)' if row.joint_with else ''}"


def _failures(named: Sequence["NamedResult"]) -> tuple[str, ...]:
    """Each failed check once, with the results that it fails in."""
    found: dict[str, list[str]] = {}
    for one in named:
        for check in one.result.checks:
            if check.status == "fail":
                found.setdefault(f"{quantity(check.check)}: {check.detail}", []).append(one.name)
    return tuple(f"{', '.join(names)}: {text}" for text, names in found.items())


def _estimands(named: Sequence["NamedResult"]) -> Table:
    """The gap with items fixed and random, at the observed and at a standardised mix, or why not."""
    columns = tuple(dict.fromkeys((row.items, row.item_weights) for one in named for row in one.result.components))
    rows = []
    for one in named:
        for arm in shown_arms(one.result):
            gaps = {(row.items, row.item_weights): row for row in one.result.components if _is_gap(row, arm)}
            cells = [_points(gaps.get(column)) if column in gaps else BLANK for column in columns]
            rows.append(
                (one.name, arm_name(one.result, arm), *cells, _why_not(one.result, gaps.values(), len(columns)))
            )
    header = ("result", "arm", *(f"items {items}, {weights} mix" for items, weights in columns), "why not")
    caption = "The gap in points: inference about these items or about their population, and at which mix of items"
    numbers = frozenset(range(2, 2 + len(columns)))
    table = Table(caption, header, tuple(rows), numbers=numbers, wide=frozenset({2 + len(columns)}))
    return without_arms(table) if all(len(one.result.settings.arms) == 1 for one in named) else table


def _is_gap(row: ComponentRow, arm: str) -> bool:
    return row.quantity == "gap" and row.arm == arm


def _why_not(result: GapDecomposition, gaps: Iterable[ComponentRow], columns: int) -> str:
    shown = list(gaps)
    reasons = [row.note for row in shown if row.lower is None]
    if len(shown) < columns:
        reasons += [note.partition(": ")[2].rstrip(".") for note in result.notes if note.startswith(NOT_SHOWN)]
    return "; ".join(dict.fromkeys(reasons)) or BLANK


def _side_by_side(named: Sequence["NamedResult"]) -> Table:
    """One row for each result and arm: both ends, the gap and its families, the effect, what stands against it."""
    levels = dict.fromkeys(f"{100 * one.result.settings.level:g} %" for one in named)
    families = tuple(
        dict.fromkeys(row.quantity for one in named for row in one.result.components if row.kind == "family")
    )
    first, last = (_common(named, end) for end in (0, -1))
    header = (
        "result",
        "arm",
        f"{first or 'first stage'}, %",
        f"{last or 'last stage'}, %",
        "gap",
        *families,
        "realized effect",
        "final",
        "checks",
    )
    bare = bool(first and last)
    rows = tuple(_cells(one, arm, families, bare=bare) for one in named for arm in shown_arms(one.result))
    caption = f"The results side by side: percent and points with {' or '.join(levels)} intervals"
    numbers = frozenset(range(2, 6 + len(families)))
    table = Table(caption, header, rows, numbers=numbers)
    return without_arms(table) if all(len(one.result.settings.arms) == 1 for one in named) else table


def _cells(named: "NamedResult", arm: str, families: tuple[str, ...], *, bare: bool) -> tuple[str, ...]:
    result = named.result
    rows = {row.quantity: row for row in result.main() if row.arm == arm}
    names = result.settings.stages
    parts = tuple(_points(rows.get(name)) for name in ("gap", *families))
    failed = sum(check.status == "fail" for check in result.checks)
    final = "no" if not result.final else "yes, by consent" if consented(result) else "yes"
    ends = tuple(_stage(result, arm, name, bare=bare) for name in (names[0], names[-1]))
    return (
        named.name,
        arm_name(result, arm),
        *ends,
        *parts,
        _effect(rows.get("realized_effect")),
        final,
        f"{failed} fail" if failed else "none fails",
    )


def _points(row: ComponentRow | None) -> str:
    return BLANK if row is None else measured(row.estimate, row.lower, row.upper)


def _effect(row: ComponentRow | None) -> str:
    if row is None or row.estimate is None:
        return BLANK
    if row.lower is None or row.upper is None:
        return f"{signed(row.estimate)} (no interval)"
    return f"{signed(row.estimate)} ({signed(row.lower)} to {signed(row.upper)})"


def _common(named: Sequence["NamedResult"], end: int) -> str:
    """The stage that all results begin or end with; empty where they differ."""
    names = {one.result.settings.stages[end] for one in named}
    return quantity(names.pop()) if len(names) == 1 else ""


def _stage(result: GapDecomposition, arm: str, stage: str, *, bare: bool) -> str:
    row = stage_of(result, arm, stage)
    told = BLANK if row is None else measured(row.estimate, row.lower, row.upper)
    return told if bare else f"{quantity(stage)} {told}"
