"""Inverse-probability weights against R's glm, weighted lm and sandwich (ipw.R, raw output committed)."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.estimands import MomentKey, contrasts
from rctgap.frequentist import covariance_of
from rctgap.patterns import covariate_column
from rctgap.weighting import inverse_probability, scoring_chances

HERE = Path(__file__).parent / "ipw"
EXPECTED = pd.read_csv(HERE / "expected.csv")
CHANCES = pd.read_csv(HERE / "chances.csv")
STAGES = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
PREDICTORS = {"covariates": (("region",), ("age", "sex")), "items_only": ((), ()), "settled": ((), ("age",))}
TOLERANCE = 1e-8


def _frame(case: str) -> pd.DataFrame:
    return pd.read_csv(HERE / f"{case}_trial.csv", dtype={"participant": str, "item": str})


@cache
def _scores(case: str) -> rg.StageScores:
    strata, covariates = PREDICTORS[case]
    trial = rg.read_trial(_frame(case), design=rg.Design("control", ["a1"], strata=strata))
    return rg.score_stages(trial, STAGES, covariates)


def _coefficients(quantity):
    if quantity == "theta_control":
        return {MomentKey("control", "decision"): 1.0}
    if quantity.startswith("theta_"):
        return {MomentKey("a1", quantity.removeprefix("theta_")): 1.0}
    chain = rg.Chain.of(STAGES)
    return next(row.coefficients for row in contrasts(chain, "a1", {"a1": 1.0}, "control") if row.quantity == quantity)


@pytest.mark.parametrize("case", PREDICTORS)
def test_chances_to_be_scored_equal_glm(case):
    frame, answers = _frame(case), _scores(case).answers
    found = scoring_chances(_scores(case))
    expected = CHANCES.query("case == @case")
    assert {(arm, stage) for arm, stage in found} == set(zip(expected["arm"], expected["stage"], strict=True))
    for (arm, stage), part in expected.groupby(["arm", "stage"]):
        ours = answers.assign(ours=found[arm, stage].chance)[["participant", "item", "ours"]]
        theirs = frame.loc[part["row"] - 1, ["participant", "item"]].assign(theirs=part["chance"].to_numpy())
        both = theirs.merge(ours, on=["participant", "item"], validate="one_to_one")
        assert len(both) == len(part) == (frame["arm"] == arm).sum()
        np.testing.assert_allclose(both["ours"], both["theirs"], rtol=TOLERANCE)


@pytest.mark.parametrize("item_weights", ["observed", "uniform"])
@pytest.mark.parametrize("case", PREDICTORS)
def test_weighted_means_and_their_variances_equal_sandwich(case, item_weights):
    expected = EXPECTED.query("case == @case and item_weights == @item_weights")
    estimand = rg.Estimand(items="fixed", item_weights=item_weights)
    weighted = inverse_probability(_scores(case), estimand)
    estimates = rg.estimate_frequentist(weighted, estimand, "cluster", "CR1", adjustment="none")
    rows = np.array([estimates.row(_coefficients(name)) for name in expected["quantity"]])
    found = covariance_of(estimates, rows)
    assert len(expected) == 9
    np.testing.assert_allclose(
        rows @ [estimates.value(key) for key in estimates.keys], expected["estimate"], rtol=TOLERANCE
    )
    np.testing.assert_allclose(found.variance, expected["cr1"], rtol=TOLERANCE)
    np.testing.assert_allclose(np.diag(found.parts[0].matrix), expected["cr0"], rtol=TOLERANCE)
    np.testing.assert_array_equal(found.clusters, expected["clusters"])


def test_the_committed_cases_ask_for_what_they_are_named_after():
    assert covariate_column("sex") in _scores("covariates").answers
    assert (CHANCES.query("case == 'settled' and stage == 'own_query'")["chance"] == 1).sum() > 3
    assert not (CHANCES.query("case == 'covariates'")["chance"] == 1).any()
