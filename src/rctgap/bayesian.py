"""Posteriors of stage means: `estimate_bayesian`, and the same posterior under another estimand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from typing import Any, Literal, get_args

import numpy as np

from rctgap.bootstrap import ENOUGH_ITEMS, layout_of
from rctgap.documents import nearest
from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Estimand
from rctgap.estimates import CredibleInterval, Posterior, Sampling, StageEstimates
from rctgap.frequentist import estimate_frequentist
from rctgap.models.priors import Priors
from rctgap.replication import DEFAULT_SEED
from rctgap.resampling import Draw, Kind, Targets, resample
from rctgap.scores import StageScores

__all__ = ["ESTIMATORS", "BayesianPlan", "Model", "check_plan", "estimate_bayesian", "estimate_by_plan", "under"]

type Model = Literal["hierarchical", "bootstrap"]
type Progress = Callable[[Iterable[list[Draw]]], Iterable[list[Draw]]]

ESTIMATORS: Mapping[str, str] = {"hierarchical": "hierarchical", "bootstrap": "bayesian bootstrap"}
FEWEST_DRAWS = 100
FEWEST_CHAINS = 2
SAMPLERS = ("pymc", "nutpie", "numpyro")
DIRICHLET = "dirichlet weights"


@dataclass(frozen=True, slots=True)
class BayesianPlan:
    """What a posterior is to be, as `estimate_bayesian` and the key `bayesian` of analysis.yaml take it.

    Attributes
    ----------
    model : {"hierarchical", "bootstrap"}
    level : float
    interval : {"equal_tailed", "hdi"}
    draws : int, optional
        Of each chain, by default 1,000; by default 10,000 for the bootstrap.
    seed : int
    tune, chains, priors, sampler, compare
        Settings of the hierarchical model; the bootstrap has none of them, and refuses them.
    """

    model: Model = "hierarchical"
    level: float = 0.95
    interval: CredibleInterval = "equal_tailed"
    draws: int | None = None
    seed: int = DEFAULT_SEED
    tune: int | None = None
    chains: int | None = None
    priors: Mapping[str, float] = field(default_factory=dict)
    sampler: str | None = None
    compare: bool | None = None


def estimate_bayesian(
    scores: StageScores,
    estimand: Estimand,
    *,
    model: Model = "hierarchical",
    level: float = 0.95,
    interval: CredibleInterval = "equal_tailed",
    draws: int | None = None,
    tune: int | None = None,
    chains: int | None = None,
    priors: Mapping[str, float] | None = None,
    sampler: str | None = None,
    compare: bool | None = None,
    seed: int = DEFAULT_SEED,
    executor: Executor | None = None,
    progress: Progress = iter,
) -> StageEstimates:
    """Draw every stage mean from a posterior.

    Parameters
    ----------
    scores : StageScores
        Covariates they carry are left aside: the means are unadjusted.
    estimand : Estimand
    model : {"hierarchical", "bootstrap"}
        `hierarchical` is one model of all stages: an answer is a chain of regressions, each stage given the one before,
        with effects of arm, item (correlated between stages) and participant, who are averaged out; for items random
        over new items of the population too. `bootstrap` is the Bayesian bootstrap, in under a second: Dirichlet
        weights over participants within arm and stratum (over answers where participants are not identified) and over
        runs within item; with items random, over items too.
    level : float
        Of credible intervals, in (0, 1).
    interval : {"equal_tailed", "hdi"}
    draws : int, optional
        Of each chain, by default 1,000; by default 10,000 for the bootstrap.
    tune, chains : int, optional
        Of the hierarchical model: by default 1,000 and 4.
    priors : mapping of str to float, optional
        In place of the defaults of `rctgap.models.priors.Priors`.
    sampler : {"pymc", "nutpie", "numpyro"}, optional
        PyMC's own NUTS unless another is named.
    compare : bool, optional
        Whether nested models are fitted too and compared by leave-one-out cross-validation.
    seed : int
        Same seed, same draws, whatever the number of workers.
    executor : concurrent.futures.Executor, optional
        For the bootstrap.
    progress : callable
        Wraps the batches of the bootstrap's draws as they come; chains show their own on a terminal.

    Returns
    -------
    StageEstimates
        Hand it to `decompose`; its `posterior` holds the draws.

    Raises
    ------
    EstimationError
        A setting that is not known, a sampler that is not installed, or estimates that the data do not allow.
    AnalysisError
        A prior that is not known, or not a positive number.
    EstimandError
        Weights that the data cannot support, or a choice for non-users that is missing.

    Notes
    -----
    On the logit scale the hierarchical model has arms differ by a constant over items, and the previous score count the
    same in all arms; predictive checks by arm and item show where that misses. The Bayesian bootstrap has no prior
    beyond the one that gives no weight to scores that were not seen. A stage mean of exactly 0 or 1 therefore has no
    spread there, and its uncertainty is left out, with a note. Over fewer than 30 items its intervals are
    anticonservative.

    References
    ----------
    Zeger, Liang and Albert (1988), doi 10.2307/2531734; Lewandowski, Kurowicka and Joe (2009), doi
    10.1016/j.jmva.2009.04.008; Rubin (1981), doi 10.1214/aos/1176345338.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_bayesian(scores, estimand, model="bootstrap", draws=2000, seed=1), estimand)
    >>> row = result.row("decision")
    >>> print(f"{row.estimate:.2f} ({row.lower:.2f} to {row.upper:.2f}), {row.interval}, {row.estimator}")
    0.40 (0.31 to 0.50), equal_tailed, bayesian bootstrap
    """
    plan = BayesianPlan(model, level, interval, draws, seed, tune, chains, priors or {}, sampler, compare)
    return estimate_by_plan(scores, estimand, plan, executor, progress)


def estimate_by_plan(
    scores: StageScores,
    estimand: Estimand,
    plan: BayesianPlan,
    executor: Executor | None = None,
    progress: Progress = iter,
) -> StageEstimates:
    """`estimate_bayesian` with its settings as one record."""
    check_plan(plan)
    plain = _plain(scores, estimand, plan.level)
    posterior = _MODELS[plan.model](plan, plain, executor, progress)
    return _with(plain, posterior, ESTIMATORS[plan.model])


def check_plan(plan: BayesianPlan) -> None:
    """Refuse settings that make no sense, before anything is drawn.

    Raises
    ------
    EstimationError
        The first such setting, with what is allowed.
    """
    _refuse_unknown("model", plan.model, tuple(ESTIMATORS))
    _refuse_unknown("interval", plan.interval, get_args(CredibleInterval.__value__))
    if not 0 < plan.level < 1:
        what = "the level is not between 0 and 1"
        raise EstimationError(Fault(what, "Give for example 0.95", place="bayesian.level", value=str(plan.level)))
    chains_only = {"tune": plan.tune, "chains": plan.chains, "priors": plan.priors or None, "sampler": plan.sampler}
    given = [name for name, value in (chains_only | {"compare": plan.compare}).items() if value is not None]
    if given and plan.model == "bootstrap":
        what = "the Bayesian bootstrap has no such setting: it has no chains and no prior"
        raise EstimationError(Fault(what, "Remove it", place=f"bayesian.{given[0]}"))
    Priors.of(plan.priors)
    _refuse_unknown("sampler", plan.sampler or "pymc", SAMPLERS)
    if plan.chains is not None and plan.chains < FEWEST_CHAINS:
        what = "too few chains to tell whether they agree"
        raise EstimationError(Fault(what, f"{FEWEST_CHAINS} or more", place="bayesian.chains", value=str(plan.chains)))
    if plan.tune is not None and plan.tune < FEWEST_DRAWS:
        what = "too few tuning steps for a sampler to find its way"
        raise EstimationError(Fault(what, f"{FEWEST_DRAWS} or more", place="bayesian.tune", value=str(plan.tune)))
    if plan.draws is not None and plan.draws < FEWEST_DRAWS:
        what = "too few draws for an interval"
        raise EstimationError(Fault(what, f"{FEWEST_DRAWS} or more", place="bayesian.draws", value=str(plan.draws)))


def _refuse_unknown(place: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise EstimationError(
            Fault("not a known choice", nearest(value, known), place=f"bayesian.{place}", value=str(value))
        )


def under(estimates: StageEstimates, estimand: Estimand) -> StageEstimates:
    """The posterior under another estimand: the same fit, or draws with the same seed, read another way.

    Raises
    ------
    EstimationError
        The estimates carry no posterior that can be restated; or what `estimate_bayesian` raises.
    """
    posterior = estimates.posterior
    if posterior is None or posterior.restate is None:
        raise EstimationError(Fault("these estimates carry no posterior to restate", "Use `estimate_bayesian`"))
    plain = _plain(estimates.scores, estimand, estimates.level)
    return _with(plain, posterior.restate(plain), estimates.estimator)


def _plain(scores: StageScores, estimand: Estimand, level: float) -> StageEstimates:
    """Unadjusted plug-in estimates: moments, what is missing and why, sizes."""
    return estimate_frequentist(scores, estimand, level=level, adjustment="none")


def _with(plain: StageEstimates, posterior: Posterior, estimator: str) -> StageEstimates:
    """Plug-in estimates turned into a posterior's; the plug-in's notes speak of its covariance and are dropped."""
    return replace(
        plain,
        method="bayesian",
        estimator=estimator,
        intervals="posterior",
        notes=_labels(plain, posterior),
        posterior=posterior,
    )


def _labels(plain: StageEstimates, posterior: Posterior) -> tuple[str, ...]:
    """How the posterior was made, and what is known of such intervals."""
    scores, made = plain.scores, posterior.sampling
    notes = []
    if made is not None and made.sampler == DIRICHLET:
        unit = "participants" if scores.participants else "answers (participants are not identified)"
        what = f"{unit} and items" if plain.estimand.items == "random" else unit
        notes.append(f"Bayesian bootstrap over {what}: {made.draws} draws, seed {made.seed}.")
        count = len(plain.statistics.entries.items)
        if plain.estimand.items == "random" and count < ENOUGH_ITEMS:
            notes.append(
                f"Bayesian bootstrap over {count} items, fewer than {ENOUGH_ITEMS}: its intervals are anticonservative "
                "where items differ much, and too wide where they differ little."
            )
    if made is not None and made.sampler != DIRICHLET and plain.estimand.items == "random":
        notes.append("The hierarchical model's means over a population of items do not depend on the item weights.")
    if scores.covariates:
        notes.append("The posterior is not adjusted for covariates.")
    return (*notes, *posterior.notes)


# ---------------------------------------------------------------- the Bayesian bootstrap


def _bootstrap(
    plan: BayesianPlan, plain: StageEstimates, executor: Executor | None = None, progress: Progress = iter
) -> Posterior:
    """Every moment under Dirichlet weights over participants, and over items too where these are random."""
    none = np.zeros((1, len(plain.statistics.moments)))
    kind: Kind = "crossed" if plain.estimand.items == "random" else "participant"
    draws = plan.draws or 10_000
    drawn = resample(
        layout_of(plain, every=True),
        Targets(none, none, np.zeros(1, dtype=np.bool_)),
        kind=kind,
        times=draws,
        seed=plan.seed,
        weights="bayesian",
        executor=executor,
        progress=progress,
    )
    return Posterior(
        draws=np.ascontiguousarray(drawn.moments.T)[None],
        interval=plan.interval,
        independent=True,
        sampling=Sampling(DIRICHLET, (("numpy", metadata.version("numpy")),), 1, draws, 0, plan.seed, independent=True),
        restate=partial(_bootstrap, plan),
    )


# ---------------------------------------------------------------- the hierarchical model


def _hierarchical(
    plan: BayesianPlan,
    plain: StageEstimates,
    executor: Executor | None = None,  # noqa: ARG001 - chains have processes of their own
    progress: Progress = iter,
) -> Posterior:
    """Every moment from draws of the joint model."""
    from rctgap.model_fit import fit_hierarchical  # noqa: PLC0415 - PyMC is loaded only where a model is sampled
    from rctgap.models.sampling import Options  # noqa: PLC0415

    asked = {"draws": plan.draws, "tune": plan.tune, "chains": plan.chains, "sampler": plan.sampler}
    chosen: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    options = Options(seed=plan.seed, progress=progress is not iter, **chosen)
    fit = fit_hierarchical(plain.scores, Priors.of(plan.priors), options, plan.interval, compare=bool(plan.compare))
    return fit.posterior(plain)


_MODELS: Mapping[Model, Callable[[BayesianPlan, StageEstimates, Executor | None, Progress], Posterior]] = {
    "hierarchical": _hierarchical,
    "bootstrap": _bootstrap,
}
