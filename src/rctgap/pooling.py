"""Number functions: estimates of several trials pooled under random effects, and in a Bayesian hierarchical model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special, stats

from rctgap.errors import EstimationError, Fault
from rctgap.intervals import critical_value

__all__ = ["HierarchicalPool", "PoolingPrior", "RandomEffects", "TrialEffect", "hierarchical", "random_effects"]

type Array = npt.NDArray[np.float64]

FEWEST = 2
FEWEST_TO_PREDICT = 3
_STEP = 0.01
_NEGLIGIBLE = 40.0  # in log density
_FAR = 10.0  # standard deviations of a normal


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Estimates pooled under random effects.

    Attributes
    ----------
    estimate, std_error, df, lower, upper : float
        Mean over trials, with the Hartung-Knapp standard error and interval at t(k - 1).
    tau : float
        Standard deviation of the true values between trials (Paule-Mandel).
    tau_lower, tau_upper : float or None
        Q-profile interval; None where the estimates agree better than chance would have it at this level.
    i2 : float
        Share of the spread of the estimates that chance does not explain, from Q.
    q, q_p : float
        Cochran's Q, and its p-value at chi-squared (k - 1).
    prediction_lower, prediction_upper : float or None
        Where the true value of a new trial would lie, at t(k - 2); None for two trials.
    weights : tuple of float
        Of the trials, summing to 1.
    """

    estimate: float
    std_error: float
    df: int
    lower: float
    upper: float
    level: float
    tau: float
    tau_lower: float | None
    tau_upper: float | None
    i2: float
    q: float
    q_p: float
    prediction_lower: float | None
    prediction_upper: float | None
    k: int
    weights: tuple[float, ...]


def random_effects(estimates: Sequence[float], std_errors: Sequence[float], level: float = 0.95) -> RandomEffects:
    """Pool independent estimates whose true values differ from trial to trial.

    Parameters
    ----------
    estimates, std_errors : sequence of float, length k
        In any one unit; the standard errors count as known.
    level : float

    Returns
    -------
    RandomEffects

    Raises
    ------
    EstimationError
        Fewer than two trials, or an estimate or standard error that cannot be used.

    Notes
    -----
    The variance between trials is Paule and Mandel's: the one at which the generalised Q equals its expectation k - 1.
    It needs no distribution of the true values, and belongs with the Q-profile interval. The interval is Hartung and
    Knapp's with the ad hoc correction: the variance of the mean is multiplied by max(1, q), q the weighted mean square
    about the mean, so that it is never narrower than the normal interval of the same tau. With Paule and Mandel's tau
    above 0, q is 1.

    References
    ----------
    Paule and Mandel (1982), doi 10.6028/jres.087.022; Hartung and Knapp (2001), doi 10.1002/sim.1009; Roever, Knapp and
    Friede (2015), doi 10.1186/s12874-015-0091-1; Viechtbauer (2007), doi 10.1002/sim.2514, for the Q-profile interval;
    Higgins, Thompson and Spiegelhalter (2009), doi 10.1111/j.1467-985X.2008.00552.x, for prediction.

    Examples
    --------
    >>> from rctgap.pooling import random_effects
    >>> pooled = random_effects([0.10, 0.16, 0.25], [0.02, 0.02, 0.03])
    >>> round(pooled.estimate, 3), round(pooled.tau, 3), round(pooled.lower, 3), round(pooled.upper, 3)
    (0.168, 0.071, -0.018, 0.353)
    """
    y, s = _checked(estimates, std_errors)
    k, variance = len(y), s**2
    tau2 = _tau2_at(y, variance, k - 1.0)
    weight = 1.0 / (variance + tau2)
    mean = float(weight @ y / weight.sum())
    scale = max(1.0, float(weight @ (y - mean) ** 2) / (k - 1))
    std_error = math.sqrt(scale / weight.sum())
    half = critical_value(level, k - 1) * std_error
    q = _generalised_q(y, variance, 0.0)
    low, high = _tau_interval(y, variance, level)
    ahead = critical_value(level, k - 2) * math.hypot(math.sqrt(tau2), std_error) if k >= FEWEST_TO_PREDICT else None
    return RandomEffects(
        estimate=mean,
        std_error=std_error,
        df=k - 1,
        lower=mean - half,
        upper=mean + half,
        level=level,
        tau=math.sqrt(tau2),
        tau_lower=low,
        tau_upper=high,
        i2=max(0.0, 1.0 - (k - 1) / q) if q > 0 else 0.0,
        q=q,
        q_p=float(stats.chi2.sf(q, k - 1)),
        prediction_lower=None if ahead is None else mean - ahead,
        prediction_upper=None if ahead is None else mean + ahead,
        k=k,
        weights=tuple(float(one) for one in weight / weight.sum()),
    )


def _checked(estimates: Sequence[float], std_errors: Sequence[float]) -> tuple[Array, Array]:
    """Both as arrays; what cannot be pooled is refused."""
    y, s = np.asarray(estimates, dtype=np.float64), np.asarray(std_errors, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise EstimationError(
            Fault(f"{y.shape} estimates and {s.shape} standard errors", "Give one standard error for each estimate")
        )
    if len(y) < FEWEST:
        raise EstimationError(Fault(f"{len(y)} estimate cannot be pooled", f"At least {FEWEST} trials"))
    if not (np.isfinite(y).all() and np.isfinite(s).all() and (s > 0).all()):
        raise EstimationError(
            Fault("an estimate is not finite, or a standard error not above 0", "Leave such trials out of pooling")
        )
    return y, s


def _generalised_q(y: Array, variance: Array, tau2: float) -> float:
    weight = 1.0 / (variance + tau2)
    return float(weight @ (y - weight @ y / weight.sum()) ** 2)


def _tau2_at(y: Array, variance: Array, target: float) -> float:
    """The variance between trials at which the generalised Q, which falls with it, meets a target; 0 if it never does.

    Solved to machine precision; statsmodels' Paule-Mandel stops where Q is within 1e-5 of its target.
    """
    if _generalised_q(y, variance, 0.0) <= target:
        return 0.0
    highest = 1.01 * float(((y - y.mean()) ** 2).sum()) / target
    return float(
        optimize.brentq(lambda tau2: _generalised_q(y, variance, tau2) - target, 0.0, highest, xtol=1e-16, rtol=1e-12)
    )


def _tau_interval(y: Array, variance: Array, level: float) -> tuple[float | None, float | None]:
    """The Q-profile interval of tau: where the generalised Q lies between its quantiles."""
    tail = (1.0 - level) / 2.0
    largest, smallest = (float(cut(tail, len(y) - 1)) for cut in (stats.chi2.isf, stats.chi2.ppf))
    if _generalised_q(y, variance, 0.0) < smallest:
        return None, None
    return math.sqrt(_tau2_at(y, variance, largest)), math.sqrt(_tau2_at(y, variance, smallest))


@dataclass(frozen=True, slots=True)
class PoolingPrior:
    """Priors of the hierarchical model, in proportions: mean ~ Normal(0, `mu_sd`), tau ~ half-normal(`tau_scale`)."""

    mu_sd: float = 0.5
    tau_scale: float = 0.1

    def __post_init__(self) -> None:
        """Refuse scales that are no scales."""
        for name, value in (("mu_sd", self.mu_sd), ("tau_scale", self.tau_scale)):
            if not (math.isfinite(value) and value > 0):
                raise EstimationError(
                    Fault("a prior's scale must be a number above 0", "For example 0.1", place=name, value=str(value))
                )


@dataclass(frozen=True, slots=True)
class TrialEffect:
    """The true value of one trial, shrunken towards the others."""

    estimate: float
    std_dev: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class HierarchicalPool:
    """The posterior of the hierarchical model.

    Attributes
    ----------
    estimate, std_dev, lower, upper : float
        Posterior mean and standard deviation of the mean over trials; equal-tailed interval.
    tau, tau_lower, tau_upper : float
        Posterior median of the standard deviation between trials; equal-tailed interval.
    prob_positive, prob_within_margin : float
        P(mean > 0) and P(abs(mean) < margin).
    prediction_lower, prediction_upper : float
        Equal-tailed interval of the true value of a new trial.
    trials : tuple of TrialEffect
    """

    estimate: float
    std_dev: float
    lower: float
    upper: float
    level: float
    tau: float
    tau_lower: float
    tau_upper: float
    prob_positive: float
    margin: float
    prob_within_margin: float
    prediction_lower: float
    prediction_upper: float
    k: int
    trials: tuple[TrialEffect, ...]


def hierarchical(
    estimates: Sequence[float],
    std_errors: Sequence[float],
    level: float = 0.95,
    margin: float = 0.05,
    prior: PoolingPrior | None = None,
) -> HierarchicalPool:
    """Pool independent estimates in the normal-normal hierarchical model, by quadrature: no sampling, no seed.

    Parameters
    ----------
    estimates, std_errors : sequence of float, length k
        Proportions; the standard errors count as known.
    level, margin : float
    prior : PoolingPrior, optional

    Returns
    -------
    HierarchicalPool

    Raises
    ------
    EstimationError
        Fewer than two trials, or an estimate or standard error that cannot be used.

    Notes
    -----
    Given tau everything is normal, so the posterior is a mixture of normals over tau. The mixture is the trapezoid
    rule in u, tau = min(std_errors) sinh(u): the integrand is smooth and even in u, for which the rule converges faster
    than any power of its step.

    References
    ----------
    Roever (2020), doi 10.18637/jss.v093.i06.

    Examples
    --------
    >>> from rctgap.pooling import hierarchical
    >>> pooled = hierarchical([0.10, 0.16, 0.25], [0.02, 0.02, 0.03])
    >>> round(pooled.estimate, 3), round(pooled.lower, 3), round(pooled.upper, 3), round(pooled.prob_positive, 2)
    (0.165, 0.047, 0.282, 0.99)
    """
    y, s = _checked(estimates, std_errors)
    chosen = prior or PoolingPrior()
    tau, weight, mean, variance = _mixture(y, s, chosen)
    centre, deviation = _moments(weight, mean, variance)
    lower, upper = _ends(weight, mean, np.sqrt(variance), level)
    ahead = _ends(weight, mean, np.sqrt(variance + tau**2), level)
    below = _distribution(weight, mean, np.sqrt(variance))
    middle, shortest, longest = _tau_quantiles(tau, weight, level)
    return HierarchicalPool(
        estimate=centre,
        std_dev=deviation,
        lower=lower,
        upper=upper,
        level=level,
        tau=middle,
        tau_lower=shortest,
        tau_upper=longest,
        prob_positive=1.0 - below(0.0),
        margin=margin,
        prob_within_margin=below(margin) - below(-margin),
        prediction_lower=ahead[0],
        prediction_upper=ahead[1],
        k=len(y),
        trials=tuple(_trial(float(a), float(b), tau, weight, mean, variance, level) for a, b in zip(y, s, strict=True)),
    )


def _mixture(y: Array, s: Array, prior: PoolingPrior) -> tuple[Array, Array, Array, Array]:
    """Nodes of tau with their posterior weights, and mean and variance of the pooled mean at each."""
    unit, farthest = float(s.min()), _FAR * prior.tau_scale
    while True:
        u = np.arange(0.0, math.asinh(farthest / unit) + _STEP, _STEP)
        tau = unit * np.sinh(u)
        spread = s[:, None] ** 2 + tau**2
        precision = (1.0 / spread).sum(axis=0) + prior.mu_sd**-2
        mean = (y[:, None] / spread).sum(axis=0) / precision
        squares = ((y[:, None] - mean) ** 2 / spread).sum(axis=0) + (mean / prior.mu_sd) ** 2
        log_density = -0.5 * (np.log(spread).sum(axis=0) + np.log(precision) + squares + (tau / prior.tau_scale) ** 2)
        if log_density[-1] < log_density.max() - _NEGLIGIBLE:
            break
        farthest *= 2.0
    weight = np.exp(log_density - log_density.max()) * np.cosh(u)
    weight[0] /= 2.0
    return tau, weight / weight.sum(), mean, 1.0 / precision


def _moments(weight: Array, mean: Array, variance: Array) -> tuple[float, float]:
    """Mean and standard deviation of a mixture of normals."""
    centre = float(weight @ mean)
    return centre, math.sqrt(float(weight @ (variance + (mean - centre) ** 2)))


def _distribution(weight: Array, mean: Array, deviation: Array) -> Callable[[float], float]:
    """Distribution function of a mixture of normals."""
    return lambda value: float(weight @ special.ndtr((value - mean) / deviation))


def _ends(weight: Array, mean: Array, deviation: Array, level: float) -> tuple[float, float]:
    """Equal-tailed interval of a mixture of normals."""
    below, tail = _distribution(weight, mean, deviation), (1.0 - level) / 2.0
    bracket = float((mean - _FAR * deviation).min()), float((mean + _FAR * deviation).max())
    lower, upper = (
        float(optimize.brentq(lambda value, at=at: below(value) - at, *bracket, xtol=1e-12)) for at in (tail, 1 - tail)
    )
    return lower, upper


def _tau_quantiles(tau: Array, weight: Array, level: float) -> tuple[float, float, float]:
    """Median and equal-tailed ends of tau, between the nodes by interpolation."""
    cumulative = np.cumsum(weight) - weight / 2.0
    cumulative[0] = 0.0
    tail = (1.0 - level) / 2.0
    middle, lower, upper = np.interp([0.5, tail, 1.0 - tail], cumulative, tau)
    return float(middle), float(lower), float(upper)


def _trial(
    estimate: float, std_error: float, tau: Array, weight: Array, mean: Array, variance: Array, level: float
) -> TrialEffect:
    """The posterior of one trial's true value: at each tau, its estimate pulled towards the mean."""
    pull = std_error**2 / (std_error**2 + tau**2)
    centre = (1.0 - pull) * estimate + pull * mean
    spread = (1.0 - pull) * std_error**2 + pull**2 * variance
    whole, deviation = _moments(weight, centre, spread)
    return TrialEffect(whole, deviation, *_ends(weight, centre, np.sqrt(spread), level))
