"""`rctgap compare`, as a user runs it: simulated trials in, a pooled page out, and what it refuses."""

import json

import pandas as pd
import pytest

from rctgap.datasets import folder as embedded
from rctgap.result_folders import Index, write_index

SEEDS = (11, 12, 13)
SIZES = ("--participants", 240, "--items", 6, "--runs", 20)


@pytest.fixture(scope="module")
def trials(tmp_path_factory, e2e):
    """Three simulated trials, decomposed; their truths stand beside them."""
    place = tmp_path_factory.mktemp("trials")
    for seed in SEEDS:
        folder = place / f"trial-{seed}"
        e2e.done("simulate", "--out", folder, "--seed", seed, *SIZES)
        e2e.done("decompose", folder / "analysis.yaml", "--out", place / f"result-{seed}", "--quiet")
    return place


@pytest.fixture
def results(trials):
    return [trials / f"result-{seed}" for seed in SEEDS]


def true_values(trials):
    frames = [pd.read_csv(trials / f"trial-{seed}" / "truth.csv") for seed in SEEDS]
    both = pd.concat(frames).query("arm == 'all' and items == 'fixed' and item_weights == 'trial'")
    return both.groupby("quantity")["value"].mean()


def test_the_pooled_intervals_hold_the_mean_of_the_truths(trials, results, tmp_path, e2e):
    told = e2e.done("compare", *results, "--out", tmp_path / "new")
    assert "Hartung-Knapp" in told.stdout
    assert "Bayesian: mean over trials ~ Normal(0, 0.5), tau ~ half-normal(0.1)" in told.stdout
    assert "Items are fixed" in told.stdout
    found = pd.read_csv(tmp_path / "new" / "synthesis.csv").query("kind != 'share'")
    truth = true_values(trials)
    for method in ("hartung-knapp", "hierarchical"):
        mine = found[found["method"] == method].set_index("quantity")
        assert len(mine) == len(truth)
        both = mine.join(truth)
        assert ((both["lower"] < both["value"]) & (both["value"] < both["upper"])).all()
        assert (both["estimate"] - both["value"]).abs().max() < 0.06
    gap = found.query("quantity == 'gap' and method == 'hartung-knapp'").iloc[0]
    line = next(line for line in told.stdout.splitlines() if line.startswith("gap  ") and "0.99" in line)
    assert f"{100 * gap['estimate']:.1f} ({100 * gap['lower']:.1f} to {100 * gap['upper']:.1f})" in line


def test_the_trials_rows_are_those_of_their_own_results(results, tmp_path, e2e):
    e2e.done("compare", *results, "--out", tmp_path / "new", "--quiet")
    rows = pd.read_csv(tmp_path / "new" / "synthesis.csv").query("method == 'trial' and kind != 'share'")
    for folder in results:
        own = pd.read_csv(folder / "components.csv")
        own = own.query("arm == 'all' and items == 'fixed' and item_weights == 'trial'").set_index("quantity")
        mine = rows[rows["trial"] == folder.name].set_index("quantity")
        names = ["estimate", "std_error", "lower", "upper"]
        pd.testing.assert_frame_equal(mine[names], own.loc[mine.index, names])


def test_a_run_again_writes_the_same_bytes_over_the_old_ones(results, tmp_path, e2e):
    e2e.done("compare", *results, "--out", tmp_path / "new", "--quiet")
    before = e2e.tree(tmp_path / "new")
    assert set(before) == {
        *("figures", "figures/pooled.svg", "report.html", "report.md", "synthesis.csv", "synthesis.json")
    }
    told = e2e.done("compare", *results, "--out", tmp_path / "new", "--quiet")
    assert (told.stdout, told.stderr) == ("", "")
    assert e2e.tree(tmp_path / "new") == before
    page = (tmp_path / "new" / "report.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("https://doi.org", "").replace("http://www.w3.org", "")


def test_no_folder_is_written_without_out(results, tmp_path, monkeypatch, e2e):
    monkeypatch.chdir(tmp_path)
    e2e.done("compare", *results)
    assert list(tmp_path.iterdir()) == []


def test_priors_and_margin_are_options(results, tmp_path, e2e):
    e2e.done("compare", *results, "--mu-sd", 0.01, "--tau-scale", 0.02, "--margin", 0.3, "--out", tmp_path / "new")
    document = json.loads((tmp_path / "new" / "synthesis.json").read_text(encoding="utf-8"))
    assert (document["mu_sd"], document["tau_scale"], document["margin"]) == (0.01, 0.02, 0.3)
    row = next(one for one in document["rows"] if (one["quantity"], one["method"]) == ("gap", "hierarchical"))
    assert row["estimate"] < 0.3
    assert row["prob_within_margin"] > 0.9


REFUSED = [
    ((), "Missing argument"),
    (("result-11", "result-11"), "given twice"),
    (("result-11", "trial-12"), "no result here"),
    (("result-11", "result-12", "--arm", "a7"), "Allowed: a1, all"),
    (("result-11", "result-12", "--level", 95), "--level, value '95'"),
    (("result-11", "result-12", "--tau-scale", 0), "tau_scale"),
    (("result-11", "result-12", "--out", "trial-11"), "not an rctgap result"),
    (("result-11", "result-12", "--out", "result-13/result.json"), "this is a file"),
]


@pytest.mark.parametrize(("words", "said"), REFUSED)
def test_what_cannot_be_compared_is_refused_and_nothing_is_written(words, said, trials, e2e):
    before = e2e.tree(trials)
    places = [trials / word if str(word).startswith(("result-", "trial-")) else word for word in words]
    told = e2e.done("compare", *places, code=2)
    assert said in told.stderr
    assert "Traceback" not in told.stderr
    assert told.stdout == ""
    assert e2e.tree(trials) == before


def test_trials_of_other_estimands_are_refused_by_name(trials, results, tmp_path, e2e):
    analysis = trials / "trial-12" / "uniform.yaml"
    text = (trials / "trial-12" / "analysis.yaml").read_text(encoding="utf-8")
    analysis.write_text(text.replace("item_weights: trial", "item_weights: uniform"), encoding="utf-8")
    e2e.done("decompose", analysis, "--out", tmp_path / "uniform", "--quiet")
    told = e2e.done("compare", results[0], tmp_path / "uniform", code=2)
    assert "item_weights: the estimands differ: trial in result-11; uniform in uniform" in told.stderr
    beside = e2e.done("compare", results[0], tmp_path / "uniform", "--side-by-side")
    assert "Hartung-Knapp" not in beside.stdout
    shared = e2e.done("compare", results[1], tmp_path / "uniform", code=2)
    assert "result-12, uniform rest on the same trial's data" in shared.stderr
    analysis.unlink()


def test_chains_of_one_trial_stand_side_by_side_only(tmp_path, e2e):
    chains = ("as-published", "llama-3-70b")
    for name in chains:
        e2e.done("decompose", embedded("raman2026") / f"{name}.yaml", "--out", tmp_path / "study" / name, "--quiet")
    write_index(tmp_path / "study", Index("Two chains", "", chains))
    told = e2e.done("compare", tmp_path / "study", code=2)
    assert "as-published, llama-3-70b rest on the same trial's data" in told.stderr
    assert "--side-by-side" in told.stderr
    e2e.done("compare", tmp_path / "study", "--side-by-side", "--out", tmp_path / "new")
    frame = pd.read_csv(tmp_path / "new" / "synthesis.csv")
    assert set(frame["method"]) == {"trial"}
    gap = frame.query("quantity == 'gap' and kind == 'gap'").set_index("trial")["estimate"]
    assert gap.to_dict() == pytest.approx({"as-published": 0.6067, "llama-3-70b": 0.6517}, abs=5e-5)
