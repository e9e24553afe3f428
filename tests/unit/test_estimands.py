"""The estimand's choices, and every coefficient of every contrast written out by hand."""

import pickle

import pytest

from rctgap.errors import EstimandError
from rctgap.estimands import Estimand, MomentKey, conditionals, contrasts, flow_keys
from rctgap.stages import DEFAULT_CHAIN, Chain, Stage, Transition


def coefficients(arm="a1", weights=None, control="c", chain=DEFAULT_CHAIN):
    rows = contrasts(chain, arm, weights or {"a1": 1.0}, control)
    return {row.quantity: {(key.arm, key.name): value for key, value in row.coefficients.items()} for row in rows}


def test_signs_of_every_quantity():
    a = [("a1", name) for name in ("benchmark", "own_query", "conversation", "decision")]
    c = ("c", "decision")
    assert coefficients() == {
        "own_query": {a[0]: 1, a[1]: -1},
        "conversation": {a[1]: 1, a[2]: -1},
        "decision": {a[2]: 1, a[3]: -1},
        "task": {a[0]: 1, a[2]: -1},
        "outcome": {a[2]: 1, a[3]: -1},
        "gap": {a[0]: 1, a[3]: -1},
        "item_mix": {("a1", "mix:benchmark"): 1, ("a1", "mix:decision"): -1},
        "predicted_effect": {a[0]: 1, c: -1},
        "predicted_effect_after_own_query": {a[1]: 1, c: -1},
        "predicted_effect_after_conversation": {a[2]: 1, c: -1},
        "realized_effect": {a[3]: 1, c: -1},
    }


def test_a_pooled_row_weighs_the_arms_and_leaves_out_those_of_no_weight():
    found = coefficients("all", {"a1": 0.25, "a2": 0.75, "a3": 0.0})
    assert found["decision"] == {
        ("a1", "conversation"): 0.25,
        ("a2", "conversation"): 0.75,
        ("a1", "decision"): -0.25,
        ("a2", "decision"): -0.75,
    }
    assert found["realized_effect"] == {("a1", "decision"): 0.25, ("a2", "decision"): 0.75, ("c", "decision"): -1}


def test_without_control_there_are_no_effects():
    assert not [name for name in coefficients(control=None) if "effect" in name]


def test_families_that_alternate_sum_their_own_steps():
    stages = tuple(Stage(name) for name in ("w", "x", "y", "z"))
    steps = (Transition("x", "task", ("t1",)), Transition("y", "outcome", ("o",)), Transition("z", "task", ("t2",)))
    rows = {row.quantity: row for row in contrasts(Chain(stages, steps), "m", {"m": 1.0}, None)}
    named = {key.name: value for key, value in rows["task"].coefficients.items()}
    assert named == {"w": 1, "x": -1, "y": 1, "z": -1}
    assert rows["task"].assumptions == ("t1", "t2")
    assert {key.name: value for key, value in rows["outcome"].coefficients.items()} == {"x": 1, "y": -1}


def test_an_effect_rests_on_the_assumptions_not_yet_relaxed():
    rows = {row.quantity: row.assumptions for row in contrasts(DEFAULT_CHAIN, "a1", {"a1": 1.0}, "c")}
    assert rows["predicted_effect"] == DEFAULT_CHAIN.assumptions == rows["gap"]
    assert rows["predicted_effect_after_own_query"] == ("task.interaction_type", "outcome.decision_mediation")
    assert rows["predicted_effect_after_conversation"] == ("outcome.decision_mediation",)
    assert rows["realized_effect"] == ()


def test_conditionals_are_hits_over_given():
    uptake, rescue = conditionals("all", {"a1": 0.5, "a2": 0.5})
    assert uptake.numerator.coefficients == {MomentKey("a1", "uptake:hit"): 0.5, MomentKey("a2", "uptake:hit"): 0.5}
    assert uptake.denominator.coefficients == {
        MomentKey("a1", "uptake:given"): 0.5,
        MomentKey("a2", "uptake:given"): 0.5,
    }
    assert rescue.quantity == "self_rescue"
    assert flow_keys("a1", "decision") == (MomentKey("a1", "lost:decision"), MomentKey("a1", "gained:decision"))


def test_named_weights_are_normalised_and_cannot_be_changed_later():
    given = {"s1": 3, "s2": 1, 7: 0}
    estimand = Estimand(items="random", item_weights=given, arm_weights={"a1": 2})
    given["s1"] = 100
    assert dict(estimand.item_weights) == {"s1": 0.75, "s2": 0.25, "7": 0.0}
    assert dict(estimand.arm_weights) == {"a1": 1.0}
    assert (estimand.item_weights_name, estimand.arm_weights_name) == ("named", "named")
    with pytest.raises(TypeError):
        estimand.item_weights["s1"] = 1.0


def test_two_estimands_with_the_same_named_weights_are_equal():
    assert Estimand("fixed", {"a": 1, "b": 1}) == Estimand("fixed", {"b": 2, "a": 2})
    assert Estimand("fixed", {"a": 1, "b": 1}) != Estimand("fixed", {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"items": "fix"}, "items.*fixed"),
        ({"items": "fixed", "item_weights": "trail"}, "item_weights.*trial"),
        ({"items": "fixed", "arm_weights": "equals"}, "arm_weights.*equal"),
        ({"items": "fixed", "non_users": "drop"}, "non_users"),
        ({"items": "fixed", "item_weights": {"a": -1, "b": 2}}, "item_weights.a.*'-1'"),
        ({"items": "fixed", "item_weights": {"a": float("nan")}}, "item_weights.a"),
        ({"items": "fixed", "item_weights": {"a": float("inf")}}, "item_weights.a"),
        ({"items": "fixed", "item_weights": {"a": 0}}, "all zero"),
        ({"items": "fixed", "arm_weights": {}}, "all zero"),
        pytest.param({"items": "fixed", "item_weights": {1: -1, 2: 2}}, "item_weights.1"),
        pytest.param({"items": "fixed", "item_weights": {"a": "x"}}, "item_weights.a"),
    ],
)
def test_wrong_choices_are_refused_by_name(choices, said):
    with pytest.raises(EstimandError, match=said):
        Estimand(**choices)


def test_describe_names_every_choice():
    estimand = Estimand("fixed", "uniform", {"a": 1}, "zero")
    assert estimand.describe() == "items fixed, item weights uniform, arm weights named, non-users zero"


def test_an_estimand_travels_to_worker_processes_whole():
    asked = Estimand(items="random", item_weights={"s1": 1, "s2": 3}, arm_weights={"a1": 1}, non_users="zero")
    assert pickle.loads(pickle.dumps(asked)) == asked  # noqa: S301 - our own bytes
