"""A posterior over fixed items against the plug-in: with little prior information the two should agree."""

from dataclasses import dataclass, replace

from rctgap.errors import EstimandError, EstimationError
from rctgap.estimands import contrasts
from rctgap.estimates import StageEstimates, arm_sets
from rctgap.frequentist import estimate_frequentist
from rctgap.inference import linear
from rctgap.records import CheckResult, PosteriorRow
from rctgap.results import GapDecomposition
from rctgap.tables import points

__all__ = ["RATIO", "WITHIN_POINTS", "WITHIN_SPREAD", "agreement"]

WITHIN_SPREAD = 0.25
WITHIN_POINTS = 0.01
RATIO = (0.75, 1.33)
COMPARED = ("component", "family", "gap")
RULE = (
    f"The rule: the means differ by at most {WITHIN_SPREAD:g} posterior standard deviations or {100 * WITHIN_POINTS:g} "
    f"point, whichever is larger, and the standard deviations by a factor of {RATIO[0]:g} to {RATIO[1]:g}"
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """One quantity both ways."""

    row: PosteriorRow
    mean: float
    spread: float
    estimate: float
    std_error: float | None

    @property
    def distance(self) -> float:
        """Difference of the means over its tolerance."""
        return abs(self.mean - self.estimate) / max(WITHIN_SPREAD * self.spread, WITHIN_POINTS)

    @property
    def ratio(self) -> float | None:
        """Posterior standard deviation over the standard error."""
        return self.spread / self.std_error if self.std_error else None

    @property
    def apart(self) -> bool:
        """Whether the rule is broken."""
        return self.distance > 1 or (self.ratio is not None and not RATIO[0] <= self.ratio <= RATIO[1])


def agreement(result: GapDecomposition) -> CheckResult:
    """Warn where posterior and plug-in of components, families or gap differ by more than a stated tolerance.

    It compares results with items fixed, where the two estimate the same thing without a population of items between
    them. Shrinkage in small trials, and an informative prior, are reasons for a warning; it forbids nothing.
    """
    bayesian = result.bayesian
    if bayesian is None:
        return CheckResult("agreement", "not_applicable", "", "The result holds no posterior.")
    if bayesian.scores.error_rates and bayesian.estimator == "hierarchical":
        told = "The model corrects automatic scores for their scorers' errors, and the plug-in takes them as they are."
        return CheckResult("agreement", "not_applicable", "", told)
    weights = bayesian.estimand.item_weights_name
    rows = {
        (row.arm, row.kind, row.quantity): row
        for row in result.posterior
        if (row.items, row.item_weights) == ("fixed", weights) and row.kind in COMPARED and row.std_dev is not None
    }
    pairs = _pairs(bayesian, rows)
    if not pairs:
        return CheckResult("agreement", "not_applicable", "", "No posterior speaks of these items alone (items fixed).")
    worst = max(pairs, key=lambda one: one.distance)
    ratios = [one.ratio for one in pairs if one.ratio is not None]
    spread = f"standard deviations {min(ratios):.2f} to {max(ratios):.2f} times the plug-in's; " if ratios else ""
    where = f"{worst.row.quantity} in {worst.row.arm}"
    largest = f"largest difference {points(worst.mean - worst.estimate)} points ({where}, {weights} mix); "
    apart = [f"{one.row.quantity} in {one.row.arm}" for one in pairs if one.apart]
    told = f"Posterior against plug-in, {len(pairs)} quantities: {largest}{spread}"
    if apart:
        return CheckResult("agreement", "warning", "", f"{told}beyond tolerance: {', '.join(apart)}. {RULE}.")
    return CheckResult("agreement", "pass", "", f"{told}all within tolerance. {RULE}.")


def _pairs(bayesian: StageEstimates, rows: dict[tuple[str, str, str], PosteriorRow]) -> list[_Pair]:
    scores, estimand = bayesian.scores, replace(bayesian.estimand, items="fixed")
    try:
        plain = estimate_frequentist(scores, estimand, level=bayesian.level, adjustment="none")
    except (EstimandError, EstimationError):
        return []
    found = []
    for label, weights in arm_sets(plain):
        wanted = [
            one
            for one in contrasts(scores.chain, label, weights, scores.design.control)
            if (label, one.kind, one.quantity) in rows and one.quantity != "item_mix"
        ]
        for one, other in zip(wanted, linear(plain, [one.coefficients for one in wanted]), strict=True):
            row = rows[label, one.kind, one.quantity]
            if other.estimate is not None and row.mean is not None and row.std_dev is not None:
                found.append(_Pair(row, row.mean, row.std_dev, other.estimate, other.std_error))
    return found
