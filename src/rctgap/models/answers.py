"""Likelihood of answers and of the participants who gave them, from the predictors of their scores, in PyMC."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor.tensor as pt

from rctgap.models.priors import Priors
from rctgap.models.structure import Response, Structure

__all__ = ["log_likelihood", "padded"]

type Array = npt.NDArray[np.float64]

FEW = 16
TINY = float(np.finfo(np.float64).tiny)


def log_likelihood(structure: Structure, priors: Priors, data: Any, eta: Any, masses: Array, read: Any = None) -> Any:
    """Log likelihood of every answer, with participants integrated over the nodes.

    Parameters
    ----------
    structure : Structure
    priors : Priors
    data : mapping of str to tensor
        As of `rctgap.models.hierarchical.data_of`.
    eta : tensor
        Predictor of each term at each node, shape (T, Q).
    masses : ndarray
        Of the nodes, shape (Q,).
    read : tensor, optional
        P(observed | true) of each term's score, shape (T,), where some scorer errs.
    """
    if _multiplies(structure):
        return _multiplied(structure, data, eta, masses, read)
    factors = _factors(structure, priors, data, eta)
    if read is not None:
        factors = factors + pt.log(pt.concatenate([read, pt.ones(1)]))[:, None]
    return _summed(structure, data, factors, masses)


def padded(values: Any) -> Any:
    """With a last zero, for the index that stands for nothing."""
    return pt.concatenate([values, pt.zeros(1)])


def _multiplies(structure: Structure) -> bool:
    """Whether the probabilities of a participant's scores can be multiplied without underflow."""
    answers = structure.people.shape[1] if structure.people.size else 1
    few = structure.answers.shape[2] * answers <= FEW
    return few and all(one.scale == "binary" for one in structure.responses)


def _multiplied(structure: Structure, data: Any, eta: Any, masses: Array, read: Any) -> Any:
    """Of binary scores, in probabilities: a third of the time, since one logarithm a participant is all it takes."""
    right = pt.sigmoid(data["sign"][:, None] * eta)
    if read is not None:
        right = right * read[:, None]
    factors = pt.concatenate([right, pt.ones_like(right[:1])], axis=0)
    whole = _product(factors, data["answers"][:, 0], structure.answers.shape[2])
    for way in range(1, structure.answers.shape[1]):
        completed = _product(factors, data["answers"][:, way], structure.answers.shape[2])
        whole = whole + pt.switch(data["absent"][:, way, None], 0.0, completed)
    total = pt.sum(data["alone"] * pt.log(whole[:, 0] + TINY))
    if structure.people.size:
        answers = pt.concatenate([whole, pt.ones_like(whole[:1])], axis=0)
        people = pt.sum(_product(answers, data["people"], structure.people.shape[1]) * masses, axis=1)
        total += pt.sum(data["alike"] * pt.log(people + TINY))
    return total


def _product(values: Any, index: Any, width: int) -> Any:
    """Product of the rows that each row of an index names; written out, for the gradient of `prod` is slow."""
    found = values[index[:, 0]]
    for column in range(1, width):
        found = found * values[index[:, column]]
    return found


def _summed(structure: Structure, data: Any, factors: Any, masses: Array) -> Any:
    """Of any scores, in logarithms."""
    answers = _chained(structure, data, factors)
    total = pt.sum(data["alone"] * answers[:-1, 0])
    if structure.people.size:
        people = pt.logsumexp(answers[data["people"]].sum(axis=1) + np.log(masses), axis=1)
        total += pt.sum(data["alike"] * people)
    return total


def _factors(structure: Structure, priors: Priors, data: Any, eta: Any) -> Any:
    """Log probability (or density) of each term at each node, with a last row of zeros, shape (T + 1, Q)."""
    scales = [one.scale for one in structure.responses]
    last = pt.zeros_like(eta[:1])
    if set(scales) == {"binary"}:
        return pt.concatenate([-pt.softplus(-data["sign"][:, None] * eta), last], axis=0)
    parts = []
    for place, one in enumerate(structure.responses):
        rows = data[f"rows_{place}"]
        if one.scale == "binary":
            parts.append(-pt.softplus(-data["sign"][rows, None] * eta[rows]))
        else:
            parts.append(_other(one, priors, eta[rows], data["score"][rows], data["level"][rows]))
    return pt.concatenate([*parts, last], axis=0)[data["back"]]


def _other(one: Response, priors: Priors, eta: Any, score: Any, level: Any) -> Any:
    """Ordinal and fractional scores."""
    if one.scale == "ordinal":
        cuts = pt.zeros(1)
        if len(one.levels) > 2:  # noqa: PLR2004 - the one threshold of two levels is where the predictor is zero
            gaps = pm.HalfNormal(f"gaps:{one.name}", priors.threshold_gap, shape=len(one.levels) - 2)
            cuts = pt.concatenate([cuts, pt.cumsum(gaps)])
        return _cumulative(eta, cuts, level, len(one.levels) - 1)
    if one.scale == "bounded":
        centre = np.log(priors.precision_centre)
        precision = pm.LogNormal(f"precision:{one.name}", centre, priors.precision_log_sd)
        mean = pt.clip(pt.sigmoid(eta), 1e-6, 1 - 1e-6)
        return pm.logp(pm.Beta.dist(mean * precision, (1 - mean) * precision), score[:, None])
    sd = pm.HalfNormal(f"residual:{one.name}", priors.residual_sd)
    return pm.logp(pm.Normal.dist(0.5 + eta / 4, sd), score[:, None])


def _cumulative(eta: Any, cuts: Any, level: Any, top: int) -> Any:
    """Log P(level) where P(level >= l) = sigmoid(eta - cut_l), levels 0 to `top`."""
    below = eta - cuts[pt.clip(level - 1, 0, top - 1)][:, None]
    above = eta - cuts[pt.clip(level, 0, top - 1)][:, None]
    at_least = pt.switch((level > 0)[:, None], -pt.softplus(-below), 0.0)
    more = pt.switch((level < top)[:, None], pt.exp(-pt.softplus(-above) - at_least), 0.0)
    return at_least + pt.log1p(-pt.clip(more, 0.0, 1 - 1e-12))


def _chained(structure: Structure, data: Any, factors: Any) -> Any:
    """Log likelihood of each distinct answer at each node, with a last row of zeros, shape (N + 1, Q)."""
    chained = factors[data["answers"]].sum(axis=2)
    if structure.answers.shape[1] > 1:
        whole = pt.logsumexp(pt.switch(data["absent"][:, :, None], -np.inf, chained), axis=1)
    else:
        whole = chained[:, 0, :]
    return pt.concatenate([whole, pt.zeros_like(factors[:1])], axis=0)
