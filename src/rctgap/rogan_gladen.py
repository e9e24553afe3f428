"""Means of an errorful scorer put right by its sensitivity and specificity (Rogan and Gladen). Arrays only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rctgap.error_rates import ErrorRates
from rctgap.errors import EstimationError, Fault
from rctgap.intervals import Interval, critical_value

__all__ = ["Corrected", "corrected_draws", "corrected_means", "lang_reiczigel"]

type Array = npt.NDArray[np.float64]

SAME = "It is assumed that a scorer's error rates are the same in every arm, item and stage that it scores."


@dataclass(frozen=True, slots=True)
class Corrected:
    """Corrected means and their joint covariance.

    Attributes
    ----------
    means : ndarray, shape (Q,)
        Not truncated: a value outside [0, 1] says that the rates do not fit the scores.
    covariance : ndarray, shape (Q, Q)
    notes : tuple of str
        The assumption, then every mean that lies outside [0, 1].
    """

    means: Array
    covariance: Array
    notes: tuple[str, ...]


def corrected_means(
    means: Array, covariance: Array, rates: Sequence[ErrorRates | None], names: Sequence[str]
) -> Corrected:
    r"""Correct several means at once; those that share a scorer share the uncertainty of its rates.

    Parameters
    ----------
    means : ndarray, shape (Q,)
        Shares that the scorers call right.
    covariance : ndarray, shape (Q, Q)
        Of those shares, cluster-robust.
    rates : sequence of (ErrorRates or None), length Q
        The scorer of each; None where scores are true. Equal records are one scorer.
    names : sequence of str, length Q
        What messages call the means.

    Returns
    -------
    Corrected

    Raises
    ------
    EstimationError
        A scorer with sensitivity + specificity of 1 or less, which tells nothing about the truth.

    Notes
    -----
    :math:`\theta = (p + sp - 1) / (se + sp - 1)`, with derivatives :math:`1 / J`, :math:`-\theta / J` and
    :math:`(1 - \theta) / J` by p, se and sp, :math:`J = se + sp - 1`. The covariance is the delta method's, with labels
    independent of the scores. The variances of se and sp are binomial with one more case of either kind, so that they
    are not 0 where the labels show no error. It corrects means, not flows between stages.

    References
    ----------
    Rogan and Gladen (1978), doi 10.1093/oxfordjournals.aje.a112510.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.error_rates import ErrorRates
    >>> from rctgap.rogan_gladen import corrected_means
    >>> rates = ErrorRates("edit_distance", hits=90, misses=10, correct_rejections=80, false_alarms=20)
    >>> found = corrected_means(np.array([0.55]), np.array([[0.0004]]), [rates], ["own_query"])
    >>> round(float(found.means[0]), 3), round(float(found.covariance[0, 0]) ** 0.5, 3)
    (0.5, 0.046)
    """
    _refuse_uninformative(rates)
    theta = np.array([_correct(p, one) for p, one in zip(means.tolist(), rates, strict=True)])
    scale = np.array([1.0 if one is None else 1.0 / _youden(one) for one in rates])
    joint = covariance * np.outer(scale, scale)
    for scorer in {one: None for one in rates if one is not None}:
        mine = np.array([one == scorer for one in rates])
        by_se, by_sp = np.where(mine, -theta * scale, 0.0), np.where(mine, (1.0 - theta) * scale, 0.0)
        joint = joint + _variance(scorer.hits, scorer.misses) * np.outer(by_se, by_se)
        joint = joint + _variance(scorer.correct_rejections, scorer.false_alarms) * np.outer(by_sp, by_sp)
    outside = [
        f"The corrected mean of {name} is {value:.3f}, outside [0, 1]: the rates do not fit these scores."
        for name, value, one in zip(names, theta, rates, strict=True)
        if one is not None and not 0 <= value <= 1
    ]
    return Corrected(theta, joint, (SAME, *outside))


def corrected_draws(draws: Array, rates: Sequence[ErrorRates | None], rng: np.random.Generator) -> Array:
    """Correct draws of means, each with rates drawn once for every scorer.

    Parameters
    ----------
    draws : ndarray, shape (B, Q)
        Bootstrap replicates or posterior draws of the shares that the scorers call right.
    rates : sequence of (ErrorRates or None), length Q

    Returns
    -------
    ndarray, shape (B, Q)

    Raises
    ------
    EstimationError
        A scorer with sensitivity + specificity of 1 or less.

    Notes
    -----
    Sensitivity ~ Beta(hits + 1/2, misses + 1/2), specificity ~ Beta(correct rejections + 1/2, false alarms + 1/2),
    the posteriors under Jeffreys' priors, independent, and drawn again where they sum to 1 or less.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.error_rates import ErrorRates
    >>> from rctgap.rogan_gladen import corrected_draws
    >>> rates = ErrorRates("edit_distance", hits=900, misses=100, correct_rejections=800, false_alarms=200)
    >>> found = corrected_draws(np.full((1000, 2), 0.55), [rates, None], np.random.default_rng(1))
    >>> found.mean(axis=0).round(2).tolist()
    [0.5, 0.55]
    """
    _refuse_uninformative(rates)
    found = draws.copy()
    for scorer in {one: None for one in rates if one is not None}:
        se, sp = _drawn(scorer, draws.shape[0], rng)
        mine = [place for place, one in enumerate(rates) if one == scorer]
        found[:, mine] = (draws[:, mine] + (sp - 1.0)[:, None]) / (se + sp - 1.0)[:, None]
    return found


def lang_reiczigel(positive: float, size: float, rates: ErrorRates, level: float = 0.95) -> Interval:
    """Confidence interval of one corrected proportion out of independent cases.

    Parameters
    ----------
    positive, size : float
        Cases that the scorer calls right, and all cases.
    rates : ErrorRates
    level : float

    Returns
    -------
    Interval
        Cut at 0 and 1.

    Notes
    -----
    An adjusted Wald interval: z^2 / 2 cases are added to either side of the scores and one to either side of the
    labels, and the centre is moved for skewness.

    References
    ----------
    Lang and Reiczigel (2014), doi 10.1016/j.prevetmed.2013.09.015.

    Examples
    --------
    >>> from rctgap.error_rates import ErrorRates
    >>> from rctgap.rogan_gladen import lang_reiczigel
    >>> rates = ErrorRates("edit_distance", hits=90, misses=10, correct_rejections=80, false_alarms=20)
    >>> found = lang_reiczigel(110, 200, rates)
    >>> round(found.lower, 3), round(found.upper, 3)
    (0.375, 0.62)
    """
    _refuse_uninformative([rates])
    z2 = critical_value(level, math.inf) ** 2
    share = (positive + z2 / 2) / (size + z2)
    n_right, n_wrong = rates.hits + rates.misses + 2, rates.correct_rejections + rates.false_alarms + 2
    se, sp = (rates.hits + 1) / n_right, (rates.correct_rejections + 1) / n_wrong
    youden = se + sp - 1
    centre = (share + sp - 1) / youden
    of_se, of_sp = se * (1 - se) / n_right, sp * (1 - sp) / n_wrong
    moved = centre + 2 * z2 * (centre * of_se - (1 - centre) * of_sp)
    spread = share * (1 - share) / (size + z2) + centre**2 * of_se + (1 - centre) ** 2 * of_sp
    half = math.sqrt(z2 * spread) / abs(youden)
    return Interval(max(0.0, moved - half), min(1.0, moved + half), "lang-reiczigel")


def _youden(rates: ErrorRates) -> float:
    """Youden's index: how much more often the scorer says right of right cases than of wrong ones."""
    return rates.sensitivity + rates.specificity - 1.0


def _correct(share: float, rates: ErrorRates | None) -> float:
    return share if rates is None else (share + rates.specificity - 1.0) / _youden(rates)


def _variance(yes: float, no: float) -> float:
    """Binomial variance of yes / (yes + no), with one more case of either kind."""
    return (yes + 1) * (no + 1) / (yes + no + 2) ** 3


def _drawn(rates: ErrorRates, size: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Sensitivities and specificities that sum to more than 1, shape (size,) each."""
    se, sp = np.empty(size), np.empty(size)
    todo = np.arange(size)
    while todo.size:
        se[todo] = rng.beta(rates.hits + 0.5, rates.misses + 0.5, todo.size)
        sp[todo] = rng.beta(rates.correct_rejections + 0.5, rates.false_alarms + 0.5, todo.size)
        todo = todo[se[todo] + sp[todo] <= 1.0]
    return se, sp


def _refuse_uninformative(rates: Sequence[ErrorRates | None]) -> None:
    faults = [
        Fault(
            f"scorer {one.scorer!r} has sensitivity {one.sensitivity:.3f} and specificity {one.specificity:.3f}, "
            "which sum to 1 or less: its scores say nothing about the truth",
            "Use another scorer, or label answers with known probability and rectify the scores",
        )
        for one in dict.fromkeys(rates)
        if one is not None and _youden(one) <= 0
    ]
    if faults:
        raise EstimationError(*faults)
