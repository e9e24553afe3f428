"""From analysis.yaml to a result: every fault of the inputs in one error, then the chain of functions."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rctgap.analysis_file import AnalysisFile, ArmEntry, BootstrapEntry, StageEntry
from rctgap.bayesian import BayesianPlan, check_plan, estimate_by_plan
from rctgap.bootstrap import bootstrapped
from rctgap.cards import BenchmarkCard, read_card
from rctgap.checks import checked
from rctgap.compliers import complier_rows
from rctgap.decomposition import decompose
from rctgap.design import Arm, Borrowing, Design, Exclusion
from rctgap.dictionary import Dictionary, read_dictionary
from rctgap.documents import nearest, parse, read_document
from rctgap.errors import AnalysisError, Fault, RctgapError, RctgapWarning
from rctgap.estimands import Estimand
from rctgap.estimates import StageEstimates
from rctgap.files import inside
from rctgap.frequentist import estimate_frequentist
from rctgap.hypotheses import randomisation_rows, wild_rows
from rctgap.records import HypothesisRow
from rctgap.replication import DEFAULT_SEED
from rctgap.resampled import FEWEST
from rctgap.resampling import Draw
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores, score_stages
from rctgap.stages import Chain, Stage, Transition
from rctgap.trial import read_trial

__all__ = [
    "Analysis",
    "Inputs",
    "Method",
    "Progress",
    "bayesian_plan",
    "read_analysis",
    "read_inputs",
    "run_analysis",
    "seed_of",
    "with_few_replicates",
]

type Method = Literal["frequentist", "bayesian", "both"]
type Progress = Callable[[Iterable[list[Draw]]], Iterable[list[Draw]]]


@dataclass(frozen=True, slots=True)
class Analysis:
    """A read analysis file, with its paths resolved."""

    path: Path
    file: AnalysisFile
    paths: Mapping[str, Path]

    @property
    def title(self) -> str:
        """The file's title, or its name where it gives none."""
        return self.file.title or self.path.stem


@dataclass(frozen=True, slots=True)
class Inputs:
    """Everything an analysis names, read and validated."""

    card: BenchmarkCard | None
    chain: Chain
    scores: StageScores
    estimand: Estimand


def read_analysis(path: Path | str, *, allow_outside: bool = False) -> Analysis:
    """Read analysis.yaml.

    Parameters
    ----------
    path : path
        The YAML file; paths inside it are relative to its folder.
    allow_outside : bool
        Let them leave that folder.

    Raises
    ------
    AnalysisError
        Every fault of the file, each with its key path and value.
    """
    place = Path(path)
    content = read_document(place, AnalysisError)
    file = parse(AnalysisFile, content, str(place), AnalysisError)
    given = {"trial": file.data.trial, "benchmark": file.data.benchmark, "items": file.data.items}
    given |= {"dictionary": file.dictionary, "card": file.card}
    paths: dict[str, Path] = {}
    faults: list[Fault | str] = []
    for name, relative in given.items():
        if relative is not None:
            try:
                inside(place.parent, relative, allow_outside)
                paths[name] = place.parent / relative
            except RctgapError as error:
                key = name if name in ("dictionary", "card") else f"data.{name}"
                faults.extend(
                    replace(one, file=str(place), place=key) for one in error.faults if isinstance(one, Fault)
                )
    if faults:
        raise AnalysisError(*faults)
    return Analysis(place, file, paths)


def read_inputs(analysis: Analysis) -> Inputs:
    """Read and validate card, dictionary, data, design and chain.

    Raises
    ------
    RctgapError
        Every fault of every input, in one error.
    """
    faults: list[Fault | str] = []

    def attempt[T](step: Callable[[], T]) -> T | None:
        try:
            return step()
        except RctgapError as error:
            faults.extend(error.at(str(analysis.path)).faults)
            return None

    file, paths = analysis.file, analysis.paths
    chain = attempt(lambda: _chain(file, str(analysis.path)))
    estimand = attempt(lambda: _estimand(file))
    card = attempt(lambda: read_card(paths["card"])) if "card" in paths else None
    if card is not None and chain is not None:
        attempt(lambda: card.require(chain.assumptions, "transitions"))
    dictionary = attempt(lambda: read_dictionary(paths["dictionary"])) if "dictionary" in paths else None
    design = attempt(lambda: _design(file, chain, str(analysis.path)))
    scores = None
    if design is not None and chain is not None and (dictionary is not None or "dictionary" not in paths):
        scores = attempt(lambda: _scores(analysis, dictionary, design, chain))
    if faults or chain is None or estimand is None or scores is None:
        raise AnalysisError(*faults)
    return Inputs(card, chain, scores, estimand)


def _scores(analysis: Analysis, dictionary: Dictionary | None, design: Design, chain: Chain) -> StageScores:
    paths = analysis.paths
    trial = read_trial(
        paths["trial"],
        design=design,
        benchmark=paths.get("benchmark"),
        items=paths.get("items"),
        dictionary=dictionary,
        exclude=[Exclusion(one.where, one.reason) for one in analysis.file.exclude],
    )
    return score_stages(trial, chain, analysis.file.covariates)


def _chain(file: AnalysisFile, name: str) -> Chain:
    unknown = [stage for stage in file.scoring if stage not in {entry.name for entry in file.stages}]
    if unknown:
        raise AnalysisError(
            Fault(
                "this is no stage",
                nearest(unknown[0], [entry.name for entry in file.stages]),
                name,
                f"scoring.{unknown[0]}",
            )
        )
    late = [entry.name for entry in file.stages if entry.source == "conversations"]
    if late:
        raise AnalysisError(
            Fault(
                "stages scored from conversation logs are part of the format and not of this version",
                "Score the logs first and give the scores as a column (from: trial)",
                name,
                f"stages.{late[0]}.from",
            )
        )
    stages = tuple(_stage(entry, file.scoring.get(entry.name, {})) for entry in file.stages)
    transitions = tuple(Transition(one.to, one.family, one.assumptions) for one in file.transitions)
    return Chain.of(stages, transitions)


def _stage(entry: StageEntry, instrument: Mapping[str, str]) -> Stage:
    system = entry.system
    return Stage(
        entry.name,
        entry.source,
        entry.score,
        system.column if system else "",
        system.value if system else "",
        tuple(instrument.items()),
    )


def _design(file: AnalysisFile, chain: Chain | None, name: str) -> Design:
    arms = [_arm(label, entry, chain, name) for label, entry in file.arms.ai.items()]
    chosen = file.design
    return Design(file.arms.control, arms, chosen.unit, chosen.crossover, chosen.strata, file.arms.column)


def _arm(label: str, entry: ArmEntry, chain: Chain | None, name: str) -> Arm:
    lendable = [stage.name for stage in chain.stages[:-1] if stage.source != "benchmark"] if chain else list(entry.rows)
    for stage in entry.rows:
        if stage not in lendable:
            raise AnalysisError(
                Fault("this stage cannot be borrowed", nearest(stage, lendable), name, f"arms.ai.{label}.rows.{stage}")
            )
    return Arm(label, entry.system, tuple(Borrowing(stage, arm, entry.because) for stage, arm in entry.rows.items()))


def _estimand(file: AnalysisFile) -> Estimand:
    asked = file.estimand
    return Estimand(asked.items, asked.item_weights, asked.arm_weights, asked.non_users)


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
        posterior = (
            [] if method == "frequentist" else [estimate_by_plan(read.scores, read.estimand, plan, executor, progress)]
        )
        if method == "bayesian":
            result = _decomposed(one, read, posterior)
        else:
            result = _frequentist(one, read, posterior, executor, progress)
    except RctgapError as error:
        raise error.at(str(one.path)) from None
    settings = replace(
        result.settings,
        suppress_below=one.file.suppress_below,
        allow_mixed_systems=one.file.allow_mixed_systems,
        allow_unconverged=allow_unconverged,
    )
    return checked(replace(result, settings=settings, checks=()))


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
    return replace(result, tests=tests, effects=effects)


def _decomposed(one: Analysis, read: Inputs, estimates: Sequence[StageEstimates]) -> GapDecomposition:
    """The decomposition of the first estimates with the others beside; caveats are in the result and warn no-one."""
    main, *beside = estimates
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RctgapWarning)
        return decompose(main, read.estimand, read.card, title=one.title, beside=beside, margin=one.file.staged.margin)


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


def input_files(analysis: Analysis) -> Iterator[tuple[str, Path]]:
    """Name and path of every file behind an analysis, itself first."""
    yield "analysis", analysis.path
    yield from analysis.paths.items()


def document_of(analysis: Analysis) -> dict[str, Any]:
    """The analysis as plain values, defaults filled in; what exclusions look for is confidential and left out."""
    document = analysis.file.model_dump(by_alias=True, mode="json")
    for rule in document["exclude"]:
        rule["where"] = dict.fromkeys(rule["where"], "(withheld)")
    return document
