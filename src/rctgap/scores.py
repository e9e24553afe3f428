"""Stage scores: what each answer and each benchmark run scored at each stage, collapsed to patterns."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from rctgap.design import Arm, Design
from rctgap.documents import nearest
from rctgap.error_rates import ErrorRates
from rctgap.errors import DataError, Fault
from rctgap.fields import Constraints
from rctgap.margins import MarginComparison
from rctgap.patterns import (
    benchmark_patterns,
    collapse,
    covariate_column,
    covariate_values,
    keyed,
    marginal_parts,
    marginal_stages,
    paired_part,
    run_rows,
    run_scores,
)
from rctgap.stages import Chain, Scale, Stage
from rctgap.trial import AttritionStep, TrialData, counts

__all__ = ["StageScores", "due", "score_stages", "stages_in_use"]

KEYS = ("arm", "stratum", "item", "participant", "used", "marginal")


@dataclass(frozen=True, slots=True)
class StageScores:
    """Scores in the form that every estimator takes.

    Attributes
    ----------
    chain : Chain
    design : Design
    systems : mapping of (arm, stage) to tuple of str
        The systems named by the rows that the arm's stage rests on; empty where none is stated.
    paired : bool
        False where the trial gives marginal (binomial) counts, so that stages of one answer
        cannot be joined.
    participants : bool
        Whether every answer's participant is identified.
    attrition : tuple of AttritionStep
    margins : tuple of MarginComparison
    aliases : mapping of str to str
        Spellings of the arms, and the label of each.
    covariates : tuple of str
        Columns of the trial that answers carry for adjustment, each under `covariate_column`.
    unpaired : mapping of (arm, stage) to str
        Rows whose scores have the right mean and the right influence but are no longer the answers'
        own, and why pairs of them say nothing.
    scales : mapping of stage to {"ordinal", "bounded", "unbounded"}
        What the dictionary declares of fractional scores: a few ordered levels, a number between 0 and 1,
        or a number without such limits; `bounded` where it says nothing.
    error_rates : mapping of stage to ErrorRates
        How often the scorer of a stage errs; scores of stages that are not named are taken as true.
    unnamed : frozenset of (arm, stage)
        Where some rows name no system, and others do.
    """

    chain: Chain
    design: Design
    systems: Mapping[tuple[str, str], tuple[str, ...]]
    paired: bool
    participants: bool
    attrition: tuple[AttritionStep, ...]
    margins: tuple[MarginComparison, ...] = ()
    notes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    covariates: tuple[str, ...] = ()
    unpaired: Mapping[tuple[str, str], str] = field(default_factory=dict)
    scales: Mapping[str, Scale] = field(default_factory=dict)
    error_rates: Mapping[str, ErrorRates] = field(default_factory=dict)
    unnamed: frozenset[tuple[str, str]] = frozenset()
    _answers: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    _runs: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)

    @property
    def answers(self) -> pd.DataFrame:
        """Answer patterns: arm, stratum, item, participant, used, a column per covariate and per trial stage, count."""
        return self._answers.copy()

    @property
    def runs(self) -> pd.DataFrame:
        """Benchmark patterns: system, item, score, count."""
        return self._runs.copy()

    @property
    def trial_stages(self) -> tuple[Stage, ...]:
        """Stages observed on answers."""
        return tuple(stage for stage in self.chain.stages if stage.source != "benchmark")

    def non_users(self) -> int:
        """Answers of AI-arm participants who never wrote to the system."""
        labels = [arm.label for arm in self.design.arms]
        mine = self._answers[self._answers["arm"].isin(labels)]
        return int(mine.loc[~mine["used"], "count"].sum())


def score_stages(trial: TrialData, stages: Chain | Sequence[Stage], covariates: Sequence[str] = ()) -> StageScores:
    """Take each stage's scores from the trial's columns.

    Parameters
    ----------
    trial : TrialData
    stages : Chain or sequence of Stage
        A sequence gets the transitions of the default stage names.
    covariates : sequence of str
        Columns of the trial to adjust for, known before treatment.

    Returns
    -------
    StageScores

    Raises
    ------
    DataError
        A score column that is missing or holds a value outside [0, 1], a benchmark stage
        without benchmark data, no benchmark run of an arm's system, a stage with no score in
        an arm that needs it, or a covariate that is missing or blank in some row.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.scores import score_stages
    >>> from rctgap.stages import Stage
    >>> from rctgap.design import Arm, Design
    >>> from rctgap.trial import read_trial
    >>> frame = pd.DataFrame({"arm": ["a1", "a1"], "conversation": [1, 1], "decision": [1, 0], "count": [30, 40]})
    >>> trial = read_trial(frame, design=Design(ai=["a1"]))
    >>> scores = score_stages(trial, [Stage("conversation"), Stage("decision")])
    >>> scores.answers[["conversation", "decision", "count"]].values.tolist()
    [[1.0, 0.0, 40.0], [1.0, 1.0, 30.0]]
    """
    chain = Chain.of(stages)
    answers = trial.answers
    _refuse_withheld(trial, chain)
    arm = trial.column("arm") or "arm"
    answers = answers[answers[arm].isin(trial.design.labels)].reset_index(drop=True)
    attrition = trial.attrition + _unused_arms(trial, arm)
    marginal = marginal_stages(trial.table, chain)
    wide = keyed(answers, trial).assign(**covariate_values(answers, trial, chain, covariates))
    parts = [paired_part(wide, answers, trial, chain)] if not marginal else marginal_parts(wide, answers, trial, chain)
    patterns = collapse(
        pd.concat(parts, ignore_index=True), [*KEYS, *map(covariate_column, covariates), *chain.trial_names]
    )
    runs = benchmark_patterns(trial, chain)
    _check_presence(patterns, runs, chain, trial.design)
    systems, unnamed = _systems(answers, trial, chain, runs)
    return StageScores(
        chain,
        trial.design,
        systems,
        not marginal,
        bool(trial.column("participant")) and bool(wide["participant"].notna().all()),
        attrition + _missing_runs(trial, chain) + _missing_scores(patterns, chain, trial.design),
        trial.margins,
        tuple(_notes(wide, answers, trial, chain)),
        {spelling: level.name for spelling, level in trial.table.field(arm).spellings.items()},
        tuple(covariates),
        unpaired=_pseudo(chain, trial.design),
        scales=_scales(trial, chain),
        unnamed=unnamed,
        _answers=patterns,
        _runs=runs,
    )


def stages_in_use(chain: Chain, design: Design) -> tuple[tuple[str, str], ...]:
    """Arm and trial stage of the rows that stage means are taken from; a borrowed stage stands under its lender."""
    wanted = [(arm.rows_of(name), name) for arm in design.arms for name in chain.trial_names]
    wanted += [(design.control, chain.last)] if design.control is not None else []
    return tuple(dict.fromkeys(wanted))


def due(answers: pd.DataFrame, arm: str, *, everyone: bool) -> "pd.Series[bool]":
    """Answers of an arm that should have a score: everyone's at the last stage, users' at a task stage."""
    return (answers["arm"] == arm) & (answers["used"] | everyone)


def _refuse_withheld(trial: TrialData, chain: Chain) -> None:
    """Confidential columns can be neither scores nor systems: both are shown."""
    for stage in chain.stages:
        table = trial.runs_table if stage.source == "benchmark" else trial.table
        declared = table.by_role("system") if table else ()
        for column in (stage.column, stage.system_column, *(one.name for one in declared)):
            field = next((one for one in (table.fields if table else ()) if one.name == column), None)
            if field is not None and (field.withheld or field.role == "participant"):
                what = f"stage {stage.name!r} takes this column, which is confidential, as its score or system"
                file = trial.sources.get("benchmark" if stage.source == "benchmark" else "trial", "trial")
                raise DataError(Fault(what, "Name a score column, or a column of role `system`", file, column))


def _scales(trial: TrialData, chain: Chain) -> dict[str, Scale]:
    """What the dictionary says of each stage's scores; they may still all be 0 or 1."""
    found: dict[str, Scale] = {}
    for stage in chain.stages:
        table = trial.runs_table if stage.source == "benchmark" else trial.table
        declared = next((one for one in (table.fields if table else ()) if one.name == stage.column), None)
        free = declared is not None and declared.type == "number" and declared.constraints == Constraints()
        ordered = declared is not None and len(declared.levels) > 2  # noqa: PLR2004 - two levels are yes and no
        found[stage.name] = "ordinal" if ordered else "unbounded" if free else "bounded"
    return found


def _pseudo(chain: Chain, design: Design) -> dict[tuple[str, str], str]:
    """Stages whose pseudo-scores say nothing of single answers."""
    return {
        (label, stage.name): f"unpaired: scores at {stage.name} are right on average, and not answer by answer"
        for stage in chain.stages
        if stage.scoring == "rectified" and stage.source != "benchmark"
        for label in design.labels
    }


def _unused_arms(trial: TrialData, arm: str) -> tuple[AttritionStep, ...]:
    frame = trial.answers
    size = counts(frame, trial.table).groupby(frame[arm].astype("string"), sort=True).sum()
    return tuple(
        AttritionStep("arms", str(label), int(total), 0, "arm not in this analysis")
        for label, total in size.items()
        if label not in trial.design.labels
    )


def _notes(wide: pd.DataFrame, answers: pd.DataFrame, trial: TrialData, chain: Chain) -> Iterable[str]:
    used = trial.column("used")
    if used is not None and bool(answers[used].isna().any()):
        yield "A blank in the column of role `used` is taken to mean that the participant used the system."
    early = [stage.column for stage in chain.stages[:-1] if stage.source != "benchmark"]
    stages = [column for column in early if column in answers]
    silent = wide["arm"].isin([arm.label for arm in trial.design.arms]) & answers[stages].isna().all(axis=1)
    if used is None and stages and bool(silent.any()) and not bool(silent.all()):
        yield (
            f"{int(wide.loc[silent, 'count'].sum())} answers of AI arms have no score before the last stage and count "
            "as missing there. If their participants never used the system, say so in a column of role `used`."
        )
    rules = {one.reason: one for one in trial.attrition if one.step == "exclude" and one.n_out < one.n_in}
    idle = dict.fromkeys(one.reason for one in trial.attrition if one.step == "exclude" and one.reason not in rules)
    yield from (f"An exclusion matched no row: {reason}." for reason in idle)
    people = wide[["participant", "item"]].dropna()
    if len(people) and bool(people.duplicated().any()):
        yield "Some participants answered the same item more than once; their answers stay in one cluster."


def _check_presence(patterns: pd.DataFrame, runs: pd.DataFrame, chain: Chain, design: Design) -> None:
    faults = [
        Fault(
            f"arm {arm.label!r} borrows stage {loan.stage!r}",
            f"Stages before the last can be borrowed: {', '.join(chain.trial_names[:-1]) or 'none here'}",
            place="arms.ai.rows",
        )
        for arm in design.arms
        for loan in arm.borrowed
        if loan.stage not in chain.trial_names[:-1]
    ]
    for arm in design.arms:
        for stage in chain.stages:
            if stage.source == "benchmark":
                if not run_rows(runs, arm.tested).any():
                    known = runs["system"].dropna().astype(str).unique()
                    faults.append(
                        Fault(
                            "no benchmark run is of this arm's system",
                            nearest(arm.tested, known),
                            "benchmark",
                            "system",
                            value=arm.tested,
                        )
                    )
            elif not patterns.loc[patterns["arm"] == arm.rows_of(stage.name), stage.name].notna().any():
                faults.append(
                    Fault(
                        f"arm {arm.rows_of(stage.name)!r} has no score at this stage",
                        "Leave the stage out of the chain, or borrow it",
                        "trial",
                        stage.column,
                    )
                )
    if design.control is not None and not patterns.loc[patterns["arm"] == design.control, chain.last].notna().any():
        faults.append(
            Fault(
                f"the control arm {design.control!r} has no score at the last stage",
                "Give its decisions, or set `control: null`",
                "trial",
                chain[chain.last].column,
            )
        )
    if faults:
        raise DataError(*faults)


def _systems(
    answers: pd.DataFrame, trial: TrialData, chain: Chain, runs: pd.DataFrame
) -> tuple[dict[tuple[str, str], tuple[str, ...]], frozenset[tuple[str, str]]]:
    """Which systems the rows behind each arm's stage name, and where some name none."""
    found, unnamed = dict[tuple[str, str], tuple[str, ...]](), set[tuple[str, str]]()
    for arm in trial.design.arms:
        for stage in chain.stages:
            named = _named_systems(answers, trial, runs, arm, stage)
            known = {trial.canonical(name) for name in named if name}
            found[arm.label, stage.name] = tuple(sorted(known))
            if known and "" in named:
                unnamed.add((arm.label, stage.name))
    return found, frozenset(unnamed)


def _named_systems(answers: pd.DataFrame, trial: TrialData, runs: pd.DataFrame, arm: Arm, stage: Stage) -> set[str]:
    """Systems as the rows behind one stage of an arm spell them, empty text among them where a row names none."""
    if stage.source == "benchmark":
        return set(runs.loc[run_rows(runs, arm.tested), "system"].fillna("").astype(str))
    if stage.system:
        return {stage.system}
    column, label = stage.system_column or trial.column("system"), arm.rows_of(stage.name)
    if column is None:
        return {_system_of_label(trial.design, label)}
    rows = answers[answers[trial.column("arm") or "arm"] == label]
    rows = rows[rows[stage.column].notna()] if stage.column in rows else rows
    if column not in rows:
        raise DataError(Fault("the system column is missing", nearest(column, map(str, rows.columns)), "trial", column))
    return set(rows[column].astype("string").fillna("").str.strip().astype(str))


def _system_of_label(design: Design, label: str) -> str:
    """Without a system column, an arm's rows are of the system that the analysis says it used."""
    return next((arm.tested for arm in design.arms if arm.label == label), label)


def _missing_scores(patterns: pd.DataFrame, chain: Chain, design: Design) -> tuple[AttritionStep, ...]:
    """Answers without a score where an analysis uses the stage."""
    if bool((patterns["marginal"] != "").any()):
        return ()
    steps = []
    for label, name in stages_in_use(chain, design):
        rows = patterns[due(patterns, label, everyone=name == chain.last)]
        total, scored = (int(part["count"].sum()) for part in (rows, rows[rows[name].notna()]))
        if scored < total:
            steps.append(AttritionStep("score", label, total, scored, f"no score at stage {name}"))
    return tuple(steps)


def _missing_runs(trial: TrialData, chain: Chain) -> tuple[AttritionStep, ...]:
    """Benchmark runs of an arm's system that carry no score."""
    rows = run_scores(trial, chain)
    steps = []
    for arm in trial.design.arms:
        mine = rows[run_rows(rows, arm.tested)]
        total, scored = (int(part["count"].sum()) for part in (mine, mine[mine["score"].notna()]))
        if scored < total:
            reason = f"benchmark runs without a score, stage {chain.first}"
            steps.append(AttritionStep("score", arm.label, total, scored, reason))
    return tuple(steps)
