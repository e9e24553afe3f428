"""How far a scorer and people, or several raters, agree, by stage or arm. Arrays only."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rctgap.chance_agreement import (
    ONE_CLUSTER,
    Agreement,
    Measure,
    Metric,
    Scheme,
    cohen_kappa,
    kish,
    krippendorff_alpha,
    refuse_ratings,
)
from rctgap.error_rates import ErrorRates
from rctgap.intervals import critical_value, wilson
from rctgap.rectification import ArmMean, arm_means

__all__ = [
    "effective_rates",
    "rater_agreement",
    "scorer_agreement",
]

type Array = npt.NDArray[np.float64]
type Labels = npt.NDArray[np.generic]

ROUNDING = 1e-12


def scorer_agreement(
    automatic: Array,
    human: Array,
    participant: Labels,
    *,
    weight: Array | None = None,
    group: Labels | None = None,
    level: float = 0.95,
) -> tuple[Agreement, ...]:
    r"""Agreement, sensitivity, specificity, predictive values and kappa of a scorer against human labels, by group.

    Parameters
    ----------
    automatic, human : ndarray, shape (n,)
        Labelled cases alone, values between 0 and 1.
    participant : ndarray, shape (n,)
        Clusters.
    weight : ndarray, shape (n,), optional
        One over the probability of the case to be labelled; equal without it.
    group : ndarray, shape (n,), optional
        Stage or arm of each case; one group without it.
    level : float

    Returns
    -------
    tuple of Agreement
        Six for each group, in the order of the groups' labels.

    Raises
    ------
    DataError
        No case, arrays of unequal length, a value outside [0, 1], a weight of 0 or less.

    Notes
    -----
    All but kappa are weighted means, sensitivity that of the automatic scores with weights ``weight * human``, and so
    on, which for 0 and 1 are the usual rates. Their intervals are Wilson's with the effective number of cases
    :math:`p (1 - p) / V`, V the cluster-robust variance (CR2), times :math:`(z / t)^2` for its degrees of freedom, and
    never more than the cases; where no case varies it is Kish's effective number with cases of one participant alike.

    References
    ----------
    Korn and Graubard (1998), Survey Methodology 24(2), 193-201, for the effective number of cases.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.agreement import scorer_agreement
    >>> human, automatic = np.repeat([1.0, 0.0], [40, 60]), np.tile([1.0, 1, 1, 1, 0, 0, 0, 0, 0, 0], 10)
    >>> for one in scorer_agreement(automatic, human, np.arange(100))[:3]:
    ...     print(one.measure, round(one.estimate, 2), round(one.interval.lower, 2), round(one.interval.upper, 2))
    agreement 0.52 0.42 0.62
    sensitivity 0.4 0.26 0.56
    specificity 0.6 0.47 0.72
    """
    weights = np.ones(human.shape) if weight is None else weight
    refuse_ratings(np.column_stack([automatic, human]), participant, weights)
    return tuple(
        one
        for name, mine in _groups(group, human.size)
        for one in _of_scorer(name, automatic[mine], human[mine], participant[mine], weights[mine], level)
    )


def rater_agreement(
    ratings: Array,
    participant: Labels,
    *,
    weight: Array | None = None,
    group: Labels | None = None,
    scheme: Scheme = "none",
    metric: Metric = "nominal",
    level: float = 0.95,
) -> tuple[Agreement, ...]:
    """Krippendorff's alpha of several raters, and Cohen's kappa of two, by group.

    Parameters
    ----------
    ratings : ndarray, shape (n, R)
        A column per rater, NaN where one did not rate the case.
    participant, weight, group, level
        As `scorer_agreement` takes them.
    scheme : {"none", "linear", "quadratic"}
        Weights of kappa.
    metric : {"nominal", "ordinal", "interval"}
        Distances of alpha.

    Returns
    -------
    tuple of Agreement
        Kappa is of the cases that both rated.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.agreement import rater_agreement
    >>> ratings = np.array([[1.0, 1], [0, 0], [1, 0], [0, 0], [1, 1], [0, np.nan]])
    >>> [(one.measure, round(one.estimate, 3), one.cases) for one in rater_agreement(ratings, np.arange(6))]
    [('alpha', 0.64, 5), ('kappa', 0.615, 5)]
    """
    weights = np.ones(ratings.shape[0]) if weight is None else weight
    found = []
    for name, mine in _groups(group, ratings.shape[0]):
        own, who, heavy = ratings[mine], participant[mine], weights[mine]
        alpha = krippendorff_alpha(own, who, metric=metric, weight=heavy, level=level)
        found.append(replace(alpha, group=name))
        both = ~np.isnan(own).any(axis=1)
        if own.shape[1] == 2 and both.any():  # noqa: PLR2004 - Cohen's kappa is of two raters
            pair = own[both].T
            kappa = cohen_kappa(pair[0], pair[1], who[both], scheme=scheme, weight=heavy[both], level=level)
            found.append(replace(kappa, group=name))
    return tuple(found)


def effective_rates(
    scorer: str, automatic: Array, human: Array, participant: Labels, weight: Array | None = None
) -> ErrorRates:
    """Error rates as the counts of independent cases that would be as precise as these clustered, weighted ones.

    They are what `scorer_agreement` gives its intervals for sensitivity and specificity from.

    Raises
    ------
    DataError
        No case that people call right, or none that they call wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.agreement import effective_rates
    >>> human, automatic = np.repeat([1.0, 0.0], [40, 60]), np.tile([1.0, 1, 1, 1, 0, 0, 0, 0, 0, 0], 10)
    >>> found = effective_rates("edit_distance", automatic, human, np.arange(100))
    >>> round(found.sensitivity, 2), round(found.hits + found.misses), round(found.specificity, 2)
    (0.4, 39, 0.6)
    """
    weights = np.ones(human.shape) if weight is None else weight
    refuse_ratings(np.column_stack([automatic, human]), participant, weights)
    se, right = _rate(automatic, weights * human, participant)
    sp, wrong = _rate(1 - automatic, weights * (1 - human), participant)
    return ErrorRates(scorer, se * right, (1 - se) * right, sp * wrong, (1 - sp) * wrong)


def _rate(values: Array, weight: Array, participant: Labels) -> tuple[float, float]:
    """A weighted mean and its effective number of cases; 0 cases where nothing has weight."""
    if not (weight > 0).any():
        return 0.0, 0.0
    mean, kish = _mean(values, weight, participant)
    return mean.estimate, _effective(mean, kish)


def _of_scorer(
    name: str, automatic: Array, human: Array, participant: Labels, weight: Array, level: float
) -> Iterator[Agreement]:
    rates: tuple[tuple[Measure, Array, Array, str], ...] = (
        ("agreement", 1 - np.abs(automatic - human), weight, ""),
        ("sensitivity", automatic, weight * human, "No case is right by the labels."),
        ("specificity", 1 - automatic, weight * (1 - human), "No case is wrong by the labels."),
        ("ppv", human, weight * automatic, "The scorer calls no case right."),
        ("npv", 1 - human, weight * (1 - automatic), "The scorer calls no case wrong."),
    )
    for measure, values, heavy, lacking in rates:
        if not (heavy > 0).any():
            yield Agreement(measure, name, math.nan, math.nan, None, 0, 0, lacking)
            continue
        mean, kish = _mean(values, heavy, participant)
        interval, note = None, ONE_CLUSTER
        if mean.clusters > 1:
            correction = (
                1.0 if _still(mean) else (critical_value(level, math.inf) / critical_value(level, mean.df)) ** 2
            )
            interval, note = wilson(mean.estimate, _effective(mean, kish) * correction, level), ""
        yield Agreement(measure, name, mean.estimate, mean.std_error, interval, mean.rows, mean.clusters, note)
    yield replace(cohen_kappa(automatic, human, participant, weight=weight, level=level), group=name)


def _mean(values: Array, weight: Array, participant: Labels) -> tuple[ArmMean, float]:
    """A weighted mean of the cases that have weight, and Kish's number of them, those of a participant alike."""
    kept = weight > 0
    who = np.unique(participant[kept], return_inverse=True)[1]
    mean = arm_means(values[kept], np.zeros(int(kept.sum())), who, weight[kept])[0]
    return replace(mean, estimate=min(max(mean.estimate, 0.0), 1.0)), kish(who, weight[kept])


def _still(mean: ArmMean) -> bool:
    return not mean.std_error > math.sqrt(ROUNDING)


def _effective(mean: ArmMean, kish: float) -> float:
    """Number of independent cases with the same variance: Kish's where nothing varies, never more than the cases."""
    if _still(mean):
        return kish
    return min(mean.estimate * (1 - mean.estimate) / mean.std_error**2, float(mean.rows))


def _groups(group: Labels | None, size: int) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    if group is None:
        yield "", np.ones(size, dtype=np.bool_)
        return
    for name in np.unique(group):
        yield str(name), np.asarray(group == name)
