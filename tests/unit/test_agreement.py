"""Agreement of scorers and raters: against statsmodels, Krippendorff's example, plain loops and simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from rctgap.agreement import effective_rates, rater_agreement, scorer_agreement
from rctgap.chance_agreement import cohen_kappa, krippendorff_alpha
from rctgap.errors import DataError
from rctgap.intervals import wilson

NAN = np.nan
# Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability", section D: four observers, twelve units.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
        [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
    ]
).T


@pytest.mark.parametrize(("metric", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_krippendorffs_example(metric, published):
    found = krippendorff_alpha(KRIPPENDORFF, np.arange(12), metric=metric)
    assert found.estimate == pytest.approx(published, abs=5e-4)
    assert found.cases == 11  # the last unit has one rating
    assert found.interval.lower < found.estimate < found.interval.upper < 1


def alpha_by_pairs(ratings, distance):
    """Alpha from every ordered pair of ratings, in plain loops."""
    units = [[one for one in row if not math.isnan(one)] for row in ratings.tolist()]
    units = [row for row in units if len(row) > 1]
    values = [one for row in units for one in row]
    n = len(values)
    seen = (
        sum(
            distance(a, b) / (len(row) - 1)
            for row in units
            for i, a in enumerate(row)
            for j, b in enumerate(row)
            if i != j
        )
        / n
    )
    chance = sum(distance(a, b) for a in values for b in values) / (n * (n - 1))
    return 1 - seen / chance


@pytest.mark.parametrize("metric", ["nominal", "interval"])
def test_alpha_and_its_jackknife_are_those_of_plain_loops(metric):
    rng = np.random.default_rng(1)
    ratings = rng.integers(0, 3, (30, 1)) + (rng.random((30, 3)) < 0.25)
    ratings = np.where(rng.random((30, 3)) < 0.2, NAN, ratings.astype(float))
    who = np.repeat(np.arange(10), 3)
    distance = {"nominal": lambda a, b: float(a != b), "interval": lambda a, b: (a - b) ** 2}[metric]
    found = krippendorff_alpha(ratings, who, metric=metric)
    assert found.estimate == pytest.approx(alpha_by_pairs(ratings, distance))
    left = np.array([alpha_by_pairs(ratings[who != one], distance) for one in range(10)])
    assert found.std_error == pytest.approx(math.sqrt(0.9 * np.sum((left - left.mean()) ** 2)))


def two_raters(seed=2, size=60, values=4):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, values, size).astype(float)
    return first, np.where(rng.random(size) < 0.6, first, rng.integers(0, values, size))


@pytest.mark.parametrize("scheme", ["none", "linear", "quadratic"])
def test_kappa_equals_statsmodels(scheme):
    first, second = two_raters()
    table = np.zeros((4, 4))
    np.add.at(table, (first.astype(int), second.astype(int)), 1)
    kind = {"none": None, "linear": "linear", "quadratic": "quadratic"}[scheme]
    theirs = cohens_kappa(table, wt=kind)
    found = cohen_kappa(first, second, np.arange(60), scheme=scheme)
    assert found.estimate == pytest.approx(theirs.kappa)
    assert found.std_error * math.sqrt(59 / 60) == pytest.approx(theirs.std_kappa)


def test_the_clustered_error_of_kappa_is_that_of_a_jackknife():
    rng = np.random.default_rng(3)
    shared = rng.random(400)[np.repeat(np.arange(400), 3)]
    first = (rng.random(1200) < shared).astype(float)
    second = np.where(rng.random(1200) < 0.3 + 0.6 * shared, first, 1 - first)
    who = np.repeat(np.arange(400), 3)
    found = cohen_kappa(first, second, who)
    left = np.array([cohen_kappa(first[who != g], second[who != g], who[who != g]).estimate for g in range(400)])
    assert found.std_error == pytest.approx(math.sqrt(399 / 400 * np.sum((left - left.mean()) ** 2)), rel=0.01)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 4))
def test_weights_are_repeated_cases(seed, values):
    first, second = two_raters(seed, 12, values)
    first[:2], second[:2] = (0, 1), (0, 1)
    weight = np.arange(12) % 3 + 1
    who = np.arange(12) // 2
    for scheme in ("none", "quadratic"):
        heavy = cohen_kappa(first, second, who, scheme=scheme, weight=weight.astype(float))
        plain = cohen_kappa(*(np.repeat(one, weight) for one in (first, second, who)), scheme=scheme)
        assert heavy.estimate == pytest.approx(plain.estimate)
        assert heavy.std_error == pytest.approx(plain.std_error, abs=1e-9)
    scored, right = (first > 0).astype(float), (second > 0).astype(float)
    ours = scorer_agreement(scored, right, who, weight=weight.astype(float))[:5]
    theirs = scorer_agreement(*(np.repeat(one, weight) for one in (scored, right, who)))[:5]
    for one, other in zip(ours, theirs, strict=True):
        assert one.estimate == pytest.approx(other.estimate, nan_ok=True)
        assert one.std_error == pytest.approx(other.std_error, nan_ok=True, abs=1e-9)


def test_rates_by_hand():
    human, automatic = np.array([1.0, 1, 1, 0, 0, 0, 0]), np.array([1.0, 0, 1, 0, 1, 0, 0])
    weight = np.array([1.0, 2, 1, 1, 3, 1, 1])
    found = {one.measure: one for one in scorer_agreement(automatic, human, np.arange(7), weight=weight)}
    expected = {"agreement": 5 / 10, "sensitivity": 2 / 4, "specificity": 3 / 6, "ppv": 2 / 5, "npv": 3 / 5}
    assert {name: found[name].estimate for name in expected} == pytest.approx(expected)
    assert (found["sensitivity"].cases, found["specificity"].cases) == (3, 4)
    assert found["kappa"].estimate == pytest.approx(1 - 0.5 / (0.4 * 0.5 + 0.6 * 0.5))


def test_groups_stand_alone():
    first, second = two_raters(values=2)
    who, group = np.arange(60) // 2, np.repeat(["own_query", "conversation"], 30)
    found = scorer_agreement(first, second, who, group=group)
    assert [one.group for one in found] == ["conversation"] * 6 + ["own_query"] * 6
    alone = scorer_agreement(first[:30], second[:30], who[:30])
    assert [one.estimate for one in found[6:]] == [one.estimate for one in alone]
    both = rater_agreement(np.column_stack([first, second]), who, group=group)
    assert [(one.group, one.measure) for one in both] == [
        ("conversation", "alpha"),
        ("conversation", "kappa"),
        ("own_query", "alpha"),
        ("own_query", "kappa"),
    ]


def test_perfect_agreement_keeps_a_lower_end_that_grows_with_participants():
    lower = []
    for people in (10, 40):
        human = np.tile([1.0, 0.0], people)
        who = np.repeat(np.arange(people), 2)
        found = {one.measure: one for one in scorer_agreement(human, human, who)}
        for one in found.values():
            assert one.estimate == 1.0
            assert one.interval.lower < 0.97 < one.interval.upper == 1.0
        assert found["sensitivity"].interval == wilson(1.0, people, 0.95)
        assert "No disagreement" in found["kappa"].note
        alpha = krippendorff_alpha(np.column_stack([human, human]), who)
        assert alpha.interval.upper == 1.0
        assert 1 - alpha.interval.lower == pytest.approx(
            (1 - wilson(1.0, people, 0.95).lower) * (2 * people * 2 - 1) / (2 * people), rel=1e-9
        )
        lower.append(found["kappa"].interval.lower)
    assert lower[0] < lower[1]


def test_what_cannot_be_told_says_why():
    ones, who = np.ones(8), np.arange(8)
    found = {one.measure: one for one in scorer_agreement(ones, ones, who)}
    assert math.isnan(found["specificity"].estimate)
    assert "No case is wrong" in found["specificity"].note
    assert math.isnan(found["kappa"].estimate)
    assert "Every rating is the same" in found["kappa"].note
    assert "Every rating is the same" in krippendorff_alpha(np.ones((4, 2)), np.arange(4)).note
    assert "No case has two" in krippendorff_alpha(np.array([[1.0, NAN], [NAN, 0]]), np.arange(2)).note
    alone = scorer_agreement(np.array([1.0, 0, 1]), np.array([1.0, 0, 0]), np.zeros(3))
    assert {one.interval for one in alone} == {None}
    assert all("single participant" in one.note for one in alone)


def test_bad_ratings_and_weights_are_refused_with_their_row():
    good = np.array([1.0, 0, 1])
    with pytest.raises(DataError) as caught:
        scorer_agreement(np.array([1.0, 2, NAN]), good, np.arange(3))
    assert [fault.row for fault in caught.value.faults] == [2, 3]
    with pytest.raises(DataError, match="weight cannot be used"):
        scorer_agreement(good, good, np.arange(3), weight=np.array([1.0, 0, 1]))
    with pytest.raises(DataError, match="differ in length"):
        cohen_kappa(good, good, np.arange(2))


def clustered(rng, people=60, answers=3):
    """Labels and scores whose errors run in participants: sensitivity 0.8, specificity 0.85."""
    who = np.repeat(np.arange(people), answers)
    skill = rng.beta(8, 2, people)[who]
    human = (rng.random(who.size) < 0.5).astype(float)
    right = np.where(human == 1, skill, 0.25 + 0.75 * skill)
    return np.where(rng.random(who.size) < right, human, 1 - human), human, who


def test_intervals_cover_with_clustered_errors():
    truth = {"sensitivity": 0.8, "specificity": 0.85, "agreement": 0.825, "kappa": 0.65}
    truth |= {"ppv": 0.8 / 0.95, "npv": 0.85 / 1.05}
    held = dict.fromkeys(truth, 0)
    alpha = []
    for child in np.random.SeedSequence(5).spawn(400):
        automatic, human, who = clustered(np.random.default_rng(child))
        for one in scorer_agreement(automatic, human, who):
            held[one.measure] += one.interval.lower <= truth[one.measure] <= one.interval.upper
        alpha.append(krippendorff_alpha(np.column_stack([automatic, human]), who).interval)
    margin = 0.5 * (0.8 + 0.15)  # share scored right; alpha's chance agreement is from the pooled margins
    pooled = (margin + 0.5) / 2
    true_alpha = 1 - 0.175 / (2 * pooled * (1 - pooled))
    assert all(0.92 <= one / 400 <= 0.98 for one in held.values()), held
    assert 0.92 <= np.mean([one.lower <= true_alpha <= one.upper for one in alpha]) <= 0.98


def test_effective_rates_have_the_clustered_precision():
    automatic, human, who = clustered(np.random.default_rng(9), people=200, answers=4)
    alike = np.tile([1.0, 0.0], 200)[np.repeat(np.arange(400), 2)]
    found = effective_rates("s", automatic, human, who)
    mean = next(one for one in scorer_agreement(automatic, human, who) if one.measure == "sensitivity")
    size = found.hits + found.misses
    assert found.sensitivity == pytest.approx(mean.estimate)
    assert size < (human == 1).sum()
    assert found.sensitivity * (1 - found.sensitivity) / size == pytest.approx(mean.std_error**2)
    perfect = effective_rates("s", alike, alike, np.repeat(np.arange(400), 2))
    assert (perfect.hits, perfect.misses) == pytest.approx((200, 0))
    with pytest.raises(DataError, match="right cases and wrong cases"):
        effective_rates("s", np.ones(4), np.ones(4), np.arange(4))
