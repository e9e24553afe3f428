"""Small trials and the calls that every statistical test makes, handed out as one fixture."""

import math
import warnings
from contextlib import nullcontext
from dataclasses import fields, replace
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import rctgap as rg

ITEMS = ("s1", "s2", "s3")
COLUMNS = ["participant", "item", "arm", "own_query", "conversation", "decision"]


def simulated(people=12, arms=("a1", "control"), items=ITEMS, answers=2, seed=0, rates=(0.8, 0.6, 0.4)):
    """Participants with a few answers each; the control arm has decisions alone."""
    draw, rows = np.random.default_rng(seed), []
    for arm in arms:
        for person in range(people):
            for turn in range(answers):
                query, talk, decided = (draw.random(3) < rates).astype(float)
                if arm == "control":
                    query = talk = np.nan
                rows.append((f"{arm}-{person}", items[(person + turn) % len(items)], arm, query, talk, decided))
    return pd.DataFrame(rows, columns=COLUMNS)


def benchmark(systems=("a1",), items=ITEMS, repeats=4, right=3):
    """Runs of the AI alone, the same share right on every item."""
    rows = [(system, item, float(run < right)) for system in systems for item in items for run in range(repeats)]
    return pd.DataFrame(rows, columns=["system", "item", "benchmark"])


def scored(frame, runs=None, design=None, stages=rg.DEFAULT_CHAIN, dictionary=None):
    trial = rg.read_trial(frame, benchmark=runs, design=design or rg.Design("control", ["a1"]), dictionary=dictionary)
    return rg.score_stages(trial, stages)


def estimated(frame, runs=None, estimand=None, *, design=None, stages=rg.DEFAULT_CHAIN, dictionary=None, **options):
    chosen = estimand or rg.Estimand(items="fixed")
    return rg.estimate_frequentist(scored(frame, runs, design, stages, dictionary), chosen, **options)


def decomposed(frame, runs=None, estimand=None, *, suppress_below=0, companions=False, **options):
    """A decomposition; warnings on coverage are tested where they belong, other estimands where they are asked for."""
    found = estimated(frame, runs, estimand, **options)
    beside = nullcontext() if companions else patch("rctgap.decomposition._companions", lambda _: ([], []))
    with beside, warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        result = rg.decompose(found, found.estimand)
    return replace(result, settings=replace(result.settings, suppress_below=suppress_below))


def stage(result, name, arm="all"):
    """The main row of a stage."""
    return next(row for row in result.stages if (row.arm, row.stage) == (arm, name))


def faults(result):
    """Numbers that are not finite, intervals of no width, and blanks without a reason, over every table."""
    found = []
    for table in ("components", "stages", "other_stages", "shares", "effects"):
        for row in getattr(result, table):
            values = {one.name: getattr(row, one.name) for one in fields(row)}
            name = (table, row.arm, values.get("quantity", values.get("stage")), row.items, row.item_weights)
            found += [(*name, key) for key, one in values.items() if isinstance(one, float) and not math.isfinite(one)]
            if row.lower is None and not row.note:
                found.append((*name, "no interval and no reason"))
            if row.lower is not None and not row.upper - row.lower > 1e-9:
                found.append((*name, "no width"))
    return found


@pytest.fixture(scope="session")
def study():
    return SimpleNamespace(
        simulated=simulated,
        benchmark=benchmark,
        scored=scored,
        estimated=estimated,
        decomposed=decomposed,
        stage=stage,
        faults=faults,
    )
