"""E-values, bias factors and the table behind the bias curve, against published figures and counts by hand."""

import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.common_cause import (
    GRID,
    bias_factor,
    bias_rows,
    e_value,
    limit_nearer_one,
    observed_ratio,
    partner,
)
from rctgap.errors import DataError

COUNTS = Path(rg.__file__).parent / "datasets" / "raman2026" / "trial.csv"
STAGES = rg.Chain(
    (rg.Stage("conversation"), rg.Stage("decision")),
    (rg.Transition("decision", "outcome", ("outcome.decision_mediation",)),),
)


def patterns(*rows):
    """Counts of (item, conversation, decision)."""
    return pd.DataFrame(
        [("a1", *row) for row in rows], columns=["arm", "item", "conversation", "decision", "count"]
    ).astype({"item": "string"})


def result_of(study, frame, estimand=None, chain=STAGES, arms=("a1",)):
    return study.decomposed(frame, None, estimand, design=rg.Design(ai=list(arms)), stages=chain)


def observed(study, frame, **options):
    return observed_ratio(bias_rows(result_of(study, frame, **options)), "a1")


@pytest.fixture(scope="module")
def published():
    """Llama 3 70B of the case study: answers by scenario, conversation and decision."""
    frame = pd.read_csv(COUNTS, dtype={"scenario_id": "string"})
    mine = frame[frame["arm"] == "Llama 3 70B"].rename(columns={"scenario_id": "item"})
    names = ["item", "conversation", "decision"]
    return mine.groupby(names)["count"].sum().reset_index().assign(arm="a1")


def by_item(cells):
    """Share right, and answers, by item and conversation."""
    right, sizes = (
        cells.pivot_table(index="item", columns="conversation", values=name, aggfunc="sum")
        for name in ("right", "count")
    )
    return right / sizes, sizes


def test_e_values_are_those_of_the_paper():
    assert e_value(3.9) == pytest.approx(7.26, abs=0.005)
    assert e_value(1.8) == pytest.approx(3.0)
    assert e_value(0.25) == pytest.approx(e_value(4.0))
    assert e_value(1.0) == 1.0


@pytest.mark.parametrize("ratio", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_ratio_is_refused(ratio):
    with pytest.raises(DataError, match="not a positive number"):
        e_value(ratio)


@pytest.mark.parametrize("ratio", [1.2, 2.5, 0.4])
def test_a_cause_of_the_size_of_the_e_value_explains_the_ratio_and_a_smaller_one_does_not(ratio):
    above = max(ratio, 1 / ratio)
    assert float(bias_factor(e_value(ratio), e_value(ratio))) == pytest.approx(above)
    assert float(bias_factor(e_value(ratio) * 0.99, e_value(ratio) * 0.99)) < above
    ties = np.array([above * 1.01, above * 2, above * 50])
    assert bias_factor(ties, partner(ratio, ties)) == pytest.approx(np.full(3, above))
    assert math.isinf(float(partner(ratio, above)))


def test_the_limit_nearer_one_is_one_where_the_interval_contains_it():
    assert [limit_nearer_one(*one) for one in [(2, 1.4, 3), (2, 0.9, 4), (0.5, 0.2, 0.7), (0.5, 0.2, 1.7)]] == [
        *(1.4, 1, 0.7, 1)
    ]


@pytest.mark.parametrize("tied", [(0.7, 0.2), (0.9, 0.5)])
def test_the_bias_factor_bounds_what_a_hidden_cause_can_do(study, tied):
    """Decisions follow a hidden cause alone: the ratio is above 1, and the factor of its true ties brings it to 1."""
    right, wrong = tied
    chance = {1: 0.8, 0: 0.2}
    share = {(c, u): 0.5 * (one if u else 1 - one) for c, one in ((1, right), (0, wrong)) for u in (0, 1)}
    rows = [
        ("s", c, d, round(1e6 * share[c, u] * (chance[u] if d else 1 - chance[u])))
        for c, u, d in product((0, 1), (0, 1), (0, 1))
    ]
    frame = patterns(*rows).groupby(["arm", "item", "conversation", "decision"])["count"].sum().reset_index()
    found = observed(study, frame)
    factor = float(bias_factor(right / wrong, chance[1] / chance[0]))
    assert found.ratio > 1.2
    assert found.ratio / factor <= 1 + 1e-6


def test_the_published_ratio_is_that_of_the_raw_chances_and_standardising_over_items_lowers_it(study, published):
    cells = published.assign(right=published["decision"] * published["count"])
    raw = cells.groupby("conversation")[["right", "count"]].sum()
    chance = raw["right"] / raw["count"]
    assert chance[1] / chance[0] == pytest.approx(2.79, abs=0.005)
    assert e_value(chance[1] / chance[0]) == pytest.approx(5.03, abs=0.005)
    rates, sizes = by_item(cells)
    weights = cells.groupby("item")["count"].sum() / 600
    expected = float((weights * rates[1]).sum() / (weights * rates[0]).sum())
    found = observed(study, published)
    assert found.ratio == pytest.approx(expected, rel=1e-12)
    assert (round(found.ratio, 2), round(e_value(found.ratio), 2)) == (2.24, 3.90)
    assert "standardised over 10 of 10 items; without standardising 2.79 (E-value 5.03)" in found.note
    variance = sum(
        float((weights**2 * rates[c] * (1 - rates[c]) / sizes[c]).sum()) / float((weights * rates[c]).sum()) ** 2
        for c in (0, 1)
    )
    half = 1.959964 * math.sqrt(variance * 600 / 590)
    assert (found.lower, found.upper) == pytest.approx((expected * math.exp(-half), expected * math.exp(half)))


def test_no_usual_weighting_of_the_items_gives_the_published_ratio(study, published):
    """Equal, all answers, after right, after wrong, Mantel-Haenszel: 2.79 is not an item-standardised figure."""
    cells = published.assign(right=published["decision"] * published["count"])
    rates, sizes = by_item(cells)
    weights = [sizes[1] * 0 + 1, sizes[1] + sizes[0], sizes[1], sizes[0], sizes[1] * sizes[0] / (sizes[1] + sizes[0])]
    ratios = [float((one * rates[1]).sum() / (one * rates[0]).sum()) for one in weights]
    assert [round(one, 2) for one in ratios] == [2.32, 2.24, 2.08, 2.62, 2.36]
    uniform = observed(study, published, estimand=rg.Estimand("fixed", "uniform"))
    assert uniform.ratio == pytest.approx(ratios[0])


def test_items_without_both_kinds_of_conversation_are_left_out_and_counted(study):
    frame = patterns(
        *(("s1", 1, 1, 30), ("s1", 1, 0, 20), ("s1", 0, 1, 10), ("s1", 0, 0, 40)),
        *(("s2", 1, 1, 25), ("s2", 1, 0, 25), ("s2", 0, 1, 20), ("s2", 0, 0, 30)),
        *(("s3", 1, 1, 70), ("s3", 1, 0, 10)),
    )
    found = observed(study, frame)
    assert found.ratio == pytest.approx((0.6 + 0.5) / (0.2 + 0.4))
    assert "standardised over 2 of 3 items (1 left out" in found.note


def test_without_items_the_ratio_is_raw_and_said_to_be(study):
    found = observed(
        study, patterns((None, 1, 1, 30), (None, 1, 0, 20), (None, 0, 1, 10), (None, 0, 0, 40)).drop(columns="item")
    )
    assert found.ratio == pytest.approx(3.0)
    assert "not standardised: some answers carry no item" in found.note


def test_answers_of_one_participant_are_tied(study):
    """The standard error against a jackknife that leaves out one participant at a time."""
    frame = study.simulated(people=60, arms=("a1",), answers=3, seed=5, rates=(0.8, 0.6, 0.4))
    twice = pd.concat([frame, frame])
    found = observed(study, twice)
    log_se = math.log(found.upper / found.lower) / 2 / 1.98

    def log_ratio(part):
        weights = part["item"].value_counts(normalize=True)
        rates = part.pivot_table(index="item", columns="conversation", values="decision")
        return math.log((weights * rates[1]).sum() / (weights * rates[0]).sum())

    people = twice["participant"].unique()
    left = np.array([log_ratio(twice[twice["participant"] != one]) for one in people])
    jackknife = math.sqrt((people.size - 1) / people.size * float(((left - left.mean()) ** 2).sum()))
    assert log_se == pytest.approx(jackknife, rel=0.1)
    once = observed(study, frame)
    assert (found.upper - found.lower) == pytest.approx(once.upper - once.lower, rel=0.08)


def test_rows_are_the_observed_ratio_then_the_grid_then_both_e_values(study, published):
    rows = [row for row in bias_rows(result_of(study, published)) if row.arm == "a1"]
    assert len(rows) == 1 + len(GRID) ** 2 + 2
    first, *grid, estimate, limit = rows
    for row in grid:
        factor = row.with_conversation * row.with_decision / (row.with_conversation + row.with_decision - 1)
        assert (row.ratio, row.lower) == pytest.approx((first.ratio / factor, first.lower / factor))
    assert estimate.ratio == pytest.approx(1.0)
    assert limit.lower == pytest.approx(1.0)
    assert limit.with_decision < estimate.with_decision


def test_a_ratio_under_one_is_moved_up(study):
    found = bias_rows(result_of(study, patterns(("s", 1, 1, 10), ("s", 1, 0, 40), ("s", 0, 1, 30), ("s", 0, 0, 20))))
    first = observed_ratio(found, "a1")
    moved = next(row for row in found if (row.with_conversation, row.with_decision) == (2.0, 2.0))
    assert first.ratio == pytest.approx(1 / 3)
    assert moved.ratio == pytest.approx(4 / 9)
    assert moved.upper == pytest.approx(first.upper * 4 / 3)


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([("s", 1, 1, 30), ("s", 1, 0, 20), ("s", 0, 0, 50)], "0 or 1"),
        ([("s", 1, 1, 30), ("s", 1, 0, 20)], "condition"),
        ([("s", 0.5, 1, 30), ("s", 0.5, 0, 20), ("s", 0, 1, 30)], "0 and 1 only"),
    ],
)
def test_what_has_no_ratio_says_why(study, rows, reason):
    found = observed(study, patterns(*rows))
    assert found.ratio is None
    assert reason in found.note


def test_chains_that_do_not_end_in_uptake_have_no_rows(study, published):
    task = replace(STAGES, transitions=(rg.Transition("decision", "task"),))
    assert bias_rows(result_of(study, published, chain=task)) == ()


def test_several_arms_share_the_items_that_all_of_them_have(study):
    frame = study.simulated(people=80, arms=("a1", "a2"), seed=3)
    row = observed_ratio(bias_rows(result_of(study, frame, arms=("a1", "a2"))), "all")
    weights = frame["item"].value_counts(normalize=True)
    cells = frame.pivot_table(index=["arm", "item"], columns="conversation", values="decision")
    rates = cells.groupby("item").mean()
    assert row.ratio == pytest.approx(float((weights * rates[1]).sum() / (weights * rates[0]).sum()))
