"""Randomisation tests against regressions on every assignment in R (randomisation.R, raw output committed)."""

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import rctgap as rg
from rctgap.estimates import arm_sets
from rctgap.inference_by_design import randomisation_inference

HERE = Path(__file__).parent / "randomisation"
EXPECTED = pd.read_csv(HERE / "p_values.csv")
KEYS = ["case", "label", "item_weights"]
PROBLEMS = list(EXPECTED[KEYS].drop_duplicates().itertuples(index=False, name=None))


@cache
def result_of(case, label, item_weights, studentised):
    trial = pd.read_csv(HERE / f"{case}.csv").assign(own_query=0.5)
    ai = sorted(set(trial["arm"]) - {"control"})
    data = rg.read_trial(trial, design=rg.Design("control", ai, strata=("site",)))
    scores = rg.score_stages(data, [rg.Stage("own_query"), rg.Stage("decision")])
    estimates = rg.estimate_frequentist(scores, rg.Estimand(items="fixed", item_weights=item_weights))
    return randomisation_inference(estimates, arm_sets(estimates), studentised=studentised, seed=1)[label]


@pytest.mark.parametrize("studentised", [True, False])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_p_values_are_those_of_every_assignment_at_every_constant_effect(problem, studentised):
    result = result_of(*problem, studentised)
    rows = EXPECTED[(EXPECTED[KEYS] == list(problem)).all(axis=1)]
    assert result.enumerated
    assert set(rows["assignments"]) == {result.replicates}
    assert set(rows["emptied"]) == {result.emptied}
    wanted = rows["studentised" if studentised else "plain"]
    assert [result.test.p_value(tau) for tau in rows["tau"]] == pytest.approx(wanted.tolist(), abs=1e-15)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_studentised_statistic_is_the_estimate_over_the_cr0_standard_error(problem):
    rows = EXPECTED[(EXPECTED[KEYS] == list(problem)).all(axis=1)]
    studentised, plain = result_of(*problem, True), result_of(*problem, False)
    assert rows["estimate"].tolist() == pytest.approx([plain.estimate] * len(rows), abs=1e-12)
    assert plain.statistic == plain.estimate
    wanted = (rows["estimate"] / rows["std_error"]).tolist()
    assert wanted == pytest.approx([studentised.statistic] * len(rows), rel=1e-8)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_interval_holds_the_effects_that_r_does_not_reject(problem):
    result = result_of(*problem, True)
    rows = EXPECTED[(EXPECTED[KEYS] == list(problem)).all(axis=1)]
    for row in rows.itertuples():
        if row.studentised > 0.05:
            assert result.lower <= row.tau <= result.upper


def test_some_reference_rows_empty_a_cell():
    assert (EXPECTED["emptied"] > 0).any()
    assert "leave an item without a score" in result_of("strata", "a1", "uniform", True).note
