"""The published case study from the embedded counts, and from files of the authors' shapes."""

import csv
import json
import re
import shutil

import pandas as pd
import pytest

from rctgap.analysis import run_analysis

CHAINS = [
    "as-published",
    "as-published-rerun",
    "gpt-4o",
    "llama-3-70b",
    "command-r-plus",
    "gpt-4o-either",
    "llama-3-70b-either",
    "command-r-plus-either",
    "disposition",
]
MIXED = CHAINS[:2]
FEW = ("as-published", "gpt-4o", "llama-3-70b", "command-r-plus")
SCORED = "clean_prescored.csv"


def records(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def check(folder, name):
    return next((row for row in records(folder / "checks.csv") if row["check"] == name), None)


def result(folder):
    return json.loads((folder / "result.json").read_text(encoding="utf-8"))


def estimate(folder, quantity):
    rows = records(folder / "components.csv")
    return next(float(row["estimate"]) for row in rows if (row["arm"], row["quantity"]) == ("all", quantity))


def few_chains(e2e, place):
    """A reproduction whose result is not final, of four chains: how many there are is looked at elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rctgap.reproduction.CHAINS", FEW)
        out = place / "out"
        return out, e2e.done("reproduce", "raman2026", "--data", place / "files", "--out", out, code=3)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory, e2e):
    """The reproduction from the embedded counts, and what it printed."""
    out = tmp_path_factory.mktemp("embedded") / "out"
    return out, e2e.done("reproduce", "raman2026", "--out", out)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory, e2e):
    """The authors' files at full size."""
    return e2e.Theirs().write(tmp_path_factory.mktemp("theirs") / "files")


@pytest.fixture(scope="module")
def from_files(theirs, tmp_path_factory, e2e):
    out = tmp_path_factory.mktemp("from-files") / "out"
    return out, e2e.done("reproduce", "raman2026", "--data", theirs, "--out", out)


@pytest.fixture(scope="module")
def changed(theirs, tmp_path_factory, e2e):
    """One participant's final answer turned round."""
    place = tmp_path_factory.mktemp("changed")
    shutil.copytree(theirs, place / "files")
    frame = pd.read_csv(place / "files" / SCORED, dtype=str, keep_default_na=False)
    control = frame.index[frame["differential_correct_bot_count"] == ""][0]
    frame.loc[control, "differential_correct"] = {"True": "False", "False": "True"}[
        frame.loc[control, "differential_correct"]
    ]
    frame.to_csv(place / "files" / SCORED, index=False)
    return few_chains(e2e, place)


@pytest.fixture(scope="module")
def subset(tmp_path_factory, e2e):
    """Two hundred answers of two arms."""
    place = tmp_path_factory.mktemp("subset")
    e2e.Theirs(200).write(place / "files")
    return few_chains(e2e, place)


def test_one_folder_a_chain_and_one_report_over_all(embedded):
    out, _ = embedded
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == sorted(CHAINS)
    assert {path.name for path in out.iterdir() if path.is_file()} == {"index.json", "report.html", "report.md"}
    page = (out / "report.html").read_text(encoding="utf-8")
    for chain in CHAINS:
        assert chain in page
        for name in (
            "result.json",
            "components.csv",
            "report.html",
            "card.yaml",
            "manifest.json",
        ):
            assert (out / chain / name).is_file()
        assert list((out / chain / "figures").glob("ladder*.svg"))


def test_every_chain_is_final_and_the_mixed_ones_say_so(embedded):
    out, told = embedded
    for chain in CHAINS:
        assert result(out / chain)["final"] is True
        assert check(out / chain, "same_system")["status"] == ("fail" if chain in MIXED else "pass")
        assert check(out / chain, "declared_margins")["status"] == ("fail" if chain in MIXED else "pass")
        assert check(out / chain, "embedded_counts") is None
        assert re.search(rf"^{re.escape(chain)} +\S", told.stdout, re.MULTILINE)
    assert told.stderr == ""
    assert f"Report: {out / 'report.html'}" in told.stdout


@pytest.mark.parametrize(
    ("chain", "task", "outcome"),
    [("as-published", 30.5, 30.2), ("gpt-4o", 30.8, 29.3), ("llama-3-70b", 35.0, 30.2), ("command-r-plus", 19.2, 39.7)],
)
def test_the_figures_of_the_case_study(chain, task, outcome, embedded):
    out, _ = embedded
    assert 100 * estimate(out / chain, "task") == pytest.approx(task, abs=0.06)
    assert 100 * estimate(out / chain, "outcome") == pytest.approx(outcome, abs=0.06)


def test_the_report_is_rebuilt_the_same(embedded, tmp_path, e2e):
    out, _ = embedded
    shutil.copytree(out, tmp_path / "out")
    before = e2e.tree(tmp_path / "out")
    (tmp_path / "out" / "report.html").unlink()
    (tmp_path / "out" / "gpt-4o" / "report.md").unlink()
    e2e.done("report", tmp_path / "out")
    assert e2e.tree(tmp_path / "out") == before


@pytest.mark.parametrize("chain", CHAINS)
def test_the_authors_files_give_the_same_numbers(chain, embedded, from_files):
    for name in ("components.csv", "stages.csv", "shares.csv", "effects.csv", "assumptions.csv", "attrition.csv"):
        assert (from_files[0] / chain / name).read_bytes() == (embedded[0] / chain / name).read_bytes(), name


@pytest.mark.parametrize("chain", CHAINS)
def test_the_authors_files_agree_with_the_embedded_counts(chain, from_files):
    out, _ = from_files
    found = check(out / chain, "embedded_counts")
    assert found["status"] == "pass"
    assert "pattern by pattern" in found["detail"]
    manifest = json.loads((out / chain / "manifest.json").read_text(encoding="utf-8"))
    assert sum(one["role"] == "authors' file" for one in manifest["inputs"]) == 5


def test_one_changed_flag_is_noticed(changed, embedded):
    out, told = changed
    for chain in FEW:
        found = check(out / chain, "embedded_counts")
        assert found["status"] == "fail"
        assert "trial.csv: 2 patterns differ" in found["detail"]
        assert result(out / chain)["final"] is False
        assert f"{chain} is not final" in told.stderr
        moved = estimate(out / chain, "realized_effect") - estimate(embedded[0] / chain, "realized_effect")
        assert abs(moved) == pytest.approx(1 / 600)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert re.search("not final", page, re.IGNORECASE)


def test_a_subset_works_and_says_what_is_left_out(subset):
    out, told = subset
    kept = ["as-published", "llama-3-70b"]
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == sorted(kept)
    page = (out / "report.html").read_text(encoding="utf-8")
    for chain in FEW:
        if chain in kept:
            assert check(out / chain, "embedded_counts")["status"] == "fail"
            assert result(out / chain)["final"] is False
        else:
            line = next(line for line in told.stdout.splitlines() if line.startswith(f"Left out: {chain}:"))
            assert "no row is in this arm (" in line
            assert chain in page
    assert set(json.loads((out / "index.json").read_text())["skipped"]) == set(FEW) - set(kept)


def test_why_a_chain_is_left_out_names_the_arm(subset):
    _, told = subset
    line = next(line for line in told.stdout.splitlines() if line.startswith("Left out: command-r-plus:"))
    assert "Command R+" in line


@pytest.mark.parametrize("run", ["from_files", "changed", "subset"])
def test_no_text_of_the_files_is_written_or_printed(run, request, e2e, theirs):
    assert e2e.MARK in (theirs / "saved_results.csv").read_text(encoding="utf-8")
    out, told = request.getfixturevalue(run)
    assert e2e.MARK not in told.output
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert e2e.MARK.encode() not in path.read_bytes(), path.name


def test_no_path_and_no_identifier_of_the_files_is_written(from_files, theirs):
    ids = set(pd.read_csv(theirs / SCORED, dtype=str)["id"])
    assert len(ids) == 2400
    for path in from_files[0].rglob("*"):
        if path.suffix in (".csv", ".json", ".md"):
            content = path.read_text(encoding="utf-8")
            assert ids.isdisjoint(re.findall(r"(?<![\d.])\d{6}(?!\d)", content)), path.name
            assert str(theirs) not in content or path.name in ("manifest.json", "report.md")


def test_quiet_and_the_default_folder(tmp_path, e2e, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("rctgap.reproduction.CHAINS", ("llama-3-70b",))
    told = e2e.done("reproduce", "raman2026", "--quiet")
    assert told.output == ""
    assert (tmp_path / "results" / "raman2026" / "llama-3-70b" / "report.html").is_file()
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["raman2026"]


def test_a_crash_in_the_middle_leaves_the_older_folder(embedded, tmp_path, e2e, monkeypatch):
    shutil.copytree(embedded[0], tmp_path / "out")
    before = e2e.tree(tmp_path)
    monkeypatch.setattr("rctgap.reproduction.CHAINS", ("llama-3-70b", "gpt-4o"))

    def broken(analysis):
        if analysis.path.stem == "gpt-4o":
            raise RuntimeError("a crash")
        return run_analysis(analysis)

    monkeypatch.setattr("rctgap.reproduction.run_analysis", broken)
    found = e2e.run("reproduce", "raman2026", "--out", tmp_path / "out")
    assert found.exit_code == 1
    assert e2e.tree(tmp_path) == before
