"""Intervals from an estimate and its variance: t, Wilson, MOVER, Fieller, delta, max-t. Numbers only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

__all__ = ["Interval", "ShareSet", "critical_value", "delta_share", "fieller", "max_t", "mover", "symmetric", "wilson"]

type Array = npt.NDArray[np.float64]
type SetType = Literal["bounded", "unbounded", "exclusive"]


@dataclass(frozen=True, slots=True)
class Interval:
    """Two ends and the name of how they were made."""

    lower: float
    upper: float
    kind: str


@dataclass(frozen=True, slots=True)
class ShareSet:
    """A confidence set for a ratio.

    `bounded` is the interval [lower, upper]; `exclusive` is everything outside (lower, upper);
    `unbounded` is the whole line.
    """

    lower: float
    upper: float
    set_type: SetType


def critical_value(level: float, df: float) -> float:
    """Two-sided critical value of t, or of the normal where `df` is infinite."""
    tail = (1.0 - level) / 2.0
    return float(stats.norm.isf(tail) if math.isinf(df) else stats.t.isf(tail, df))


def symmetric(estimate: float, std_error: float, df: float, level: float) -> Interval:
    """Estimate plus and minus a critical value times the standard error."""
    half = critical_value(level, df) * std_error
    return Interval(estimate - half, estimate + half, "normal" if math.isinf(df) else "t")


def wilson(proportion: float, size: float, level: float) -> Interval:
    """Wilson's score interval for a proportion out of an effective `size`; never of zero width.

    References
    ----------
    Wilson (1927), doi 10.1080/01621459.1927.10502953.
    """
    z2 = critical_value(level, math.inf) ** 2
    centre = (proportion + z2 / (2 * size)) / (1 + z2 / size)
    half = math.sqrt(z2 * (proportion * (1 - proportion) / size + z2 / (4 * size**2))) / (1 + z2 / size)
    return Interval(max(0.0, centre - half), min(1.0, centre + half), "wilson")


def mover(estimate: float, half: float, terms: Sequence[tuple[float, float, Interval]]) -> Interval:
    """Method of variance estimates recovery for a sum of independent parts.

    Parameters
    ----------
    estimate : float
        The whole sum.
    half : float
        Half width of the symmetric interval of the ordinary part.
    terms : sequence of (coefficient, value, Interval)
        Further parts with intervals of their own.

    References
    ----------
    Zou and Donner (2008), doi 10.1002/sim.3095.
    """
    down = half**2
    up = half**2
    for coefficient, value, own in terms:
        below, above = value - own.lower, own.upper - value
        low, high = (below, above) if coefficient > 0 else (above, below)
        down += (coefficient * low) ** 2
        up += (coefficient * high) ** 2
    return Interval(estimate - math.sqrt(down), estimate + math.sqrt(up), "mover")


def fieller(numerator: float, denominator: float, joint: Array, critical: float) -> ShareSet:
    """Fieller's confidence set of numerator / denominator.

    Parameters
    ----------
    joint : ndarray, shape (2, 2)
        Covariance of numerator and denominator.
    critical : float
        Critical value at the denominator's degrees of freedom.

    Notes
    -----
    The set of ratios r with (numerator - r denominator)^2 <= critical^2 Var(numerator - r denominator).
    It is bounded if and only if denominator^2 > critical^2 Var(denominator).

    References
    ----------
    Fieller (1954), doi 10.1111/j.2517-6161.1954.tb00159.x.
    """
    c2 = critical**2
    a = denominator**2 - c2 * float(joint[1, 1])
    b = numerator * denominator - c2 * float(joint[0, 1])
    c = numerator**2 - c2 * float(joint[0, 0])
    discriminant = b * b - a * c
    if a > 0:
        root = math.sqrt(max(discriminant, 0.0))
        return ShareSet((b - root) / a, (b + root) / a, "bounded")
    if a < 0 and discriminant > 0:
        root = math.sqrt(discriminant)
        return ShareSet((b + root) / a, (b - root) / a, "exclusive")
    return ShareSet(-math.inf, math.inf, "unbounded")


def delta_share(numerator: float, denominator: float, joint: Array) -> float:
    """Standard error of numerator / denominator to first order."""
    ratio = numerator / denominator
    gradient = np.array([1.0, -ratio]) / denominator
    return math.sqrt(max(float(gradient @ joint @ gradient), 0.0))


def max_t(covariance: Array, df: float, level: float, seed: int = 20260522) -> float:
    """Critical value that covers all quantities at once, from the joint t distribution.

    Parameters
    ----------
    covariance : ndarray, shape (Q, Q)
    df : float
        Degrees of freedom, infinite for the normal.
    seed : int
        Of the quasi-random integration, fixed so that a result repeats.

    References
    ----------
    Hothorn, Bretz and Westfall (2008), doi 10.1002/bimj.200810425.
    """
    scale = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(scale, scale)
    size = len(scale)
    single = critical_value(level, df)
    if size == 1:
        return single

    def excess(critical: float) -> float:
        ends = np.full(size, critical)
        if math.isinf(df):
            normal = stats.multivariate_normal(np.zeros(size), correlation, allow_singular=True, seed=seed)
            covered = normal.cdf(ends, lower_limit=-ends)
        else:
            student = stats.multivariate_t(np.zeros(size), correlation, df, allow_singular=True, seed=seed)  # type: ignore[call-overload]
            covered = student.cdf(ends, lower_limit=-ends, random_state=seed)
        return float(covered) - level

    ceiling = critical_value(1.0 - (1.0 - level) / size, df)
    if excess(single) >= 0:
        return single
    if excess(ceiling) <= 0:
        return ceiling
    return float(optimize.brentq(excess, single, ceiling, xtol=1e-5))
