"""Inverting a test of every null: ends typed by hand."""

import math

import numpy as np
import pytest

from rctgap.inversion import ResamplingTest

STEADY = np.array([1.0, 0.0, 0.0])


def inverted(shift, spread=STEADY, estimate=1.0):
    shift = np.array(shift, dtype=float)
    return ResamplingTest(estimate, 1.0, shift, np.tile(spread, (len(shift), 1)), count_observed=False)


def test_without_slopes_the_ends_are_quantiles_of_the_draws():
    # Draws -5 .. 5: at 80 % the two farthest of eleven are left out, and |draw| = 4 is the farthest kept: 4 / 11 > 0.2.
    found = inverted([(draw, 0.0) for draw in range(-5, 6)])
    assert found.interval(0.8) == pytest.approx((1 - 4, 1 + 4))
    assert found.p_value(1 - 4) == pytest.approx(4 / 11)
    assert found.p_value(1 - 4.001) == pytest.approx(2 / 11)


def test_draws_that_follow_the_null_leave_the_interval_unbounded():
    found = inverted([(0.0, 1.0), (0.0, -1.0), *[(0.0, 0.0)] * 18])
    assert found.interval(0.95) == (-math.inf, math.inf)
    assert all(math.isfinite(end) for end in found.interval(0.9))


def test_a_null_of_zero_that_ties_alone_keep_is_in_the_interval():
    # With delta = 1 - null, (1 + delta) / 2 is extreme up to delta = 1 and 2 delta - 1 up to 1/3 and from 1 on;
    # together, which p > 0.15 needs, up to 1/3, and at 1 alone, the null of 0.
    found = inverted([(0.5, 0.5), (-1.0, 2.0), *[(0.0, 0.0)] * 8])
    assert [found.p_value(null) for null in (0.9, 0.5, 0.01, 0.0, -0.01)] == [0.2, 0.1, 0.1, 0.2, 0.1]
    assert found.interval(0.85) == pytest.approx((0.0, 4 / 3))


def test_a_draw_without_variance_counts_as_extreme():
    found = inverted([(1.0, 0.0), (0.0, 0.0)], np.zeros(3))
    assert found.p_value(-3.0) == 1.0
    assert np.isinf(found.statistics(0.0)[0])
    assert np.isnan(found.statistics(0.0)[1])
