"""The joint model from a user's seat: sampled, compared with smaller models, written, read back, said of its chains."""

import csv

import pytest
import xarray as xr

import rctgap as rg

SETTINGS = {"draws": 100, "tune": 200, "chains": 2}
ASKED = ("decompose", "analysis.yaml", "--out", "out", "--method", "both")


def records(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def made(tmp_path_factory, e2e):
    """A run too short for the gates, with consent to use it all the same."""
    study = e2e.Study(tmp_path_factory.mktemp("sampled") / "study")
    study.edit("analysis.yaml", lambda content: content.update(bayesian=SETTINGS, suppress_below=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(study.folder)
        refused = e2e.done(*ASKED, code=3)
        final = rg.load(study / "out").final
        first = e2e.tree(study / "out")
        study.edit("analysis.yaml", lambda content: content["bayesian"].update(compare=True))
        e2e.done(*ASKED, "--allow-unconverged")
    return study, refused, final, first


def test_chains_too_short_are_said_so_and_consent_is_kept(made):
    study, refused, final, _ = made
    assert "out is not final; checks that forbid it: convergence." in refused.stderr
    assert not final
    loaded = rg.load(study / "out")
    assert loaded.final
    check = next(one for one in loaded.checks if one.check == "convergence")
    assert check.status == "fail"
    assert "effective" in check.detail


def test_a_second_run_draws_the_same(made, e2e):
    study, _, _, first = made
    second = e2e.tree(study / "out")
    for name in ("components.csv", "posterior.csv", "predictive.csv"):
        assert second[name] == first[name], name


def test_nested_models_are_compared(made):
    rows = records(made[0] / "out" / "fits.csv")
    assert {row["model"] for row in rows} == {
        "full model",
        "item effects independent between stages",
        "no participant effects",
    }
    assert {row["units"] for row in rows} == {"participants and runs"}
    assert float(rows[0]["difference"]) == 0.0
    assert all(float(row["difference"]) <= 0 and float(row["p_loo"]) > 0 for row in rows)


def test_the_posterior_agrees_with_the_frequentist_components(made):
    rows = [row for row in records(made[0] / "out" / "components.csv") if row["items"] == "fixed" and row["estimate"]]
    found = {}
    for row in rows:
        found.setdefault((row["arm"], row["quantity"], row["item_weights"]), {})[row["method"]] = row
    steps = [pair for (arm, name, _), pair in found.items() if name in ("own_query", "conversation", "decision", "gap")]
    assert len(steps) >= 8
    for pair in steps:
        gap = abs(float(pair["bayesian"]["estimate"]) - float(pair["frequentist"]["estimate"]))
        assert gap < 0.75 * float(pair["frequentist"]["std_error"])


def test_the_report_is_written_again_from_the_folder(made, e2e, monkeypatch):
    study = made[0]
    before = e2e.tree(study / "out")
    monkeypatch.chdir(study.folder)
    e2e.done("report", "out")
    assert e2e.tree(study / "out") == before


def test_the_draws_have_every_group_and_no_participant(made, e2e):
    with xr.open_datatree(made[0] / "out" / "posterior.nc", engine="h5netcdf") as tree:
        groups = set(tree.children)
        assert dict(tree["posterior"].sizes)["chain"] == 2
    assert groups >= {"posterior", "prior", "posterior_predictive", "log_likelihood", "sample_stats", "observed_data"}
    assert e2e.PERSON.encode() not in (made[0] / "out" / "posterior.nc").read_bytes()
