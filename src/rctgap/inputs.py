"""Everything that an analysis names, read and validated: every fault in one error."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from rctgap.analysis_file import AnalysisFile, ArmEntry
from rctgap.analysis_stages import Scoring, explained, linked_logs, read_stages, scored
from rctgap.cards import BenchmarkCard, read_card
from rctgap.design import Arm, Borrowing, Design, Exclusion
from rctgap.dictionary import Dictionary, read_dictionary
from rctgap.documents import nearest, parse, read_document
from rctgap.errors import AnalysisError, Fault, RctgapError
from rctgap.estimands import Estimand
from rctgap.files import inside
from rctgap.gold import Rectification, error_rates, read_labels, rectified, write_sample
from rctgap.labelling import key_beside
from rctgap.multiverse import Alternatives, all_plans
from rctgap.replication import DEFAULT_SEED
from rctgap.scores import StageScores, score_stages
from rctgap.scoring import ScoredText, ScoredTrial, with_scores
from rctgap.stages import Chain
from rctgap.trial import TrialData, read_trial

__all__ = [
    "Analysis",
    "Inputs",
    "Measured",
    "document_of",
    "input_files",
    "read_analysis",
    "read_inputs",
    "score_analysis",
]


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
    measured: "Measured"
    estimand: Estimand

    @property
    def scores(self) -> StageScores:
        """Stage scores, rectified where there are labels."""
        return self.measured.scores


@dataclass(frozen=True, slots=True)
class Measured:
    """Stage scores, and how they came about where texts were scored.

    Attributes
    ----------
    raw : TrialData
        Before any text was scored.
    alternatives : Alternatives
        Every way to score that the analysis names.
    scored : ScoredTrial
        The scores of all of them.
    scores : StageScores
        Rectified where there are labels.
    automatic : StageScores
        The same with automatic scores as they are, and the error rates of their scorers where these are known.
    rectifications : tuple of Rectification
    """

    raw: TrialData
    alternatives: Alternatives
    scored: ScoredTrial
    scores: StageScores
    automatic: StageScores
    rectifications: tuple[Rectification, ...] = ()
    labels: pd.DataFrame | None = None

    @property
    def texts(self) -> tuple[ScoredText, ...]:
        """Scores of the texts as the analysis asks for them."""
        names = {one.name for one in self.scores.chain.stages}
        return tuple(one for one in self.scored.texts if one.stage in names)


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
    data = file.data
    given = {"trial": data.trial, "benchmark": data.benchmark, "items": data.items, "labels": data.labels}
    given |= {"conversations": data.conversations.path if data.conversations else None}
    given |= {"dictionary": file.dictionary, "card": file.card}
    paths: dict[str, Path] = {}
    faults: list[Fault | str] = []
    for name, relative in given.items():
        if relative is not None:
            try:
                for one in _with_it(place.parent, name, relative):
                    inside(place.parent, one, allow_outside)
                paths[name] = place.parent / relative
            except RctgapError as error:
                key = name if name in ("dictionary", "card") else f"data.{name}"
                faults.extend(
                    replace(one, file=str(place), place=key) for one in error.faults if isinstance(one, Fault)
                )
    if faults:
        raise AnalysisError(*faults)
    return Analysis(place, file, paths)


def _with_it(folder: Path, name: str, relative: str) -> Iterator[str]:
    """A path that an analysis names, and those that are read with it: the logs of a folder, the key of a sheet."""
    yield relative
    try:
        if name == "conversations" and (folder / relative).is_dir():
            yield from sorted(str(Path(relative) / one.name) for one in (folder / relative).iterdir())
        if name == "labels":
            yield str(key_beside(Path(relative)))
    except (OSError, ValueError):
        return  # the readers say what is wrong


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
    stages = attempt(lambda: read_stages(file, analysis.path.parent))
    chain = stages.chain if stages is not None else None
    estimand = attempt(lambda: _estimand(file))
    card = attempt(lambda: read_card(paths["card"])) if "card" in paths else None
    if card is not None and chain is not None:
        attempt(lambda: card.require(chain.assumptions, "transitions"))
    dictionary = attempt(lambda: read_dictionary(paths["dictionary"])) if "dictionary" in paths else None
    design = attempt(lambda: _design(file, chain, str(analysis.path)))
    measured = None
    if design is not None and stages is not None and (dictionary is not None or "dictionary" not in paths):
        measured = attempt(lambda: _measured(analysis, dictionary, design, stages))
    if faults or chain is None or estimand is None or measured is None:
        raise AnalysisError(*faults)
    return Inputs(card, chain, measured, estimand)


def _measured(analysis: Analysis, dictionary: Dictionary | None, design: Design, stages: Scoring) -> Measured:
    """The stage scores of an analysis, with what its labels say of them."""
    raw, every = _scored(analysis, dictionary, design, stages)
    asked = _as_asked(raw, stages, every)
    covariates = analysis.file.covariates
    automatic = score_stages(asked.trial, stages.chain, covariates)
    rates = dict(stages.error_rates)
    if "labels" not in analysis.paths:
        automatic = replace(automatic, error_rates=rates)
        return Measured(raw, stages.alternatives, every, automatic, automatic)
    labels = read_labels(analysis.paths["labels"], asked)
    scorers = {plan.stage: dict(plan.instrument)["scorer"] for plan in asked.plans}
    rates = error_rates(labels, {name: one for name, one in scorers.items() if name in set(labels["stage"])}) | rates
    put_right, rectifications = rectified(asked, labels)
    done = {one.stage for one in rectifications}
    chain = replace(
        stages.chain,
        stages=tuple(replace(one, scoring="rectified") if one.name in done else one for one in stages.chain.stages),
    )
    scores = score_stages(put_right, chain, covariates)
    told = tuple(f"{one.stage}: {one.note}" for one in rectifications if one.note)
    scores = replace(scores, notes=(*scores.notes, *told))
    return Measured(
        raw, stages.alternatives, every, scores, replace(automatic, error_rates=rates), rectifications, labels
    )


def _as_asked(raw: TrialData, stages: Scoring, every: ScoredTrial) -> ScoredTrial:
    """The trial with the scores that the analysis asks for, without their alternatives."""
    mine = tuple(one for one in every.texts if one.stage in {plan.stage for plan in stages.plans})
    return ScoredTrial(with_scores(raw, stages.plans, mine, every.linker), stages.plans, mine, every.linker)


def score_analysis(
    analysis: Analysis,
    executor: Executor | None = None,
    *,
    sheet: Path | None = None,
    sample: int = 0,
    explain: bool = False,
) -> ScoredTrial:
    """Score every stage of an analysis that is made of texts, and stop there.

    Parameters
    ----------
    analysis : Analysis
    executor : concurrent.futures.Executor, optional
        For scorers; it never changes a score.
    sheet : Path, optional
        Where to write a blinded sheet of `sample` cases for people to label, and its key.
    sample : int
    explain : bool
        Note which terms the published rule finds where `whole_word` finds none, and why they do not count.

    Raises
    ------
    RctgapError
        Every fault of the inputs that scores need, or no such stage.
    """
    file, name = analysis.file, str(analysis.path)
    try:
        stages = read_stages(file, analysis.path.parent)
        stages = explained(stages) if explain else stages
        if not stages.plans and not stages.completeness:
            what, todo = "no stage is made of texts", "Score a stage `from: conversations`, or name its `text` column"
            raise AnalysisError(Fault(what, todo, place="scoring"))
        dictionary = read_dictionary(analysis.paths["dictionary"]) if "dictionary" in analysis.paths else None
        raw, every = _scored(analysis, dictionary, _design(file, stages.chain, name), stages, executor)
        found = _as_asked(raw, stages, every)
        if sheet is not None:
            logs = analysis.paths.get("conversations")
            again, linker = linked_logs(raw, stages.plans, file.data.conversations, logs, dictionary) or ((), None)
            seed = DEFAULT_SEED if file.seed is None else file.seed
            write_sample(sheet, found, sample, seed, again, linker)
    except RctgapError as error:
        raise error.at(name) from None
    return found


def _scored(
    analysis: Analysis, dictionary: Dictionary | None, design: Design, stages: Scoring, executor: Executor | None = None
) -> tuple[TrialData, ScoredTrial]:
    """The trial that an analysis names, and its texts scored in every way that it names, in one pass."""
    paths, data = analysis.paths, analysis.file.data
    raw = read_trial(
        paths["trial"],
        design=design,
        benchmark=paths.get("benchmark"),
        items=paths.get("items"),
        dictionary=dictionary,
        exclude=[Exclusion(one.where, one.reason) for one in analysis.file.exclude],
    )
    plans, logs = (*all_plans(stages.alternatives), *stages.completeness), paths.get("conversations")
    return raw, scored(raw, plans, data.conversations, logs, dictionary, executor)


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


def input_files(analysis: Analysis) -> Iterator[tuple[str, Path]]:
    """Name and path of every file behind an analysis, itself first."""
    yield "analysis", analysis.path
    yield from analysis.paths.items()
    if "labels" in analysis.paths:
        yield "labels_key", key_beside(analysis.paths["labels"])


def document_of(analysis: Analysis) -> dict[str, Any]:
    """The analysis as plain values, defaults filled in; what exclusions look for is confidential and left out."""
    document = analysis.file.model_dump(by_alias=True, mode="json")
    for rule in document["exclude"]:
        rule["where"] = dict.fromkeys(rule["where"], "(withheld)")
    return document
