"""Cell means, adjusted for covariates where there are any, their influence values, and the covariance by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rctgap import variance
from rctgap.adjustment import Adjustment, Choice, chosen_adjustment
from rctgap.cells import sufficient_statistics
from rctgap.documents import nearest
from rctgap.errors import EstimandError, EstimationError, Fault
from rctgap.estimands import Estimand
from rctgap.estimates import IntervalStyle, StageEstimates
from rctgap.missing import with_non_users
from rctgap.scores import StageScores
from rctgap.variance import Covariance, CovarianceName, SmallSample, Units

__all__ = ["covariance_of", "default_covariance", "estimate_frequentist", "units_of"]

type Array = npt.NDArray[np.float64]

COVARIANCES: Sequence[CovarianceName] = ("robust", "cluster", "cluster2", "item")
SMALL_SAMPLES: Sequence[SmallSample] = ("CR1", "CR2", "CR3")
_ESTIMATORS: Mapping[Adjustment | None, str] = {None: "plug-in", "linear": "lin", "logistic": "g-computation"}
_FITS = {"fixed": ("robust", "cluster"), "random": ("item", "cluster2")}


def default_covariance(scores: StageScores, estimand: Estimand) -> CovarianceName:
    """The documented default: by participant where they are known, for fixed or random items."""
    if estimand.items == "fixed":
        return "cluster" if scores.participants else "robust"
    return "cluster2" if scores.participants else "item"


def estimate_frequentist(
    scores: StageScores,
    estimand: Estimand,
    covariance: CovarianceName | None = None,
    small_sample: SmallSample = "CR2",
    level: float = 0.95,
    adjustment: Choice | None = None,
    intervals: IntervalStyle | None = None,
) -> StageEstimates:
    """Estimate every stage mean by weighted cell means.

    Parameters
    ----------
    scores : StageScores
    estimand : Estimand
    covariance : {"robust", "cluster", "cluster2", "item"}, optional
        Default: items fixed, `cluster` (`robust` without participants); items random,
        `cluster2` (`item` without participants).
    small_sample : {"CR1", "CR2", "CR3"}
        Correction of `cluster`.
    level : float
        Confidence level in (0, 1).
    adjustment : {"linear", "logistic", "none"}, optional
        Working model for the covariates that the scores carry; default `linear` where they carry any.
    intervals : {"t", "few-items", "bounded"}, optional
        How a decomposition makes its intervals. Default: `t` for items fixed; for items random `few-items`, which is t
        with CR2 by item, widened where simulation has shown t to cover too little. `bounded` holds for any distribution
        of item means and is wide. `bootstrapped` adds intervals from replicates.

    Returns
    -------
    StageEstimates

    Raises
    ------
    EstimationError
        A covariance or a way of making intervals that does not fit the estimand, or needs participants
        that the data lack; an adjustment that the data cannot bear.
    EstimandError
        Weights that the data cannot support, or a choice for non-users that is missing.

    References
    ----------
    Cameron and Miller (2015), doi 10.3368/jhr.50.2.317; Lin (2013), doi 10.1214/12-AOAS583.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimates = rg.estimate_frequentist(scores, rg.Estimand(items="fixed"))
    >>> estimates.value(rg.MomentKey("a1", "conversation"))
    0.7
    """
    chosen = covariance or default_covariance(scores, estimand)
    _refuse_senseless(scores, estimand, chosen, small_sample, level)
    style = _style(estimand, intervals)
    _refuse_silent_non_users(scores, estimand)
    policy = "exclude" if estimand.non_users == "control" else estimand.non_users
    applied = with_non_users(scores, policy)
    model = chosen_adjustment(scores, adjustment)
    statistics = sufficient_statistics(applied, estimand, model)
    if estimand.items == "random" and statistics.by_item is None:
        raise EstimationError(
            Fault(
                "items are random, and no answer or run carries an item",
                "Give items, or choose items `fixed`",
                place="estimand.items",
            )
        )
    if estimand.items == "random" and statistics.by_item is not None and statistics.by_item.multiplicity.size < 2:  # noqa: PLR2004
        raise EstimationError(
            Fault(
                "items are random and there is one item",
                "Two or more are needed; choose items `fixed`",
                place="estimand.items",
            )
        )
    notes = (*(_default_notes(scores, estimand) if covariance is None else ()), *statistics.notes)
    found = StageEstimates(
        applied,
        estimand,
        statistics,
        chosen,
        small_sample,
        level,
        estimator=_ESTIMATORS[model],
        intervals=style,
        notes=notes,
    )
    return replace(found, notes=(*notes, *_outside(found)))


def _outside(estimates: StageEstimates) -> tuple[str, ...]:
    """Least squares knows nothing of the range of a score."""
    adjusted = estimates.statistics.adjusted
    left = [key for key in estimates.statistics.moments if key in adjusted and not 0 <= estimates.value(key) <= 1]
    where = ", ".join(f"{key.name} in arm {key.arm}" for key in left)
    return (f"Adjusted means outside [0, 1]: {where}. Use adjustment `logistic`.",) if left else ()


def _style(estimand: Estimand, intervals: IntervalStyle | None) -> IntervalStyle:
    """How intervals are made: as asked, where it fits the estimand."""
    fits: Sequence[IntervalStyle] = ("few-items", "t", "bounded") if estimand.items == "random" else ("t",)
    if intervals is not None and intervals not in fits:
        what = f"intervals {intervals!r} make no sense with items {estimand.items!r}"
        allowed = f"With items {estimand.items} use {', '.join(fits)}; for replicates see `bootstrapped`"
        raise EstimationError(Fault(what, allowed, place="intervals", value=str(intervals)))
    return intervals or fits[0]


def _default_notes(scores: StageScores, estimand: Estimand) -> tuple[str, ...]:
    if scores.participants:
        return ()
    chosen = default_covariance(scores, estimand)
    return (f"Participants are not identified: with covariance `{chosen}` answers of one person count as independent.",)


def _refuse_senseless(
    scores: StageScores, estimand: Estimand, covariance: str, small_sample: str, level: float
) -> None:
    if covariance not in COVARIANCES:
        raise EstimationError(
            Fault("not a known covariance", nearest(covariance, COVARIANCES), place="covariance", value=covariance)
        )
    if small_sample not in SMALL_SAMPLES:
        raise EstimationError(
            Fault(
                "not a known correction", nearest(small_sample, SMALL_SAMPLES), place="small_sample", value=small_sample
            )
        )
    if not 0 < level < 1:
        raise EstimationError(
            Fault("the level is not between 0 and 1", "Give for example 0.95", place="level", value=str(level))
        )
    fits = _FITS[estimand.items]
    if covariance not in fits:
        raise EstimationError(
            Fault(
                f"covariance {covariance!r} makes no sense with items {estimand.items!r}",
                f"With items {estimand.items} use {' or '.join(fits)}",
                place="covariance",
                value=covariance,
            )
        )
    if covariance in ("cluster", "cluster2") and not scores.participants:
        raise EstimationError(
            Fault(
                f"covariance {covariance!r} needs every answer's participant, and the data do not identify them",
                f"Use {default_covariance(scores, estimand)!r}, or give a column the role `participant`",
                place="covariance",
                value=covariance,
            )
        )


def _refuse_silent_non_users(scores: StageScores, estimand: Estimand) -> None:
    count = scores.non_users()
    if count and estimand.non_users is None:
        raise EstimandError(
            Fault(
                f"{count} answers come from AI-arm participants who never used the system",
                "Choose non_users: exclude, zero or control",
                place="estimand.non_users",
            )
        )


def covariance_of(estimates: StageEstimates, rows: Array) -> Covariance:
    """Sampling covariance of linear quantities.

    Parameters
    ----------
    estimates : StageEstimates
    rows : ndarray, shape (Q, J)
        Coefficients over the moments.
    """
    found = estimates.statistics
    quantities = rows @ found.loading
    match estimates.covariance:
        case "robust":
            return variance.robust(found.answers, found.runs, found.cells, quantities)
        case "cluster":
            return variance.cluster(
                _identified(found.participants), found.runs, found.cells, quantities, estimates.small_sample
            )
        case "item":
            return variance.items(_identified(found.by_item), quantities)
        case "cluster2":
            return variance.two_way(
                _identified(found.by_item),
                _identified(found.item_participants),
                found.item_answers,
                quantities,
            )


def units_of(estimates: StageEstimates) -> tuple[Units, ...]:
    """The independent units of the covariance: answers or participants, and the benchmark's runs; or items."""
    found = estimates.statistics
    if estimates.estimand.items == "random":
        return (_identified(found.by_item),)
    return (found.answers if estimates.covariance == "robust" else _identified(found.participants), found.runs)


def _identified(units: Units | None) -> Units:
    if units is None:
        raise EstimationError(
            Fault("the data do not identify these units", "Choose another covariance", place="covariance")
        )
    return units
