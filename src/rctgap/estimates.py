"""Estimated moments with the uncertainty that belongs to them, handed from estimators to the decomposition."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from rctgap.adjustment import Choice
from rctgap.cells import SufficientStatistics
from rctgap.errors import EstimandError, EstimationError, Fault
from rctgap.estimands import ALL_ARMS, Estimand, MomentKey
from rctgap.intervals import Interval, ShareSet
from rctgap.records import FitRow, PredictiveRow, PriorRow
from rctgap.resampling import Resampled, Targets
from rctgap.scores import StageScores
from rctgap.variance import CovarianceName, SmallSample

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "Bootstrap",
    "BootstrapInterval",
    "CredibleInterval",
    "IntervalStyle",
    "Linear",
    "Posterior",
    "Sampling",
    "Share",
    "StageEstimates",
    "arm_sets",
    "target_key",
]

type Array = npt.NDArray[np.float64]
type IntervalStyle = Literal["t", "few-items", "bounded", "bootstrap", "posterior"]
type CredibleInterval = Literal["equal_tailed", "hdi"]
type BootstrapInterval = Literal["percentile", "bca", "studentized"]


@dataclass(frozen=True, slots=True)
class Linear:
    """One quantity; what cannot be given is None and `notes` say why."""

    estimate: float | None
    std_error: float | None = None
    df: float | None = None
    interval: Interval | None = None
    n: int = 0
    clusters: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Share:
    """A component's share of the gap: Fieller's set, the delta interval, or the reason for neither."""

    estimate: float | None
    fieller: ShareSet | None
    delta: Interval | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Replicates of the moments, and how intervals are taken from them.

    Attributes
    ----------
    interval : {"percentile", "bca", "studentized"}
    replicates, seed : int
    drawn : Resampled
    targets : Targets
        The quantities whose standard errors and accelerations are known.
    places : mapping
        Position of each among the targets, by its rows over the moments as bytes.
    acceleration : ndarray, shape (Q,)
    """

    interval: BootstrapInterval
    replicates: int
    seed: int
    drawn: Resampled
    targets: Targets
    places: Mapping[tuple[bytes, bytes], int]
    acceleration: Array


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a posterior was drawn, and what its sampler says of itself; no clock, so that equal seeds give equal results.

    Attributes
    ----------
    sampler : str
        `dirichlet weights`, or the name of a Markov chain sampler.
    versions : tuple of (package, version)
    chains, draws, tune : int
        Draws and tuning steps are of each chain.
    independent : bool
        Whether draws are independent: then there is nothing to diagnose.
    target_accept, min_ebfmi : float or None
        Acceptance aimed at; lowest energy Bayesian fraction of missing information over chains.
    divergences, max_treedepth_hits : int or None
        Over all chains, after tuning.
    seed : int
    """

    sampler: str
    versions: tuple[tuple[str, str], ...]
    chains: int
    draws: int
    tune: int
    seed: int
    independent: bool = False
    target_accept: float | None = None
    divergences: int | None = None
    min_ebfmi: float | None = None
    max_treedepth_hits: int | None = None


@dataclass(frozen=True, slots=True)
class Posterior:
    """Draws of the moments from a posterior: the mark that tells it apart from a sampling distribution.

    Attributes
    ----------
    draws : ndarray, shape (chains, draws, J)
        Over `SufficientStatistics.moments`; NaN for a moment that the model does not give.
    interval : {"equal_tailed", "hdi"}
    missing : mapping of MomentKey to str
        Moments without draws, and why.
    independent : bool
        Whether draws are independent, so that there are no chains to diagnose (Bayesian bootstrap).
    prior : ndarray, shape (draws, J), optional
        The same moments drawn before any data.
    log_prior, log_likelihood : ndarray, shape (chains, draws), optional
        Of the top-level priors and of the data, which power-scaling raises.
    sampling : Sampling, optional
        How the draws were made.
    priors, predictive, fits : tuple of records
        Tables of a result that come with the model.
    notes : tuple of str
        What a reader should know of the model for these data.
    groups : mapping of str to Dataset
        Further groups of posterior.nc, as ArviZ names them, with dimensions `chain` and `draw` where they have any:
        `sample_stats`, `log_likelihood`, `posterior_predictive`, `observed_data`, `prior_predictive`.
    restate : callable, optional
        From the plug-in estimates under another estimand, of the same scores, to the posterior under it: by the same
        fit or the same draws.
    """

    draws: Array
    interval: CredibleInterval
    missing: Mapping[MomentKey, str] = field(default_factory=dict)
    independent: bool = False
    prior: Array | None = None
    log_prior: Array | None = None
    log_likelihood: Array | None = None
    sampling: Sampling | None = None
    priors: tuple[PriorRow, ...] = ()
    predictive: tuple[PredictiveRow, ...] = ()
    fits: tuple[FitRow, ...] = ()
    notes: tuple[str, ...] = ()
    groups: Mapping[str, "xr.Dataset"] = field(default_factory=dict)
    restate: "Callable[[StageEstimates], Posterior] | None" = None


@dataclass(frozen=True, slots=True)
class StageEstimates:
    """Stage means and the other moments of a trial under one estimand.

    Attributes
    ----------
    scores : StageScores
        What was estimated from.
    estimand : Estimand
    statistics : SufficientStatistics
        Moments, their values, and the influence of every unit on them.
    method, estimator : str
        School and estimator, for tables: `plug-in`, or adjusted for covariates by `lin` or `g-computation`.
    intervals : {"t", "few-items", "bounded", "bootstrap", "posterior"}
        How intervals are made from them.
    covariance : {"robust", "cluster", "cluster2", "item"}
    small_sample : {"CR1", "CR2", "CR3"}
        Used by `cluster` alone.
    level : float
        Of every interval.
    notes : tuple of str
        What was chosen for the user, and why.
    bootstrap : Bootstrap, optional
        Where intervals come from replicates.
    posterior : Posterior, optional
        Where `method` is `bayesian`: `statistics` then are the plug-in's, for sizes and for what is missing.
    """

    scores: StageScores
    estimand: Estimand
    statistics: SufficientStatistics
    covariance: CovarianceName
    small_sample: SmallSample
    level: float
    method: str = "frequentist"
    estimator: str = "plug-in"
    intervals: IntervalStyle = "t"
    notes: tuple[str, ...] = ()
    bootstrap: Bootstrap | None = None
    posterior: Posterior | None = None

    @property
    def keys(self) -> Mapping[MomentKey, int]:
        """Position of each moment."""
        return {key: position for position, key in enumerate(self.statistics.moments)}

    @property
    def adjustment(self) -> Choice:
        """The working model for covariates, as `estimate_frequentist` takes it."""
        models: Mapping[str, Choice] = {"lin": "linear", "g-computation": "logistic"}
        return models.get(self.estimator, "none")

    @property
    def estimator_name(self) -> str:
        """Estimator and way of making intervals, as tables print them."""
        if self.bootstrap is not None and self.intervals == "bootstrap":
            return f"{self.estimator}, bootstrap by {self.bootstrap.drawn.kind}, {self.bootstrap.interval}"
        return self.estimator if self.intervals in ("t", "posterior") else f"{self.estimator}, {self.intervals}"

    @property
    def uncorrected(self) -> tuple[str, ...]:
        """Stages whose automatic scores are taken as they came."""
        modelled = self.estimator == "hierarchical" and self.posterior is not None
        rates = self.scores.error_rates if modelled else {}
        return tuple(
            one.name for one in self.scores.chain.stages if one.scoring == "automatic" and one.name not in rates
        )

    @property
    def scores_name(self) -> str:
        """What tables call the scores: as given, rectified, corrected, or the scorers' names."""
        modelled = self.estimator == "hierarchical" and self.posterior is not None and self.scores.error_rates
        return "corrected" if modelled else self.scores.chain.scores_name

    @property
    def covariance_name(self) -> str:
        """The covariance as tables print it: a posterior has none."""
        return "" if self.posterior is not None else self.covariance

    @property
    def small_sample_name(self) -> str:
        """The small-sample correction as tables print it."""
        if self.posterior is not None:
            return ""
        if self.covariance == "cluster":
            return self.small_sample
        return "HC1" if self.covariance == "robust" else ""

    @property
    def missing(self) -> Mapping[MomentKey, str]:
        """Moments without an estimate, and why."""
        return {**self.statistics.missing, **({} if self.posterior is None else self.posterior.missing)}

    @property
    def plug_in(self) -> "StageEstimates":
        """The plug-in estimates that a posterior's sizes come from; of any others, themselves."""
        if self.posterior is None:
            return self
        return replace(self, method="frequentist", estimator="plug-in", intervals="t", posterior=None)

    def require_frequentist(self, purpose: str) -> None:
        """Refuse a posterior where a sampling distribution is needed.

        Raises
        ------
        EstimationError
            These are a posterior's estimates.
        """
        if self.posterior is not None:
            what = f"{purpose} need a sampling distribution, and these estimates carry a posterior"
            raise EstimationError(Fault(what, "Use `estimate_frequentist`", place="method", value=self.method))

    def value(self, key: MomentKey) -> float:
        """Estimate of one moment: the posterior mean where there is a posterior."""
        place = self.keys[key]
        if self.posterior is not None:
            return float(self.posterior.draws[..., place].mean())
        return float(self.statistics.values[place])

    def row(self, coefficients: Mapping[MomentKey, float]) -> Array:
        """A linear quantity as a row over the moments, shape (J,)."""
        keys = self.keys
        row = np.zeros(len(keys))
        for key, weight in coefficients.items():
            row[keys[key]] = weight
        return row


def target_key(top: Array, bottom: Array) -> tuple[bytes, bytes]:
    """A row, or a ratio of two rows, over the moments, as the key of `Bootstrap.places`."""
    return (top + 0.0).tobytes(), (bottom + 0.0).tobytes()


def arm_sets(estimates: StageEstimates) -> list[tuple[str, Mapping[str, float]]]:
    """Each AI arm by itself, then all of them at their weights."""
    arms = estimates.scores.design.arms
    alone: list[tuple[str, Mapping[str, float]]] = [(arm.label, {arm.label: 1.0}) for arm in arms]
    return [*alone, (ALL_ARMS, _arm_weights(estimates))]


def _arm_weights(estimates: StageEstimates) -> Mapping[str, float]:
    choice = estimates.estimand.arm_weights
    labels = [arm.label for arm in estimates.scores.design.arms]
    if isinstance(choice, Mapping):
        aliases = estimates.scores.aliases
        return _named_weights({aliases.get(arm, arm): weight for arm, weight in choice.items()}, labels)
    if choice == "equal":
        return dict.fromkeys(labels, 1.0 / len(labels))
    size = estimates.scores.answers.groupby("arm", observed=True)["count"].sum()
    total = float(sum(size[label] for label in labels))
    return {label: float(size[label]) / total for label in labels}


def _named_weights(choice: Mapping[str, float], labels: Sequence[str]) -> Mapping[str, float]:
    unlike = sorted(set(choice) ^ set(labels))
    if unlike:
        what = "this arm has no weight" if unlike[0] in labels else "this is no analysed arm"
        allowed = f"Give a weight, 0 if need be, to each of: {', '.join(labels)}"
        raise EstimandError(Fault(what, allowed, place="estimand.arm_weights", value=unlike[0]))
    return dict(choice)
