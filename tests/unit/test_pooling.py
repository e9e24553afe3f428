"""Pooling by numbers typed by hand, by statsmodels, and by brute-force integration on a grid."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from rctgap.errors import EstimationError
from rctgap.pooling import PoolingPrior, hierarchical, random_effects

CASES = {
    "two": ([0.12, 0.19], [0.02, 0.03]),
    "three": ([0.10, 0.16, 0.25], [0.02, 0.02, 0.03]),
    "alike": ([0.20, 0.21, 0.195, 0.205], [0.02, 0.03, 0.025, 0.02]),
    "one precise": ([0.30, 0.10, 0.22, 0.05, 0.18], [0.002, 0.08, 0.05, 0.06, 0.09]),
}


def by_hand(y, s, tau2):
    weight = 1 / (np.square(s) + tau2)
    mean = weight @ y / weight.sum()
    return mean, weight @ np.square(y - mean), weight


def test_equal_standard_errors_have_a_closed_form():
    y = np.array([0.10, 0.20, 0.30])
    found = random_effects(y, [0.05] * 3)
    assert found.estimate == pytest.approx(0.20)
    assert found.tau**2 == pytest.approx(y.var(ddof=1) - 0.05**2)  # 0.01 - 0.0025
    half = stats.t.isf(0.025, 2) * 0.1 / math.sqrt(3)  # the one-sample t interval of the estimates
    assert (found.lower, found.upper) == pytest.approx((0.20 - half, 0.20 + half))
    assert found.q == pytest.approx(0.02 / 0.0025)
    assert found.i2 == pytest.approx(1 - 2 / 8)
    ahead = stats.t.isf(0.025, 1) * math.sqrt(0.0075 + 0.01 / 3)
    assert (found.prediction_lower, found.prediction_upper) == pytest.approx((0.20 - ahead, 0.20 + ahead))
    assert found.weights == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize("case", CASES)
def test_tau_solves_the_equation_of_paule_and_mandel(case):
    y, s = (np.array(one) for one in CASES[case])
    found = random_effects(y, s)
    mean, q, weight = by_hand(y, s, found.tau**2)
    assert found.estimate == pytest.approx(mean)
    assert found.weights == pytest.approx(weight / weight.sum())
    if found.tau:
        assert q == pytest.approx(len(y) - 1)
    else:
        assert q <= len(y) - 1


@pytest.mark.parametrize("case", CASES)
def test_statsmodels_agrees(case):
    y, s = (np.array(one) for one in CASES[case])
    found, other = random_effects(y, s), combine_effects(y, s**2, method_re="pm")
    assert found.estimate == pytest.approx(other.mean_effect_re, rel=1e-4)
    assert found.q == pytest.approx(other.q)
    assert found.i2 == pytest.approx(max(0.0, other.i2))
    assert found.tau**2 == pytest.approx(other.tau2, rel=1e-4, abs=1e-12)
    floor = max(other.sd_eff_w_re, other.sd_eff_w_re_hksj)
    assert found.std_error == pytest.approx(floor, rel=1e-4)


def test_trials_that_agree_too_well_keep_the_normal_width_and_have_no_interval_of_tau():
    y, s = (np.array(one) for one in CASES["alike"])
    found = random_effects(y, s)
    assert found.tau == 0.0
    assert (found.tau_lower, found.tau_upper) == (None, None)
    assert found.std_error == pytest.approx(1 / math.sqrt((1 / s**2).sum()))


@pytest.mark.parametrize("case", ["two", "three", "one precise"])
def test_the_interval_of_tau_holds_what_the_q_test_accepts(case):
    y, s = CASES[case]
    found = random_effects(y, s)
    low, high = stats.chi2.ppf([0.025, 0.975], len(y) - 1)
    assert by_hand(y, s, found.tau_upper**2)[1] == pytest.approx(low)
    if found.tau_lower:
        assert by_hand(y, s, found.tau_lower**2)[1] == pytest.approx(high)
    assert found.tau_lower <= found.tau <= found.tau_upper


def test_two_trials_have_one_degree_of_freedom_and_no_prediction():
    found = random_effects(*CASES["two"])
    assert (found.df, found.prediction_lower, found.prediction_upper) == (1, None, None)
    assert found.upper - found.lower == pytest.approx(2 * stats.t.isf(0.025, 1) * found.std_error)


def test_identical_estimates_have_no_spread():
    found = random_effects([0.2, 0.2], [0.1, 0.1])
    assert (found.tau, found.i2) == (0.0, 0.0)
    assert (found.q, found.q_p) == pytest.approx((0.0, 1.0))


def test_moving_and_scaling_the_estimates_moves_and_scales_the_answer():
    y, s = (np.array(one) for one in CASES["three"])
    one, other = random_effects(y, s), random_effects(3 * y - 1, 3 * s)
    assert (other.estimate, other.tau, other.lower) == pytest.approx(
        (3 * one.estimate - 1, 3 * one.tau, 3 * one.lower - 1)
    )
    assert (other.i2, other.q_p) == pytest.approx((one.i2, one.q_p))


def up_to(mass, middles):
    """Distribution function at the ends of the cells."""
    half = (middles[1] - middles[0]) / 2
    return np.concatenate([[0.0], np.cumsum(mass)]), np.concatenate([[middles[0] - half], middles + half])


def grid_posterior(y, s, prior):
    """Brute force: the joint density of mean and tau on a dense rectangle, and moments of everything."""
    mu = -0.7 + (np.arange(1200) + 0.5) * 1.6 / 1200
    tau = (np.arange(800) + 0.5) * 0.6 / 800
    log = stats.norm.logpdf(mu, 0, prior.mu_sd)[:, None] - 0.5 * (tau / prior.tau_scale) ** 2
    for one, error in zip(y, s, strict=True):
        log = log + stats.norm.logpdf(one, mu[:, None], np.hypot(error, tau))
    mass = np.exp(log - log.max())
    mass /= mass.sum()
    return mu, tau, mass


@pytest.mark.parametrize("case", ["two", "three", "alike"])
@pytest.mark.parametrize("prior", [PoolingPrior(), PoolingPrior(0.1, 0.05)], ids=["default", "tight"])
def test_the_posterior_equals_brute_force(case, prior):
    y, s = CASES[case]
    found = hierarchical(y, s, margin=0.15, prior=prior)
    mu, tau, mass = grid_posterior(y, s, prior)
    of_mu, of_tau = mass.sum(axis=1), mass.sum(axis=0)
    mean = of_mu @ mu
    assert found.estimate == pytest.approx(mean, abs=1e-6)
    assert found.std_dev == pytest.approx(math.sqrt(of_mu @ (mu - mean) ** 2), rel=1e-4)
    below, right = up_to(of_mu, mu)
    negative, low, high = np.interp([0.0, -0.15, 0.15], right, below)
    assert found.prob_positive == pytest.approx(1 - negative, abs=1e-4)
    assert found.prob_within_margin == pytest.approx(high - low, abs=1e-4)
    assert (found.lower, found.upper) == pytest.approx(np.interp([0.025, 0.975], below, right), abs=1e-4)
    between = np.interp([0.5, 0.025, 0.975], *up_to(of_tau, tau))
    assert (found.tau, found.tau_lower, found.tau_upper) == pytest.approx(between, abs=1e-4)
    for one, error, trial in zip(y, s, found.trials, strict=True):
        pull = error**2 / (error**2 + tau**2)
        centre = (1 - pull) * one + pull * mu[:, None]
        whole = (mass * centre).sum()
        spread = (mass * ((1 - pull) * error**2 + (centre - whole) ** 2)).sum()
        assert (trial.estimate, trial.std_dev) == pytest.approx((whole, math.sqrt(spread)), rel=1e-4)
        assert trial.lower < trial.estimate < trial.upper


def test_prediction_is_wider_than_the_mean_and_equals_brute_force():
    y, s = CASES["three"]
    found = hierarchical(y, s)
    mu, tau, mass = grid_posterior(y, s, PoolingPrior())

    def below(value):
        return (mass * stats.norm.cdf((value - mu[:, None]) / tau)).sum()

    assert below(found.prediction_lower) == pytest.approx(0.025, abs=2e-4)
    assert below(found.prediction_upper) == pytest.approx(0.975, abs=2e-4)
    assert found.prediction_lower < found.lower
    assert found.upper < found.prediction_upper


def test_a_tau_far_beyond_its_prior_is_found():
    y, s, prior = np.array([-0.5, 0.5, 0.4, -0.4]), [0.001] * 4, PoolingPrior(0.5, 0.01)
    tau = np.linspace(0.02, 0.4, 1001)
    covariances = [np.eye(4) * (t**2 + 0.001**2) + 0.25 for t in tau]
    joint = np.array([stats.multivariate_normal(np.zeros(4), one).logpdf(y) for one in covariances])
    log = joint - 0.5 * (tau / 0.01) ** 2
    mass = np.exp(log - log.max())
    middle = np.interp(0.5, np.cumsum(mass) / mass.sum(), tau)
    assert hierarchical(y, s, prior=prior).tau == pytest.approx(middle, rel=5e-3)
    assert middle > 5 * prior.tau_scale


def test_a_flat_prior_on_the_mean_and_no_spread_gives_the_common_mean():
    y, s = (np.array(one) for one in CASES["alike"])
    found = hierarchical(y, s, prior=PoolingPrior(1000.0, 1e-6))
    weight = 1 / s**2
    assert found.estimate == pytest.approx(weight @ y / weight.sum())
    assert found.std_dev == pytest.approx(weight.sum() ** -0.5)
    assert [one.estimate for one in found.trials] == pytest.approx([found.estimate] * 4)


def test_a_wide_tau_leaves_every_trial_its_own_estimate():
    y, s = CASES["three"]
    found = hierarchical(y, [one / 1000 for one in s], prior=PoolingPrior(10.0, 10.0))
    assert [one.estimate for one in found.trials] == pytest.approx(y, abs=1e-5)


@pytest.mark.parametrize("pool", [random_effects, hierarchical])
@pytest.mark.parametrize(
    ("estimates", "std_errors", "said"),
    [
        ([0.1], [0.1], "1 estimate cannot be pooled"),
        ([0.1, 0.2], [0.1], "standard errors"),
        ([0.1, 0.2], [0.1, 0.0], "not above 0"),
        ([0.1, math.nan], [0.1, 0.1], "not finite"),
        ([0.1, 0.2], [0.1, math.inf], "not finite"),
    ],
)
def test_what_cannot_be_pooled_is_refused(pool, estimates, std_errors, said):
    with pytest.raises(EstimationError, match=said):
        pool(estimates, std_errors)


@pytest.mark.parametrize(
    ("mu_sd", "tau_scale", "named"), [(0.0, 0.1, "mu_sd"), (0.5, -1.0, "tau_scale"), (math.nan, 1, "mu_sd")]
)
def test_priors_without_a_scale_are_refused(mu_sd, tau_scale, named):
    with pytest.raises(EstimationError, match=named):
        PoolingPrior(mu_sd, tau_scale)
