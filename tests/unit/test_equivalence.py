"""Equivalence tests against other software and by direct counting."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from rctgap.equivalence import (
    answers_needed,
    fixed_sequence,
    inverted_p_value,
    items_needed,
    two_one_sided,
    verdict,
)
from rctgap.intervals import symmetric

numbers = st.floats(-0.3, 0.3)
spreads = st.floats(0.001, 0.2)


def test_two_one_sided_tests_are_those_of_statsmodels():
    values = np.random.default_rng(3).normal(0.01, 0.2, 40)
    found = DescrStatsW(values)
    p_value, *_ = found.ttost_mean(-0.08, 0.08)
    assert two_one_sided(values.mean(), found.std_mean, 39, 0.08) == pytest.approx(p_value, abs=1e-12)


@given(numbers, spreads, st.sampled_from([3.0, 9.0, 40.0, math.inf]), st.floats(0.01, 0.4))
def test_p_value_is_the_alpha_at_which_the_interval_touches_the_margin(estimate, spread, df, margin):
    p_value = two_one_sided(estimate, spread, df, margin)
    for alpha in (0.01, 0.05, 0.2):
        ends = symmetric(estimate, spread, df, 1 - 2 * alpha)
        if abs(p_value - alpha) > 1e-9:
            assert (p_value < alpha) == (verdict(ends.lower, ends.upper, margin) == "holds")


@given(numbers, spreads, st.sampled_from([4.0, math.inf]), st.floats(0.02, 0.4))
def test_inverting_intervals_gives_the_p_value_or_one(estimate, spread, df, margin):
    found = inverted_p_value(lambda level: symmetric(estimate, spread, df, level), margin)
    direct = two_one_sided(estimate, spread, df, margin)
    if direct < 0.499:
        assert found == pytest.approx(direct, abs=1e-6)
    else:
        assert found == 1.0 or found >= 0.499


def test_no_interval_has_no_p_value():
    assert inverted_p_value(lambda _: None, 0.05) is None


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ((-0.04, 0.04), "holds"),
        ((-0.05, 0.04), "inconclusive"),
        ((0.051, 0.2), "violated"),
        ((-0.2, -0.051), "violated"),
        ((0.05, 0.2), "inconclusive"),
        ((-0.2, 0.2), "inconclusive"),
        ((None, None), "inconclusive"),
    ],
)
def test_verdicts_lie_strictly_inside_or_beyond(ends, said):
    assert verdict(*ends, 0.05) == said


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=6))
def test_nothing_is_rejected_behind_a_step_that_is_not(p_values):
    adjusted = fixed_sequence(p_values)
    for alpha in (0.05, 0.3):
        first_kept = next((k for k, p in enumerate(p_values) if p is None or p > alpha), len(p_values))
        assert [p is not None and p <= alpha for p in adjusted] == [k < first_kept for k in range(len(p_values))]


def test_answers_needed_have_the_power_asked_for():
    n, variance, fixed, margin, alpha = 400, 0.02**2, 0.008**2, 0.05, 0.05
    needed = answers_needed(n, variance, fixed, margin, alpha, 0.9)
    spread = math.sqrt(variance * n / needed + fixed)
    estimates = np.random.default_rng(1).normal(0.0, spread, 400_000)
    held = np.abs(estimates) < margin - stats.norm.isf(alpha) * spread
    assert held.mean() == pytest.approx(0.9, abs=0.002)


def test_no_number_of_answers_makes_up_for_few_runs():
    assert answers_needed(400, 0.02**2, 0.03**2, 0.05, 0.05, 0.8) is None


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.3])
def test_items_needed_are_the_fewest_that_do(spread):
    def power(size):
        one = spread * math.sqrt(10 / size)
        return 2 * stats.t.cdf(0.05 / one - stats.t.isf(0.05, size - 1), size - 1) - 1

    needed = items_needed(10, spread, 0.05, 0.05, 0.8)
    assert power(needed) >= 0.8
    assert needed == 2 or power(needed - 1) < 0.8
