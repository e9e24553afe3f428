"""Whether missing scores could change what is said: worst-case bounds beside the scores that are there."""

from rctgap.checks.judged import assumptions_of, judged_arms, where
from rctgap.equivalence import verdict
from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import margin_of
from rctgap.records import CheckResult, MissingRow
from rctgap.results import GapDecomposition
from rctgap.tables import interval, points

__all__ = ["missing_logs"]

RULE = (
    "The rule: a warning where the verdict on a component, of an arm or of all, against its margin differs between its "
    "two bounds, or the bounds lie further apart than the margin"
)


def missing_logs(result: GapDecomposition) -> CheckResult:
    """Warn where missing scores could change a component's verdict, or move it by more than its margin."""
    arms, steps = judged_arms(result), result.settings.stages[1:]
    rows = [
        row
        for row in result.missing
        if row.approach == "worst_case" and row.arm in arms and row.quantity in steps and row.bound_lower is not None
    ]
    if not rows:
        return CheckResult("missing_logs", "not_applicable", "", "No score is missing, or there are no bounds.")
    open_still = [row for row in rows if _open(result, row)]
    told = "; ".join(_told(result, row) for row in rows if row.arm == ALL_ARMS or row in open_still)
    beyond = f" Open: {', '.join(row.quantity + where(row.arm) for row in open_still)}." if open_still else ""
    detail = f"Whatever the missing scores are, in points: {told}.{beyond} {RULE}."
    ids = assumptions_of(result, open_still)
    return CheckResult("missing_logs", "warning" if open_still else "pass", ids, detail)


def _open(result: GapDecomposition, row: MissingRow) -> bool:
    low, high, margin = row.bound_lower or 0.0, row.bound_upper or 0.0, margin_of(result, row.quantity)
    return high - low > margin or verdict(low, low, margin) != verdict(high, high, margin)


def _told(result: GapDecomposition, row: MissingRow) -> str:
    there = points(result.row(row.quantity, row.arm).estimate)
    ends = interval(row.bound_lower, row.bound_upper)
    return f"{row.quantity}{where(row.arm)} between {ends} (from the scores there are {there})"
