"""Leaving out an item or a participant, against estimating again from the frame."""

from dataclasses import replace

import numpy as np
import pytest

import rctgap as rg
from rctgap.influence import carried_by_one, influence_rows
from rctgap.suppression import suppressed

STEPS = ("own_query", "conversation", "decision")


def quantities(result):
    return {row.quantity: row.estimate for row in result.main() if row.arm == "a1"}


@pytest.mark.parametrize("weights", ["observed", "trial"])
def test_without_an_item_it_is_the_estimate_from_the_other_items(study, weights):
    frame, runs = study.simulated(people=40, seed=2), study.benchmark(right=3)
    estimand = rg.Estimand(items="fixed", item_weights=weights)
    result = study.decomposed(frame, runs, estimand)
    again = study.decomposed(frame[frame["item"] != "s2"], runs[runs["item"] != "s2"], estimand)
    rows = {row.quantity: row for row in influence_rows(result) if (row.left_out, row.arm) == ("s2", "a1")}
    expected = quantities(again)
    for name in (*STEPS, "gap", "task", "realized_effect"):
        assert rows[name].estimate == pytest.approx(expected[name], abs=1e-12)
        assert rows[name].change == pytest.approx(expected[name] - quantities(result)[name], abs=1e-12)
        assert rows[name].lower < rows[name].estimate < rows[name].upper
    assert rows["gap"].n == (frame["item"] == "s2").sum() + (runs["item"] == "s2").sum()


def test_the_most_influential_participant_is_found_and_not_named(study):
    frame, runs = study.simulated(people=10, seed=4), study.benchmark()
    result = study.decomposed(frame, runs)
    row = next(
        one for one in influence_rows(result) if (one.unit, one.quantity, one.arm) == ("participant", "gap", "a1")
    )
    whole = quantities(result)["gap"]
    moved = [
        quantities(study.decomposed(frame[frame["participant"] != name], runs))["gap"] - whole
        for name in frame.loc[frame["arm"] == "a1", "participant"].unique()
    ]
    assert abs(row.change) == pytest.approx(np.abs(moved).max(), abs=1e-12)
    assert row.left_out == "the most influential of 20"
    assert not any("a1-" in str(one) for one in influence_rows(result))


def test_one_item_that_carries_the_errors_is_named(study):
    runs = study.benchmark(repeats=40, right=40, items=tuple(f"s{n}" for n in range(1, 11)))
    runs.loc[(runs["item"] == "s3") & (runs.index % 40 < 30), "benchmark"] = 0.0
    runs.loc[0, "benchmark"] = 0.0
    frame = study.simulated(people=40, items=tuple(f"s{n}" for n in range(1, 11)))
    (found,) = carried_by_one(study.estimated(frame, runs))
    assert (found.stage, found.item, found.wrong, found.of) == ("benchmark", "s3", 30, 31)


def test_even_items_and_few_errors_name_none(study):
    frame = study.simulated(people=60)
    assert carried_by_one(study.estimated(frame, study.benchmark(repeats=4, right=3))) == ()


def test_answers_without_items_give_no_rows_by_item(study):
    frame = study.simulated(people=20)
    frame.loc[0, "item"] = None
    rows = influence_rows(study.decomposed(frame, study.benchmark()))
    assert {row.unit for row in rows} == {"participant"}


def test_small_cells_of_items_hide_the_rows_and_the_detail(study):
    result = study.decomposed(study.simulated(people=30), study.benchmark(), companions=False)
    limited = replace(result, settings=replace(result.settings, suppress_below=5))
    shown = suppressed(limited)
    by_item = [row for row in shown.influence if row.unit == "item"]
    assert by_item
    assert {row.estimate for row in by_item} == {None}
    detail = next(one.detail for one in shown.checks if one.check == "leave_one_item_out")
    assert "hidden" in detail
    assert next(one.detail for one in result.checks if one.check == "leave_one_item_out") != detail
