"""Intervals at the boundary, with nobody or one to count, and of ratios."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rctgap as rg
from rctgap.inference import linear, simultaneous
from rctgap.intervals import wilson

Z2 = stats.norm.ppf(0.975) ** 2


def with_stage(frame, name, value):
    return frame.assign(**{name: frame[name].where(frame[name].isna(), value)})


def test_a_perfect_benchmark_gets_wilson_at_its_number_of_runs(study):
    row = study.stage(study.decomposed(study.simulated(), study.benchmark(right=4)), "benchmark")
    assert (row.estimate, row.interval, row.upper) == (1.0, "wilson", 1.0)
    assert row.lower == pytest.approx(12 / (12 + Z2))


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_perfect_stage_gets_wilson_at_its_number_of_participants(study, value):
    """12 participants with two answers each: answers of one person may all be alike."""
    frame = with_stage(study.simulated(), "own_query", value)
    row = study.stage(study.decomposed(frame, study.benchmark()), "own_query")
    end = 12 / (12 + Z2)
    assert (row.lower, row.upper) == pytest.approx((end, 1.0) if value else (0.0, 1 - end))
    assert row.n == 24
    robust = study.decomposed(frame.drop(columns="participant"), study.benchmark())
    wide = study.stage(robust, "own_query")
    assert wide.upper - wide.lower == pytest.approx(1 - 24 / (24 + Z2))


def test_uneven_participants_are_worth_fewer(study):
    frame = with_stage(study.simulated(answers=1), "own_query", 1.0)
    extra = frame[frame["participant"] == "a1-0"]
    frame = pd.concat([frame, *[extra] * 11], ignore_index=True)
    row = study.stage(study.decomposed(frame, study.benchmark()), "own_query")
    size = 23**2 / (12**2 + 11)
    assert row.lower == pytest.approx(size / (size + Z2))


def test_a_perfect_stage_over_items_is_worth_its_items(study):
    estimates = study.estimated(study.simulated(), study.benchmark(right=4), rg.Estimand("random", "uniform"))
    benchmark = linear(estimates, [{rg.MomentKey("a1", "benchmark"): 1.0}])[0]
    assert benchmark.interval.lower == pytest.approx(3 / (3 + Z2))


@pytest.mark.parametrize("perfect", ["first", "second", "both"])
def test_contrasts_with_a_perfect_stage_by_mover(study, perfect):
    frame, runs = study.simulated(), study.benchmark(right=4 if perfect != "second" else 3)
    frame = with_stage(frame, "own_query", 1.0) if perfect != "first" else frame
    result = study.decomposed(frame, runs)
    row, query, bench = result.row("own_query"), study.stage(result, "own_query"), study.stage(result, "benchmark")
    assert row.interval == "mover"
    assert "zero estimated variance" in row.note
    if perfect == "both":
        assert (row.lower, row.upper) == pytest.approx((-(1 - bench.lower), 1 - query.lower))
        return
    half = stats.t.ppf(0.975, row.df) * row.std_error
    if perfect == "first":
        assert row.std_error == pytest.approx(query.std_error)
        expected = (row.estimate - math.hypot(half, 1 - bench.lower), row.estimate + half)
    else:
        assert row.std_error == pytest.approx(bench.std_error)
        expected = (row.estimate - half, row.estimate + math.hypot(half, 1 - query.lower))
    assert (row.lower, row.upper) == pytest.approx(expected)


@pytest.mark.parametrize("items", ["fixed", "random"])
@pytest.mark.parametrize("weights", ["observed", "trial"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_nothing_has_zero_width_where_every_score_is_alike(study, items, weights, value):
    frame = study.simulated()
    for name in ("own_query", "conversation", "decision"):
        frame = with_stage(frame, name, value)
    result = study.decomposed(frame, study.benchmark(right=4 * value), rg.Estimand(items, weights))
    assert study.faults(result) == []


def test_no_share_has_zero_width(study):
    frame = with_stage(study.simulated(), "own_query", 1.0)
    assert study.faults(study.decomposed(frame, study.benchmark(right=4))) == []


def test_no_risk_ratio_has_zero_width(study):
    """Every answer to s1 right and to s2 wrong: no variance within items, and means of a half."""
    frame = study.simulated(items=("s1", "s2"))
    for name in ("own_query", "conversation", "decision"):
        frame[name] = (frame["item"] == "s1").astype(float).where(frame[name].notna())
    result = study.decomposed(frame, study.benchmark(items=("s1", "s2")), rg.Estimand("fixed", "uniform"))
    assert [fault for fault in study.faults(result) if fault[0] == "effects"] == []


def test_stages_without_variance_away_from_the_ends(study):
    frame = study.simulated(items=("s1", "s2"), answers=2)
    frame["decision"] = (frame["item"] == "s1").astype(float)
    result = study.decomposed(frame, study.benchmark(items=("s1", "s2")), rg.Estimand("fixed", "uniform"))
    row, expected = study.stage(result, "decision"), wilson(0.5, 12, 0.95)
    assert (row.lower, row.upper) == pytest.approx((expected.lower, expected.upper))
    assert result.row("realized_effect").upper > 0.05


@pytest.mark.parametrize("kind", ["CR1", "CR2", "CR3"])
def test_one_participant_gets_estimates_and_the_reason_for_no_interval(study, kind):
    frame = study.simulated()
    frame = frame.assign(participant=frame["participant"].where(frame["arm"] == "control", "only"))
    result = study.decomposed(frame, study.benchmark(), covariance="cluster", small_sample=kind)
    for name in ("conversation", "decision", "gap"):
        row = result.row(name)
        assert row.estimate is not None
        assert (row.std_error, row.lower) == (None, None)
        assert "no interval: one independent unit" in row.note


@pytest.mark.parametrize("kind", ["CR1", "CR2", "CR3"])
def test_an_effect_of_one_participant_has_no_interval_or_says_so(study, kind):
    frame = study.simulated()
    frame = frame.assign(participant=frame["participant"].where(frame["arm"] == "control", "only"))
    result = study.decomposed(frame, study.benchmark(), covariance="cluster", small_sample=kind)
    row = result.row("realized_effect")
    assert row.lower is None or row.note


def test_cells_of_one_score_are_warned_about(study):
    frame = study.simulated(people=3, answers=1)
    found = study.estimated(frame, study.benchmark(), rg.Estimand("fixed", "trial"))
    with pytest.warns(rg.RctgapWarning, match="filled by one participant or run"):
        rg.decompose(found, found.estimand)


def pairs(counts):
    """Patterns of (conversation, decision) with their counts, without participants."""
    rows = [("a1", *pattern, number) for pattern, number in counts.items() if number]
    return pd.DataFrame(rows, columns=["arm", "conversation", "decision", "count"])


TWO = (rg.Stage("conversation"), rg.Stage("decision"))


def two_stages(study, counts):
    chain = rg.Chain(TWO, (rg.Transition("decision", "outcome"),))
    return study.decomposed(pairs(counts), design=rg.Design(None, ["a1"]), stages=chain)


def test_conditionals_by_hand(study):
    result = two_stages(study, {(1, 1): 30, (1, 0): 20, (0, 1): 5, (0, 0): 45})
    uptake, rescue = result.row("uptake"), result.row("self_rescue")
    assert (uptake.estimate, uptake.n) == (pytest.approx(0.6), 50)
    assert (rescue.estimate, rescue.n) == (pytest.approx(0.1), 50)
    # delta method: residuals decision - .6 among those given, over 50; HC1 with 100 rows and one cell
    expected = (30 * 0.4**2 + 20 * 0.6**2) / 50**2 * 100 / 99
    assert uptake.std_error**2 == pytest.approx(expected)
    assert (uptake.interval, uptake.note) == ("normal", "30 of 50 answers")


@pytest.mark.parametrize(("right", "empty", "full"), [(1, "self_rescue", "uptake"), (0, "uptake", "self_rescue")])
def test_a_condition_that_nobody_meets(study, right, empty, full):
    result = two_stages(study, {(right, 1): 30, (right, 0): 20})
    row = result.row(empty)
    assert (row.estimate, row.lower, row.note) == (None, None, "no answer meets the condition")
    assert result.row(full).estimate == pytest.approx(0.6)


def test_a_conditional_of_one_gets_wilson_among_those_who_meet_it(study):
    result = two_stages(study, {(1, 1): 40, (0, 1): 10, (0, 0): 50})
    row = result.row("uptake")
    assert (row.estimate, row.upper, row.interval) == (pytest.approx(1), pytest.approx(1), "wilson")
    assert row.lower == pytest.approx(40 / (40 + Z2))


def test_fractional_scores_have_no_conditionals(study):
    frame = pairs({(1, 1): 30, (0.5, 1): 20, (0, 0): 45})
    result = study.decomposed(frame, design=rg.Design(None, ["a1"]), stages=TWO)
    assert result.row("uptake").estimate is None
    assert "scores of 0 and 1 only" in result.row("uptake").note
    assert result.row("decision").gained == pytest.approx(10 / 95)


def test_shares_of_a_gap_near_zero_give_the_set_and_no_point(study):
    counts = {(1, 1): 30, (1, 0): 20, (0, 1): 19, (0, 0): 31}
    result = two_stages(study, counts)
    rows = [row for row in result.shares if row.arm == "all" and row.quantity == "decision"]
    assert [row.method for row in rows if row.items == "fixed"] == ["fieller"]
    assert rows[0].estimate is None
    assert rows[0].set_type in ("unbounded", "exclusive")
    assert result.row("decision").share_of_gap is None
    assert "not clearly away from zero" in rows[0].note


def test_share_of_a_clear_gap_by_hand(study):
    result = study.decomposed(study.simulated(people=60), study.benchmark(repeats=20, right=19))
    share = next(row for row in result.shares if (row.arm, row.quantity, row.method) == ("all", "task", "fieller"))
    expected = result.row("task").estimate / result.row("gap").estimate
    assert share.estimate == pytest.approx(expected)
    assert result.row("task").share_of_gap == pytest.approx(expected)
    assert share.lower < expected < share.upper
    assert sum(result.row(name).share_of_gap for name in ("own_query", "conversation", "decision")) == pytest.approx(1)


def test_simultaneous_intervals_contain_the_pointwise_ones(study):
    result = study.decomposed(study.simulated(people=60), study.benchmark(repeats=20, right=19))
    for name in ("own_query", "conversation", "decision"):
        row = result.row(name)
        assert row.simultaneous_lower < row.lower < row.upper < row.simultaneous_upper
    assert result.row("gap").simultaneous_lower is None


def test_simultaneous_intervals_use_the_smallest_degrees_of_freedom(study):
    found = study.estimated(study.simulated(people=6), study.benchmark())
    keys = [rg.MomentKey("a1", name) for name in ("own_query", "conversation", "decision")]
    bands = simultaneous(found, [{keys[0]: 1.0, keys[1]: -1.0}, {keys[1]: 1.0, keys[2]: -1.0}])
    row = study.decomposed(study.simulated(people=6), study.benchmark()).row("decision")
    half = (bands[1].upper - bands[1].lower) / 2 / row.std_error
    assert stats.t.ppf(0.975, 5) < half <= stats.t.ppf(0.9875, 5) + 1e-6


def test_one_item_carrying_all_errors_is_warned_about(study):
    frame = study.simulated(items=tuple(f"s{n}" for n in range(10)), people=40)
    runs = study.benchmark(items=tuple(f"s{n}" for n in range(10)), right=4)
    runs.loc[runs["item"] == "s3", "benchmark"] = [0.0, 0.0, 0.0, 1.0]
    found = study.estimated(frame, runs, rg.Estimand("random"))
    with pytest.warns(rg.RctgapWarning, match=r"one item carries 90 % of the item variation of benchmark"):
        rg.decompose(found, found.estimand)


def test_rows_without_items_have_no_interval_over_items(study):
    frame = study.simulated()
    frame.loc[frame["arm"] == "control", "item"] = None
    result = study.decomposed(frame, study.benchmark(), rg.Estimand("random"))
    assert "carry no item" in result.row("realized_effect").note
    assert result.row("realized_effect").lower is None
    assert result.row("decision").lower is not None
    assert np.isfinite(result.row("realized_effect").estimate)


def test_a_pooled_ratio_with_one_arm_at_zero_has_no_interval_and_says_why(study):
    frame = study.simulated(people=30, arms=("a1", "a2", "control"))
    frame.loc[frame["arm"] == "a1", "decision"] = 0.0
    design = rg.Design("control", ["a1", "a2"])
    result = study.decomposed(frame, study.benchmark(("a1", "a2")), design=design)
    row = next(one for one in result.effects if (one.arm, one.quantity) == ("all", "risk_ratio"))
    assert (row.estimate, row.lower, row.upper) == (None, None, None)
    assert "0 or 1" in row.note


@pytest.mark.parametrize("kind", ["CR1", "CR2", "CR3"])
def test_a_cell_that_one_participant_fills_is_warned_about(study, kind):
    frame = study.simulated()
    mine = (frame["arm"] == "a1") & (frame["item"] == "s3")
    frame = pd.concat([frame[~mine], frame[mine].assign(participant="solo")], ignore_index=True)
    result = study.decomposed(frame, study.benchmark(), rg.Estimand("fixed", "uniform"), small_sample=kind)
    assert any("participant" in text or "single" in text for text in result.warnings)
