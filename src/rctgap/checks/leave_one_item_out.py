"""Whether one item carries the result."""

from collections.abc import Sequence

from rctgap.check_records import InfluenceRow
from rctgap.checks.judged import assumptions_of, judged_arms, where
from rctgap.equivalence import verdict
from rctgap.influence import carried_by_one
from rctgap.outcome_measures import margin_of
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.tables import points

__all__ = ["leave_one_item_out"]

RULE = (
    "The rule: a warning where leaving out one item moves a component, of an arm or of all, by more than its margin, "
    "or turns one whose interval lies wholly inside the margin into one wholly beyond it, or back; or where one item "
    "carries more than half of the wrong scores at a stage"
)


def leave_one_item_out(result: GapDecomposition) -> CheckResult:
    """Warn where a component moves by more than its margin, or crosses it, without one item; or one carries a stage."""
    arms, steps = judged_arms(result), result.settings.stages[1:]
    rows = [row for row in result.influence if row.unit == "item" and row.change is not None]
    mine = [row for row in rows if row.quantity in steps and row.arm in arms]
    if not mine:
        detail = "Some answers or runs carry no item, there are too many items, or one."
        return CheckResult("leave_one_item_out", "not_applicable", "", detail)
    found = [row for row in mine if _moves(result, row) or _crosses(result, row)]
    ids = assumptions_of(result, found)
    largest = max(mine, key=lambda row: abs(row.change or 0.0))
    told = f"Without one of {len({row.left_out for row in mine})} items: largest change {_told(largest)}."
    carried = _carried(result)
    beyond = f" Beyond the rule: {', '.join(_told(row) for row in found)}." if found else ""
    detail = f"{told}{''.join(carried)}{beyond} {RULE}."
    return CheckResult("leave_one_item_out", "warning" if found or carried else "pass", ids, detail)


def _moves(result: GapDecomposition, row: InfluenceRow) -> bool:
    return abs(row.change or 0.0) > margin_of(result, row.quantity)


def _crosses(result: GapDecomposition, row: InfluenceRow) -> bool:
    """Whether `holds` becomes `violated`, or the other way round, at the intervals' own level."""
    margin, whole = margin_of(result, row.quantity), result.row(row.quantity, row.arm)
    said = {verdict(whole.lower, whole.upper, margin), verdict(row.lower, row.upper, margin)}
    return said == {"holds", "violated"}


def _told(row: InfluenceRow) -> str:
    return (
        f"{row.quantity}{where(row.arm)} {points(row.change)} points to {points(row.estimate)} without {row.left_out}"
    )


def _carried(result: GapDecomposition) -> Sequence[str]:
    """Stages where one item holds most of what is wrong."""
    shares = () if result.estimates is None else carried_by_one(result.estimates)
    return [
        f" Item {one.item} carries {one.wrong} of the {one.of} wrong scores at {one.stage} in arm {one.arm}."
        for one in shares
    ]
