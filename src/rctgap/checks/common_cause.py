"""How strong an unmeasured common cause of conversation and decision would have to be to explain uptake away."""

from rctgap.check_records import BiasRow
from rctgap.common_cause import e_value, limit_nearer_one, observed_ratio
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition

__all__ = ["DOUBLES", "common_cause"]

DOUBLES = 2.0
RULE = (
    f"The rule: a warning where the limit's E-value is below {DOUBLES:g}, so that a cause that doubles both chances "
    "would do"
)
CAUSAL = (
    "The component describes the flow that was observed and needs no such assumption; reading uptake as what a right "
    "conversation does to a decision needs it"
)


def common_cause(result: GapDecomposition) -> CheckResult:
    """Warn where a common cause that doubles both chances would move uptake's risk ratio, or its limit, to 1.

    References
    ----------
    VanderWeele and Ding (2017), doi 10.7326/M16-2607.
    """
    named = () if result.estimates is None else result.estimates.scores.chain.transitions[-1].assumptions
    ids = ";".join(named)
    if not result.bias:
        detail = "The last transition is not from scored conversations to outcomes of the same answers."
        return CheckResult("common_cause", "not_applicable", ids, detail)
    arms = tuple(result.settings.arms)
    rows = [row for arm in arms if (row := observed_ratio(result.bias, arm)) is not None]
    told = [_told(row) for row in rows if row.ratio is not None]
    if not told:
        reasons = "; ".join(dict.fromkeys(row.note for row in rows if row.note))
        return CheckResult("common_cause", "not_applicable", ids, f"No ratio of uptake to self-rescue: {reasons}.")
    weak = [row for row in rows if row.ratio is not None and not _strong(row)]
    detail = f"Uptake over self-rescue. {' '.join(told)} {CAUSAL}. {RULE}."
    return CheckResult("common_cause", "warning" if weak else "pass", ids, detail)


def _strong(row: BiasRow) -> bool:
    limit = _limit(row)
    return limit is not None and e_value(limit) >= DOUBLES


def _limit(row: BiasRow) -> float | None:
    if row.ratio is None or row.lower is None or row.upper is None:
        return None
    return limit_nearer_one(row.ratio, row.lower, row.upper)


def _told(row: BiasRow) -> str:
    value, limit = row.ratio or 1.0, _limit(row)
    if limit is None:
        return f"{row.arm}: risk ratio {value:.2f}, E-value {e_value(value):.2f}, no interval ({row.note})."
    return (
        f"{row.arm}: risk ratio {value:.2f} ({row.lower:.2f} to {row.upper:.2f} at {100 * row.level:g} %; {row.note}). "
        f"A cause that nobody measured would have to be tied to both by risk ratios of {e_value(value):.2f} to explain "
        f"it away, and of {e_value(limit):.2f} to move the limit nearer 1 to 1."
    )
