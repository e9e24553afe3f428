"""Sampling: what cores, a second run and a model compiled once may not change."""

import numpy as np
import pytest

from rctgap.model_data import model_data
from rctgap.models.priors import Priors
from rctgap.models.sampling import OneModel, Options, sample

pytestmark = pytest.mark.filterwarnings("ignore:PyTensor could not link to a BLAS:UserWarning")


def structure(study, seed, rates=(0.8, 0.6, 0.4)):
    """Answers of nobody in particular, so that each one counts alone."""
    frame = study.simulated(people=40, seed=seed, rates=rates).drop(columns="participant")
    return model_data(study.scored(frame, study.benchmark())).structure


def test_neither_cores_nor_a_second_run_change_a_draw(study):
    data = structure(study, 1)
    options = {"draws": 60, "tune": 150, "chains": 2, "seed": 5}
    one, two = (sample(data, Priors(), Options(cores=cores, **options)) for cores in (1, 2))
    other = sample(data, Priors(), Options(cores=2, **options | {"seed": 6}))
    assert one.draws.keys() == two.draws.keys()
    assert all(np.array_equal(one.draws[name], two.draws[name]) for name in one.draws)
    assert all(np.array_equal(one.stats[name], two.stats[name]) for name in one.stats)
    assert not np.array_equal(one.draws["item_sd"], other.draws["item_sd"])


def test_a_model_compiled_for_one_trial_samples_the_posterior_of_another(study):
    """Means of every parameter, to a quarter of its spread: four Monte Carlo errors of some 600 effective draws."""
    first, second = structure(study, 1), structure(study, 2, (0.3, 0.4, 0.9))
    found = OneModel(first, Priors()).sample(second, draws=1500, tune=500, seed=1).draws
    direct = sample(second, Priors(), Options(draws=750, tune=500, chains=2, seed=2)).draws
    other = sample(first, Priors(), Options(draws=750, tune=500, chains=2, seed=2)).draws
    names = ("stage_logit", "item_sd", "item_standard", "coefficient")
    for name in names:
        apart = np.abs(found[name].mean(axis=(0, 1)) - direct[name].mean(axis=(0, 1)))
        assert (apart < 0.25 * direct[name].std(axis=(0, 1))).all(), name
    apart = np.abs(found["stage_logit"].mean(axis=(0, 1)) - other["stage_logit"].mean(axis=(0, 1)))
    assert apart.max() > other["stage_logit"].std()
