"""Log likelihood of each answer or participant, and log density of the top-level priors, at draws of the parameters."""

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from rctgap.models.design import Matrices, coefficients, matrices
from rctgap.models.parameters import Parameters, stretch
from rctgap.models.priors import Priors
from rctgap.models.readings import chances, log_prior_of_rates
from rctgap.models.structure import Response, Structure

__all__ = ["log_prior", "unit_counts", "unit_log_likelihood"]

type Array = npt.NDArray[np.float64]

BATCH = 100


def unit_counts(structure: Structure) -> Array:
    """How many alike ones each unit stands for: answers by themselves, then participants, shape (U,)."""
    return np.concatenate([structure.alone[structure.alone > 0], structure.alike])


def unit_log_likelihood(structure: Structure, draws: Parameters) -> Array:
    """Log likelihood of the units of `unit_counts` with participants integrated out, shape (n, U).

    Parameters
    ----------
    structure : Structure
    draws : Parameters
        n draws.
    """
    made = matrices(structure, Priors())
    parts = [_units(structure, draws.rows(slice(start, start + BATCH)), made) for start in range(0, draws.size, BATCH)]
    return np.concatenate(parts)


def _units(structure: Structure, draws: Parameters, made: Matrices) -> Array:
    nothing = np.zeros((draws.size, 1))
    items = np.concatenate([draws.items.reshape(draws.size, -1), nothing], axis=1)
    spread = np.concatenate([draws.spread, nothing], axis=1)
    points, masses = structure.grid
    average = items[:, made.cell] + draws.coefficient @ made.design.T
    eta = average[:, :, None] + spread[:, made.tie, None] * points
    factors = np.concatenate([_factors(structure, draws, eta), np.zeros((draws.size, 1, points.size))], axis=1)
    index = np.where(structure.answers < 0, structure.terms.size, structure.answers)
    chained = factors[:, index].sum(axis=3)
    absent = (structure.answers < 0).all(axis=2)
    chained[:, absent] = -np.inf
    answers = special.logsumexp(chained, axis=2) if index.shape[1] > 1 else chained[:, :, 0]
    alone = answers[:, structure.alone > 0, 0]
    if not structure.people.size:
        return np.asarray(alone)
    answers = np.concatenate([answers, np.zeros((draws.size, 1, points.size))], axis=1)
    people = special.logsumexp(answers[:, structure.people].sum(axis=2) + np.log(masses), axis=2)
    return np.concatenate([alone, people], axis=1)


def _factors(structure: Structure, draws: Parameters, eta: Array) -> Array:
    """Log probability (or density) of each term and of what was read of it, shape (n, T, Q)."""
    found = np.empty_like(eta)
    for place, one in enumerate(structure.responses):
        rows = np.flatnonzero(structure.terms.response == place)
        terms = structure.terms.rows(rows)
        if one.scale == "binary":
            sign = np.where(terms.level == 1, 1.0, -1.0)[:, None]
            found[:, rows] = special.log_expit(sign * eta[:, rows])
        else:
            found[:, rows] = _other(one, eta[:, rows], draws.shape[one.name], terms.score, terms.level)
    if structure.scorers:
        found += np.log(chances(draws.sensitivity, draws.specificity))[:, structure.terms.reading, None]
    return found


def _other(one: Response, eta: Array, shape: Array, score: Array, level: npt.NDArray[np.intp]) -> Array:
    if one.scale == "ordinal":
        cuts = np.concatenate([np.zeros((shape.shape[0], 1)), np.cumsum(shape, axis=1)], axis=1)[:, None, None, :]
        at_least = special.expit(eta[..., None] - cuts)
        edges = np.concatenate([np.ones((*eta.shape, 1)), at_least, np.zeros((*eta.shape, 1))], axis=-1)
        chances = np.take_along_axis(-np.diff(edges, axis=-1), level[None, :, None, None], axis=-1)[..., 0]
        return np.asarray(np.log(np.clip(chances, 1e-300, None)))
    across = shape[:, None, None]
    if one.scale == "bounded":
        mean = np.clip(special.expit(eta), 1e-6, 1 - 1e-6)
        return np.asarray(stats.beta.logpdf(score[:, None], mean * across, (1 - mean) * across))
    return np.asarray(stats.norm.logpdf(score[:, None], 0.5 + eta / 4, across))


def log_prior(structure: Structure, priors: Priors, draws: Parameters) -> Array:
    """Log density of the priors on the top level, shape (n,); up to a constant.

    Item effects, whose spread is estimated, and a scorer's labelled cases, which are data, are not among them:
    power-scaling asks about what was set by hand.
    """

    def half(values: Array, scale: float) -> Array:
        return np.asarray(stats.halfnorm.logpdf(values, scale=scale))

    total = half(draws.spread, priors.participant_sd).sum(axis=1)
    width = len(structure.itemised)
    if width:
        sd = np.sqrt((draws.chol**2).sum(axis=2))
        total = total + half(sd, priors.item_sd).sum(axis=1)
        diagonal = np.diagonal(draws.chol, axis1=1, axis2=2) / np.where(sd > 0, sd, 1.0)
        power = width - 1 - np.arange(width) + 2 * (priors.item_correlation - 1)
        power[0] = 0.0
        total = total + np.log(np.clip(diagonal, 1e-300, None)) @ power
        marginal = draws.population / stretch(structure, sd, draws.spread)
        total = total + _normal(marginal, priors.stage_mean_sd)
    sds = np.array([one.sd for one in coefficients(structure, priors)])
    if sds.size:
        total = total + _normal(draws.coefficient, sds)
    for one in structure.responses:
        if one.scale == "ordinal":
            total = total + half(draws.shape[one.name], priors.threshold_gap).sum(axis=1)
        elif one.scale == "bounded":
            total = total + stats.lognorm.logpdf(
                draws.shape[one.name], s=priors.precision_log_sd, scale=priors.precision_centre
            )
        elif one.scale == "unbounded":
            total = total + half(draws.shape[one.name], priors.residual_sd)
    if structure.scorers:
        total = total + log_prior_of_rates(priors, draws.sensitivity, draws.specificity)
    return np.asarray(total)


def _normal(values: Array, sd: float | Array) -> Array:
    return np.asarray(np.sum(stats.norm.logpdf(values, scale=sd), axis=1))
