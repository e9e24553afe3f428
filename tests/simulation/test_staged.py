"""Staged evaluation: what the committed study says of its errors, and a slice of it run again."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rctgap.replication import replicate

FOLDER = Path(__file__).parents[2] / "simulations"
ALPHA = 0.05


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("simulations_staged", FOLDER / "staged.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed():
    return pd.read_csv(FOLDER / "staged.csv")


def test_the_committed_study_covers_the_grid(study, committed):
    names = ["condition", "items", "item_count", "participants"]
    cells = committed[names].drop_duplicates().apply(tuple, axis=1).tolist()
    assert cells == [tuple(getattr(cell, name) for name in names) for cell in study.GRID]
    assert committed.loc[committed["false_holds"].notna(), "trials"].min() >= 2000


def test_any_false_holds_is_at_most_alpha_whatever_lies_at_the_margin(committed):
    """With the standard errors up to a third of the margin and beyond, with items fixed and random."""
    found = committed[committed["false_holds"].notna()]
    error = np.sqrt(ALPHA * (1 - ALPHA) / found["trials"])
    assert (found["false_holds"] <= ALPHA + 3 * error).all(), found.to_string()
    precise = found[found["std_error_in_margins"] <= 1 / 3]
    assert len(precise) >= 10
    assert precise["false_holds"].max() > 0.025  # a test that never errs would be no use


def test_power_grows_with_size_and_falls_towards_the_margin(committed):
    last = committed[(committed["step"] == "decision") & (committed["items"] == "fixed")]
    power = last[last["condition"].str.endswith("points")].pivot_table(
        index="participants", columns="component", values="holds"
    )
    slack = 0.06  # two Monte Carlo errors
    assert (power.diff().dropna() > -slack).all(axis=None)
    assert (power.T.diff().dropna() < slack).all(axis=None)
    assert power.loc[2000, 0.0] > 0.95


def test_a_slice_runs_again_whatever_the_workers(study, committed):
    """The first trials of a cell give the same verdicts from one thread and from two."""
    cell = study.GRID[0]
    seed = np.random.SeedSequence([study.SEED, 0])
    alone = replicate(study.Trial(cell), 60, np.random.SeedSequence([study.SEED, 0]))
    with ThreadPoolExecutor(2) as executor:
        assert replicate(study.Trial(cell), 60, seed, executor=executor) == alone
    found = study.summary(cell, alone)
    before = committed[
        (committed["condition"] == cell.condition) & (committed["participants"] == cell.participants)
    ].head(len(found))
    np.testing.assert_allclose(found["std_error_in_margins"], before["std_error_in_margins"], rtol=0.03)
    errors = 4 * np.sqrt(before["violated"] * (1 - before["violated"]) / 60) + 0.02
    assert (np.abs(found["violated"].to_numpy() - before["violated"].to_numpy()) < errors.to_numpy()).all()
