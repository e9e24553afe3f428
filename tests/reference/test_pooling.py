"""Pooling over trials against R's metafor (pooling.R) and a PyMC fit of the same model (pooling_fit.py)."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rctgap.pooling import PoolingPrior, hierarchical, random_effects

HERE = Path(__file__).parent / "pooling"
EFFECTS = pd.read_csv(HERE / "effects.csv")
POOLED = pd.read_csv(HERE / "pooled.csv")
PYMC = pd.read_csv(HERE / "pymc.csv")
FIGURES = ("estimate", "std_error", "lower", "upper", "tau", "q", "q_p", "i2")


def of_case(name):
    own = EFFECTS[EFFECTS["case"] == name]
    return own["estimate"].tolist(), own["std_error"].tolist()


@pytest.mark.parametrize("row", list(POOLED.itertuples()), ids=lambda row: f"{row.case}-{row.level:g}")
def test_random_effects_equal_metafor(row):
    found = random_effects(*of_case(row.case), row.level)
    for name in FIGURES:
        assert getattr(found, name) == pytest.approx(getattr(row, name), rel=1e-8, abs=1e-12), name
    for name in ("tau_lower", "tau_upper", "prediction_lower", "prediction_upper"):
        expected = getattr(row, name)
        if np.isnan(expected):
            assert getattr(found, name) is None, name
        else:
            assert getattr(found, name) == pytest.approx(expected, rel=1e-5, abs=1e-9), name
    assert found.k == row.k == len(found.weights)


def test_the_interval_is_never_narrower_than_the_normal_one():
    for row in POOLED.itertuples():
        found = random_effects(*of_case(row.case), row.level)
        assert found.lower < row.normal_lower
        assert found.upper > row.normal_upper


@pytest.mark.parametrize("key", sorted(PYMC.groupby(["case", "mu_sd", "tau_scale"]).groups), ids=str)
def test_the_posterior_equals_pymc_within_monte_carlo_error(key):
    case, mu_sd, tau_scale = key
    rows = PYMC.query("case == @case and mu_sd == @mu_sd and tau_scale == @tau_scale").set_index("quantity")
    found = hierarchical(*of_case(case), 0.95, 0.05, PoolingPrior(mu_sd, tau_scale))
    error = rows["sd"] / np.sqrt(rows["ess_bulk"])
    assert found.estimate == pytest.approx(rows.loc["mu", "mean"], abs=4 * error["mu"])
    assert found.std_dev == pytest.approx(rows.loc["mu", "sd"], rel=0.03)
    assert found.prob_positive == pytest.approx(rows.loc["positive", "mean"], abs=4 * error["positive"] + 5e-4)
    within = rows.loc["within_margin", "mean"]
    assert found.prob_within_margin == pytest.approx(within, abs=4 * error["within_margin"] + 5e-4)
    for name, ends in (
        ("mu", (found.lower, found.upper)),
        ("tau", (found.tau_lower, found.tau_upper)),
        ("new", (found.prediction_lower, found.prediction_upper)),
        *((f"trial_{place + 1}", (one.lower, one.upper)) for place, one in enumerate(found.trials)),
    ):
        # A quantile in the tail carries several times the Monte Carlo error of the mean.
        assert ends == pytest.approx((rows.loc[name, "q025"], rows.loc[name, "q975"]), abs=12 * error[name]), name
    assert found.tau == pytest.approx(rows.loc["tau", "q500"], abs=5 * error["tau"])
    for place, one in enumerate(found.trials):
        name = f"trial_{place + 1}"
        assert one.estimate == pytest.approx(rows.loc[name, "mean"], abs=5 * error[name])
        assert one.std_dev == pytest.approx(rows.loc[name, "sd"], rel=0.03)
