"""Whether arms, or stages, answer different mixes of items, so that the gap holds a change of mix."""

from rctgap.checks.judged import judged_arms, where
from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import MARGIN
from rctgap.records import CheckResult, ComponentRow
from rctgap.results import GapDecomposition
from rctgap.tables import interval, points

__all__ = ["item_mix"]

RULE = f"The rule: a warning beyond {100 * MARGIN:g} points, or where the interval lies wholly beyond half of that"


def item_mix(result: GapDecomposition) -> CheckResult:
    """Warn where the part of the gap that is due to the mix of items is large, in some arm or in all."""
    rows = [result.row("item_mix", arm) for arm in judged_arms(result)]
    known = [row for row in rows if row.estimate is not None and row.lower is not None and row.upper is not None]
    if not known:
        return CheckResult("item_mix", "not_applicable", "", f"No item-mix term: {rows[0].note or 'not estimated'}.")
    large = [row for row in known if _large(row)]
    told = "; ".join(_told(row) for row in known if row.arm == ALL_ARMS or row in large)
    other = "another mix" if result.settings.item_weights != "observed" else "the trial's mix throughout"
    detail = f"The gap at its own mix of items less the gap at {other}: {told or 'within the rule'}. {RULE}."
    return CheckResult("item_mix", "warning" if large else "pass", "", detail)


def _large(row: ComponentRow) -> bool:
    half = MARGIN / 2
    estimate, lower, upper = (one or 0.0 for one in (row.estimate, row.lower, row.upper))
    return abs(estimate) > MARGIN or lower > half or upper < -half


def _told(row: ComponentRow) -> str:
    ends = interval(row.lower, row.upper)
    return f"{points(row.estimate)} points{where(row.arm)} ({ends} at {100 * row.level:g} %)"
