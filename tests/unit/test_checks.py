"""Checks that a result must survive: each one seen to pass and to fail."""

from dataclasses import replace

import pandas as pd
import pytest

import rctgap as rg
from rctgap.checks import checked, run_checks
from rctgap.checks.other_route import TOLERANCE, effect_by_regression
from rctgap.errors import DataError

STATUS = {
    "declared_margins": "not_applicable",
    "same_system": "pass",
    "same_instrument": "not_applicable",
    "other_route": "pass",
    "clustering": "pass",
    "balance": "pass",
    "differential_attrition": "not_applicable",
    "missing_logs": "not_applicable",
    "answer_position": "not_applicable",
    "item_mix": "not_applicable",
    "leave_one_item_out": "warning",
    "leave_one_participant_out": "warning",
    "stage_order": "not_applicable",
    "scorer_sensitivity": "not_applicable",
    "outcome_validity": "not_applicable",
    "common_cause": "warning",
    "convergence": "not_applicable",
    "prior_sensitivity": "not_applicable",
    "agreement": "not_applicable",
}


def check(result, name):
    return next(one for one in run_checks(result) if one.check == name)


def plain(study, **options):
    return study.decomposed(study.simulated(), study.benchmark(), **options)


def test_every_check_reports_once_and_in_order(study):
    result = checked(plain(study))
    assert [(one.check, one.status) for one in result.checks] == list(STATUS.items())
    assert result.final
    assert checked(result) is result


def test_answers_that_cannot_be_tied_are_warned_about(study):
    frame = study.simulated().drop(columns="participant")
    found = check(study.decomposed(frame, study.benchmark()), "clustering")
    assert (found.status, "not identified" in found.detail) == ("warning", True)
    assert "24 participants" in check(plain(study), "clustering").detail


@pytest.mark.parametrize("weights", ["observed", "trial", "uniform"])
def test_other_route_passes_with_missing_scores_and_uneven_items(study, weights):
    frame = study.simulated(people=13)
    frame.loc[3:6, "conversation"] = float("nan")
    frame.loc[8:9, "decision"] = float("nan")
    assert (
        check(study.decomposed(frame, study.benchmark(), rg.Estimand("fixed", weights)), "other_route").status == "pass"
    )


@pytest.mark.parametrize("quantity", ["gap", "realized_effect"])
def test_other_route_fails_where_an_end_is_moved(study, quantity):
    result = plain(study)
    moved = tuple(
        replace(row, estimate=row.estimate + 10 * TOLERANCE) if row.quantity == quantity and row.arm == "a1" else row
        for row in result.components
    )
    broken = checked(replace(result, components=moved, checks=()))
    assert next(one.status for one in broken.checks if one.check == "other_route") == "fail"
    assert not broken.final
    consenting = replace(broken, settings=replace(broken.settings, allow_mixed_systems=True))
    assert not consenting.final


def test_effect_by_regression_is_a_difference_of_weighted_means(study):
    frame = study.simulated(people=13)
    scores = study.scored(frame, study.benchmark())
    means = frame.groupby("arm")["decision"].mean()
    assert effect_by_regression(scores, "a1", None) == pytest.approx(means["a1"] - means["control"])
    cells = frame.groupby(["arm", "item"])["decision"].mean()
    mix = {"s1": 0.2, "s2": 0.8}
    expected = sum(weight * (cells["a1", item] - cells["control", item]) for item, weight in mix.items())
    assert effect_by_regression(scores, "a1", mix) == pytest.approx(expected)


def mixed(study, **where):
    """Rows of stages with a system of their own."""
    frame = study.simulated().assign(talked_to="a1", decided_with="a1")
    frame = frame.assign(**where)
    stages = (
        rg.Stage("benchmark", "benchmark"),
        rg.Stage("own_query", system="a1"),
        rg.Stage("conversation", system_column="talked_to"),
        rg.Stage("decision", system_column="decided_with"),
    )
    return study.decomposed(frame, study.benchmark(), stages=rg.Chain(stages, rg.DEFAULT_CHAIN.transitions))


def test_one_system_throughout_passes(study):
    result = mixed(study)
    assert check(result, "same_system").status == "pass"
    assert result.row("conversation").assumption_ids == "task.interaction_type"


def test_another_system_fails_and_its_step_is_not_attributed(study):
    result = checked(mixed(study, talked_to="b2", decided_with="b2"))
    found = next(one for one in result.checks if one.check == "same_system")
    assert found.status == "fail"
    assert "conversation: b2" in found.detail
    assert "The step into conversation" in found.detail
    assert found.assumption_ids == "task.interaction_type"
    assert result.row("conversation").assumption_ids == ""
    assert "the system changes at conversation" in result.row("conversation").note
    assert result.row("own_query").assumption_ids
    assert result.row("decision").assumption_ids == "outcome.decision_mediation"
    assert result.row("outcome").assumption_ids == "outcome.decision_mediation"
    assert result.row("task").assumption_ids == ""
    assert result.row("gap").assumption_ids == ""
    assert not result.final
    row = next(one for one in result.assumptions if one.assumption_id == "task.interaction_type")
    assert row.estimate is None
    assert "not attributed" in row.evidence


def test_consent_keeps_the_failed_check_and_the_result_is_final(study):
    result = mixed(study, talked_to="b2", decided_with="b2")
    result = checked(replace(result, settings=replace(result.settings, allow_mixed_systems=True), checks=()))
    found = next(one for one in result.checks if one.check == "same_system")
    assert (found.status, result.final) == ("fail", True)
    assert "consents" in found.detail


def test_rows_of_two_systems_in_one_stage_fail(study):
    both = ["a1", "b2"] * 24
    result = mixed(study, decided_with=both)
    assert check(result, "same_system").status == "fail"
    assert "a1, b2" in check(result, "same_system").detail
    assert result.row("decision").assumption_ids == ""


def test_a_stage_whose_rows_name_no_system_is_said(study):
    result = mixed(study, decided_with=None)
    found = check(result, "same_system")
    assert (found.status, "decision" in found.detail) == ("warning", True)


def test_a_stage_of_which_some_rows_name_no_system_is_said(study):
    found = check(mixed(study, decided_with=["a1", None] * 24), "same_system")
    assert found.status == "warning"
    assert "Some rows name no system: decision in arm a1." in found.detail


def test_a_stated_system_that_the_runs_contradict_is_refused(study):
    stages = (rg.Stage("benchmark", "benchmark", system="gpt"), *rg.DEFAULT_CHAIN.stages[1:])
    chain = rg.Chain(stages, rg.DEFAULT_CHAIN.transitions)
    with pytest.raises(DataError, match=r"its runs are of 'gpt', and rows name another system"):
        study.scored(study.simulated(), study.benchmark(), stages=chain)


def instruments(study, *settings):
    names = ("benchmark", "own_query", "conversation", "decision")
    stages = tuple(
        rg.Stage(name, "benchmark" if name == "benchmark" else "trial", instrument=tuple(given.items()))
        for name, given in zip(names, settings, strict=True)
    )
    return study.decomposed(study.simulated(), study.benchmark(), stages=rg.Chain(stages, rg.DEFAULT_CHAIN.transitions))


def test_the_same_instrument_passes(study):
    assert check(instruments(study, *[{"scorer": "term", "scope": "answer"}] * 4), "same_instrument").status == "pass"


def test_what_changes_along_the_chain_is_named(study):
    one, two = {"scorer": "term", "tokens": "512"}, {"scorer": "term", "tokens": "256"}
    found = check(instruments(study, one, one, two, two), "same_instrument")
    assert found.status == "warning"
    assert "own_query to conversation: tokens (512 | 256)" in found.detail
    assert "scorer" not in found.detail.split("Besides")[1].split("tokens")[0]


def test_a_stage_without_a_declared_instrument_is_named(study):
    one = {"scorer": "term"}
    found = check(instruments(study, one, one, one, {}), "same_instrument")
    assert (found.status, "no instrument is declared for decision" in found.detail) == ("warning", True)


@pytest.mark.parametrize(("value", "status"), [(0.3, "pass"), (0.4, "fail")])
def test_declared_margins(study, value, status):
    fields = [{"name": "arm", "role": "arm"}, {"name": "count", "role": "count", "type": "integer"}]
    fields += [{"name": name, "role": "score", "type": "integer"} for name in ("conversation", "decision")]
    margins = [{"where": {"arm": "a1"}, "column": "decision", "n": 100, "value": value, "decimals": 1}]
    known = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields, "margins": margins}}}
    frame = pd.DataFrame({"arm": "a1", "count": [30, 70], "conversation": [1, 0], "decision": [1, 0]})
    result = study.decomposed(
        frame,
        design=rg.Design(None, ["a1"]),
        stages=[rg.Stage("conversation"), rg.Stage("decision")],
        dictionary=known,
    )
    found = check(result, "declared_margins")
    assert found.status == status
    if status == "fail":
        assert "Rows with arm = a1 miss 1 of 1 published figures" in found.detail
        assert "30 of 100" in found.detail
    assert checked(result).final


def test_a_step_between_two_stages_of_the_same_two_systems_is_not_attributed(study):
    result = mixed(study, talked_to=["a1", "b2"] * 24, decided_with=["a1", "b2"] * 24)
    assert result.row("decision").assumption_ids == ""
    assert "the system changes at decision" in result.row("decision").note
