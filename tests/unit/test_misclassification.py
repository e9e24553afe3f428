"""Scorers that err: true scores summed out, error rates with their uncertainty, observed scores drawn again."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pymc as pm
import pytest
from scipy import integrate, special, stats

import rctgap as rg
from rctgap.error_rates import ErrorRates
from rctgap.errors import EstimationError
from rctgap.model_data import model_data
from rctgap.model_fit import fit_hierarchical
from rctgap.models import sampling
from rctgap.models.hierarchical import build, data_of
from rctgap.models.likelihood import log_prior, unit_counts, unit_log_likelihood
from rctgap.models.parameters import parameters_of, prior_draws
from rctgap.models.priors import Priors
from rctgap.models.readings import labelled, prior_rates, sampled_rates
from rctgap.models.replicates import replicated
from rctgap.models.sampling import Options
from rctgap.models.structure import STATES, UNREAD

pytestmark = pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS:UserWarning")

DISTANCE = ErrorRates("distance", hits=45, misses=5, correct_rejections=80, false_alarms=20)
JUDGE = ErrorRates("judge", hits=30, misses=2, correct_rejections=28, false_alarms=1)
STAGES = [rg.Stage("conversation"), rg.Stage("decision")]
COLUMNS = ["arm", "conversation", "decision", "count"]


def scored(rows, rates=None, *, columns=COLUMNS, stages=STAGES, benchmark=None, control=None):
    frame = pd.DataFrame(rows, columns=columns)
    trial = rg.read_trial(frame, benchmark=benchmark, design=rg.Design(control, ["a1"]))
    return replace(rg.score_stages(trial, stages), error_rates=rates or {})


# ---------------------------------------------------------------- answers


def spelt(structure):
    """Each distinct answer: for each way to complete it, true scores with what was read of them."""
    terms = structure.terms

    def term(place):
        name = structure.responses[terms.response[place]].name
        code = terms.reading[place]
        read = "" if code == UNREAD else f"({structure.scorers[code // 4].scorer} {code % 4 // 2}>{code % 2})"
        state = STATES[terms.state[place]]
        before = f"|{terms.previous[place]:g}" if state == "previous" else ""
        return f"{name}={terms.score[place]:g}{read}{before}"

    return {
        tuple(" ".join(term(place) for place in way if place < terms.size) for way in answer if (way >= 0).any()): count
        for answer, count in zip(structure.answers, structure.alone, strict=True)
    }


def test_the_true_score_behind_a_reading_is_open_and_the_next_stage_follows_it():
    rows = [("a1", 1, 0, 3), ("a1", None, 1, 2), ("a1", 0, None, 4)]
    found = spelt(model_data(scored(rows, {"conversation": DISTANCE})).structure)
    assert found == {
        (
            "conversation=0(distance 0>1) decision=0|0",
            "conversation=1(distance 1>1) decision=0|1",
        ): 3,
        ("conversation=0 decision=1|0", "conversation=1 decision=1|1"): 2,
        ("conversation=0(distance 0>0)", "conversation=1(distance 1>0)"): 4,
    }


def test_benchmark_control_and_non_users_are_read_by_the_scorers_of_their_stages():
    columns = ["arm", "used", "conversation", "decision", "count"]
    rows = [("a1", 1, 1, 1, 2), ("a1", 0, None, 1, 3), ("control", None, None, 0, 4)]
    runs = pd.DataFrame({"system": ["a1"], "benchmark": [1]})
    stages = [rg.Stage("benchmark", "benchmark"), *STAGES]
    rates = {"benchmark": DISTANCE, "decision": JUDGE}
    scores = scored(rows, rates, columns=columns, stages=stages, benchmark=runs, control="control")
    structure = model_data(scores).structure
    ways = {way for answer in spelt(structure) for way in answer}
    assert ways == {
        "benchmark=0(distance 0>1)",
        "benchmark=1(distance 1>1)",
        "used=1 conversation=1 decision=0(judge 0>1)|1",
        "used=1 conversation=1 decision=1(judge 1>1)|1",
        "used=0 decision=0(judge 0>1)",
        "used=0 decision=1(judge 1>1)",
        "control_decision=0(judge 0>0)",
        "control_decision=1(judge 1>0)",
    }
    assert [one.scorer for one in structure.responses] == ["distance", "", "", "judge", "judge"]


def test_stages_of_one_scorer_share_its_rates():
    scores = scored([("a1", 1, 0, 3), ("a1", 0, 1, 2)], {"conversation": DISTANCE, "decision": DISTANCE})
    data = model_data(scores)
    model = build(data.structure, Priors())
    assert data.structure.scorers == (DISTANCE,)
    assert model.coords["scorer"] == ("distance",)
    assert [model.named_vars_to_dims[name] for name in ("sensitivity", "specificity")] == [("scorer",)] * 2
    assert sum("distance, which errs (sensitivity 0.90 and specificity 0.80" in note for note in data.notes) == 2


REFUSED = {
    "a fraction": ({"conversation": JUDGE}, 0.5, "error_rates.conversation: the scorer of stage 'conversation'"),
    "chance": ({"decision": ErrorRates("coin", 5, 5, 6, 6)}, 1, "error_rates.decision: scorer 'coin' does no better"),
    "opposite": ({"decision": ErrorRates("no", 1, 9, 5, 5)}, 1, "0.100 \\+ 0.500. Sensitivity and specificity must"),
    "no such stage": ({"decisions": JUDGE}, 1, "error_rates.decisions: error rates of a stage that is not"),
    "two minds": (
        {"conversation": JUDGE, "decision": replace(JUDGE, hits=31)},
        1,
        "error_rates.decision: scorer 'judge' has other labelled cases at 'decision'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rates_that_cannot_be_used_are_refused(case):
    rates, score, words = REFUSED[case]
    with pytest.raises(EstimationError, match=words):
        model_data(scored([("a1", score, 0, 3), ("a1", 0, 1, 2)], rates))


# ---------------------------------------------------------------- without error rates


KNOWN_DATA = {"cell", "design", "centre", "precision", "stage", "stage_units", "sign", "answers", "alone"}
KNOWN_DATA |= {"prior_sd", "lean", "guess", "units", "tie", "people", "alike", "absent"}
KNOWN_NAMES = {"coefficient", "participant_sd", "item_sd", "item_correlation", "stage_logit", "item_standard"}


def test_without_error_rates_nothing_is_added_and_nothing_drawn(study, monkeypatch):
    """The arrays and variables of a model without scorers that err, and generators that nothing else is taken from."""
    frame = study.simulated(people=8, seed=2)
    frame.loc[::5, "conversation"] = np.nan
    structure = model_data(study.scored(frame, study.benchmark())).structure
    assert set(data_of(structure, Priors())) == KNOWN_DATA
    assert {one.name for one in build(structure, Priors()).free_RVs} == KNOWN_NAMES
    assert (structure.terms.reading == UNREAD).all()
    rng, same = np.random.default_rng(1), np.random.default_rng(1)
    priors = prior_draws(structure, Priors(), 3, rng)
    monkeypatch.setattr("rctgap.models.parameters.prior_rates", lambda *_: (np.zeros((3, 0)), np.zeros((3, 0))))
    prior_draws(structure, Priors(), 3, same)
    assert priors.sensitivity.shape == (3, 0)
    monkeypatch.setattr("rctgap.models.replicates._read", lambda *given: given[3])
    found = replicated(structure, priors, rng), rng.random()
    monkeypatch.undo()
    again = replicated(structure, priors, same), same.random()
    np.testing.assert_array_equal(found[0].means, again[0].means)
    assert found[1] == again[1]


# ---------------------------------------------------------------- likelihood


def trial(study, rates, **changes):
    """Two arms and a control arm, blanks, participants with two answers each."""
    frame = study.simulated(people=8, arms=("a1", "a2", "control"), seed=3)
    frame.loc[np.random.default_rng(4).random(len(frame)) < 0.2, "conversation"] = np.nan
    scores = study.scored(frame.assign(**changes), study.benchmark(("a1", "a2")), rg.Design("control", ["a1", "a2"]))
    return replace(scores, error_rates=rates)


EVERY = {"benchmark": DISTANCE, "own_query": DISTANCE, "conversation": DISTANCE, "decision": JUDGE}


@pytest.mark.parametrize("rates", [EVERY, {"decision": JUDGE}])
def test_units_add_up_to_the_likelihood_that_is_sampled(study, rates):
    structure = model_data(trial(study, rates)).structure
    model = build(structure, Priors())
    likelihood = model.compile_fn(
        model.replace_rvs_by_values([model["likelihood"]])[0],
        inputs=model.value_vars,
        mode="FAST_COMPILE",
        point_fn=True,
    )
    constrain = model.compile_fn(
        model.replace_rvs_by_values(model.free_RVs), inputs=model.value_vars, mode="FAST_COMPILE"
    )
    point = {
        name: value + np.random.default_rng(6).normal(0, 0.5, np.shape(value))
        for name, value in model.initial_point().items()
    }
    values = {one.name: found[None] for one, found in zip(model.free_RVs, constrain(point), strict=True)}
    units = unit_log_likelihood(structure, parameters_of(structure, values, 1))
    assert units[0] @ unit_counts(structure) == pytest.approx(float(likelihood(point)), abs=1e-8)


@pytest.mark.parametrize("rates", [EVERY, {"conversation": DISTANCE}])
def test_with_a_scorer_that_never_errs_the_likelihood_is_that_of_true_scores(study, rates):
    true, read = (model_data(trial(study, one)).structure for one in ({}, rates))
    draws = prior_draws(true, Priors(item_sd=1.0), 5, np.random.default_rng(7))
    sure = np.ones((5, len(read.scorers)))
    found = unit_log_likelihood(read, replace(draws, sensitivity=sure, specificity=sure))
    expected = unit_log_likelihood(true, draws)
    np.testing.assert_allclose(found @ unit_counts(read), expected @ unit_counts(true), atol=1e-6)


def test_readings_say_nothing_of_a_score_where_the_scorer_tosses_a_coin(study):
    """At sensitivity 1 - specificity every reading has the same chance whatever the true score."""
    read = model_data(trial(study, EVERY)).structure
    draws = prior_draws(read, Priors(), 4, np.random.default_rng(8))
    half = np.full((4, 2), 0.5)
    found = unit_log_likelihood(read, replace(draws, sensitivity=half, specificity=half)) @ unit_counts(read)
    scores = trial(study, {})
    seen = scores.runs["count"].sum()
    seen += sum(scores.answers.loc[scores.answers[name].notna(), "count"].sum() for name in rg.DEFAULT_CHAIN.names[1:])
    np.testing.assert_allclose(found, seen * np.log(0.5), rtol=1e-9)


# ---------------------------------------------------------------- rates


VAGUE = (ErrorRates("vague", 3, 1, 5, 3), JUDGE)


def allowed(right, missed, rejected, alarmed):
    """P(sensitivity + specificity > 1)."""
    inside = integrate.quad(
        lambda one: stats.beta.pdf(one, rejected, alarmed) * stats.beta.sf(1 - one, right, missed), 0, 1
    )
    return inside[0]


def test_rates_have_beta_densities_from_labelled_cases_cut_off_at_chance():
    """The density in the sampler's units, summed over a grid, is what the two betas leave above chance."""
    with pm.Model(coords={"scorer": ["vague"]}) as model:
        sampled_rates(pm.Data("labelled", labelled(VAGUE[:1], Priors())))
    density = model.compile_logp(mode="FAST_COMPILE")
    axis = np.linspace(-9, 9, 121)
    names = ("specificity_logodds__", "sensitivity_interval__")
    total = sum(np.exp(density(dict(zip(names, map(np.atleast_1d, at), strict=True)))) for at in product(axis, axis))
    assert total * (axis[1] - axis[0]) ** 2 == pytest.approx(allowed(4, 2, 6, 4), abs=1e-4)
    at = {names[0]: np.array([0.3]), names[1]: np.array([-1.2])}
    specificity, above = special.expit(0.3), special.expit(-1.2)
    sensitivity = 1 - specificity + above * specificity
    expected = stats.beta.logpdf(sensitivity, 4, 2) + stats.beta.logpdf(specificity, 6, 4)
    expected += np.log(specificity * above * (1 - above)) + np.log(specificity * (1 - specificity))
    assert float(density(at)) == pytest.approx(expected, abs=1e-9)


def test_rates_before_the_trial_are_those_betas():
    sensitivity, specificity = prior_rates(VAGUE, Priors(), 40_000, np.random.default_rng(9))
    assert (sensitivity + specificity > 1).all()
    whole = allowed(4, 2, 6, 4)
    expected = integrate.quad(lambda x: x * stats.beta.pdf(x, 4, 2) * stats.beta.sf(1 - x, 6, 4), 0, 1)[0] / whole
    assert whole < 0.95
    assert sensitivity[:, 0].mean() == pytest.approx(expected, abs=5 * 0.2 / 200)
    assert stats.kstest(specificity[:, 1], stats.beta(29, 2).cdf).pvalue > 1e-4


def test_a_prior_set_by_hand_is_scaled_and_labelled_cases_are_not(study):
    structure = model_data(trial(study, EVERY)).structure
    draws = prior_draws(structure, Priors(), 6, np.random.default_rng(10))
    rates = np.concatenate([draws.sensitivity, draws.specificity], axis=1)
    by_hand = log_prior(structure, Priors(error_rate=3.0), draws) - log_prior(structure, Priors(), draws)
    expected = stats.beta.logpdf(rates, 3, 3).sum(axis=1)
    np.testing.assert_allclose(by_hand - by_hand[0], expected - expected[0], atol=1e-9)


def test_names_of_scorers_are_compiled_in_and_their_counts_are_data(study):
    first = model_data(trial(study, {"conversation": DISTANCE})).structure
    more = model_data(trial(study, {"conversation": replace(DISTANCE, hits=450, misses=50)})).structure
    shape = sampling._shape(first)
    assert sampling._shape(more) == shape
    assert sampling._shape(model_data(trial(study, {"conversation": JUDGE})).structure) != shape
    assert sampling._shape(model_data(trial(study, {"decision": DISTANCE})).structure) != shape
    assert sampling._shape(model_data(trial(study, {})).structure) != shape

    def density(built, data):
        with build(built, Priors()) as model:
            pm.set_data(data_of(data, Priors()))
            return float(model.compile_logp(mode="FAST_COMPILE")(start))

    start = build(first, Priors()).initial_point()
    assert density(first, more) == pytest.approx(density(more, more), abs=1e-9)
    assert density(first, more) != pytest.approx(density(first, first), abs=0.1)


# ---------------------------------------------------------------- replicates


@pytest.mark.parametrize("single", [False, True], ids=["counts", "participants"])
def test_replicates_are_what_the_scorers_would_read(single):
    """Means of both stages over many replications, against the two-stage model by hand."""
    rows = [("a1", 1, 1, 30), ("a1", 1, 0, 20), ("a1", 0, 0, 25), ("a1", None, 1, 25)]
    if single:
        people = [
            (f"p{number // 2}", *row[:3]) for number, row in enumerate(row for row in rows for _ in range(row[3]))
        ]
        scores = scored(people, columns=["participant", "arm", "conversation", "decision"])
    else:
        scores = scored(rows)
    structure = model_data(replace(scores, error_rates={"conversation": DISTANCE, "decision": JUDGE})).structure
    assert (len(structure.people) > 0) == single
    size = 2000
    names = build(structure, Priors()).coords["regressor"]
    values = dict(zip(names, np.zeros(len(names)), strict=True))
    values |= {"conversation: mean of a1": 0.8, "decision: mean of a1": -0.4, "decision: previous score": 2.0}
    draws = {
        "coefficient": np.tile([values[name] for name in names], (size, 1)),
        "participant_sd": np.zeros((size, len(structure.tied))),
        "sensitivity": np.tile([0.9, 0.7], (size, 1)),
        "specificity": np.tile([0.8, 0.95], (size, 1)),
    }
    found = replicated(structure, parameters_of(structure, draws, size), np.random.default_rng(11))
    talk = special.expit(0.8)
    decided = talk * special.expit(-0.4 + 1.0) + (1 - talk) * special.expit(-0.4 - 1.0)
    expected = [0.9 * talk + 0.2 * (1 - talk), 0.7 * decided + 0.05 * (1 - decided)]
    np.testing.assert_array_equal(found.size, [75, 100])
    np.testing.assert_allclose(found.observed, [50 / 75, 55 / 100])
    for column, mean in enumerate(expected):
        error = np.sqrt(mean * (1 - mean) / found.size[column] / size)
        assert found.means[:, column].mean() == pytest.approx(mean, abs=5 * error)


# ---------------------------------------------------------------- sampled


TRUE_MEANS = {"conversation": 0.75, "decision": 0.45}
ERRORS = {"conversation": (0.85, 0.9), "decision": (0.9, 0.8)}


def measured():
    """Counts in their expected shares: two true stages, then what two scorers make of them."""
    talk, cells = TRUE_MEANS["conversation"], {}
    given = {1: 0.55, 0: 0.15}
    assert talk * given[1] + (1 - talk) * given[0] == pytest.approx(TRUE_MEANS["decision"])
    for true, read in product(product((0, 1), repeat=2), product((0, 1), repeat=2)):
        chance = (talk if true[0] else 1 - talk) * (given[true[0]] if true[1] else 1 - given[true[0]])
        for stage, one, seen in zip(ERRORS, true, read, strict=True):
            right = ERRORS[stage][0] if one else 1 - ERRORS[stage][1]
            chance *= right if seen else 1 - right
        cells[read] = cells.get(read, 0.0) + chance
    return [("a1", *read, round(4000 * chance)) for read, chance in cells.items()]


def rates_of(stage, labels=1000):
    hit, rejected = ERRORS[stage]
    return ErrorRates(stage, hit * labels, (1 - hit) * labels, rejected * labels, (1 - rejected) * labels)


def fitted(scores):
    fit = fit_hierarchical(
        scores, Priors(), Options(draws=700, tune=500, chains=2, cores=1, seed=3), "equal_tailed", compare=False
    )
    plain = rg.estimate_frequentist(scores, rg.Estimand("fixed"), adjustment="none")
    posterior = fit.posterior(plain)
    draws = {key.name: posterior.draws[..., place].ravel() for key, place in plain.keys.items()}
    return posterior, draws


def test_true_means_and_flows_come_back_from_misread_scores():
    """The share of all that is lost at the decision is 0.75 x 0.45, gained 0.25 x 0.15; the raw shares are far off."""
    rows = measured()
    posterior, draws = fitted(scored(rows, {stage: rates_of(stage) for stage in ERRORS}))
    expected = TRUE_MEANS | {"lost:decision": 0.75 * 0.45, "gained:decision": 0.25 * 0.15, "uptake:hit": 0.75 * 0.55}
    for name, true in expected.items():
        assert abs(draws[name].mean() - true) < 1.0 * draws[name].std(), name  # data are at their expectation
        assert draws[name].std() < 0.05
    total = sum(row[3] for row in rows)
    raw = {
        "conversation": sum(row[3] for row in rows if row[1]) / total,
        "lost:decision": sum(row[3] for row in rows if row[1] and not row[2]) / total,
        "gained:decision": sum(row[3] for row in rows if row[2] and not row[1]) / total,
    }
    for name, share in raw.items():
        assert abs(share - expected[name]) > 1.96 * draws[name].std(), name
    saved = posterior.groups["posterior"]
    assert saved["sensitivity"].dims == ("chain", "draw", "scorer")
    assert list(saved["specificity"]["scorer"].to_numpy()) == ["conversation", "decision"]
    np.testing.assert_allclose(saved["sensitivity"].mean(("chain", "draw")), [0.85, 0.9], atol=0.02)
    assert all(0.1 < row.p_value < 0.9 for row in posterior.predictive)
    assert [row.observed for row in posterior.predictive] == pytest.approx(
        [raw["conversation"], sum(row[3] for row in rows if row[2]) / total]
    )


def test_rates_known_to_be_perfect_leave_the_posterior_as_it_was():
    """Means to a quarter of their spread, spreads to a fifth: some 600 effective draws or more each."""
    rows = [("a1", 1, 1, 90), ("a1", 1, 0, 60), ("a1", 0, 1, 12), ("a1", 0, 0, 38)]
    sure = {stage: ErrorRates(stage, 1e6, 0, 1e6, 0) for stage in ERRORS}
    (_, plain), (_, corrected) = fitted(scored(rows)), fitted(scored(rows, sure))
    assert plain.keys() == corrected.keys()
    for name, draws in plain.items():
        assert abs(draws.mean() - corrected[name].mean()) < 0.25 * draws.std(), name
        assert corrected[name].std() == pytest.approx(draws.std(), rel=0.2), name
