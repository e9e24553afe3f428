"""Betting: fair under the truth, so never short of its level, by enumeration of everything that can happen."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from rctgap.betting import betting_interval, wealth

SIZE = 8
RIGHT = np.arange(SIZE + 1)
SAMPLES = np.array([[1.0] * right + [0.0] * (SIZE - right) for right in RIGHT])
CHANCES = [0.01, 0.05, 0.2, 0.37, 0.5, 0.63, 0.9, 0.99]


@pytest.mark.parametrize("chance", CHANCES)
def test_bets_against_the_true_mean_win_nothing_on_average(chance):
    made = wealth(SAMPLES, np.full(SIZE + 1, chance))
    assert (made >= 0).all()
    assert stats.binom.pmf(RIGHT, SIZE, chance) @ made == pytest.approx(1.0, abs=1e-12)


def test_so_it_is_for_scores_between_and_for_any_distribution():
    support, chance = np.array([0.0, 0.3, 0.35, 1.0]), np.array([0.1, 0.4, 0.2, 0.3])
    draws = np.array(list(product(range(4), repeat=5)))
    made = wealth(support[draws], np.full(len(draws), support @ chance))
    assert chance[draws].prod(axis=1) @ made == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_coverage_is_never_below_the_level(level):
    ends = np.array([betting_interval(sample, level) for sample in SAMPLES])
    for chance in np.linspace(0.001, 0.999, 333):
        inside = (ends[:, 0] <= chance) & (chance <= ends[:, 1])
        assert stats.binom.pmf(RIGHT, SIZE, chance) @ inside >= level


def test_coverage_is_not_certainty():
    """A set that never leaves anything out would pass too."""
    ends = np.array([betting_interval(sample, 0.8) for sample in SAMPLES])
    least = min(
        stats.binom.pmf(RIGHT, SIZE, chance) @ ((ends[:, 0] <= chance) & (chance <= ends[:, 1]))
        for chance in np.linspace(0.001, 0.999, 333)
    )
    assert least < 0.97


def test_stakes_by_hand():
    """Two values and one stake: wealth is the mean of what is made upwards and downwards."""
    stakes = (np.arange(40) + 0.5) / 40
    share = 1 / np.sqrt(stakes * (1 - stakes))
    up = (1 + stakes * (0.9 - 0.4) / 0.4) * (1 + stakes * (0.1 - 0.4) / 0.4)
    down = (1 - stakes * (0.9 - 0.4) / 0.6) * (1 - stakes * (0.1 - 0.4) / 0.6)
    expected = (share * (up + down)).sum() / share.sum() / 2
    assert float(wealth(np.array([0.9, 0.1]), 0.4)) == pytest.approx(expected, abs=1e-14)


def test_order_does_not_matter():
    draw = np.random.default_rng(2)
    values = draw.random(30)
    assert betting_interval(values, 0.95) == pytest.approx(betting_interval(values[::-1], 0.95), abs=1e-12)
    assert betting_interval(values, 0.95) == pytest.approx(betting_interval(draw.permutation(values), 0.95), abs=1e-12)


@pytest.mark.parametrize(("lowest", "highest"), [(-1.0, 1.0), (-2.0, 0.5), (10.0, 13.0)])
def test_another_range_moves_and_stretches_the_interval(lowest, highest):
    values = np.random.default_rng(3).beta(2, 5, 20)
    width = highest - lowest
    found = betting_interval(lowest + width * values, 0.9, lowest, highest)
    lower, upper = betting_interval(values, 0.9)
    assert found == pytest.approx((lowest + width * lower, lowest + width * upper), abs=1e-9)


def test_turned_scores_turn_the_interval():
    values = np.random.default_rng(4).random(12)
    lower, upper = betting_interval(values, 0.95)
    assert betting_interval(1 - values, 0.95) == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


def test_higher_levels_hold_lower_ones():
    values = np.random.default_rng(5).random(15)
    ends = np.array([betting_interval(values, level) for level in (0.5, 0.8, 0.9, 0.95, 0.999)])
    assert (np.diff(ends[:, 0]) < 0).all()
    assert (np.diff(ends[:, 1]) > 0).all()
    assert ends[0, 0] < values.mean() < ends[0, 1]


@pytest.mark.parametrize("values", [np.zeros(10), np.ones(10), np.full(10, 0.4), np.array([0.0, 1.0] * 5), np.ones(1)])
def test_ends_are_where_the_wealth_reaches_the_limit(values):
    lower, upper = betting_interval(values, 0.95)
    assert 0 <= lower <= values.mean() <= upper <= 1
    assert upper - lower > 0
    for end in (lower, upper):
        if 0 < end < 1:
            assert float(wealth(values, end)) == pytest.approx(20, rel=1e-6)


def test_more_values_narrow_the_interval_like_their_square_root():
    values = np.array([0.2, 0.8] * 200)
    widths = [np.ptp(betting_interval(values[:size], 0.95)) for size in (25, 100, 400)]
    assert widths[0] > 1.6 * widths[1] > 1.6**2 * widths[2]
