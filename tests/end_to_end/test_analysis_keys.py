"""Keys of analysis.yaml that choose intervals, tests, covariates and strata, from the file to the result."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

import rctgap as rg
from rctgap.analysis import run_analysis
from rctgap.cli import main
from rctgap.inputs import read_analysis, read_inputs
from rctgap.simulate import SimulationPlan
from rctgap.simulated_folder import write_simulation

PLAN = SimulationPlan(participants=40, items=5, runs=6, means={**SimulationPlan().means, "benchmark": 0.8})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A simulated trial with a site and an age that foretell decisions, and some who never wrote."""
    place = tmp_path_factory.mktemp("keys") / "trial"
    write_simulation(PLAN, 5, place)
    trial = pd.read_csv(place / "trial.csv")
    number = trial["participant"].str.rpartition("-")[2].astype(int)
    decided = trial.groupby("participant")["decision"].transform("mean")
    trial = trial.assign(site=np.where(decided > 0, "north", "south"), age=40 + 15 * decided + number % 7, used=1)
    idle = (trial["arm"] == "a1") & (number < 5)
    trial.loc[idle, ["own_query", "conversation"]] = np.nan
    trial.loc[idle | (trial["arm"] == "control"), "used"] = 0
    trial.to_csv(place / "trial.csv", index=False)
    dictionary = yaml.safe_load((place / "dictionary.yaml").read_text())
    dictionary["tables"]["trial"]["fields"] += [
        {"name": "site", "type": "string", "role": "stratum"},
        {"name": "age", "type": "number"},
        {"name": "used", "type": "integer", "role": "used", "constraints": {"minimum": 0, "maximum": 1}},
    ]
    (place / "dictionary.yaml").write_text(yaml.safe_dump(dictionary))
    return place


@pytest.fixture
def written(folder):
    """Write the analysis with other keys; path of the file."""
    base = yaml.safe_load((folder / "analysis.yaml").read_text())
    base["estimand"] |= {"item_weights": "observed", "non_users": "zero"}

    def write(items="fixed", **keys):
        place = folder / "keys.yaml"
        estimand = base["estimand"] | {"items": items}
        place.write_text(yaml.safe_dump(base | {"estimand": estimand} | keys))
        return place

    return write


@pytest.fixture(scope="module")
def run():
    """The result of an analysis file, made once for each content."""
    made = {}

    def result_of(place):
        text = place.read_text()
        if text not in made:
            made[text] = run_analysis(place)
        return made[text]

    return result_of


@pytest.mark.parametrize(
    ("style", "kinds"), [("t", {"t"}), ("few-items", {"t", "population"}), ("bounded", {"betting"})]
)
def test_intervals_over_items_are_as_chosen(written, run, style, kinds):
    result = run(written("random", frequentist={"intervals": style}))
    row = result.row("gap")
    assert row.interval in kinds
    assert row.estimator == ("plug-in" if style == "t" else f"plug-in, {style}")
    assert {one.estimator for one in result.alternatives} == {
        "plug-in" if other == "t" else f"plug-in, {other}" for other in ("t", "few-items", "bounded") if other != style
    }


BOOTSTRAP = {"replicates": 150, "interval": "percentile", "weights": "bayesian"}


@pytest.mark.parametrize(("items", "kind"), [("fixed", "participant"), ("random", "item"), ("random", "crossed")])
def test_a_bootstrap_stands_beside_and_is_the_functions_own(written, run, items, kind):
    place = written(items, frequentist={"bootstrap": BOOTSTRAP | {"kind": kind}}, design={"strata": ["site"]})
    result = run(place)
    found = {(row.arm, row.quantity): row for row in result.alternatives if "bootstrap" in row.estimator}
    read = read_inputs(read_analysis(place))
    estimates = rg.estimate_frequentist(read.scores, read.estimand)
    drawn = rg.bootstrapped(estimates, kind=kind, replicates=150, interval="percentile", weights="bayesian", seed=5)
    from rctgap.rows import component_rows  # noqa: PLC0415 - this test alone

    for row in component_rows(drawn):
        assert found[row.arm, row.quantity] == row
    assert found["a1", "gap"].interval == "percentile"
    assert any(f"Bootstrap by {kind}, 150 replicates, bayesian weights, seed 5." in note for note in result.notes)


EVERYTHING = {
    "covariates": ["age"],
    "design": {"strata": ["site"]},
    "frequentist": {
        "adjustment": "linear",
        "bootstrap": {"replicates": 130},
        "wild": {"weights": "webb", "replicates": 120},
        "randomisation": {"studentised": False, "replicates": 140},
        "complier_effects": True,
        "level": 0.9,
    },
}


def test_all_keys_together_and_the_same_seed_gives_the_same_result(written, run):
    place = written("fixed", **EVERYTHING)
    seen = []

    def told(batches):
        for batch in batches:
            seen.append(len(batch))
            yield batch

    result = run(place)
    with ThreadPoolExecutor(2) as threads:
        assert run_analysis(place, executor=threads, progress=told) == result
    assert sum(seen) == 130
    other = run(written("fixed", **EVERYTHING, seed=6))
    assert other.components == result.components
    assert other.alternatives != result.alternatives
    assert [row.p_value for row in other.tests] != [row.p_value for row in result.tests]
    assert {row.level for row in (*result.components, *result.alternatives, *result.tests)} == {0.9}
    assert {row.estimator for row in result.components} == {"lin", "lin, few-items"}


def test_tests_asked_for_stand_behind_those_always_made(written, run):
    plain, more = run(written()), run(written("fixed", **EVERYTHING))
    methods = [row.method for row in more.tests]
    assert {row.method for row in plain.tests} == {"wald"}
    assert methods.index("wild cluster bootstrap, webb") == len(plain.tests)
    assert methods[-1] == "randomisation"
    assert {row.replicates for row in more.tests if row.method == "randomisation"} == {140}
    assert {row.replicates for row in more.tests if row.method.startswith("wild")} == {120}


def test_complier_effects_are_made_on_request_alone(written, run):
    asked = run(written("fixed", **EVERYTHING))
    rows = [row for row in asked.effects if row.quantity == "complier_effect"]
    assert {row.arm for row in rows} >= {"a1"}
    plain = run(written())
    realized = plain.row("realized_effect", "a1").estimate  # the instrument takes no covariates
    assert rows[0].estimate == pytest.approx(realized / (35 / 40))
    assert not [row for row in plain.effects if row.quantity == "complier_effect"]


@pytest.mark.parametrize(("adjustment", "name"), [(None, "lin"), ("logistic", "g-computation"), ("none", "plug-in")])
def test_covariates_adjust_as_chosen(written, run, adjustment, name):
    frequentist = {} if adjustment is None else {"adjustment": adjustment}
    result = run(written(covariates=["age"], frequentist=frequentist))
    assert result.row("decision").estimator == name
    plain = run(written()).row("realized_effect")
    narrower = result.row("realized_effect").std_error < plain.std_error
    assert narrower is (adjustment != "none")


def test_strata_reach_the_randomisation_test(written, run):
    frequentist = {"randomisation": {"replicates": 300}}
    plain, within = (
        [row for row in run(written(frequentist=frequentist, **keys)).tests if row.method.startswith("random")]
        for keys in ({}, {"design": {"strata": ["site"]}})
    )
    assert abs(plain[0].p_value - within[0].p_value) > 0.05
    assert plain[0].reference == within[0].reference == "80 units"


UNFIT = {
    "few-items with items fixed": (
        {"frequentist": {"intervals": "few-items"}},
        "intervals 'few-items' make no sense with items 'fixed'. With items fixed use t",
    ),
    "a bootstrap by participant with items random": (
        {"items": "random", "frequentist": {"bootstrap": {"kind": "participant"}}},
        "a bootstrap by participant makes no sense with items random. Use item or crossed",
    ),
    "a covariate that is no column": (
        {"covariates": ["agee"]},
        "a covariate names no column of the trial. Did you mean 'age'?",
    ),
    "randomisation with crossover": (
        {"design": {"crossover": True}, "frequentist": {"randomisation": {"replicates": 100}}},
        "participants of a crossover design take several arms",
    ),
    "a working model without covariates": (
        {"frequentist": {"adjustment": "linear"}},
        "the answers carry no covariate to adjust for",
    ),
    "a stratum that is no column": ({"design": {"strata": ["sit"]}}, "a stratum names no column of the trial"),
    "too few replicates": ({"frequentist": {"bootstrap": {"replicates": 5}}}, "frequentist.bootstrap.replicates"),
    "a covariate named twice": ({"covariates": ["age", "age"]}, "a covariate is listed twice. Name each once"),
    "a switch where keys are wanted": ({"frequentist": {"wild": True}}, "It should be a mapping of keys to values"),
    "an unknown way of making intervals": ({"frequentist": {"intervals": "few"}}, "frequentist.intervals"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_unfit_choices_exit_2_with_one_message(written, tmp_path, case):
    keys, said = UNFIT[case]
    place = written(**keys)
    told = CliRunner().invoke(main, ["decompose", str(place), "--out", str(tmp_path / "out")])
    assert told.exit_code == 2, told.output
    assert said in told.output
    assert str(place) in told.output or "trial.csv" in told.output
    assert "Traceback" not in told.output
    assert len(told.output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_end_at_infinity_is_written_empty_with_the_reason(written, tmp_path):
    """Five items have 32 sign vectors: no p-value falls below 2/32, so no value is rejected at 95 %."""
    place = written("random", frequentist={"wild": {}})
    told = CliRunner().invoke(main, ["decompose", str(place), "--out", str(tmp_path / "out"), "--quiet"])
    assert told.exit_code == 0, told.output
    tests = pd.read_csv(tmp_path / "out" / "tests.csv")
    wild = tests[tests["method"].str.startswith("wild")]
    assert wild["lower"].isna().all()
    assert wild["upper"].isna().all()
    assert wild["note"].str.contains("an end left empty is infinite").all()


def test_the_level_of_a_covariate_is_never_printed(written, folder, tmp_path):
    """One answer of a place of its own has no score, so weighting is refused; the note names the column alone."""
    trial = pd.read_csv(folder / "trial.csv")
    mine = trial.index[(trial["arm"] == "a1") & (trial["used"] == 1)][0]
    clinic = trial.assign(place=np.where(trial.index == mine, "HIV-clinic", np.where(trial.index % 2, "x", "y")))
    clinic.loc[mine, "conversation"] = np.nan
    kept = (folder / "trial.csv").read_bytes(), (folder / "dictionary.yaml").read_text()
    try:
        clinic.to_csv(folder / "trial.csv", index=False)
        dictionary = yaml.safe_load(kept[1])
        dictionary["tables"]["trial"]["fields"].append({"name": "place", "type": "string", "sensitive": True})
        (folder / "dictionary.yaml").write_text(yaml.safe_dump(dictionary))
        place = written(covariates=["place"], frequentist={"adjustment": "none"}, suppress_below=0)
        told = CliRunner().invoke(main, ["decompose", str(place), "--out", str(tmp_path / "out")])
    finally:
        (folder / "trial.csv").write_bytes(kept[0])
        (folder / "dictionary.yaml").write_text(kept[1])
    assert told.exit_code == 0, told.output
    missing = pd.read_csv(tmp_path / "out" / "missing.csv")
    assert missing["note"].str.contains("one of the levels of place").any()
    for path in (tmp_path / "out").rglob("*.*"):
        assert b"HIV-clinic" not in path.read_bytes(), path
