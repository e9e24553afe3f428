"""The two ends of the decomposition, recomputed by weighted least squares on the rows of one stage at a time."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import statsmodels.api as sm

from rctgap.estimates import StageEstimates
from rctgap.missing import with_non_users
from rctgap.moments import item_mix
from rctgap.patterns import run_rows
from rctgap.results import CheckResult, ComponentRow, GapDecomposition
from rctgap.scores import StageScores

__all__ = ["TOLERANCE", "effect_by_regression", "other_route"]

TOLERANCE = 1e-9


def other_route(result: GapDecomposition) -> CheckResult:
    """Compare gap and realized effect of each arm with regressions that know nothing of the other stages."""
    estimates = result.estimates
    if estimates is None or estimates.estimand.non_users == "control":
        detail = "Non-users take the control mean, which no regression on one stage's rows gives."
        return CheckResult("other_route", "not_applicable", "", detail)
    worst = max((_distance(estimates, row) for row in _ends(result)), default=0.0)
    return CheckResult(
        "other_route",
        "pass" if worst <= TOLERANCE else "fail",
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
    scores = with_non_users(estimates.scores, estimates.estimand.non_users)
    mix = item_mix(scores, estimates.estimand)
    names = scores.chain
    if row.quantity == "gap":
        first, last = (_mean(_stage_frame(scores, row.arm, stage), mix) for stage in (names.first, names.last))
        expected = first - last
    else:
        expected = effect_by_regression(scores, row.arm, mix)
    return abs(float(row.estimate or 0.0) - expected)


def _stage_frame(scores: StageScores, label: str, stage: str) -> pd.DataFrame:
    """Score, item and count of the rows behind a stage of an arm."""
    arm = next(one for one in scores.design.arms if one.label == label)
    if scores.chain[stage].source == "benchmark":
        frame = scores.runs
        return frame[run_rows(frame, arm.tested)][["score", "item", "count"]]
    frame = scores.answers
    frame = frame[(frame["arm"] == arm.rows_of(stage)) & frame[stage].notna()]
    return frame[[stage, "item", "count"]].rename(columns={stage: "score"})


def _weights(frame: pd.DataFrame, mix: Mapping[str, float] | None) -> "pd.Series[float]":
    """Frequency weights, scaled so that each item holds its weight."""
    if mix is None:
        return frame["count"] / frame["count"].sum()
    size = frame.groupby("item", observed=True)["count"].transform("sum")
    return frame["count"] / size * frame["item"].map(mix).fillna(0.0).astype("float64")


def _mean(frame: pd.DataFrame, mix: Mapping[str, float] | None) -> float:
    fit = sm.WLS(frame["score"].to_numpy(), np.ones(len(frame)), weights=_weights(frame, mix).to_numpy()).fit()
    return float(fit.params[0])


def effect_by_regression(scores: StageScores, arm: str, mix: Mapping[str, float] | None) -> float:
    """Intention to treat: the arm's coefficient in a regression of the last stage on assignment."""
    last, control = scores.chain.last, scores.design.control
    frame = scores.answers
    parts = [frame[(frame["arm"] == label) & frame[last].notna()] for label in (control, arm)]
    weights = pd.concat([_weights(part, mix) for part in parts])
    both = pd.concat(parts)
    design = np.column_stack([np.ones(len(both)), (both["arm"] == arm).to_numpy(dtype=np.float64)])
    fit = sm.WLS(both[last].to_numpy(), design, weights=weights.to_numpy()).fit()
    return float(fit.params[1])
