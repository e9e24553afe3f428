"""Whether arms, or stages, answer different mixes of items, so that the gap holds a change of mix."""

from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import MARGIN
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.tables import interval, points

__all__ = ["item_mix"]

RULE = f"The rule: a warning beyond {100 * MARGIN:g} points, or where the interval lies wholly beyond half of that"


def item_mix(result: GapDecomposition) -> CheckResult:
    """Warn where the part of the gap that is due to the mix of items is large."""
    row = result.row("item_mix", ALL_ARMS)
    if row.estimate is None or row.lower is None or row.upper is None:
        return CheckResult("item_mix", "not_applicable", "", f"No item-mix term: {row.note or 'not estimated'}.")
    half = MARGIN / 2
    large = abs(row.estimate) > MARGIN or row.lower > half or row.upper < -half
    told = f"{points(row.estimate)} points ({interval(row.lower, row.upper)} at {100 * row.level:g} %)"
    other = "another mix" if result.settings.item_weights != "observed" else "the trial's mix throughout"
    detail = f"The gap at its own mix of items less the gap at {other}: {told}. {RULE}."
    return CheckResult("item_mix", "warning" if large else "pass", "", detail)
