"""Pseudo-scores from automatic scores and human labels: their mean, their variance, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rctgap.errors import DataError, EstimationError
from rctgap.rectification import (
    LabelledScores,
    arm_means,
    labelled_mean,
    pooled_variance,
    pseudo_scores,
    tuned_lambda,
    where_labels_alone_are_narrower,
)


def example(seed, arms=2, people=12, chance=0.5, answers=2):
    """Labels drawn by chance, a scorer that is right four times in five."""
    rng = np.random.default_rng(seed)
    participant = np.repeat(np.arange(arms * people), answers)
    truth = (rng.random(participant.size) < 0.6).astype(float)
    automatic = np.where(rng.random(truth.size) < 0.8, truth, 1 - truth)
    drawn = rng.random(truth.size) < chance
    drawn[:: people * answers] = True
    human = np.where(drawn, truth, np.nan)
    arm = np.array([f"a{1 + n // people}" for n in participant])
    return LabelledScores(automatic, human, np.full(truth.size, chance), arm, participant)


def variance_by_hand(scores, values):
    """Sum over participants of the squared sum of centred values over the arm's size, in plain loops."""
    total = {}
    for name in set(scores.arm.tolist()):
        rows = [n for n in range(values.size) if scores.arm[n] == name]
        size = sum(scores.weight[n] for n in rows)
        mean = sum(scores.weight[n] * values[n] for n in rows) / size
        for n in rows:
            who = scores.participant[n]
            total[who] = total.get(who, 0.0) + scores.weight[n] * (values[n] - mean) / size
    return sum(one**2 for one in total.values())


def test_a_pseudo_score_by_hand():
    nan = np.nan
    scores = LabelledScores(
        np.array([1.0, 0.5, 0, 1]),
        np.array([0, 1, nan, nan]),
        np.array([0.5, 0.25, 0.5, nan]),
        np.zeros(4),
        np.arange(4),
    )
    # labelled: f l + (h - f l) / e; unlabelled: f l
    assert pseudo_scores(scores, 0.5).scores.tolist() == [0.5 - 0.5 / 0.5, 0.25 + (1 - 0.25) / 0.25, 0.0, 0.5]
    assert pseudo_scores(scores, 0.0).scores.tolist() == [0.0, 4.0, 0.0, 0.0]
    assert pseudo_scores(scores, 0.5).n_labelled == 2


def test_lambda_by_hand():
    # One arm, four participants: xi h / e is 2, 0, 0, 0 (mean 0.5); f (1 - xi / e) is -1, 0, 1, 0 (mean 0).
    nan = np.nan
    scores = LabelledScores(
        np.array([1.0, 0, 1, 0]), np.array([1, 0, nan, nan]), np.full(4, 0.5), np.zeros(4), np.arange(4)
    )
    # A B = (-1.5 - 0.5) / 16, B B = 2 / 16
    assert tuned_lambda(scores) == pytest.approx(1.0)
    assert pooled_variance(scores, 0.0) == pytest.approx((1.5**2 + 3 * 0.5**2) / 16)


def test_lambda_is_not_clipped():
    # Times four, A is -0.5, 1.5, -0.5, -0.5 and B is -0.75, 0.25, 0.25, 0.25.
    human, chance = np.array([0, 1, np.nan, np.nan]), np.full(4, 0.5)
    found = pseudo_scores(LabelledScores(np.array([1.0, 0, 0, 0]), human, chance, np.zeros(4), np.arange(4)))
    assert found.lam == pytest.approx(-2 / 3)
    assert "runs against the labels" in found.note
    weak = LabelledScores(np.array([0.2, 0, 0.2, 0]), 1 - human, chance, np.zeros(4), np.arange(4))
    assert tuned_lambda(weak) == pytest.approx(5.0)


@st.composite
def anything(draw):
    """Small trials with fractional scores, uneven probabilities, counts, and participants of several sizes and arms."""
    size = draw(st.integers(3, 25))

    def column(one):
        return np.array(draw(st.lists(one, min_size=size, max_size=size)))

    unit = st.integers(0, 8).map(lambda n: n / 8)
    human, labelled = column(unit), column(st.booleans())
    probability = np.where(labelled, column(st.integers(1, 8)) / 8, 0.5)
    arm = column(st.sampled_from(["a1", "a2", "a3"]))
    for name in np.unique(arm):
        labelled[np.flatnonzero(arm == name)[0]] = True
    return LabelledScores(
        column(unit),
        np.where(labelled, human, np.nan),
        probability,
        arm,
        column(st.integers(0, 9)),
        column(st.integers(1, 4)).astype(float),
    )


@settings(deadline=None, max_examples=150)
@given(anything(), st.floats(-3, 3), st.booleans())
def test_the_tuned_variance_is_never_larger(scores, other, centred):
    found = pseudo_scores(scores, centred=centred)
    mine = variance_by_hand(scores, found.scores)
    slack = 1e-9 * (1 + mine)
    for lam in (0.0, 1.0, other):
        rival = variance_by_hand(scores, pseudo_scores(scores, lam, centred=centred).scores)
        assert mine <= rival + slack
        assert pooled_variance(scores, lam, centred=centred) == pytest.approx(rival, rel=1e-9, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(anything(), st.randoms(use_true_random=False))
def test_the_order_of_answers_does_not_matter(scores, random):
    order = np.array(random.sample(range(scores.arm.size), scores.arm.size))
    turned = LabelledScores(
        *(getattr(scores, name)[order] for name in ("automatic", "human", "probability", "arm", "participant", "count"))
    )
    assert tuned_lambda(turned) == pytest.approx(tuned_lambda(scores), rel=1e-9, abs=1e-9)


def test_counts_are_repeated_answers_of_one_participant():
    scores = example(3)
    count = np.arange(scores.arm.size) % 3 + 1
    columns = (scores.automatic, scores.human, scores.probability, scores.arm, scores.participant)
    counted = LabelledScores(*columns, count.astype(float))
    repeated = LabelledScores(*(np.repeat(one, count) for one in columns))
    assert tuned_lambda(counted) == pytest.approx(tuned_lambda(repeated))
    assert pseudo_scores(counted).n_labelled == pseudo_scores(repeated).n_labelled
    for one, other in zip(labelled_mean(counted), labelled_mean(repeated), strict=True):
        assert (one.estimate, one.std_error, one.df) == pytest.approx((other.estimate, other.std_error, other.df))


@pytest.mark.parametrize("centred", [False, True])
def test_with_every_answer_labelled_the_human_scores_come_back(centred):
    scores = example(4, chance=1.0)
    for lam in (None, 0.0, 0.7):
        np.testing.assert_allclose(pseudo_scores(scores, lam, centred=centred).scores, scores.human, atol=1e-12)


def test_a_scorer_that_says_one_thing_adds_nothing_where_the_draw_does_not():
    scores = example(5, chance=1.0)
    assert tuned_lambda(scores) == 0.0
    silent = LabelledScores(
        np.zeros(scores.arm.size), *(getattr(example(5), n) for n in ("human", "probability", "arm", "participant"))
    )
    assert tuned_lambda(silent) == 0.0
    assert pseudo_scores(silent).scores.tolist() == pseudo_scores(silent, 0.0).scores.tolist()


@pytest.mark.parametrize("lam", [0.0, 0.5, 1.0])
def test_the_mean_is_right_over_all_draws_of_labels(lam):
    """Every subset of four answers with its probability: the mean pseudo-score is the mean human score exactly."""
    truth, automatic = np.array([1.0, 0, 1, 1]), np.array([0.0, 1, 1, 0.25])
    chances = np.array([0.5, 0.25, 0.75, 1.0])
    total = 0.0
    for mask in range(8):
        drawn = np.array([mask & 1, mask & 2, mask & 4, 1], dtype=bool)
        weight = np.prod(np.where(drawn, chances, 1 - chances)[:3])
        scores = LabelledScores(automatic, np.where(drawn, truth, np.nan), chances, np.zeros(4), np.arange(4))
        total += weight * pseudo_scores(scores, lam).scores.mean()
    assert total == pytest.approx(truth.mean())


def test_centres_leave_the_mean_where_the_number_of_labels_is_fixed():
    """With n_s of N_s answers drawn in each stratum, centred and plain pseudo-scores have one mean for one lambda."""
    truth, automatic = np.array([1.0, 1, 0, 1, 0, 1]), np.array([1.0, 1, 1, 1, 0, 0])
    human, chance = np.where([1, 1, 0, 0, 0, 1], truth, np.nan), np.full(6, 0.5)
    scores = LabelledScores(automatic, human, chance, np.zeros(6), np.arange(6))
    for lam in (0.0, 0.4, 1.0):
        plain, centred = pseudo_scores(scores, lam), pseudo_scores(scores, lam, centred=True)
        assert centred.scores.mean() == pytest.approx(plain.scores.mean())
        assert not np.allclose(centred.scores, plain.scores)


def test_centres_remove_what_the_number_of_labels_adds():
    """Labels that are all right: only their number varies, and the centred pseudo-scores do not see it."""
    scores = LabelledScores(
        np.array([1.0, 0, 1, 0, 1, 0]),
        np.array([1, 1, 1, np.nan, np.nan, np.nan]),
        np.full(6, 0.25),
        np.zeros(6),
        np.arange(6),
    )
    assert pooled_variance(scores, tuned_lambda(scores)) > 0.01
    assert pooled_variance(scores, tuned_lambda(scores, centred=True), centred=True) == pytest.approx(0.0, abs=1e-15)


def test_labelled_mean_by_hand():
    nan = np.nan
    human, probability = np.array([1.0, 0, 1, nan, 1]), np.array([0.5, 0.25, 1.0, 0.5, 0.5])
    arm = np.array(["a1", "a1", "a1", "a1", "a2"])
    first, second = labelled_mean(LabelledScores(np.zeros(5), human, probability, arm, np.array([1, 1, 2, 3, 4])))
    assert first.arm == "a1"
    assert (first.rows, first.clusters) == (3, 2)
    assert first.estimate == pytest.approx((2 * 1 + 4 * 0 + 1 * 1) / 7)
    # CR2: each participant's residual sum over the total weight, over the root of one minus its share.
    mean = 3 / 7
    sums, shares = np.array([2 * (1 - mean) - 4 * mean, 1 - mean]) / 7, np.array([6, 1]) / 7
    assert first.std_error == pytest.approx(np.sqrt(np.sum(sums**2 / (1 - shares))))
    assert second.interval is None


def test_plain_means_are_those_of_textbooks():
    values, who = np.array([0.1, 0.4, 0.9, 0.3, 0.5]), np.arange(5)
    (found,) = arm_means(values, np.zeros(5), who, np.ones(5), level=0.9)
    assert found.std_error == pytest.approx(values.std(ddof=1) / np.sqrt(5))
    assert found.df == pytest.approx(4)
    assert found.interval.upper - found.estimate == pytest.approx(2.131847 * found.std_error, rel=1e-6)


def test_a_mean_without_variation_has_an_interval_all_the_same():
    (found,) = arm_means(np.ones(20), np.zeros(20), np.repeat(np.arange(10), 2), np.ones(20))
    assert found.interval.kind == "wilson"
    assert found.interval.upper == 1.0
    assert found.interval.lower == pytest.approx(10 / (10 + 1.959964**2), rel=1e-5)


def test_it_is_said_where_the_labels_alone_are_narrower():
    rng = np.random.default_rng(1)
    truth = np.r_[np.ones(95), np.zeros(5)]
    drawn = rng.random(100) < 0.4
    arm, who = np.array(["a1"] * 100), np.arange(100)
    noise = (rng.random(100) < 0.5).astype(float)
    scores = LabelledScores(noise, np.where(drawn, truth, np.nan), np.full(100, 0.4), arm, who)
    told = where_labels_alone_are_narrower(scores, pseudo_scores(scores))
    assert "a1" in told
    assert "narrower" in told
    same = LabelledScores(truth, np.where(drawn, truth, np.nan), np.full(100, 0.4), arm, who)
    assert where_labels_alone_are_narrower(same, pseudo_scores(same, 1.0)) == ""


def test_labels_that_cannot_stand_for_the_arm_are_noted():
    automatic = np.repeat([1.0, 0.0], 50)
    human = np.where(automatic == 1, 1.0, np.nan)
    known = np.where(automatic == 1, 1.0, np.nan)
    note = pseudo_scores(LabelledScores(automatic, human, known, np.array(["a1"] * 100), np.arange(100))).note
    assert "stand for 50 answers; it has 100" in note
    assert "stand for" not in pseudo_scores(example(6, people=100)).note


def test_few_labels_are_noted_by_arm():
    note = pseudo_scores(example(7, people=30)).note
    assert "a1" in note
    assert "a2" in note
    assert pseudo_scores(example(7, people=80)).note == ""


def broken(**changes):
    scores = example(8)
    columns = {n: getattr(scores, n).copy() for n in ("automatic", "human", "probability", "arm", "participant")}
    for name, (row, value) in changes.items():
        columns[name][row] = value
    return columns


@pytest.mark.parametrize(
    ("name", "row", "value", "place", "what"),
    [
        ("probability", 0, 0.0, "label probability", "0"),
        ("probability", 5, 0.0, "label probability", "0"),
        ("probability", 2, 1.5, "label probability", "1.5"),
        ("probability", 0, np.nan, "label probability", "nan"),
        ("probability", 3, -0.1, "label probability", "-0.1"),
        ("automatic", 4, np.nan, "automatic", "nan"),
        ("automatic", 4, 1.01, "automatic", "1.01"),
        ("human", 1, -1.0, "human", "-1"),
        ("human", 1, np.inf, "human", "inf"),
    ],
)
def test_a_value_out_of_range_is_refused_with_its_row(name, row, value, place, what):
    with pytest.raises(DataError) as caught:
        LabelledScores(**broken(**{name: (row, value)}))
    (fault,) = caught.value.faults
    assert (fault.place, fault.row, fault.value) == (place, row + 1, what)


def test_a_certain_label_that_is_missing_is_refused():
    scores = example(8)
    row = int(np.flatnonzero(~scores.labelled)[0])
    with pytest.raises(DataError, match="certain to be labelled") as caught:
        LabelledScores(**broken(probability=(row, 1.0)))
    assert caught.value.faults[0].row == row + 1


def test_labels_only_where_the_scorer_says_right_are_refused():
    automatic = np.array([1.0, 1, 0, 0])
    human, chance = np.array([1.0, 0, np.nan, np.nan]), np.array([1.0, 1, 0, 0])
    with pytest.raises(DataError) as caught:
        LabelledScores(automatic, human, chance, np.zeros(4), np.arange(4))
    assert [fault.row for fault in caught.value.faults] == [3, 4]


def test_an_arm_without_labels_is_named():
    scores = example(9)
    human = np.where(scores.arm == "a2", np.nan, scores.human)
    with pytest.raises(EstimationError, match="arm a2 has no labelled answer"):
        LabelledScores(scores.automatic, human, scores.probability, scores.arm, scores.participant)


def test_arrays_of_unequal_length_and_empty_ones_are_refused():
    scores = example(9)
    with pytest.raises(DataError, match="differ in length"):
        LabelledScores(scores.automatic[1:], scores.human, scores.probability, scores.arm, scores.participant)
    nothing = np.zeros(0)
    with pytest.raises(DataError, match="no answer"):
        LabelledScores(nothing, nothing, nothing, nothing, nothing)


def test_a_representation_shows_no_scores():
    assert "1." not in repr(example(1))
