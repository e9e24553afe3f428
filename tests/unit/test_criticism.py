"""Criticism of posteriors, against ArviZ on labelled data, against arithmetic, and where the answer is known."""

import numpy as np
import pytest
from arviz_base import from_dict
from arviz_stats import bfmi, ess, psense, rhat
from scipy import stats

from rctgap.criticism import (
    SENSITIVE,
    Convergence,
    PowerScaling,
    Sensitivity,
    convergence,
    ebfmi,
    power_scaling,
    predictive_p,
)
from rctgap.errors import EstimationError


def random(seed=20261122):
    return np.random.default_rng(seed)


def autocorrelated(chains=4, length=500, memory=0.7):
    noise, draws = random().normal(size=(chains, length)), np.zeros((chains, length))
    for step in range(1, length):
        draws[:, step] = memory * draws[:, step - 1] + noise[:, step]
    return draws


# ---------------------------------------------------------------- chains


def test_convergence_is_what_arviz_says_of_labelled_draws():
    draws = autocorrelated()
    tree = from_dict({"posterior": {"x": draws}})
    found = convergence(draws)
    assert found.r_hat == pytest.approx(float(rhat(tree)["x"]), rel=1e-12)
    assert found.ess_bulk == pytest.approx(float(ess(tree, method="bulk")["x"]), rel=1e-12)
    assert found.ess_tail == pytest.approx(float(ess(tree, method="tail", prob=(0.05, 0.95))["x"]), rel=1e-12)


def test_autocorrelated_draws_are_worth_fewer_independent_ones():
    # The effective size of an AR(1) mean is n (1 - a) / (1 + a): 2000 * 0.3 / 1.7.
    assert convergence(autocorrelated()).ess_bulk == pytest.approx(353, rel=0.25)


def test_a_chain_elsewhere_raises_r_hat():
    draws = random().normal(size=(4, 500))
    assert convergence(draws).r_hat < 1.01
    draws[0] += 1.0
    assert convergence(draws).r_hat > 1.05


def test_chains_that_stand_still_apart_are_the_worst_and_not_unknown():
    stuck = np.repeat(np.arange(4.0)[:, None], 100, axis=1)
    assert convergence(stuck).r_hat == 1000.0


@pytest.mark.parametrize(
    "draws",
    [
        np.ones((4, 100)),
        np.full((4, 100), np.nan),
        1.0 + 1e-15 * random().normal(size=(4, 100)),
        random().normal(size=(4, 3)),
    ],
    ids=["constant", "missing", "rounding", "three draws"],
)
def test_what_cannot_be_judged_is_none(draws):
    assert convergence(draws) == Convergence(None, None, None)


def test_one_chain_has_no_r_hat_but_an_effective_size():
    found = convergence(random().normal(size=(1, 1000)))
    assert found.r_hat is None
    assert found.ess_bulk > 500


def test_the_energy_fraction_is_arviz_s_and_zero_for_a_chain_that_stands_still():
    energy = random().normal(size=(3, 400)).cumsum(axis=1)
    tree = from_dict({"posterior": {"x": energy}, "sample_stats": {"energy": energy}})
    assert ebfmi(energy) == pytest.approx(np.ravel(bfmi(tree)["energy"].values), rel=1e-12)
    energy[1] = 5.0
    assert ebfmi(energy)[1] == 0.0
    assert (ebfmi(energy)[[0, 2]] > 0).all()


# ---------------------------------------------------------------- power scaling


def normal_posterior(prior_mean, prior_sd=1.0, data_mean=0.0, data_sd=0.5, size=(4, 1000)):
    """Exact draws of a normal mean with its log prior and log likelihood at each draw."""
    precision = prior_sd**-2 + data_sd**-2
    mean = (prior_mean / prior_sd**2 + data_mean / data_sd**2) / precision
    draws = random(3).normal(mean, precision**-0.5, size)
    return draws, stats.norm.logpdf(draws, prior_mean, prior_sd), stats.norm.logpdf(data_mean, draws, data_sd)


@pytest.mark.parametrize("prior_mean", [0.0, 2.0])
def test_sensitivities_are_those_of_arviz_on_a_tree(prior_mean):
    draws, prior, likelihood = normal_posterior(prior_mean)
    tree = from_dict(
        {"posterior": {"mu": draws}, "log_prior": {"mu": prior}, "log_likelihood": {"y": likelihood[..., None]}}
    )
    found = power_scaling(draws, prior, likelihood)
    for part, group in zip(found, ("prior", "likelihood"), strict=True):
        assert part == pytest.approx(float(psense(tree, group=group)["mu"]), rel=1e-10)


def test_more_conflict_between_prior_and_data_raises_the_sensitivity_to_the_prior():
    found = [power_scaling(*normal_posterior(mean)).prior for mean in (0.0, 1.0, 2.0, 4.0)]
    assert found == sorted(found)
    assert found[0] < SENSITIVE < found[-1]


def test_conflict_shows_in_both_and_a_strong_prior_in_the_prior_alone():
    conflict = power_scaling(*normal_posterior(4.0))
    assert min(conflict) > SENSITIVE
    strong = power_scaling(*normal_posterior(0.0, prior_sd=0.1, data_sd=10.0))
    assert strong.prior > SENSITIVE > strong.likelihood


def test_a_flat_prior_cannot_matter_and_a_constant_quantity_has_no_sensitivity():
    draws, _, likelihood = normal_posterior(0.0)
    assert power_scaling(draws, np.zeros(draws.shape), likelihood).prior == 0.0
    assert power_scaling(np.ones(draws.shape), likelihood, likelihood) == Sensitivity(None, None)


def test_weights_made_once_serve_every_quantity_whatever_its_scale_and_sign():
    draws, prior, likelihood = normal_posterior(2.0)
    scaling = PowerScaling.from_logs(prior, likelihood)
    assert scaling.of(draws) == power_scaling(draws, prior, likelihood)
    assert scaling.of(-100.0 * draws + 7.0) == pytest.approx(scaling.of(draws), rel=1e-9)


@pytest.mark.parametrize(
    ("prior", "likelihood", "told"),
    [
        (np.zeros((4, 100)), np.zeros((4, 99)), "same chains and draws"),
        (np.zeros((2, 10)), np.zeros((2, 10)), "at least 50"),
        (np.full((4, 100), -np.inf), np.zeros((4, 100)), "log prior has values that are not finite"),
    ],
)
def test_log_densities_that_cannot_be_scaled_are_refused(prior, likelihood, told):
    with pytest.raises(EstimationError, match=told):
        PowerScaling.from_logs(prior, likelihood)


# ---------------------------------------------------------------- predictive


def test_predictive_p_counts_ties_half():
    found = predictive_p(np.array([[0.1, 0.3], [0.3, 0.5]]), 0.3)
    assert found.p_value == 0.25 + 0.5 * 0.5
    assert found.mean == pytest.approx(0.3)


def test_a_mean_that_only_rounding_sets_apart_is_a_tie():
    assert predictive_p(np.array([0.1 + 0.2]), 0.3).p_value == 0.5


def test_predictive_p_and_interval_are_those_of_the_known_distribution():
    replicated = random().normal(0.0, 1.0, size=(4, 50_000))
    found = predictive_p(replicated, 1.0, level=0.9)
    assert found.p_value == pytest.approx(stats.norm.sf(1.0), abs=0.004)
    assert (found.lower, found.upper) == pytest.approx((-1.645, 1.645), abs=0.02)


def test_replicates_that_are_not_numbers_are_refused():
    with pytest.raises(EstimationError, match="replicates"):
        predictive_p(np.array([0.1, np.nan]), 0.3)
