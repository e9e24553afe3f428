"""Stage scores as arrays of the model: every term, answer and participant of small trials, spelt out by hand."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import EstimationError
from rctgap.model_data import model_data
from rctgap.models.structure import STATES

TWO = [rg.Stage("conversation"), rg.Stage("decision")]
THREE = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]


def scored(rows, columns, stages=TWO, design=None, benchmark=None, **carried):
    frame = pd.DataFrame(rows, columns=columns)
    trial = rg.read_trial(frame, benchmark=benchmark, design=design or rg.Design(ai=["a1"]))
    return replace(rg.score_stages(trial, stages), **carried)


def spelt(data):
    """Each answer with its count: for each way to complete it, its terms in words."""
    structure, terms = data.structure, data.structure.terms

    def term(place):
        one = structure.responses[terms.response[place]]
        item = structure.items[terms.item[place]] if terms.item[place] >= 0 else "-"
        state = STATES[terms.state[place]]
        before = f"|{terms.previous[place]:g}" if state == "previous" else f"|{state}"
        return f"{one.name}[{one.groups[terms.group[place]]},{item}]={terms.score[place]:g}{before}"

    def answer(row):
        ways = [way for way in row if (way >= 0).any()]
        return tuple(" ".join(term(place) for place in way if place < terms.size) for way in ways)

    times = Counter()
    for row, count in zip(structure.answers, structure.alone, strict=True):
        times[answer(row)] += count
    for people, alike in zip(structure.people, structure.alike, strict=True):
        for place in people[people < len(structure.answers)]:
            times[answer(structure.answers[place])] += alike
    return {one: count for one, count in times.items() if count}


def test_an_answer_is_a_chain_of_terms():
    data = model_data(scored([("a1", 1, 0, 3), ("a1", 0, 0, 2)], ["arm", "conversation", "decision", "count"]))
    assert spelt(data) == {
        ("conversation[a1,-]=1|start decision[a1,-]=0|1",): 3,
        ("conversation[a1,-]=0|start decision[a1,-]=0|0",): 2,
    }
    assert data.segments == {"a1": (("conversation", "decision"),)}
    assert [one.margins for one in data.structure.responses] == [(0,), (0,)]
    assert data.structure.itemised == ()


def test_a_missing_score_before_a_known_one_is_filled_in_every_way():
    rows = [("a1", None, 1, 4), ("a1", 1, None, 5), ("a1", None, None, 6), ("a1", 0, 1, 7)]
    data = model_data(scored(rows, ["arm", "conversation", "decision", "count"]))
    assert spelt(data) == {
        (
            "conversation[a1,-]=0|start decision[a1,-]=1|0",
            "conversation[a1,-]=1|start decision[a1,-]=1|1",
        ): 4,
        ("conversation[a1,-]=1|start",): 5,
        ("conversation[a1,-]=0|start decision[a1,-]=1|0",): 7,
    }


def marginal(rows, *more):
    """Successes and trials of both stages, one row an arm."""
    columns = ["arm", *(name for name, _ in more), "k_conversation", "n_conversation", "k_decision", "n_decision"]
    ends = [(f"{short}_{stage}", role, stage) for stage in ("conversation", "decision") for short, role in ENDS]
    fields = [{"name": "arm", "type": "string", "role": "arm"}]
    fields += [{"name": name, "type": kind, "role": name} for name, kind in more]
    fields += [{"name": name, "type": "integer", "role": role, "stage": stage} for name, role, stage in ends]
    frame = pd.DataFrame(rows, columns=columns)
    tables = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}}}
    trial = rg.read_trial(frame, dictionary=tables, design=rg.Design(ai=["a1"]))
    return rg.score_stages(trial, TWO)


ENDS = (("k", "successes"), ("n", "trials"))


def test_marginal_counts_join_no_stages():
    data = model_data(marginal([("a1", 6, 10, 3, 9)]))
    assert data.segments == {"a1": (("conversation",), ("decision",))}
    assert spelt(data) == {
        ("conversation[a1,-]=1|start",): 6,
        ("conversation[a1,-]=0|start",): 4,
        ("decision[a1,-]=1|start",): 3,
        ("decision[a1,-]=0|start",): 6,
    }
    assert "not identified" in data.notes[0]


def test_marginal_counts_say_once_of_an_answer_whether_the_system_was_used():
    data = model_data(marginal([("a1", True, 6, 10, 3, 10), ("a1", False, 0, 4, 1, 4)], ("used", "boolean")))
    use = Counter()
    for ways, count in spelt(data).items():
        use.update({word: count for word in ways[0].split() if word.startswith("used")})
    assert use == {"used[a1,-]=1|start": 10, "used[a1,-]=0|start": 4}


def test_a_borrowed_stage_splits_the_borrowers_chain_and_not_the_lenders():
    loan = rg.Borrowing("conversation", "lender", "it is the same system")
    design = rg.Design(None, [rg.Arm("a1", borrowed=(loan,)), "lender"])
    rows = [("a1", 1, 1, 0), ("lender", 0, 1, 1)]
    data = model_data(scored(rows, ["arm", "own_query", "conversation", "decision"], THREE, design))
    assert data.segments == {
        "a1": (("own_query",), ("decision",)),
        "lender": (("own_query", "conversation", "decision"),),
    }
    assert spelt(data) == {
        ("own_query[a1,-]=1|start",): 1,
        ("decision[a1,-]=0|start",): 1,
        ("own_query[lender,-]=0|start conversation[lender,-]=1|0 decision[lender,-]=1|1",): 1,
    }
    states = {one.name: one.states for one in data.structure.responses}
    assert states["decision"] == ("previous", "start")
    assert states["conversation"] == ("previous",)


def test_an_arm_that_only_lends_gives_what_it_lends():
    loan = rg.Borrowing("conversation", "lender", "it is the same system")
    design = rg.Design(None, [rg.Arm("a1", borrowed=(loan,))])
    rows = [("a1", 1, 0), ("lender", 0, 1)]
    data = model_data(scored(rows, ["arm", "conversation", "decision"], design=design))
    assert spelt(data) == {("decision[a1,-]=0|start",): 1, ("conversation[lender,-]=0|start",): 1}


@pytest.mark.parametrize("policy", [None, "zero", "exclude"])
def test_non_users_have_use_and_decision_whatever_is_filled_in(policy):
    rows = [("a1", 1, 0.25, 1, 5), ("a1", 0, None, 1, 2), ("a1", 0, None, 0, 3)]
    scores = scored(rows, ["arm", "used", "conversation", "decision", "count"])
    if policy:
        estimand = rg.Estimand("fixed", non_users=policy)
        scores = rg.estimate_frequentist(scores, estimand, adjustment="none").scores
    data = model_data(scores)
    assert data.idle == ("a1",)
    assert spelt(data) == {
        ("used[a1,-]=1|start conversation[a1,-]=0.25|start decision[a1,-]=1|0.25",): 5,
        ("used[a1,-]=0|start decision[a1,-]=1|non_user",): 2,
        ("used[a1,-]=0|start decision[a1,-]=0|non_user",): 3,
    }
    assert not any("moved inside" in note for note in data.notes)


def test_rows_that_name_no_item_have_means_of_their_own_by_arm():
    rows = [("a1", "s1", 1, 1), ("a1", None, 0, 1), ("a2", "s2", 1, 0), ("control", None, None, 1)]
    data = model_data(
        scored(rows, ["arm", "item", "conversation", "decision"], design=rg.Design("control", ["a1", "a2"]))
    )
    assert data.structure.items == ("s1", "s2")
    found = {one.name: (one.groups, one.items, one.margins) for one in data.structure.responses}
    assert found == {
        "conversation": (("a1", "a2"), True, (0,)),
        "decision": (("a1", "a2"), True, (0,)),
        "control_decision": (("control",), False, (0,)),
    }
    assert data.structure.itemised == (0, 1)
    assert ("control_decision[control,-]=1|start",) in spelt(data)


def test_alike_participants_are_one_row_with_a_count():
    people = {"p1": [(1, 1), (0, 1)], "p2": [(0, 1), (1, 1)], "p3": [(1, 1), (1, 1)], "p4": [(1, 1)]}
    rows = [("a1", person, *scores) for person, answers in people.items() for scores in answers]
    data = model_data(scored(rows, ["arm", "participant", "conversation", "decision"]))
    structure = data.structure
    sizes = sorted(
        ((row < len(structure.answers)).sum(), n) for row, n in zip(structure.people, structure.alike, strict=True)
    )
    assert sizes == [(1, 1.0), (2, 1.0), (2, 2.0)]
    assert structure.alone.sum() == 0
    assert [one.tied for one in structure.responses] == [True, True]
    assert sorted(structure.untied().alone) == [2.0, 5.0]
    assert data.notes == ()


def test_a_participant_of_several_arms_is_one_participant():
    rows = [("p1", "a1", 1, 1), ("p1", "control", None, 0), ("p2", "a1", 0, 1)]
    design = rg.Design("control", ["a1"], crossover=True)
    data = model_data(scored(rows, ["participant", "arm", "conversation", "decision"], design=design))
    structure = data.structure
    assert sorted((row < len(structure.answers)).sum() for row in structure.people) == [1, 2]
    assert [one.tied for one in structure.responses] == [True, True, True]


def test_without_repeated_participants_there_are_no_participant_effects():
    rows = [("p1", "a1", 1, 1), ("p2", "a1", 1, 1), ("p3", "a1", 0, 1)]
    data = model_data(scored(rows, ["participant", "arm", "conversation", "decision"]))
    assert data.structure.people.size == 0
    assert data.structure.tied == ()
    assert sorted(data.structure.alone) == [1.0, 2.0]
    assert data.notes == ("Nobody answered more than once: the model has no participant effects.",)


def test_fractional_scores_at_the_ends_are_moved_inside():
    rows = [("a1", 1.0, 1), ("a1", 0.5, 1), ("a1", 0.0, 1), ("a1", 0.25, 1)]
    data = model_data(scored(rows, ["arm", "conversation", "decision"]))
    terms = data.structure.terms
    inside = np.sort(terms.score[terms.response == 0])
    np.testing.assert_allclose(inside, [0.5 / 4, (0.25 * 3 + 0.5) / 4, 0.5, (3 + 0.5) / 4])
    assert sorted(terms.previous[terms.response == 1]) == pytest.approx(list(inside))
    assert data.notes[1:] == (
        "Scores of conversation are modelled as bounded.",
        "Scores of conversation of exactly 0 or 1 were moved inside by half a score in 4: a beta needs it.",
    )


def test_scores_after_a_missing_fractional_one_are_left_out_and_counted():
    rows = [("a1", None, 1, 1, 4), ("a1", 0.5, 1, 0, 1), ("a1", 0.25, None, 1, 2)]
    data = model_data(scored(rows, ["arm", "own_query", "conversation", "decision", "count"], THREE))
    assert spelt(data) == {
        ("own_query[a1,-]=0.5|start conversation[a1,-]=1|0.5 decision[a1,-]=0|1",): 1,
        (
            "own_query[a1,-]=0.25|start conversation[a1,-]=0|0.25 decision[a1,-]=1|0",
            "own_query[a1,-]=0.25|start conversation[a1,-]=1|0.25 decision[a1,-]=1|1",
        ): 2,
    }
    assert data.notes[-1].startswith("8 fractional scores that follow a missing one")


def test_ordered_levels_are_those_that_occur_and_zero_or_one_alone_is_yes_or_no():
    rows = [("a1", 1, 0.5), ("a1", 0, 0.0), ("a1", 1, 1.0), ("a1", 1, 0.5)]
    ordinal = {"conversation": "ordinal", "decision": "ordinal"}
    data = model_data(scored(rows, ["arm", "conversation", "decision"], scales=ordinal))
    found = {one.name: (one.scale, one.levels) for one in data.structure.responses}
    assert found == {"conversation": ("binary", (0.0, 1.0)), "decision": ("ordinal", (0.0, 0.5, 1.0))}
    terms = data.structure.terms
    assert [
        one.levels[level]
        for one, level in zip([data.structure.responses[1]] * 9, terms.level[terms.response == 1], strict=False)
    ] == (terms.score[terms.response == 1].tolist())


def test_ordered_scores_that_are_all_the_same_are_refused():
    with pytest.raises(EstimationError, match="every score at 'decision' is the same") as error:
        model_data(
            scored(
                [("a1", 1, 0.5), ("a1", 0, 0.5)], ["arm", "conversation", "decision"], scales={"decision": "ordinal"}
            )
        )
    assert "value '0.5'" in str(error.value)


def test_weighted_scores_are_refused(study):
    frame = study.simulated(people=20)
    frame.loc[:5, "conversation"] = np.nan
    scores = study.scored(frame, study.benchmark())
    weighted = rg.inverse_probability(scores, rg.Estimand("fixed"))
    with pytest.raises(EstimationError, match="scores at 'conversation' in arm 'a1' are weighted"):
        model_data(weighted)


def runs(*rows):
    return pd.DataFrame(rows, columns=["system", "item", "benchmark"])


STAGES = [rg.Stage("benchmark", "benchmark"), *TWO]
ITEMS = [(arm, "s1", 1, 1) for arm in ("a1", "a2")]


def benchmark_of(table):
    data = model_data(
        scored(ITEMS, ["arm", "item", "conversation", "decision"], STAGES, rg.Design(None, ["a1", "a2"]), table)
    )
    own = {answer[0].split("|")[0]: n for answer, n in spelt(data).items() if answer[0].startswith("benchmark")}
    return data, own


def test_runs_are_those_of_each_arms_system():
    data, own = benchmark_of(runs(("a1", "s1", 1), ("a1", "s1", 1), ("a2", "s1", 0), ("other", "s1", 1)))
    assert own == {"benchmark[a1,-]=1": 2, "benchmark[a2,-]=0": 1}
    assert data.group("benchmark", "a2") == 1


def test_runs_that_name_no_system_are_every_arms_and_count_once():
    data, own = benchmark_of(runs(("a1", "s1", 1), ("a1", "s1", 0)).drop(columns="system"))
    assert own == {"benchmark[any system,-]=1": 1, "benchmark[any system,-]=0": 1}
    assert data.group("benchmark", "a1") == data.group("benchmark", "a2") == 0
