"""Covariances against explicit dense matrices, a jackknife, and sums written out."""

import numpy as np
import pytest
import scipy.sparse as sp

from rctgap import variance
from rctgap.variance import Cells, Part, Units

DRAW = np.random.default_rng(8)
# One row per score: participant, cell, score. Participants of unequal size, some in both cells of an answer.
PEOPLE = np.array([0, 0, 0, 1, 1, 2, 3, 3, 3, 3, 4, 5, 5, 6])
PLACES = np.array([0, 1, 2, 0, 1, 0, 0, 1, 1, 2, 2, 0, 2, 1])
SCORES = DRAW.random(PEOPLE.size).round(2)
WEIGHTS = np.array([[0.5, 0.5, -1.0], [1.0, 0.0, 0.0], [0.2, -0.3, 0.7]])
NOBODY = Units(sp.csr_array((0, 3)), sp.csr_array((0, 3)), np.zeros(0), np.ones(3))


def means(people=PEOPLE, scores=SCORES, keep=None):
    keep = np.ones(people.size, dtype=bool) if keep is None else keep
    return np.array([scores[keep & (cell == PLACES)].mean() for cell in range(3)])


def units(labels, scores=SCORES, places=PLACES, width=3):
    centre = np.array([scores[places == cell].mean() for cell in range(width)])
    shape = (labels.max() + 1, width)
    residuals = sp.coo_array((scores - centre[places], (labels, places)), shape).tocsr()
    sizes = sp.coo_array((np.ones(labels.size), (labels, places)), shape).tocsr()
    return Units(residuals, sizes, np.ones(shape[0]), np.bincount(places, minlength=width).astype(float))


def cells(places=PLACES, width=3):
    return Cells(np.bincount(places, minlength=width).astype(float), np.arange(width))


def clustered(kind, weights=WEIGHTS):
    return variance.cluster(units(PEOPLE), NOBODY, cells(), weights, kind)


def test_cr3_is_leaving_one_participant_out():
    left_out = np.array([means(keep=one != PEOPLE) for one in range(7)]) @ WEIGHTS.T
    expected = ((left_out - means() @ WEIGHTS.T) ** 2).sum(axis=0)
    found = clustered("CR3")
    np.testing.assert_allclose(found.variance, expected, rtol=1e-12)


def test_cr1_is_the_sum_over_participants_with_its_factor():
    centre = means()
    for row, weights in enumerate(WEIGHTS):
        influence = weights[PLACES] * (SCORES - centre[PLACES]) / np.bincount(PLACES)[PLACES]
        entering = np.unique(PEOPLE[weights[PLACES] != 0]).size
        summed = np.bincount(PEOPLE, influence)
        found = clustered("CR1")
        assert found.variance[row] == pytest.approx((summed**2).sum() * entering / (entering - 1))
        assert found.df[row] == entering - 1
        assert found.clusters[row] == entering


def dense_cr2(weights):
    """Bell-McCaffrey by their matrices: adjusted residuals, and P from the residual maker."""
    design = np.eye(3)[PLACES]
    bread = np.linalg.inv(design.T @ design)
    maker = np.eye(PEOPLE.size) - design @ bread @ design.T
    residual = maker @ SCORES
    variances, vectors = 0.0, []
    for one in np.unique(PEOPLE):
        mine = one == PEOPLE
        block = maker[np.ix_(mine, mine)]
        value, vector = np.linalg.eigh(block)
        adjust = vector @ np.diag(value**-0.5) @ vector.T
        score = weights @ bread @ design[mine].T @ adjust
        variances += float(score @ residual[mine]) ** 2
        vectors.append(maker[mine].T @ score)
    inner = np.array(vectors) @ np.array(vectors).T
    return variances, np.trace(inner) ** 2 / (inner**2).sum()


@pytest.mark.parametrize("row", range(len(WEIGHTS)))
def test_cr2_and_satterthwaite_are_those_of_the_dense_matrices(row):
    expected, df = dense_cr2(WEIGHTS[row])
    found = clustered("CR2", WEIGHTS[[row]])
    assert found.variance[0] == pytest.approx(expected, rel=1e-12)
    assert found.df[0] == pytest.approx(df, rel=1e-10)
    assert variance.satterthwaite(units(PEOPLE), WEIGHTS[[row]])[0] == pytest.approx(df, rel=1e-10)


def test_satterthwaite_of_one_mean_of_equal_clusters_is_one_less_than_their_number():
    labels, places = np.repeat(np.arange(6), 2), np.zeros(12, dtype=int)
    found = units(labels, DRAW.random(12), places, 1)
    df = variance.satterthwaite(found, np.ones((1, 1)))
    assert df[0] == pytest.approx(5)


def test_hc1_by_hand():
    answers = units(np.arange(PEOPLE.size))
    weights = np.array([[1.0, -1.0, 0.0]])
    found = variance.robust(answers, NOBODY, cells(), weights)
    parts = [SCORES[cell == PLACES] for cell in (0, 1)]
    n = sum(part.size for part in parts)
    raw = sum(((part - part.mean()) ** 2).sum() / part.size**2 for part in parts)
    assert found.variance[0] == pytest.approx(raw * n / (n - 2))
    assert np.isinf(found.df[0])
    assert found.clusters[0] == n


def test_hc1_counts_two_stages_of_one_arm_as_one_cell():
    answers = units(np.arange(PEOPLE.size))
    together = Cells(cells().size, np.array([0, 0, 1]))
    weights = np.array([[1.0, -1.0, 0.0]])
    apart = variance.robust(answers, NOBODY, cells(), weights).variance[0]
    n = int((PLACES < 2).sum())
    joined = variance.robust(answers, NOBODY, together, weights).variance[0]
    assert joined == pytest.approx(apart * (n - 2) / (n - 1))


def test_a_row_that_stands_for_many_equals_the_many():
    values = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    places = np.zeros(5, dtype=int)
    many = units(np.arange(5), values, places, 1)
    few = Units(
        sp.csr_array(np.array([[0.4], [-0.6]])), sp.csr_array(np.ones((2, 1))), np.array([3.0, 2.0]), np.array([5.0])
    )
    one = np.ones((1, 1))
    for kind in ("CR1", "CR2", "CR3"):
        empty = Units(sp.csr_array((0, 1)), sp.csr_array((0, 1)), np.zeros(0), np.array([5.0]))
        left, right = (variance.cluster(empty, which, cells(places, 1), one, kind) for which in (many, few))
        assert left.variance[0] == pytest.approx(right.variance[0], rel=1e-12)
        assert left.df[0] == pytest.approx(right.df[0], rel=1e-12)
    assert variance.effective_size([few], one)[0] == pytest.approx(5)


def test_trial_and_benchmark_add_and_take_welchs_degrees_of_freedom():
    places = np.zeros(4, dtype=int)
    trial = units(np.arange(4), np.array([1.0, 0, 0, 1]), places, 1)
    trial = Units(
        sp.csr_array(sp.hstack([trial.residuals, sp.csr_array((4, 1))])),
        sp.csr_array(sp.hstack([trial.sizes, sp.csr_array((4, 1))])),
        trial.multiplicity,
        np.array([4.0, 3.0]),
    )
    runs = Units(
        sp.csr_array(np.array([[0, 1 / 3], [0, -2 / 3], [0, 1 / 3]])),
        sp.csr_array(np.array([[0, 1.0], [0, 1.0], [0, 1.0]])),
        np.ones(3),
        np.array([4.0, 3.0]),
    )
    found = variance.cluster(trial, runs, Cells(np.array([4.0, 3.0]), np.arange(2)), np.array([[1.0, -1.0]]), "CR2")
    v_trial, v_runs = np.var([1, 0, 0, 1], ddof=1) / 4, np.var([1, 0, 1], ddof=1) / 3
    assert found.variance[0] == pytest.approx(v_trial + v_runs)
    assert found.df[0] == pytest.approx((v_trial + v_runs) ** 2 / (v_trial**2 / 3 + v_runs**2 / 2))


def test_effective_size_by_hand():
    labels, places = np.array([0, 0, 0, 1]), np.zeros(4, dtype=int)
    found = units(labels, DRAW.random(4), places, 1)
    # shares 3/4 and 1/4: 1 / (9/16 + 1/16)
    assert variance.effective_size([found], np.ones((1, 1)))[0] == pytest.approx(1.6)
    assert variance.effective_size([found], -3 * np.ones((1, 1)))[0] == pytest.approx(1.6)
    assert variance.effective_size([found], np.zeros((1, 1)))[0] == 0


def test_items_variance_and_its_degrees_of_freedom():
    item = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])
    found = variance.items(units(item), WEIGHTS[[1]])
    part = SCORES - means()[PLACES]
    sums = [part[(PLACES == 0) & (item == one)].sum() / (PLACES == 0).sum() for one in range(3)]
    present = len(set(item[PLACES == 0]))
    assert found.clusters[0] == present
    assert found.variance[0] == pytest.approx(sum(one**2 for one in sums) * present / (present - 1))
    assert found.df[0] == present - 1


def sums(labels, weights):
    influence = weights[PLACES] * (SCORES - means()[PLACES]) / np.bincount(PLACES)[PLACES]
    used = weights[PLACES] != 0
    summed = np.bincount(labels, influence)
    count = np.unique(labels[used]).size
    return (summed**2).sum() * count / (count - 1)


def test_two_way_is_item_plus_participant_minus_answer_or_item_alone():
    item = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1])
    alone = np.arange(PEOPLE.size)
    many = np.vstack([WEIGHTS, np.random.default_rng(1).normal(size=(20, 3))])
    found = variance.two_way(units(item), units(PEOPLE), units(alone), many)
    floors = []
    for row, weights in enumerate(many):
        by_item = sums(item, weights)
        gain = sums(PEOPLE, weights) - sums(alone, weights)
        assert found.variance[row] == pytest.approx(by_item + max(gain, 0), rel=1e-10)
        floors.append(gain < 0)
    assert found.floored.tolist() == floors
    assert 0 < sum(floors) < len(floors)


def test_joint_falls_back_on_the_item_part_where_the_sum_is_no_covariance():
    good, bad = np.diag([1.0, 1.0]), np.array([[0.0, 3.0], [3.0, 0.0]])
    one = np.ones(2)
    found = variance.Covariance((Part(good, one), Part(bad, one)), one, one, one < 0)
    np.testing.assert_array_equal(found.joint(0, [0, 1]), good)
    fine = variance.Covariance((Part(good, 2 * one), Part(0.1 * bad, one)), one, one, one < 0)
    np.testing.assert_allclose(fine.joint(0, [0, 1]), [[2, 0.3], [0.3, 2]])


@pytest.mark.parametrize("kind", ["CR1", "CR2", "CR3"])
def test_one_participant_has_no_variance(kind):
    found = variance.cluster(units(np.zeros(PEOPLE.size, dtype=int)), NOBODY, cells(), WEIGHTS, kind)
    assert np.isnan(found.variance).all()


def test_entering_counts_units_of_cells_with_weight():
    np.testing.assert_array_equal(variance.entering(units(PEOPLE), WEIGHTS), [7, 5, 7])
