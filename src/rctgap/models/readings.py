"""Scorers that err: how often a right score is read as right and a wrong one as wrong, and what a score was read as."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor.tensor as pt
from pymc.distributions.transforms import Interval

from rctgap.error_rates import ErrorRates
from rctgap.models.priors import Priors

__all__ = ["chances", "labelled", "log_prior_of_rates", "prior_rates", "sampled_rates"]

type Array = npt.NDArray[np.float64]

LEAST = 1e-12
"""Probabilities of a reading are kept this far from 0, so that their logarithm exists."""


def _rates(sensitivity: Any, specificity: Any) -> list[Any]:
    """P(observed | true), four for each scorer, in the order of `rctgap.models.structure.reading`."""
    return [specificity, 1 - specificity, 1 - sensitivity, sensitivity]


def labelled(scorers: Sequence[ErrorRates], priors: Priors) -> Array:
    """Both parameters of each beta, sensitivities' before specificities', shape (4, R)."""
    counts = [(one.hits, one.misses, one.correct_rejections, one.false_alarms) for one in scorers]
    return np.asarray(counts, dtype=np.float64).reshape(-1, 4).T + priors.error_rate


def sampled_rates(parameters: Any) -> Any:
    """P(reading), shape (4 R + 1,), with a last one for scores that nothing read; to be called inside a model.

    Beta distributions from labelled cases, cut off where a scorer would do no better than chance: the true scores and
    their opposites would give the same readings there.

    Parameters
    ----------
    parameters : tensor, shape (4, R)
        As of `labelled`.

    References
    ----------
    Joseph, Gyorkos and Coupal (1995), doi 10.1093/oxfordjournals.aje.a117428.
    """
    specificity = pm.Beta("specificity", parameters[2], parameters[3], dims="scorer")
    sensitivity = pm.CustomDist(
        "sensitivity",
        parameters[0],
        parameters[1],
        specificity,
        logp=_beta,
        support_point=_likely,
        signature="(),(),()->()",
        transform=Interval(bounds_fn=_better_than_chance),
        dims="scorer",
    )
    each = pt.stack(_rates(sensitivity, specificity), axis=1)
    return pt.concatenate([pt.clip(each, LEAST, 1.0).ravel(), pt.ones(1)])


def _beta(value: Any, right: Any, wrong: Any, specificity: Any) -> Any:  # noqa: ARG001 - PyMC's form
    inside = pt.clip(value, LEAST, 1 - LEAST)
    total = pt.gammaln(right + wrong) - pt.gammaln(right) - pt.gammaln(wrong)
    return total + (right - 1) * pt.log(inside) + (wrong - 1) * pt.log1p(-inside)


def _likely(_rv: Any, _size: Any, right: Any, wrong: Any, specificity: Any) -> Any:
    """Where chains start: the mean, or well inside where that would be no better than chance."""
    return pt.maximum(right / (right + wrong), 1 - 0.75 * specificity)


def _better_than_chance(*inputs: Any) -> tuple[Any, Any]:
    specificity = inputs[-1]
    return 1 - specificity, pt.ones_like(specificity)


def prior_rates(
    scorers: Sequence[ErrorRates], priors: Priors, size: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Sensitivities and specificities as the labelled cases alone have them, each of shape (size, R)."""
    right, missed, rejected, alarmed = labelled(scorers, priors)
    shape = (size, right.size)
    sensitivity, specificity = rng.beta(right, missed, shape), rng.beta(rejected, alarmed, shape)
    while (again := sensitivity + specificity <= 1).any():
        column = np.nonzero(again)[1]
        sensitivity[again] = rng.beta(right[column], missed[column])
        specificity[again] = rng.beta(rejected[column], alarmed[column])
    return sensitivity, specificity


def chances(sensitivity: Array, specificity: Array) -> Array:
    """P(reading) at draws of the rates, shape (n, 4 R + 1); the last, a one, is of scores that nothing read."""
    each = np.stack(_rates(sensitivity, specificity), axis=2).reshape(sensitivity.shape[0], -1)
    return np.concatenate([np.clip(each, LEAST, 1.0), np.ones((each.shape[0], 1))], axis=1)


def log_prior_of_rates(priors: Priors, sensitivity: Array, specificity: Array) -> Array:
    """Log density of what was believed before the labelled cases, shape (n,); up to a constant."""
    inside = np.clip(np.concatenate([sensitivity, specificity], axis=1), LEAST, 1 - LEAST)
    return np.asarray((priors.error_rate - 1) * (np.log(inside) + np.log1p(-inside)).sum(axis=1))
