"""The stages of an analysis: the chain that it declares, and the scorers that fill it."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from rctgap.analysis_file import AnalysisFile, Conversations, StageEntry
from rctgap.conversations import Conversation
from rctgap.dictionary import Dictionary
from rctgap.documents import nearest
from rctgap.error_rates import ErrorRates
from rctgap.errors import AnalysisError, Fault, RctgapError
from rctgap.linkage import Linker, link_columns
from rctgap.logs.reading import LogForm, read_conversations
from rctgap.multiverse import Alternatives
from rctgap.scorers.explained import Explained
from rctgap.scorers.key_facts import KeyFacts
from rctgap.scorers.scopes import check_scope
from rctgap.scorers.whole_word import WholeWord
from rctgap.scoring import ScoredTrial, score_texts
from rctgap.scoring_plan import HANDLED, RATES, KeyColumns, Setting, StageScoring, is_scored, rates_of, stage_scoring
from rctgap.stages import Chain, Stage, Transition
from rctgap.trial import TrialData

__all__ = ["COMPLETENESS", "Scoring", "explained", "linked_logs", "read_stages", "scored"]

AUTOMATIC = "automatic"
COMPLETENESS = "key facts: "
ROLES = ("participant", "item", "arm", "system")


@dataclass(frozen=True, slots=True)
class Scoring:
    """The chain of an analysis, and how those of its stages are scored that are made of texts."""

    chain: Chain
    plans: tuple[StageScoring, ...]
    alternatives: Alternatives
    completeness: tuple[StageScoring, ...]
    error_rates: Mapping[str, ErrorRates]


def read_stages(file: AnalysisFile, folder: Path) -> Scoring:
    """The chain that an analysis declares, and the scorers that it names.

    Raises
    ------
    AnalysisError
        Every fault of the keys `stages`, `transitions` and `scoring`.
    """
    entries = {entry.name: entry for entry in file.stages}
    faults: list[Fault | str] = [*_strangers(file, entries)]
    ways: dict[str, tuple[StageScoring, ...]] = {}
    for name, entry in entries.items():
        if is_scored(entry.source, file.scoring.get(name, {})):
            try:
                ways[name] = _ways(file, entry, folder)
            except RctgapError as error:
                faults.extend(error.faults)
    complete = tuple(_completeness(file, faults))
    rates: dict[str, ErrorRates] = {}
    for name, given in file.scoring.items():
        try:
            if (found := rates_of(name, given)) is not None:
                rates[name] = found
        except RctgapError as error:
            faults.extend(error.faults)
    if faults:
        raise AnalysisError(*faults)
    plans = {name: found[0] for name, found in ways.items()}
    named = [(entry.name, entry) for entry in file.stages]
    stages = tuple(_stage(entry, plans.get(name), file.scoring.get(name, {})) for name, entry in named)
    transitions = tuple(Transition(one.to, one.family, one.assumptions) for one in file.transitions)
    return Scoring(Chain.of(stages, transitions), tuple(plans.values()), Alternatives(ways), complete, rates)


def _completeness(file: AnalysisFile, faults: list[Fault | str]) -> Iterator[StageScoring]:
    """How much of the key facts the messages of each scope carry."""
    asked = file.completeness
    if asked is None:
        return
    if file.data.conversations is None:
        faults.append(Fault("completeness is of messages, and there are no logs", "Name data.conversations"))
    for scope in asked.scopes:
        try:
            check_scope(scope)
        except RctgapError as error:
            faults.extend(replace(one, place="completeness.scopes") for one in error.faults if isinstance(one, Fault))
        yield StageScoring(f"{COMPLETENESS}{scope}", "conversations", KeyFacts(), scope, key=KeyColumns(asked.key))


def _strangers(file: AnalysisFile, entries: Mapping[str, StageEntry]) -> Iterator[Fault]:
    """Keys that name no stage, or a stage that they cannot speak of, and stages that lack their logs."""
    made = [name for name, entry in entries.items() if is_scored(entry.source, file.scoring.get(name, {}))]
    for name in file.scoring:
        if name not in entries:
            yield Fault("this is no stage", nearest(name, entries), place=f"scoring.{name}")
    for name in file.multiverse:
        if name not in made:
            yield Fault("this stage is not scored here", nearest(name, made), place=f"multiverse.{name}")
    logged = file.completeness is not None or any(entries[name].source == "conversations" for name in made)
    if file.data.conversations is not None and not logged:
        what, todo = "no stage is scored from the logs", "Score one `from: conversations`, or remove the key"
        yield Fault(what, todo, place="data.conversations", value=file.data.conversations.path)
    if file.data.labels is not None and not made:
        what, todo = "no stage is scored here, and labels put automatic scores right", "Score one, or remove the key"
        yield Fault(what, todo, place="data.labels", value=file.data.labels)
    for name in made:
        if entries[name].score:
            what, todo = "the stage is scored here, and a column with scores is named", "Leave out one of them"
            yield Fault(what, todo, place=f"stages.{name}.score", value=entries[name].score)
        if entries[name].source == "conversations" and file.data.conversations is None:
            what = f"stage {name} is scored from conversations and there are none"
            yield Fault(what, "Name the logs: data.conversations", place="data.conversations")


def _ways(file: AnalysisFile, entry: StageEntry, folder: Path) -> tuple[StageScoring, ...]:
    """How a stage is scored, and the other ways that the multiverse names."""
    base = file.scoring.get(entry.name, {})
    asked = stage_scoring(entry.name, entry.source, base, folder)
    others = []
    for number, one in enumerate(file.multiverse.get(entry.name, ())):
        try:
            others.append(stage_scoring(entry.name, entry.source, _changed(base, one), folder))
        except RctgapError as error:
            place = f"multiverse.{entry.name}.{number}"
            raise AnalysisError(
                *(replace(one, place=place) for one in error.faults if isinstance(one, Fault))
            ) from None
    return tuple(dict.fromkeys([asked, *others]))


def explained(stages: Scoring) -> Scoring:
    """The same stages, `whole_word` saying of what it calls wrong what the published rule finds there."""
    plans = tuple(
        replace(plan, scorer=Explained(plan.scorer)) if isinstance(plan.scorer, WholeWord) else plan
        for plan in stages.plans
    )
    return replace(stages, plans=plans, alternatives=Alternatives({plan.stage: (plan,) for plan in plans}))


def _changed(base: Mapping[str, Setting], other: Mapping[str, Setting]) -> dict[str, Setting]:
    """An alternative: what it does not name stays, but for the settings of another scorer."""
    same = other.get("scorer", base.get("scorer")) == base.get("scorer")
    return {**{name: value for name, value in base.items() if same or name in HANDLED}, **other}


def _stage(entry: StageEntry, plan: StageScoring | None, declared: Mapping[str, Setting]) -> Stage:
    system = entry.system
    instrument = tuple((name, str(value)) for name, value in declared.items() if name not in (AUTOMATIC, *RATES))
    automatic = declared.get(AUTOMATIC) == "true" if plan is None else plan.scorer is not None
    return Stage(
        entry.name,
        entry.source,
        entry.score,
        system.column if system else "",
        system.value if system else "",
        instrument if plan is None else plan.instrument,
        "automatic" if automatic else "given",
    )


def scored(
    trial: TrialData,
    plans: Sequence[StageScoring],
    logs: Conversations | None,
    path: Path | None,
    dictionary: Dictionary | None,
    executor: Executor | None = None,
) -> ScoredTrial:
    """The trial with the scores of its texts.

    Raises
    ------
    RctgapError
        Every fault of the logs, the keys or their links.
    """
    conversations, linker = linked_logs(trial, plans, logs, path, dictionary) or ((), None)
    return score_texts(trial, plans, conversations, linker, executor)


def linked_logs(
    trial: TrialData,
    plans: Sequence[StageScoring],
    logs: Conversations | None,
    path: Path | None,
    dictionary: Dictionary | None,
) -> tuple[Iterator[Conversation], Linker] | None:
    """The conversations of an analysis, to be read once, and what ties them to the answers; None where none is scored.

    Raises
    ------
    DataError
        Nothing links them.
    """
    if logs is None or path is None or not any(plan.source == "conversations" for plan in plans):
        return None
    linker = Linker(trial, link_columns(trial, logs.link), logs.duplicates, logs.no_log, str(path))
    wanted = {name: name for name in linker.columns}
    wanted |= {plan.text: plan.text for plan in plans if plan.source == "conversations" and plan.scorer is None}
    form = LogForm(logs.format, {**wanted, **_described(dictionary), **logs.columns})
    return read_conversations(path, form), linker


def _described(dictionary: Dictionary | None) -> dict[str, str]:
    """Columns of the logs whose roles the dictionary tells."""
    table = dictionary.tables.get("conversations") if dictionary is not None else None
    if table is None:
        return {}
    return {role: found[0].name for role in ROLES if (found := table.by_role(role))}
