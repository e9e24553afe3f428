"""What the documentation says of coverage, held against the committed studies; and one cell of them run again."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rctgap.caveats import SIMULATED

FOLDER = Path(__file__).parents[2] / "simulations"
LISTED = ("own_query", "conversation", "decision", "task", "gap", "predicted_effect", "realized_effect")
BENIGN = ("small item effects", "moderate item effects")


@pytest.fixture(scope="module")
def study():
    spec = importlib.util.spec_from_file_location("coverage_study", FOLDER / "coverage.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def table(group):
    return pd.read_csv(FOLDER / f"coverage_{group}.csv")


@pytest.mark.parametrize("group", ["analytic", "resampled", "stages", "wild"])
def test_no_cell_of_the_grid_is_dropped(study, group):
    found = table(group)[["condition", "items", "participants"]].drop_duplicates()
    assert {tuple(row) for row in found.itertuples(index=False)} == {
        (one.condition, one.items, one.participants) for one in study.GRID
    }


def within(rows, low, high):
    """Coverages whose Monte Carlo interval (3 errors) misses the range."""
    error = np.sqrt(0.95 * 0.05 / rows["given"])
    return rows[(rows["coverage"] < low - 3 * error) | (rows["coverage"] > high + 3 * error)]


def test_few_items_covers_where_items_are_many_enough_and_effects_moderate():
    rows = table("analytic")
    rows = rows[(rows["method"] == "few-items") & rows["condition"].isin(BENIGN) & (rows["items"] >= 10)]
    assert len(rows) >= 100
    assert within(rows, 0.93, 0.97).empty, within(rows, 0.93, 0.97).to_string()


def test_the_fixed_default_covers_where_cells_hold_five_answers_and_arms_fifty_participants():
    rows = table("analytic")
    rows = rows[
        rows["method"].str.startswith("CR2 by participant") & rows["condition"].isin(("large item effects", *BENIGN))
    ]
    rows = rows[(rows["participants"] / rows["items"] >= 10) & (rows["given"] == rows["trials"])]
    assert len(rows) >= 100
    assert within(rows, 0.935, 0.965).empty, within(rows, 0.935, 0.965).to_string()


def test_the_bounded_interval_covers_everywhere():
    rows = table("analytic")
    rows = rows[rows["method"] == "bounded"]
    assert (rows["coverage"] >= 0.95).all(), rows[rows["coverage"] < 0.95].to_string()


def test_corrections_stand_in_the_order_that_cameron_and_miller_found():
    """Rejections of true hypotheses, items random, an uneven mix: most without clusters, least with CR3 and few df."""
    rows = table("analytic").query("condition == 'uneven mix' and truth == 'random' and quantity in @LISTED")
    missed = 1 - rows.pivot_table("coverage", "items", "method")
    naive, normal = missed["items ignored (CR2 by participant)"], missed["CR1 by item, normal"]
    student, bell = missed["item, t(S-1)"], missed["CR2 by item, Satterthwaite"]
    few = missed.index <= 10
    assert (naive > normal).all()
    assert (normal > student).all()
    assert (student > bell).all()
    assert (missed["CR3 by item, Satterthwaite"] < bell).all()
    assert (normal[few] > 0.1).all()
    assert ((bell[few] > 0.025) & (bell[few] < 0.075)).all()


def test_a_cell_of_the_committed_study_runs_again_to_the_same_numbers(study):
    cell = study.GRID[0]
    rows = table("stages")
    rows = rows[(rows["condition"] == cell.condition) & (rows["items"] == 6) & (rows["participants"] == 100)]
    again = study.study((cell,), "stages", int(rows["trials"].iloc[0]), workers=1)
    pd.testing.assert_frame_equal(again.reset_index(drop=True), rows.reset_index(drop=True), atol=2e-4, rtol=0)


QUOTED = {
    "six items": (("moderate item effects",), 6),
    "a 6:1 mix of ten items": (("uneven mix",), 10),
    "means near 0 and 100 %": (("near 0 and 1",), 10),
    "one item in ten that carries all errors of the benchmark": (("one bad item in ten",), 10),
}


@pytest.mark.parametrize("where", SIMULATED)
def test_warnings_quote_the_committed_studies(where):
    conditions, items = QUOTED[where]
    rows = pd.concat([table("analytic"), table("stages")]).query("truth == 'random'")
    rows = rows[rows["condition"].isin(conditions) & (rows["items"] == items)]
    rows = rows[~rows["quantity"].str.startswith("share")]
    found = [rows.loc[rows["method"] == method, "coverage"] for method in ("cluster2, t(S-1)", "few-items")]
    assert tuple((round(100 * one.min()), round(100 * one.max())) for one in found) == SIMULATED[where]


def test_the_page_of_tables_is_current(study, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    spec = importlib.util.spec_from_file_location("coverage_tables", FOLDER / "tables.py")
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == tables.page()
