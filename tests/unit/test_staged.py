"""Staged evaluation: the sequence, sizes, predictions, statuses, and what is refused."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rctgap as rg
from rctgap.assumptions import assumption_rows
from rctgap.cards import read_card
from rctgap.decomposition import decomposed
from rctgap.errors import EstimandError, EstimationError
from rctgap.evaluation import evaluated
from rctgap.next_study import next_steps
from rctgap.predictions import prediction_rows
from rctgap.spread_at_margin import AT_MARGIN
from rctgap.staged import StagedPlan, staged_rows
from rctgap.suppression import suppressed

STEPS = ("own_query", "conversation", "decision")
CARD = {
    "task": {name: {"question": "?", "answer": "yes"} for name in ("query_authorship", "information_completeness")}
    | {"interaction_type": {"question": "?", "answer": "both"}},
    "outcome": {name: {"question": "?", "answer": "yes"} for name in ("decision_mediation", "outcome_validity")},
}


def patterns(*, lost=(0, 0, 0), size=4000, right=0.9, runs=4000):
    """One arm whose answers lose so many at each trial step, and a benchmark; counts without participants."""
    hits = round(right * size)
    counts = [hits - lost[0], hits - lost[0] - lost[1], hits - sum(lost)]
    rows = [
        (1, 1, 1, counts[2]),
        (1, 1, 0, counts[1] - counts[2]),
        (1, 0, 0, counts[0] - counts[1]),
        (0, 0, 0, size - counts[0]),
    ]
    frame = pd.DataFrame(rows, columns=[*STEPS, "count"]).assign(arm="a1")
    control = pd.DataFrame({"arm": "control", "decision": [1, 0], "count": [size // 2, size // 2]})
    bench = pd.DataFrame(
        {"system": "a1", "benchmark": [1, 0], "count": [round(right * runs), runs - round(right * runs)]}
    )
    return pd.concat([frame, control], ignore_index=True)[lambda one: one["count"] > 0], bench


def result_of(*, card=None, design=None, **sizes):
    frame, runs = patterns(**sizes)
    trial = rg.read_trial(frame, benchmark=runs, design=design or rg.Design("control", ["a1"]))
    estimand = rg.Estimand(items="fixed")
    estimates = rg.estimate_frequentist(rg.score_stages(trial, rg.DEFAULT_CHAIN), estimand)
    return decomposed(estimates, estimand, None if card is None else read_card(card))


def verdicts(rows):
    return [row.verdict for row in rows if row.arm == "all"]


def test_small_losses_hold_and_a_large_one_is_violated():
    result = result_of(lost=(20, 20, 800))
    rows = staged_rows(result.estimates, StagedPlan())
    assert verdicts(rows) == ["holds", "holds", "violated"]
    assert rows[0].p_adjusted < 0.05 < rows[2].p_adjusted


def test_nothing_holds_behind_a_step_that_does_not():
    rows = staged_rows(result_of(lost=(800, 0, 20)).estimates, StagedPlan())
    assert verdicts(rows) == ["violated", "inconclusive", "inconclusive"]
    last = rows[2]
    assert last.p_value < 0.05 < last.p_adjusted
    assert "the sequence stopped at own_query" in last.note


def test_a_margin_of_its_own_changes_one_verdict():
    estimates = result_of(lost=(20, 320, 20)).estimates
    assert verdicts(staged_rows(estimates, StagedPlan())) == ["holds", "violated", "inconclusive"]
    wide = StagedPlan(margins={"conversation": 0.12})
    assert verdicts(staged_rows(estimates, wide)) == ["holds"] * 3


def test_answers_needed_settle_it_when_there_are_so_many():
    """The same trial ten times as large as said holds with certainty at a true component of 0."""
    small = staged_rows(result_of(size=300, runs=100_000, lost=(0, 30, 0)).estimates, StagedPlan(margin=0.11))[1]
    assert small.verdict == "inconclusive"
    needed = small.n_needed
    spread = (small.upper - small.lower) / 2 / 1.6449 * math.sqrt(small.n / needed)
    estimates = np.random.default_rng(0).normal(0, spread, 100_000)
    assert (np.abs(estimates) + 1.6449 * spread < 0.11).mean() == pytest.approx(0.8, abs=0.01)


def test_few_runs_cannot_be_made_up_for():
    row = staged_rows(result_of(size=4000, runs=60).estimates, StagedPlan())[0]
    assert row.verdict == "inconclusive"
    assert row.n_needed is None
    assert "run the benchmark more often" in row.note


def test_statuses_follow_the_verdicts_and_the_rest_is_untested():
    found = evaluated(result_of(card=CARD, lost=(20, 20, 800)), StagedPlan())
    assert {row.assumption_id: row.status for row in found.assumptions} == {
        "task.query_authorship": "holds",
        "task.information_completeness": "holds",
        "task.interaction_type": "holds",
        "outcome.decision_mediation": "violated",
        "outcome.outcome_validity": "untested",
    }
    row = found.assumptions[3]
    assert (row.level, row.margin) == (0.9, 0.05)
    assert row.lower < row.estimate < row.upper
    assert "violated" in row.evidence


def test_several_transitions_of_one_assumption_hold_only_together():
    result = evaluated(result_of(lost=(20, 20, 800)), StagedPlan())
    chain = result.estimates.scores.chain
    shared = tuple(replace(step, assumptions=("task.shared",)) for step in chain.transitions)
    (row,) = assumption_rows(result, replace(chain, transitions=shared), None)
    assert (row.status, row.transition) == ("violated", "own_query;conversation;decision")
    assert row.estimate == pytest.approx(0.2)
    two = (*shared[:2], replace(shared[2], assumptions=("outcome.other",)))
    first, _ = assumption_rows(result, replace(chain, transitions=two), None)
    assert first.status == "holds"


def test_a_mixed_step_is_not_testable():
    frame, runs = patterns(lost=(20, 800, 20))
    stages = replace(
        rg.DEFAULT_CHAIN,
        stages=(*rg.DEFAULT_CHAIN.stages[:2], *(replace(s, system="other") for s in rg.DEFAULT_CHAIN.stages[2:])),
    )
    trial = rg.read_trial(frame, benchmark=runs, design=rg.Design("control", ["a1"]))
    estimand = rg.Estimand(items="fixed")
    result = rg.decompose(rg.estimate_frequentist(rg.score_stages(trial, stages), estimand), estimand)
    found = evaluated(result, StagedPlan())
    statuses = {row.assumption_id: row.status for row in found.assumptions}
    assert statuses["task.interaction_type"] == "not_testable"
    assert next(row for row in found.assumptions if row.status == "not_testable").estimate is None
    assert any("one system throughout" in text for text in found.next_steps)


def test_predictions_take_the_stage_before_the_untested():
    found = evaluated(result_of(card=CARD, lost=(20, 20, 800)), StagedPlan())
    rows = {(row.after, row.quantity): row for row in found.predictions if row.arm == "all"}
    assert rows["benchmark", "accuracy"].estimate == pytest.approx(0.9)
    assert rows["benchmark", "effect"].estimate == pytest.approx(0.4)
    control = 0.5
    low, high = rows["benchmark", "effect"].bound_lower, rows["benchmark", "effect"].bound_upper
    assert low < -control < 0 < 1 - control < high
    assert rows["decision", "accuracy"].bound_lower == rows["decision", "accuracy"].lower


def test_stated_priors_shift_and_widen_a_prediction():
    plan = StagedPlan(priors={"outcome.decision_mediation": (0.2, 0.1)})
    found = evaluated(result_of(card=CARD, lost=(20, 20, 800)), plan)
    row = next(
        row for row in found.predictions if (row.arm, row.after, row.quantity) == ("all", "conversation", "effect")
    )
    spread = (row.upper - row.estimate) / 1.959964
    assert row.prior_estimate == pytest.approx(row.estimate - 0.2)
    assert row.prior_upper - row.prior_estimate == pytest.approx(1.959964 * math.hypot(spread, 0.1), rel=1e-3)
    assert "outcome.outcome_validity" in row.note


def test_a_posterior_gives_verdicts_without_p_values():
    frame, runs = patterns(lost=(20, 20, 800))
    trial = rg.read_trial(frame, benchmark=runs, design=rg.Design("control", ["a1"]))
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    posterior = rg.estimate_bayesian(scores, rg.Estimand(items="fixed"), model="bootstrap", seed=3)
    rows = staged_rows(posterior, StagedPlan(), posterior)
    assert verdicts(rows)[-1] == "violated"
    assert all(row.p_value is None and "a posterior has no p-value" in row.note for row in rows)
    assert rows[-1].prob_within_margin < 0.01
    assert rows[1].prob_within_margin > 0.99


def test_prospective_use_needs_neither_control_nor_outcome():
    frame, runs = patterns(lost=(20, 0, 0))
    frame = frame[frame["arm"] == "a1"].drop(columns=["conversation", "decision"])
    trial = rg.read_trial(frame, benchmark=runs, design=rg.Design(ai=["a1"]))
    stages = [rg.Stage("benchmark", "benchmark"), rg.Stage("own_query")]
    estimand = rg.Estimand(items="fixed")
    estimates = rg.estimate_frequentist(rg.score_stages(trial, stages), estimand)
    found = rg.staged_evaluation(rg.decompose(estimates, estimand, read_card(CARD)), 0.05)
    assert [row.status for row in found.assumptions].count("untested") == 3
    last = next(
        row for row in found.predictions if (row.arm, row.after, row.quantity) == ("all", "own_query", "accuracy")
    )
    assert (last.bound_lower, last.bound_upper) == (0.0, 1.0)
    assert any("a behavioural study" in text for text in found.next_steps)
    assert "outcome.decision_mediation" in str(found)


def test_sizes_for_untested_assumptions_are_those_of_a_paired_difference():
    (text,) = next_steps((), ["outcome.decision_mediation"], StagedPlan())
    n = math.ceil(0.3 * ((1.644854 + 1.281552) / 0.05) ** 2)
    assert f"{n:,} paired answers if 30 % change" in text


@pytest.mark.parametrize(
    ("plan", "value"),
    [({"margin": 0.0}, "0.0"), ({"alpha": 0.5}, "0.5"), ({"power": 1.0}, "1.0"), ({"margins": {"decision": 5}}, "5")],
)
def test_numbers_out_of_range_are_refused_by_name(plan, value):
    with pytest.raises(EstimandError, match="not between 0 and") as caught:
        StagedPlan(**plan)
    assert caught.value.faults[0].value == value


def test_margins_and_priors_of_nothing_are_refused_together():
    result = result_of(card=CARD)
    with pytest.raises(EstimandError) as caught:
        rg.staged_evaluation(result, margins={"own_qery": 0.1}, priors={"outcome.mediation": (0.1, 0.1)})
    assert len(caught.value.faults) == 2
    assert "Did you mean 'own_query'?" in str(caught.value)


def test_a_loaded_result_keeps_its_evaluation_and_takes_no_other(tmp_path):
    result = evaluated(result_of(card=CARD, lost=(20, 20, 800)), StagedPlan())
    loaded = rg.load(rg.save(result, tmp_path / "out"))
    assert loaded.staged == result.staged
    assert loaded.predictions == result.predictions
    assert loaded.next_steps == result.next_steps
    assert rg.staged_evaluation(loaded, 0.05).rows == result.staged
    with pytest.raises(EstimationError, match="cannot be evaluated again"):
        rg.staged_evaluation(loaded, 0.1)


def test_small_cells_hide_their_steps_and_keep_the_verdict():
    result = evaluated(result_of(size=60, lost=(0, 0, 20), runs=600), StagedPlan())
    limited = replace(result, settings=replace(result.settings, suppress_below=10))
    shown = suppressed(limited)
    for before, after in zip(result.staged, shown.staged, strict=True):
        assert (after.estimate, after.lower, after.p_value, after.n) == (None, None, None, None)
        assert after.verdict == before.verdict
        assert "hidden" in after.note
    assert {row.estimate for row in shown.predictions if row.after == "own_query"} == {None}
    assert shown.next_steps == ()


def test_losses_in_one_arm_and_gains_in_another_do_not_hold():
    """The mean over arms is 0; each arm is violated."""
    rows = [
        *(("a1", *row) for row in [(1, 1, 1, 1200), (1, 0, 0, 600), (0, 0, 0, 200)]),
        *(("a2", *row) for row in [(1, 1, 1, 1200), (0, 1, 1, 600), (0, 0, 0, 200)]),
    ]
    frame = pd.DataFrame(rows, columns=["arm", *STEPS, "count"])
    runs = pd.DataFrame(
        {"system": ["a1", "a1", "a2", "a2"], "benchmark": [1, 0, 1, 0], "count": [1800, 200, 1200, 800]}
    )
    trial = rg.read_trial(frame, benchmark=runs, design=rg.Design(ai=["a1", "a2"]))
    estimand = rg.Estimand(items="fixed")
    estimates = rg.estimate_frequentist(rg.score_stages(trial, rg.DEFAULT_CHAIN), estimand)
    found = evaluated(decomposed(estimates, estimand, read_card(CARD)), StagedPlan())
    assert {row.verdict for row in found.staged if (row.arm, row.transition) == ("all", "conversation")} == {"holds"}
    row = next(row for row in found.assumptions if row.assumption_id == "task.interaction_type")
    assert row.status == "violated"
    assert abs(row.estimate) == pytest.approx(0.3)
    assert row.evidence.startswith("arm a")
    assert any(text.startswith("conversation in arm a") for text in found.next_steps)


def test_two_priors_on_one_component_are_refused():
    priors = {"task.query_authorship": (0.05, 0.05), "task.information_completeness": (0.05, 0.05)}
    with pytest.raises(EstimandError, match="share the component of own_query"):
        evaluated(result_of(card=CARD), StagedPlan(priors=priors))


def test_few_items_of_a_population_give_no_verdict(study):
    estimates = study.estimated(study.simulated(people=300), study.benchmark(repeats=50), rg.Estimand(items="random"))
    for row in staged_rows(estimates, StagedPlan()):
        assert (row.verdict, row.p_value) == ("inconclusive", None)
        assert "fewer than 6 items" in row.note


def test_items_needed_settle_a_widened_interval_too(study):
    items = tuple(f"s{n}" for n in range(8))
    runs = study.benchmark(items=items, repeats=60, right=60)
    runs.loc[runs.index[:3], "benchmark"] = 0.0
    frame = study.simulated(people=200, items=items, rates=(0.98, 0.97, 0.5))
    row = staged_rows(study.estimated(frame, runs, rg.Estimand(items="random")), StagedPlan(margin=0.02))[0]
    assert row.interval == "population"
    assert row.verdict == "inconclusive"
    half = (row.upper - row.lower) / 2 * math.sqrt(row.n / row.n_needed)
    assert half < 0.02


def lost_only(lost, people=100):
    """Two answers a participant, four in five right, of which so many are lost at the last step and none is gained."""
    right = np.arange(2 * people) % 5 < 4
    gone = right & (right.cumsum() <= lost)
    frame = pd.DataFrame({"conversation": right, "decision": right & ~gone}, dtype=float)
    frame = frame.assign(participant=[f"p{n // 2}" for n in range(right.size)], arm="a1")
    stages = [rg.Stage("conversation"), rg.Stage("decision")]
    scores = rg.score_stages(rg.read_trial(frame, design=rg.Design(ai=["a1"])), stages)
    return next(row for row in staged_rows(rg.estimate_frequentist(scores, rg.Estimand(items="fixed")), StagedPlan()))


def test_where_few_answers_change_the_interval_is_that_of_the_margin():
    row = lost_only(5)
    least = math.sqrt(0.05 * 0.95 / (0.025 * 0.975))
    half = (row.upper - row.lower) / 2
    assert AT_MARGIN in row.note
    assert half == pytest.approx(stats.t.isf(0.05, row.df) * least * row.std_error)
    assert row.p_value == pytest.approx(stats.t.sf((0.05 - 0.025) / (least * row.std_error), row.df), rel=1e-6)
    assert (row.verdict == "holds") == (row.p_value < 0.05)
    assert AT_MARGIN not in lost_only(30).note


def test_five_of_two_hundred_lost_and_none_gained_are_too_few_to_say_that_a_step_holds():
    """With 5 points lost in truth, so few or fewer are seen in one trial of sixteen."""
    assert [lost_only(lost).verdict for lost in (2, 5)] == ["holds", "inconclusive"]


def test_few_items_bring_no_verdict_though_nothing_varies(study):
    frame = study.simulated(people=40, seed=3)
    frame["decision"] = frame["conversation"].fillna(frame["decision"])
    result = study.estimated(frame, study.benchmark(), rg.Estimand(items="random", item_weights="trial"))
    row = next(row for row in staged_rows(result, StagedPlan()) if (row.arm, row.transition) == ("all", "decision"))
    assert (row.n, row.verdict, row.p_value) == (3, "inconclusive", None)


def test_a_prior_never_narrows_a_prediction(study):
    items = tuple(f"s{place}" for place in range(4))
    frame, plan = (
        study.simulated(people=40, items=items, seed=3),
        StagedPlan(priors={"outcome.decision_mediation": (0, 0.01)}),
    )
    estimates = study.estimated(frame, study.benchmark(items=items), rg.Estimand(items="random", item_weights="trial"))
    for row in prediction_rows(estimates, plan):
        if row.prior_estimate is not None and row.quantity == "accuracy":
            assert row.prior_lower <= row.lower
            assert row.prior_upper >= row.upper


def test_a_step_behind_a_stop_asks_for_no_study_of_its_own():
    result = result_of(lost=(800, 20, 20))
    rows = [row for row in staged_rows(result.estimates, StagedPlan()) if row.arm == "all"]
    text = next_steps(rows, (), StagedPlan())
    assert "said to hold once every earlier step does" in text[1]
    assert "behavioural study" not in text[2]


def test_a_bootstrap_p_value_is_no_finer_than_its_replicates(study):
    frame = study.simulated(people=200, seed=5)
    plain = study.estimated(frame, study.benchmark(), rg.Estimand(items="fixed", item_weights="trial"))
    estimates = rg.bootstrapped(plain, interval="percentile", replicates=199, seed=1)
    values = [row.p_value for row in staged_rows(estimates, StagedPlan(margin=0.9)) if row.p_value is not None]
    assert min(values) == 1 / 200
