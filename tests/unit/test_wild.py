"""The wild cluster bootstrap against refits written out, its level under the null, and what has no test."""

import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

import rctgap as rg
from rctgap import wild
from rctgap.estimands import contrasts
from rctgap.frequentist import covariance_of
from rctgap.inference import linear
from rctgap.inference_by_design import wild_cluster_bootstrap
from rctgap.variance import Units

DRAW = np.random.default_rng(11)
# One row per score: cluster, location, score. Clusters of unequal size, some in several locations.
GROUPS = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7, 7])
PLACES = np.array([0, 1, 2, 0, 1, 0, 0, 1, 1, 2, 2, 0, 2, 1, 1, 2])
SCORES = DRAW.random(GROUPS.size).round(2)
WEIGHTS = np.array([[1.0, -1.0, 0.0], [0.5, 0.5, -1.0], [0.0, 0.0, 1.0]])


def units(groups=GROUPS, places=PLACES, scores=SCORES, multiplicity=None, width=3):
    copies = np.ones(groups.max() + 1) if multiplicity is None else multiplicity
    size = np.bincount(places, copies[groups], width)
    centre = np.bincount(places, copies[groups] * scores, width) / size
    shape = (groups.max() + 1, width)
    residuals = sp.coo_array((scores - centre[places], (groups, places)), shape).tocsr()
    return Units(residuals, sp.coo_array((np.ones(groups.size), (groups, places)), shape).tocsr(), copies, size)


def values(quantities=WEIGHTS):
    return quantities @ [SCORES[place == PLACES].mean() for place in range(3)]


def refit(quantity, null, v):
    """Bootstrap t by least squares: restricted fit, new outcome, unrestricted fit, CR1. Locations without weight go."""
    inside = quantity[PLACES] != 0
    y, group, a = SCORES[inside], GROUPS[inside], quantity[quantity != 0]
    design = np.eye(3)[PLACES[inside]][:, quantity != 0]
    inverse = np.linalg.inv(design.T @ design)

    def fit(outcome):
        mean = inverse @ design.T @ outcome
        score = design * (outcome - design @ mean)[:, None]
        summed = np.array([score[one == group].sum(axis=0) for one in np.unique(group)])
        count = len(summed)
        return mean, math.sqrt(a @ inverse @ summed.T @ summed @ inverse @ a * count / (count - 1))

    mean, _ = fit(y)
    restricted = mean - inverse @ a * (a @ mean - null) / (a @ inverse @ a)
    fitted = design @ restricted
    drawn, error = fit(fitted + v[group] * (y - fitted))
    return (a @ drawn - null) / error


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("null", [0.0, 0.3, -2.0])
def test_a_draw_is_the_refitted_regression(weights, row, null):
    clusters, codes = wild.cells_as_locations(units()), wild.draw_weights(8, weights, 40, seed=3)
    inside = np.isin(np.arange(8), GROUPS[WEIGHTS[row][PLACES] != 0])
    part = wild.Clusters(clusters.deviations[inside], clusters.shares[inside], clusters.sizes)
    test = wild.wild_test(part, WEIGHTS[row], values()[row], codes[:, inside], weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = np.array([refit(WEIGHTS[row], null, wild.VALUES[weights][one]) for one in codes])
    sound = np.abs(expected) < 1e6  # a draw without any residual has no finite t
    assert sound.sum() > 30
    np.testing.assert_allclose(test.statistics(null)[sound], expected[sound], rtol=1e-8, atol=1e-10)
    assert test.statistic(null) == pytest.approx(refit(WEIGHTS[row], null, np.ones(8)))


def test_alike_units_are_clusters_of_their_own():
    groups, places = np.array([0, 1, 2, 3]), np.array([0, 0, 1, 1])
    scores, copies = np.array([1.0, 0.0, 1.0, 0.0]), np.array([3.0, 2.0, 2.0, 4.0])
    together = wild.cells_as_locations(units(groups, places, scores, copies, 2))
    each = np.repeat(groups, copies.astype(int))
    apart = wild.cells_as_locations(units(np.arange(11), places[each], scores[each], width=2))
    quantity, value = np.array([[1.0, -1.0]]), np.array([0.6 - 1 / 3])
    found = [wild.wild_bootstrap(one, quantity, value, seed=1)[0] for one in (together, apart)]
    assert found[0].clusters == 11
    assert found[0] == found[1]


def test_counts_that_are_not_whole_are_refused():
    with pytest.raises(rg.RctgapError, match="not a whole number"):
        wild.cells_as_locations(
            units(np.array([0, 1]), np.array([0, 0]), np.array([0.2, 0.7]), np.array([1.5, 1.0]), 1)
        )


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_draws_are_distinct_and_do_not_depend_on_workers(weights):
    alone = wild.draw_weights(60, weights, 300, seed=5)
    assert len(np.unique(alone, axis=0)) == 300
    for pool in (ThreadPoolExecutor(1), ThreadPoolExecutor(2), ProcessPoolExecutor(2)):
        with pool as executor:
            np.testing.assert_array_equal(wild.draw_weights(60, weights, 300, 5, executor), alone)


def test_a_result_does_not_depend_on_workers_or_on_the_other_quantities():
    clusters = wild.cells_as_locations(units())
    alone = wild.wild_bootstrap(clusters, WEIGHTS[:1], values()[:1], seed=9, replicates=99)
    with ThreadPoolExecutor(2) as executor:
        together = wild.wild_bootstrap(clusters, WEIGHTS, values(), seed=9, replicates=99, executor=executor)
    assert together[0] == alone[0]
    assert not alone[0].enumerated


@pytest.mark.parametrize(("weights", "moments"), [("rademacher", (0, 1, 0, 1)), ("webb", (0, 1, 0, 7 / 6))])
def test_weights_have_mean_0_variance_1_and_their_fourth_moment(weights, moments):
    points = wild.VALUES[weights]
    assert [np.mean(points**power) for power in (1, 2, 3, 4)] == pytest.approx(moments)
    drawn = wild.draw_weights(1000, weights, 100, seed=2)
    counts = np.bincount(drawn.ravel(), minlength=points.size)
    assert stats.chisquare(counts).pvalue > 0.001


def test_random_signs_approach_the_enumeration():
    clusters = wild.cells_as_locations(units())
    whole = wild.wild_bootstrap(clusters, WEIGHTS[1:2], values()[1:2], seed=1)[0]
    assert whole.enumerated
    assert whole.replicates == 256
    codes = wild.draw_weights(8, "rademacher", 20_000, seed=1)
    drawn = wild.wild_test(clusters, WEIGHTS[1], values()[1], codes, "rademacher").p_value(0.0)
    assert drawn == pytest.approx(whole.p_value, abs=4 * math.sqrt(0.25 / 20_000))


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
@pytest.mark.parametrize("level", [0.8, 0.9])
def test_the_ends_are_where_p_falls_to_alpha(weights, level):
    clusters = wild.cells_as_locations(units())
    for result in wild.wild_bootstrap(clusters, WEIGHTS[:2], values()[:2], weights=weights, seed=4, level=level):
        assert result.lower < result.estimate < result.upper
        width = result.upper - result.lower
        for end, outwards in ((result.lower, -1), (result.upper, 1)):
            assert result.test.p_value(end - outwards * 1e-9 * width) > 1 - level
            beyond = [result.test.p_value(end + outwards * step * width) for step in (1e-9, 0.01, 0.1, 1, 10, 1e4)]
            assert max(beyond) <= 1 - level + 1e-12


def null_p_values(clusters, times, seed):
    """p of the truth where clusters are alike: 9 with two scores each, in two locations of three and six clusters."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(clusters), 2)
    places = (groups >= clusters // 3).astype(int)
    found = []
    for _ in range(times):
        scores = rng.normal(size=clusters)[groups] + rng.normal(size=groups.size)
        mean = np.array([scores[place == places].mean() for place in (0, 1)])
        problem = wild.cells_as_locations(units(groups, places, scores, width=2))
        result = wild.wild_bootstrap(problem, np.array([[1.0, -1.0]]), mean[:1] - mean[1:], seed=1)[0]
        assert (result.p_value > 0.05) == (result.lower < 0 < result.upper)
        found.append(result.p_value)
    return np.array(found)


def test_a_true_null_is_rejected_as_often_as_the_level_says():
    found = null_p_values(9, 500, seed=20260522)
    for level in (0.05, 0.2, 0.5):
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * math.sqrt(level * (1 - level) / 500))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"weights": "radmacher"}, "did you mean 'rademacher'"), ({"replicates": 0}, "a bootstrap needs replicates")],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(rg.RctgapError, match=f"(?i){message}"):
        wild.wild_bootstrap(wild.cells_as_locations(units()), WEIGHTS, values(), **{"seed": 1, **options})


def test_one_cluster_and_no_variation_have_no_test():
    alone = wild.cells_as_locations(units(np.array([0, 0]), np.array([0, 0]), np.array([0.2, 0.7]), width=1))
    alike = wild.cells_as_locations(units(np.array([0, 1, 2]), np.array([0, 0, 0]), np.ones(3), width=1))
    one, same = (wild.wild_bootstrap(problem, np.ones((1, 1)), np.ones(1), seed=1)[0] for problem in (alone, alike))
    assert (one.p_value, one.note) == (None, wild.ONE_CLUSTER)
    assert (same.p_value, same.lower, same.note) == (None, None, wild.NO_VARIATION)


# ------------------------------------------------------------------ from estimates


def rows_of(estimates):
    return contrasts(estimates.scores.chain, "a1", {"a1": 1.0}, "control")


@pytest.mark.parametrize("item_weights", ["observed", "trial", "uniform"])
def test_with_items_fixed_the_statistic_is_the_cr1_ratio(study, item_weights):
    estimand = rg.Estimand(items="fixed", item_weights=item_weights)
    estimates = study.estimated(study.simulated(), study.benchmark(), estimand, small_sample="CR1")
    rows = [one for one in rows_of(estimates) if one.quantity in ("conversation", "decision", "realized_effect")]
    plain = linear(estimates, [one.coefficients for one in rows])
    found = wild_cluster_bootstrap(estimates, [one.coefficients for one in rows], replicates=199, seed=1)
    for ours, theirs in zip(found, plain, strict=True):
        assert ours.clusters == theirs.clusters
        assert ours.statistic == pytest.approx(theirs.estimate / theirs.std_error, rel=1e-10)


@pytest.mark.parametrize("item_weights", ["observed", "trial", "uniform"])
@pytest.mark.parametrize("non_users", ["zero", "exclude", "control"])
def test_with_items_random_the_statistic_is_the_item_ratio(study, item_weights, non_users):
    frame = study.simulated(people=16, items=("s1", "s2", "s3", "s4", "s5"), seed=3)
    frame["used"] = ~((frame["arm"] == "a1") & frame["participant"].isin(["a1-2", "a1-5", "a1-9"]))
    estimand = rg.Estimand(items="random", item_weights=item_weights, non_users=non_users)
    runs = study.benchmark(items=("s1", "s2", "s3", "s4", "s5"))
    runs.loc[runs.index[:2], "benchmark"] = 0.0
    estimates = study.estimated(frame, runs, estimand, covariance="item")
    rows = [one for one in rows_of(estimates) if one.quantity != "item_mix"]
    matrix = np.array([estimates.row(one.coefficients) for one in rows])
    error = np.sqrt(covariance_of(estimates, matrix).variance)
    found = wild_cluster_bootstrap(estimates, [one.coefficients for one in rows], seed=1)
    assert {one.clusters for one in found} == {5}
    assert [one.statistic for one in found] == pytest.approx([o.estimate for o in found] / error, rel=1e-9)


def test_item_mix_with_items_random_has_no_null_to_impose_and_says_so(study):
    frame = study.simulated(people=13, items=("s1", "s2", "s3", "s4"))
    estimates = study.estimated(frame, study.benchmark(items=("s1", "s2", "s3")), rg.Estimand(items="random"))
    mix = next(one.coefficients for one in rows_of(estimates) if one.quantity == "item_mix")
    result = wild_cluster_bootstrap(estimates, [mix], seed=1)[0]
    assert result.p_value is None
    assert result.note


def test_a_stage_at_its_edge_is_named_and_an_absent_moment_has_its_reason(study):
    frame = study.simulated()
    estimates = study.estimated(frame, study.benchmark(right=4))
    gap = next(one.coefficients for one in rows_of(estimates) if one.quantity == "gap")
    lost = {rg.MomentKey("a1", "lost:own_query"): 1.0}
    edge, absent = wild_cluster_bootstrap(estimates, [gap, lost], replicates=99, seed=1)
    assert "a stage mean of 0 or 1" in edge.note
    assert (absent.p_value, absent.note) == (None, "the benchmark is an independent sample, not paired with answers")
    assert wild_cluster_bootstrap(estimates, [], seed=1) == ()


def test_with_many_participants_the_interval_is_close_to_the_cluster_robust_one(study):
    estimates = study.estimated(study.simulated(people=150), study.benchmark(repeats=20, right=15))
    gap = next(one.coefficients for one in rows_of(estimates) if one.quantity == "gap")
    plain = linear(estimates, [gap])[0].interval
    found = wild_cluster_bootstrap(estimates, [gap], seed=1)[0]
    width = plain.upper - plain.lower
    assert found.lower == pytest.approx(plain.lower, abs=0.05 * width)
    assert found.upper == pytest.approx(plain.upper, abs=0.05 * width)
