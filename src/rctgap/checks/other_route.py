"""The two ends of the decomposition, recomputed by weighted least squares on the rows of one stage at a time."""

import numpy as np
import pandas as pd
import statsmodels.api as sm

from rctgap.estimands import MomentKey
from rctgap.estimates import StageEstimates
from rctgap.results import CheckResult, ComponentRow, GapDecomposition
from rctgap.scores import StageScores, run_rows, with_non_users

__all__ = ["TOLERANCE", "mean_by_regression", "other_route"]

TOLERANCE = 1e-9


def other_route(result: GapDecomposition) -> CheckResult:
    """Compare gap and realized effect of each arm with regressions that know nothing of the other stages."""
    estimates = result.estimates
    if estimates is None or estimates.estimand.item_weights != "observed":
        return CheckResult(
            "other_route", "not_applicable", "", "Recomputed by regression under observed item weights only."
        )
    worst = max((_distance(estimates, row) for row in _ends(result)), default=0.0)
    status = "pass" if worst <= TOLERANCE else "fail"
    return CheckResult(
        "other_route",
        status,
        "",
        f"Gap and realized effect of every arm against weighted least squares on each stage's own rows (statsmodels): "
        f"largest difference {worst:.1e}, tolerance {TOLERANCE:.0e}.",
    )


def _ends(result: GapDecomposition) -> list[ComponentRow]:
    return [
        row
        for row in result.main()
        if row.arm != "all" and row.quantity in ("gap", "realized_effect") and row.estimate is not None
    ]


def _distance(estimates: StageEstimates, row: ComponentRow) -> float:
    scores = estimates.scores
    policy = estimates.estimand.non_users
    if policy == "control":
        return 0.0
    applied = with_non_users(scores, policy)
    last = MomentKey(row.arm, scores.chain.last)
    if row.quantity == "gap":
        expected = mean_by_regression(applied, MomentKey(row.arm, scores.chain.first)) - mean_by_regression(applied, last)
    else:
        expected = effect_by_regression(applied, row.arm)
    return abs(float(row.estimate or 0.0) - expected)


def mean_by_regression(scores: StageScores, key: MomentKey) -> float:
    """A stage's mean in one arm as the intercept of a frequency-weighted regression."""
    arm = next(one for one in scores.design.arms if one.label == key.arm)
    if scores.chain[key.name].source == "benchmark":
        frame = scores.runs
        frame = frame[run_rows(frame, arm.tested)]
        return _intercept(frame["score"], frame["count"])
    frame = scores.answers
    frame = frame[(frame["arm"] == arm.rows_of(key.name)) & frame[key.name].notna()]
    return _intercept(frame[key.name], frame["count"])


def _intercept(values: "pd.Series[float]", counts: "pd.Series[float]") -> float:
    fit = sm.WLS(values.to_numpy(), np.ones(len(values)), weights=counts.to_numpy()).fit()
    return float(fit.params[0])


def effect_by_regression(scores: StageScores, arm: str) -> float:
    """Intention to treat: the arm's coefficient in a regression of the last stage on assignment."""
    frame, last = scores.answers, scores.chain.last
    frame = frame[frame["arm"].isin([arm, scores.design.control]) & frame[last].notna()]
    treated = (frame["arm"] == arm).to_numpy(dtype=np.float64)
    design = np.column_stack([np.ones(len(frame)), treated])
    fit = sm.WLS(frame[last].to_numpy(), design, weights=frame["count"].to_numpy()).fit()
    return float(fit.params[1])
