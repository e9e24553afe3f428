import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import AnalysisError
from rctgap.replication import replicate

LARGE = rg.SimulationPlan(
    arms=("a1", "a2"),
    shifts={"a2": {"decision": 0.2}},
    participants=400,
    items=400,
    runs=40,
    item_sd=1.5,
)


@pytest.fixture(scope="module")
def large():
    return rg.simulate_trial(LARGE, seed=3)


def test_means_over_the_population_are_those_asked_for(large):
    means = large.item_means.groupby(["arm", "stage"])["mean"]
    for (arm, stage), part in means:
        wanted = LARGE.control_mean if arm == "control" else LARGE.mean(arm, stage)
        assert abs(part.mean() - wanted) < 4 * part.std() / np.sqrt(len(part))


def test_scores_follow_their_items(large):
    merged = large.answers.merge(
        large.item_means.query("stage == 'decision'")[["arm", "item", "mean"]], on=["arm", "item"]
    )
    for _, part in merged.groupby("arm"):
        variance = (part["mean"] * (1 - part["mean"])).sum()
        assert abs(part["decision"].sum() - part["mean"].sum()) < 5 * np.sqrt(variance)
    runs = large.runs.groupby(["system", "item"])["benchmark"].mean()
    truth = large.item_means.query("stage == 'benchmark'").set_index(["arm", "item"])["mean"]
    assert np.corrcoef(runs.sort_index(), truth.rename_axis(["system", "item"]).sort_index())[0, 1] > 0.8


def test_truth_adds_up_and_moves_with_the_arm(large):
    truth = large.truth(rg.Estimand(items="random"))
    assert truth["a1", "gap"] == pytest.approx(0.5)
    assert truth["a2", "gap"] == pytest.approx(0.3)
    assert truth["all", "gap"] == pytest.approx(0.4)
    assert truth["a1", "realized_effect"] == pytest.approx(0.4 - 0.47)
    for weights in ("observed", "trial", "uniform"):
        fixed = large.truth(rg.Estimand(items="fixed", item_weights=weights))
        parts = [fixed["a1", name] for name in ("own_query", "conversation", "decision")]
        assert sum(parts) == pytest.approx(fixed["a1", "gap"])


def test_truth_of_these_items_is_their_weighted_mean():
    drawn = rg.simulate_trial(rg.SimulationPlan(items=3, participants=30, item_mix=[4, 1, 1]), seed=1)
    means = drawn.item_means.query("arm == 'a1'").pivot_table(index="item", columns="stage", values="mean")
    gap = means["benchmark"] - means["decision"]
    mix = {"s0": 0.7, "s1": 0.2, "s2": 0.1}
    named = drawn.truth(rg.Estimand(items="fixed", item_weights=mix))
    assert named["a1", "gap"] == pytest.approx(float(gap @ pd.Series(mix)))
    own = drawn.answers.query("arm == 'a1'")["item"].value_counts(normalize=True)
    observed = drawn.truth(rg.Estimand(items="fixed"))
    assert observed["a1", "gap"] == pytest.approx(float(means["benchmark"].mean() - means["decision"] @ own))
    assert own["s0"] > own["s1"]


def test_bad_items_carry_all_errors_of_the_benchmark():
    plan = rg.SimulationPlan(population="bad-items", bad_share=0.2, items=2000, participants=5)
    means = rg.simulate_trial(plan, seed=2).item_means.query("stage == 'benchmark'")["mean"]
    assert set(means.round(12)) == {0.5, 1.0}
    assert abs(means.mean() - 0.9) < 4 * means.std() / np.sqrt(2000)


def test_correlations_tie_answers_and_stages():
    loose, tight = (
        rg.simulate_trial(
            rg.SimulationPlan(participants=2000, item_sd=1e-6, participant_correlation=one, stage_correlation=one),
            seed=5,
        ).answers.query("arm == 'a1'")
        for one in (0.0, 0.8)
    )
    for frame, low, high in ((loose, -0.06, 0.06), (tight, 0.3, 1.0)):
        pairs = frame.groupby("participant")["decision"].agg(["first", "last"])
        assert low < np.corrcoef(pairs["first"], pairs["last"])[0, 1] < high
        assert low < np.corrcoef(frame["conversation"], frame["decision"])[0, 1] < high


def test_missing_scores_are_missing_at_their_rate_and_the_trial_reads():
    plan = rg.SimulationPlan(participants=1000, missing={"conversation": 0.2})
    drawn = rg.simulate_trial(plan, seed=4)
    rate = drawn.answers.query("arm == 'a1'")["conversation"].isna().mean()
    assert abs(rate - 0.2) < 4 * np.sqrt(0.16 / 2000)
    trial = rg.read_trial(drawn.answers, benchmark=drawn.runs, design=rg.Design("control", ["a1"]))
    assert any("no score at stage conversation" in one.reason for one in rg.score_stages(trial, plan.chain).attrition)


def test_a_participant_meets_an_item_once():
    answers = rg.simulate_trial(rg.SimulationPlan(answers=4, items=5), seed=6).answers
    assert not answers.duplicated(["participant", "item"]).any()
    assert (answers.groupby("participant").size() == 4).all()


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"means": {"benchmark": 1.0, "own_query": 0.5, "conversation": 0.5, "decision": 0.5}}, "means.benchmark"),
        ({"means": {"benchmark": 0.9}}, "means.own_query"),
        ({"answers": 11}, "answers"),
        ({"items": 0, "answers": 0}, "answers"),
        ({"stage_correlation": 1.0}, "stage_correlation"),
        ({"control_mean": 0.0}, "control_mean"),
        ({"population": "skewed"}, "population"),
        ({"population": "bad-items", "bad_share": 0.05}, "bad_share"),
        ({"item_mix": [1, 2]}, "item_mix"),
        ({"missing": {"decision": 1.0}}, "missing.decision"),
    ],
)
def test_what_cannot_be_simulated_is_named(wrong, named):
    with pytest.raises(AnalysisError, match=named):
        rg.SimulationPlan(**wrong)


def draw(rng):
    return float(rng.random())


def test_workers_change_no_number_and_every_draw_is_its_own():
    alone = replicate(draw, 150, seed=7)
    with ThreadPoolExecutor(3) as threads:
        assert replicate(draw, 150, seed=7, executor=threads) == alone
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        assert replicate(draw, 150, seed=7, executor=processes) == alone
    assert len(set(alone)) == 150
    assert replicate(draw, 150, seed=8) != alone


def test_a_plan_travels_to_another_process():
    plan = rg.SimulationPlan(participants=20, missing={"decision": 0.1})
    assert pickle.loads(pickle.dumps(plan)) == plan  # noqa: S301 - our own bytes


def test_the_same_seed_draws_the_same_trial():
    plan = rg.SimulationPlan(participants=20)
    one, two, other = (rg.simulate_trial(plan, seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.answers, two.answers)
    pd.testing.assert_frame_equal(one.runs, two.runs)
    assert not one.answers.equals(other.answers)
