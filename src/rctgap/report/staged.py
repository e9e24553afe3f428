"""The staged evaluation: verdicts, what each stage predicts, and which study comes next."""

from rctgap.report.blocks import Block, Bullets, Paragraph, Picture, Section, Table
from rctgap.report.columns import for_arms, without_blanks
from rctgap.report.words import arm_name, figure, listed, quantity, shown_arms, signed, span
from rctgap.results import GapDecomposition
from rctgap.staged_records import PredictionRow, StagedRow
from rctgap.tables import BLANK, chance, p_value

__all__ = ["staged_section"]

SIGNS = {"holds": "✓ holds", "violated": "✗ violated", "inconclusive": "? inconclusive"}


def staged_section(result: GapDecomposition, pictures: tuple[Picture, ...]) -> Section | None:
    """Each transition against its margin; None where there was no staged evaluation."""
    arms = shown_arms(result)
    rows = [row for row in result.staged if row.arm in arms]
    if not rows:
        return None
    blocks: list[Block] = [Paragraph(_rule(rows[0])), *pictures, for_arms(_verdicts(result, rows), result)]
    shown = [row for row in result.predictions if row.arm in arms and row.estimate is not None]
    if shown:
        blocks.append(for_arms(without_blanks(_predictions(result, shown)), result))
    if result.next_steps:
        blocks += [Paragraph("What comes next, in the order of the stages:"), Bullets(result.next_steps)]
    return Section("Staged evaluation", tuple(blocks))


def _rule(row: StagedRow) -> str:
    alpha, level = f"{100 * row.alpha:g} %", f"{100 * row.level:g} %"
    return (
        f"A step holds where two one-sided tests at {alpha} place its component within the margin and every earlier "
        f"step holds too; so the chance that any step of an arm is falsely said to hold is at most {alpha}. It is "
        f"violated where its {level} interval lies wholly beyond the margin, said step by step; else it is not "
        "settled. Margins and order are choices of the analysis; the paper that proposes staged evaluation leaves them "
        "open."
    )


def _verdicts(result: GapDecomposition, rows: list[StagedRow]) -> Table:
    header = (
        *("arm", "step to", "items", "points lost", f"{100 * rows[0].level:g} % interval", "margin", "verdict"),
        *("p, adjusted", "P(within margin)", "units now", "units needed", "note"),
    )
    cells = tuple(_verdict_cells(result, row) for row in rows)
    return Table("Each step against its margin", header, cells, heads=2, numbers=NUMBERS, wide=frozenset({11}))


NUMBERS = frozenset({3, 4, 5, 7, 8, 9, 10})


def _verdict_cells(result: GapDecomposition, row: StagedRow) -> tuple[str, ...]:
    needed = BLANK if row.n_needed is None else f"{row.n_needed:,}"
    return (
        arm_name(result, row.arm),
        quantity(row.transition),
        row.items,
        figure(row.estimate),
        span(row.lower, row.upper),
        f"{100 * row.margin:g}",
        SIGNS.get(row.verdict, row.verdict) + ("" if row.attributable else ", not attributable"),
        p_value(row.p_adjusted),
        chance(row.prob_within_margin),
        BLANK if row.n is None else f"{row.n:,} {row.unit}",
        needed,
        row.note or BLANK,
    )


def _predictions(result: GapDecomposition, rows: list[PredictionRow]) -> Table:
    """One row for each stage and quantity; the kinds of items side by side."""
    kinds = tuple(dict.fromkeys(row.items for row in rows))
    header = (
        *("arm", "after", "predicted", *(f"if the untested hold, items {one}" for one in kinds)),
        *("whatever they do", "under stated priors", "still untested"),
    )
    caption = f"The deployment as each stage predicts it, with {100 * rows[0].level:g} % intervals"
    keys = dict.fromkeys((row.arm, row.after, row.quantity) for row in rows)
    found = {(row.arm, row.after, row.quantity, row.items): row for row in rows}
    cells = tuple(
        _prediction_cells(result, [found[*key, one] for one in kinds if (*key, one) in found]) for key in keys
    )
    numbers = frozenset(range(3, 5 + len(kinds)))
    return Table(caption, header, cells, heads=2, numbers=numbers, wide=frozenset({5 + len(kinds)}))


def _prediction_cells(result: GapDecomposition, rows: list[PredictionRow]) -> tuple[str, ...]:
    first = rows[0]
    show = figure if first.quantity == "accuracy" else signed
    believed = BLANK
    if first.prior_estimate is not None:
        believed = f"{show(first.prior_estimate)} ({_ends(first.prior_lower, first.prior_upper, first)})"
    told = (f"{show(row.estimate)} ({_ends(row.lower, row.upper, row)})" for row in rows)
    return (
        arm_name(result, first.arm),
        quantity(first.after),
        f"{first.quantity}, {'%' if first.quantity == 'accuracy' else 'points'}",
        *told,
        _ends(first.bound_lower, first.bound_upper, first),
        believed,
        listed(first.untested),
    )


def _ends(lower: float | None, upper: float | None, row: PredictionRow) -> str:
    """Two ends, with signs where they are effects."""
    if lower is None or upper is None:
        return "no interval"
    return span(lower, upper) if row.quantity == "accuracy" else f"{signed(lower)} to {signed(upper)}"
