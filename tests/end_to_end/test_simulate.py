"""`rctgap simulate` writes a folder that `rctgap decompose` takes, and the truth beside it."""

import pandas as pd
import pytest
from click.testing import CliRunner

from rctgap.cli import main


def run(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("simulated") / "trial"
    told = run("simulate", "--out", place, "--seed", 3, "--arms", 2, "--participants", 400, "--mean", "decision=0.35")
    assert told.exit_code == 0, told.output
    return place


def test_the_folder_is_analysed_and_the_estimates_are_near_the_truth(folder, tmp_path):
    told = run("decompose", folder / "analysis.yaml", "--out", tmp_path / "out")
    assert told.exit_code == 0, told.output
    found = pd.read_csv(tmp_path / "out" / "components.csv").query("items == 'fixed' and item_weights == 'trial'")
    truth = pd.read_csv(folder / "truth.csv").query("items == 'fixed' and item_weights == 'trial'")
    both = found.merge(truth, on=["arm", "quantity"])
    assert len(both) == 3 * 10
    assert ((both["estimate"] - both["value"]).abs() < 4.5 * both["std_error"]).all()


def test_truth_is_given_under_every_estimand(folder):
    truth = pd.read_csv(folder / "truth.csv", keep_default_na=False)
    assert set(zip(truth["items"], truth["item_weights"], strict=True)) == {
        ("random", ""),
        ("fixed", "observed"),
        ("fixed", "trial"),
        ("fixed", "uniform"),
    }
    gap = truth.query("items == 'random' and arm == 'a1' and quantity == 'gap'")["value"].item()
    assert gap == pytest.approx(0.9 - 0.35)


def test_the_same_seed_writes_the_same_bytes(folder, tmp_path):
    again = tmp_path / "again"
    run("simulate", "--out", again, "--seed", 3, "--arms", 2, "--participants", 400, "--mean", "decision=0.35")
    assert {one.name: one.read_bytes() for one in again.iterdir()} == {
        one.name: one.read_bytes() for one in folder.iterdir()
    }


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--mean", "descision=.3"), "Did you mean 'decision'?"),
        (("--mean", "decision=half"), "no number follows the stage"),
        (("--missing", "benchmark=.1"), "benchmark=.1"),
        (("--answers", "11"), "answers, value '11'"),
        (("--population", "skewed"), "population, value 'skewed'"),
        (("--control-mean", "1"), "control_mean, value '1.0'"),
    ],
)
def test_what_cannot_be_simulated_is_refused(words, named, tmp_path):
    told = run("simulate", "--out", tmp_path / "new", "--seed", 1, *words)
    assert told.exit_code == 2
    assert named in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(folder):
    before = {one.name: one.read_bytes() for one in folder.iterdir()}
    told = run("simulate", "--out", folder, "--seed", 4)
    assert told.exit_code == 2
    assert "not an rctgap result" in told.stderr
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == before
