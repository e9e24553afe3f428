"""Intervals against statsmodels, brute force and closed forms."""

import math

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from rctgap.intervals import (
    Interval,
    bca,
    critical_value,
    delta_share,
    fieller,
    max_t,
    mover,
    percentile,
    ratio_set,
    studentized,
    symmetric,
    wilson,
)


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
@pytest.mark.parametrize(("right", "size"), [(0, 10), (10, 10), (3, 10), (1, 400), (57, 60)])
def test_wilson_is_that_of_statsmodels(right, size, level):
    found = wilson(right / size, size, level)
    expected = proportion_confint(right, size, alpha=1 - level, method="wilson")
    assert (found.lower, found.upper) == pytest.approx(expected, abs=1e-12)
    assert found.kind == "wilson"
    assert 0 <= found.lower < found.upper <= 1


def test_wilson_takes_an_effective_size_that_is_no_integer():
    z2 = stats.norm.ppf(0.975) ** 2
    assert wilson(1.0, 7.5, 0.95).lower == pytest.approx(7.5 / (7.5 + z2), abs=1e-14)


def test_symmetric_is_t_or_normal():
    assert symmetric(1.0, 2.0, 5, 0.9).upper == pytest.approx(1 + 2 * stats.t.ppf(0.95, 5))
    assert symmetric(1.0, 2.0, 5, 0.9).kind == "t"
    assert symmetric(1.0, 2.0, math.inf, 0.9).lower == pytest.approx(1 - 2 * stats.norm.ppf(0.95))
    assert symmetric(1.0, 2.0, math.inf, 0.9).kind == "normal"
    assert critical_value(0.5, 1) == pytest.approx(1.0)


def test_mover_recovers_newcombe_for_a_difference_of_proportions():
    one, two = wilson(0.7, 30, 0.95), wilson(0.4, 50, 0.95)
    found = mover(0.3, 0.0, [(1.0, 0.7, one), (-1.0, 0.4, two)])
    assert found.lower == pytest.approx(0.3 - math.hypot(0.7 - one.lower, two.upper - 0.4))
    assert found.upper == pytest.approx(0.3 + math.hypot(one.upper - 0.7, 0.4 - two.lower))


def test_mover_of_an_ordinary_part_and_a_scaled_end():
    found = mover(0.5, 0.3, [(-0.5, 1.0, Interval(0.2, 1.0, "wilson"))])
    assert found.lower == pytest.approx(0.5 - 0.3)
    assert found.upper == pytest.approx(0.5 + 0.5)  # sqrt(.3^2 + (.5 x .8)^2) = .5


def outside(ratio, top, bottom, joint, critical):
    variance = joint[0, 0] - 2 * ratio * joint[0, 1] + ratio**2 * joint[1, 1]
    return (top - ratio * bottom) ** 2 - critical**2 * variance


def joint_of(one, two, correlation):
    cross = correlation * one * two
    return np.array([[one**2, cross], [cross, two**2]])


@pytest.mark.parametrize(
    ("top", "bottom", "joint"),
    [
        (0.2, 0.6, joint_of(0.05, 0.06, 0.4)),
        (-0.1, 0.3, joint_of(0.04, 0.05, -0.7)),
        (0.3, -0.5, joint_of(0.1, 0.1, 0.0)),
    ],
)
def test_fieller_bounded_against_a_root_search(top, bottom, joint):
    found = fieller(top, bottom, joint, 1.96)
    point = top / bottom
    ends = [
        optimize.brentq(outside, *sorted((point, point + side)), args=(top, bottom, joint, 1.96), xtol=1e-14)
        for side in (-20, 20)
    ]
    assert found.set_type == "bounded"
    assert (found.lower, found.upper) == pytest.approx(ends, abs=1e-9)
    half = 1.96 * delta_share(top, bottom, joint)
    assert found.upper - found.lower > 2 * half


def test_fieller_exclusive_leaves_out_the_middle():
    top, bottom, joint = 0.5, 0.05, joint_of(0.05, 0.06, 0.3)
    found = fieller(top, bottom, joint, 1.96)
    assert found.set_type == "exclusive"
    grid = np.linspace(-50, 50, 20001)
    left_out = grid[[outside(one, top, bottom, joint, 1.96) > 0 for one in grid]]
    assert found.lower == pytest.approx(left_out.min(), abs=0.01)
    assert found.upper == pytest.approx(left_out.max(), abs=0.01)
    for end in (found.lower, found.upper):
        assert outside(end, top, bottom, joint, 1.96) == pytest.approx(0, abs=1e-12)


def test_fieller_unbounded_leaves_out_nothing():
    top, bottom, joint = 0.01, 0.02, joint_of(0.05, 0.06, 0.3)
    assert fieller(top, bottom, joint, 1.96).set_type == "unbounded"
    assert all(outside(one, top, bottom, joint, 1.96) < 0 for one in np.linspace(-100, 100, 2001))


def test_fieller_is_bounded_exactly_where_the_whole_is_away_from_zero():
    joint = joint_of(0.1, 0.1, 0.5)
    assert fieller(0.1, 0.1961, joint, 1.96).set_type == "bounded"
    assert fieller(0.1, 0.1959, joint, 1.96).set_type != "bounded"


def test_delta_is_the_numerical_gradient():
    joint = joint_of(0.03, 0.05, 0.6)
    step = 1e-6
    slope = np.array([((0.2 + step) / 0.7 - 0.2 / 0.7) / step, (0.2 / (0.7 + step) - 0.2 / 0.7) / step])
    assert delta_share(0.2, 0.7, joint) == pytest.approx(math.sqrt(slope @ joint @ slope), rel=1e-5)


@pytest.mark.parametrize("size", [2, 3, 5])
def test_max_t_of_independent_normals_is_sidak(size):
    expected = stats.norm.ppf((1 + 0.95 ** (1 / size)) / 2)
    assert max_t(np.diag(np.arange(1.0, size + 1)), math.inf, 0.95) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("df", [6, math.inf])
@pytest.mark.parametrize("correlation", [-0.4, 0.0, 0.5, 0.95])
def test_max_t_lies_between_one_interval_and_bonferroni(correlation, df):
    joint = np.array([[4.0, correlation * 2, 0], [correlation * 2, 1.0, 0], [0, 0, 9.0]])
    found = max_t(joint, df, 0.95)
    assert critical_value(0.95, df) < found < critical_value(1 - 0.05 / 3, df) + 1e-6


def test_max_t_against_simulation():
    joint = np.array([[1.0, 0.6], [0.6, 2.0]])
    draw = np.random.default_rng(5)
    normal = draw.multivariate_normal([0, 0], joint, 200_000) / np.sqrt([1.0, 2.0])
    drawn = np.abs(normal / np.sqrt(draw.chisquare(8, 200_000) / 8)[:, None]).max(axis=1)
    assert max_t(joint, 8, 0.95) == pytest.approx(np.quantile(drawn, 0.95), abs=0.03)


def test_max_t_of_one_quantity_and_of_copies_is_the_single_value():
    assert max_t(np.array([[2.0]]), 7, 0.9) == critical_value(0.9, 7)
    assert max_t(np.ones((2, 2)), math.inf, 0.95) == pytest.approx(stats.norm.ppf(0.975), abs=2e-3)


def test_max_t_repeats():
    joint = np.array([[1.0, 0.2, 0.1], [0.2, 1.0, 0.3], [0.1, 0.3, 1.0]])
    assert max_t(joint, 9, 0.95) == max_t(joint, 9, 0.95)


# Sets of ratios by inversion.


def line_of(top, bottom, joint, critical):
    """Where the interval of x top - y bottom holds 0."""

    def member(x, y):
        variance = x**2 * joint[0, 0] - 2 * x * y * joint[0, 1] + y**2 * joint[1, 1]
        return (x * top - y * bottom) ** 2 <= critical**2 * variance

    return member


@pytest.mark.parametrize(
    ("top", "bottom", "joint", "set_type"),
    [
        (0.2, 0.6, joint_of(0.05, 0.06, 0.4), "bounded"),
        (-0.1, 0.3, joint_of(0.04, 0.05, -0.7), "bounded"),
        (0.3, -0.5, joint_of(0.1, 0.1, 0.0), "bounded"),
        (0.2, 0.6, joint_of(1e-4, 1e-4, 0.4), "bounded"),
        (0.2, 0.6, joint_of(1e-6, 2e-7, -0.9), "bounded"),
        (0.6, 0.02, joint_of(0.01, 0.005, 0.5), "bounded"),
        (0.5, 0.05, joint_of(0.05, 0.06, 0.3), "exclusive"),
        (-0.5, 0.05, joint_of(0.05, 0.06, 0.3), "exclusive"),
        (0.5, 0.01, joint_of(0.01, 0.006, 0.3), "exclusive"),
        (0.01, 0.02, joint_of(0.05, 0.06, 0.3), "unbounded"),
        (-0.02, -0.01, joint_of(0.06, 0.05, 0.9), "unbounded"),
    ],
)
def test_inversion_of_symmetric_intervals_is_fieller(top, bottom, joint, set_type):
    exact = fieller(top, bottom, joint, 1.96)
    found = ratio_set(line_of(top, bottom, joint, 1.96), top / bottom)
    assert (exact.set_type, found.set_type) == (set_type, set_type)
    assert (found.lower, found.upper) == pytest.approx((exact.lower, exact.upper), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("inside", [1e-6, 0.01, 0.3, 0.5, 0.77, 0.999, 1 - 1e-6])
@pytest.mark.parametrize(
    "angles", [(-1.4, -1.399), (-0.1027, 0.1867), (0.01, 0.012), (0.3, 1.5), (-1.2, 1.3), (1.1, 2.2)]
)
def test_wherever_the_estimate_lies_the_whole_set_is_found(angles, inside):
    low, high = angles

    def member(x, y):
        turned = np.mod(np.arctan2(y, x) - low, np.pi)
        return (turned <= high - low) | (turned > np.pi - 1e-12)

    found = ratio_set(member, math.tan(low + inside * (high - low)))
    ends = (math.tan(low), math.tan(high))
    assert found.set_type == ("bounded" if high < np.pi / 2 else "exclusive")
    assert (found.lower, found.upper) == pytest.approx(sorted(ends), abs=1e-6)


def test_a_set_around_an_infinite_ratio_leaves_out_the_middle():
    found = ratio_set(lambda x, y: np.abs(x) <= 0.5 * np.abs(y), math.inf)
    assert (found.set_type, found.lower, found.upper) == ("exclusive", pytest.approx(-2), pytest.approx(2))


# Intervals from replicates.


def test_percentile_is_the_middle_of_the_replicates():
    found = percentile(np.arange(101.0), 0.9)
    assert (found.lower, found.upper) == pytest.approx((5, 95))
    assert found.kind == "percentile"


def test_studentized_turns_the_pivots_round():
    found = studentized(10.0, 2.0, np.array([-1.0, 0.0, 3.0] * 40), 0.9)
    assert (found.lower, found.upper, found.kind) == (10 - 3 * 2, 10 + 1 * 2, "studentized")


@pytest.mark.parametrize("level", [0.8, 0.95])
@pytest.mark.parametrize("name", ["exponential", "ties"])
def test_bca_is_that_of_scipy(name, level):
    draw = np.random.default_rng(3)
    sample = draw.exponential(size=25)
    sample = sample if name == "exponential" else sample.round(1)
    reference = stats.bootstrap(
        (sample,), np.mean, n_resamples=1999, confidence_level=level, method="BCa", rng=np.random.default_rng(8)
    )
    moved = sample.mean() - (sample.sum() - sample) / (sample.size - 1)
    acceleration = (moved**3).sum() / (6 * (moved**2).sum() ** 1.5)
    found = bca(reference.bootstrap_distribution, sample.mean(), acceleration, level)
    expected = reference.confidence_interval
    assert (found.lower, found.upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found.kind == "bca"
    plain = percentile(reference.bootstrap_distribution, level)
    assert (found.lower, found.upper) != (plain.lower, plain.upper)


def test_bca_without_bias_or_skewness_is_the_percentile_interval():
    draws = np.arange(-50.0, 51.0)
    one, two = bca(draws, 0.0, 0.0, 0.9), percentile(draws, 0.9)
    assert (one.lower, one.upper) == pytest.approx((two.lower, two.upper), abs=1e-9)


@pytest.mark.parametrize("estimate", [-1.0, 200.0])
def test_bca_falls_back_where_every_replicate_lies_on_one_side(estimate):
    assert bca(np.arange(101.0), estimate, 0.1, 0.9) == percentile(np.arange(101.0), 0.9)
