"""The frequentist plug-in: cell means, their influence values, and the covariance chosen by name."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rctgap import variance
from rctgap.cells import sufficient_statistics
from rctgap.documents import nearest
from rctgap.errors import EstimandError, EstimationError, Fault
from rctgap.estimands import Estimand
from rctgap.estimates import StageEstimates
from rctgap.missing import with_non_users
from rctgap.scores import StageScores
from rctgap.variance import Covariance, CovarianceName, SmallSample, Units

__all__ = ["covariance_of", "default_covariance", "estimate_frequentist", "units_of"]

type Array = npt.NDArray[np.float64]

COVARIANCES: Sequence[CovarianceName] = ("robust", "cluster", "cluster2", "item")
SMALL_SAMPLES: Sequence[SmallSample] = ("CR1", "CR2", "CR3")
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

    Returns
    -------
    StageEstimates

    Raises
    ------
    EstimationError
        A covariance that does not fit the estimand or needs participants that the data lack.
    EstimandError
        Weights that the data cannot support, or a choice for non-users that is missing.

    References
    ----------
    Cameron and Miller (2015), doi 10.3368/jhr.50.2.317.

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
    _refuse_silent_non_users(scores, estimand)
    policy = "exclude" if estimand.non_users == "control" else estimand.non_users
    applied = with_non_users(scores, policy)
    statistics = sufficient_statistics(applied, estimand)
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
    notes = _default_notes(scores, estimand) if covariance is None else ()
    return StageEstimates(applied, estimand, statistics, chosen, small_sample, level, notes=notes)


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
