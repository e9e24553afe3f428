"""The staged evaluation of the case study's card: what the issue of its chains says at a margin of 5 points."""

from dataclasses import replace
from functools import cache

import pytest
from scipy import stats

import rctgap as rg
from rctgap.datasets import folder
from rctgap.inputs import read_inputs
from rctgap.staged import StagedPlan, staged_rows

EMBEDDED = folder("raman2026")


@cache
def result(chain):
    return rg.run_analysis(EMBEDDED / f"{chain}.yaml")


def verdicts(chain, items):
    return {row.transition: row.verdict for row in result(chain).staged if (row.arm, row.items) == ("all", items)}


def status(chain):
    return {row.assumption_id: row.status for row in result(chain).assumptions}


def test_every_step_of_the_published_chain_is_violated_and_the_mixed_one_not_attributed():
    assert verdicts("as-published", "fixed") == dict.fromkeys(("own_query", "conversation", "decision"), "violated")
    attributable = {row.transition: row.attributable for row in result("as-published").staged if row.arm == "all"}
    assert attributable == {"own_query": True, "conversation": False, "decision": True}
    told = status("as-published")
    assert told["task.query_authorship"] == told["task.information_completeness"] == "violated"
    assert told["task.interaction_type"] == "not_testable"
    assert told["outcome.decision_mediation"] == "violated"


def test_completeness_and_authorship_are_spoken_to_jointly():
    rows = {row.assumption_id: row for row in result("as-published").assumptions}
    assert rows["task.query_authorship"].joint_with == "task.information_completeness"
    assert rows["task.information_completeness"].joint_with == "task.query_authorship"


def test_over_a_population_of_items_the_own_query_is_not_settled():
    assert verdicts("as-published", "random") == {
        "own_query": "inconclusive",
        "conversation": "violated",
        "decision": "violated",
    }
    read = read_inputs(rg.read_analysis(EMBEDDED / "as-published.yaml"))
    estimates = rg.estimate_frequentist(read.scores, replace(read.estimand, items="random"), intervals="t")
    row = next(row for row in staged_rows(estimates, StagedPlan()) if (row.arm, row.transition) == ("all", "own_query"))
    assert 100 * row.estimate == pytest.approx(11.8, abs=0.05)
    assert 100 * (row.upper - row.estimate) == pytest.approx(9.1, abs=0.05)
    assert row.df == 9
    assert row.verdict == "inconclusive"


def test_one_system_throughout_says_the_same_and_attributes_it():
    assert verdicts("gpt-4o", "fixed") == dict.fromkeys(("own_query", "conversation", "decision"), "violated")
    assert all(row.attributable for row in result("gpt-4o").staged)
    assert status("gpt-4o")["task.interaction_type"] == "violated"


def test_predictions_are_the_stages_and_the_last_is_the_realized_effect():
    found = {(row.after, row.quantity): row for row in result("as-published").predictions if _asked(row)}
    shown = {key: 100 * row.estimate for key, row in found.items()}
    expected = {"benchmark": 94.67, "own_query": 82.83, "conversation": 64.17, "decision": 34.0}
    for stage, accuracy in expected.items():
        assert shown[stage, "accuracy"] == pytest.approx(accuracy, abs=0.005)
        assert shown[stage, "effect"] == pytest.approx(accuracy - 47.0, abs=0.005)
    last = found["decision", "effect"]
    assert (last.bound_lower, last.bound_upper) == (last.lower, last.upper)
    assert found["conversation", "accuracy"].untested == "outcome.decision_mediation;outcome.outcome_validity"


def _asked(row):
    return (row.arm, row.items, row.item_weights) == ("all", "fixed", "observed")


def test_the_bayesian_twin_gives_the_steps_no_chance():
    rows = [row for row in result("as-published").staged if (row.arm, row.items) == ("all", "fixed")]
    assert all(row.prob_within_margin < 0.001 for row in rows)


def test_disposition_counts_of_the_benchmark_give_the_trials_own_test():
    """293 of 600 was worked out from 48.8 %; the trial prints chi-square 2.44, p .118 against its users."""
    chain = result("disposition")
    stages = {row.stage: row for row in chain.stages if row.arm == "Llama 3 70B"}
    right = [round(stages[name].estimate * 600) for name in ("benchmark", "decision")]
    found = stats.chi2_contingency([[count, 600 - count] for count in right])
    assert right == [293, 265]
    assert (round(found.statistic, 2), round(found.pvalue, 3)) == (2.44, 0.118)


def test_dispositions_lose_less_and_not_everywhere_beyond_the_margin():
    rows = {row.arm: row for row in result("disposition").staged}
    assert {arm: row.verdict for arm, row in rows.items()} == {
        "GPT-4o": "violated",
        "Llama 3 70B": "inconclusive",
        "Command R+": "violated",
        "all": "violated",
    }
    assert {row.joint_with.count(";") for row in result("disposition").assumptions if row.transition} == {2}
