"""Two measures of the last stage on the same answers, against figures counted by hand and regressions."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import rctgap as rg
from rctgap.check_context import CheckContext
from rctgap.errors import DataError
from rctgap.outcome_measures import DIFFERENCE, outcome_rows, outcome_verdict, refuse_outcomes
from rctgap.staged_records import StagedRow

COUNTS = Path(rg.__file__).parent / "datasets" / "raman2026" / "trial.csv"
CHAIN = rg.Chain(
    (rg.Stage("conversation"), rg.Stage("decision")),
    (rg.Transition("decision", "outcome", ("outcome.decision_mediation",)),),
)


def built(study, frame, column="second", control="control", ai=("a1",), estimand=None, **options):
    """A result whose context names another measure of the decision."""
    design = rg.Design(control, list(ai))
    result = study.decomposed(frame, None, estimand, design=design, stages=CHAIN, **options)
    return replace(result, context=CheckContext(rg.read_trial(frame, design=design), {"second": column}))


def row(rows, quantity, outcome, arm="all", level=0.95):
    return next(
        one for one in rows if (one.arm, one.quantity, one.outcome, one.level) == (arm, quantity, outcome, level)
    )


def measured(study, seed=1, people=150, shift=0.0, **options):
    """People with a second measure that follows the first, less well in the AI arm where `shift` is not 0."""
    frame = study.simulated(people=people, seed=seed, **options)
    draw = np.random.default_rng(seed + 100)
    kept = draw.random(len(frame)) < np.where(frame["arm"] == "control", 0.9, 0.9 - shift)
    return frame.assign(second=np.where(kept, frame["decision"], 1 - frame["decision"]))


@pytest.fixture(scope="module")
def published(study):
    frame = pd.read_csv(COUNTS, dtype={"scenario_id": "string"}).rename(columns={"scenario_id": "item"})
    mine = frame[frame["arm"].isin(["Llama 3 70B", "Control"])]
    names = ["arm", "item", "conversation", "decision", "disposition"]
    counts = mine.groupby(names, dropna=False)["count"].sum().reset_index()
    return built(study, counts, "disposition", "Control", ["Llama 3 70B"]), counts


def test_condition_and_disposition_of_the_same_people_disagree_on_the_effect(published):
    """34.0 - 47.0 = -13.0 points by condition, 44.2 - 42.3 = +1.8 by disposition."""
    rows = outcome_rows(published[0])
    points = {(one.arm, one.quantity, one.outcome): round(100 * one.estimate, 1) for one in rows if one.level == 0.95}
    arm = "Llama 3 70B"
    assert points[arm, "accuracy", "decision"] == 34.0
    assert points[arm, "accuracy", "second"] == 44.2
    assert points["Control", "accuracy", "decision"] == 47.0
    assert points["Control", "accuracy", "second"] == 42.3
    assert points[arm, "realized_effect", "decision"] == -13.0
    assert points[arm, "realized_effect", "second"] == 1.8
    assert points[arm, "realized_effect", DIFFERENCE] == -14.8
    found = outcome_verdict(replace(published[0], outcomes=rows))
    assert found.verdict == "violated"
    assert found[1:6] == pytest.approx((-0.1483333, -0.2114680, -0.0851987, 0.9, 0.05), abs=1e-6)
    assert "-13.0 by decision, +1.8 by second" in found.evidence


def test_kappa_is_that_of_the_four_counts(published):
    counts = published[1]
    mine = counts[counts["arm"] == "Control"]
    table = mine.pivot_table(index="decision", columns="disposition", values="count", aggfunc="sum") / 600
    by_chance = float(table.sum(axis=0) @ table.sum(axis=1))
    kappa = (table[0][0] + table[1][1] - by_chance) / (1 - by_chance)
    found = row(outcome_rows(published[0]), "agreement", "decision", "Control")
    assert found.estimate == pytest.approx(kappa)
    assert (found.n, found.note) == (600, "kappa")


def test_difference_of_effects_is_a_clustered_regression_of_the_difference_on_the_arm(study):
    frame = measured(study, people=40)
    result = built(study, frame, small_sample="CR1")
    found = row(outcome_rows(result), "realized_effect", DIFFERENCE)
    design = sm.add_constant((frame["arm"] == "a1").astype(float))
    fit = sm.OLS(frame["decision"] - frame["second"], design)
    groups = pd.factorize(frame["participant"])[0]
    fitted = fit.fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})
    assert found.estimate == pytest.approx(float(fitted.params["arm"]))
    assert found.std_error == pytest.approx(float(fitted.bse["arm"]) * math.sqrt(80 / 79), rel=1e-9)
    assert found.n == len(frame)


def test_only_answers_with_both_measures_count(study):
    frame = measured(study)
    frame.loc[frame.index[:40], "second"] = np.nan
    rows = outcome_rows(built(study, frame))
    complete = frame.dropna(subset=["second"])
    means = complete.groupby("arm")[["decision", "second"]].mean()
    own, other, apart = (row(rows, "accuracy", name, "a1") for name in ("decision", "second", DIFFERENCE))
    assert own.estimate == pytest.approx(means.loc["a1", "decision"])
    assert other.estimate == pytest.approx(means.loc["a1", "second"])
    assert own.n == other.n == apart.n == int((complete["arm"] == "a1").sum())


def test_items_are_weighted_as_the_estimand_says(study):
    frame = measured(study, answers=3)
    frame = frame[~((frame["arm"] == "a1") & (frame["item"] == "s1")) | (frame.index % 3 == 0)].reset_index(drop=True)
    found = row(outcome_rows(built(study, frame, estimand=rg.Estimand("fixed", "uniform"))), "accuracy", "second", "a1")
    mine = frame[frame["arm"] == "a1"]
    assert found.estimate == pytest.approx(mine.groupby("item")["second"].mean().mean())
    assert found.estimate != pytest.approx(mine["second"].mean(), abs=1e-4)


def test_without_a_control_arm_accuracies_are_compared(study):
    frame = measured(study, arms=("a1",))
    result = built(study, frame, control=None)
    rows = outcome_rows(result)
    assert {one.quantity for one in rows} == {"accuracy", "agreement"}
    found = outcome_verdict(replace(result, outcomes=rows))
    assert found.estimate == pytest.approx(float((frame["decision"] - frame["second"]).mean()))
    assert found.evidence.startswith("accuracy on the same answers")


def test_an_arm_without_the_other_measure_says_so(study):
    frame = measured(study, arms=("a1", "a2", "control"))
    frame.loc[frame["arm"] == "a2", "second"] = np.nan
    rows = outcome_rows(built(study, frame, ai=["a1", "a2"]))
    assert row(rows, "realized_effect", DIFFERENCE, "a1").lower is not None
    for arm in ("a2", "all"):
        found = row(rows, "realized_effect", DIFFERENCE, arm)
        assert found.estimate is None
        assert "no answer of the arm has both measures" in found.note


def test_people_who_never_wrote_keep_their_decisions(study):
    """Intention to treat: what non-users are taken to be at task stages does not touch either measure."""
    frame = measured(study).assign(used=True)
    idle = frame["participant"].isin([f"a1-{number}" for number in range(30)])
    frame.loc[idle, ["used", "own_query", "conversation"]] = [False, np.nan, np.nan]
    rows = outcome_rows(built(study, frame, estimand=rg.Estimand("fixed", non_users="zero")))
    means = frame.groupby("arm")[["decision", "second"]].mean()
    assert row(rows, "accuracy", "decision", "a1").estimate == pytest.approx(means.loc["a1", "decision"])
    assert row(rows, "accuracy", "second", "a1").estimate == pytest.approx(means.loc["a1", "second"])


def test_verdict_takes_margin_and_alpha_from_the_staged_evaluation(study):
    result = built(study, measured(study, people=600))
    wide = replace(result, staged=(staged_row(margin=0.4, alpha=0.01),))
    found = outcome_verdict(replace(wide, outcomes=outcome_rows(wide)))
    assert (found.verdict, found.margin, found.level) == ("holds", 0.4, 0.98)


def staged_row(margin, alpha):
    names = ("all", "decision", "outcome", "", "fixed", "observed", "robust", "normal")
    return StagedRow(
        *names,
        0.1,
        0.01,
        None,
        0.0,
        0.2,
        1 - 2 * alpha,
        margin,
        alpha,
        "holds",
        None,
        None,
        None,
        "",
        True,
        9,
        "",
        None,
    )


@pytest.mark.parametrize(
    ("outcomes", "told"),
    [
        ({"level": "secnd"}, "Did you mean 'second'"),
        ({"decision": "second"}, "name is taken"),
        ({"difference": "second"}, "name is taken"),
        ({"again": "decision"}, "own measure"),
        ({"who": "participant"}, "confidential"),
        ({"big": "big"}, r"not a number in \[0, 1\]"),
    ],
)
def test_what_cannot_be_a_measure_is_refused_by_name(study, outcomes, told):
    frame = measured(study, people=5).assign(big=3.0)
    result = built(study, frame)
    with pytest.raises(DataError, match=told):
        refuse_outcomes(result.context.trial, CHAIN, outcomes)
    with pytest.raises(DataError, match=told):
        outcome_rows(replace(result, context=replace(result.context, outcomes=outcomes)))
    refuse_outcomes(result.context.trial, CHAIN, {"second": "second"})


def test_nothing_to_compare_gives_no_rows(study):
    result = built(study, measured(study, people=5))
    assert outcome_rows(replace(result, context=None)) == ()
    assert outcome_rows(replace(result, context=replace(result.context, outcomes={}))) == ()
    assert outcome_verdict(result) is None


def test_marginal_counts_do_not_tell_two_measures_of_one_answer(study):
    names = {"arm": "arm", "won": "successes", "tried": "trials", "second": "score"}
    fields = [
        {"name": name, "role": role, "type": "string" if name == "arm" else "number"} for name, role in names.items()
    ]
    fields[1] |= {"type": "integer", "stage": "decision"}
    fields[2] |= {"type": "integer", "stage": "decision"}
    talk = [{**one, "name": f"{one['name']}_c", "stage": "conversation"} for one in fields[1:3]]
    dictionary = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": [*fields, *talk]}}}
    frame = pd.DataFrame({"arm": ["a1"], "won": [20], "tried": [50], "won_c": [30], "tried_c": [50], "second": [1.0]})
    design = rg.Design(ai=["a1"])
    trial = rg.read_trial(frame, design=design, dictionary=dictionary)
    result = study.decomposed(frame, None, design=design, stages=CHAIN, dictionary=dictionary)
    refuse_outcomes(trial, CHAIN, {"second": "second"})
    (found,) = outcome_rows(replace(result, context=CheckContext(trial, {"second": "second"})))
    assert (found.estimate, "marginal counts" in found.note) == (None, True)
