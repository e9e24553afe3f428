"""Intervals from an estimate and its variance: t, Wilson, MOVER, Fieller, delta, max-t. Numbers only."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

__all__ = [
    "Interval",
    "ShareSet",
    "bca",
    "critical_value",
    "delta_share",
    "equal_tailed",
    "fieller",
    "finite",
    "highest_density",
    "imbens_manski",
    "max_t",
    "mover",
    "percentile",
    "ratio_set",
    "simultaneous_bands",
    "studentized",
    "symmetric",
    "wilson",
]

type Array = npt.NDArray[np.float64]
type SetType = Literal["bounded", "unbounded", "exclusive"]

_DIRECTIONS = 360
_HALVINGS = 30


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


def imbens_manski(ends: tuple[float, float], errors: tuple[float, float], df: float, level: float) -> Interval:
    """Confidence interval for a number that is known to lie between two bounds.

    Parameters
    ----------
    ends : (lower, upper)
        Estimated bounds.
    errors : (lower, upper)
        Their standard errors, not both 0.
    df : float
        Of the t reference; infinite for the normal, as in the paper.

    Notes
    -----
    The lower bound minus, and the upper plus, C standard errors, with ``F(C + width / s) - F(-C) = level``, F the
    distribution function of t, s the larger standard error. C is the two-sided critical value where the bounds meet
    and falls to the one-sided one as they part. Of the two ends that a set has only one can be missed at a time,
    so the interval covers each number in the set, not the whole set, at its level. That needs the width to be known
    better than the ends where it is small (Stoye, lemma 3), which holds for bounds that are ordered in every sample.

    References
    ----------
    Imbens and Manski (2004), doi 10.1111/j.1468-0262.2004.00555.x; Stoye (2009), doi 10.3982/ECTA7347.
    """
    two_sided, one_sided = critical_value(level, df), critical_value(2.0 * level - 1.0, df)
    shift = (ends[1] - ends[0]) / max(errors)

    def missed(critical: float) -> float:
        if math.isinf(df):
            return float(stats.norm.sf(critical + shift) + stats.norm.sf(critical)) - (1.0 - level)
        return float(stats.t.sf(critical + shift, df) + stats.t.sf(critical, df)) - (1.0 - level)

    if missed(one_sided) <= 0:
        critical = one_sided
    elif missed(two_sided) >= 0:
        critical = two_sided
    else:
        critical = float(optimize.brentq(missed, one_sided, two_sided, xtol=1e-13))
    return Interval(ends[0] - critical * errors[0], ends[1] + critical * errors[1], "imbens-manski")


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


def finite(end: float | None) -> float | None:
    """An end as files hold it: none where it is infinite."""
    return None if end is None or math.isinf(end) else end


def delta_share(numerator: float, denominator: float, joint: Array) -> float:
    """Standard error of numerator / denominator to first order."""
    ratio = numerator / denominator
    gradient = np.array([1.0, -ratio]) / denominator
    return math.sqrt(max(float(gradient @ joint @ gradient), 0.0))


def ratio_set(member: Callable[[Array, Array], npt.NDArray[np.bool_]], ratio: float) -> ShareSet:
    """Confidence set of a ratio by inversion: the arc of accepted directions around the estimate.

    Parameters
    ----------
    member : callable
        Takes `(x, y)`, shape (N,), and says for which the interval of ``x * numerator - y * denominator``
        holds 0, that is, where the ratio y / x is accepted.
    ratio : float
        The estimate, which is in the set; plus or minus infinity where the denominator is 0.
    """
    centre, step = math.atan(ratio), np.pi / _DIRECTIONS
    angles = centre + step * np.arange(1, _DIRECTIONS)
    accepted = member(np.cos(angles), np.sin(angles))
    if accepted.all():
        return ShareSet(-math.inf, math.inf, "unbounded")
    right, left = int(np.argmin(accepted)), int(np.argmin(accepted[::-1]))

    def end(inside: float, outside: float) -> float:
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            held = bool(member(np.array([math.cos(middle)]), np.array([math.sin(middle)]))[0])
            inside, outside = (middle, outside) if held else (inside, middle)
        return inside

    upper = end(centre + right * step, centre + (right + 1) * step)
    lower = end(centre - left * step, centre - (left + 1) * step)
    wraps = upper > np.pi / 2 or lower < -np.pi / 2
    ends = math.tan(lower), math.tan(upper)
    return ShareSet(min(ends), max(ends), "exclusive") if wraps else ShareSet(*ends, "bounded")


def percentile(draws: Array, level: float) -> Interval:
    """The middle of the replicates, shape (B,)."""
    tail = (1.0 - level) / 2.0
    ends = np.quantile(draws, [tail, 1.0 - tail])
    return Interval(float(ends[0]), float(ends[1]), "percentile")


def equal_tailed(draws: Array, level: float) -> Interval:
    """The middle of posterior draws, shape (B,): as much probability below it as above."""
    return replace(percentile(draws, level), kind="equal_tailed")


def highest_density(draws: Array, level: float) -> Interval:
    """The shortest interval that holds `level` of posterior draws, shape (B,).

    References
    ----------
    Chen and Shao (1999), doi 10.1080/10618600.1999.10474802.
    """
    ordered = np.sort(draws)
    span = min(math.floor(level * ordered.size), ordered.size - 1)
    start = int(np.argmin(ordered[span:] - ordered[: ordered.size - span]))
    return Interval(float(ordered[start]), float(ordered[start + span]), "hdi")


def simultaneous_bands(draws: Array, level: float) -> tuple[Interval, ...]:
    """Equal-tailed intervals that hold all quantities at once with posterior probability `level`.

    Parameters
    ----------
    draws : ndarray, shape (Q, B)

    Notes
    -----
    Every quantity gives up the same number of draws in each tail, the largest number that leaves `level` of the joint
    draws inside every interval. It is the max-t band's idea by ranks, so skewed posteriors keep their shape.

    References
    ----------
    Besag, Green, Higdon and Mengersen (1995), doi 10.1214/ss/1177010123.
    """
    ordered = np.sort(draws, axis=1)
    below = np.array([np.searchsorted(own, one, side="right") for own, one in zip(ordered, draws, strict=True)])
    above = np.array([own.size - np.searchsorted(own, one) for own, one in zip(ordered, draws, strict=True)])
    depth = np.sort(np.minimum(below, above).min(axis=0))
    cut = int(depth[min(math.floor((1.0 - level) * depth.size), depth.size - 1)])
    return tuple(Interval(float(own[cut - 1]), float(own[-cut]), "simultaneous") for own in ordered)


def bca(draws: Array, estimate: float, acceleration: float, level: float) -> Interval:
    """Percentiles moved for bias and skewness; the plain ones where every replicate lies on one side.

    References
    ----------
    Efron (1987), doi 10.1080/01621459.1987.10478410.
    """
    below = float(((draws < estimate).mean() + (draws <= estimate).mean()) / 2)
    if not 0 < below < 1:
        return percentile(draws, level)
    shift = float(stats.norm.ppf(below))
    normal = np.asarray(stats.norm.ppf([(1.0 - level) / 2.0, (1.0 + level) / 2.0]))
    moved = shift + (shift + normal) / (1.0 - acceleration * (shift + normal))
    ends = np.quantile(draws, np.asarray(stats.norm.cdf(moved)))
    return Interval(float(ends[0]), float(ends[1]), "bca")


def studentized(estimate: float, std_error: float, pivots: Array, level: float) -> Interval:
    """Bootstrap-t: the replicates' distances in their own standard errors, turned round.

    References
    ----------
    Hall (1992), doi 10.1007/978-1-4612-4384-7.
    """
    tail = (1.0 - level) / 2.0
    ends = np.quantile(pivots, [tail, 1.0 - tail])
    return Interval(float(estimate - ends[1] * std_error), float(estimate - ends[0] * std_error), "studentized")


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
