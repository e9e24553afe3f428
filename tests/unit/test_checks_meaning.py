"""Checks on what a component means: each seen to fire on data made to break it, and to be silent on clean data."""

from dataclasses import fields, replace

import numpy as np
import pytest

import rctgap as rg
from rctgap.check_context import CheckContext, OtherCell
from rctgap.check_records import InfluenceRow
from rctgap.checks.common_cause import common_cause
from rctgap.checks.outcome_validity import outcome_validity
from rctgap.checks.prior_sensitivity import prior_sensitivity
from rctgap.checks.scorer_sensitivity import scorer_sensitivity
from rctgap.checks.stage_order import stage_order
from rctgap.common_cause import bias_rows
from rctgap.outcome_measures import outcome_rows
from rctgap.plots import svg
from rctgap.plots.bias_curve import bias_curve, prepare_bias_curve
from rctgap.records import PosteriorRow
from rctgap.report.blocks import Table
from rctgap.report.sensitivity import common_cause_section, influence_section, orders_section, outcomes_section
from rctgap.scoring_records import SpecificationRow
from rctgap.stage_orders import order_rows

DESIGN = rg.Design("control", ["a1"])
MEDIATION = "outcome.decision_mediation"
TASK = ("task.query_authorship", "task.information_completeness", "task.interaction_type")
CELLS = (OtherCell("own_decision", "own_decision", ("own_query", "decision")),)


def filled(study, frame, outcomes=None, cells=()):
    """A result with the tables that these checks read."""
    trial = rg.read_trial(frame, benchmark=study.benchmark(), design=DESIGN)
    result = study.decomposed(frame, study.benchmark(), design=DESIGN)
    result = replace(result, context=CheckContext(trial, outcomes or {}, tuple(cells)))
    return replace(result, bias=bias_rows(result), outcomes=outcome_rows(result), orders=order_rows(result))


def uptake(study, right, wrong, people=200):
    """Decisions that are right with one chance after a right conversation, and with another after a wrong one."""
    frame = study.simulated(people=people, seed=7)
    draw = np.random.default_rng(8)
    chance = np.where(frame["conversation"] == 1, right, np.where(frame["arm"] == "control", 0.4, wrong))
    return frame.assign(decision=(draw.random(len(frame)) < chance).astype(float))


def test_a_weak_tie_of_decision_to_conversation_is_explained_by_a_cause_that_doubles_both(study):
    found = common_cause(filled(study, uptake(study, 0.5, 0.4)))
    assert (found.status, found.assumption_ids) == ("warning", MEDIATION)
    assert "below 2" in found.detail
    assert "needs no such assumption" in found.detail


def test_a_strong_tie_is_not(study):
    found = common_cause(filled(study, uptake(study, 0.8, 0.2)))
    assert (found.status, found.assumption_ids) == ("pass", MEDIATION)


def test_the_check_states_ratio_interval_and_e_values(study):
    frame = uptake(study, 0.8, 0.2)
    result = filled(study, frame)
    first = next(row for row in result.bias if row.arm == "a1")
    ratio, lower = first.ratio, first.lower
    told = [ratio, lower, first.upper, ratio + (ratio * (ratio - 1)) ** 0.5, lower + (lower * (lower - 1)) ** 0.5]
    assert all(f"{one:.2f}" in common_cause(result).detail for one in told)


def test_without_uptake_there_is_nothing_to_explain(study):
    result = filled(study, uptake(study, 0.8, 0.2))
    assert common_cause(replace(result, bias=())).status == "not_applicable"
    frame = uptake(study, 0.8, 0.2)
    frame.loc[:20, "conversation"] = 0.5
    found = common_cause(filled(study, frame))
    assert (found.status, "0 and 1 only" in found.detail) == ("not_applicable", True)


def second(study, effect):
    """A second measure of the decision, by which the AI arm does better by `effect` than by the first."""
    frame = study.simulated(people=1500, seed=3)
    draw = np.random.default_rng(4)
    lifted = (frame["arm"] == "a1") & (frame["decision"] == 0) & (draw.random(len(frame)) < effect)
    return frame.assign(second=np.where(lifted, 1.0, frame["decision"]))


def test_a_measure_by_which_the_effect_differs_is_warned_about(study):
    found = outcome_validity(filled(study, second(study, 0.5), {"second": "second"}))
    assert (found.status, found.assumption_ids) == ("warning", "outcome.outcome_validity")
    assert "violated" in found.detail


def test_a_measure_that_agrees_passes(study):
    found = outcome_validity(filled(study, second(study, 0.01), {"second": "second"}))
    assert (found.status, "holds" in found.detail) == ("pass", True)


def test_a_few_answers_settle_nothing_and_the_check_says_so(study):
    frame = study.simulated(people=15, seed=2)
    draw = np.random.default_rng(5)
    frame["second"] = np.where(draw.random(len(frame)) < 0.7, frame["decision"], 1 - frame["decision"])
    found = outcome_validity(filled(study, frame, {"second": "second"}))
    assert (found.status, "inconclusive" in found.detail) == ("pass", True)


def test_a_measure_that_differs_in_single_arms_alone_is_warned_about(study):
    """By the second measure one arm does better, another worse: together the same."""
    frame = study.simulated(people=400, arms=("a1", "a2", "control"), seed=3, rates=(0.8, 0.6, 0.5))
    draw = np.random.default_rng(4).random(len(frame)) < 0.4
    lifted, lowered = ((frame["arm"] == arm) & draw for arm in ("a1", "a2"))
    frame["second"] = np.where(lifted, 1.0, np.where(lowered, 0.0, frame["decision"]))
    design = rg.Design("control", ["a1", "a2"])
    trial = rg.read_trial(frame, benchmark=study.benchmark(("a1", "a2")), design=design)
    result = study.decomposed(frame, study.benchmark(("a1", "a2")), design=design)
    result = replace(result, context=CheckContext(trial, {"second": "second"}))
    found = outcome_validity(replace(result, outcomes=outcome_rows(result)))
    assert found.status == "warning"
    assert "realized effect of arm a" in found.detail.lower()


def test_a_measure_that_hardly_agrees_on_single_answers_does_not_hold(study):
    frame = study.simulated(people=500, seed=3)
    frame["second"] = frame.groupby("arm")["decision"].transform(lambda one: one.sample(frac=1, random_state=1).values)
    result = filled(study, frame, {"second": "second"})
    found = outcome_validity(result)
    assert found.status == "warning"
    assert "the two hardly agree (kappa below 0.2) in a1, control" in found.detail
    assert "inconclusive" in found.detail


def test_one_measure_is_told_how_to_name_another(study):
    found = outcome_validity(filled(study, study.simulated()))
    assert (found.status, "outcomes:" in found.detail) == ("not_applicable", True)


@pytest.mark.parametrize(("gap", "status"), [(0.25, "warning"), (0.0, "pass")])
def test_components_that_depend_on_the_order_are_warned_about(study, gap, status):
    frame = study.simulated(people=1500, arms=("a1", "control"), seed=9, rates=(0.8, 0.6, 0.4))
    draw = np.random.default_rng(11)
    frame["own_decision"] = (draw.random(len(frame)) < 0.6 + gap).astype(float)
    result = filled(study, frame, cells=CELLS)
    found = stage_order(result)
    assert found.status == status
    assert found.assumption_ids == ";".join((*TASK, MEDIATION))
    assert "2 of 6 orders of the stages are observed" in found.detail
    assert ("Beyond its margin: conversation, decision" in found.detail) == (status == "warning")


@pytest.mark.parametrize(("error", "status"), [(0.03, "pass"), (0.01, "warning")])
def test_a_range_that_chance_explains_passes_though_it_exceeds_the_margin(study, error, status):
    """8 points apart, margin 5: 1.9 or 5.7 standard errors; 2.9 are needed over three steps of one arm."""
    result = filled(study, study.simulated(people=20).assign(own_decision=1.0), cells=CELLS)
    names = tuple(dict.fromkeys(row.order for row in result.orders if row.estimate is not None and row.transition))
    assert names
    rows = tuple(
        replace(row, estimate=0.08 * (row.order == names[0]), std_error=error)
        for row in result.orders
        if row.estimate is not None and row.transition
    )
    assert stage_order(replace(result, orders=rows)).status == status


def test_one_order_is_said_to_be_the_only_one_observed(study):
    found = stage_order(filled(study, study.simulated()))
    assert found.status == "not_applicable"
    assert "1 of 6 orders of the stages is observed" in found.detail
    assert "components under other orders are not observed" in found.detail


def specifications(*ways):
    """Ways to score the conversation: choices, estimate, lower, upper."""
    return tuple(
        SpecificationRow(
            number,
            choices,
            "all",
            "conversation",
            "component",
            "task",
            value,
            0.01,
            lower,
            upper,
            0.95,
            "t",
            "",
            90,
            "",
        )
        for number, (choices, value, lower, upper) in enumerate(ways, 1)
    )


def test_a_component_that_follows_the_scorer_is_warned_about(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    ways = specifications(
        ("conversation: whole word, scope system", 0.10, 0.07, 0.13),
        ("conversation: edit distance, scope both", 0.02, 0.00, 0.04),
    )
    found = scorer_sensitivity(replace(result, specifications=ways))
    assert (found.status, found.assumption_ids) == ("warning", "task.interaction_type")
    assert "from +2.0 points (conversation: edit distance, scope both)" in found.detail
    assert "to +10.0 (conversation: whole word, scope system)" in found.detail
    assert "violated or holds" in found.detail


def test_a_component_of_one_arm_that_follows_the_scorer_is_warned_about(study):
    runs, design = study.benchmark(("a1", "a2")), rg.Design("control", ["a1", "a2"])
    result = study.decomposed(study.simulated(arms=("a1", "a2", "control")), runs, design=design)
    same = specifications(("conversation: one", 0.10, 0.07, 0.13), ("conversation: other", 0.10, 0.07, 0.13))
    moved = specifications(("conversation: one", 0.06, 0.03, 0.09), ("conversation: other", 0.14, 0.11, 0.17))
    found = scorer_sensitivity(replace(result, specifications=(*same, *(replace(one, arm="a1") for one in moved))))
    assert found.status == "warning"
    assert "conversation in arm a1 from +6.0" in found.detail
    assert scorer_sensitivity(replace(result, specifications=same)).status == "pass"


@pytest.mark.parametrize(
    ("ends", "status"),
    [(((0.10, 0.07, 0.13), (0.12, 0.09, 0.15)), "pass"), (((0.09, 0.06, 0.12), (0.06, 0.03, 0.09)), "warning")],
)
def test_a_small_range_passes_unless_the_verdict_changes(study, ends, status):
    result = study.decomposed(study.simulated(), study.benchmark())
    ways = specifications(("conversation: one", *ends[0]), ("conversation: other", *ends[1]))
    assert scorer_sensitivity(replace(result, specifications=ways)).status == status


def test_one_way_to_score_says_where_scores_are_uncorrected(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    assert scorer_sensitivity(result).status == "not_applicable"
    automatic = replace(result, settings=replace(result.settings, uncorrected=("conversation",)))
    assert "Scores at conversation are automatic and not corrected" in scorer_sensitivity(automatic).detail


def drawn(quantity, kind, prior, likelihood):
    """A posterior's row with its sensitivities."""
    blank = dict.fromkeys(one.name for one in fields(PosteriorRow))
    named = {"arm": "all", "quantity": quantity, "kind": kind, "items": "fixed", "item_weights": "observed"}
    return PosteriorRow(**(blank | named | {"prior_sensitivity": prior, "likelihood_sensitivity": likelihood}))


def test_prior_sensitivity_tells_conflict_from_a_weak_likelihood(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    rows = (
        drawn("own_query", "component", 0.2, 0.3),
        drawn("decision", "component", 0.2, 0.01),
        drawn("conversation", "component", 0.01, 0.4),
        drawn("uptake", "conditional", 0.9, 0.9),
    )
    found = prior_sensitivity(replace(result, posterior=rows))
    assert found.status == "warning"
    assert "prior and data pull on own_query in all (0.20)" in found.detail
    assert "the prior rather than the data decides decision in all (0.20)" in found.detail
    assert "uptake" not in found.detail
    assert found.assumption_ids == ";".join((*TASK[:2], MEDIATION))


def test_a_posterior_that_the_prior_hardly_moves_passes(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    found = prior_sensitivity(replace(result, posterior=(drawn("gap", "gap", 0.05, 0.4),)))
    assert (found.status, "0.050" in found.detail) == ("pass", True)


def test_prior_sensitivity_needs_a_prior(study):
    result = study.decomposed(study.simulated(), study.benchmark())
    assert prior_sensitivity(result).detail == "The result holds no posterior."
    blank = prior_sensitivity(replace(result, posterior=(drawn("gap", "gap", None, None),)))
    assert (blank.status, "no prior" in blank.detail) == ("not_applicable", True)


def cells_of(section):
    return " ".join(cell for block in section.blocks if isinstance(block, Table) for row in block.rows for cell in row)


def test_the_report_shows_ratio_measures_orders_and_influence(study):
    frame = second(study, 0.5).assign(own_decision=lambda one: one["second"])
    result = filled(study, frame, {"second": "second"}, CELLS)
    ratio = next(row.ratio for row in result.bias if row.arm == "a1")
    assert f"{ratio:.2f}" in cells_of(common_cause_section(result, ()))
    told = cells_of(outcomes_section(result))
    apart = next(row for row in result.outcomes if (row.quantity, row.outcome) == ("realized_effect", "difference"))
    assert f"{100 * abs(apart.estimate):.1f}" in told
    section = orders_section(result)
    assert "mean over these orders" in cells_of(section)
    assert "decision > own_query > conversation" in section.blocks[0].text
    left = (
        InfluenceRow("a1", "gap", "item", "s1", 0.123, 0.1, 0.2, -0.045, 0.95, 9),
        InfluenceRow("a1", "gap", "participant", "the most influential of 340", 0.234, 0.1, 0.3, 0.011, 0.95, 9),
    )
    shown = cells_of(influence_section(replace(result, influence=left)))
    assert all(one in shown for one in ("s1", "12.3 (\u22124.5)", "the most influential of 340", "+1.1"))


def test_the_report_leaves_out_what_is_not_there(study):
    whole = study.decomposed(study.simulated(), study.benchmark())
    result = replace(whole, bias=(), outcomes=(), influence=())
    assert common_cause_section(result, ()) is None
    assert outcomes_section(result) is None
    assert orders_section(replace(result, orders=order_rows(result))) is None
    assert influence_section(result) is None


def test_the_bias_curve_goes_through_both_e_values(study):
    result = filled(study, uptake(study, 0.8, 0.2))
    shown = prepare_bias_curve(result)
    first = next(row for row in result.bias if row.arm == "a1")
    assert [one.ratio for one in shown.curves] == [first.ratio, first.lower]
    for one in shown.curves:
        x, y = np.array(one.with_conversation), np.array(one.with_decision)
        assert x * y / (x + y - 1) == pytest.approx(np.full(x.size, one.ratio))
        assert float(np.interp(one.e_value, x, y)) == pytest.approx(one.e_value, rel=1e-3)
    drawing = svg(bias_curve(result))
    assert "tie to a right conversation" in drawing
    assert f"{shown.curves[0].e_value:.2f}" in drawing


def test_the_bias_curve_says_where_nothing_needs_explaining(study):
    shown = prepare_bias_curve(filled(study, uptake(study, 0.42, 0.4, people=40)))
    assert len(shown.curves) == 1
    assert "contains a ratio of 1" in shown.title
    with pytest.raises(KeyError):
        prepare_bias_curve(replace(study.decomposed(study.simulated(), study.benchmark()), bias=()))
