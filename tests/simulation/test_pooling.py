"""Pooling over trials: a slice of the committed study run again, and what the committed study says."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rctgap.replication import replicate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "simulations"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("simulations_pooling", FOLDER / "pooling.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed():
    return pd.read_csv(FOLDER / "pooling.csv")


def coverage(frame, method, quantity="mean"):
    return frame.query("method == @method and quantity == @quantity").set_index(["trials", "tau"])["coverage"]


def test_the_committed_study_covers_the_grid(study, committed):
    assert (committed["replicates"] >= 4000).all()
    cells = committed[["trials", "tau"]].drop_duplicates().apply(tuple, axis=1).tolist()
    assert cells == [(cell.trials, cell.tau) for cell in study.GRID]


def test_hartung_knapp_covers_everywhere_and_the_normal_interval_does_not(committed):
    assert coverage(committed, "Hartung-Knapp").min() >= 0.94
    normal = coverage(committed, "normal")
    assert normal[normal.index.get_level_values("tau") > 0].max() < 0.93
    assert normal[2, 0.15] < 0.75


def test_the_hierarchical_model_covers_where_its_prior_of_tau_holds(committed):
    found = coverage(committed, "hierarchical")
    inside = found[found.index.get_level_values("tau") <= 0.05]
    assert inside.min() >= 0.95
    far = [f"{100 * found[trials, 0.15]:.0f}" for trials in (2, 3, 5, 10)]
    assert far == ["87", "89", "91", "93"]  # what the warning says


def test_the_hierarchical_interval_is_narrower_with_few_trials(committed):
    widths = committed.query("quantity == 'mean'").set_index(["method", "trials", "tau"])["width"]
    for trials, tau in ((2, 0.0), (2, 0.05), (3, 0.0), (3, 0.05)):
        assert widths["hierarchical", trials, tau] < widths["Hartung-Knapp", trials, tau]


def test_prediction_and_tau_cover_as_the_page_says(committed):
    predicted = coverage(committed, "Hartung-Knapp", "new trial")
    assert predicted.min() == pytest.approx(0.914, abs=0.005)
    assert coverage(committed, "Hartung-Knapp", "tau").between(0.94, 0.96).all()


def test_the_page_tells_these_figures(committed):
    text = (ROOT / "docs" / "synthesis.md").read_text(encoding="utf-8")
    for trials in (2, 3, 5, 10):
        cells = [
            f"{100 * coverage(committed, method)[trials, tau]:.0f}"
            for method in ("Hartung-Knapp", "hierarchical", "normal")
            for tau in (0.0, 0.05, 0.15)
        ]
        assert f"| {trials} | {' | '.join(cells)} |" in text


def test_a_slice_run_again_agrees(study, committed):
    place, replicates = 4, 300
    cell = study.GRID[place]
    seed = np.random.SeedSequence([study.SEED, place])
    found = replicate(study.Synthesised(cell), replicates, seed)
    again = study.summary(cell, [row for one in found for row in one], replicates).set_index(["method", "quantity"])
    before = committed.query("trials == @cell.trials and tau == @cell.tau").set_index(["method", "quantity"])
    before = before.loc[again.index]
    chance = before["coverage"].clip(0.02, 0.98)
    assert ((again["coverage"] - before["coverage"]).abs() < 4 * np.sqrt(chance * (1 - chance) / replicates)).all()
    np.testing.assert_allclose(again["width"], before["width"], rtol=0.25)


def test_workers_do_not_change_a_number(study):
    one = study.Synthesised(study.GRID[0])
    with ThreadPoolExecutor(2) as executor:
        together = replicate(one, 4, 7, executor=executor)
    alone = replicate(one, 4, 7)
    assert together == alone
    assert alone[0] != alone[1]
