"""The two ends of the decomposition, recomputed by weighted least squares on the rows of one stage at a time."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import statsmodels.api as sm

from rctgap.estimands import MomentKey
from rctgap.estimates import StageEstimates
from rctgap.missing import with_non_users
from rctgap.moments import item_mix
from rctgap.patterns import covariate_column, run_rows
from rctgap.records import CheckResult, ComponentRow
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores

__all__ = ["TOLERANCE", "effect_by_interactions", "effect_by_regression", "other_route"]

TOLERANCE = 1e-9
ALL_ITEMS = "all items"
TREATED = "treated: "


def other_route(result: GapDecomposition) -> CheckResult:
    """Compare gap and realized effect of each arm with regressions that know nothing of the other stages."""
    estimates = result.estimates
    if estimates is not None and estimates.posterior is not None:
        detail = "A posterior mean is no least-squares estimate; `agreement` holds it against the plug-in."
        return CheckResult("other_route", "not_applicable", "", detail)
    if estimates is None or estimates.estimand.non_users == "control":
        detail = "Non-users take the control mean, which no regression on one stage's rows gives."
        return CheckResult("other_route", "not_applicable", "", detail)
    if estimates.adjustment == "logistic":
        detail = "Logistic g-computation averages fitted chances, which no least-squares regression gives."
        return CheckResult("other_route", "not_applicable", "", detail)
    worst = max((_distance(estimates, row) for row in _ends(result)), default=0.0)
    return CheckResult(
        "other_route",
        "pass" if worst <= TOLERANCE else "fail",
        "",
        f"Gap and realized effect of every arm against {_route(estimates)} on each stage's own rows (statsmodels): "
        f"largest difference {worst:.1e}, tolerance {TOLERANCE:.0e}.",
    )


def _route(estimates: StageEstimates) -> str:
    return "weighted least squares" + (
        ", arm by covariate interactions included," if estimates.adjustment != "none" else ""
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
        first, last = (_end(estimates, scores, MomentKey(row.arm, stage), mix) for stage in (names.first, names.last))
        expected = first - last
    elif estimates.adjustment != "none":
        expected = effect_by_interactions(scores, row.arm, mix)
    else:
        expected = effect_by_regression(scores, row.arm, mix)
    return abs(float(row.estimate or 0.0) - expected)


def _end(estimates: StageEstimates, scores: StageScores, key: MomentKey, mix: Mapping[str, float] | None) -> float:
    """One end of the chain, adjusted where its estimate is."""
    frame = _stage_frame(scores, key.arm, key.name)
    if key not in estimates.statistics.adjusted:
        return _mean(frame, mix)
    if mix is not None:
        frame = frame[frame["item"].isin(list(mix))]
    inside = _centred(scores, mix).loc[frame.index]
    fit = sm.WLS(frame["score"], _joined(_items(frame, mix), inside), weights=frame["count"]).fit()
    return _at(fit.params, mix, "")


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


def effect_by_interactions(scores: StageScores, arm: str, mix: Mapping[str, float] | None) -> float:
    """Intention to treat, adjusted: assignment, covariates centred over all randomised answers, and their products.

    References
    ----------
    Lin (2013), doi 10.1214/12-AOAS583.
    """
    last, control = scores.chain.last, scores.design.control
    frame = scores.answers
    frame = frame[frame["arm"].isin([control, arm]) & frame[last].notna()]
    if mix is not None:
        frame = frame[frame["item"].isin(list(mix))]
    alone = _joined(_items(frame, mix), _centred(scores, mix).loc[frame.index])
    treated = alone.mul((frame["arm"] == arm).astype("float64"), axis=0).add_prefix(TREATED)
    fit = sm.WLS(frame[last], _joined(alone, treated), weights=frame["count"]).fit()
    return _at(fit.params, mix, TREATED)


def _items(frame: pd.DataFrame, mix: Mapping[str, float] | None) -> pd.DataFrame:
    """An intercept, or one for each item that has weight."""
    if mix is None:
        return pd.DataFrame({ALL_ITEMS: 1.0}, index=frame.index)
    return pd.DataFrame({item: (frame["item"] == item).astype("float64") for item in mix}, index=frame.index)


def _centred(scores: StageScores, mix: Mapping[str, float] | None) -> pd.DataFrame:
    """Covariates about their means over all randomised answers, to the same item where items are weighted."""
    frame = scores.answers
    named = frame[[covariate_column(name) for name in scores.covariates]]
    columns = pd.get_dummies(named, drop_first=True, dtype="float64")
    group = pd.Series(ALL_ITEMS, index=frame.index) if mix is None else frame["item"]
    sums = columns.mul(frame["count"], axis=0).groupby(group, observed=True).transform("sum")
    about = columns - sums.div(frame.groupby(group, observed=True)["count"].transform("sum"), axis=0)
    return about / columns.std(ddof=0).where(lambda one: one > 0, 1.0)


def _joined(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([left, right], axis=1)


def _at(coefficients: "pd.Series[float]", mix: Mapping[str, float] | None, prefix: str) -> float:
    """The fitted mean, or effect, at the centre of the covariates and the weights of the items."""
    weights = {ALL_ITEMS: 1.0} if mix is None else mix
    return float(sum(weight * coefficients[f"{prefix}{item}"] for item, weight in weights.items()))
