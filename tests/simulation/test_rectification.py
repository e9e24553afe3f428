"""Rectified scores: a slice of the committed study run again, and what the committed study says."""

import importlib.util
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rctgap.replication import replicate

FOLDER = Path(__file__).parents[2] / "simulations"
DIFFER, SAME = "errors differ by arm and stage", "same errors everywhere"


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("simulations_rectification", FOLDER / "rectification.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def committed():
    return pd.read_csv(FOLDER / "rectification.csv")


def test_the_committed_study_covers_the_grid(study, committed):
    assert (committed["trials"] >= 2000).all()
    cells = committed[["condition", "labels"]].drop_duplicates().apply(tuple, axis=1).tolist()
    assert cells == [(cell.condition, cell.labels) for cell in study.GRID]


def test_automatic_scores_alone_mislead(committed):
    naive = committed.query("condition == @DIFFER and method == 'automatic scores alone'")
    assert naive["coverage"].max() < 0.80


def test_rectified_scores_cover_from_eighty_labels_an_arm_and_stage(committed):
    rectified = committed.query("method == 'rectified' and labels >= 480")
    assert rectified["coverage"].between(0.93, 0.97).all()
    assert rectified["bias"].abs().max() < 0.005
    few = committed.query("method == 'rectified' and labels == 180")
    assert few["coverage"].min() < 0.92  # what the note on few labels says


def test_tuning_is_narrower_than_lambda_zero_everywhere(committed):
    keys = ["condition", "labels", "quantity"]
    tuned = committed.query("method == 'rectified'").set_index(keys)["width"]
    untuned = committed.query("method == 'lambda 0'").set_index(keys)["width"]
    assert len(tuned) == len(untuned) == 54
    assert (tuned < untuned).all()


def test_rogan_gladen_covers_only_where_its_assumption_holds(committed):
    corrected = committed.query("method == 'Rogan-Gladen'")
    assert corrected.query("condition == @SAME")["coverage"].between(0.93, 0.97).all()
    assert corrected.query("condition == @DIFFER")["coverage"].max() < 0.90


def test_a_slice_run_again_agrees(study, committed):
    place, trials = 1, 150
    cell = study.GRID[place]
    seed = np.random.SeedSequence([study.SEED, place])
    found = replicate(study.Trial(cell), trials, seed)
    again = study.summary(cell, [row for one in found for row in one], trials).set_index(["method", "quantity"])
    before = committed.query("condition == @cell.condition and labels == @cell.labels")
    before = before.set_index(["method", "quantity"]).loc[again.index]
    spread = np.sqrt(before["coverage"].clip(0.02, 0.98) * (1 - before["coverage"].clip(0.02, 0.98)) / trials)
    assert ((again["coverage"] - before["coverage"]).abs() < 4 * spread).all()
    np.testing.assert_allclose(again["width"], before["width"], rtol=0.05)


def test_workers_do_not_change_a_number(study):
    trial = study.Trial(study.GRID[0])
    with ThreadPoolExecutor(2) as executor:
        together = replicate(trial, 4, 7, executor=executor)
    alone = replicate(trial, 4, 7)
    assert together == alone
    assert alone[0] != alone[1]
