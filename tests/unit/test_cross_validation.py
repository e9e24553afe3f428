"""Leave-one-out fit: against ArviZ where units are apart and where alike ones are spelt out, and in closed form."""

import numpy as np
import pytest
from arviz_base import from_dict
from arviz_stats import compare, loo
from scipy import stats

from rctgap.cross_validation import compare_fits, leave_one_out
from rctgap.errors import EstimationError


def normal_fit(seed=5, units=30, draws=(4, 500), spread=1.0):
    """Pointwise log likelihoods (chains, draws, units) of a normal mean with known variance."""
    random = np.random.default_rng(seed)
    data = np.random.default_rng(99).normal(size=units)
    mean = random.normal(data.mean(), spread / np.sqrt(units), size=draws)
    return data, stats.norm.logpdf(data, mean[..., None], spread)


def tree_of(log_likelihood):
    return from_dict({"posterior": {"x": log_likelihood[..., 0]}, "log_likelihood": {"y": log_likelihood}})


@pytest.mark.parametrize("r_eff", [1.0, 0.4])
def test_units_that_stand_for_themselves_give_arviz_s_numbers(r_eff):
    _, pointwise = normal_fit()
    ours = leave_one_out(pointwise, np.ones(30), r_eff=r_eff)
    theirs = loo(tree_of(pointwise), pointwise=True, reff=r_eff)
    assert (ours.elpd, ours.std_error, ours.p_loo) == pytest.approx((theirs.elpd, theirs.se, theirs.p), rel=1e-10)
    assert ours.pointwise == pytest.approx(theirs.elpd_i.values, rel=1e-10)
    assert ours.pareto_k == pytest.approx(theirs.pareto_k.values, rel=1e-10)
    assert ours.threshold == pytest.approx(theirs.good_k, rel=1e-12)


def test_counts_stand_for_the_units_spelt_out():
    _, pointwise = normal_fit(units=6)
    counts = np.array([1.0, 5.0, 2.0, 9.0, 1.0, 3.0])
    ours = leave_one_out(pointwise, counts)
    theirs = loo(tree_of(np.repeat(pointwise, counts.astype(int), axis=-1)), pointwise=True, reff=1.0)
    assert (ours.elpd, ours.std_error, ours.p_loo) == pytest.approx((theirs.elpd, theirs.se, theirs.p), rel=1e-10)


def test_the_estimate_is_the_exact_leave_one_out_density_of_a_normal_mean():
    data, pointwise = normal_fit(draws=(4, 5000))
    n = len(data)
    others = (data.sum() - data) / (n - 1)
    exact = stats.norm.logpdf(data, others, np.sqrt(1.0 + 1.0 / (n - 1))).sum()
    assert leave_one_out(pointwise, np.ones(n)).elpd == pytest.approx(exact, abs=0.02)


def test_a_unit_that_every_draw_finds_alike_costs_nothing_to_leave_out():
    _, pointwise = normal_fit(units=3)
    pointwise[..., 1] = -0.7
    found = leave_one_out(pointwise, np.array([1.0, 4.0, 1.0]))
    assert (found.pointwise[1], found.pareto_k[1]) == pytest.approx((-0.7, 0.0))


def test_a_unit_that_rules_the_posterior_is_counted_with_all_its_copies():
    # Its weights are exp(E) with E exponential: a Pareto tail of shape 1, over any threshold.
    wild = -np.random.default_rng(2).exponential(size=(4, 500))
    _, calm = normal_fit(units=2)
    found = leave_one_out(np.concatenate([calm, wild[..., None]], axis=-1), np.array([1.0, 1.0, 7.0]))
    assert found.pareto_k[2] == pytest.approx(1.0, abs=0.25)
    assert found.threshold == pytest.approx(1 - 1 / np.log10(2000))
    assert found.high_k == 7
    row = compare_fits({"one": found}, "participants")[0]
    assert row.high_k == 7
    assert "7 of 9 participants" in row.note


def test_weights_that_no_tail_fits_are_not_trusted():
    hopeless = -np.abs(np.random.default_rng(2).standard_cauchy(size=(4, 500, 1)))
    assert leave_one_out(hopeless, np.array([3.0])).high_k == 3


def test_fits_are_compared_unit_by_unit_with_the_best_first():
    _, good = normal_fit()
    _, poor = normal_fit(seed=6, spread=2.0)
    counts = np.ones(30)
    best, other = compare_fits({"poor": leave_one_out(poor, counts), "good": leave_one_out(good, counts)}, "answers")
    assert (best.model, best.difference, best.difference_std_error, best.note) == ("good", 0.0, 0.0, "")
    trees = {"poor": loo(tree_of(poor), pointwise=True, reff=1.0), "good": loo(tree_of(good), pointwise=True, reff=1.0)}
    theirs = compare(trees, round_to="none").loc["poor"]
    assert other.difference == pytest.approx(-abs(theirs["elpd_diff"]), rel=1e-9)
    assert other.difference_std_error == pytest.approx(theirs["dse"], rel=0.02)  # ArviZ divides by n, not n - 1
    assert other.units == "answers"
    assert "30 answers" in other.note


def test_fits_that_predict_alike_are_said_to():
    _, one = normal_fit(seed=7)
    _, two = normal_fit(seed=8)
    rows = compare_fits({"one": leave_one_out(one, np.ones(30)), "two": leave_one_out(two, np.ones(30))}, "answers")
    assert "predicts as well as the best" in rows[1].note


def test_fits_of_other_units_are_not_compared():
    _, pointwise = normal_fit(units=3)
    one = leave_one_out(pointwise, np.ones(3))
    two = leave_one_out(pointwise, np.array([1.0, 2.0, 1.0]))
    with pytest.raises(EstimationError, match="other units"):
        compare_fits({"one": one, "two": two}, "answers")


@pytest.mark.parametrize(
    ("counts", "told"),
    [(np.ones(4), "counts"), (np.array([1.0, 0.0, 1.0]), "counts"), (np.array([1.0, 1.5, 1.0]), "counts")],
)
def test_counts_that_do_not_fit_are_refused(counts, told):
    _, pointwise = normal_fit(units=3)
    with pytest.raises(EstimationError, match=told):
        leave_one_out(pointwise, counts)


def test_impossible_units_and_too_few_draws_are_refused():
    _, pointwise = normal_fit(units=3)
    with pytest.raises(EstimationError, match="too few draws"):
        leave_one_out(pointwise[:, :10], np.ones(3))
    pointwise[0, 0, 0] = -np.inf
    with pytest.raises(EstimationError, match="log likelihood has values that are not finite"):
        leave_one_out(pointwise, np.ones(3))
