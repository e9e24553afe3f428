"""From analysis.yaml to a result: every fault of the inputs in one error, then the chain of functions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rctgap.analysis_file import BootstrapEntry
from rctgap.analysis_stages import COMPLETENESS
from rctgap.bayesian import BayesianPlan, check_plan, estimate_by_plan
from rctgap.bootstrap import bootstrapped
from rctgap.check_context import CheckContext, OtherCell
from rctgap.checks import checked
from rctgap.compliers import complier_rows
from rctgap.decomposition import decomposed
from rctgap.errors import RctgapError
from rctgap.estimates import StageEstimates
from rctgap.evaluation import evaluated
from rctgap.frequentist import estimate_frequentist
from rctgap.hypotheses import randomisation_rows, wild_rows
from rctgap.inputs import Analysis, Inputs, read_analysis, read_inputs
from rctgap.multiverse import specification_rows
from rctgap.records import HypothesisRow
from rctgap.replication import DEFAULT_SEED
from rctgap.resampled import FEWEST
from rctgap.resampling import Draw
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores, score_stages
from rctgap.scoring_records import ScoringRow, SpecificationRow
from rctgap.scoring_rows import agreement_rows, completeness_rows, rate_rows, rectification_rows, said_rows
from rctgap.staged import StagedPlan
from rctgap.stages import Chain
from rctgap.trial import TrialData

__all__ = [
    "Method",
    "Progress",
    "bayesian_plan",
    "run_analysis",
    "seed_of",
    "staged_plan",
    "with_few_replicates",
]

type Method = Literal["frequentist", "bayesian", "both"]
type Progress = Callable[[Iterable[list[Draw]]], Iterable[list[Draw]]]


def run_analysis(
    analysis: Analysis | Path | str,
    *,
    method: Method = "frequentist",
    allow_unconverged: bool = False,
    executor: Executor | None = None,
    progress: Progress = iter,
) -> GapDecomposition:
    """Read everything an analysis names, estimate, decompose and check.

    Parameters
    ----------
    analysis : Analysis or path
    method : {"frequentist", "bayesian", "both"}
        `both` shows the posterior beside the frequentist estimates.
    allow_unconverged : bool
        Consent to a posterior whose chains did not converge: the failed check stays and forbids nothing.
    executor : concurrent.futures.Executor, optional
        For replicates; it never changes a number.
    progress : callable
        Wraps the batches of bootstrap replicates, or of posterior draws, as they come.

    Returns
    -------
    GapDecomposition
        With its checks.

    Raises
    ------
    RctgapError
        Every fault of the inputs, or what the estimator cannot do with them.
    """
    one = analysis if isinstance(analysis, Analysis) else read_analysis(analysis)
    read = read_inputs(one)
    try:
        plan = bayesian_plan(one)
        check_plan(plan)
        posterior = []
        if method != "frequentist":
            posterior = [estimate_by_plan(_for(plan, read), read.estimand, plan, executor, progress)]
        if method == "bayesian":
            result = _decomposed(one, read, posterior)
        else:
            result = _frequentist(one, read, posterior, executor, progress)
        settings = replace(
            result.settings,
            suppress_below=one.file.suppress_below,
            allow_mixed_systems=one.file.allow_mixed_systems,
            allow_unconverged=allow_unconverged,
        )
        scoring, context = tuple(_scoring(one, read)), _context(one, read)
        whole = replace(result, settings=settings, scoring=scoring, context=context)
        return checked(evaluated(whole, staged_plan(one)))
    except RctgapError as error:
        raise error.at(str(one.path)) from None


def staged_plan(analysis: Analysis) -> StagedPlan:
    """What the key `staged` asks for."""
    asked = analysis.file.staged
    priors = {name: (one.mean, one.sd) for name, one in asked.priors.items()}
    return StagedPlan(asked.margin, asked.alpha, asked.margins, asked.power, priors)


def _frequentist(
    one: Analysis, read: Inputs, beside: Sequence[StageEstimates], executor: Executor | None, progress: Progress
) -> GapDecomposition:
    """The frequentist decomposition with what the analysis wants beside it."""
    asked = one.file.frequentist
    estimates = estimate_frequentist(
        read.scores,
        read.estimand,
        asked.covariance,
        asked.small_sample,
        asked.level,
        asked.adjustment,
        asked.intervals,
    )
    drawn = asked.bootstrap
    replicates = [] if drawn is None else [_bootstrapped(drawn, estimates, seed_of(one), executor, progress)]
    result = _decomposed(one, read, [estimates, *replicates, *beside])
    tests = (*result.tests, *_further_tests(one, estimates, executor))
    effects = (*result.effects, *(complier_rows(estimates) if asked.complier_effects else ()))
    return replace(result, tests=tests, effects=effects, specifications=_specifications(one, read))


def _context(one: Analysis, read: Inputs) -> CheckContext:
    """The trial and what the analysis wants compared with it."""
    cells = tuple(OtherCell(cell.name, cell.score, cell.relaxes) for cell in one.file.cells)
    return CheckContext(read.measured.scored.trial, one.file.outcomes, cells)


def _scoring(one: Analysis, read: Inputs) -> Iterator[ScoringRow]:
    """How the texts became scores."""
    found, level = read.measured, one.file.frequentist.level
    scorers = {plan.stage: dict(plan.instrument)["scorer"] for plan in found.scored.plans}
    yield from said_rows(found.texts, scorers)
    carried = [text for text in found.scored.texts if text.stage.startswith(COMPLETENESS)]
    yield from completeness_rows(carried, found.raw, level)
    if found.labels is None:
        yield from rate_rows(found.automatic.error_rates, level)
    else:
        yield from agreement_rows(found.labels, scorers, level)
        yield from rectification_rows(found.rectifications, level)


def _for(plan: BayesianPlan, read: Inputs) -> StageScores:
    """What a posterior is made from: a model takes scores as they came, with their error rates."""
    return read.measured.automatic if plan.model == "hierarchical" else read.measured.scores


def _specifications(one: Analysis, read: Inputs) -> tuple[SpecificationRow, ...]:
    """Every component under every way to score the texts, where the analysis names several."""
    if not one.file.multiverse:
        return ()
    asked, found = one.file.frequentist, read.measured

    def estimate(trial: TrialData, chain: Chain) -> StageEstimates:
        scores = score_stages(trial, chain, one.file.covariates)
        return estimate_frequentist(
            scores, read.estimand, asked.covariance, asked.small_sample, asked.level, asked.adjustment, asked.intervals
        )

    return specification_rows(found.raw, read.chain, found.alternatives, found.scored, estimate)


def _decomposed(one: Analysis, read: Inputs, estimates: Sequence[StageEstimates]) -> GapDecomposition:
    """The decomposition of the first estimates with the others beside; caveats are in the result and warn no-one."""
    main, *beside = estimates
    return decomposed(main, read.estimand, read.card, title=one.title, beside=beside, margin=one.file.staged.margin)


def bayesian_plan(analysis: Analysis) -> BayesianPlan:
    """What the key `bayesian` asks for, with the analysis' seed."""
    asked = analysis.file.bayesian
    return BayesianPlan(
        model=asked.model,
        level=asked.level,
        interval=asked.interval,
        draws=asked.draws,
        seed=seed_of(analysis),
        tune=asked.tune,
        chains=asked.chains,
        priors=asked.priors,
        sampler=asked.sampler,
        compare=asked.compare,
    )


def seed_of(analysis: Analysis) -> int:
    """The analysis' seed, or the documented one."""
    return DEFAULT_SEED if analysis.file.seed is None else analysis.file.seed


def with_few_replicates(analysis: Analysis) -> Analysis:
    """The same analysis with the fewest replicates, which finds every fault of what it asks for."""
    asked = analysis.file.frequentist
    entries = {name: getattr(asked, name) for name in ("bootstrap", "wild", "randomisation")}
    few = {name: one.model_copy(update={"replicates": FEWEST}) for name, one in entries.items() if one is not None}
    file = analysis.file.model_copy(update={"frequentist": asked.model_copy(update=few)})
    return replace(analysis, file=file)


def _bootstrapped(
    asked: BootstrapEntry, estimates: StageEstimates, seed: int, executor: Executor | None, progress: Progress
) -> StageEstimates:
    return bootstrapped(
        estimates,
        kind=asked.kind,
        interval=asked.interval,
        replicates=asked.replicates,
        weights=asked.weights,
        seed=seed,
        executor=executor,
        progress=progress,
    )


def _further_tests(analysis: Analysis, estimates: StageEstimates, executor: Executor | None) -> Iterator[HypothesisRow]:
    """The tests that are made on request."""
    asked, seed = analysis.file.frequentist, seed_of(analysis)
    if asked.wild is not None:
        wild = asked.wild
        yield from wild_rows(estimates, weights=wild.weights, replicates=wild.replicates, seed=seed, executor=executor)
    if asked.randomisation is not None:
        drawn = asked.randomisation
        yield from randomisation_rows(
            estimates, studentised=drawn.studentised, replicates=drawn.replicates, seed=seed, executor=executor
        )
