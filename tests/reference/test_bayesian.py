"""One stage of the hierarchical model against rstanarm and Bambi (bayesian.R, bambi_fit.py, raw output committed).

The three share data and likelihood. Bambi has the same priors. rstanarm has its own on the standard deviations and a
plain normal intercept, so our draws are weighted by the ratio of the two priors before the comparison.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import rctgap as rg
from rctgap.criticism import array_stats
from rctgap.model_data import model_data
from rctgap.models.means import average, walk
from rctgap.models.parameters import Predictor, parameters_of
from rctgap.models.priors import Priors
from rctgap.models.sampling import Options, sample
from rctgap.models.structure import NO_ITEM

HERE = Path(__file__).parent / "bayesian"
STAGE = "own_query"
OPTIONS = Options(draws=1000, tune=600, chains=2, seed=2, cores=1)
# Nine quantities, two comparisons, means and standard deviations: a chance of 1 in 4,000 to fail by luck.
MOST = 4.5


def only(structure, name):
    """The part of a structure that is about one response, whose answers then are single terms."""
    place = next(place for place, one in enumerate(structure.responses) if one.name == name)
    mine = np.flatnonzero(structure.terms.response == place)
    terms = structure.terms.rows(mine)
    terms = replace(terms, response=np.zeros_like(terms.response))
    number = {term: position for position, term in enumerate(mine)}
    first = structure.answers[:, 0, 0]
    assert structure.answers.shape[1] == 1
    assert set(first) <= set(number)
    people = Counter()
    for answers, alike in zip(structure.people, structure.alike, strict=True):
        people[tuple(sorted(number[first[one]] for one in answers if one < first.size))] += alike
    longest = max(len(one) for one in people)
    rows = [[*one, *[mine.size] * (longest - len(one))] for one in people]
    return replace(
        structure,
        responses=(structure.responses[place],),
        terms=terms,
        answers=np.arange(mine.size)[:, None, None],
        alone=np.zeros(mine.size),
        people=np.array(rows),
        alike=np.array(list(people.values())),
    )


@pytest.fixture(scope="module")
def trial():
    return pd.read_csv(HERE / "trial.csv", dtype={"participant": str, "item": str})


@pytest.fixture(scope="module")
def structure(trial):
    data = rg.read_trial(trial, design=rg.Design(ai=["a1", "a2"]))
    return only(model_data(rg.score_stages(data, [rg.Stage(STAGE), rg.Stage("decision")])).structure, STAGE)


@pytest.fixture(scope="module")
def draws(structure):
    """Draws of every compared quantity, each of shape (chains, draws), and of the parameters that priors are on."""
    chains = sample(structure, Priors(item_sd=1.5), OPTIONS)
    assert not chains.stats["diverging"].any()
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in chains.draws.items()}
    size = OPTIONS.chains * OPTIONS.draws
    parameters = parameters_of(structure, flat, size)
    population, coefficient = parameters.population[:, 0], parameters.coefficient[:, 0]
    item_sd, participant_sd = flat["item_sd"][:, 0], flat["participant_sd"][:, 0]
    first = contrast_of(structure)
    found = {
        "population": population,
        "items_mean": parameters.items[:, :, 0].mean(axis=1),
        "arm_difference": 2 * first * coefficient,
        "item_sd": item_sd,
        "participant_sd": participant_sd,
    }
    rng = np.random.default_rng(1)
    points, masses = np.polynomial.hermite_e.hermegauss(31)
    masses = masses / masses.sum()
    effect = np.broadcast_to(points, (len(structure.items) + 1, points.size))
    for group, arm in enumerate(structure.responses[0].groups):
        (step,) = walk(Predictor.of(structure), parameters, [(0, group)], parameters.items, effect, rng)
        found[f"mean_these_items_{arm}"] = average(step.mean, masses)[:, :-1].mean(axis=1)
        level = population + (first if arm == "a1" else -first) * coefficient
        spread = np.sqrt(item_sd**2 + participant_sd**2)
        found[f"mean_new_items_{arm}"] = special.expit(level[:, None] + spread[:, None] * points) @ masses
    shape = (OPTIONS.chains, OPTIONS.draws)
    return {name: values.reshape(shape) for name, values in found.items()}


def contrast_of(structure):
    """What the first arm's logit is shifted by per unit of the arms' coefficient."""
    predictor = Predictor.of(structure)
    one = parameters_of(
        structure,
        {
            "population": np.zeros((1, 1)),
            "item_sd": np.ones((1, 1)),
            "item_standard": np.zeros((1, len(structure.items), 1)),
            "coefficient": np.ones((1, 1)),
            "participant_sd": np.ones((1, 1)),
        },
        1,
    )
    a1 = structure.responses[0].groups.index("a1")
    return float(predictor.level(one, 0, a1, one.items)[0, 0])


def rstanarm_over_ours(draws):
    """Weights that turn our priors into those of rstanarm."""
    item_sd, participant_sd, intercept = (draws[name] for name in ("item_sd", "participant_sd", "population"))
    attenuation = 16 * np.sqrt(3) / (15 * np.pi)
    scale = 2.0 * np.sqrt(1 + attenuation**2 * (item_sd**2 + participant_sd**2))
    theirs = -item_sd - participant_sd + stats.norm.logpdf(intercept, 0, 2.5)
    ours = stats.norm.logpdf(intercept, 0, scale)
    ours = ours + stats.norm.logpdf(item_sd, 0, 1.5) + stats.norm.logpdf(participant_sd, 0, 1.0)
    weights = np.exp(theirs - ours - (theirs - ours).max())
    return weights / weights.mean()


def distances(draws, expected, weights):
    """Differences of means and standard deviations in Monte Carlo standard errors of both sides."""
    assert set(expected["quantity"]) == set(draws)
    tool = array_stats()
    found = {}
    for row in expected.itertuples():
        values = draws[row.quantity]
        mean = np.average(values, weights=weights)
        sd = np.sqrt(np.average((values - mean) ** 2, weights=weights))
        # Weighted means and squares are plain means of these.
        of_mean = float(tool.mcse(weights * (values - mean), method="mean"))
        of_square = float(tool.mcse(weights * ((values - mean) ** 2 - sd**2), method="mean"))
        found[row.quantity, "mean"] = (mean - row.mean) / np.hypot(of_mean, row.mcse_mean)
        found[row.quantity, "sd"] = (sd - row.sd) / np.hypot(of_square / (2 * sd), row.mcse_sd)
    return found


def test_the_part_about_one_stage_holds_each_of_its_scores_once(structure, trial):
    terms, counts = structure.terms, Counter()
    for answers, alike in zip(structure.people, structure.alike, strict=True):
        for one in answers[answers < terms.size]:
            group, item = structure.responses[0].groups[terms.group[one]], structure.items[terms.item[one]]
            counts[group, item, int(terms.score[one])] += int(alike)
    assert terms.item.min() > NO_ITEM
    assert counts == Counter(map(tuple, trial[["arm", "item", STAGE]].to_numpy().tolist()))


@pytest.mark.parametrize("program", ["rstanarm", "bambi"])
def test_the_posterior_of_one_stage_is_that_of_another_program(draws, program):
    expected = pd.read_csv(HERE / f"{program}.csv")
    weights = rstanarm_over_ours(draws) if program == "rstanarm" else np.ones_like(draws["item_sd"])
    found = distances(draws, expected, weights)
    assert len(found) == 18
    assert {key: value for key, value in found.items() if abs(value) > MOST} == {}


def test_the_other_programs_leave_less_error_than_a_twentieth_of_a_posterior_standard_deviation():
    for program in ("rstanarm", "bambi"):
        expected = pd.read_csv(HERE / f"{program}.csv")
        assert (expected["mcse_mean"] < 0.05 * expected["sd"]).all()
        assert (expected["rhat"] < 1.01).all()
