"""Chains: what they refuse, and which assumptions a step relaxes when stages are left out."""

import pytest

from rctgap.errors import AnalysisError
from rctgap.stages import DEFAULT_CHAIN, Chain, Stage, Transition

BENCHMARK, QUERY, TALK, DECISION = (
    Stage("benchmark", "benchmark"),
    Stage("own_query"),
    Stage("conversation"),
    Stage("decision"),
)


def test_the_default_chain_names_each_assumption_at_the_step_that_relaxes_it():
    assert [(step.to, step.family, step.assumptions) for step in DEFAULT_CHAIN.transitions] == [
        ("own_query", "task", ("task.query_authorship", "task.information_completeness")),
        ("conversation", "task", ("task.interaction_type",)),
        ("decision", "outcome", ("outcome.decision_mediation",)),
    ]
    assert (DEFAULT_CHAIN.first, DEFAULT_CHAIN.last) == ("benchmark", "decision")
    assert [(one.name, two.name, step.to) for one, two, step in DEFAULT_CHAIN.steps] == [
        ("benchmark", "own_query", "own_query"),
        ("own_query", "conversation", "conversation"),
        ("conversation", "decision", "decision"),
    ]


def test_a_stage_left_out_hands_its_assumptions_to_the_next_step():
    chain = Chain.of([BENCHMARK, TALK, DECISION])
    assert chain.transitions[0].assumptions == (
        "task.query_authorship",
        "task.information_completeness",
        "task.interaction_type",
    )
    assert chain.transitions[1].assumptions == ("outcome.decision_mediation",)


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([QUERY, TALK, DECISION], [("task.interaction_type",), ("outcome.decision_mediation",)]),
        ([TALK, DECISION], [("outcome.decision_mediation",)]),
    ],
)
def test_a_chain_without_benchmark_relaxes_only_what_its_steps_relax(stages, expected):
    assert [step.assumptions for step in Chain.of(stages).transitions] == expected


def test_a_chain_given_as_a_chain_is_kept():
    chain = Chain((TALK, DECISION), (Transition("decision", "outcome", ("x",)),))
    assert Chain.of(chain) is chain


@pytest.mark.parametrize(
    ("stages", "steps", "said"),
    [
        ((DECISION,), (), "1 stage given"),
        ((TALK, TALK), (Transition("conversation", "task"),), "given twice"),
        ((TALK, BENCHMARK), (Transition("benchmark", "task"),), "benchmark can only be first"),
        ((TALK, DECISION), (), "transitions lead to nothing"),
        ((TALK, DECISION), (Transition("conversation", "task"),), "transitions lead to conversation"),
        (
            (QUERY, TALK, DECISION),
            (Transition("decision", "outcome"), Transition("conversation", "task")),
            "in order: conversation, decision",
        ),
    ],
)
def test_a_faulty_chain_is_refused(stages, steps, said):
    with pytest.raises(AnalysisError, match=said):
        Chain(stages, steps)


def test_unknown_stage_names_need_their_transitions_stated():
    with pytest.raises(AnalysisError, match=r"'advice'.*no transition is stated"):
        Chain.of([BENCHMARK, Stage("advice"), DECISION])


@pytest.mark.parametrize("name", ["item", "count", "used", "gap", "task", "uptake", "item_mix", "", "a:b"])
def test_a_stage_cannot_take_the_name_of_a_column_or_quantity(name):
    with pytest.raises(AnalysisError):
        Chain((BENCHMARK, Stage(name), DECISION), (Transition(name, "task"), Transition("decision", "outcome")))


def test_an_assumption_named_by_two_steps_is_listed_once_in_order():
    steps = (Transition("own_query", "task", ("b", "a")), Transition("decision", "outcome", ("a", "c")))
    assert Chain((BENCHMARK, QUERY, DECISION), steps).assumptions == ("b", "a", "c")


def test_a_stage_reads_its_own_column_or_the_one_it_names():
    assert Stage("decision").column == "decision"
    assert Stage("decision", score="final").column == "final"
    assert DEFAULT_CHAIN["conversation"] == TALK
