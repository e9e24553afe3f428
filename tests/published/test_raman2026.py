"""The published figures and those of the same-system chains, to their printed digits (expected.json)."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import rctgap as rg
from rctgap.datasets import folder
from rctgap.datasets.raman2026 import CHAINS

ROOT = Path(__file__).parents[2]
EXPECTED = json.loads((ROOT / "analyses" / "raman2026" / "expected.json").read_text())
EMBEDDED = folder("raman2026")
HALF_PERCENT_DIGIT = 0.005 + 1e-9
HALF_INTERVAL_DIGIT = 0.05 + 5e-4


@cache
def result(chain):
    return rg.run_analysis(EMBEDDED / f"{chain}.yaml")


def cases(kind):
    return [
        pytest.param(chain, name, value, id=f"{chain}-{name}")
        for chain in CHAINS
        for name, value in EXPECTED[chain].get(kind, {}).items()
    ]


def stage(chain, name, *, other=False):
    rows = result(chain).other_stages if other else result(chain).stages
    return next(row for row in rows if (row.arm, row.stage) == ("all", name))


@pytest.mark.parametrize(("chain", "name", "percent"), cases("stages"))
def test_stage_means(chain, name, percent):
    assert abs(100 * stage(chain, name).estimate - percent) < HALF_PERCENT_DIGIT


@pytest.mark.parametrize(("chain", "name", "counts"), cases("counts"))
def test_stage_means_are_the_counts(chain, name, counts):
    rows = result(chain).stages
    row = next(r for r in rows if (name == "control" and r.arm == "Control") or (r.arm == "all" and r.stage == name))
    assert row.n == counts[1]
    assert row.estimate == pytest.approx(counts[0] / counts[1], abs=1e-14)


@pytest.mark.parametrize(("chain", "name", "points"), cases("components"))
def test_components(chain, name, points):
    assert abs(100 * result(chain).row(name).estimate - points) < HALF_PERCENT_DIGIT


@pytest.mark.parametrize(("chain", "name", "ends"), cases("intervals"))
def test_intervals(chain, name, ends):
    row = result(chain).row(name)
    assert row.interval == "normal"
    assert row.covariance == "robust"
    assert abs(100 * row.lower - ends[0]) < HALF_INTERVAL_DIGIT
    assert abs(100 * row.upper - ends[1]) < HALF_INTERVAL_DIGIT


@pytest.mark.parametrize(("name", "ends"), EXPECTED["as-published"]["items_random"].items())
def test_items_random_intervals(name, ends):
    row = _row("as-published", name, items="random", item_weights="observed", estimator="plug-in")
    assert (row.interval, row.df, row.covariance) == ("t", 9, "item")
    assert abs(100 * row.lower - ends[0]) < HALF_INTERVAL_DIGIT
    assert abs(100 * row.upper - ends[1]) < HALF_INTERVAL_DIGIT


def _row(chain, name, **where):
    return next(
        row
        for row in (*result(chain).components, *result(chain).alternatives)
        if (row.arm, row.quantity) == ("all", name) and all(getattr(row, k) == v for k, v in where.items())
    )


@pytest.mark.parametrize(("name", "counts"), EXPECTED["as-published"]["flows"].items())
def test_flows(name, counts):
    row = result("as-published").row(name)
    assert [row.lost_count, row.gained_count] == counts
    assert row.lost - row.gained == pytest.approx(row.estimate, abs=1e-12)


@pytest.mark.parametrize("name", ["uptake", "self_rescue"])
def test_conditionals(name):
    hits, given = EXPECTED["as-published"][name]
    row = result("as-published").row(name)
    assert row.n == given
    assert row.estimate == pytest.approx(hits / given, abs=1e-12)
    assert f"{hits} of {given}" in row.note


@pytest.mark.parametrize(("name", "percent"), EXPECTED["as-published"]["shares"].items())
def test_shares(name, percent):
    assert abs(100 * result("as-published").row(name).share_of_gap - percent) < HALF_INTERVAL_DIGIT


def test_benchmark_at_the_trial_mix():
    rows = result("as-published").other_stages
    row = next(r for r in rows if (r.arm, r.stage, r.items, r.item_weights) == ("all", "benchmark", "fixed", "trial"))
    assert abs(100 * row.estimate - EXPECTED["as-published"]["trial_mix_benchmark"]) < HALF_PERCENT_DIGIT


def test_own_query_of_gpt4o_at_its_arms_own_mix():
    mix = {"489599": 66, "489600": 63, "489601": 78, "489602": 56, "489603": 56}
    mix |= {"489604": 61, "489605": 76, "489606": 66, "489607": 46, "489608": 32}
    inputs = rg.read_inputs(rg.read_analysis(EMBEDDED / "gpt-4o.yaml"))
    estimand = rg.Estimand(items="fixed", item_weights=mix)
    with pytest.warns(rg.RctgapWarning, match="near the edge"):
        found = rg.decompose(rg.estimate_frequentist(inputs.scores, estimand), estimand)
    expected = EXPECTED["gpt-4o own_query at the GPT-4o arm's scenario mix"]
    assert abs(100 * found.row("own_query").estimate - expected) < HALF_PERCENT_DIGIT
    assert found.row("conversation").estimate is None
    assert "carry no item" in found.row("conversation").note


@pytest.mark.parametrize("chain", CHAINS)
def test_components_add_up_in_every_row_set(chain):
    frame = result(chain).tidy()
    for _, rows in frame.groupby(["arm", "items", "item_weights", "covariance", "estimator"]):
        parts = rows.loc[rows["kind"] == "component", "estimate"].astype(float)
        families = rows.loc[rows["kind"] == "family", "estimate"].astype(float)
        gap = rows.loc[rows["quantity"] == "gap", "estimate"].astype(float).item()
        if pd.isna(gap):
            continue
        assert parts.sum() == pytest.approx(gap, abs=1e-12)
        assert families.sum() == pytest.approx(gap, abs=1e-12)


def check(chain, name):
    return next(one for one in result(chain).checks if one.check == name)


def test_the_authors_label_fails_and_the_arm_that_fits_is_named():
    found = check("as-published", "declared_margins")
    assert found.status == "fail"
    assert "They fit the label Llama 3 70B" in found.detail
    assert "402 of 600" in found.detail
    assert "204 of 600" in found.detail
    assert "10 figures by item" in found.detail


@pytest.mark.parametrize("chain", [name for name in CHAINS if not name.startswith("as-published")])
def test_corrected_labels_give_the_published_figures(chain):
    assert check(chain, "declared_margins").status == "pass"
    assert check(chain, "same_system").status == "pass"
    assert result(chain).final


def test_the_published_chain_changes_system_at_the_conversation():
    found = check("as-published", "same_system")
    assert found.status == "fail"
    assert "conversation: Llama 3 70B; decision: Llama 3 70B" in found.detail
    assert "The step into conversation also contains a change of system" in found.detail
    assert found.assumption_ids == "task.interaction_type"
    assert result("as-published").row("conversation").assumption_ids == ""
    assert result("as-published").row("own_query").assumption_ids
    assert result("as-published").row("decision").assumption_ids == "outcome.decision_mediation"


def test_without_consent_the_published_chain_is_not_final():
    consenting = result("as-published")
    assert consenting.final
    refused = replace(consenting, settings=replace(consenting.settings, allow_mixed_systems=False))
    assert not refused.final


@pytest.mark.parametrize("chain", ["as-published", "llama-3-70b"])
def test_skewed_items_are_warned_about(chain):
    warned = " ".join(result(chain).warnings)
    assert "near the edge. With means near 0 and 100 %, simulated 95 % intervals covered" in warned
    assert "With one item in ten that carries all errors of the benchmark, simulated 95 % intervals covered" in warned
    assert any("one item carries" in text for text in result(chain).warnings)


@pytest.mark.parametrize("chain", ["gpt-4o", "command-r-plus", "gpt-4o-either", "command-r-plus-either"])
def test_chains_without_items_say_why_nothing_is_standardised(chain):
    assert any("carry no item" in note for note in result(chain).notes)
    assert "carry no item" in _row(chain, "decision", items="random").note


@pytest.mark.parametrize("chain", CHAINS)
def test_both_ends_agree_with_another_route(chain):
    assert check(chain, "other_route").status == "pass"
