"""A resampling test of every null value at once, and the interval of the values not rejected. Arrays only."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ResamplingTest"]

type Array = npt.NDArray[np.float64]

TIE = 1e-9
ROUNDING = 1e-12
STEPS = np.concatenate([np.linspace(0.02, 4.0, 200), np.geomspace(4.1, 1e6, 60)])
HALVINGS = 60


@dataclass(frozen=True, slots=True)
class ResamplingTest:
    """Draws of a test statistic under the null ``q = c``, for every c.

    Attributes
    ----------
    estimate : float
        The quantity q in the data.
    variance : float
        Variance estimate of q in the data, positive; it does not depend on c.
    shift : ndarray, shape (B, 2)
        Numerator of each draw, ``shift[:, 0] + delta * shift[:, 1]`` with ``delta = estimate - c``.
    spread : ndarray, shape (B, 3)
        Its variance estimate, ``spread @ (1, delta, delta^2)``.
    count_observed : bool
        Whether the data count as one more draw. True for Monte Carlo re-randomisation, where it makes the test
        exact (Phipson and Smyth 2010); False where the draws are a full enumeration, which holds the data, and for
        bootstraps.

    Notes
    -----
    The statistic of the data is ``delta / sqrt(variance)``, of a draw the numerator over the root of its variance.
    ``p(c)`` is the share of draws at least as far from 0 as the data; ties, relative difference below 1e-9, count.
    A draw without variance counts.

    References
    ----------
    Phipson and Smyth (2010), doi 10.2202/1544-6115.1585.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.inversion import ResamplingTest
    >>> shift = np.array([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> test = ResamplingTest(2.0, 1.0, shift, np.tile([1.0, 0.0, 0.0], (4, 1)), count_observed=False)
    >>> test.p_value(1.5), test.p_value(0.0)
    (0.75, 0.25)
    """

    estimate: float
    variance: float
    shift: Array
    spread: Array
    count_observed: bool

    def statistic(self, null: float) -> float:
        """Statistic of the data against ``q = null``."""
        return (self.estimate - null) / math.sqrt(self.variance)

    def statistics(self, null: float) -> Array:
        """Statistic of each draw under ``q = null``, shape (B,); infinite without variance, NaN for 0 / 0."""
        numerator, variance = self._at(self.estimate - null)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(numerator / np.sqrt(variance), dtype=np.float64)

    def p_value(self, null: float) -> float:
        """Two-sided p-value of ``q = null``."""
        return self._p(self.estimate - null)

    def interval(self, level: float) -> tuple[float, float]:
        """The outermost values whose p-value is above ``1 - level``; infinite where no value is far enough.

        p is a step function of the null and need not fall steadily. It is followed outwards on a grid, fine within
        four half widths of the estimate and then by growing steps up to a million of them; the outermost crossing is
        found by bisection. Ties of discrete scores can lift p at a single null; 0 is always in the interval unless
        it is rejected.
        """
        scale = self._half_width(level)
        lower, upper = self.estimate - self._reach(scale, level), self.estimate + self._reach(-scale, level)
        return (min(lower, 0.0), max(upper, 0.0)) if self._kept(self.estimate, level) else (lower, upper)

    def _kept(self, delta: float, level: float) -> bool:
        return self._p(delta) > 1.0 - level + ROUNDING

    def _at(self, delta: float) -> tuple[Array, Array]:
        numerator = self.shift[:, 0] + delta * self.shift[:, 1]
        variance = self.spread[:, 0] + delta * (self.spread[:, 1] + delta * self.spread[:, 2])
        return numerator, np.maximum(variance, 0.0)

    def _p(self, delta: float) -> float:
        numerator, variance = self._at(delta)
        extreme = int(np.count_nonzero(numerator**2 * self.variance >= (1.0 - TIE) * delta**2 * variance))
        return (extreme + self.count_observed) / (len(self.shift) + self.count_observed)

    def _half_width(self, level: float) -> float:
        """What the half width would be if the draws at the estimate served for every null: a scale to search on."""
        numerator, variance = self._at(0.0)
        sound = variance > 0
        spread = math.sqrt(self.variance)
        if not sound.any():
            return spread
        quantile = float(np.quantile(np.abs(numerator[sound]) / np.sqrt(variance[sound]), level))
        return spread * (quantile or 1.0)

    def _reach(self, scale: float, level: float) -> float:
        """How far delta goes from 0 in the direction of `scale` before p stays at or below ``1 - level``."""
        kept = np.flatnonzero([self._kept(scale * step, level) for step in STEPS])
        last = int(kept[-1]) if kept.size else -1
        if last == STEPS.size - 1:
            return math.inf
        inside, outside = (0.0 if last < 0 else float(STEPS[last])), float(STEPS[last + 1])
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if self._kept(scale * middle, level) else (inside, middle)
        return abs(scale) * inside
