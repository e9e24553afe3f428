"""Criticism of a posterior, on arrays: convergence, power-scaling, predictive p-values."""

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from rctgap.errors import EstimationError, Fault

__all__ = [
    "SENSITIVE",
    "TAIL",
    "Convergence",
    "PowerScaling",
    "Replicated",
    "Sensitivity",
    "array_stats",
    "convergence",
    "ebfmi",
    "must_be_finite",
    "outside",
    "power_scaling",
    "predictive_p",
    "varies",
]

type Array = npt.NDArray[np.float64]

SENSITIVE = 0.05
"""Power-scaling sensitivity above which a quantity depends on what was scaled (Kallioinen et al. 2023)."""

TAIL = 0.025
"""A predictive p-value under this, or over one less this, says that the model misses what was observed."""

ALPHAS = (0.99, 1.01)
TAILS = (0.05, 0.95)
LARGEST_R_HAT = 1000.0
LEAST_DRAWS = 4
LEAST_WEIGHTS = 50
SAME = 1e-12


class Convergence(NamedTuple):
    """How well chains agree on one quantity; None where it does not vary or cannot be judged."""

    r_hat: float | None
    ess_bulk: float | None
    ess_tail: float | None


class Sensitivity(NamedTuple):
    """Power-scaling sensitivity of one quantity; None where it does not vary."""

    prior: float | None
    likelihood: float | None


class Replicated(NamedTuple):
    """Replicates of one mean: their mean, an equal-tailed interval, and where the observed mean stands among them."""

    mean: float
    lower: float
    upper: float
    p_value: float


def convergence(draws: Array) -> Convergence:
    """Rank-normalised split R-hat, bulk and tail effective sample size of one quantity.

    Parameters
    ----------
    draws : ndarray, shape (chains, draws)

    Returns
    -------
    Convergence
        R-hat is None with one chain, and 1000 stands for more (chains that stand still apart); all are None where
        draws are constant, not finite, or fewer than 4 a chain.

    References
    ----------
    Vehtari et al. (2021), doi 10.1214/20-BA1221.

    Examples
    --------
    >>> import numpy as np
    >>> found = convergence(np.random.default_rng(1).normal(size=(4, 1000)))
    >>> bool(found.r_hat < 1.01 and found.ess_bulk > 3000)
    True
    >>> convergence(np.ones((4, 1000)))
    Convergence(r_hat=None, ess_bulk=None, ess_tail=None)
    """
    chains, length = draws.shape
    if length < LEAST_DRAWS or not varies(draws):
        return Convergence(None, None, None)
    stats = array_stats()
    with np.errstate(divide="ignore", invalid="ignore"):
        # Chains that stand still at different values have no variance within, so that R-hat is infinite.
        r_hat = min(float(stats.rhat(draws, method="rank")), LARGEST_R_HAT) if chains > 1 else None
        bulk = _number(stats.ess(draws, method="bulk"))
        tail = _number(stats.ess(draws, method="tail", prob=TAILS))
    return Convergence(r_hat, bulk, tail)


def ebfmi(energy: Array) -> Array:
    """Energy Bayesian fraction of missing information of each chain; below 0.3 the tails are poorly explored.

    Parameters
    ----------
    energy : ndarray, shape (chains, draws)

    Returns
    -------
    ndarray, shape (chains,)
        0 for a chain whose energy never changes.

    References
    ----------
    Betancourt (2016), arXiv 1604.00695.

    Examples
    --------
    >>> import numpy as np
    >>> ebfmi(np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 1.0, 1.0]]))
    array([3., 0.])
    """
    moving = np.ptp(energy, axis=1) > 0
    found = np.zeros(len(energy))
    if moving.any():
        found[moving] = array_stats().bfmi(energy[moving])
    return found


@dataclass(frozen=True, slots=True)
class PowerScaling:
    """Weights that raise the prior or the likelihood to a power near 1, which quantities share.

    Attributes
    ----------
    prior, likelihood : tuple of two ndarrays, shape (chains, draws)
        Pareto-smoothed importance weights at the powers 0.99 and 1.01.

    Examples
    --------
    >>> import numpy as np
    >>> mu = np.random.default_rng(1).normal(size=(4, 500))
    >>> scaling = PowerScaling.from_logs(log_prior=-0.5 * mu**2, log_likelihood=0 * mu)
    >>> found = scaling.of(mu)
    >>> bool(found.prior > SENSITIVE), found.likelihood
    (True, 0.0)
    """

    prior: tuple[Array, Array]
    likelihood: tuple[Array, Array]

    @classmethod
    def from_logs(cls, log_prior: Array, log_likelihood: Array) -> Self:
        """Weights from log densities of every draw.

        Parameters
        ----------
        log_prior, log_likelihood : ndarray, shape (chains, draws)
            Of the parameters that the prior is put on, and of all data.

        Raises
        ------
        EstimationError
            A log density is not finite, the shapes differ, or there are fewer than 50 draws.
        """
        if log_prior.shape != log_likelihood.shape or log_prior.size < LEAST_WEIGHTS:
            shapes = f"{log_prior.shape} and {log_likelihood.shape}"
            raise EstimationError(
                Fault(
                    "log densities of prior and likelihood that cannot be power-scaled",
                    f"Give both for the same chains and draws, at least {LEAST_WEIGHTS} in all",
                    value=shapes,
                )
            )
        must_be_finite(log_prior, "log prior")
        must_be_finite(log_likelihood, "log likelihood")
        return cls(_power_weights(log_prior), _power_weights(log_likelihood))

    def of(self, draws: Array) -> Sensitivity:
        """How fast a quantity's posterior moves with the power of the prior, and of the likelihood.

        Parameters
        ----------
        draws : ndarray, shape (chains, draws)
        """
        if not varies(draws):
            return Sensitivity(None, None)
        return Sensitivity(_gradient(draws, self.prior), _gradient(draws, self.likelihood))


def power_scaling(draws: Array, log_prior: Array, log_likelihood: Array) -> Sensitivity:
    """Power-scaling sensitivity of one quantity to the prior and to the likelihood.

    The gradient, at power 1, of the cumulative Jensen-Shannon distance between the posterior and
    the one with the prior (or likelihood) raised to a power.

    Parameters
    ----------
    draws, log_prior, log_likelihood : ndarray, shape (chains, draws)

    Returns
    -------
    Sensitivity
        Above 0.05 is the usual mark. Both above: prior and data pull apart; the prior alone: it
        decides, and the data say little.

    Raises
    ------
    EstimationError
        As `PowerScaling.from_logs`, which to use where several quantities share their draws.

    References
    ----------
    Kallioinen, Paananen, Bürkner and Vehtari (2023), doi 10.1007/s11222-023-10366-5.

    Examples
    --------
    >>> import numpy as np
    >>> mu = np.random.default_rng(1).normal(size=(4, 500))
    >>> bool(power_scaling(mu, -0.5 * mu**2, 0 * mu).prior > SENSITIVE)
    True
    """
    return PowerScaling.from_logs(log_prior, log_likelihood).of(draws)


def _power_weights(logs: Array) -> tuple[Array, Array]:
    """Normalised weights at the lower and the upper power; equal ones where the density is flat."""
    if not varies(logs):
        even = np.full(logs.shape, 1.0 / logs.size)
        return even, even
    stats = array_stats()
    lower, upper = (np.exp(stats.power_scale_lw(logs, alpha=alpha, axis=(-2, -1))) for alpha in ALPHAS)
    return lower / lower.sum(), upper / upper.sum()


def _gradient(draws: Array, weights: tuple[Array, Array]) -> float:
    lower, upper = weights
    if np.ptp(lower) == 0.0 and np.ptp(upper) == 0.0:
        return 0.0
    return float(array_stats().power_scale_sense(draws, lower, upper, *ALPHAS))


def predictive_p(replicated: Array, observed: float, level: float = 0.95) -> Replicated:
    """Where an observed mean stands among replicates from the fitted model.

    Parameters
    ----------
    replicated : ndarray
        The mean in each replicated data set, in any shape.
    observed : float
    level : float
        Of the equal-tailed interval of replicates.

    Returns
    -------
    Replicated
        `p_value` is P(replicated > observed) and half of P(replicated = observed): near 0 the
        model predicts too little, near 1 too much.

    References
    ----------
    Gelman, Meng and Stern (1996), Statistica Sinica 6, 733-807.

    Examples
    --------
    >>> import numpy as np
    >>> predictive_p(np.array([0.1, 0.2, 0.2, 0.4]), 0.2).p_value
    0.5
    """
    values = np.ravel(replicated)
    must_be_finite(values, "replicates")
    ties = np.isclose(values, observed, rtol=0.0, atol=1e-9)
    above = (values > observed) & ~ties
    lower, upper = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Replicated(float(values.mean()), float(lower), float(upper), float(above.mean() + 0.5 * ties.mean()))


def outside(p_value: float | None) -> bool:
    """Whether what was observed lies in a tail of what the model predicts for it.

    Examples
    --------
    >>> outside(0.004), outside(0.3), outside(0.98), outside(None)
    (True, False, True, False)
    """
    return p_value is not None and not TAIL <= p_value <= 1.0 - TAIL


def varies(values: Array) -> bool:
    """Whether values are finite and differ by more than rounding."""
    return bool(np.isfinite(values).all() and np.ptp(values) > SAME * max(1.0, float(np.abs(values).max())))


def must_be_finite(values: Array, what: str) -> None:
    """Refuse NaN and infinities.

    Raises
    ------
    EstimationError
    """
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise EstimationError(
            Fault(f"the {what} has values that are not finite", "Look for impossible parameters", value=str(bad))
        )


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def array_stats() -> Any:
    """ArviZ's statistics of arrays."""
    from arviz_stats.base.array import BaseArray  # noqa: PLC0415 - loads xarray; only where a posterior is criticised

    return BaseArray()
