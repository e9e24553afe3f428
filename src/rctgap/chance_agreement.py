"""Agreement of raters beyond chance: Cohen's kappa and Krippendorff's alpha with intervals. Arrays only."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rctgap.errors import DataError, Fault
from rctgap.intervals import Interval, critical_value, wilson

__all__ = [
    "ONE_CLUSTER",
    "Agreement",
    "Measure",
    "Metric",
    "Scheme",
    "cohen_kappa",
    "kish",
    "krippendorff_alpha",
    "refuse_ratings",
]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Labels = npt.NDArray[np.generic]
type Measure = Literal["agreement", "sensitivity", "specificity", "ppv", "npv", "kappa", "alpha"]
type Scheme = Literal["none", "linear", "quadratic"]
type Metric = Literal["nominal", "ordinal", "interval"]

ROUNDING = 1e-12
ONE_VALUE = "Every rating is the same, so that agreement by chance cannot be told from agreement."
PERFECT = "No disagreement was seen: the upper end is 1, and the lower end is a bound from the number of participants."
ONE_CLUSTER = "A single participant gives no interval."


@dataclass(frozen=True, slots=True)
class Agreement:
    """One measure of agreement in one group of cases.

    Attributes
    ----------
    measure : str
        One of `Measure`.
    group : str
        The cases it is about; empty for all.
    estimate : float
        NaN where it is undefined, and `note` says why.
    std_error : float
        Cluster-robust by participant.
    interval : Interval or None
    cases, clusters : int
        Cases and participants that enter.
    note : str
    """

    measure: Measure
    group: str
    estimate: float
    std_error: float
    interval: Interval | None
    cases: int
    clusters: int
    note: str = ""


def cohen_kappa(
    first: Array,
    second: Array,
    participant: Labels,
    *,
    scheme: Scheme = "none",
    weight: Array | None = None,
    level: float = 0.95,
) -> Agreement:
    r"""Cohen's kappa of two raters with a cluster-robust interval.

    Parameters
    ----------
    first, second : ndarray, shape (n,)
        Ratings; `scheme` counts steps between the values that occur, in their order.
    participant, weight, level
        Clusters; one over the probability to be labelled, equal without it; the level of the interval.
    scheme : {"none", "linear", "quadratic"}

    Returns
    -------
    Agreement

    Notes
    -----
    :math:`\kappa = 1 - D_o / D_e`, disagreement seen over that expected from the raters' own margins. The standard
    error is the delta method's on sums by participant, times G / (G - 1). The interval is that of
    :math:`\log (1 - \kappa)` with t(G - 1), so that it stays below 1. Without any disagreement it is a bound: the share
    of agreeing cases is at least Wilson's lower end with Kish's effective number of cases, and the rest disagree fully.

    References
    ----------
    Cohen (1960), doi 10.1177/001316446002000104; (1968), doi 10.1037/h0026256.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.chance_agreement import cohen_kappa
    >>> first, second = np.repeat([1.0, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1.0, 0, 1, 0], [20, 5, 10, 15])
    >>> round(cohen_kappa(first, second, np.arange(50)).estimate, 3)
    0.4
    """
    weights = np.ones(first.shape) if weight is None else weight
    refuse_ratings(np.column_stack([first, second]), participant, weights, bounded=False)
    values, codes = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = codes[: first.size], codes[first.size :]
    steps = np.abs(np.subtract.outer(np.arange(values.size), np.arange(values.size))) / max(values.size - 1, 1)
    distance = {"none": np.sign(steps), "linear": steps, "quadratic": steps**2}[scheme]
    share = weights / weights.sum()
    of_first, of_second = np.bincount(one, share, values.size), np.bincount(other, share, values.size)
    seen = distance[one, other]
    observed, expected = float(share @ seen), float(of_first @ distance @ of_second)
    who = np.unique(participant, return_inverse=True)[1]
    groups = int(who.max()) + 1
    if expected <= ROUNDING:
        return Agreement("kappa", "", math.nan, math.nan, None, first.size, groups, ONE_VALUE)
    by_chance = distance[one] @ of_second + of_first @ distance[:, other]
    influence = share * (-(seen - observed) / expected + observed / expected**2 * (by_chance - 2 * expected))
    sums = np.bincount(who, influence)
    error = math.sqrt(sums @ sums * groups / (groups - 1)) if groups > 1 else math.nan
    interval, note = _below_one(observed, expected, error, kish(who, weights), groups, level)
    return Agreement("kappa", "", 1 - observed / expected, error, interval, first.size, groups, note)


def krippendorff_alpha(
    ratings: Array,
    participant: Labels,
    *,
    metric: Metric = "nominal",
    weight: Array | None = None,
    level: float = 0.95,
) -> Agreement:
    r"""Krippendorff's alpha of any number of raters with a cluster-robust interval.

    Parameters
    ----------
    ratings : ndarray, shape (n, R)
        NaN where a rater did not rate the case. Cases with a single rating do not enter.
    participant, weight, level
        As in `cohen_kappa`. Weights are scaled to a mean of 1 over the cases that enter.
    metric : {"nominal", "ordinal", "interval"}

    Returns
    -------
    Agreement

    Notes
    -----
    :math:`\alpha = 1 - D_o / D_e` from the coincidences of values within cases. The standard error is the jackknife's
    that leaves out one participant at a time, because ordinal distances depend on the data; the interval is made as
    that of `cohen_kappa`.

    References
    ----------
    Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, https://repository.upenn.edu/asc_papers/43;
    Hayes and Krippendorff (2007), doi 10.1080/19312450709336664.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.chance_agreement import krippendorff_alpha
    >>> ratings = np.array([[1.0, 1], [0, 0], [1, 0], [0, 0], [1, 1]])
    >>> round(krippendorff_alpha(ratings, np.arange(5)).estimate, 3)
    0.64
    """
    weights = np.ones(ratings.shape[0]) if weight is None else weight
    refuse_ratings(np.where(np.isnan(ratings), 0.0, ratings), participant, weights, bounded=False)
    kept = (~np.isnan(ratings)).sum(axis=1) > 1
    if not kept.any():
        note = "No case has two ratings."
        return Agreement("alpha", "", math.nan, math.nan, None, 0, 0, note)
    rated, heavy = ratings[kept], weights[kept] / weights[kept].mean()
    who = np.unique(participant[kept], return_inverse=True)[1]
    groups = int(who.max()) + 1
    values, tables = _coincidences(rated, heavy, who)
    total = np.asarray(sum(tables), dtype=np.float64)
    observed, expected = _disagreement(total, values, metric)
    cases = int(kept.sum())
    if expected <= ROUNDING:
        return Agreement("alpha", "", math.nan, math.nan, None, cases, groups, ONE_VALUE)
    left = np.array([_alpha(total - one, values, metric) for one in tables])
    error = math.sqrt((groups - 1) / groups * float(np.sum((left - left.mean()) ** 2))) if groups > 1 else math.nan
    widest = float(_distances(total.sum(axis=1), values, metric).max())
    interval, note = _below_one(observed / widest, expected / widest, error, kish(who, heavy), groups, level)
    return Agreement("alpha", "", 1 - observed / expected, error, interval, cases, groups, note)


def kish(who: Codes, weight: Array) -> float:
    """Kish's effective number of cases, those of a cluster alike: squared sum over sum of squares of their weights."""
    sums = np.bincount(who, weight)
    return float(sums.sum() ** 2 / (sums @ sums))


def refuse_ratings(values: Array, participant: Labels, weight: Array, *, bounded: bool = True) -> None:
    """Refuse ratings of unequal length, outside [0, 1] (`bounded`) or infinite, and weights of 0 or less."""
    if not values.shape[0] == participant.size == weight.size or values.shape[0] == 0:
        raise DataError(Fault("there are no cases, or the arrays differ in length", "Give one value per case in each"))
    good = (values >= 0) & (values <= 1) if bounded else np.isfinite(values)
    allowed = "Give numbers between 0 and 1" if bounded else "Give numbers, or none where a rater did not rate the case"
    checks: tuple[tuple[str, npt.NDArray[np.bool_], str], ...] = (
        ("rating", good.all(axis=1), allowed),
        ("weight", np.isfinite(weight) & (weight > 0), "Give numbers above 0"),
    )
    faults = [
        Fault(f"the {name} cannot be used", mend, place=name, row=int(row) + 1)
        for name, fine, mend in checks
        for row in np.flatnonzero(~fine)
    ]
    if faults:
        raise DataError(*faults)


def _below_one(
    observed: float, expected: float, error: float, size: float, clusters: int, level: float
) -> tuple[Interval | None, str]:
    """Interval of 1 - observed / expected, whose largest disagreement is 1, and what to say about it."""
    if clusters == 1:
        return None, ONE_CLUSTER
    if observed <= ROUNDING:
        lowest = 1.0 - (1.0 - wilson(1.0, size, level).lower) / expected
        return Interval(max(lowest, -1.0), 1.0, "bound"), PERFECT
    ratio = observed / expected
    factor = math.exp(min(critical_value(level, clusters - 1) * error / ratio, 700.0))
    return Interval(max(1.0 - ratio * factor, -1.0), 1.0 - ratio / factor, "log"), ""


def _coincidences(ratings: Array, weight: Array, who: Codes) -> tuple[Array, list[Array]]:
    """Values that occur, and how often each pair of them stands in one case, a (K, K) table per participant."""
    values = np.unique(ratings[~np.isnan(ratings)])
    counts = np.stack([(ratings == one).sum(axis=1) for one in values], axis=1).astype(np.float64)
    scaled = counts * (weight / (counts.sum(axis=1) - 1))[:, None]
    order = np.argsort(who, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(who[order])) + 1)
    return values, [scaled[rows].T @ counts[rows] - np.diag(scaled[rows].sum(axis=0)) for rows in parts]


def _distances(margin: Array, values: Array, metric: Metric) -> Array:
    """Squared distances of the values; ordinal ones count the ratings in between."""
    if metric == "nominal":
        return 1.0 - np.eye(values.size)
    place = values if metric == "interval" else np.cumsum(margin) - margin / 2
    return np.asarray(np.subtract.outer(place, place) ** 2, dtype=np.float64)


def _disagreement(table: Array, values: Array, metric: Metric) -> tuple[float, float]:
    """Disagreement seen and expected by chance."""
    margin = table.sum(axis=1)
    size = float(margin.sum())
    if size <= 1:
        return 0.0, 0.0
    distance = _distances(margin, values, metric)
    return float(np.sum(table * distance)) / size, float(margin @ distance @ margin) / (size * (size - 1))


def _alpha(table: Array, values: Array, metric: Metric) -> float:
    """Alpha; 1 where what is left holds one value alone, as it has no disagreement."""
    observed, expected = _disagreement(table, values, metric)
    return 1.0 - observed / expected if expected > ROUNDING else 1.0
