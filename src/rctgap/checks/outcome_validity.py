"""Whether what is found depends on how the last stage is measured, on the same people."""

from rctgap.outcome_measures import outcome_verdict
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition

__all__ = ["ASSUMPTION", "outcome_validity"]

ASSUMPTION = "outcome.outcome_validity"
HOW = (
    "One measure of the last stage. To compare it with a second one on the same answers, name the second's column "
    "in the analysis, such as `outcomes: {disposition: disposition}`."
)


def outcome_validity(result: GapDecomposition) -> CheckResult:
    """Warn where the realized effect by another measure of the last stage lies beyond the margin of the own one's.

    In an arm or in all; also where the two measures hardly agree on single answers. Without a control arm accuracies
    are compared. Which measure is right is not for data to say, so nothing fails. A difference that is not settled
    passes, and the detail says that it is not.
    """
    if not result.outcomes:
        return CheckResult("outcome_validity", "not_applicable", ASSUMPTION, HOW)
    found = outcome_verdict(result)
    if found is None:
        reasons = "; ".join(dict.fromkeys(row.note for row in result.outcomes if row.lower is None and row.note))
        detail = f"The measures could not be compared: {reasons or 'no interval'}."
        return CheckResult("outcome_validity", "not_applicable", ASSUMPTION, detail)
    detail = f"{found.evidence[:1].upper()}{found.evidence[1:]}."
    apart = found.verdict == "violated" or found.unrelated
    return CheckResult("outcome_validity", "warning" if apart else "pass", ASSUMPTION, detail)
