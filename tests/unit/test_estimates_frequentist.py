"""Which covariance goes with which question: defaults, and refusals by name."""

import pytest

import rctgap as rg
from rctgap.errors import EstimandError, EstimationError


def one(study, items, *, people=True, **options):
    frame = study.simulated()
    frame = frame if people else frame.drop(columns="participant")
    return study.estimated(frame, study.benchmark(), rg.Estimand(items=items), **options)


@pytest.mark.parametrize(
    ("items", "people", "expected", "correction"),
    [
        ("fixed", True, "cluster", "CR2"),
        ("fixed", False, "robust", "HC1"),
        ("random", True, "cluster2", ""),
        ("random", False, "item", ""),
    ],
)
def test_defaults(study, items, people, expected, correction):
    found = one(study, items, people=people)
    assert (found.covariance, found.small_sample_name) == (expected, correction)
    assert bool(found.notes) is not people
    if not people:
        assert f"covariance `{expected}` answers of one person count as independent" in found.notes[0]


def test_a_choice_is_not_commented_on(study):
    assert one(study, "fixed", people=False, covariance="robust").notes == ()


@pytest.mark.parametrize(
    ("items", "covariance", "instead"),
    [
        ("fixed", "item", "robust or cluster"),
        ("fixed", "cluster2", "robust or cluster"),
        ("random", "robust", "item or cluster2"),
        ("random", "cluster", "item or cluster2"),
    ],
)
def test_pairs_that_make_no_sense_are_refused_by_name(study, items, covariance, instead):
    with pytest.raises(EstimationError, match=f"'{covariance}' makes no sense with items '{items}'.*{instead}"):
        one(study, items, covariance=covariance)


@pytest.mark.parametrize(("items", "covariance"), [("fixed", "cluster"), ("random", "cluster2")])
def test_without_participants_clustering_is_refused(study, items, covariance):
    with pytest.raises(EstimationError, match=f"'{covariance}' needs every answer's participant"):
        one(study, items, people=False, covariance=covariance)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"covariance": "clustr"}, "cluster"),
        ({"small_sample": "CR4"}, "CR"),
        ({"level": 0}, "level"),
        ({"level": 1}, "level"),
        ({"level": 95}, "level"),
    ],
)
def test_unknown_names_and_levels_are_refused(study, options, said):
    with pytest.raises(EstimationError, match=said):
        one(study, "fixed", **options)


def test_one_item_cannot_speak_for_a_population(study):
    frame = study.simulated(items=("s1",))
    with pytest.raises(EstimationError, match="there is one item"):
        study.estimated(frame, study.benchmark(items=("s1",)), rg.Estimand("random"))


def test_items_random_without_items_is_refused(study):
    frame, runs = study.simulated().drop(columns="item"), study.benchmark().drop(columns="item")
    with pytest.raises(EstimationError, match="no answer or run carries an item"):
        study.estimated(frame, runs, rg.Estimand("random"))


@pytest.mark.parametrize("weights", ["trial", "uniform"])
def test_weights_need_items(study, weights):
    with pytest.raises(EstimandError, match="carry no item"):
        study.estimated(study.simulated().drop(columns="item"), study.benchmark(), rg.Estimand("fixed", weights))


def test_another_estimand_than_the_one_estimated_is_refused(study):
    found = one(study, "fixed")
    with pytest.raises(EstimandError, match="another estimand"):
        rg.decompose(found, rg.Estimand("random"))


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_level_sets_the_width(study, level):
    from scipy import stats  # noqa: PLC0415 - this test alone

    row = study.decomposed(study.simulated(), study.benchmark(), level=level).row("decision")
    assert row.level == level
    assert row.upper - row.estimate == pytest.approx(stats.t.ppf((1 + level) / 2, row.df) * row.std_error)
