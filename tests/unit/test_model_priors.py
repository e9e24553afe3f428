"""Priors of the hierarchical model: drawn as stated, dense as PyMC says, and refused where they make no sense."""

from dataclasses import replace

import numpy as np
import pymc as pm
import pytest
from scipy import stats

import rctgap as rg
from rctgap.bayesian import BayesianPlan, check_plan
from rctgap.errors import AnalysisError, EstimationError, RctgapError
from rctgap.model_data import model_data
from rctgap.models import sampling
from rctgap.models.design import ATTENUATION, coefficients, contrasts_to_zero
from rctgap.models.hierarchical import build, data_of
from rctgap.models.likelihood import log_prior
from rctgap.models.parameters import lkj, prior_draws
from rctgap.models.priors import Priors
from rctgap.models.sampling import Options, sample

pytestmark = pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS:UserWarning")

ODD = Priors(
    stage_mean_sd=1.3,
    item_sd=0.7,
    item_correlation=3.0,
    arm_sd=0.4,
    carry_sd=1.1,
    state_sd=0.9,
    participant_sd=0.6,
    threshold_gap=1.7,
    precision_centre=8.0,
    precision_log_sd=0.5,
    residual_sd=0.3,
)
SIZE = 40_000


@pytest.fixture(scope="module")
def structure(study):
    """Every kind of parameter: tied participants, arms, non-users, rows without items, four scales."""
    frame = study.simulated(people=12, arms=("a1", "a2", "control"), seed=4)
    where = np.arange(len(frame))
    people = frame.loc[frame["arm"] != "control", "participant"].unique()[::4]
    idle = frame["participant"].isin(people)
    frame["own_query"] = frame["own_query"].where(frame["own_query"].isna(), 0.1 + where % 8 / 10)
    frame["conversation"] = frame["conversation"].where(frame["conversation"].isna(), 0.2 + where % 6 / 10)
    frame["decision"] = np.array([0.0, 0.3, 0.8, 1.0])[where % 4]
    frame.loc[idle, ["own_query", "conversation"]] = np.nan
    frame = frame.assign(used=~idle, item=frame["item"].where(where % 7 > 0, None))
    scores = study.scored(frame, study.benchmark(("a1", "a2")), rg.Design("control", ["a1", "a2"]))
    scales = {"own_query": "bounded", "conversation": "unbounded", "decision": "ordinal"}
    return model_data(replace(scores, scales=scales)).structure


@pytest.fixture(scope="module")
def drawn(structure):
    return prior_draws(structure, ODD, SIZE, np.random.default_rng(1))


def within(values, expected, spread):
    """A mean over the draws is as expected, up to five standard errors."""
    assert abs(np.mean(values) - expected) < 5 * spread / np.sqrt(np.size(values))


def test_the_structure_has_every_kind_of_parameter(structure):
    assert {one.kind for one in coefficients(structure, ODD)} == {"arm", "margin", "carry", "non_user"}
    assert {one.scale for one in structure.responses} == {"binary", "ordinal", "bounded", "unbounded"}
    assert len(structure.tied) == 5
    assert len(structure.itemised) == 5


def test_coefficients_have_the_stated_spread(structure, drawn):
    stated = {"arm": 0.4, "margin": 1.3, "carry": 1.1, "start": 0.9, "non_user": 0.9}
    for column, one in enumerate(coefficients(structure, ODD)):
        assert one.sd == stated[one.kind]
        test = stats.kstest(drawn.coefficient[:, column], stats.norm(0, stated[one.kind]).cdf)
        assert test.pvalue > 1e-4


def test_spreads_are_half_normal(structure, drawn):
    sd = np.sqrt((drawn.chol**2).sum(axis=2))
    for column in range(len(structure.itemised)):
        assert stats.kstest(sd[:, column], stats.halfnorm(scale=0.7).cdf).pvalue > 1e-4
    for column in range(len(structure.tied)):
        assert stats.kstest(drawn.spread[:, column], stats.halfnorm(scale=0.6).cdf).pvalue > 1e-4


def test_shapes_are_as_stated(drawn):
    assert stats.kstest(drawn.shape["own_query"], stats.lognorm(0.5, scale=8).cdf).pvalue > 1e-4
    assert stats.kstest(drawn.shape["conversation"], stats.halfnorm(scale=0.3).cdf).pvalue > 1e-4
    for name in ("decision", "control_decision"):
        assert drawn.shape[name].shape == (SIZE, 2)
        assert stats.kstest(drawn.shape[name].ravel(), stats.halfnorm(scale=1.7).cdf).pvalue > 1e-4


@pytest.mark.parametrize("width", [2, 3, 5])
@pytest.mark.parametrize("eta", [0.8, 2.0])
def test_correlations_have_the_marginals_of_lkj(width, eta):
    """Each is 2 B - 1 with B ~ Beta(a, a), a = eta - 1 + width / 2 (Lewandowski, Kurowicka and Joe 2009)."""
    chol = lkj(width, eta, SIZE, np.random.default_rng(2))
    correlation = chol @ np.swapaxes(chol, 1, 2)
    np.testing.assert_allclose(np.diagonal(correlation, axis1=1, axis2=2), 1.0)
    shape = eta - 1 + width / 2
    for row in range(width):
        for column in range(row):
            found = (correlation[:, row, column] + 1) / 2
            assert stats.kstest(found, stats.beta(shape, shape).cdf).pvalue > 1e-4


def test_items_spread_around_the_population_as_their_covariance_says(drawn):
    offset = drawn.items - drawn.population[:, None, :]
    standard = np.linalg.solve(drawn.chol[:, None], offset[..., None])[..., 0]
    assert stats.kstest(standard.ravel()[::5], stats.norm.cdf).pvalue > 1e-4
    cross = np.einsum("nsd,nse->de", standard, standard) / (standard.shape[0] * standard.shape[1])
    np.testing.assert_allclose(cross, np.eye(5), atol=0.02)


def test_stage_means_over_items_and_participants_have_the_stated_spread(structure, drawn):
    """The prior is on the marginal logit, whatever the spread of items and participants."""
    sd = np.sqrt((drawn.chol**2).sum(axis=2))
    for column, place in enumerate(structure.itemised):
        one = structure.responses[place]
        variance = sd[:, column] ** 2
        if one.tied:
            variance = variance + drawn.spread[:, structure.tied.index(place)] ** 2
        factor = 1.0 if one.scale == "unbounded" else np.sqrt(1 + ATTENUATION**2 * variance)
        marginal = drawn.population[:, column] / factor
        assert stats.kstest(marginal, stats.norm(0, 1.3).cdf).pvalue > 1e-4


def test_arms_differences_sum_to_zero():
    for count in (1, 2, 5):
        basis = contrasts_to_zero(count)
        np.testing.assert_allclose(basis.sum(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(basis.T @ basis, np.eye(count - 1), atol=1e-14)


def named(structure, drawn, row):
    """One prior draw as values of PyMC's variables."""
    sd = np.sqrt((drawn.chol[row] ** 2).sum(axis=1))
    correlation = drawn.chol[row] / sd[:, None]
    variance = sd**2
    for column, place in enumerate(structure.itemised):
        if place in structure.tied:
            variance[column] += drawn.spread[row, structure.tied.index(place)] ** 2
        if structure.responses[place].scale == "unbounded":
            variance[column] = 0.0
    found = {
        "participant_sd": drawn.spread[row],
        "item_sd": sd,
        "item_correlation": correlation,
        "stage_logit": drawn.population[row] / np.sqrt(1 + ATTENUATION**2 * variance),
        "coefficient": drawn.coefficient[row],
    }
    names = {"ordinal": "gaps", "bounded": "precision", "unbounded": "residual"}
    for one in structure.responses:
        if one.scale != "binary":
            found[f"{names[one.scale]}:{one.name}"] = drawn.shape[one.name][row]
    return found


def test_the_density_of_the_top_level_is_pymcs_up_to_a_constant(structure, drawn):
    """PyMC's densities of each variable by itself, evaluated at its own distribution, not through our formulas."""
    with build(structure, ODD) as model:
        inputs = {one.name: one for one in model.free_RVs if one.name != "item_standard"}
    differences = []
    for row in range(3):
        given = named(structure, drawn, row)
        assert set(given) == set(inputs)
        total = sum(pm.logp(one, given[name]).eval().sum() for name, one in inputs.items())
        differences.append(total - log_prior(structure, ODD, drawn.rows(np.array([row])))[0])
    np.testing.assert_allclose(differences, differences[0], atol=1e-6)


def test_an_unknown_prior_is_named_with_the_nearest():
    with pytest.raises(AnalysisError, match=r"bayesian\.priors\.item_sds: this is no prior") as error:
        Priors.of({"item_sds": 1.0})
    assert "item_sd" in str(error.value)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "1", None])
def test_a_prior_is_a_positive_number(value):
    with pytest.raises(AnalysisError, match=r"bayesian\.priors\.arm_sd.*not a positive number.*default 1\.0"):
        Priors.of({"arm_sd": value})


def test_priors_tell_what_they_are():
    rows = {row[0]: row for row in Priors.of({"item_sd": 0.5}).describe()}
    assert rows["item_sd"][1:3] == (0.5, 2.5)
    assert all(len(row[4]) > 10 or row[4].startswith("see ") for row in rows.values())


PLANS = {
    "model": (BayesianPlan("heirarchical"), "not a known choice.*hierarchical"),
    "interval": (BayesianPlan(interval="quantile"), "not a known choice"),
    "level": (BayesianPlan(level=95), "not between 0 and 1"),
    "chains": (BayesianPlan(chains=1), "too few chains"),
    "draws": (BayesianPlan(draws=20), "too few draws"),
    "tune": (BayesianPlan(tune=0), "too few tuning steps"),
    "sampler": (BayesianPlan(sampler="stan"), "not a known choice"),
    "priors.arm": (BayesianPlan(priors={"arm": 1.0}), "this is no prior"),
}


@pytest.mark.parametrize("place", PLANS)
def test_settings_that_make_no_sense_are_refused_before_sampling(place):
    plan, words = PLANS[place]
    with pytest.raises(RctgapError, match=words) as error:
        check_plan(plan)
    assert f"bayesian.{place}" in str(error.value)


def test_settings_that_make_sense_are_not():
    for sampler in (None, "pymc", "nutpie", "numpyro"):
        check_plan(BayesianPlan(draws=100, tune=100, chains=2, sampler=sampler, priors={"arm_sd": 2}))


def small(study, seed=0, people=8, **options):
    frame = study.simulated(people=people, seed=seed, answers=2, **options)
    return model_data(study.scored(frame, study.benchmark())).structure


def test_a_sampler_that_is_not_installed_is_told_before_anything_is_compiled(study, monkeypatch):
    monkeypatch.setattr(sampling.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sampling, "build", lambda *_: pytest.fail("compiled"))
    with pytest.raises(EstimationError, match=r"'nutpie' is not installed.*rctgap\[nutpie\]"):
        sample(small(study), Priors(), Options(sampler="nutpie"))


def test_data_of_another_shape_are_not_forced_into_a_compiled_model(study):
    """Items, arms and who is tied are compiled in; what is scored, by whom and how often is data."""
    first = small(study)
    known = sampling._shape(first)
    assert sampling._shape(small(study, seed=1, people=9)) == known
    assert sampling._shape(small(study, items=("s1", "s2", "s4"))) != known
    assert sampling._shape(first.untied()) != known


def test_compiled_scores_of_every_scale_follow_the_data(structure):
    """A model built for one data set and given another's arrays has the likelihood of a model built for the other."""
    terms = structure.terms
    moved = np.where((terms.score > 0) & (terms.score < 1) & (terms.level == 0), terms.score * 0.7, terms.score)
    other = replace(structure, terms=replace(terms, score=moved))
    assert (moved != terms.score).any()

    def likelihood(built, data):
        with build(built, ODD) as model:
            pm.set_data(data_of(data, ODD))
            return model.compile_logp(jacobian=False)(model.initial_point())

    assert likelihood(structure, other) == pytest.approx(likelihood(other, other))
    assert likelihood(structure, structure) != pytest.approx(likelihood(other, other))
