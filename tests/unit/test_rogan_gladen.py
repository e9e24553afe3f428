"""Means corrected by sensitivity and specificity: values, joint covariance, draws, coverage and refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rctgap.error_rates import ErrorRates
from rctgap.errors import EstimationError
from rctgap.intervals import wilson
from rctgap.rogan_gladen import corrected_draws, corrected_means, lang_reiczigel

RATES = ErrorRates("edit_distance", hits=45, misses=5, correct_rejections=80, false_alarms=20)
OTHER = ErrorRates("judge", hits=190, misses=10, correct_rejections=95, false_alarms=5)
NAMES = ("own_query", "conversation", "decision")


def one(share, variance=0.0, rates=RATES):
    found = corrected_means(np.array([share]), np.array([[variance]]), [rates], NAMES[:1])
    return float(found.means[0]), float(found.covariance[0, 0]), found.notes


def test_the_published_formula_undoes_the_errors():
    truth = 0.37
    share = truth * RATES.sensitivity + (1 - truth) * (1 - RATES.specificity)
    assert one(share)[0] == pytest.approx(truth)


@settings(deadline=None)
@given(st.floats(0.05, 0.95), st.integers(30, 100), st.integers(0, 20), st.integers(30, 100), st.integers(0, 20))
def test_the_variance_is_that_of_numerical_derivatives(share, hits, misses, right, wrong):
    """Central differences of the formula, with binomial variances that count one more case of either kind."""
    rates = ErrorRates("s", hits, misses, right, wrong)

    def formula(p, se, sp):
        return (p + sp - 1) / (se + sp - 1)

    at, step = np.array([share, rates.sensitivity, rates.specificity]), 1e-6
    slopes = [(formula(*(at + step * d)) - formula(*(at - step * d))) / (2 * step) for d in np.eye(3)]

    def binomial(yes, no):
        p = (yes + 1) / (yes + no + 2)
        return p * (1 - p) / (yes + no + 2)

    variances = [0.0007, binomial(hits, misses), binomial(right, wrong)]
    expected = sum(v * s**2 for v, s in zip(variances, slopes, strict=True))
    assert one(share, 0.0007, rates)[1] == pytest.approx(expected, rel=1e-5)


def test_stages_that_share_a_scorer_share_its_errors():
    """Against a simulation of rates and shares: covariances between stages of one scorer, none with another's."""
    rng = np.random.default_rng(4)
    means, own = np.array([0.6, 0.5, 0.7]), np.diag([4e-4, 5e-4, 3e-4])
    found = corrected_means(means, own, [RATES, RATES, OTHER], NAMES)
    size = 200_000

    def rate(yes, no):
        p = (yes + 1) / (yes + no + 2)
        return yes / (yes + no) + rng.standard_normal(size) * math.sqrt(p * (1 - p) / (yes + no + 2))

    shares = means + rng.standard_normal((size, 3)) * np.sqrt(np.diag(own))
    draws = np.empty((size, 3))
    for rates, stages in ((RATES, (0, 1)), (OTHER, (2,))):
        se, sp = rate(rates.hits, rates.misses), rate(rates.correct_rejections, rates.false_alarms)
        for stage in stages:
            draws[:, stage] = (shares[:, stage] + sp - 1) / (se + sp - 1)
    simulated = np.cov(draws.T)
    np.testing.assert_allclose(np.diag(found.covariance), np.diag(simulated), rtol=0.05)
    assert found.covariance[0, 1] == pytest.approx(simulated[0, 1], rel=0.08)
    assert found.covariance[0, 1] > 5e-4
    assert found.covariance[0, 2] == 0.0
    assert np.linalg.eigvalsh(found.covariance)[0] > 0


def test_covariance_of_the_shares_is_carried_and_true_scores_stay():
    joint = np.array([[4e-4, 1e-4], [1e-4, 3e-4]])
    found = corrected_means(np.array([0.6, 0.4]), joint, [RATES, None], NAMES[:2])
    assert found.means[1] == 0.4
    assert found.covariance[1, 1] == pytest.approx(3e-4)
    assert found.covariance[0, 1] == pytest.approx(1e-4 / 0.7)
    unchanged = corrected_means(np.array([0.6, 0.4]), joint, [None, None], NAMES[:2])
    np.testing.assert_array_equal(unchanged.covariance, joint)


def test_labels_without_an_error_leave_uncertainty():
    perfect = ErrorRates("s", 30, 0, 30, 0)
    mean, variance, _ = one(0.4, 0.0, perfect)
    assert mean == pytest.approx(0.4)
    assert variance == pytest.approx((0.4**2 + 0.6**2) * (31 / 32) * (1 / 32) / 32)


@pytest.mark.parametrize(("share", "mean"), [(0.1, -1 / 7), (0.95, 15 / 14)])
def test_means_outside_are_not_cut_but_flagged(share, mean):
    found, _, notes = one(share)
    assert found == pytest.approx(mean)
    assert "own_query" in notes[-1]
    assert "outside [0, 1]" in notes[-1]
    assert len(one(0.5)[2]) == 1
    assert "same in every arm" in one(0.5)[2][0]


@pytest.mark.parametrize("counts", [(5, 5, 5, 5), (2, 8, 7, 3)])
def test_a_scorer_that_says_nothing_is_refused(counts):
    rates = ErrorRates("coin", *counts)
    for attempt in (
        lambda: one(0.5, 0.0, rates),
        lambda: corrected_draws(np.full((3, 1), 0.5), [rates], np.random.default_rng(1)),
        lambda: lang_reiczigel(5, 10, rates),
    ):
        with pytest.raises(EstimationError, match=r"'coin'.*1 or less"):
            attempt()


def test_draws_share_rates_within_a_scorer():
    rng = np.random.default_rng(2)
    found = corrected_draws(np.full((4000, 3), [0.6, 0.6, 0.7]), [RATES, RATES, OTHER], rng)
    np.testing.assert_array_equal(found[:, 0], found[:, 1])
    assert abs(np.corrcoef(found[:, 0], found[:, 2])[0, 1]) < 0.06
    known = corrected_draws(np.full((10, 1), 0.6), [None], rng)
    np.testing.assert_array_equal(known, np.full((10, 1), 0.6))


def test_draws_agree_with_the_delta_method_where_labels_are_many():
    many = ErrorRates("s", 4500, 500, 8000, 2000)
    draws = corrected_draws(np.full((40_000, 1), 0.55), [many], np.random.default_rng(3))
    mean, variance, _ = one(0.55, 0.0, many)
    assert draws.mean() == pytest.approx(mean, abs=3e-4)
    assert draws.var() == pytest.approx(variance, rel=0.05)


def test_no_draw_has_a_scorer_worse_than_chance():
    weak = ErrorRates("s", 6, 4, 6, 4)
    draws = corrected_draws(np.full((5000, 1), 0.5), [weak], np.random.default_rng(5))
    assert np.isfinite(draws).all()
    # With p = 1/2 the corrected value is (sp - 1/2) / (se + sp - 1): were se + sp <= 1 allowed, 13 % of draws would be.
    rng = np.random.default_rng(6)
    se, sp = rng.beta(6.5, 4.5, 200_000), rng.beta(6.5, 4.5, 200_000)
    kept = se + sp > 1
    assert 0.05 < 1 - kept.mean() < 0.25
    expected = np.quantile(((sp - 0.5) / (se + sp - 1))[kept], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(np.quantile(draws, [0.25, 0.5, 0.75]), expected, atol=0.05)


def test_with_a_perfect_scorer_and_endless_labels_lang_reiczigel_is_agresti_coull():
    endless = ErrorRates("s", 1e12, 0, 1e12, 0)
    found = lang_reiczigel(30, 100, endless)
    z = stats.norm.ppf(0.975)
    share = (30 + z**2 / 2) / (100 + z**2)
    half = z * math.sqrt(share * (1 - share) / (100 + z**2))
    assert (found.lower, found.upper) == pytest.approx((share - half, share + half))
    assert found.lower == pytest.approx(wilson(0.3, 100, 0.95).lower, abs=0.01)


def coverage(truth, se, sp, n, labels, replicates=1500):
    """Shares of simulated cases in which each interval covers: delta method and Lang-Reiczigel."""
    rng = np.random.default_rng([round(1000 * truth), n])
    z = stats.norm.ppf(0.975)
    hits = np.zeros(2)
    for _ in range(replicates):
        positive = rng.binomial(n, truth * se + (1 - truth) * (1 - sp))
        right, wrong = rng.binomial(labels, se), rng.binomial(labels, sp)
        rates = ErrorRates("s", right, labels - right, wrong, labels - wrong)
        share = positive / n
        mean, variance, _ = one(share, share * (1 - share) / n, rates)
        other = lang_reiczigel(positive, n, rates)
        hits += [abs(mean - truth) <= z * math.sqrt(variance), other.lower <= truth <= other.upper]
    return hits / replicates


@pytest.mark.parametrize("truth", [0.3, 0.6])
def test_both_intervals_cover_away_from_the_ends(truth):
    delta, lang = coverage(truth, 0.85, 0.9, 200, 80)
    assert 0.93 <= delta <= 0.975
    assert 0.93 <= lang <= 0.975


def test_lang_reiczigel_covers_near_the_end_too():
    delta, lang = coverage(0.03, 0.9, 0.98, 150, 60)
    assert lang >= 0.93
    assert delta >= 0.90
