"""posterior.nc and the tables of a posterior: written, read back, hidden where cells are small."""

import json
from dataclasses import replace

import arviz_base
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rctgap as rg
from rctgap.errors import OutputError
from rctgap.estimands import MomentKey
from rctgap.estimates import Sampling
from rctgap.posterior_quantities import draws_of
from rctgap.records import FitRow, PredictiveRow, PriorRow
from rctgap.suppression import raw_data_may_be_shown, suppressed

ARMS = rg.Design("control", ["a1", "a2"])
FIXED = rg.Estimand("fixed")


def decomposed(scores, *, suppress_below=0, draws=300, **carried):
    """A decomposition whose posterior carries what a model would add."""
    estimates = rg.estimate_bayesian(scores, FIXED, model="bootstrap", draws=draws, seed=4)
    estimates = replace(estimates, posterior=replace(estimates.posterior, **carried))
    result = rg.decompose(estimates, FIXED, title="a trial")
    return replace(result, settings=replace(result.settings, suppress_below=suppress_below))


@pytest.fixture(scope="module")
def scores(study):
    frame = study.simulated(people=60, arms=("a1", "a2", "control"), answers=1, seed=2)
    return study.scored(frame, study.benchmark(("a1", "a2")), ARMS)


@pytest.fixture(scope="module")
def model(scores):
    """What a sampled model adds to a posterior."""
    draw = np.random.default_rng(0)
    moments = len(rg.estimate_frequentist(scores, FIXED).statistics.moments)
    made = Sampling("pymc", (("pymc", "6.4.0"),), 1, 300, 500, 4, False, 0.9, 0, 0.8, 0)
    groups = {
        "sample_stats": xr.Dataset({"diverging": (("chain", "draw"), np.zeros((1, 300), dtype=bool))}),
        "posterior": xr.Dataset({"item_sd": (("chain", "draw"), draw.random((1, 300)))}),
        "observed_data": xr.Dataset({"right": (("cell",), np.arange(4))}),
    }
    return {
        "independent": False,
        "sampling": made,
        "prior": draw.random((200, moments)),
        "log_prior": draw.normal(size=(1, 300)),
        "groups": groups,
        "priors": (PriorRow("item_sd", 1.0, 1.0, "half-normal", "spread of items on the logit scale"),),
        "predictive": (PredictiveRow("a1", "decision", "s1", 20, 0.4, 0.41, 0.3, 0.5, 0.6),),
        "fits": (FitRow("full", -120.5, 4.0, 9.0, 0.0, None, "answers", 0),),
    }


@pytest.fixture(scope="module")
def result(scores, model):
    return decomposed(scores, **model)


@pytest.fixture
def folder(result, tmp_path):
    return rg.save(result, tmp_path / "out")


def test_a_result_with_a_posterior_loads_as_it_was_saved(result, folder):
    loaded = rg.load(folder)
    assert loaded == rg.load(folder)
    assert replace(loaded, checks=()) == replace(result, checks=())
    assert loaded.sampling == result.sampling
    assert (loaded.priors, loaded.fits, len(loaded.predictive)) == (result.priors, result.fits, 1)


def test_saving_a_loaded_posterior_changes_no_byte(folder, tmp_path):
    again = rg.save(rg.load(folder), tmp_path / "again")
    names = sorted(path.name for path in folder.iterdir())
    assert {"posterior.nc", "posterior.csv", "priors.csv", "predictive.csv", "fits.csv"} <= set(names)
    assert names == sorted(path.name for path in again.iterdir())
    assert all((folder / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_the_same_seed_writes_the_same_bytes(scores, folder, model, tmp_path):
    again = rg.save(decomposed(scores, **model), tmp_path / "again")
    assert all((folder / path.name).read_bytes() == path.read_bytes() for path in again.iterdir())


def test_the_file_holds_the_draws_by_name(result, folder):
    tree = rg.read_posterior(folder)
    group = tree["posterior"]
    steps = {
        "own_query": ("benchmark", "own_query"),
        "conversation": ("own_query", "conversation"),
        "decision": ("conversation", "decision"),
    }
    for arm in ("a1", "a2"):
        mean = {name: draws_of(result.bayesian, {MomentKey(arm, name): 1.0}) for name in ("benchmark", *steps)}
        for name, values in mean.items():
            assert np.array_equal(group["stage_mean"].sel(arm=arm, stage=name), values)
        for to, (start, end) in steps.items():
            assert group["component"].sel(arm=arm, transition=to).to_numpy() == pytest.approx(mean[start] - mean[end])
        gap = group["component"].sel(arm=arm).sum("transition")
        assert group["gap"].sel(arm=arm).to_numpy() == pytest.approx(gap.to_numpy())
        assert group["family_gap"].sel(arm=arm).sum("family").to_numpy() == pytest.approx(gap.to_numpy())
        control = group["control_mean"].to_numpy()
        effect = group["effect"].sel(arm=arm, effect_of="realized_effect").to_numpy()
        assert effect == pytest.approx(mean["decision"] - control)
    pooled = group["gap"].sel(arm=["a1", "a2"]).mean("arm")
    assert group["gap"].sel(arm="all").to_numpy() == pytest.approx(pooled.to_numpy())
    task, outcome = (group["family_gap"].sel(family=name) for name in ("task", "outcome"))
    assert group["task_minus_outcome"].to_numpy() == pytest.approx((task - outcome).to_numpy())


def test_the_file_says_what_it_is(result, folder):
    tree = rg.read_posterior(folder)
    found = tree.attrs
    assert found["estimand"] == "items fixed, item weights observed, arm weights equal"
    assert (found["sampler"], found["seed"], found["divergences"]) == ("pymc", 4, 0)
    assert json.loads(found["versions"]) == {"pymc": "6.4.0"}
    ids = json.loads(found["assumption_ids"])
    assert ids["a1"]["conversation"] == result.row("conversation", "a1").assumption_ids.split(";")
    assert set(tree.children) == {"posterior", "prior", "sample_stats", "log_prior", "observed_data"}
    assert tree["prior"].sizes["draw"] == 200
    assert "item_sd" in tree["posterior"]


def test_plain_readers_open_it(folder):
    with xr.open_datatree(folder / "posterior.nc", engine="h5netcdf") as tree:
        found = arviz_base.extract(tree, var_names="gap")
    assert found.sizes["sample"] == 300


def test_the_manifest_names_the_sampler(folder):
    assert json.loads((folder / "manifest.json").read_text())["sampler"]["sampler"] == "pymc"


def test_means_in_the_file_are_those_of_the_table(folder):
    rows = pd.read_csv(folder / "posterior.csv").query("items == 'fixed' and item_weights == 'observed'")
    group = rg.read_posterior(folder)["posterior"]
    for row in rows.query("kind == 'component'").itertuples():
        drawn = group["component"].sel(arm=row.arm, transition=row.quantity)
        assert float(drawn.mean()) == pytest.approx(row.mean, abs=1e-12)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def altered(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "gone": (lambda path: path.unlink(), "the result's draws are missing"),
    "cut": (cut, "damaged or is not of this result"),
    "altered": (altered, "damaged or is not of this result"),
    "empty": (lambda path: path.write_bytes(b""), "damaged or is not of this result"),
}


@pytest.mark.parametrize("case", DAMAGES)
@pytest.mark.parametrize("read", [rg.load, rg.read_posterior])
def test_a_missing_or_damaged_file_is_one_clear_error(case, read, folder):
    harm, message = DAMAGES[case]
    harm(folder / "posterior.nc")
    with pytest.raises(OutputError, match=message) as found:
        read(folder)
    assert len(found.value.faults) == 1
    assert "posterior.nc" in str(found.value)


def test_a_result_without_a_posterior_has_no_file_and_says_so(study, tmp_path):
    plain = study.decomposed(study.simulated(), study.benchmark())
    rg.save(plain, tmp_path / "out")
    assert not {"posterior.nc", "posterior.csv", "priors.csv"} & {path.name for path in (tmp_path / "out").iterdir()}
    assert rg.load(tmp_path / "out").draws is None
    with pytest.raises(OutputError, match="this result holds no posterior"):
        rg.read_posterior(tmp_path / "out")


def test_a_folder_with_a_posterior_is_ours_to_replace(folder, study):
    rg.save(study.decomposed(study.simulated(), study.benchmark()), folder)
    assert not (folder / "posterior.nc").exists()


@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")
def test_a_posterior_shown_beside_is_written_too(scores, result, model, tmp_path):
    estimates = replace(result.bayesian, posterior=replace(result.bayesian.posterior, **model))
    both = rg.decompose(rg.estimate_frequentist(scores, FIXED), FIXED, title="a trial", beside=[estimates])
    rg.save(replace(both, settings=replace(both.settings, suppress_below=0)), tmp_path / "out")
    loaded = rg.load(tmp_path / "out")
    assert loaded.posterior == result.posterior
    assert loaded.settings.method == "frequentist"
    assert float(loaded.draws["posterior"]["gap"].sel(arm="a1").mean()) == pytest.approx(
        next(row.mean for row in loaded.posterior if (row.arm, row.quantity) == ("a1", "gap"))
    )


# ---------------------------------------------------------------- small cells


def small(study, name="conversation", right=3, people=60):
    frame = study.simulated(people=people, arms=("a1", "a2", "control"), answers=1, seed=2)
    rows = frame.index[frame["arm"] == "a1"]
    frame[name] = frame[name].astype(float)
    frame.loc[rows, name] = [1.0] * right + [0.0] * (people - right)
    return study.scored(frame, study.benchmark(("a1", "a2")), ARMS)


def test_draws_of_a_hidden_stage_are_in_no_variable(study, model, tmp_path):
    result = decomposed(small(study), suppress_below=5, **model)
    rg.save(result, tmp_path / "out")
    tree = rg.read_posterior(tmp_path / "out")
    for group in (tree["posterior"], tree["prior"]):
        for arm in ("a1", "all"):
            assert np.isnan(group["component"].sel(arm=arm, transition=["conversation", "decision"])).all()
            assert np.isnan(group["stage_mean"].sel(arm=arm, stage="conversation")).all()
            assert np.isnan(group["task_minus_outcome"].sel(arm=arm)).all()
            assert np.isnan(group["conditional"].sel(arm=arm)).all()
        assert np.isfinite(group["component"].sel(arm="a2")).all()
        assert np.isfinite(group["stage_mean"].sel(arm="a1", stage="decision")).all()
    assert set(tree.children) == {"posterior", "prior", "sample_stats", "log_prior"}
    assert "item_sd" not in tree["posterior"]
    assert tree.attrs["groups_left_out"].startswith("observed_data, posterior: left out")
    table = pd.read_csv(tmp_path / "out" / "posterior.csv")
    gone = table.query("arm in ('a1', 'all') and quantity == 'conversation'")
    assert len(gone) == 16
    assert gone[["mean", "median", "std_dev", "lower", "upper", "prob_positive", "r_hat"]].isna().all(axis=None)
    assert rg.load(tmp_path / "out") == suppressed(result)


def test_an_open_result_keeps_the_models_own_groups(study, model):
    open_scores = study.scored(
        study.simulated(people=40, arms=("a1", "a2", "control"), answers=1), study.benchmark(("a1", "a2")), ARMS
    )
    assert not raw_data_may_be_shown(decomposed(open_scores, suppress_below=5, draws=100))
    assert raw_data_may_be_shown(decomposed(open_scores, suppress_below=0, draws=100))


def cells(scores):
    """Every cell of arm, item and stage, and every arm and stage, as a model would give them."""
    found = []
    frame = scores.answers
    for arm in ("a1", "a2", "control"):
        for stage in ("benchmark", "own_query", "conversation", "decision"):
            values = frame.loc[frame["arm"] == arm]
            for item in ("", "s1", "s2", "s3"):
                mine = values if not item else values[values["item"] == item]
                n = 12 if stage == "benchmark" else int(mine[stage].notna().sum())
                found.append(PredictiveRow(arm, stage, item, n, 0.5, 0.5, 0.4, 0.6, 0.5))
    return tuple(found)


def shown(scores, limit=5):
    result = replace(decomposed(scores, suppress_below=limit, draws=100), predictive=cells(scores))
    return {(row.arm, row.stage, row.item): row for row in suppressed(result).predictive}


def test_a_small_cell_hides_its_arms_other_items_at_that_stage(study):
    """Conversation of a1: 20 right on item s1's answers but 2, so neither it nor its complement may be shown."""
    frame = study.simulated(people=60, arms=("a1", "a2", "control"), answers=1, seed=2)
    frame.loc[:, "decision"] = (np.arange(len(frame)) // 3 % 2).astype(float)
    frame.loc[frame["arm"] != "control", "own_query"] = frame["decision"]
    frame.loc[frame["arm"] != "control", "conversation"] = frame["decision"]
    one = frame.index[(frame["arm"] == "a1") & (frame["item"] == "s1")]
    frame.loc[one, "conversation"] = [0.0, 0.0] + [1.0] * (len(one) - 2)
    rows = shown(study.scored(frame, study.benchmark(("a1", "a2")), ARMS))
    for item in ("s1", "s2", "s3"):
        hidden = rows["a1", "conversation", item]
        assert [hidden.n, hidden.observed, hidden.predicted, hidden.lower, hidden.upper, hidden.p_value] == [None] * 6
        assert "fewer than 5" in hidden.note
        assert rows["a1", "decision", item].observed == 0.5
        assert rows["a2", "conversation", item].observed == 0.5
        assert rows["a1", "benchmark", item].n == 12
    assert rows["a1", "conversation", ""].observed == 0.5


def test_a_hidden_stage_hides_its_predictive_row(study):
    rows = shown(small(study))
    assert rows["a1", "conversation", ""].observed is None
    assert rows["a2", "conversation", ""].observed is not None


def test_few_unscored_answers_of_an_item_hide_the_sizes_of_the_arms_items(study):
    frame = study.simulated(people=60, arms=("a1", "a2", "control"), answers=1, seed=2)
    right = (np.arange(len(frame)) // 3 % 2).astype(float)
    for name in ("own_query", "conversation", "decision"):
        frame[name] = frame[name].where(frame[name].isna(), right)
    lost = frame.index[(frame["arm"] == "a1") & (frame["item"] == "s2")][:2]
    frame.loc[lost, "own_query"] = np.nan
    rows = shown(study.scored(frame, study.benchmark(("a1", "a2")), ARMS))
    for stage in ("own_query", "conversation", "decision"):
        assert [rows["a1", stage, item].n for item in ("s1", "s2", "s3")] == [None] * 3
        assert rows["a1", stage, "s1"].observed == 0.5
    assert rows["a1", "own_query", ""].n is None
    assert rows["a2", "own_query", "s1"].n == 20
