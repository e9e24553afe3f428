"""Checks on the design and on who carries the result: each fires where it should, and is silent on clean data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rctgap as rg
from rctgap.check_context import CheckContext
from rctgap.checks import tabled
from rctgap.checks.answer_position import answer_position
from rctgap.checks.balance import _Column, _p_value, balance
from rctgap.checks.differential_attrition import differential_attrition
from rctgap.checks.item_mix import item_mix
from rctgap.checks.leave_one_item_out import leave_one_item_out
from rctgap.checks.leave_one_participant_out import leave_one_participant_out
from rctgap.checks.missing_logs import missing_logs
from rctgap.decomposition import decomposed
from rctgap.design import Borrowing
from rctgap.missingness import missing_score_rows
from rctgap.records import AttritionRow
from rctgap.suppression import DETAIL_HIDDEN, suppressed

ITEMS = tuple(f"s{n}" for n in range(1, 7))
SCORE = {"type": "number", "constraints": {"minimum": 0, "maximum": 1}}
DICTIONARY = {
    "schema": "rctgap/dictionary/1",
    "tables": {
        "trial": {
            "fields": [
                {"name": "participant", "type": "string", "role": "participant"},
                {"name": "item", "type": "string", "role": "item"},
                {"name": "arm", "type": "string", "role": "arm"},
                *({"name": name, "role": "score", "stage": name, **SCORE} for name in rg.DEFAULT_CHAIN.trial_names),
                {"name": "age", "type": "number", "role": "covariate"},
                {"name": "region", "type": "string", "role": "stratum"},
                {"name": "turn", "type": "integer", "role": "position"},
            ]
        },
        "benchmark": {
            "fields": [
                {"name": "system", "type": "string", "role": "system"},
                {"name": "item", "type": "string", "role": "item"},
                {"name": "benchmark", "role": "score", "stage": "benchmark", **SCORE},
            ]
        },
    },
}


@pytest.fixture
def frame(study):
    """A clean trial with an age, a region and the order of answers, all without bearing on anything."""
    found = study.simulated(people=120, items=ITEMS, seed=11)
    rng = np.random.default_rng(12)
    people = found["participant"].unique()
    age = dict(zip(people, rng.normal(40, 10, len(people)), strict=True))
    region = dict(zip(people, rng.choice(["north", "south", "west"], len(people)), strict=True))
    return found.assign(
        age=found["participant"].map(age),
        region=found["participant"].map(region),
        turn=found.groupby("participant").cumcount() + 1,
    )


@pytest.fixture
def made(study):
    def result_of(frame, runs=None, ai=("a1",), dictionary=DICTIONARY, **choices):
        runs = study.benchmark(ai, items=ITEMS, repeats=40, right=36) if runs is None else runs
        trial = rg.read_trial(frame, benchmark=runs, design=rg.Design("control", list(ai)), dictionary=dictionary)
        estimand = rg.Estimand(items="fixed", **choices)
        scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
        result = decomposed(rg.estimate_frequentist(scores, estimand), estimand)
        settings = replace(result.settings, suppress_below=0)
        return tabled(replace(result, settings=settings, context=CheckContext(trial)))

    return result_of


ALL = (
    balance,
    answer_position,
    leave_one_item_out,
    leave_one_participant_out,
)


@pytest.mark.parametrize("check", ALL, ids=lambda one: one.__name__)
def test_a_clean_trial_passes(frame, made, check):
    found = check(made(frame))
    assert found.status == "pass", found.detail


def test_an_age_that_differs_by_arm_is_named(frame, made):
    older = frame.assign(age=frame["age"] + 6.0 * (frame["arm"] == "a1"))
    found = balance(made(older))
    assert found.status == "warning"
    assert "Different: age." in found.detail
    values = older.drop_duplicates("participant").groupby("arm")["age"]
    difference = abs(values.mean().diff().iloc[-1]) / np.sqrt(values.var(ddof=0).mean())
    assert f"age {difference:.2f}" in found.detail


def age_in(**field):
    """The dictionary with other words on the age."""
    trial = DICTIONARY["tables"]["trial"]
    fields = [one | field if one["name"] == "age" else one for one in trial["fields"]]
    return DICTIONARY | {"tables": DICTIONARY["tables"] | {"trial": {"fields": fields}}}


def test_a_confidential_column_is_compared_too(frame, made):
    older = frame.assign(age=frame["age"] + 6.0 * (frame["arm"] == "a1"))
    assert "Different: age." in balance(made(older, dictionary=age_in(sensitive=True))).detail


def test_a_column_of_many_levels_is_compared_by_the_commonest(frame, made):
    people = frame["participant"].unique()
    number = dict(zip(people, np.random.default_rng(2).integers(0, 20, len(people)), strict=True))
    site = frame["participant"].map(number).astype(str)
    assert balance(made(frame.assign(region="site " + site))).status == "pass"
    apart = balance(made(frame.assign(region=frame["arm"] + site)))
    assert (apart.status, "Different: region." in apart.detail) == ("warning", True)


def test_a_column_that_is_blank_in_one_arm_is_found(frame, made):
    blank = frame.assign(age=frame["age"].where(frame["arm"] == "a1"))
    found = balance(made(blank))
    assert (found.status, "Different: age missing." in found.detail) == ("warning", True)
    some = frame.assign(age=frame["age"].where(frame["participant"].str.len() % 2 == 0))
    assert "age missing" in balance(made(some)).detail


def test_items_answered_in_one_arm_alone_are_named(frame, made):
    skewed = frame[(frame["arm"] == "control") | (frame["item"] != "s1") | (frame.index % 5 == 0)]
    found = balance(made(skewed))
    assert found.status == "warning"
    assert "Different: item." in found.detail


def test_the_test_of_counts_is_about_the_chi_square(study):
    """Patterns without participants: each answer is a unit."""
    rng = np.random.default_rng(5)
    counts = rng.multinomial(900, [0.3, 0.3, 0.2, 0.2], 2)
    rows = [
        {
            "arm": arm,
            "item": f"s{item}",
            "decision": value,
            "count": int(counts[place, item] // 2),
            "conversation": value,
        }
        for place, arm in enumerate(("a1", "control"))
        for item in range(4)
        for value in (0, 1)
    ]
    table = pd.DataFrame(rows)
    table.loc[table["arm"] == "control", "conversation"] = None
    trial = rg.read_trial(table, design=rg.Design("control", ["a1"]))
    scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    estimand = rg.Estimand(items="fixed")
    result = decomposed(rg.estimate_frequentist(scores, estimand), estimand)
    by_arm = table.pivot_table(index="arm", columns="item", values="count", aggfunc="sum")
    expected = stats.chi2_contingency(by_arm.to_numpy()).pvalue
    shown = float(balance(result).detail.partition("(p ")[2].partition(")")[0])
    assert shown == pytest.approx(expected, abs=0.02)


def test_a_trial_in_which_everyone_answers_all_items_is_balanced(study):
    frame = study.simulated(people=30, answers=1, seed=3)
    everything = frame.drop(columns="item").merge(pd.DataFrame({"item": ITEMS}), how="cross")
    found = balance(replace(study.decomposed(everything, study.benchmark(items=ITEMS)), context=None))
    assert (found.status, "item 0.00 (p 1.000)" in found.detail) == ("pass", True)


def test_rounding_is_no_difference_where_everyone_answers_all_items_in_an_order_of_their_own():
    rng = np.random.default_rng(4)
    levels = pd.Series(np.concatenate([rng.permutation(10) for _ in range(83)]).astype(str))
    columns = np.asarray(pd.get_dummies(levels, drop_first=True, dtype=float).to_numpy())
    people = np.repeat(np.arange(83), 10)
    arm = np.where(people < 23, "a", np.where(people < 53, "b", "c"))
    assert _p_value(_Column("item", columns, arm, people, np.ones(830))) == 1


def test_items_dealt_by_chance_to_few_people_are_rarely_found_apart():
    rng = np.random.default_rng(6)
    values = []
    for _ in range(400):
        levels = pd.Series(rng.integers(20, size=90).astype(str))
        columns = np.asarray(pd.get_dummies(levels, dtype=float).to_numpy())
        arm = np.repeat(np.array(["a", "b", "c"]), 30)
        values.append(_p_value(_Column("item", columns, arm, np.arange(90), np.ones(90))))
    assert np.mean(np.array(values) < 0.05) < 0.08  # the variance by arm finds one in three


def test_people_in_several_arms_are_compared_with_themselves():
    rng = np.random.default_rng(7)
    people = np.repeat(np.arange(60), 2)
    arm = np.tile(np.array(["a", "b"]), 60)
    taste = np.repeat(rng.normal(0, 3, 60), 2)
    alike, apart = taste + rng.normal(0, 1, 120), taste + rng.normal(0, 1, 120) + (arm == "b")
    found = [_p_value(_Column("age", values[:, None], arm, people, np.ones(120))) for values in (alike, apart)]
    assert found[0] > 0.05
    assert found[1] < 0.01


def test_attrition_that_differs_by_arm_is_found(frame, made):
    result = made(frame)
    rows = (
        AttritionRow("exclude", "a1", 240, 180, "incomplete"),
        AttritionRow("exclude", "control", 240, 232, "incomplete"),
    )
    found = differential_attrition(replace(result, attrition=rows))
    assert found.status == "warning"
    assert "a1 25.0 %" in found.detail
    even = (replace(rows[0], n_out=231), rows[1])
    assert differential_attrition(replace(result, attrition=even)).status == "pass"


def test_an_arm_that_lost_none_counts_and_so_do_few_losses(frame, made):
    result = made(frame)
    alone = (AttritionRow("score", "a1", 240, 200, "no score at stage decision"),)
    assert differential_attrition(replace(result, attrition=alone)).status == "warning"
    few = (AttritionRow("score", "a1", 240, 239, "no score at stage decision"),)
    found = differential_attrition(replace(result, attrition=few))
    assert found.status == "pass"
    assert "p 1.000" in found.detail


def test_people_who_drop_out_whole_count_once(frame, made):
    """The same shares as of answers, with two answers each."""
    result = made(frame)
    rows = (
        AttritionRow("exclude", "a1", 240, 210, "incomplete"),
        AttritionRow("exclude", "control", 240, 232, "incomplete"),
    )
    found = differential_attrition(replace(result, attrition=rows))
    expected = stats.chi2_contingency([[105, 116], [15, 4]]).pvalue
    assert f"p {expected:.3f}" in found.detail


def test_a_task_stage_is_not_held_against_the_control_arm(frame, made):
    lost = (AttritionRow("score", "a1", 240, 100, "no score at stage conversation"),)
    assert differential_attrition(replace(made(frame), attrition=lost)).status == "not_applicable"


def test_missing_logs_that_could_change_a_verdict_are_told(frame, made):
    holes = frame.copy()
    holes.loc[(holes["arm"] == "a1") & (holes.index % 4 == 0), "conversation"] = np.nan
    found = missing_logs(made(holes))
    assert found.status == "warning"
    assert "task.interaction_type" in found.assumption_ids
    few = frame.copy()
    few.loc[few.index[few["arm"] == "a1"][0], "conversation"] = np.nan
    assert missing_logs(made(few)).status == "pass"
    assert missing_logs(made(frame)).status == "not_applicable"


def test_later_answers_that_follow_the_system_less_are_found(frame, made):
    tired = frame.copy()
    later = (tired["arm"] == "a1") & (tired["turn"] == 2)
    tired.loc[later, "decision"] = 0.0
    found = answer_position(made(tired))
    assert found.status == "warning"
    assert "outcome.decision_mediation" in found.assumption_ids
    assert "realized_effect" in found.detail.partition("Different: ")[2]


def test_effects_are_not_compared_where_the_control_arm_has_no_positions(frame, made):
    found = answer_position(made(frame.assign(turn=frame["turn"].astype("Int64").where(frame["arm"] != "control"))))
    assert "decision" in found.detail
    assert "realized_effect" not in found.detail


def test_an_arm_that_borrows_a_stage_loses_none_of_it(study):
    trial = study.simulated(people=150, arms=("a1", "a2", "control"), seed=1)
    rng = np.random.default_rng(2)
    gone = (trial["arm"] == "a2") | ((trial["arm"] == "a1") & (rng.random(len(trial)) < 0.1))
    trial.loc[gone, "own_query"] = np.nan
    loan = Borrowing("own_query", "a1", "the same interface")
    design = rg.Design("control", ["a1", rg.Arm("a2", "a1", (loan,))])
    assert differential_attrition(study.decomposed(trial, study.benchmark(), design=design)).status == "not_applicable"


def test_without_a_position_or_covariates_nothing_is_claimed(study):
    result = study.decomposed(study.simulated(people=30), study.benchmark())
    assert answer_position(result).status == "not_applicable"
    one = study.simulated(people=30, arms=("a1",))
    alone = study.decomposed(one, study.benchmark(), design=rg.Design(ai=["a1"]))
    assert balance(alone).status == "not_applicable"


def test_a_mix_that_makes_the_gap_is_told(study, made, frame):
    runs = study.benchmark(items=ITEMS, repeats=100, right=100)
    runs.loc[runs["item"].isin(["s1", "s2"]), "benchmark"] = 0.0
    mixed = frame[(frame["item"].isin(["s1", "s2"])) | (frame.index % 6 == 0)]
    assert item_mix(made(mixed, runs)).status == "warning"
    uneven = frame[np.random.default_rng(3).random(len(frame)) < 0.9]
    assert item_mix(made(uneven)).status == "pass"
    assert item_mix(made(frame)).status == "not_applicable"


def test_one_item_that_carries_a_component_is_named(study, made, frame):
    runs = study.benchmark(items=ITEMS, repeats=100, right=100)
    runs.loc[runs["item"] == "s4", "benchmark"] = 0.0
    found = leave_one_item_out(made(frame, runs))
    assert found.status == "warning"
    assert "without s4" in found.detail
    assert "s4 carries 100 of the 100 wrong scores at benchmark" in found.detail
    assert found.assumption_ids


def opposite(frame):
    """Two arms in which one item loses much in one and gains as much in the other, at the conversation."""
    other = frame[frame["arm"] == "a1"].assign(
        arm="a2", participant=lambda rows: rows["participant"] + "b", conversation=lambda rows: rows["conversation"]
    )
    both = pd.concat([frame, other], ignore_index=True)
    mine = both["item"] == "s1"
    for arm, (query, talk) in {"a1": (1.0, 0.0), "a2": (0.0, 1.0)}.items():
        rows = mine & (both["arm"] == arm)
        both.loc[rows, ["own_query", "conversation"]] = [query, talk]
    return both


def test_what_one_item_does_to_single_arms_is_told_though_it_cancels(frame, made):
    found = leave_one_item_out(made(opposite(frame), ai=("a1", "a2")))
    assert found.status == "warning"
    assert "conversation in arm a1" in found.detail
    assert "conversation in arm a2" in found.detail
    beyond = found.detail.partition("Beyond the rule: ")[2]
    assert ", conversation +" not in beyond
    assert ", conversation -" not in beyond


def test_missing_scores_that_leave_a_single_arm_open_are_told(frame, made):
    other = frame[frame["arm"] == "a1"].assign(arm="a2", participant=lambda rows: rows["participant"] + "b")
    both = pd.concat([frame, other], ignore_index=True)
    few = (both["arm"] == "a1") & (both.index % 13 == 0)
    both.loc[few, "conversation"] = np.nan
    result = made(both, ai=("a1", "a2"))
    result = replace(result, missing=missing_score_rows(result.estimates))
    found = missing_logs(result)
    assert found.status == "warning"
    assert "conversation in arm a1" in found.detail.partition("Open: ")[2]
    assert "Open: conversation," not in found.detail


def test_one_participant_among_a_few_is_not_hidden(study, made):
    found = study.simulated(people=6, items=ITEMS, seed=1)
    extra = {"age": 40.0, "region": "north", "turn": found.groupby("participant").cumcount() + 1}
    result = made(found.assign(**extra))
    told = leave_one_participant_out(result)
    assert told.status == "warning"
    assert "a1-" not in told.detail


def test_few_people_of_a_baseline_group_hide_the_figures_of_balance(frame, made):
    people = list(frame.loc[frame["arm"] == "a1", "participant"].unique())
    few = frame.assign(region=np.where(frame["participant"].isin(people[:2]), "east", "west"))
    details = {}
    for name, rows in {"few": few, "many": frame}.items():
        result = made(rows)
        whole = replace(result, settings=replace(result.settings, suppress_below=5), checks=(balance(result),))
        details[name] = suppressed(whole).checks[0].detail
    assert details["few"] == DETAIL_HIDDEN
    assert "region" in details["many"]


def test_what_one_person_did_is_hidden_and_the_status_stays(frame, made):
    result = made(frame)
    whole = replace(result, settings=replace(result.settings, suppress_below=5))
    whole = replace(whole, checks=(leave_one_participant_out(whole),))
    shown = suppressed(whole)
    assert {row.unit for row in result.influence} == {"item", "participant"}
    assert all(row.estimate is row.change is None for row in shown.influence if row.unit == "participant")
    assert shown.checks[0].status == "pass"
    assert not any(mark in shown.checks[0].detail for mark in ("+", "-0", "own_query"))
