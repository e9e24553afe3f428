"""Posteriors from a user's seat: `--method`, the keys of `bayesian`, the folder, and what may not be called final."""

import csv
import json
import re
import shutil
from dataclasses import replace

import pytest
import xarray as xr

import rctgap as rg
from rctgap import analysis

OUT = ("decompose", "analysis.yaml", "--out", "out")
SETTINGS = {"model": "bootstrap", "draws": 400, "level": 0.9, "interval": "hdi"}


def records(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def asking(study, **keys):
    study.edit("analysis.yaml", lambda content: content.update(bayesian=SETTINGS | keys, staged={"margin": 0.1}))


@pytest.fixture(scope="module", params=["bayesian", "both"])
def made(request, tmp_path_factory, e2e):
    """The result folder of either method, made once."""
    folder = tmp_path_factory.mktemp(request.param)
    study = e2e.Study(folder / "study")
    asking(study)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.folder)
        told = e2e.done(*OUT, "--method", request.param)
    return request.param, study / "out", told


def test_the_method_decides_which_rows_there_are(made):
    method, folder, _ = made
    methods = {row["method"] for row in records(folder / "components.csv")}
    assert methods == ({"bayesian"} if method == "bayesian" else {"bayesian", "frequentist"})
    settings = json.loads((folder / "result.json").read_text())["settings"]
    assert settings["method"] == ("bayesian" if method == "bayesian" else "frequentist")


def test_the_posterior_is_as_the_keys_say(made):
    _, folder, _ = made
    rows = [row for row in records(folder / "components.csv") if row["method"] == "bayesian"]
    assert {row["level"] for row in rows} == {"0.9"}
    assert {row["interval"] for row in rows} == {"hdi", ""}
    assert {(row["covariance"], row["small_sample"], row["df"]) for row in rows} == {("", "", "")}
    drawn = records(folder / "posterior.csv")
    assert {row["margin"] for row in drawn if row["kind"] == "component"} == {"0.1"}
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["sampler"]["draws"], manifest["sampler"]["seed"]) == (400, 1)
    assert manifest["analysis"]["bayesian"]["interval"] == "hdi"


def test_rows_have_one_key_each(made):
    _, folder, _ = made
    names = ("arm", "quantity", "method", "estimator", "covariance", "items", "item_weights", "scores")
    keys = [tuple(row[name] for name in names) for row in records(folder / "components.csv")]
    assert len(keys) == len(set(keys))
    drawn = [
        tuple(row[name] for name in ("arm", "kind", "quantity", "items", "item_weights"))
        for row in records(folder / "posterior.csv")
    ]
    assert len(drawn) == len(set(drawn))


def test_the_folder_reads_back_into_an_equal_result_and_report(made, tmp_path, e2e, monkeypatch):
    _, folder, _ = made
    shutil.copytree(folder, tmp_path / "out")
    before = e2e.tree(tmp_path / "out")
    assert rg.load(tmp_path / "out") == rg.load(folder)
    monkeypatch.chdir(tmp_path)
    e2e.done("report", "out")
    assert e2e.tree(tmp_path / "out") == before


def test_arviz_readers_open_the_draws(made):
    _, folder, _ = made
    with xr.open_datatree(folder / "posterior.nc", engine="h5netcdf") as tree:
        assert dict(tree["posterior"].sizes)["draw"] == 400
        ids = json.loads(tree.attrs["assumption_ids"])
    assert ids["all"]["decision"] == ["outcome.decision_mediation"]


def test_no_participant_is_in_the_draws(made, e2e):
    _, folder, _ = made
    for path in folder.rglob("*"):
        if path.is_file():
            assert e2e.PERSON.encode() not in path.read_bytes()


@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_report_over_damaged_draws_is_refused(harm, made, tmp_path, e2e, monkeypatch):
    _, folder, _ = made
    shutil.copytree(folder, tmp_path / "out")
    path = tmp_path / "out" / "posterior.nc"
    path.unlink() if harm == "gone" else path.write_bytes(path.read_bytes()[:-1])
    monkeypatch.chdir(tmp_path)
    told = e2e.run("report", "out")
    assert told.exit_code == 2
    assert "posterior.nc" in told.stderr
    assert "Run the analysis again" in told.stderr


def test_the_same_seed_gives_the_same_folder(study, e2e):
    asking(study)
    e2e.done(*OUT, "--method", "both")
    first = e2e.tree(study / "out")
    e2e.done(*OUT, "--method", "both")
    assert e2e.tree(study / "out") == first


REFUSED = {
    "model": ({"model": "bootstrp"}, ("bayesian.model", "'bootstrap'")),
    "interval": ({"interval": "hpd"}, ("bayesian.interval", "hdi")),
    "unknown key": ({"draw": 10}, ("bayesian.draw", "draws")),
    "level": ({"level": 1.5}, ("bayesian.level",)),
    "draws": ({"draws": 20}, ("bayesian.draws", "100 or more")),
    "chains": ({"chains": 4}, ("bayesian.chains", "no chains")),
    "priors": ({"priors": {"item_sd": 1.0}}, ("bayesian.priors", "no prior")),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("command", [("validate", "analysis.yaml"), (*OUT, "--method", "bayesian")])
def test_settings_that_make_no_sense_are_refused_before_anything_is_drawn(case, command, study, e2e, monkeypatch):
    def drawn(*_):
        raise AssertionError("drawn")

    monkeypatch.setattr(analysis, "estimate_by_plan", drawn)
    keys, words = REFUSED[case]
    asking(study, **keys)
    told = e2e.run(*command)
    assert told.exit_code == 2
    assert all(word in told.stderr for word in words), told.stderr
    assert not (study / "out").exists()


def test_validate_draws_nothing(study, e2e, monkeypatch):
    def drawn(*_):
        raise AssertionError("drawn")

    monkeypatch.setattr(analysis, "estimate_by_plan", drawn)
    asking(study)
    assert "no fault found" in e2e.done("validate", "analysis.yaml").stdout


@pytest.fixture
def stuck(monkeypatch):
    """A posterior that says it came from one short chain, with divergences."""
    real = analysis.estimate_by_plan

    def estimate(*given):
        estimates = real(*given)
        posterior = estimates.posterior
        made = replace(posterior.sampling, sampler="pymc", independent=False, divergences=3)
        return replace(estimates, posterior=replace(posterior, independent=False, sampling=made))

    monkeypatch.setattr(analysis, "estimate_by_plan", estimate)


@pytest.mark.usefixtures("stuck")
@pytest.mark.parametrize("method", ["bayesian", "both"])
def test_chains_that_did_not_converge_are_written_and_not_final(method, study, e2e):
    asking(study)
    told = e2e.done(*OUT, "--method", method, code=3)
    assert "out is not final; checks that forbid it: convergence." in told.stderr
    assert json.loads((study / "out" / "result.json").read_text())["final"] is False
    check = next(row for row in records(study / "out" / "checks.csv") if row["check"] == "convergence")
    assert check["status"] == "fail"
    assert "3 divergences" in check["detail"]
    assert re.search(r"not final", (study / "out" / "report.html").read_text(encoding="utf-8"), re.IGNORECASE)


@pytest.mark.usefixtures("stuck")
def test_consent_keeps_the_failed_check_and_calls_it_final(study, e2e):
    asking(study)
    e2e.done(*OUT, "--method", "bayesian", "--allow-unconverged")
    loaded = rg.load(study / "out")
    assert loaded.final
    check = next(one for one in loaded.checks if one.check == "convergence")
    assert check.status == "fail"
    assert "--allow-unconverged" in check.detail
