"""The wild cluster bootstrap against refits of every sign vector in R (wild.R, raw output committed)."""

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.estimands import contrasts
from rctgap.inference_by_design import wild_cluster_bootstrap

HERE = Path(__file__).parent / "wild"
P_VALUES = pd.read_csv(HERE / "p_values.csv")
STATISTICS = pd.read_csv(HERE / "statistics.csv")
KEYS = ["case", "items", "item_weights", "quantity"]
PROBLEMS = list(P_VALUES[KEYS].drop_duplicates().itertuples(index=False, name=None))


@cache
def result_of(case, items, item_weights, quantity):
    trial = pd.read_csv(HERE / f"{case}_trial.csv")
    runs = pd.read_csv(HERE / f"{case}_benchmark.csv")
    data = rg.read_trial(trial, benchmark=runs, design=rg.Design("control", ["a1"]))
    scores = rg.score_stages(data, rg.DEFAULT_CHAIN)
    covariance, correction = ("cluster", "CR1") if items == "fixed" else ("item", "CR2")
    estimates = rg.estimate_frequentist(
        scores, rg.Estimand(items=items, item_weights=item_weights), covariance, correction
    )
    rows = contrasts(scores.chain, "a1", {"a1": 1.0}, "control")
    coefficients = next(row.coefficients for row in rows if row.quantity == quantity)
    return wild_cluster_bootstrap(estimates, [coefficients], seed=1)[0]


def expected(table, problem):
    return table[(table[KEYS] == list(problem)).all(axis=1)]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_p_values_are_those_of_refitting_every_sign_vector(problem):
    result, rows = result_of(*problem), expected(P_VALUES, problem)
    assert result.enumerated
    assert set(rows["clusters"]) == {result.clusters}
    assert [result.test.p_value(null) for null in rows["null"]] == rows["p_value"].tolist()
    assert result.p_value == rows.loc[rows["null"] == 0, "p_value"].item()


@pytest.mark.parametrize("problem", PROBLEMS)
def test_statistics_of_the_data_are_r_s(problem):
    result, rows = result_of(*problem), expected(P_VALUES, problem)
    np.testing.assert_allclose([result.estimate] * len(rows), rows["estimate"], rtol=0, atol=1e-12)
    np.testing.assert_allclose([result.test.statistic(null) for null in rows["null"]], rows["t"], rtol=1e-8)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_statistics_of_the_draws_are_r_s(problem):
    result, rows = result_of(*problem), expected(STATISTICS, problem)
    for null, part in rows.groupby("null"):
        # Half of the sign vectors are drawn; the other half, with every sign turned, have the same absolute statistic.
        found = np.repeat(np.sort(np.abs(result.test.statistics(null))), 2)
        assert found.size == 2**result.clusters
        np.testing.assert_allclose(found[part["rank"].to_numpy() - 1], part["abs_t"], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_interval_holds_the_nulls_that_r_does_not_reject(problem):
    result, rows = result_of(*problem), expected(P_VALUES, problem)
    for row in rows.itertuples():
        if row.p_value > 0.05:
            assert result.lower <= row.null <= result.upper


def test_five_clusters_reject_nothing_and_say_so():
    result = result_of("participants", "fixed", "observed", "gap")
    assert result.clusters == 5
    assert (result.lower, result.upper) == (-np.inf, np.inf)
    assert "p is at least 0.0625" in result.note
