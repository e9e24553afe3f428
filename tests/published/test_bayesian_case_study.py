"""The joint model on the published chain: close to the plug-in over these items, wider over a population of them."""

from dataclasses import replace

import numpy as np
import pytest

import rctgap as rg
from rctgap.bayesian import under
from rctgap.criticism import convergence
from rctgap.datasets import folder
from rctgap.estimands import contrasts
from rctgap.inputs import read_analysis, read_inputs
from rctgap.posterior_quantities import draws_of
from rctgap.quantities import linear

FIXED = rg.Estimand("fixed", "uniform")
STEPS = ("own_query", "conversation", "decision")
FIRST_FIT = dict(zip(STEPS, (0.117, 0.183, 0.299), strict=True))


@pytest.fixture(scope="module")
def scores():
    return read_inputs(read_analysis(folder("raman2026") / "as-published.yaml")).scores


@pytest.fixture(scope="module")
def posterior(scores):
    return rg.estimate_bayesian(scores, FIXED, draws=500, tune=700, seed=20261122)


def quantities(estimates):
    rows = contrasts(estimates.scores.chain, "all", {"GPT-4o": 1.0}, "Control")
    kept = [row for row in rows if row.kind in ("component", "family", "gap") and row.quantity != "item_mix"]
    return {row.quantity: row.coefficients for row in kept}


def interval(estimates, name):
    return linear(estimates, [quantities(estimates)[name]])[0].interval


def width(estimates, name):
    ends = interval(estimates, name)
    return ends.upper - ends.lower


def test_medians_are_within_a_point_of_the_plug_in_at_the_same_item_weights(scores, posterior):
    plain = rg.estimate_frequentist(scores, FIXED)
    for name in (*STEPS, "task", "outcome", "gap"):
        median = float(np.median(draws_of(posterior, quantities(posterior)[name])))
        assert abs(median - linear(plain, [quantities(plain)[name]])[0].estimate) < 0.01


@pytest.mark.parametrize("name", STEPS)
def test_medians_are_within_a_point_of_another_fit_of_the_case_study(posterior, name):
    assert abs(float(np.median(draws_of(posterior, quantities(posterior)[name]))) - FIRST_FIT[name]) < 0.01


def test_items_random_are_clearly_wider(posterior):
    random = under(posterior, replace(FIXED, items="random"))
    for name in (*STEPS, "task", "gap"):
        assert width(random, name) > 1.5 * width(posterior, name)
    ends = interval(random, "own_query")
    assert -0.08 < ends.lower < 0.02
    assert 0.16 < ends.upper < 0.24


def test_the_chains_of_every_reported_quantity_agree(posterior):
    for coefficients in quantities(posterior).values():
        found = convergence(draws_of(posterior, coefficients))
        assert found.r_hat < 1.02
        assert found.ess_bulk > 400
    assert posterior.posterior.sampling.divergences <= 2


def test_the_prior_says_little_about_the_gap(posterior):
    gap = quantities(posterior)["gap"]
    places = [posterior.keys[key] for key in gap]
    before = posterior.posterior.prior[:, places] @ np.array(list(gap.values()))
    assert abs(before.mean()) < 0.05
    assert np.quantile(before, 0.975) > 0.7


def test_the_model_predicts_what_was_observed(posterior):
    rows = posterior.posterior.predictive
    assert {row.stage for row in rows} == {"benchmark", "own_query", "conversation", "decision"}
    outside = [row for row in rows if not 0.005 <= row.p_value <= 0.995]
    assert len(outside) <= 2
