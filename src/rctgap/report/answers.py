"""The flow of answers from stage to stage, and what people did with what the AI said."""

from itertools import pairwise

from rctgap.records import ComponentRow
from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.columns import for_arms
from rctgap.report.words import arm_name, counted, figure, intervals_name, quantity, shown_arms, span
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK

__all__ = ["NAMES", "flows_section", "uptake_section"]

NAMES = {
    "uptake": "uptake: right in the end, where the stage before was right",
    "self_rescue": "self-rescue: right in the end, where the stage before was wrong",
}


def flows_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section:
    """Answers lost and gained at each paired step."""
    names = result.settings.stages
    rows = [
        _flow_cells(result, start, result.row(to, arm)) for arm in shown_arms(result) for start, to in pairwise(names)
    ]
    table = Table(
        "Right answers lost, and wrong answers put right, at each step",
        ("arm", "step", "lost", "lost, %", "put right", "put right, %", "net loss, points", "note"),
        tuple(rows),
        heads=2,
        numbers=frozenset({2, 3, 4, 5, 6}),
        wide=frozenset({7}),
    )
    return Section("The flow of answers", (*pictures, for_arms(table, result)))


def _flow_cells(result: GapDecomposition, start: str, row: ComponentRow) -> tuple[str, ...]:
    step = f"{quantity(start)} to {quantity(row.quantity)}"
    lost, gained = (counted(row.lost_count), figure(row.lost)), (counted(row.gained_count), figure(row.gained))
    return (arm_name(result, row.arm), step, *lost, *gained, figure(row.estimate), row.note or BLANK)


def uptake_section(result: GapDecomposition) -> Section:
    """Uptake and self-rescue, with what they do not show."""
    rows = [row for arm in shown_arms(result) for row in result.main() if row.arm == arm and row.kind == "conditional"]
    table = Table(
        "Right final answers, given the stage before",
        ("arm", "quantity", "%", intervals_name(result), "n", "note"),
        tuple(
            (
                arm_name(result, row.arm),
                NAMES.get(row.quantity, quantity(row.quantity)),
                figure(row.estimate),
                span(row.lower, row.upper),
                counted(row.n),
                row.note or BLANK,
            )
            for row in rows
        ),
        heads=2,
        numbers=frozenset({2, 3, 4}),
        wide=frozenset({5}),
    )
    caution = (
        "These describe what was observed. Reading uptake as an effect of what the AI said needs that nothing "
        "unmeasured moved both of them."
    )
    return Section("Uptake and self-rescue", (for_arms(table, result), Paragraph(caution)))
