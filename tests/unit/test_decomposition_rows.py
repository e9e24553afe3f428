"""Rows of a decomposition: arms and their weights, items and theirs, missing scores, other chains."""

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import EstimandError

NAMES = ("own_query", "conversation", "decision")
TWO_ARMS = rg.Design("control", ["a1", "a2"])


@pytest.fixture(scope="module")
def arms(study):
    """Arm a1 with 20 people, a2 with 10, control with 12."""
    frame = study.simulated(people=20, arms=("a1", "a2", "control"), seed=3)
    number = frame["participant"].str.rpartition("-")[2].astype(int)
    size = frame["arm"].map({"a1": 20, "a2": 10, "control": 12})
    return frame[number < size].reset_index(drop=True), study.benchmark(("a1", "a2"))


def run(study, arms, estimand=None, **options):
    return study.decomposed(*arms, estimand, design=TWO_ARMS, **options)


def mean(frame, arm, name):
    return frame.loc[frame["arm"] == arm, name].mean()


def test_each_arm_and_the_pooled_row_stand_side_by_side(study, arms):
    result = run(study, arms, companions=True)
    quantities = {row.arm: [one.quantity for one in result.main() if one.arm == row.arm] for row in result.main()}
    assert list(quantities) == ["a1", "a2", "all"]
    assert quantities["a1"] == quantities["a2"] == quantities["all"]
    assert {row.arm for row in result.stages} == {"a1", "a2", "all", "control"}
    keys = [row.key for row in result.components]
    assert len(set(keys)) == len(keys)


def test_one_arm_is_written_under_its_name_and_as_all(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    for quantity in (*NAMES, "gap", "uptake"):
        one, pooled = result.row(quantity, "a1"), result.row(quantity)
        assert (one.estimate, one.std_error, one.lower) == (pooled.estimate, pooled.std_error, pooled.lower)


@pytest.mark.parametrize(
    ("weights", "share"), [("equal", 0.5), ("observed", 2 / 3), ({"a1": 1, "a2": 3}, 0.25), ({"a1": 0, "a2": 2}, 0.0)]
)
def test_arm_weights(study, arms, weights, share):
    result = run(study, arms, rg.Estimand("fixed", arm_weights=weights))
    frame = arms[0]
    for name in NAMES:
        expected = share * mean(frame, "a1", name) + (1 - share) * mean(frame, "a2", name)
        assert study.stage(result, name).estimate == pytest.approx(expected)
    one, two = (result.row("decision", arm) for arm in ("a1", "a2"))
    pooled = result.row("decision")
    assert pooled.estimate == pytest.approx(share * one.estimate + (1 - share) * two.estimate)
    assert pooled.lost == pytest.approx(share * one.lost + (1 - share) * two.lost)
    # arms are independent
    expected = (share * one.std_error) ** 2 + ((1 - share) * two.std_error) ** 2
    assert pooled.std_error**2 == pytest.approx(expected)


@pytest.mark.parametrize("weights", [{"a1": 1, "a2": 1, "a9": 1}, {"a9": 1}])
def test_weights_of_unknown_arms_are_refused(study, arms, weights):
    with pytest.raises(EstimandError, match="arm_weights"):
        run(study, arms, rg.Estimand("fixed", arm_weights=weights))


def test_pooled_effect_shares_one_control(study, arms):
    result = run(study, arms)
    control = study.stage(result, "decision", "control")
    one, two = (study.stage(result, "decision", arm) for arm in ("a1", "a2"))
    expected = one.std_error**2 / 4 + two.std_error**2 / 4 + control.std_error**2
    assert result.row("realized_effect").std_error ** 2 == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weights", "mix"),
    [
        ("uniform", {"s1": 1 / 3, "s2": 1 / 3, "s3": 1 / 3}),
        ({"s1": 1, "s3": 3}, {"s1": 0.25, "s3": 0.75}),
        ({"s1": 1, "s2": 0, "s3": 1}, {"s1": 0.5, "s3": 0.5}),
    ],
)
def test_item_weights(study, arms, weights, mix):
    result = run(study, arms, rg.Estimand("fixed", weights))
    frame = arms[0]
    for arm in ("a1", "control"):
        cells = frame[frame["arm"] == arm].groupby("item")["decision"].mean()
        expected = sum(weight * cells[item] for item, weight in mix.items())
        assert study.stage(result, "decision", arm).estimate == pytest.approx(expected)


def test_trial_weights_are_the_pooled_mix_of_the_ai_arms(study):
    frame = study.simulated(people=12, arms=("a1", "a2", "control"))
    frame = frame[~((frame["arm"] == "a2") & (frame["item"] == "s3"))]
    extra = frame[(frame["arm"] == "control") & (frame["item"] == "s1")]
    frame = pd.concat([frame, *[extra.assign(participant=f"x{n}") for n in range(5)]], ignore_index=True)
    one_arm = frame[frame["arm"] != "a2"]
    result = study.decomposed(one_arm, study.benchmark(), rg.Estimand("fixed", "trial"))
    mix = one_arm[one_arm["arm"] == "a1"]["item"].value_counts(normalize=True)
    cells = one_arm[one_arm["arm"] == "control"].groupby("item")["decision"].mean()
    assert study.stage(result, "decision", "control").estimate == pytest.approx((mix * cells).sum())
    with pytest.raises(EstimandError, match="item 's3' has weight and no score at 'own_query' in arm 'a2'"):
        study.decomposed(frame, study.benchmark(("a1", "a2")), rg.Estimand("fixed", "trial"), design=TWO_ARMS)


@pytest.mark.parametrize(
    ("drop", "said"),
    [
        (("a1", "own_query"), "'s2' has weight and no score at 'own_query' in arm 'a1'"),
        (("control", "decision"), "'s2' has weight and no score at 'decision' in arm 'control'"),
    ],
)
def test_an_empty_cell_is_refused_naming_arm_and_item(study, drop, said):
    frame = study.simulated()
    arm, name = drop
    frame.loc[(frame["arm"] == arm) & (frame["item"] == "s2"), name] = np.nan
    with pytest.raises(EstimandError, match=said):
        study.decomposed(frame, study.benchmark(), rg.Estimand("fixed", "uniform"))
    narrowed = study.decomposed(frame, study.benchmark(), rg.Estimand("fixed", {"s1": 1, "s3": 1}))
    assert study.faults(narrowed) == []
    assert narrowed.row("gap").lower is not None


def test_a_benchmark_without_an_item_is_refused_and_surplus_items_are_noted(study):
    frame = study.simulated()
    with pytest.raises(EstimandError, match="'s3' has weight and no score at 'benchmark'"):
        study.decomposed(frame, study.benchmark(items=("s1", "s2")), rg.Estimand("fixed", "trial"))
    result = study.decomposed(frame, study.benchmark(items=("s1", "s2", "s3", "s8")), rg.Estimand("fixed", "trial"))
    assert "Benchmark items that the item weights leave out: s8." in result.notes


def test_item_mix_by_hand(study):
    frame = study.simulated()
    runs = study.benchmark()
    runs = pd.concat([runs, *[runs[runs["item"] == "s1"].assign(benchmark=0.0)] * 3], ignore_index=True)
    observed = study.decomposed(frame, runs, rg.Estimand("fixed", "observed"))
    weighted = study.decomposed(frame, runs, rg.Estimand("fixed", {"s1": 1, "s2": 2, "s3": 5}))
    mix = {"s1": 1 / 8, "s2": 2 / 8, "s3": 5 / 8}
    bench = runs.groupby("item")["benchmark"].mean()
    decided = frame[frame["arm"] == "a1"].groupby("item")["decision"].mean()
    gap_observed = runs["benchmark"].mean() - mean(frame, "a1", "decision")
    gap_mix = sum(weight * (bench[item] - decided[item]) for item, weight in mix.items())
    row = weighted.row("item_mix")
    assert row.estimate == pytest.approx(gap_observed - gap_mix)
    assert row.estimate == pytest.approx(observed.row("gap").estimate - weighted.row("gap").estimate)
    assert row.lower < row.estimate < row.upper
    # under observed weights it compares with the trial's mix
    trial_mix = frame[frame["arm"] == "a1"]["item"].value_counts(normalize=True)
    against_trial = gap_observed - sum(trial_mix * (bench - decided))
    assert observed.row("item_mix").estimate == pytest.approx(against_trial)


def test_an_item_mix_that_is_zero_by_construction_says_so(study):
    row = study.decomposed(study.simulated(), study.benchmark()).row("item_mix")
    assert row.estimate == pytest.approx(0, abs=1e-15)
    assert row.lower is None
    assert "zero by construction" in row.note


def test_an_item_mix_of_rounding_error_is_zero_by_construction(study):
    items = ("s1", "s2", "s3", "s3", "s2", "s3")
    frame = study.simulated(people=60, items=items, answers=1)
    runs = study.benchmark(items=items, repeats=1, right=1)
    row = study.decomposed(frame, runs, rg.Estimand("fixed", {"s1": 0.1, "s2": 0.2, "s3": 0.3})).row("item_mix")
    assert row.lower is None


def test_missing_scores_keep_the_sum_and_the_difference_is_stated(study):
    frame = study.simulated()
    mine = frame.index[frame["arm"] == "a1"]
    frame.loc[mine[:5], "conversation"] = np.nan
    frame.loc[mine[3:9], "decision"] = np.nan
    result = study.decomposed(frame, study.benchmark())
    parts = [result.row(name).estimate for name in NAMES]
    assert sum(parts) == pytest.approx(result.row("gap").estimate)
    ai = frame[frame["arm"] == "a1"]
    assert study.stage(result, "conversation").estimate == pytest.approx(ai["conversation"].mean())
    assert study.stage(result, "conversation").n == 19
    row, complete = result.row("decision"), ai.dropna()
    lost = ((complete["conversation"] - complete["decision"]).clip(lower=0)).mean()
    gained = ((complete["decision"] - complete["conversation"]).clip(lower=0)).mean()
    assert (row.lost, row.gained) == (pytest.approx(lost), pytest.approx(gained))
    assert abs(lost - gained - row.estimate) > 1e-6
    assert f"lost minus gained among complete pairs is {100 * (lost - gained):+.1f} points" in row.note
    assert row.lost_count == int((complete["conversation"] > complete["decision"]).sum())


def test_no_answer_with_both_scores(study):
    frame = study.simulated()
    mine = frame.index[frame["arm"] == "a1"]
    frame.loc[mine[:12], "conversation"] = np.nan
    frame.loc[mine[12:], "decision"] = np.nan
    result = study.decomposed(frame, study.benchmark())
    row = result.row("decision")
    assert row.lost is None
    assert "no answer has both scores" in row.note
    assert row.lower is not None
    assert result.row("uptake").estimate is None


def test_without_control_the_effect_rows_say_why(study):
    frame = study.simulated(arms=("a1",))
    result = study.decomposed(frame, study.benchmark(), design=rg.Design(None, ["a1"]))
    row = result.row("realized_effect")
    assert (row.estimate, row.lower) == (None, None)
    assert "no control arm" in row.note
    assert result.effects == ()
    assert result.settings.control == ""
    assert result.row("gap").lower is not None


def test_a_chain_without_benchmark(study):
    stages = tuple(rg.Stage(name) for name in NAMES)
    chain = rg.Chain(stages, (rg.Transition("conversation", "task", ("t",)), rg.Transition("decision", "outcome")))
    frame = study.simulated()
    result = study.decomposed(frame, stages=chain)
    assert result.row("gap").estimate == pytest.approx(mean(frame, "a1", "own_query") - mean(frame, "a1", "decision"))
    assert result.row("conversation").lost is not None
    assert result.row("predicted_effect").estimate == pytest.approx(
        mean(frame, "a1", "own_query") - mean(frame, "control", "decision")
    )
    assert result.settings.n_runs == 0
    assert result.row("task").assumption_ids == "t"
    assert study.faults(result) == []


def test_a_five_stage_chain_with_other_names(study):
    frame = study.simulated().rename(columns={"own_query": "first words", "conversation": "advice"})
    frame["notes"] = frame["advice"] * frame["first words"]
    stages = (
        rg.Stage("exam", "benchmark", score="benchmark"),
        rg.Stage("prompt", score="first words"),
        rg.Stage("advice"),
        rg.Stage("weighed_advice", score="notes"),
        rg.Stage("choice", score="decision"),
    )
    families = ("task", "task", "outcome", "outcome")
    steps = tuple(rg.Transition(stage.name, family) for stage, family in zip(stages[1:], families, strict=True))
    result = study.decomposed(frame, study.benchmark(), stages=rg.Chain(stages, steps))
    parts = [result.row(stage.name).estimate for stage in stages[1:]]
    assert sum(parts) == pytest.approx(result.row("gap").estimate)
    assert result.row("task").estimate == pytest.approx(sum(parts[:2]))
    assert result.row("outcome").estimate == pytest.approx(sum(parts[2:]))
    assert result.row("predicted_effect_after_weighed_advice").estimate == pytest.approx(
        (frame["notes"][frame["arm"] == "a1"]).mean() - mean(frame, "control", "decision")
    )
    assert result.row("weighed_advice").gained == 0


def test_companions_stand_beside_and_are_told_apart(study):
    result = study.decomposed(study.simulated(), study.benchmark(), companions=True)
    beside = {(row.items, row.item_weights, row.covariance) for row in result.components}
    assert beside == {
        ("fixed", "observed", "cluster"),
        ("fixed", "trial", "cluster"),
        ("random", "observed", "cluster2"),
        ("random", "trial", "cluster2"),
    }
    assert {row.items for row in result.main()} == {"fixed"}
    with pytest.raises(KeyError):
        result.row("gap", "nobody")


def test_uneven_answers_are_said(study):
    even = study.decomposed(study.simulated(), study.benchmark())
    frame = study.simulated().iloc[1:]
    assert not any("weight answers" in note for note in even.notes)
    assert any("weight answers" in note for note in study.decomposed(frame, study.benchmark()).notes)


def test_labels_in_any_script_and_long_numbers(study):
    names = {"a1": "modèle «Ω» 🤖", "control": "témoin"}
    frame = study.simulated().assign(count=10**12)
    frame["arm"] = frame["arm"].map(names)
    result = study.decomposed(frame, study.benchmark((names["a1"],)), design=rg.Design("témoin", [names["a1"]]))
    assert study.faults(result) == []
    assert result.settings.n_answers == 48 * 10**12
    plain = study.decomposed(study.simulated(), study.benchmark())
    assert result.row("decision").estimate == pytest.approx(plain.row("decision").estimate)
    assert result.row("decision").std_error == pytest.approx(plain.row("decision").std_error)


def test_one_participant_with_two_hundred_answers_widens_the_interval(study):
    frame = study.simulated(people=20)
    heavy = pd.concat([frame, *[frame.iloc[[0]]] * 198], ignore_index=True)
    alone = heavy.assign(participant=[f"p{row}" for row in range(len(heavy))])
    tied, free = (study.decomposed(one, study.benchmark()).row("realized_effect") for one in (heavy, alone))
    step = study.decomposed(heavy, study.benchmark()).row("conversation")
    assert tied.estimate == pytest.approx(free.estimate)
    assert tied.upper - tied.lower > 2 * (free.upper - free.lower)
    assert step.df < 3
