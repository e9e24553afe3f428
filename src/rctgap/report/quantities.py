"""Stages, effects, components and shares as tables."""

from collections.abc import Sequence

from rctgap.records import ComponentRow, EffectRow, ShareRow, StageRow
from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.columns import for_arms, without_blanks
from rctgap.report.headline import INTERVALS
from rctgap.report.words import (
    arm_name,
    counted,
    estimand_name,
    figure,
    intervals_name,
    listed,
    measured,
    quantity,
    ratio,
    short,
    shown_arms,
    signed,
    span,
)
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK

__all__ = ["components_section", "effect_name", "effects_section", "shares_section", "stages_section"]

PARTS = ("component", "family", "gap")


def _rows(result: GapDecomposition, kinds: Sequence[str]) -> list[ComponentRow]:
    arms = shown_arms(result)
    return [row for arm in arms for row in result.main() if row.arm == arm and row.kind in kinds]


def stages_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section:
    """The ladder and the numbers behind it."""
    labels = (*shown_arms(result), result.settings.control)
    rows = [row for label in labels for row in result.stages if row.arm == label]
    table = Table(
        "Share of right answers at each stage",
        ("arm", "stage", "system", "right, %", intervals_name(result), "interval kind", "n", "note"),
        tuple(_stage_cells(result, row) for row in rows),
        heads=2,
        numbers=frozenset({3, 4, 6}),
        wide=frozenset({7}),
    )
    names = result.settings.stages
    return Section(f"From {quantity(names[0])} to {quantity(names[-1])}", (*pictures, without_blanks(table)))


def _stage_cells(result: GapDecomposition, row: StageRow) -> tuple[str, ...]:
    kind = INTERVALS.get(row.interval, row.interval) or BLANK
    ends = span(row.lower, row.upper)
    names = (arm_name(result, row.arm), quantity(row.stage), row.system or BLANK)
    return (*names, figure(row.estimate), ends, kind, counted(row.n), row.note or BLANK)


def effects_section(result: GapDecomposition) -> Section:
    """Predicted and realized effects in points, and the realized one as ratios."""
    arms = shown_arms(result)
    points = Table(
        "Difference from the control arm, in percentage points",
        ("arm", "effect", "points", intervals_name(result), "assumes", "note"),
        tuple(_effect_cells(result, row) for row in _rows(result, ("effect",))),
        heads=2,
        numbers=frozenset({2, 3}),
        wide=frozenset({4, 5}),
    )
    chosen = (result.settings.items, result.settings.item_weights)
    found = [
        row for arm in arms for row in result.effects if row.arm == arm and (row.items, row.item_weights) == chosen
    ]
    blocks: list[Block] = [for_arms(points, result)]
    if found:
        ratios = Table(
            "The realized effect as ratios (only differences are decomposed)",
            ("arm", "ratio", "estimate", intervals_name(result), "note"),
            tuple(_ratio_cells(result, row) for row in found),
            heads=2,
            numbers=frozenset({2, 3}),
            wide=frozenset({4}),
        )
        blocks.append(for_arms(ratios, result))
    return Section("Effects against the control arm", tuple(blocks))


def _effect_cells(result: GapDecomposition, row: ComponentRow) -> tuple[str, ...]:
    ends = BLANK if row.lower is None or row.upper is None else f"{signed(row.lower)} to {signed(row.upper)}"
    name = (arm_name(result, row.arm), effect_name(row.quantity))
    return (*name, signed(row.estimate), ends, listed(row.assumption_ids), row.note or BLANK)


def effect_name(name: str) -> str:
    """An effect as words."""
    after = name.removeprefix("predicted_effect_after_")
    if after != name:
        return f"predicted after {quantity(after)}"
    return {"predicted_effect": "predicted by the first stage", "realized_effect": "realized"}.get(name, quantity(name))


def _ratio_cells(result: GapDecomposition, row: EffectRow) -> tuple[str, ...]:
    ends = BLANK if row.lower is None or row.upper is None else f"{ratio(row.lower)} to {ratio(row.upper)}"
    return (arm_name(result, row.arm), quantity(row.quantity), ratio(row.estimate), ends, row.note or BLANK)


def components_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section:
    """The forest, the components, and the same under the other estimands."""
    header = ("arm", "quantity", "family", "points", intervals_name(result), "simultaneous", "df", "n", "clusters")
    main = Table(
        "Points lost at each step; a negative number is a gain",
        (*header, "assumptions", "note"),
        tuple(_component_cells(result, row) for row in _rows(result, PARTS)),
        heads=2,
        numbers=frozenset({3, 4, 5, 6, 7, 8}),
        wide=frozenset({9, 10}),
    )
    blocks: list[Block] = [*pictures, for_arms(main, result), *_beside(result)]
    blocks.append(
        Paragraph(
            "Intervals are for one row at a time; the simultaneous ones cover all steps of an arm together. "
            "The item mix row is the part of the gap that comes from stages measured on different mixes of items."
        )
    )
    return Section("Where the points go", tuple(blocks))


def _component_cells(result: GapDecomposition, row: ComponentRow) -> tuple[str, ...]:
    names = (arm_name(result, row.arm), quantity(row.quantity), row.family or BLANK)
    figures = (figure(row.estimate), span(row.lower, row.upper), span(row.simultaneous_lower, row.simultaneous_upper))
    return (*names, *figures, short(row.df), counted(row.n), counted(row.clusters), *_end_cells(row))


def _end_cells(row: ComponentRow) -> tuple[str, str]:
    return listed(row.assumption_ids), row.note or BLANK


def _beside(result: GapDecomposition) -> list[Table]:
    """Components under every estimand at hand, side by side; nothing where there is one."""
    parts = [row for row in result.components if row.kind in PARTS]
    estimands = tuple(dict.fromkeys((row.items, row.item_weights) for row in parts))
    if len(estimands) == 1:
        return []
    found = {(row.arm, row.quantity, row.items, row.item_weights): row for row in reversed(parts)}
    cells = []
    for arm in shown_arms(result):
        for name in dict.fromkeys(row.quantity for row in parts):
            rows = [found.get((arm, name, *estimand)) for estimand in estimands]
            told = tuple(measured(row.estimate, row.lower, row.upper) if row else BLANK for row in rows)
            cells.append((arm_name(result, arm), quantity(name), *told))
    header = ("arm", "quantity", *(estimand_name(*estimand) for estimand in estimands))
    numbers = frozenset(range(2, len(header)))
    caption = "The same under each estimand: points lost, with interval"
    return [for_arms(Table(caption, header, tuple(cells), heads=2, numbers=numbers), result)]


def shares_section(result: GapDecomposition) -> Section:
    """Shares of the gap with their confidence or credible sets."""
    chosen = (result.settings.items, result.settings.item_weights)
    rows = [
        row
        for arm in shown_arms(result)
        for row in result.shares
        if row.arm == arm and (row.items, row.item_weights, row.estimator) == (*chosen, result.settings.estimator)
    ]
    table = Table(
        "Share of the gap, %",
        (
            "arm",
            "part",
            "share, %",
            _set_name(result, rows),
            "method",
            "denominator",
            "note",
        ),
        tuple(_share_cells(result, row) for row in rows),
        heads=2,
        numbers=frozenset({2}),
        wide=frozenset({3, 6}),
    )
    return Section("Shares of the gap", (for_arms(table, result),))


def _set_name(result: GapDecomposition, rows: Sequence[ShareRow]) -> str:
    kind = "credible" if any(row.method == "posterior" for row in rows) else "confidence"
    return f"{100 * result.settings.level:g} % {kind} set"


def _share_cells(result: GapDecomposition, row: ShareRow) -> tuple[str, ...]:
    names = (arm_name(result, row.arm), quantity(row.quantity))
    return (*names, figure(row.estimate), share_set(row), row.method or BLANK, row.denominator, row.note or BLANK)


def share_set(row: ShareRow) -> str:
    """A set for a share in words: an interval, two rays, or the whole line."""
    if row.set_type == "unbounded":
        return "any value: the data do not bound this share"
    if row.lower is None or row.upper is None:
        return BLANK
    if row.set_type == "exclusive":
        low, high = sorted((row.lower, row.upper))
        return f"all values up to {figure(low)}, and all from {figure(high)} on"
    return span(row.lower, row.upper)
