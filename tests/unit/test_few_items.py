"""Few items: matrices by brute force, the jackknife, and the population's posterior by another integration."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from rctgap.few_items import ItemTable, Population, combined, item_population
from rctgap.intervals import Interval, mover
from rctgap.variance import Units, items

ITEMS = 7
ROWS = np.array([[1.0, 0.0, 0.0], [1.0, -1.0, 0.0], [0.5, 0.5, -1.0], [0.0, 1.0, -1.0]])


def table_of(*, equal, seed=3):
    """Item means and weights in three moments; the second has no score on the last item unless all are equal."""
    draw = np.random.default_rng(seed)
    weights = np.full((ITEMS, 3), 1.0) if equal else draw.integers(1, 9, (ITEMS, 3)).astype(float)
    if not equal:
        weights[-1, 1] = 0.0
    sizes = weights * 10
    weights = weights / weights.sum(axis=0)
    means = draw.random((ITEMS, 3))
    deviations = weights * (means - (weights * means).sum(axis=0))
    return ItemTable(means * sizes, sizes, weights, deviations)


def covariance_by_matrices(table, row):
    """P, the covariance of the adjusted deviations, were item means equally variable and independent."""
    product = np.zeros((ITEMS, ITEMS))
    for moment, coefficient in enumerate(row):
        weight = table.weights[:, moment]
        factor = np.diag(weight / np.sqrt(1 - weight))
        maker = factor @ (np.eye(ITEMS) - np.ones((ITEMS, 1)) @ weight[None, :])
        product += coefficient**2 * maker @ maker.T
    return product


def brute_df(table, row):
    product = covariance_by_matrices(table, row)
    return np.trace(product) ** 2 / np.trace(product @ product)


@pytest.mark.parametrize("row", ROWS)
def test_degrees_of_freedom_are_those_of_the_matrices(row):
    table = table_of(equal=False)
    assert table.degrees_of_freedom(row[None])[0] == pytest.approx(brute_df(table, row), rel=1e-12)


def test_degrees_of_freedom_by_simulation():
    """Normal item means: the variance of the CR2 variance is 2 / df of its squared mean."""
    table, draw = table_of(equal=False), np.random.default_rng(1)
    drawn = []
    for _ in range(4000):
        means = draw.standard_normal((ITEMS, 3))
        deviations = table.weights * (means - (table.weights * means).sum(axis=0))
        drawn.append(np.diag(ItemTable(table.sums, table.sizes, table.weights, deviations).covariance(ROWS)))
    drawn = np.array(drawn)
    assert drawn.mean(axis=0) == pytest.approx([np.trace(covariance_by_matrices(table, row)) for row in ROWS], rel=0.06)
    assert 2 * drawn.mean(axis=0) ** 2 / drawn.var(axis=0) == pytest.approx(table.degrees_of_freedom(ROWS), rel=0.12)


def test_equal_weights_give_one_less_than_the_number_of_items():
    assert table_of(equal=True).degrees_of_freedom(ROWS) == pytest.approx([ITEMS - 1] * len(ROWS))


def test_one_heavy_item_leaves_hardly_a_degree_of_freedom():
    weights = np.array([[0.94], *[[0.01]] * 6])
    table = ItemTable(weights, weights, weights, weights * 0)
    assert 1 <= table.degrees_of_freedom(np.ones((1, 1)))[0] < 1.2


def test_cr3_is_the_jackknife_that_leaves_one_item_out():
    table = table_of(equal=False)
    found = table.covariance(np.eye(3), power=1.0)
    for moment in range(3):
        weight, means = table.weights[:, moment], np.nan_to_num(table.means[:, moment])
        whole = weight @ means
        left = [np.average(np.delete(means, item), weights=np.delete(weight, item)) for item in range(ITEMS)]
        assert found[moment, moment] == pytest.approx(((np.array(left) - whole) ** 2).sum(), rel=1e-12)


def test_cr2_with_equal_weights_is_the_item_variance():
    table = table_of(equal=True)
    size = np.full(3, 1.0)
    units = Units(sp.csr_array(table.deviations), sp.csr_array(table.weights), np.ones(ITEMS), size)
    covariance = items(units, ROWS)
    expected = covariance.parts[0].matrix * ITEMS / (ITEMS - 1)
    assert table.covariance(ROWS) == pytest.approx(expected, rel=1e-12)
    assert np.diag(table.covariance(ROWS)) == pytest.approx(covariance.variance, rel=1e-12)


def test_worth_and_heaviest_item_by_hand():
    weights = np.array([[0.5, 0.25], [0.5, 0.25], [0.0, 0.5]])
    table = ItemTable(weights, weights, weights, np.array([[0.3, 0.1], [-0.3, 0.1], [0.0, -0.2]]))
    assert table.effective() == pytest.approx([2.0, 1 / 0.375])
    assert table.heaviest() == pytest.approx([0.5, 0.04 / 0.06])
    assert ItemTable(weights, weights, weights, weights * 0).heaviest() == pytest.approx([0, 0])


def test_correlation_is_pearsons_of_item_means():
    table = table_of(equal=True)
    assert table.correlation([0, 2]) == pytest.approx(np.corrcoef(table.means[:, [0, 2]].T), abs=1e-12)
    assert table.correlation([1]) == pytest.approx(np.ones((1, 1)))
    still = ItemTable(table.sizes / 2, table.sizes, table.weights, table.deviations)
    assert still.correlation([0, 1]) == pytest.approx(np.eye(2))


def test_an_item_without_scores_at_one_stage_adds_nothing_to_the_correlation():
    table = table_of(equal=False)
    shown = table.means[:-1]
    centred = table.means[:, 0] - table.means[:, 0].mean(), shown[:, 1] - shown[:, 1].mean()
    expected = centred[0][:-1] @ centred[1] / np.sqrt((centred[0] ** 2).sum() * (centred[1] ** 2).sum())
    assert table.correlation([0, 1])[0, 1] == pytest.approx(expected)


# The posterior of a population's mean.


def integrated(sums, sizes, level):
    """The same posterior, beta-binomial likelihood from scipy, on a grid of 1200 by 80 instead of 201 by 20.

    Its priors: Beta(1/2, 1/2) for the mean; the logarithm of the concentration normal around log 3 with sd 1.5.
    """
    edges = np.linspace(0, 1, 1201) ** 2 * (3 - 2 * np.linspace(0, 1, 1201))
    means = (edges[1:] + edges[:-1]) / 2
    prior = np.diff(stats.beta(0.5, 0.5).cdf(edges))
    logs = np.linspace(np.log(0.1), np.log(1000), 80)
    log = np.log(prior)[:, None] + stats.norm(np.log(3.0), 1.5).logpdf(logs)[None, :]
    for right, size in zip(sums, sizes, strict=True):
        first, second = means[:, None] * np.exp(logs), (1 - means)[:, None] * np.exp(logs)
        log = log + stats.betabinom.logpmf(right, size, first, second)
    mass = np.exp(log - log.max()).sum(axis=1)
    reached = np.cumsum(mass) / mass.sum()
    tail = (1 - level) / 2
    return means @ mass / mass.sum(), *np.interp([tail, 1 - tail], reached, edges[1:])


@pytest.mark.parametrize(
    ("sums", "sizes"),
    [
        ([24, 30, 11, 18, 27, 30, 5, 22, 29, 16], [30] * 10),
        ([30, 30, 30, 30, 30, 30, 30, 30, 30, 2], [30] * 10),
        ([60] * 10, [60] * 10),
        ([0] * 6, [8] * 6),
        ([3, 40, 1], [4, 100, 9]),
    ],
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_the_population_against_direct_integration(sums, sizes, level):
    found = item_population(np.array(sums, dtype=float), np.array(sizes, dtype=float), level)
    mean, lower, upper = integrated(sums, sizes, level)
    # The grid of 201 means is a tenth of a logit apart: half a point at most, where the mean is one half.
    assert (found.mean, found.lower, found.upper) == pytest.approx((mean, lower, upper), abs=0.005)
    assert found.lower < found.mean < found.upper


def test_items_that_nobody_answered_say_nothing():
    asked = item_population(np.array([3.0, 4.0]), np.array([5.0, 5.0]), 0.95)
    assert item_population(np.array([3.0, 0.0, 4.0]), np.array([5.0, 0.0, 5.0]), 0.95) == asked


def test_wrong_for_right_turns_the_population_round():
    sums, sizes = np.array([3.0, 9.0, 7.5]), np.array([10.0, 12.0, 8.0])
    one, two = item_population(sums, sizes, 0.9), item_population(sizes - sums, sizes, 0.9)
    assert (1 - two.upper, 1 - two.mean, 1 - two.lower) == pytest.approx((one.lower, one.mean, one.upper), abs=1e-9)


def test_more_items_narrow_the_population():
    widths = []
    for count in (5, 20, 80):
        found = item_population(np.tile([12.0, 18.0, 24.0, 9.0, 27.0], count // 5), np.full(count, 30.0), 0.95)
        widths.append(found.upper - found.lower)
    assert widths[0] > 1.6 * widths[1] > 1.6**2 * widths[2]


# Sums of correlated means.

ONE, TWO, THREE = Population(0.7, 0.55, 0.8), Population(0.4, 0.3, 0.55), Population(0.9, 0.6, 0.97)


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.5, 1.0])
def test_a_difference_is_zous(correlation):
    """Zou (2007), formula 15: L = d - sqrt((m1 - l1)^2 + (u2 - m2)^2 - 2 r (m1 - l1)(u2 - m2)), U likewise."""
    joint = np.array([[1.0, correlation], [correlation, 1.0]])
    lower, upper = combined(np.array([[1.0, -1.0]]), [ONE, TWO], joint)
    down, up = (0.7 - 0.55, 0.55 - 0.4), (0.8 - 0.7, 0.4 - 0.3)
    expected = [
        0.3 + sign * math.sqrt(one**2 + two**2 - 2 * correlation * one * two)
        for sign, (one, two) in ((-1, down), (1, up))
    ]
    assert (lower[0], upper[0]) == pytest.approx(expected)


def test_independent_means_are_movers():
    rows = np.array([[0.5, 0.5, -1.0], [1.0, 0.0, 0.0]])
    lower, upper = combined(rows, [ONE, TWO, THREE], np.eye(3))
    for row, low, high in zip(rows, lower, upper, strict=True):
        parts = [
            (c, one.mean, Interval(one.lower, one.upper, "")) for c, one in zip(row, (ONE, TWO, THREE), strict=True)
        ]
        expected = mover(sum(c * value for c, value, _ in parts), 0.0, parts)
        assert (low, high) == pytest.approx((expected.lower, expected.upper))


def test_a_turned_sum_turns_the_interval():
    joint = np.array([[1.0, 0.3, 0.2], [0.3, 1.0, -0.1], [0.2, -0.1, 1.0]])
    rows = np.array([[0.5, 0.5, -1.0], [-0.5, -0.5, 1.0]])
    lower, upper = combined(rows, [ONE, TWO, THREE], joint)
    assert (-upper[1], -lower[1]) == pytest.approx((lower[0], upper[0]))
