"""Scores from columns and from binomial counts; what binomial counts cannot say."""

import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import DataError

NAMES = ("own_query", "conversation", "decision")


def dictionary():
    fields = [{"name": "arm", "role": "arm"}, {"name": "item", "role": "item"}]
    for name in NAMES:
        fields += [
            {"name": f"{name}_k", "type": "integer", "role": "successes", "stage": name},
            {"name": f"{name}_n", "type": "integer", "role": "trials", "stage": name},
        ]
    runs = [
        {"name": "item", "role": "item"},
        {"name": "k", "type": "integer", "role": "successes"},
        {"name": "n", "type": "integer", "role": "trials"},
    ]
    return {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}, "benchmark": {"fields": runs}}}


def binomial():
    rows = [
        ("a1", "s1", 40, 50, 30, 50, 20, 50),
        ("a1", "s2", 36, 50, 34, 50, 24, 50),
        ("control", "s1", None, None, None, None, 22, 50),
        ("control", "s2", None, None, None, None, 30, 50),
    ]
    return pd.DataFrame(rows, columns=["arm", "item", *(f"{name}_{end}" for name in NAMES for end in "kn")])


RUNS = pd.DataFrame({"item": ["s1", "s2"], "k": [18, 20], "n": [20, 20]})


@pytest.fixture(scope="module")
def marginal(study):
    return study.decomposed(binomial(), RUNS, dictionary=dictionary())


def test_a_benchmark_may_be_successes_and_trials(study):
    frame = study.simulated()
    counted = pd.DataFrame({"item": ["s1", "s2"], "successes": [3, 4], "trials": [4, 6]})
    one_by_one = pd.DataFrame({"item": ["s1"] * 4 + ["s2"] * 6, "benchmark": [1.0, 1, 1, 0, 1, 1, 1, 1, 0, 0]})
    frame = frame[frame["item"] != "s3"]
    left, right = study.decomposed(frame, counted), study.decomposed(frame, one_by_one)
    assert study.stage(left, "benchmark").estimate == pytest.approx(0.7)
    assert left.components == right.components


def test_binomial_stages_give_the_right_means(marginal, study):
    means = {name: study.stage(marginal, name).estimate for name in ("benchmark", *NAMES)}
    assert means == pytest.approx({"benchmark": 0.95, "own_query": 0.76, "conversation": 0.64, "decision": 0.44})
    assert study.stage(marginal, "decision", "control").estimate == pytest.approx(0.52)


@pytest.mark.parametrize(
    ("quantity", "estimate", "variance"),
    [
        ("gap", 0.51, 0.95 * 0.05 / 39 + 0.44 * 0.56 / 99),
        ("own_query", 0.19, 0.95 * 0.05 / 39 + 0.76 * 0.24 / 99),
        ("task", 0.31, 0.95 * 0.05 / 39 + 0.64 * 0.36 / 99),
        ("realized_effect", -0.08, (0.44 * 0.56 + 0.52 * 0.48) / 100 * 200 / 198),
        ("predicted_effect", 0.43, 0.95 * 0.05 / 39 + 0.52 * 0.48 / 99),
    ],
)
def test_binomial_gap_and_effects_keep_their_intervals(marginal, quantity, estimate, variance):
    row = marginal.row(quantity)
    assert row.estimate == pytest.approx(estimate)
    assert row.std_error**2 == pytest.approx(variance)
    assert row.upper - row.lower == pytest.approx(2 * 1.959963985 * variance**0.5)


@pytest.mark.parametrize("quantity", ["conversation", "decision", "outcome"])
def test_binomial_paired_steps_have_an_estimate_and_say_why_no_interval(marginal, quantity):
    row = marginal.row(quantity)
    assert row.estimate == pytest.approx(0.12 if quantity == "conversation" else 0.2)
    assert (row.std_error, row.lower, row.upper, row.lost, row.lost_count) == (None,) * 5
    assert "marginal counts do not tell how the two stages" in row.note


@pytest.mark.parametrize("quantity", ["uptake", "self_rescue"])
def test_binomial_conditionals_are_empty_with_the_reason(marginal, quantity):
    assert marginal.row(quantity).estimate is None
    assert "marginal counts do not tell which" in marginal.row(quantity).note


def test_binomial_answers_are_counted_as_answers(marginal, study):
    assert study.stage(marginal, "decision").n == 100
    assert study.faults(marginal) == []


def test_binomial_answers_are_counted_once(marginal):
    assert marginal.settings.n_answers == 200
    assert [row.n_in for row in marginal.attrition] == [100, 100]


def test_binomial_counts_for_one_stage_alone_are_refused(study):
    known = dictionary()
    known["tables"]["trial"]["fields"][-2:] = [{"name": "decision", "type": "integer", "role": "score"}]
    mixed = binomial().drop(columns=["decision_k", "decision_n"]).assign(decision=1)
    with pytest.raises(DataError, match="conversation, own_query are binomial counts, and decision are not"):
        study.scored(mixed, RUNS, dictionary=known)


@pytest.mark.parametrize("score", [1.5, -0.1])
def test_scores_outside_the_unit_interval_are_refused_with_their_row(study, score):
    frame = study.simulated()
    frame.loc[4, "conversation"] = score
    with pytest.raises(DataError, match=r"conversation, row 5.*not a number in \[0, 1\]"):
        study.scored(frame, study.benchmark())


def test_a_missing_column_and_a_missing_benchmark_are_refused(study):
    frame = study.simulated()
    with pytest.raises(DataError, match=r"conversation: the score column is missing. Did you mean 'conversations'"):
        study.scored(frame.rename(columns={"conversation": "conversations"}).assign(decision=1), study.benchmark())
    with pytest.raises(DataError, match="no benchmark data are given"):
        study.scored(frame)


def test_runs_of_another_system_do_not_serve_an_arm(study):
    with pytest.raises(DataError, match="'a1': no benchmark run is of this arm's system"):
        study.scored(study.simulated(), study.benchmark(("GPT",)))
    named = rg.Design("control", [rg.Arm("a1", "GPT")])
    assert study.scored(study.simulated(), study.benchmark(("GPT",)), named).systems["a1", "benchmark"] == ("GPT",)


def test_runs_of_other_systems_are_left_out(study):
    runs = pd.concat([study.benchmark(), study.benchmark(("other",), right=0)])
    assert study.stage(study.decomposed(study.simulated(), runs), "benchmark").estimate == pytest.approx(0.75)


def test_an_arm_or_control_without_scores_is_refused(study):
    frame = study.simulated()
    with pytest.raises(DataError, match="arm 'a1' has no score at this stage"):
        study.scored(frame.assign(conversation=float("nan")), study.benchmark())
    silent = frame.assign(decision=frame["decision"].where(frame["arm"] != "control"))
    with pytest.raises(DataError, match="control arm 'control' has no score"):
        study.scored(silent, study.benchmark())


def test_rows_of_count_zero_leave_no_trace(study):
    frame = study.simulated()
    ghosts = frame.assign(count=0, decision=1 - frame["decision"], item="ghost")
    both = pd.concat([frame.assign(count=1), ghosts], ignore_index=True)
    estimand = rg.Estimand("fixed", "uniform")
    assert study.decomposed(both, study.benchmark(), estimand).components == (
        study.decomposed(frame, study.benchmark(), estimand).components
    )


def test_missing_scores_are_accounted_for(study):
    frame = study.simulated()
    frame.loc[[0, 1, 2], "conversation"] = float("nan")
    steps = [(one.arm, one.n_in, one.n_out, one.reason) for one in study.scored(frame, study.benchmark()).attrition]
    assert ("a1", 24, 21, "no score at stage conversation") in steps
    assert not any("decision" in reason for *_, reason in steps)


def test_who_used_the_system_is_read_and_blanks_are_said(study):
    frame = study.simulated().assign(used=1.0)
    frame.loc[[0, 1], "used"] = 0.0
    frame.loc[2, "used"] = float("nan")
    scores = study.scored(frame, study.benchmark())
    assert scores.non_users() == 2
    assert any("blank in the column of role `used`" in note for note in scores.notes)


def test_an_item_answered_twice_by_one_participant_is_said(study):
    frame = study.simulated(answers=2).assign(item="s1")
    scores = study.scored(frame, study.benchmark())
    assert any("more than once" in note for note in scores.notes)
    assert not any("more than once" in note for note in study.scored(study.simulated(), study.benchmark()).notes)


def test_participants_count_as_known_only_where_every_answer_has_one(study):
    frame = study.simulated()
    assert study.scored(frame, study.benchmark()).participants
    frame.loc[0, "participant"] = None
    with pytest.raises(DataError, match="no participant and others do"):
        study.scored(frame, study.benchmark())
    assert not study.scored(frame.drop(columns="participant"), study.benchmark()).participants


def answered(**more):
    base = {"arm": ["a1", "a1", "a1"], "conversation": [1, 1, 0], "decision": [1, 0, 0], "age": [30, 41, 30]}
    return pd.DataFrame(base | more)


CHAIN = [rg.Stage("conversation"), rg.Stage("decision")]


def test_answers_carry_the_covariates_asked_for_and_no_others():
    trial = rg.read_trial(answered(site=["x", "y", "x"]), design=rg.Design(ai=["a1"]))
    scores = rg.score_stages(trial, CHAIN, covariates=["age"])
    assert scores.answers.sort_values("covariate:age")["covariate:age"].tolist() == [30.0, 30.0, 41.0]
    assert scores.covariates == ("age",)
    assert "covariate:site" not in scores.answers


def test_answers_carry_the_stratum_that_the_design_names():
    trial = rg.read_trial(answered(site=["x", "y", None]), design=rg.Design(ai=["a1"], strata=("site",)))
    assert rg.score_stages(trial, CHAIN).answers["stratum"].nunique() == 3
    assert (
        rg.score_stages(rg.read_trial(answered(), design=rg.Design(ai=["a1"])), CHAIN).answers["stratum"].tolist()
        == [""] * 3
    )


@pytest.mark.parametrize(
    ("column", "words"),
    [("agee", "names no column"), ("decision", "score, not a covariate"), ("arm", "arm, not a covariate")],
)
def test_a_covariate_must_be_a_column_known_before_treatment(column, words):
    trial = rg.read_trial(answered(), design=rg.Design(ai=["a1"]))
    with pytest.raises(DataError, match=words):
        rg.score_stages(trial, CHAIN, covariates=[column])


def test_a_blank_covariate_is_refused_with_its_row():
    trial = rg.read_trial(answered(age=[30, None, 41]), design=rg.Design(ai=["a1"]))
    with pytest.raises(DataError, match=r"(?s)row 2.*blank|blank.*row 2"):
        rg.score_stages(trial, CHAIN, covariates=["age"])
