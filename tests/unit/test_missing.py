"""Complete answers, fillings and inverse-probability weights: what becomes of the scores, by hand."""

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import EstimandError, EstimationError
from rctgap.missing import complete_cases, extreme_values, filled, missing_scores, worst_case
from rctgap.weighting import inverse_probability, scoring_chances

BLANK = float("nan")
THREE = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
FIXED = rg.Estimand(items="fixed")


def patterns(*rows, **columns):
    """Answer patterns: arm, item, own_query, conversation, decision, count."""
    names = ["arm", "item", "own_query", "conversation", "decision", "count"]
    return pd.DataFrame(rows, columns=names).assign(**columns)


def scored(frame, design=None, covariates=(), stages=THREE):
    return rg.score_stages(rg.read_trial(frame, design=design or rg.Design("control", ["a1"])), stages, covariates)


def mean(scores, stage, arm="a1", estimand=FIXED):
    return rg.estimate_frequentist(scores, estimand).value(rg.MomentKey(arm, stage))


FRAME = patterns(
    ("a1", "s1", 1, 1, 1, 20),
    ("a1", "s1", 1, 0, 0, 10),
    ("a1", "s1", BLANK, 0, 0, 10),
    ("a1", "s2", 0, BLANK, 1, 12),
    ("a1", "s2", 1, 1, 0, 28),
    ("a1", "s2", 0, 0, BLANK, 5),
    ("control", "s1", BLANK, BLANK, 1, 30),
    ("control", "s2", BLANK, BLANK, 0, 40),
    ("control", "s2", BLANK, BLANK, BLANK, 7),
)
RUNS = pd.DataFrame({"item": ["s1", "s2"] * 10, "benchmark": [1.0] * 18 + [0.0] * 2})


# ---------------------------------------------------------------- attrition


def test_missing_scores_are_counted_by_arm_and_stage():
    lacking = {("a1", "own_query"): 10, ("a1", "conversation"): 12, ("a1", "decision"): 5, ("control", "decision"): 7}
    assert missing_scores(scored(FRAME)) == lacking
    steps = [(one.step, one.arm, one.n_in, one.n_out, one.reason) for one in scored(FRAME).attrition]
    assert steps[-4:] == [
        ("score", "a1", 85, 75, "no score at stage own_query"),
        ("score", "a1", 85, 73, "no score at stage conversation"),
        ("score", "a1", 85, 80, "no score at stage decision"),
        ("score", "control", 77, 70, "no score at stage decision"),
    ]


def test_benchmark_runs_without_a_score_are_counted_too():
    runs = pd.concat([RUNS, pd.DataFrame({"item": ["s1", "s2", "s2"], "benchmark": [BLANK] * 3})])
    trial = rg.read_trial(FRAME, benchmark=runs, design=rg.Design("control", ["a1"]))
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    step = next(one for one in scores.attrition if "benchmark" in one.reason)
    assert (step.step, step.arm, step.n_in, step.n_out) == ("score", "a1", 23, 20)
    assert scores.runs["count"].sum() == 20


def test_nothing_is_missing_where_non_users_have_no_task_scores():
    idle = patterns(("a1", "s1", BLANK, BLANK, 1, 6), ("a1", "s1", BLANK, BLANK, BLANK, 2)).assign(used=0)
    frame = pd.concat([FRAME.assign(used=1), idle])
    lacking = missing_scores(scored(frame))
    assert lacking["a1", "own_query"] == 10
    assert lacking["a1", "decision"] == 7


# ---------------------------------------------------------------- complete answers


def test_complete_cases_keep_the_answers_with_every_trial_stage():
    scores = complete_cases(scored(FRAME))
    assert mean(scores, "own_query") == pytest.approx(1.0)
    assert mean(scores, "conversation") == pytest.approx(48 / 58)
    assert mean(scores, "decision") == pytest.approx(20 / 58)
    assert mean(scores, "decision", "control") == pytest.approx(30 / 70)
    assert missing_scores(scores) == {}


def test_complete_cases_say_what_they_left_out():
    steps = complete_cases(scored(FRAME)).attrition[-2:]
    assert [(one.step, one.arm, one.n_in, one.n_out, one.reason) for one in steps] == [
        ("complete_case", "a1", 85, 58, "not complete: no score at own_query or conversation or decision"),
        ("complete_case", "control", 77, 70, "not complete: no score at decision"),
    ]


def test_complete_cases_leave_complete_scores_as_they_are():
    whole = FRAME.dropna(subset=["decision"])[lambda frame: (frame["arm"] != "a1") | frame["own_query"].notna()]
    whole = whole[(whole["arm"] != "a1") | whole["conversation"].notna()]
    scores = scored(whole)
    assert complete_cases(scores).attrition == scores.attrition
    pd.testing.assert_frame_equal(complete_cases(scores).answers, scores.answers)


def test_components_of_complete_cases_are_what_pairs_lose_and_gain():
    estimates = rg.estimate_frequentist(complete_cases(scored(FRAME)), FIXED)
    lost, gained = (estimates.value(rg.MomentKey("a1", f"{way}:decision")) for way in ("lost", "gained"))
    assert lost - gained == pytest.approx(48 / 58 - 20 / 58)


@pytest.mark.parametrize("policy", ["exclude", "zero", "control"])
def test_non_users_are_complete_when_their_decision_is_scored(policy):
    idle = patterns(("a1", "s1", BLANK, BLANK, 1, 6), ("a1", "s1", BLANK, BLANK, BLANK, 2)).assign(used=0)
    scores = complete_cases(scored(pd.concat([FRAME.assign(used=1), idle])))
    estimand = rg.Estimand(items="fixed", non_users=policy)
    assert mean(scores, "decision", estimand=estimand) == pytest.approx(26 / 64)
    filler = {"exclude": 48 / 58, "zero": 48 / 64, "control": (48 + 6 * 3 / 7) / 64}[policy]
    assert mean(scores, "conversation", estimand=estimand) == pytest.approx(filler)


def test_a_borrowed_stage_is_not_asked_of_the_borrower():
    loan = rg.Borrowing("own_query", "a2", "randomised, masked, before any reply")
    frame = pd.concat(
        [
            FRAME.assign(own_query=BLANK),
            patterns(("a2", "s1", 1, BLANK, BLANK, 9), ("a2", "s1", BLANK, 1, 1, 3), ("a2", "s2", 0, 0, 0, 6)),
        ]
    )
    scores = scored(frame, rg.Design("control", [rg.Arm("a1", borrowed=(loan,))]))
    assert missing_scores(scores)["a2", "own_query"] == 3
    assert ("a1", "own_query") not in missing_scores(scores)
    kept = complete_cases(scores).answers.groupby("arm")["count"].sum()
    assert kept.to_dict() == {"a1": 68, "a2": 15, "control": 70}


def test_an_arm_without_a_complete_answer_is_refused_by_name():
    frame = patterns(
        ("a1", "s1", 1, BLANK, 1, 20), ("a1", "s1", BLANK, 1, 1, 20), ("control", "s1", BLANK, BLANK, 1, 9)
    )
    with pytest.raises(EstimationError, match=r"no answer of arm 'a1'.*'own_query' is complete"):
        complete_cases(scored(frame))


def test_marginal_counts_are_refused():
    fields = [{"name": "arm", "role": "arm"}]
    for name in ("own_query", "conversation", "decision"):
        fields += [{"name": f"{name}_{end}", "type": "integer", "role": role, "stage": name} for end, role in ENDS]
    dictionary = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}}}
    frame = pd.DataFrame([("a1", 4, 9, 3, 8, 2, 9)], columns=[one["name"] for one in fields])
    scores = rg.score_stages(rg.read_trial(frame, design=rg.Design(ai=["a1"]), dictionary=dictionary), THREE)
    assert missing_scores(scores) == {}
    for way in (complete_cases, lambda one: inverse_probability(one, FIXED), lambda one: worst_case(one, {}, "lower")):
        with pytest.raises(EstimationError, match="marginal counts"):
            way(scores)


ENDS = (("k", "successes"), ("n", "trials"))


# ---------------------------------------------------------------- fillings


GAP = {rg.MomentKey("a1", "own_query"): 1.0, rg.MomentKey("a1", "decision"): -1.0}
EFFECT = {rg.MomentKey("a1", "decision"): 1.0, rg.MomentKey("control", "decision"): -1.0}


def test_missing_scores_take_the_value_that_moves_the_contrast():
    assert extreme_values(scored(FRAME), GAP, "upper") == {("a1", "own_query"): 1.0, ("a1", "decision"): 0.0}
    assert extreme_values(scored(FRAME), EFFECT, "lower") == {("a1", "decision"): 0.0, ("control", "decision"): 1.0}


def test_a_filling_by_hand():
    low = worst_case(scored(FRAME), GAP, "lower")
    assert mean(low, "own_query") == pytest.approx(58 / 85)
    assert mean(low, "decision") == pytest.approx(37 / 85)
    assert mean(low, "conversation") == mean(scored(FRAME), "conversation")
    high = worst_case(scored(FRAME), EFFECT, "upper")
    assert mean(high, "decision") - mean(high, "decision", "control") == pytest.approx(37 / 85 - 30 / 77)


def test_lent_rows_are_filled_once_for_all_their_borrowers():
    loan = rg.Borrowing("own_query", "a2", "randomised, masked, before any reply")
    lender = patterns(("a2", "s1", 1, 0, 1, 9), ("a2", "s1", BLANK, 1, 1, 3))
    scores = scored(pd.concat([FRAME, lender]), rg.Design("control", [rg.Arm("a1", borrowed=(loan,)), "a2"]))
    both = {rg.MomentKey(arm, "own_query"): 0.5 for arm in ("a1", "a2")}
    assert extreme_values(scores, both, "upper") == {("a2", "own_query"): 1.0}


def test_non_users_are_not_filled_at_task_stages():
    idle = patterns(("a1", "s1", BLANK, BLANK, BLANK, 6)).assign(used=0)
    scores = filled(
        scored(pd.concat([FRAME.assign(used=1), idle])), {("a1", "own_query"): 1.0, ("a1", "decision"): 1.0}
    )
    rows = scores.answers[~scores.answers["used"]]
    assert rows["own_query"].isna().all()
    assert (rows["decision"] == 1).all()


def test_bounds_of_flows_are_refused():
    with pytest.raises(EstimationError, match="bounds are for contrasts of stage means"):
        worst_case(scored(FRAME), {rg.MomentKey("a1", "lost:decision"): 1.0}, "lower")


# ---------------------------------------------------------------- inverse-probability weights


def test_weights_by_item_reproduce_standardisation_to_the_items_of_all_answers():
    """With items alone as predictors the weighted mean is the mean of item means at the mix of all answers."""
    scores = inverse_probability(scored(FRAME), FIXED)
    assert mean(scores, "own_query") == pytest.approx((40 * 1.0 + 45 * 28 / 45) / 85)
    assert mean(scores, "conversation") == pytest.approx((40 * 20 / 40 + 45 * 28 / 33) / 85)
    assert mean(scores, "decision") == pytest.approx((40 * 20 / 40 + 45 * 12 / 40) / 85)
    assert mean(scores, "decision", "control") == pytest.approx((30 + 0) / 77)


def test_weights_within_items_change_nothing_when_items_are_all_that_is_known():
    estimand = rg.Estimand(items="fixed", item_weights="trial")
    weighted, plain = inverse_probability(scored(FRAME), estimand), scored(FRAME)
    for stage in ("own_query", "conversation", "decision"):
        assert mean(weighted, stage, estimand=estimand) == pytest.approx(mean(plain, stage, estimand=estimand))


def test_stages_without_missing_scores_are_untouched():
    frame = FRAME.assign(decision=FRAME["decision"].fillna(0))
    before, after = scored(frame), inverse_probability(scored(frame), FIXED)
    pd.testing.assert_series_equal(before.answers["decision"], after.answers["decision"])
    assert set(after.unpaired) == {("a1", "own_query"), ("a1", "conversation")}


def test_weighted_pairs_are_empty_and_say_why(study):
    trial = rg.read_trial(FRAME, benchmark=RUNS, design=rg.Design("control", ["a1"]))
    scores = inverse_probability(rg.score_stages(trial, rg.DEFAULT_CHAIN), FIXED)
    with pytest.warns(rg.RctgapWarning):
        result = rg.decompose(rg.estimate_frequentist(scores, FIXED), FIXED)
    for name in ("conversation", "decision"):
        row = result.row(name)
        assert (row.lost, row.gained, row.lost_count) == (None, None, None)
        assert "are weighted for those missing, and pairs are not" in row.note
    for name in ("uptake", "self_rescue"):
        assert result.row(name).estimate is None
        assert "are weighted for those missing" in result.row(name).note
    assert study.faults(result) == []
    assert "Scores at decision in arm control are weighted by the inverse of their chance, given item." in result.notes


def test_item_level_pseudo_scores_are_the_linearised_influence():
    """Against a numerical derivative: the influence of an answer is how f moves with its frequency."""
    frame = pd.concat([FRAME.assign(age=age) for age in (1.0, 2.0, 4.0)], ignore_index=True)
    frame["count"] += np.arange(len(frame)) % 4
    scores = scored(frame, covariates=("age",))
    one = scoring_chances(scores)["a1", "own_query"]
    answers = scores.answers
    known = one.rows & answers["own_query"].notna().to_numpy()
    value, count = answers["own_query"].fillna(0).to_numpy(), answers["count"].to_numpy()

    def hajek(frequency):
        weight = np.where(known, frequency / one.chance, 0.0)
        return weight @ value / weight.sum()

    weighted = inverse_probability(scores, FIXED).answers
    for position in np.flatnonzero(one.rows):
        step = np.zeros(len(answers))
        step[position] = 1e-5
        slope = (hajek(count + step) - hajek(count - step)) / 2e-5
        pseudo = weighted["own_query"].iloc[position]
        assert (pseudo - hajek(count)) / count[one.rows].sum() == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("policy", ["exclude", "zero", "control"])
def test_users_are_weighted_and_non_users_left_to_their_choice(policy):
    idle = patterns(("a1", "s1", BLANK, BLANK, 1, 6), ("a1", "s2", BLANK, BLANK, BLANK, 2))
    idle = pd.concat([idle, patterns(("a1", "s2", BLANK, BLANK, 0, 4))]).assign(used=0)
    scores = inverse_probability(scored(pd.concat([FRAME.assign(used=1), idle])), FIXED)
    users = (40 * 1.0 + 45 * 28 / 45) / 85
    control = 30 / 77
    estimand = rg.Estimand(items="fixed", non_users=policy)
    expected = {"exclude": users, "zero": users * 85 / 97, "control": (users * 85 + control * 12) / 97}
    assert mean(scores, "own_query", estimand=estimand) == pytest.approx(expected[policy])


def test_a_small_chance_is_said_with_the_largest_weight():
    frame = patterns(("a1", "s1", 1, 1, 1, 50), ("a1", "s2", 1, 1, 1, 2), ("a1", "s2", BLANK, 1, 1, 98))
    notes = inverse_probability(scored(frame, rg.Design(ai=["a1"])), FIXED).notes
    assert notes[-1].startswith("The chance of a score at own_query in arm a1 is estimated at 0.020 for some answers")
    assert "the largest weight is 50.0" in notes[-1]
    assert not any("largest weight" in note for note in inverse_probability(scored(FRAME), FIXED).notes)


def test_an_item_without_any_score_is_refused_by_name():
    frame = patterns(("a1", "s1", 1, 1, 1, 50), ("a1", "s2", BLANK, 1, 1, 20))
    with pytest.raises(EstimationError, match="no answer with item 's2' has a score at own_query in arm a1"):
        inverse_probability(scored(frame, rg.Design(ai=["a1"])), FIXED)


def test_a_level_without_a_score_among_the_answers_left_is_refused_by_name():
    """Item s1 is scored throughout, which leaves non-users of item s2, and none of these is scored."""
    idle = patterns(("a1", "s1", BLANK, BLANK, 1, 6), ("a1", "s2", BLANK, BLANK, BLANK, 2)).assign(used=0)
    with pytest.raises(
        EstimationError, match="aside from what is scored throughout, no answer with one of the levels of used"
    ):
        inverse_probability(scored(pd.concat([FRAME.assign(used=1), idle])), FIXED)


def test_a_covariate_that_tells_scored_from_missing_is_refused():
    frame = FRAME.assign(age=FRAME["own_query"].isna().astype(float) * 10 + np.arange(len(FRAME)) / 10)
    with pytest.raises(
        EstimationError, match="covariates tell exactly which answers have no score at own_query in arm a1"
    ):
        inverse_probability(scored(frame, covariates=("age",)), FIXED)


def test_a_covariate_that_tells_which_answers_are_scored_brings_their_chance_to_one():
    rows = [(1, 30.0, 40), (0, 30.0, 20), (1, 70.0, 10), (0, 70.0, 20), (BLANK, 70.0, 30)]
    frame = pd.DataFrame(rows, columns=["conversation", "age", "count"]).assign(arm="a1", decision=0.0)
    scores = scored(frame, rg.Design(ai=["a1"]), ["age"], [rg.Stage("conversation"), rg.Stage("decision")])
    one = scoring_chances(scores)["a1", "conversation"]
    old = (scores.answers["covariate:age"] == 70).to_numpy()
    np.testing.assert_allclose(one.chance[old], 0.5, rtol=1e-9)
    np.testing.assert_allclose(one.chance[~old], 1.0, rtol=1e-9)


def test_a_weighted_item_without_a_score_is_still_refused_under_standardisation():
    frame = pd.concat([FRAME, patterns(("a1", "s3", BLANK, 1, 1, 20), ("control", "s3", BLANK, BLANK, 1, 20))])
    estimand = rg.Estimand(items="fixed", item_weights="uniform")
    with pytest.raises(EstimandError, match="item 's3' has weight and no score at 'own_query'"):
        rg.estimate_frequentist(scored(frame), estimand)
    with pytest.raises(EstimationError, match="no answer with item 's3'"):
        inverse_probability(scored(frame), estimand)


def test_without_predictors_weights_change_nothing():
    frame = FRAME.drop(columns="item")
    scores = inverse_probability(scored(frame), FIXED)
    assert mean(scores, "own_query") == pytest.approx(mean(scored(frame), "own_query"))
    assert "given nothing (as if they were missing completely at random)." in scores.notes[-1]


def test_ways_to_deal_with_missing_scores_leave_the_scores_they_are_given():
    scores = scored(FRAME)
    before = scores.answers
    complete_cases(scores)
    inverse_probability(scores, FIXED)
    worst_case(scores, GAP, "lower")
    pd.testing.assert_frame_equal(scores.answers, before)
