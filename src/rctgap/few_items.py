"""Inference about a population of items from few of them: CR2 by item, and a Beta-binomial population. Arrays only.

The t interval fails where item means are skewed (a stage near 0 or 1, one bad item), the population interval where the
item mix is uneven; neither fails where the other does. `docs/intervals.md` has the simulation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = ["ItemTable", "Population", "combined", "item_population"]

type Array = npt.NDArray[np.float64]

TINY = 1e-300

# The mean is Jeffreys'; the concentration log-normal, centred at a wide population (3) and vague (e^1.5 either way).
_LOGITS = np.linspace(-10.0, 10.0, 201)
_MEANS = special.expit(_LOGITS)
_STEP = np.gradient(_MEANS)
_CONCENTRATIONS = np.exp(np.linspace(np.log(0.1), np.log(1000.0), 20))
_LOG_PRIOR = -0.5 * (np.log(_MEANS) + np.log1p(-_MEANS))[:, None] - 0.5 * (np.log(_CONCENTRATIONS / 3.0) / 1.5) ** 2
_FIRST = _MEANS[:, None] * _CONCENTRATIONS
_SECOND = (1.0 - _MEANS)[:, None] * _CONCENTRATIONS
_BASE = special.gammaln(_FIRST) + special.gammaln(_SECOND) - special.gammaln(_CONCENTRATIONS)


@dataclass(frozen=True)
class ItemTable:
    """What each of S items holds in each of J moments.

    Attributes
    ----------
    sums, sizes : ndarray, shape (S, J)
        Sum and number of scores.
    weights : ndarray, shape (S, J)
        Share of the item in the moment; columns sum to 1.
    deviations : ndarray, shape (S, J)
        Influence of the item on the moment: its weight times its mean's distance from the moment.
    """

    sums: Array
    sizes: Array
    weights: Array
    deviations: Array

    @cached_property
    def means(self) -> Array:
        """Mean score of each item in each moment; NaN where it has none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.sums / self.sizes, dtype=np.float64)

    def adjusted(self, power: float = 0.5) -> Array:
        """Deviations over a power of one minus the item's leverage: 1/2 for CR2, 1 for CR3."""
        room = 1.0 - self.weights
        with np.errstate(divide="ignore"):
            return np.asarray(self.deviations * np.where(room > 0, room**-power, 0.0), dtype=np.float64)

    def covariance(self, rows: Array, power: float = 0.5) -> Array:
        """Covariance by item of quantities, rows over the moments, shape (Q, Q)."""
        influence = self.adjusted(power) @ rows.T
        return np.asarray(influence.T @ influence, dtype=np.float64)

    def degrees_of_freedom(self, rows: Array) -> Array:
        """Satterthwaite's, were all item means equally variable and independent, shape (Q,).

        References
        ----------
        Bell and McCaffrey (2002), Survey Methodology 28(2).
        """
        return np.array([self._df(row) for row in rows])

    def _df(self, row: Array) -> float:
        """With residual makers B = diag(g)(1 - 1 w'), tr(P)^2 / tr(P^2) of the weighted sum P of the BB'."""
        weight, square = self.weights[:, row != 0], row[row != 0] ** 2
        room = 1.0 - weight
        factor = weight * np.where(room > 0, np.maximum(room, TINY) ** -0.5, 0.0)
        diagonal = factor**2 @ square
        basis = np.hstack([factor, factor * weight])
        corner = np.diag(square * (weight**2).sum(axis=0))
        core = np.block([[corner, -np.diag(square)], [-np.diag(square), np.zeros_like(corner)]])
        added = ((basis @ core) * basis).sum(axis=1)
        product = core @ (basis.T @ basis)
        trace = float(diagonal.sum() + added.sum())
        of_square = float((diagonal**2).sum() + 2 * diagonal @ added + np.trace(product @ product))
        return trace**2 / of_square if of_square > TINY else float("nan")

    def effective(self) -> Array:
        """Number of equally weighted items that each moment's mix is worth, shape (J,)."""
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / (self.weights**2).sum(axis=0), dtype=np.float64)

    def heaviest(self) -> Array:
        """The largest item's share of the summed squared deviations of each moment, shape (J,)."""
        squared = self.deviations**2
        total = squared.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(total > 0, squared.max(axis=0) / total, 0.0)

    def correlation(self, moments: Sequence[int]) -> Array:
        """Correlation of the moments' item means, each item counting alike."""
        chosen = self.means[:, list(moments)]
        centred = np.nan_to_num(chosen - np.nanmean(chosen, axis=0))
        product = centred.T @ centred
        scale = np.sqrt(np.diag(product))
        safe = np.where(scale > 0, scale, 1.0)
        found = product / np.outer(safe, safe)
        np.fill_diagonal(found, 1.0)
        return np.asarray(found, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Population:
    """Posterior of a population's mean: its mean and an equal-tailed interval."""

    mean: float
    lower: float
    upper: float


def item_population(sums: Array, sizes: Array, level: float) -> Population:
    """The mean of the population that items were drawn from, item means Beta and scores binomial.

    Parameters
    ----------
    sums, sizes : ndarray, shape (S,)
        Right answers and answers of each item; items without answers say nothing. Fractional sums are quasi-counts.
    level : float

    Notes
    -----
    The posterior of mean and concentration is summed on a grid; Jeffreys' prior for the mean, and
    for the concentration a log-normal one with median 3 and standard deviation 1.5 of the logarithm.

    Examples
    --------
    >>> import numpy as np
    >>> found = item_population(np.array([30.0] * 9 + [0.0]), np.full(10, 30.0), 0.95)
    >>> round(found.lower, 2), round(found.upper, 2)
    (0.72, 0.99)
    """
    asked = sizes > 0
    right, wrong, total = sums[asked], (sizes - sums)[asked], sizes[asked]
    log = _LOG_PRIOR.copy()
    for y, z, n in zip(right, wrong, total, strict=True):
        log += special.gammaln(_FIRST + y) + special.gammaln(_SECOND + z) - special.gammaln(_CONCENTRATIONS + n) - _BASE
    mass = np.exp(log - log.max()).sum(axis=1) * _STEP
    below = (np.cumsum(mass) - mass / 2) / mass.sum()
    tail = (1.0 - level) / 2.0
    ends = np.interp([tail, 1.0 - tail], below, _MEANS)
    return Population(float(_MEANS @ mass / mass.sum()), float(ends[0]), float(ends[1]))


def combined(coefficients: Array, parts: Sequence[Population], correlation: Array) -> tuple[Array, Array]:
    """Intervals of weighted sums of correlated means from intervals of the means (MOVER).

    Parameters
    ----------
    coefficients : ndarray, shape (Q, K)
    parts : sequence of Population
        K of them.
    correlation : ndarray, shape (K, K)

    Returns
    -------
    tuple of ndarray, shape (Q,)
        Lower and upper ends.

    References
    ----------
    Zou (2007), doi 10.1037/1082-989X.12.4.399; Zou and Donner (2008), doi 10.1002/sim.3095.
    """
    mean, lower, upper = (np.array([getattr(one, name) for one in parts]) for name in ("mean", "lower", "upper"))
    centre = coefficients @ mean
    down = coefficients * np.where(coefficients > 0, mean - lower, upper - mean)
    up = coefficients * np.where(coefficients > 0, upper - mean, mean - lower)
    below, above = (np.sqrt(np.maximum(((one @ correlation) * one).sum(axis=1), 0.0)) for one in (down, up))
    return centre - below, centre + above
