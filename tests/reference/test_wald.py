"""Joint Wald tests against R's clubSandwich (wald.R, raw output committed): statistic, df, p-value."""

from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import rctgap as rg
from rctgap.wald import wald_tests

HERE = Path(__file__).parent
EXPECTED = pd.read_csv(HERE / "wald" / "expected.csv")
CHAIN = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
GROUPS = sorted(set(zip(EXPECTED["case"], EXPECTED["item_weights"], strict=True)))


@cache
def found(case, item_weights):
    trial = pd.read_csv(HERE / "covariance" / f"{case}_trial.csv", dtype={"participant": str, "item": str})
    ai = sorted(set(trial["arm"]) - {"control"})
    scores = rg.score_stages(rg.read_trial(trial, design=rg.Design("control", ai)), CHAIN)
    estimates = rg.estimate_frequentist(scores, rg.Estimand("fixed", item_weights), "cluster", "CR2")
    return {(test.arm, test.hypothesis): test for test in wald_tests(estimates)}


@pytest.mark.parametrize(("case", "item_weights"), GROUPS)
def test_tests_equal_clubsandwich_htz(case, item_weights):
    expected = EXPECTED.query("case == @case and item_weights == @item_weights")
    assert len(expected) >= 5
    for row in expected.itertuples():
        test = found(case, item_weights)[row.arm, row.hypothesis]
        statistic = test.statistic**2 if test.reference == "t" else test.statistic
        got = (statistic, test.df_num, test.df_denom, test.p_value)
        assert got == pytest.approx((row.statistic, row.df_num, row.df_denom, row.p_value), rel=1e-8, abs=1e-12)


def test_the_reference_holds_joint_tests_whose_degrees_of_freedom_are_not_those_of_any_single_one():
    joint = EXPECTED[EXPECTED["df_num"] > 1]
    assert len(joint) >= 30
    single = set(EXPECTED.loc[EXPECTED["df_num"] == 1, "df_denom"].round(4))
    assert sum(round(row.df_denom + row.df_num - 1, 4) not in single for row in joint.itertuples()) > 5
