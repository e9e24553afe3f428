"""Variances and degrees of freedom against R's clubSandwich and sandwich (covariance.R, raw output committed)."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.estimands import MomentKey, contrasts
from rctgap.estimates import arm_sets
from rctgap.frequentist import covariance_of

HERE = Path(__file__).parent / "covariance"
EXPECTED = pd.read_csv(HERE / "expected.csv")
CASES = sorted(EXPECTED["case"].unique())
WEIGHTS = ["observed", "trial", "uniform"]
TOLERANCE = 1e-8


@cache
def _scores(case: str) -> rg.StageScores:
    trial = pd.read_csv(HERE / f"{case}_trial.csv", dtype={"participant": str, "item": str})
    runs = pd.read_csv(HERE / f"{case}_benchmark.csv", dtype={"item": str}).rename(columns={"score": "benchmark"})
    ai = sorted(set(trial["arm"]) - {"control"})
    data = rg.read_trial(trial, benchmark=runs.drop(columns="run"), design=rg.Design("control", ai))
    return rg.score_stages(data, rg.DEFAULT_CHAIN)


def _coefficients(estimates, arm, quantity):
    scores = estimates.scores
    weights = dict(arm_sets(estimates))[arm]
    if quantity == "theta_control":
        return {MomentKey("control", "decision"): 1.0}
    if quantity.startswith("theta_"):
        return {MomentKey(one, quantity.removeprefix("theta_")): weight for one, weight in weights.items()}
    rows = contrasts(scores.chain, arm, weights, "control")
    return next(row.coefficients for row in rows if row.quantity == quantity)


def _compare(case, item_weights, method, covariance, items, small_sample="CR2"):
    expected = EXPECTED.query("case == @case and item_weights == @item_weights and method == @method")
    assert len(expected) >= 13
    estimates = rg.estimate_frequentist(
        _scores(case), rg.Estimand(items=items, item_weights=item_weights), covariance, small_sample
    )
    rows = np.array([estimates.row(_coefficients(estimates, one.arm, one.quantity)) for one in expected.itertuples()])
    found = covariance_of(estimates, rows)
    values = [estimates.value(key) for key in estimates.keys]
    np.testing.assert_allclose(rows @ values, expected["estimate"], rtol=0, atol=1e-12)
    return found, expected


@pytest.mark.parametrize("item_weights", WEIGHTS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["CR1", "CR2", "CR3"])
def test_cluster_covariances_equal_clubsandwich(case, item_weights, method):
    found, expected = _compare(case, item_weights, method, "cluster", "fixed", method)
    np.testing.assert_allclose(found.variance, expected["variance"], rtol=TOLERANCE)
    np.testing.assert_allclose(found.df, expected["df"], rtol=TOLERANCE)
    np.testing.assert_array_equal(found.clusters, expected["clusters"])


@pytest.mark.parametrize("item_weights", WEIGHTS)
@pytest.mark.parametrize("case", CASES)
def test_robust_equals_sandwich_hc1(case, item_weights):
    found, expected = _compare(case, item_weights, "HC1", "robust", "fixed")
    np.testing.assert_allclose(found.variance, expected["variance"], rtol=TOLERANCE)
    assert np.isinf(found.df).all()
    np.testing.assert_array_equal(found.clusters, expected["n"])


@pytest.mark.parametrize("item_weights", WEIGHTS)
@pytest.mark.parametrize("case", CASES)
def test_item_equals_sandwich_vcovcl(case, item_weights):
    found, expected = _compare(case, item_weights, "item", "item", "random")
    np.testing.assert_allclose(found.variance, expected["variance"], rtol=TOLERANCE, atol=1e-15)
    np.testing.assert_allclose(found.df, expected["df"])


@pytest.mark.parametrize("item_weights", WEIGHTS)
@pytest.mark.parametrize("case", CASES)
def test_cluster2_equals_sandwich_pieces_and_never_falls_below_item(case, item_weights):
    found, expected = _compare(case, item_weights, "cluster2", "cluster2", "random")
    item = EXPECTED.query("case == @case and item_weights == @item_weights and method == 'item'")
    below = expected["variance"].to_numpy() < item["variance"].to_numpy() * (1 - 1e-12)
    wanted = np.where(below, item["variance"], expected["variance"])
    np.testing.assert_allclose(found.variance, wanted, rtol=TOLERANCE, atol=1e-15)
    np.testing.assert_array_equal(found.floored, below)


def test_some_reference_rows_fall_below_item_and_some_do_not():
    raw = EXPECTED.query("method == 'cluster2'")["variance"].to_numpy()
    item = EXPECTED.query("method == 'item'")["variance"].to_numpy()
    assert 0 < (raw < item * (1 - 1e-12)).sum() < raw.size


@pytest.mark.parametrize("item_weights", WEIGHTS)
def test_cluster2_is_item_when_every_participant_answers_once(item_weights):
    two_way, _ = _compare("once", item_weights, "cluster2", "cluster2", "random")
    item, _ = _compare("once", item_weights, "item", "item", "random")
    np.testing.assert_array_equal(two_way.variance, item.variance)
    assert not two_way.floored.any()
