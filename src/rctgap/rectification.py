"""Automatic scores put right by human labels of a known sampling probability: prediction-powered means. Arrays only."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from rctgap.errors import DataError, EstimationError, Fault
from rctgap.intervals import Interval, symmetric, wilson
from rctgap.variance import Cells, Units, cluster, effective_size

__all__ = [
    "ArmMean",
    "LabelledScores",
    "Rectified",
    "arm_means",
    "labelled_mean",
    "pooled_variance",
    "pseudo_scores",
    "tuned_lambda",
    "where_labels_alone_are_narrower",
]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]

LISTED = 20
FEW_LABELS = 40  # simulations/rectification.csv: with 30 in an arm, 95 % intervals cover 90 to 97 %
FAR = 4.0
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """One stage's automatic scores in the AI arms, and the human labels of a drawn part of them.

    Attributes
    ----------
    automatic : ndarray, shape (n,)
        What the scorer gave, between 0 and 1.
    human : ndarray, shape (n,)
        What people gave, between 0 and 1; NaN where nobody labelled the answer.
    probability : ndarray, shape (n,)
        Known probability with which the answer was drawn for labelling, above 0 and at most 1. It may be NaN where
        there is no label: no formula needs it there.
    arm, participant : ndarray, shape (n,)
        Labels or codes; participants are the clusters.
    count : ndarray, shape (n,), optional
        How many alike answers a row stands for.

    Raises
    ------
    DataError
        A score, label, probability or count out of its range, each with its row, counted from 1.
    EstimationError
        An arm without a label, which is named.
    """

    automatic: Array = field(repr=False)
    human: Array = field(repr=False)
    probability: Array = field(repr=False)
    arm: npt.NDArray[np.generic] = field(repr=False)
    participant: npt.NDArray[np.generic] = field(repr=False)
    count: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.automatic.size == 0:
            raise DataError(Fault("there is no answer to rectify", "Give at least one answer with its automatic score"))
        faults = list(_faults(self))
        if faults:
            raise DataError(*faults)
        bare = [name for name in np.unique(self.arm) if not self.labelled[self.arm == name].any()]
        if bare:
            allowed = "Label some answers of every AI arm, or leave the arm out of the analysis"
            raise EstimationError(*(Fault(f"arm {name} has no labelled answer", allowed) for name in bare))

    @property
    def labelled(self) -> npt.NDArray[np.bool_]:
        """Whether the answer has a human label, shape (n,)."""
        return ~np.isnan(self.human)

    @property
    def weight(self) -> Array:
        """How many answers each row stands for, shape (n,)."""
        return np.ones(self.automatic.shape) if self.count is None else self.count

    @property
    def inverse(self) -> Array:
        """One over the probability of labelled answers, 0 for the others (xi / e), shape (n,)."""
        return np.where(self.labelled, 1.0 / np.where(self.labelled, self.probability, 1.0), 0.0)


@dataclass(frozen=True, slots=True)
class Rectified:
    """Scores that can stand where the human labels of all answers would.

    Attributes
    ----------
    scores : ndarray, shape (n,)
        Unbiased for the human score of an answer; a single one may lie outside [0, 1].
    lam : float
        How much the automatic scores count.
    n_labelled : float
        Answers with a human label.
    note : str
        What a reader should know: few labels, a scorer that runs against the labels, probabilities that do not fit.
    """

    scores: Array = field(repr=False)
    lam: float
    n_labelled: float
    note: str


@dataclass(frozen=True, slots=True)
class ArmMean:
    """A weighted mean of one arm with its cluster-robust (CR2) interval by participant.

    Attributes
    ----------
    arm : str
    estimate, std_error, df : float
    interval : Interval or None
        Wilson's with Kish's effective size where no score varies; none with a single participant.
    clusters, rows : int
        Participants and rows that enter.
    """

    arm: str
    estimate: float
    std_error: float
    df: float
    interval: Interval | None
    clusters: int
    rows: int


def tuned_lambda(scores: LabelledScores, *, centred: bool = False) -> float:
    r"""How much automatic scores should count: the value that makes the pooled variance least.

    Notes
    -----
    :math:`\lambda = -\sum_g A_g B_g / \sum_g B_g^2`, where A and B are the sums over the answers of participant g
    of the influences of ``xi h / e`` and ``f (1 - xi / e)``, each centred at the mean of its arm and over the arm's
    size. It is not clipped, so that no other value has a smaller `pooled_variance`, 0 among them. Where the scorer
    gives no variation to use (B is 0) it is 0.

    References
    ----------
    Angelopoulos, Duchi and Zrnic (2023), doi 10.48550/arXiv.2311.01453 (PPI++), by participant and over arms.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.rectification import LabelledScores, tuned_lambda
    >>> automatic, human = np.array([1.0, 0, 1, 0, 1, 0]), np.array([1, 0, np.nan, np.nan, np.nan, np.nan])
    >>> arm, participant = np.zeros(6), np.arange(6)
    >>> scores = LabelledScores(automatic, human, np.full(6, 1 / 3), arm, participant)
    >>> round(tuned_lambda(scores), 3)
    1.0
    """
    fixed, free = _influence_sums(scores, centred=centred)
    square = float(free @ free)
    return -float(fixed @ free) / square if square > ROUNDING**2 * max(1.0, float(fixed @ fixed)) else 0.0


def pooled_variance(scores: LabelledScores, lam: float, *, centred: bool = False) -> float:
    """Cluster-robust variance (CR0) of the sum over arms of the mean pseudo-scores: what `tuned_lambda` makes least.

    Over several arms it is the sum that is least; a single arm may do better with a value of its own.
    """
    fixed, free = _influence_sums(scores, centred=centred)
    return float(np.sum((fixed + lam * free) ** 2))


def pseudo_scores(scores: LabelledScores, lam: float | None = None, *, centred: bool = False) -> Rectified:
    r"""Scores whose mean is right whatever the scorer's errors, because the labels were drawn with known probability.

    Parameters
    ----------
    scores : LabelledScores
    lam : float, optional
        `tuned_lambda` where it is not given; 0 leaves the automatic scores out, 1 takes them at full value.
    centred : bool
        Predict each answer by ``c + lambda (f - d)``, c the labelled mean and d the mean automatic score of its arm,
        rather than by ``lambda f``. It removes what the chance number of labels adds to the variance.

    Returns
    -------
    Rectified

    Notes
    -----
    The pseudo-score is :math:`\lambda f_i + (\xi_i / e_i) (h_i - \lambda f_i)`. It replaces the human score in every
    later formula, with lambda held fixed. Where every answer is labelled with probability 1 it is the human score.

    References
    ----------
    Angelopoulos, Duchi and Zrnic (2023), doi 10.48550/arXiv.2311.01453.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.rectification import LabelledScores, pseudo_scores
    >>> automatic, human = np.array([1.0, 0, 1, 0]), np.array([1, 0, np.nan, np.nan])
    >>> scores = LabelledScores(automatic, human, np.full(4, 0.5), np.zeros(4), np.arange(4))
    >>> pseudo_scores(scores, lam=1.0).scores.tolist()
    [1.0, 0.0, 1.0, 0.0]
    """
    chosen = tuned_lambda(scores, centred=centred) if lam is None else lam
    fixed, free = _parts(scores, centred=centred)
    labelled = float(scores.weight[scores.labelled].sum())
    note = " ".join(_notes(scores, chosen))
    return Rectified(fixed + chosen * free, chosen, labelled, note)


def labelled_mean(scores: LabelledScores, level: float = 0.95) -> tuple[ArmMean, ...]:
    """Mean of the labelled answers alone, each weighted by its inverse probability (Hajek), by arm.

    Examples
    --------
    >>> import numpy as np
    >>> from rctgap.rectification import LabelledScores, labelled_mean
    >>> human, probability = np.array([1.0, 0, np.nan, np.nan]), np.array([0.25, 0.75, 0.25, 0.75])
    >>> scores = LabelledScores(np.ones(4), human, probability, np.array(["a1"] * 4), np.arange(4))
    >>> [(mean.arm, round(mean.estimate, 3)) for mean in labelled_mean(scores)]
    [('a1', 0.75)]
    """
    kept = scores.labelled
    weight = (scores.weight * scores.inverse)[kept]
    return arm_means(scores.human[kept], scores.arm[kept], scores.participant[kept], weight, level)


def arm_means(
    values: Array,
    arm: npt.NDArray[np.generic],
    participant: npt.NDArray[np.generic],
    weight: Array,
    level: float = 0.95,
) -> tuple[ArmMean, ...]:
    """Weighted means by arm, with CR2 by participant and Satterthwaite degrees of freedom.

    Parameters
    ----------
    values, weight : ndarray, shape (n,)
    arm, participant : ndarray, shape (n,)

    Returns
    -------
    tuple of ArmMean
        One per arm, in the order of their labels.
    """
    names, place = np.unique(arm, return_inverse=True)
    who = np.unique(participant, return_inverse=True)[1]
    size = np.bincount(place, weight, names.size)
    means = np.bincount(place, weight * values, names.size) / size
    shape = (int(who.max()) + 1, names.size)
    residuals = sp.coo_array((weight * (values - means[place]), (who, place)), shape).tocsr()
    sizes = sp.coo_array((weight, (who, place)), shape).tocsr()
    units = Units(residuals, sizes, np.ones(shape[0]), size)
    none = Units(sp.csr_array((0, names.size)), sp.csr_array((0, names.size)), np.zeros(0), size)
    each = np.eye(names.size)
    found = cluster(units, none, Cells(size, np.arange(names.size)), each, "CR2")
    errors = np.sqrt(found.variance)
    kish = effective_size([units], each)
    rows = np.bincount(place, minlength=names.size)
    return tuple(
        ArmMean(
            str(name),
            float(means[n]),
            float(errors[n]),
            float(found.df[n]),
            _interval(float(means[n]), float(errors[n]), float(found.df[n]), float(kish[n]), level),
            int(found.clusters[n]),
            int(rows[n]),
        )
        for n, name in enumerate(names)
    )


def where_labels_alone_are_narrower(scores: LabelledScores, rectified: Rectified, level: float = 0.95) -> str:
    """Name the arms in which the plain mean of the labelled answers has the narrower interval; empty where none has.

    That happens where the automatic scores say little about the labels, or where the labels' chance number adds more
    to the pseudo-scores than the automatic scores take away (`pseudo_scores(centred=True)` removes that).
    """
    alone = labelled_mean(scores, level)
    both = arm_means(rectified.scores, scores.arm, scores.participant, scores.weight, level)
    told = [
        f"{one.arm} ({_half(one):.3f} against {_half(other):.3f})"
        for one, other in zip(alone, both, strict=True)
        if _half(one) < _half(other) * (1 - ROUNDING)
    ]
    if not told:
        return ""
    return (
        "The mean of the labelled answers alone has the narrower interval (half widths, labels alone against "
        f"rectified) in {', '.join(told)}: the automatic scores add nothing there."
    )


def _half(mean: ArmMean) -> float:
    """Half the width of the interval; infinite where there is none."""
    return math.inf if mean.interval is None else (mean.interval.upper - mean.interval.lower) / 2


def _interval(estimate: float, std_error: float, df: float, size: float, level: float) -> Interval | None:
    if math.isnan(std_error) or (math.isnan(df) and std_error > 0):
        return None
    if std_error <= ROUNDING:
        return wilson(min(max(estimate, 0.0), 1.0), size, level)
    return symmetric(estimate, std_error, df, level)


def _parts(scores: LabelledScores, *, centred: bool) -> tuple[Array, Array]:
    """What of the pseudo-score stands still and what lambda multiplies, shape (n,) each."""
    inverse = scores.inverse
    human = np.where(scores.labelled, scores.human, 0.0)
    if not centred:
        return inverse * human, scores.automatic * (1.0 - inverse)
    place = np.unique(scores.arm, return_inverse=True)[1]
    told = _mean_by(place, human, scores.weight * inverse)[place]
    usual = _mean_by(place, scores.automatic, scores.weight)[place]
    return told + inverse * (human - told), (scores.automatic - usual) * (1.0 - inverse)


def _influence_sums(scores: LabelledScores, *, centred: bool) -> tuple[Array, Array]:
    """A and B: centred at the arm's mean, over the arm's size, summed by participant; shape (G,) each."""
    place = np.unique(scores.arm, return_inverse=True)[1]
    who = np.unique(scores.participant, return_inverse=True)[1]
    share = scores.weight / np.bincount(place, scores.weight)[place]
    fixed, free = (
        np.bincount(who, share * (one - _mean_by(place, one, scores.weight)[place]))
        for one in _parts(scores, centred=centred)
    )
    return fixed, free


def _mean_by(place: Codes, values: Array, weight: Array) -> Array:
    return np.asarray(np.bincount(place, weight * values) / np.bincount(place, weight), dtype=np.float64)


def _notes(scores: LabelledScores, lam: float) -> Iterator[str]:
    if lam < 0:
        yield f"The scorer runs against the labels (lambda {lam:.2f})."
    for name in np.unique(scores.arm):
        mine = scores.arm == name
        labelled = float(scores.weight[mine & scores.labelled].sum())
        if labelled < FEW_LABELS:
            yield f"Arm {name} has {labelled:g} labelled answers: with so few the interval can be too narrow."
        stands, size = float((scores.weight * scores.inverse)[mine].sum()), float(scores.weight[mine].sum())
        who = np.unique(scores.participant[mine], return_inverse=True)[1]
        error = math.sqrt(np.sum(np.bincount(who, (scores.weight * (1.0 - scores.inverse))[mine]) ** 2))
        if abs(stands - size) > FAR * error + ROUNDING * size:
            yield (
                f"By their probabilities the labels of arm {name} stand for {stands:.0f} answers; it has {size:.0f}. "
                "Check that every answer could be drawn, and that the probabilities are those of the draw."
            )


def _faults(scores: LabelledScores) -> Iterator[Fault]:
    lengths = {
        one.shape for one in (scores.automatic, scores.human, scores.probability, scores.arm, scores.participant)
    }
    if len(lengths | {scores.weight.shape}) > 1:
        yield Fault("the arrays differ in length", "Give one value per answer in each of them")
        return
    unit = "Give a number between 0 and 1"
    yield from _outside("automatic", scores.automatic, (scores.automatic >= 0) & (scores.automatic <= 1), unit)
    yield from _outside(
        "human", scores.human, ~scores.labelled | ((scores.human >= 0) & (scores.human <= 1)), f"{unit}, or none"
    )
    possible = (scores.probability > 0) & (scores.probability <= 1)
    unknown = np.isnan(scores.probability) & ~scores.labelled
    allowed = "Every answer needs a known probability to be labelled, above 0 and at most 1"
    yield from _outside("label probability", scores.probability, possible | unknown, allowed)
    passed = (scores.probability == 1) & ~scores.labelled
    mend = "Label it, or give the probability with which labels are there"
    for row in np.flatnonzero(passed)[:LISTED]:
        yield Fault("the answer was certain to be labelled and has no label", mend, place="human", row=int(row) + 1)
    yield from _outside(
        "count", scores.weight, np.isfinite(scores.weight) & (scores.weight > 0), "Give a number above 0"
    )


def _outside(place: str, values: Array, good: npt.NDArray[np.bool_], allowed: str) -> Iterator[Fault]:
    for row in np.flatnonzero(~good)[:LISTED]:
        yield Fault(f"the {place} cannot be used", allowed, place=place, row=int(row) + 1, value=f"{values[row]:g}")
