"""Components under other orders of the stages, against means of single answers worked out by hand."""

import math
from dataclasses import replace
from itertools import permutations

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.check_context import CheckContext, OtherCell
from rctgap.errors import AnalysisError, DataError
from rctgap.stage_orders import MEAN, NOT_OBSERVED, SHAPLEY, order_rows, refuse_cells
from rctgap.suppression import suppressed

OTHER = OtherCell("own_decision", "x_d", ("decision",))


def chain_of(*names):
    steps = [rg.Transition(name, "outcome" if name == names[-1] else "task", (f"task.{name}",)) for name in names[1:]]
    return rg.Chain(tuple(rg.Stage(name) for name in names), tuple(steps))


TWO = chain_of("own_query", "conversation", "decision")
FOUR = chain_of("start", "one", "two", "three")


def cells_of(steps, seed=1, size=400):
    """Answers with a score under every set of relaxed transitions, each set having a chance of its own."""
    draw = np.random.default_rng(seed)
    columns = {}
    for number in range(2 ** len(steps)):
        names = [step for place, step in enumerate(steps) if number >> place & 1]
        columns[frozenset(names)] = (draw.random(size) < 0.9 - 0.1 * number / len(steps)).astype(float)
    return columns


def built(study, frame, chain, cells=(), **options):
    design = rg.Design(ai=["a1"])
    result = study.decomposed(frame, None, design=design, stages=chain, **options)
    return replace(result, context=CheckContext(rg.read_trial(frame, design=design), {}, tuple(cells)))


def two_by_two(study, people=False):
    values = cells_of(("conversation", "decision"))
    frame = pd.DataFrame(
        {
            "arm": "a1",
            "own_query": values[frozenset()],
            "conversation": values[frozenset({"conversation"})],
            "x_d": values[frozenset({"decision"})],
            "decision": values[frozenset({"conversation", "decision"})],
        }
    )
    frame = frame.assign(participant=[str(number // 4) for number in range(len(frame))]) if people else frame
    return frame, built(study, frame, TWO, [OTHER], **({"small_sample": "CR1"} if people else {}))


def found(rows, transition, order):
    return next(one for one in rows if (one.arm, one.transition, one.order) == ("all", transition, order))


def test_each_order_takes_its_own_differences_and_all_cells_give_shapley_values(study):
    frame, result = two_by_two(study)
    rows = order_rows(result)
    means = frame.mean(numeric_only=True)
    q, c, x, d = (means[name] for name in ("own_query", "conversation", "x_d", "decision"))
    there, back = "conversation > decision", "decision > conversation"
    assert found(rows, "conversation", there).estimate == pytest.approx(q - c)
    assert found(rows, "decision", there).estimate == pytest.approx(c - d)
    assert found(rows, "decision", back).estimate == pytest.approx(q - x)
    assert found(rows, "conversation", back).estimate == pytest.approx(x - d)
    assert found(rows, "conversation", SHAPLEY).estimate == pytest.approx((q - c + x - d) / 2)
    assert sum(found(rows, step, SHAPLEY).estimate for step in ("conversation", "decision")) == pytest.approx(q - d)
    assert {one.order for one in rows} == {there, back, SHAPLEY}


def test_the_interval_of_the_mean_carries_the_covariance_of_the_cells(study):
    frame, result = two_by_two(study)
    each = (frame["own_query"] - frame["conversation"] + frame["x_d"] - frame["decision"]) / 2
    one = found(order_rows(result), "conversation", SHAPLEY)
    assert one.std_error == pytest.approx(each.std(ddof=1) / math.sqrt(len(each)))
    assert one.upper - one.lower == pytest.approx(2 * 1.959964 * one.std_error, rel=1e-6)


def test_answers_of_one_participant_are_tied(study):
    frame, result = two_by_two(study, people=True)
    each = (frame["own_query"] - frame["conversation"] + frame["x_d"] - frame["decision"]) / 2
    sums = (each - each.mean()).groupby(frame["participant"]).sum()
    expected = math.sqrt(float((sums**2).sum()) / len(each) ** 2 * len(sums) / (len(sums) - 1))
    assert found(order_rows(result), "conversation", SHAPLEY).std_error == pytest.approx(expected)


def test_the_chains_own_order_is_its_components(study):
    _, result = two_by_two(study)
    for one in order_rows(replace(result, context=None)):
        if one.transition and one.arm == "all":
            row = result.row(one.transition)
            assert (one.estimate, one.lower, one.upper) == (row.estimate, row.lower, row.upper)
    unseen = [one for one in order_rows(replace(result, context=None)) if not one.transition]
    assert [(one.order, one.note, one.estimate) for one in unseen] == [("decision > conversation", NOT_OBSERVED, None)]


def three_steps(study, *sets):
    steps = ("one", "two", "three")
    values = cells_of(steps, seed=4)
    names = {frozenset(steps[:number]): name for number, name in enumerate(FOUR.names)}
    cells = [OtherCell(f"cell_{'_'.join(one)}", f"x_{'_'.join(one)}", one) for one in sets]
    names |= {frozenset(cell.relaxes): cell.score for cell in cells}
    frame = pd.DataFrame({"arm": "a1", **{name: values[key] for key, name in names.items()}})
    return values, built(study, frame, FOUR, cells)


def test_an_order_is_observed_where_every_cell_on_its_way_is(study):
    """With {two} and {one, three} beside the chain's own, two more orders are whole, and three are not."""
    values, result = three_steps(study, ("two",), ("one", "three"))
    rows = order_rows(result)
    seen = {one.order for one in rows if one.transition} - {MEAN}
    assert seen == {"one > two > three", "two > one > three", "one > three > two"}
    unseen = [one.order for one in rows if not one.transition]
    assert sorted(unseen) == sorted({" > ".join(one) for one in permutations(("one", "two", "three"))} - seen)
    mean = {key: float(value.mean()) for key, value in values.items()}

    def component(step, *before):
        return mean[frozenset(before)] - mean[frozenset((*before, step))]

    expected = (component("three", "one", "two") * 2 + component("three", "one")) / 3
    assert found(rows, "three", MEAN).estimate == pytest.approx(expected)
    assert SHAPLEY not in {one.order for one in rows}


def test_shapley_values_of_three_transitions_are_the_textbook_weights(study):
    values, result = three_steps(study, ("two",), ("three",), ("one", "three"), ("two", "three"))
    rows = order_rows(result)
    mean = {key: float(value.mean()) for key, value in values.items()}
    weight = {0: 2 / 6, 1: 1 / 6, 2: 2 / 6}
    expected = sum(
        weight[len(before)] * (mean[before] - mean[before | {"two"}]) for before in mean if "two" not in before
    )
    assert found(rows, "two", SHAPLEY).estimate == pytest.approx(expected)
    assert not [one for one in rows if not one.transition]


def test_many_unobserved_orders_are_counted_in_one_row(study):
    names = ("start", "one", "two", "three", "four", "five")
    draw = np.random.default_rng(2)
    frame = pd.DataFrame({"arm": "a1", **{name: (draw.random(50) < 0.5).astype(float) for name in names}})
    unseen = [one for one in order_rows(built(study, frame, chain_of(*names))) if not one.transition]
    assert [one.note for one in unseen] == ["not observed: 119 of 120 orders"]


def test_a_single_transition_has_no_orders(study):
    frame = study.simulated(arms=("a1",))
    assert order_rows(built(study, frame, chain_of("conversation", "decision"))) == ()


@pytest.mark.parametrize(
    ("cells", "error", "told"),
    [
        ([OtherCell("x", "x_d", ("decison",))], AnalysisError, "Did you mean 'decision'"),
        ([OtherCell("x", "x_d", ("own_query",))], AnalysisError, "no transition leads to this stage"),
        ([OtherCell("x", "x_d", ("conversation",))], AnalysisError, "'conversation' already holds"),
        ([OtherCell("x", "x_d", ("decision", "conversation"))], AnalysisError, "'decision' already holds"),
        ([OTHER, OtherCell("y", "x_d", ("decision",))], AnalysisError, "'own_decision' already holds"),
        ([OtherCell("decision", "x_d", ("decision",))], AnalysisError, "name is taken"),
        ([OtherCell("x", "x_dd", ("decision",))], DataError, "Did you mean 'x_d'"),
        ([OtherCell("x", "bad", ("decision",))], DataError, r"not a number in \[0, 1\]"),
    ],
)
def test_cells_that_make_no_sense_are_refused_by_name(study, cells, error, told):
    frame, result = two_by_two(study)
    trial = rg.read_trial(frame.assign(bad=7.0), design=rg.Design(ai=["a1"]))
    with pytest.raises(error, match=told):
        refuse_cells(trial, TWO, cells)
    with pytest.raises(error):
        order_rows(replace(result, context=CheckContext(trial, {}, tuple(cells))))
    refuse_cells(trial, TWO, [OTHER])


@pytest.mark.parametrize(("right", "shown"), [(2, False), (200, True)])
def test_a_cell_that_few_are_right_in_hides_the_orders_through_it(study, right, shown):
    frame, _ = two_by_two(study)
    frame["x_d"] = (np.arange(len(frame)) < right).astype(float)
    result = built(study, frame, TWO, [OTHER])
    whole = replace(result, settings=replace(result.settings, suppress_below=5), orders=order_rows(result))
    assert bool(suppressed(whole).orders) is shown
