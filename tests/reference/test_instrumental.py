"""Complier effects against R: ivreg, clubSandwich, inverted Anderson-Rubin tests (instrumental.R, output committed)."""

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import rctgap as rg
from rctgap.compliers import complier_effects

HERE = Path(__file__).parent / "instrumental"
EXPECTED = pd.read_csv(HERE / "expected.csv")
ROWS = list(EXPECTED.itertuples(index=False))


@cache
def found(case, item_weights, small_sample):
    trial = pd.read_csv(HERE / f"{case}_trial.csv", dtype={"participant": str, "item": str})
    ai = sorted(set(trial["arm"]) - {"control"})
    stages = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
    scores = rg.score_stages(rg.read_trial(trial, design=rg.Design("control", ai)), stages)
    estimand = rg.Estimand("fixed", item_weights, non_users="zero")
    estimates = rg.estimate_frequentist(scores, estimand, "cluster", small_sample)
    return {effect.arm: effect for effect in complier_effects(estimates)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.case}-{row.arm}-{row.item_weights}-{row.small_sample}")
def test_complier_effects_equal_r(row):
    effect = found(row.case, row.item_weights, row.small_sample)[row.arm]
    points = (effect.estimate, effect.realized_effect, effect.first_stage)
    assert points == pytest.approx((row.estimate, row.realized_effect, row.first_stage), rel=1e-9, abs=1e-12)
    if row.item_weights == "observed":
        got = (effect.std_error, effect.f_statistic)
        assert got == pytest.approx((row.std_error, row.f_statistic), rel=1e-8)
        assert effect.set_type == row.set_type


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.set_type in ("bounded", "exclusive")],
    ids=lambda row: f"{row.case}-{row.arm}-{row.small_sample}",
)
def test_anderson_rubin_sets_equal_inverted_tests(row):
    effect = found(row.case, row.item_weights, row.small_sample)[row.arm]
    assert (effect.set_lower, effect.set_upper) == pytest.approx((row.set_lower, row.set_upper), rel=1e-7)


def test_the_reference_has_every_kind_of_set():
    assert set(EXPECTED["set_type"].dropna()) == {"bounded", "exclusive", "unbounded"}
