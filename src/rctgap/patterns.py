"""Columns of validated tables as scores, keys and covariates, and rows collapsed to patterns with counts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from rctgap.dictionary import Table
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.stages import Chain, Stage
from rctgap.trial import TrialData

__all__ = [
    "benchmark_patterns",
    "binomial",
    "collapse",
    "covariate_column",
    "covariate_values",
    "keyed",
    "marginal_parts",
    "marginal_stages",
    "numbers",
    "paired_part",
    "rows_stand_for",
    "run_rows",
    "run_scores",
]

STRATUM_END = "\x1f"
NOT_COVARIATES = ("participant", "item", "arm", "count", "successes", "trials", "score", "text")


def numbers(frame: pd.DataFrame, column: str, file: str, *, pseudo: bool = False) -> "pd.Series[float]":
    """A column's scores, numbers in [0, 1] or blank; every other value is a fault with its row.

    Pseudo-scores, which are right on average and not one by one, may be any number.
    """
    if column not in frame.columns:
        raise DataError(Fault("the score column is missing", nearest(column, map(str, frame.columns)), file, column))
    values = pd.to_numeric(frame[column], errors="coerce").astype("float64")
    wrong = (values.isna() & frame[column].notna()) | np.isinf(values)
    if not pseudo:
        wrong |= (values < 0) | (values > 1)
    if bool(wrong.any()):
        raise DataError(
            *(
                Fault(
                    "a score is not a number in [0, 1]",
                    "Rescale it, higher being better",
                    file,
                    column,
                    int(row) + 1,
                    str(frame[column].iloc[int(row)])[:40],
                )
                for row in np.flatnonzero(wrong.to_numpy())[:20]
            )
        )
    return values


def binomial(frame: pd.DataFrame, table: Table, stage: str) -> "tuple[pd.Series[float], pd.Series[float]]":
    """Successes and trials of a stage, blank as zero."""

    def column(role: str) -> "pd.Series[float]":
        fields = table.by_role(role)
        found = [field for field in fields if field.stage == stage] or [field for field in fields if not field.stage]
        return frame[found[0].name].astype("float64").fillna(0.0)

    return column("successes"), column("trials")


def collapse(frame: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """Alike rows as one, in an order that does not depend on the order of the rows."""
    grouped = frame.groupby(keys, dropna=False, sort=True, observed=True)["count"].sum().reset_index()
    return grouped[grouped["count"] > 0].reset_index(drop=True)


def run_scores(trial: TrialData, chain: Chain) -> pd.DataFrame:
    """Every benchmark run: system, item, score (blank where it has none), count; empty without a benchmark stage."""
    stage = chain.stages[0]
    if stage.source != "benchmark":
        return pd.DataFrame({"system": [], "item": [], "score": [], "count": []})
    runs, table = trial.runs, trial.runs_table
    if runs is None or table is None:
        raise DataError(
            Fault(
                "the chain has a benchmark stage, and no benchmark data are given",
                "Give the runs, or leave the stage out",
                place="data.benchmark",
            )
        )
    system = stage.system_column or trial.run_column("system")
    if system and stage.system:
        _refuse_other_systems(runs, system, stage, trial)
    item = trial.run_column("item")
    base = pd.DataFrame(
        {
            "system": _systems(runs[system], trial)
            if system
            else pd.Series(trial.canonical(stage.system), index=runs.index, dtype="string"),
            "item": runs[item].astype("string") if item else pd.Series(pd.NA, index=runs.index, dtype="string"),
            "count": runs[size[0].name].astype("float64") if (size := table.by_role("count")) else 1.0,
        }
    )
    if table.by_role("successes"):
        won, tried = binomial(runs, table, stage.name)
        parts = [
            base.assign(score=1.0, count=won * base["count"]),
            base.assign(score=0.0, count=(tried - won) * base["count"]),
        ]
        return pd.concat(parts, ignore_index=True)
    column = _benchmark_column(table, stage, runs)
    file, pseudo = trial.sources.get("benchmark", "benchmark"), stage.scoring == "rectified"
    return base.assign(score=numbers(runs, column, file, pseudo=pseudo))


def _refuse_other_systems(runs: pd.DataFrame, column: str, stage: Stage, trial: TrialData) -> None:
    """Refuse one stated system where the rows themselves name another."""
    stated = trial.canonical(stage.system)
    others = [name for name in runs[column].dropna().unique() if trial.canonical(str(name)) != stated]
    if others:
        file = trial.sources.get("benchmark", "benchmark")
        todo = f"Leave `system` out of stage {stage.name}, or correct the rows"
        what = f"stage {stage.name} says that its runs are of {stated!r}, and rows name another system"
        raise DataError(Fault(what, todo, file, column, value=str(others[0])))


def benchmark_patterns(trial: TrialData, chain: Chain) -> pd.DataFrame:
    """Scored runs of the arms' systems: system, item, score, count; empty where the chain has no benchmark stage."""
    rows = run_scores(trial, chain)
    if rows.empty:
        return rows
    patterns = collapse(rows[rows["score"].notna()], ["system", "item", "score"])
    known = patterns["system"].dropna().unique()
    needed = np.logical_or.reduce([run_rows(patterns, arm.tested).to_numpy() for arm in trial.design.arms])
    if not needed.any() and len(known):
        return patterns
    return patterns[needed].reset_index(drop=True)


def _systems(names: "pd.Series[str]", trial: TrialData) -> "pd.Series[str]":
    """Names of systems in their canonical spelling."""
    known = {name: trial.canonical(str(name)) for name in names.dropna().unique()}
    return names.map(known).astype("string")


def _benchmark_column(table: Table, stage: Stage, runs: pd.DataFrame) -> str:
    """The stage's column, or the one column of role score where the stage names none."""
    scores = table.by_role("score")
    if not stage.score and stage.name not in runs.columns and len(scores) == 1:
        return scores[0].name
    return stage.column


def run_rows(runs: pd.DataFrame, system: str) -> "pd.Series[bool]":
    """Benchmark rows of a system; rows that name none belong to every system."""
    return (runs["system"] == system).fillna(False) | runs["system"].fillna("").eq("")


def covariate_column(name: str) -> str:
    """Name of the column of answer patterns that carries a covariate; no stage can be called so."""
    return f"covariate:{name}"


def keyed(answers: pd.DataFrame, trial: TrialData) -> pd.DataFrame:
    """The columns that say whose answer to what a row is."""

    def text(role: str) -> "pd.Series[str]":
        name = trial.column(role)
        blank = pd.Series(pd.NA, index=answers.index, dtype="string")
        return blank if name is None else answers[name].astype("string")

    used = trial.column("used")
    wrote = pd.Series(data=True, index=answers.index) if used is None else answers[used].astype("boolean").fillna(True)
    return pd.DataFrame(
        {
            "arm": text("arm"),
            "stratum": _stratum(answers, trial),
            "item": text("item"),
            "participant": text("participant"),
            "used": wrote.astype("bool"),
            "marginal": "",
            "count": rows_stand_for(answers, trial.table).astype("float64"),
        }
    )


def _stratum(answers: pd.DataFrame, trial: TrialData) -> "pd.Series[str]":
    """The randomisation stratum as one label; blank values are a stratum of their own."""
    label = pd.Series("", index=answers.index, dtype="string")
    for column in trial.design.strata:
        label = label + answers[column].astype("string").fillna("") + STRATUM_END
    return label


def covariate_values(
    answers: pd.DataFrame, trial: TrialData, chain: Chain, names: Sequence[str]
) -> dict[str, "pd.Series[float] | pd.Series[str]"]:
    """Each covariate as numbers, or as text where its declared type is none; blanks are refused."""
    file = trial.sources.get("trial", "trial")
    taken = {stage.column for stage in chain.stages if stage.source != "benchmark"}
    faults: list[Fault | str] = []
    found: dict[str, pd.Series[float] | pd.Series[str]] = {}
    twice = sorted({name for name in names if list(names).count(name) > 1})
    faults += [Fault("a covariate is listed twice", "Name each once", file, name) for name in twice]
    for name in dict.fromkeys(names):
        if name not in answers.columns:
            faults.append(Fault("a covariate names no column of the trial", nearest(name, answers.columns), file, name))
        elif name in taken or trial.table.field(name).role in NOT_COVARIATES:
            what = f"this column is the trial's {trial.table.field(name).role or 'score'}, not a covariate"
            faults.append(Fault(what, "Name columns known before treatment", file, name))
        else:
            column = answers[name]
            faults += [
                Fault(
                    "a covariate is blank", "Fill it, exclude the row with a reason, or leave it out", file, name, row
                )
                for row in (np.flatnonzero(column.isna()) + 1)[:20].tolist()
            ]
            number = pd.api.types.is_numeric_dtype(column)
            found[covariate_column(name)] = column.astype("float64" if number else "string")
    if faults:
        raise DataError(*faults)
    return found


def rows_stand_for(answers: pd.DataFrame, table: Table) -> "pd.Series[float]":
    """The count of a row, its binomial trials left aside."""
    found = table.by_role("count")
    return answers[found[0].name].astype("float64") if found else pd.Series(1.0, index=answers.index)


def paired_part(wide: pd.DataFrame, answers: pd.DataFrame, trial: TrialData, chain: Chain) -> pd.DataFrame:
    """Answers with a score at each stage of their own."""
    file = trial.sources.get("trial", "trial")
    part = wide.copy()
    for stage in chain.stages:
        if stage.source != "benchmark":
            part[stage.name] = numbers(answers, stage.column, file, pseudo=stage.scoring == "rectified")
    return part


def marginal_stages(table: Table, chain: Chain) -> bool:
    """Whether scores come as successes and trials per stage, rather than answer by answer."""
    staged = {field.stage or field.name for field in table.by_role("successes")}
    wanted = set(chain.trial_names)
    if not staged & wanted:
        return False
    if not wanted <= staged:
        lacking = sorted(wanted - staged)
        raise DataError(
            Fault(
                f"stages {', '.join(sorted(staged & wanted))} are binomial counts, and {', '.join(lacking)} are not",
                "Give every trial stage as successes and trials, or every one as scores",
                place="stages",
            )
        )
    return True


def marginal_parts(wide: pd.DataFrame, answers: pd.DataFrame, trial: TrialData, chain: Chain) -> list[pd.DataFrame]:
    """Right and wrong answers of each stage, where stages are counted alone."""
    parts = []
    for name in chain.trial_names:
        won, tried = binomial(answers, trial.table, name)
        for score, number in ((1.0, won), (0.0, tried - won)):
            part = wide.copy()
            for other in chain.trial_names:
                part[other] = score if other == name else np.nan
            part["count"] = number * wide["count"]
            part["marginal"] = name
            parts.append(part[part["count"] > 0])
    return parts
