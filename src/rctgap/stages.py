"""Stages of an evaluation, the transitions between them, and the two families of assumptions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rctgap.errors import AnalysisError, Fault

__all__ = [
    "DEFAULT_CHAIN",
    "FAMILIES",
    "SOURCES",
    "Chain",
    "Family",
    "Scale",
    "Scoring",
    "Source",
    "Stage",
    "Transition",
]

type Scale = Literal["binary", "ordinal", "bounded", "unbounded"]
type Family = Literal["task", "outcome"]
type Source = Literal["benchmark", "trial", "conversations"]
type Scoring = Literal["given", "automatic", "rectified", "corrected"]

RESERVED = frozenset(
    {"all", "arm", "count", "gap", "item", "item_mix", "marginal", "outcome", "participant", "realized_effect", "score"}
    | {"self_rescue", "system", "task", "uptake", "used"}
)
FAMILIES: tuple[str, ...] = get_args(Family.__value__)
SOURCES: tuple[str, ...] = get_args(Source.__value__)


@dataclass(frozen=True, slots=True)
class Stage:
    """One level of realism at which accuracy is measured.

    Attributes
    ----------
    name : str
        The stage's name, the key of every table.
    source : {"benchmark", "trial", "conversations"}
        Where its scores come from: runs of the AI alone, columns of the trial, or
        scored conversation logs.
    score : str
        The column that holds the score, a number in [0, 1]; empty means the column
        named like the stage.
    system_column, system : str
        The column naming the system that produced the row, or its one value;
        empty means the arm's own system.
    instrument : tuple of (str, str)
        How the score was made: scorer, scope, prompt, decoding settings, as declared.
    scoring : {"given", "automatic", "rectified", "corrected"}
        Whether the scores are taken as they are; come from an automatic scorer, with its errors in them; are
        pseudo-scores from a labelled subset; or are corrected for known error rates.
    """

    name: str
    source: Source = "trial"
    score: str = ""
    system_column: str = ""
    system: str = ""
    instrument: tuple[tuple[str, str], ...] = ()
    scoring: Scoring = "given"

    @property
    def column(self) -> str:
        """The score's column."""
        return self.score or self.name


@dataclass(frozen=True, slots=True)
class Transition:
    """The step into stage `to`, its family, and the card's assumptions that it relaxes."""

    to: str
    family: Family
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chain:
    """Ordered stages and the transitions between them. The order is a scientific claim.

    Raises
    ------
    AnalysisError
        Fewer than two stages, a name given twice, a benchmark stage that is not the
        first, or transitions that do not lead to each later stage exactly once.

    Examples
    --------
    >>> from rctgap.stages import DEFAULT_CHAIN
    >>> [stage.name for stage in DEFAULT_CHAIN.stages]
    ['benchmark', 'own_query', 'conversation', 'decision']
    """

    stages: tuple[Stage, ...]
    transitions: tuple[Transition, ...]

    def __post_init__(self) -> None:
        names = self.names
        if len(names) < 2:  # noqa: PLR2004 - a gap has two ends
            raise AnalysisError(Fault(f"{len(names)} stage given", "A gap needs at least two stages", place="stages"))
        for name in names:
            if names.count(name) > 1:
                raise AnalysisError(
                    Fault("the stage is given twice", "Name each stage once", place="stages", value=name)
                )
            if name in RESERVED or name.startswith("predicted_effect") or not name.isidentifier():
                raise AnalysisError(
                    Fault(
                        "this word cannot name a stage",
                        f"Use letters, digits and underscores; kept for results: {', '.join(sorted(RESERVED))}",
                        place="stages",
                        value=name,
                    )
                )
        late = [stage.name for stage in self.stages[1:] if stage.source == "benchmark"]
        if late:
            raise AnalysisError(
                Fault(
                    "a benchmark stage comes after another stage",
                    "The benchmark can only be first",
                    place="stages",
                    value=late[0],
                )
            )
        targets = [transition.to for transition in self.transitions]
        if targets != list(names[1:]):
            raise AnalysisError(
                Fault(
                    f"transitions lead to {', '.join(targets) or 'nothing'}",
                    f"One for each stage after the first, in order: {', '.join(names[1:])}",
                    place="transitions",
                )
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Stage names in order."""
        return tuple(stage.name for stage in self.stages)

    @property
    def trial_names(self) -> tuple[str, ...]:
        """Stages that are observed on answers, in order."""
        return tuple(stage.name for stage in self.stages if stage.source != "benchmark")

    @property
    def first(self) -> str:
        """The stage that promises."""
        return self.stages[0].name

    @property
    def last(self) -> str:
        """The stage that counts, the only one that the control arm has."""
        return self.stages[-1].name

    @property
    def steps(self) -> tuple[tuple[Stage, Stage, Transition], ...]:
        """Each transition with the stages it leaves and enters."""
        return tuple(zip(self.stages, self.stages[1:], self.transitions, strict=False))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Assumption IDs named by any transition, each once, in order."""
        return tuple(dict.fromkeys(name for transition in self.transitions for name in transition.assumptions))

    @property
    def scores_name(self) -> str:
        """What the tables call these scores: as given, rectified, corrected, or the scorers' names."""
        made = {stage.scoring for stage in self.stages}
        for kind in ("rectified", "corrected"):
            if kind in made:
                return kind
        scorers = [dict(stage.instrument) for stage in self.stages if stage.scoring == "automatic"]
        return " + ".join(dict.fromkeys(one["scorer"] for one in scorers if "version" in one)) or "as given"

    def __getitem__(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    @classmethod
    def of(cls, stages: "Chain | Sequence[Stage]", transitions: Sequence[Transition] = ()) -> "Chain":
        """Complete stages given without transitions by those that the default stage names imply."""
        if isinstance(stages, Chain):
            return stages
        if not all(isinstance(stage, Stage) for stage in stages):
            raise AnalysisError(
                Fault("a stage is not a Stage", "Give Stage records, such as Stage('decision')", place="stages")
            )
        return cls(tuple(stages), tuple(transitions) or _implied(stages))


def _implied(stages: Sequence[Stage]) -> tuple[Transition, ...]:
    known: Mapping[str, Transition] = {transition.to: transition for transition in _DEFAULT_TRANSITIONS}
    unknown = [stage.name for stage in stages[1:] if stage.name not in known]
    if unknown:
        raise AnalysisError(
            Fault(
                "no transition is stated for this stage",
                "Give Chain(stages, transitions), naming each step's family and assumptions",
                place="stages",
                value=unknown[0],
            )
        )
    skipped: list[str] = []
    transitions = []
    names = [stage.name for stage in stages]
    for transition in _DEFAULT_TRANSITIONS:
        skipped.extend(transition.assumptions)
        if transition.to in names[1:]:
            transitions.append(Transition(transition.to, transition.family, tuple(skipped)))
        if transition.to in names:
            skipped = []
    return tuple(transitions)


_DEFAULT_TRANSITIONS = (
    Transition("own_query", "task", ("task.query_authorship", "task.information_completeness")),
    Transition("conversation", "task", ("task.interaction_type",)),
    Transition("decision", "outcome", ("outcome.decision_mediation",)),
)

DEFAULT_CHAIN = Chain(
    (Stage("benchmark", "benchmark"), Stage("own_query"), Stage("conversation"), Stage("decision")),
    _DEFAULT_TRANSITIONS,
)
