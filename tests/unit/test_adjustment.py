"""Adjustment for covariates: what is adjusted, what is left alone and said so, and what is refused."""

import warnings
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.adjustment import adjusted
from rctgap.caveats import coverage_limits
from rctgap.checks.other_route import effect_by_interactions
from rctgap.inference import linear

FIXED = rg.Estimand("fixed")
EFFECT = {rg.MomentKey("a1", "decision"): 1.0, rg.MomentKey("control", "decision"): -1.0}
BOTH = pytest.mark.parametrize("adjustment", ["linear", "logistic"])


def frame_of(study, people=30, arms=("a1", "control"), seed=2, **options):
    """Participants with an age that foretells their decisions, and a site that does not."""
    frame = study.simulated(people=people, arms=arms, seed=seed, **options)
    draw = np.random.default_rng(seed)
    who = pd.factorize(frame["participant"])[0]
    frame = frame.assign(age=draw.normal(50, 10, who.max() + 1)[who], site=np.where(who % 4 == 0, "north", "south"))
    for stage in ("conversation", "decision"):
        foretold = (frame["age"] + draw.normal(0, 8, len(frame)) > 50).astype(float)
        frame[stage] = foretold.where(frame[stage].notna())
    return frame


def scores_of(study, frame, covariates=("age", "site"), design=None):
    chosen = design or rg.Design("control", ["a1"])
    trial = rg.read_trial(frame, benchmark=study.benchmark(), design=chosen)
    return rg.score_stages(trial, rg.DEFAULT_CHAIN, covariates=covariates)


def estimated(study, frame, estimand=FIXED, covariates=("age", "site"), design=None, **options):
    return rg.estimate_frequentist(scores_of(study, frame, covariates, design), estimand, **options)


def decomposed(estimates):
    """The estimand asked for alone, without those that a result shows beside it."""
    alone = patch("rctgap.decomposition._companions", lambda _: ([], []))
    with alone, warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        return rg.decompose(estimates, estimates.estimand)


def refused(study, frame, *, covariates=("age", "site"), estimand=FIXED, **options):
    with pytest.raises(rg.RctgapError) as caught:
        estimated(study, frame, estimand, covariates, **options)
    assert type(caught.value).__name__ == "EstimationError"
    return str(caught.value)


@pytest.mark.parametrize(("adjustment", "name"), [("linear", "lin"), ("logistic", "g-computation")])
def test_estimates_say_how_they_were_adjusted(study, adjustment, name):
    found = estimated(study, frame_of(study), adjustment=adjustment)
    assert (found.estimator, found.adjustment) == (name, adjustment)
    assert any("adjusted for age, site" in note and "to first order" in note for note in found.notes)


def test_without_covariates_the_estimator_is_the_plug_in(study):
    found = study.estimated(frame_of(study), study.benchmark())
    assert (found.estimator, found.adjustment, found.statistics.adjusted) == ("plug-in", "none", frozenset())


@BOTH
def test_stage_means_of_answers_are_adjusted_and_nothing_else(study, adjustment):
    frame = frame_of(study)
    found = estimated(study, frame, adjustment=adjustment)
    plain = study.estimated(frame, study.benchmark())
    stages = {rg.MomentKey("a1", name) for name in ("own_query", "conversation", "decision")}
    assert found.statistics.adjusted == stages | {rg.MomentKey("control", "decision")}
    assert found.statistics.moments == plain.statistics.moments
    for key in found.statistics.moments:
        same = found.value(key) == pytest.approx(plain.value(key), abs=1e-12)
        assert same == (key not in found.statistics.adjusted), key


@BOTH
def test_a_covariate_without_signal_changes_little(study, adjustment):
    frame = frame_of(study, people=400)
    found = linear(estimated(study, frame, covariates=("site",), adjustment=adjustment), [EFFECT])[0]
    plain = linear(study.estimated(frame, study.benchmark()), [EFFECT])[0]
    assert found.estimate == pytest.approx(plain.estimate, abs=0.1 * plain.std_error)
    assert found.std_error == pytest.approx(plain.std_error, rel=0.01)


@BOTH
def test_a_prognostic_covariate_narrows_the_effect(study, adjustment):
    frame = frame_of(study, people=200)
    found = linear(estimated(study, frame, adjustment=adjustment), [EFFECT])[0]
    plain = linear(study.estimated(frame, study.benchmark()), [EFFECT])[0]
    assert found.std_error < 0.8 * plain.std_error


@BOTH
def test_counts_and_degrees_of_freedom_speak_of_answers_whose_scores_enter(study, adjustment):
    """The control arm's ages inform the mean of the AI arm; its answers are no part of that mean."""
    found = linear(estimated(study, frame_of(study), adjustment=adjustment), [{rg.MomentKey("a1", "decision"): 1.0}])[0]
    assert (found.n, found.clusters) == (60, 30)
    assert found.df == pytest.approx(29.0)


@pytest.mark.parametrize("estimand", [FIXED, rg.Estimand("fixed", "trial"), rg.Estimand("random", "uniform")])
@pytest.mark.parametrize("covariance", ["ours", "blind"])
@BOTH
def test_every_covariance_gives_a_whole_result(study, adjustment, estimand, covariance):
    frame = frame_of(study, people=40)
    if covariance == "blind":
        frame = frame.drop(columns="participant")
    result = decomposed(estimated(study, frame, estimand, adjustment=adjustment))
    assert not study.faults(result)
    parts = sum(result.row(name).estimate for name in ("own_query", "conversation", "decision"))
    assert parts == pytest.approx(result.row("gap").estimate, abs=1e-12)


def test_with_items_random_the_item_influences_of_a_standardised_mean_are_its_item_means(study):
    """By hand: sum over items of pi (theta_s - theta), squared, times S/(S - 1), before correcting residuals."""
    frame = frame_of(study, people=300)
    estimand = rg.Estimand("random", "uniform")
    found = linear(estimated(study, frame, estimand, covariance="item"), [{rg.MomentKey("a1", "decision"): 1.0}])[0]
    per_item = []
    for item in ("s1", "s2", "s3"):
        only = estimated(study, frame, rg.Estimand("fixed", {item: 1.0}))
        per_item.append(only.value(rg.MomentKey("a1", "decision")))
    spread = np.array(per_item) - np.mean(per_item)
    expected = np.sqrt(3 / 2 * np.sum((spread / 3) ** 2))
    assert found.std_error == pytest.approx(expected, rel=0.1)


def test_the_other_route_agrees_under_every_item_weight(study):
    for weights in ("observed", "trial", {"s1": 0.2, "s3": 0.8}):
        result = decomposed(estimated(study, frame_of(study), rg.Estimand("fixed", weights)))
        check = next(one for one in result.checks if one.check == "other_route")
        assert (check.status, "interactions" in check.detail) == ("pass", True), (weights, check.detail)


def test_the_other_route_notices_an_estimate_that_is_off(study):
    result = decomposed(estimated(study, frame_of(study)))
    rows = tuple(
        replace(row, estimate=row.estimate + 1e-6) if row.quantity == "realized_effect" else row
        for row in result.components
    )
    check = next(one for one in rg.run_checks(replace(result, components=rows)) if one.check == "other_route")
    assert check.status == "fail"


def test_the_other_route_says_that_it_does_not_apply_to_fitted_chances(study):
    result = decomposed(estimated(study, frame_of(study), adjustment="logistic"))
    check = next(one for one in result.checks if one.check == "other_route")
    assert (check.status, "g-computation" in check.detail) == ("not_applicable", True)


def test_interactions_alone_give_the_effect(study):
    frame = frame_of(study)
    found = linear(estimated(study, frame), [EFFECT])[0]
    assert effect_by_interactions(scores_of(study, frame), "a1", None) == pytest.approx(found.estimate, abs=1e-12)


def lending(study):
    loan = rg.Borrowing("own_query", "lender", "the first message precedes any reply")
    frame = frame_of(study, arms=("a1", "lender", "control"))
    return frame, rg.Design("control", [rg.Arm("a1", borrowed=(loan,))])


def test_a_borrowed_stage_is_fitted_to_the_lender_and_averaged_over_every_arm_once(study):
    frame, design = lending(study)
    found = estimated(study, frame, design=design, covariates=("age",))
    lent = frame[frame["arm"] == "lender"]
    slope, level = np.polyfit(lent["age"], lent["own_query"], 1)
    assert found.value(rg.MomentKey("a1", "own_query")) == pytest.approx(level + slope * frame["age"].mean())
    assert linear(found, [{rg.MomentKey("a1", "own_query"): 1.0}])[0].n == len(lent)


def test_missing_scores_are_predicted_from_the_rows_that_have_them(study):
    frame = frame_of(study)
    frame.loc[frame.index[:12], "conversation"] = np.nan
    found = estimated(study, frame, covariates=("age",)).value(rg.MomentKey("a1", "conversation"))
    mine = frame[(frame["arm"] == "a1") & frame["conversation"].notna()]
    slope, level = np.polyfit(mine["age"], mine["conversation"], 1)
    assert found == pytest.approx(level + slope * frame["age"].mean())


def with_non_users(study):
    return frame_of(study).assign(used=lambda one: (np.arange(len(one)) % 10 != 0) | (one["arm"] == "control"))


def test_non_users_scored_zero_stay_in_the_fit(study):
    frame = with_non_users(study)
    found = estimated(study, frame, rg.Estimand("fixed", non_users="zero"), ("age",))
    mine = frame[frame["arm"] == "a1"]
    slope, level = np.polyfit(mine["age"], mine["conversation"].where(mine["used"], 0.0), 1)
    value = found.value(rg.MomentKey("a1", "conversation"))
    assert value == pytest.approx(level + slope * frame["age"].mean())


def test_where_non_users_are_excluded_task_stages_speak_of_users_and_stay_plain(study):
    frame = with_non_users(study)
    found = estimated(study, frame, rg.Estimand("fixed", non_users="exclude"), ("age",))
    users = frame[(frame["arm"] == "a1") & frame["used"]]
    assert found.value(rg.MomentKey("a1", "conversation")) == pytest.approx(users["conversation"].mean())
    assert found.statistics.adjusted == {rg.MomentKey("a1", "decision"), rg.MomentKey("control", "decision")}
    assert any("conversation in arm a1: it speaks of users alone" in note for note in found.notes)
    assert next(one for one in decomposed(found).checks if one.check == "other_route").status == "pass"


@BOTH
def test_scores_that_are_all_alike_keep_their_mean_and_their_boundary_interval(study, adjustment):
    frame = frame_of(study)
    frame["own_query"] = frame["own_query"].where(frame["own_query"].isna(), 1.0)
    found = estimated(study, frame, adjustment=adjustment)
    row = linear(found, [{rg.MomentKey("a1", "own_query"): 1.0}])[0]
    assert (row.estimate, row.interval.kind, row.n) == (1.0, "wilson", 60)
    steps = linear(found, [{rg.MomentKey("a1", "own_query"): 1.0, rg.MomentKey("a1", "decision"): -1.0}])[0]
    assert steps.interval.kind == "mover"
    assert not study.faults(decomposed(found))


def test_a_separated_logistic_fit_leaves_the_plain_mean_and_says_so(study):
    frame = frame_of(study)
    mine = frame["arm"] == "a1"
    frame.loc[mine, "decision"] = (frame.loc[mine, "age"] > 50).astype(float)
    found = estimated(study, frame, adjustment="logistic")
    assert found.value(rg.MomentKey("a1", "decision")) == pytest.approx(frame.loc[mine, "decision"].mean())
    assert rg.MomentKey("control", "decision") in found.statistics.adjusted
    assert any("Not adjusted: decision in arm a1: the logistic fit separates" in note for note in found.notes)


def test_fractional_scores_take_the_logistic_model_too(study):
    frame = frame_of(study)
    frame["decision"] = 0.25 + frame["decision"] / 2
    found = estimated(study, frame, adjustment="logistic", covariates=("age",))
    assert rg.MomentKey("a1", "decision") in found.statistics.adjusted
    assert 0.25 < found.value(rg.MomentKey("a1", "decision")) < 0.75


def far_apart(study):
    """Ages of the arms barely meet, so that a line runs past 1 before it has averaged over everybody."""
    frame = frame_of(study)
    older = frame["arm"] == "control"
    return frame.assign(age=frame["age"] + np.where(older, 60.0, 0.0))


def test_a_line_may_leave_the_range_of_a_score_and_the_estimates_say_where(study):
    frame = far_apart(study)
    found = estimated(study, frame, covariates=("age",))
    assert found.value(rg.MomentKey("a1", "decision")) > 1.0
    assert any("outside [0, 1]" in note and "decision in arm a1" in note for note in found.notes)
    logistic = estimated(study, frame, covariates=("age",), adjustment="logistic")
    assert logistic.value(rg.MomentKey("a1", "decision")) < 1.0
    assert not any("outside" in note for note in logistic.notes)


def test_few_wrong_answers_are_counted_among_the_scores_not_the_predictions(study):
    frame = frame_of(study, people=40)
    talk = np.where(np.arange(len(frame)) < 4, 0.0, 1.0)
    frame["conversation"] = np.where(frame["arm"] == "a1", talk, np.nan)
    limits = coverage_limits(estimated(study, frame, covariates=("age",)))
    assert any("conversation in arm a1 rests on fewer than 10 wrong answers" in one for one in limits)
    assert not any("decision in arm" in one for one in limits)


def test_an_unknown_model_is_refused_with_the_nearest_name(study):
    assert "Did you mean 'logistic'" in refused(study, frame_of(study), adjustment="logistics")


def test_a_model_without_covariates_is_refused(study):
    assert "carry no covariate" in refused(study, frame_of(study), covariates=(), adjustment="linear")


@pytest.mark.parametrize("value", [3.5, "north"])
@BOTH
def test_a_constant_covariate_is_refused_by_name(study, adjustment, value):
    frame = frame_of(study).assign(centre=value)
    said = refused(study, frame, covariates=("age", "centre"), adjustment=adjustment)
    assert "value 'centre'" in said
    assert "same value in every answer" in said


@BOTH
def test_a_covariate_that_follows_from_others_is_refused_by_name(study, adjustment):
    frame = frame_of(study).assign(months=lambda one: 12 * one["age"] + 7)
    said = refused(study, frame, covariates=("age", "site", "months"), adjustment=adjustment)
    assert "value 'months'" in said


def test_a_covariate_that_the_items_determine_is_refused_where_items_are_weighted(study):
    frame = frame_of(study).assign(hardness=lambda one: one["item"].map({"s1": 1.0, "s2": 4.0, "s3": 2.0}))
    said = refused(study, frame, covariates=("hardness",), estimand=rg.Estimand("fixed", "trial"))
    assert "value 'hardness'" in said
    assert estimated(study, frame, covariates=("hardness",)).estimator == "lin"


def test_a_level_that_one_arm_lacks_is_refused_without_naming_the_level(study):
    frame = frame_of(study)
    frame.loc[(frame["arm"] == "control") & (frame["site"] == "north"), "site"] = "secret"
    said = refused(study, frame, covariates=("age", "site"))
    assert "in arm 'control' at 'decision'" in said
    assert "value 'site'" in said
    assert "secret" not in said


@BOTH
def test_more_coefficients_than_participants_bear_are_refused(study, adjustment):
    frame = frame_of(study, people=3)
    said = refused(study, frame, covariates=("age", "site"), adjustment=adjustment)
    assert "3 participants (6 answers) for 3 coefficients, 2 of them of covariates" in said


def test_more_coefficients_than_answers_are_refused_without_participants(study):
    frame = frame_of(study, people=2).drop(columns="participant")
    assert "4 answers" in refused(study, frame, covariates=("age",), estimand=rg.Estimand("fixed", "trial"))


def test_non_users_at_the_control_mean_are_refused_with_covariates(study):
    said = refused(study, with_non_users(study), estimand=rg.Estimand("fixed", non_users="control"))
    assert "non-users take the control mean" in said


def test_marginal_counts_are_refused_with_covariates(study):
    scores = replace(scores_of(study, frame_of(study)), paired=False)
    with pytest.raises(rg.RctgapError, match="marginal counts, which do not tell whose covariates"):
        adjusted(scores, FIXED, (), "linear")
