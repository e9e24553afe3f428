"""Small cells of a trial: which stages, steps and sizes could show what few people did."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rctgap.design import Arm
from rctgap.estimands import ALL_ARMS
from rctgap.scores import StageScores
from rctgap.trial import TrialData, counts

__all__ = ["Hidden", "people", "small", "small_cells", "small_in_trial", "small_items"]


@dataclass(frozen=True, slots=True)
class Hidden:
    """What must not be shown: stages of arms, how many answers a stage lacks, and the joint counts of paired steps."""

    stages: frozenset[tuple[str, str]]
    sizes: frozenset[tuple[str, str]]
    steps: frozenset[tuple[str, str]]
    use: frozenset[str]
    complete: frozenset[str]

    @property
    def any(self) -> bool:
        """Whether anything is hidden at all."""
        return any((self.stages, self.sizes, self.steps, self.use, self.complete))


def small(count: float, limit: int) -> bool:
    """Whether a count is one of a few."""
    return 0 < count < limit


def small_cells(scores: StageScores, limit: int) -> Hidden:
    """What must not be shown of a trial where cells of 1 to `limit` - 1 people, successes or failures are hidden."""
    chain, control = scores.chain, scores.design.control
    names = [stage.name for stage in scores.trial_stages]
    cells = {(arm.label, name): arm.rows_of(name) for arm in scores.design.arms for name in names}
    if control is not None:
        cells[control, chain.last] = control
    stages = {cell for cell, rows in cells.items() if _small_stage(scores, rows, cell[1], limit)}
    sizes = {cell for cell, rows in cells.items() if small(_unscored(scores, rows, cell[1]), limit)}
    steps = {
        (arm.label, to.name)
        for arm in scores.design.arms
        for start, to, _ in chain.steps
        if _small_step(scores, arm, start.name, to.name, limit)
    }
    labels = [arm.label for arm in scores.design.arms]
    use = {label for label in labels if _small_use(scores, label, limit)}
    dropped = {label for label in labels if _small_difference(scores, label, limit)}
    return Hidden(
        _pooled(stages, control),
        _pooled(sizes, control),
        _pooled(steps, control),
        frozenset(use | ({ALL_ARMS} if use else set())),
        frozenset(dropped | ({ALL_ARMS} if dropped else set())),
    )


def _pooled(cells: set[tuple[str, str]], control: str | None) -> frozenset[tuple[str, str]]:
    """With each hidden cell of an AI arm, the row of all arms, from which it could be subtracted."""
    return frozenset(cells | {(ALL_ARMS, name) for label, name in cells if label != control})


def _rows(scores: StageScores, arm: str, stages: list[str]) -> pd.DataFrame:
    frame = scores.answers
    return frame[(frame["arm"] == arm) & frame[stages].notna().all(axis=1)]


def _unscored(scores: StageScores, arm: str, stage: str) -> float:
    frame = scores.answers
    return float(frame.loc[(frame["arm"] == arm) & frame[stage].isna(), "count"].sum())


def people(scores: StageScores, rows: pd.DataFrame) -> float:
    """Persons behind rows where they are identified, answers otherwise."""
    return float(rows["participant"].nunique()) if scores.participants else float(rows["count"].sum())


def _small_stage(scores: StageScores, arm: str, stage: str, limit: int) -> bool:
    rows = _rows(scores, arm, [stage])
    ends = [rows[rows[stage] == end] for end in (1.0, 0.0)] if rows[stage].isin([0.0, 1.0]).all() else []
    return any(small(people(scores, part), limit) for part in (rows, *ends))


def _small_step(scores: StageScores, arm: Arm, start: str, to: str, limit: int) -> bool:
    if scores.chain[start].source == "benchmark" or arm.borrows(start) or arm.borrows(to):
        return False
    rows = _rows(scores, arm.label, [start, to])
    binary = rows[[start, to]].isin([0.0, 1.0]).all(axis=None)
    change = rows[to] - rows[start]
    keys = [rows[start], rows[to]] if binary else [np.sign(change)]
    return any(small(people(scores, part), limit) for _, part in rows.groupby(keys))


def _small_use(scores: StageScores, arm: str, limit: int) -> bool:
    """Whether few people of an arm used the system, or few did not."""
    rows = _rows(scores, arm, [])
    return any(small(people(scores, part), limit) for part in (rows[rows["used"]], rows[~rows["used"]]))


def _small_difference(scores: StageScores, arm: str, limit: int) -> bool:
    """Whether leaving incomplete answers out takes few people, or few right or wrong ones, from some stage."""
    names = [stage.name for stage in scores.trial_stages]
    rows = _rows(scores, arm, [])
    incomplete = rows[rows[names].isna().any(axis=1)]
    for name in names:
        scored = incomplete[incomplete[name].notna()]
        ends = (scored, scored[scored[name] == 1.0], scored[scored[name] == 0.0])
        if any(small(people(scores, part), limit) for part in ends):
            return True
    return False


def small_items(scores: StageScores, limit: int) -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    """Arms and stages with a small cell of some item, and arms where few answers to some item lack a score."""
    frame, few, lacking = scores.answers, set(), set()
    for stage in scores.trial_stages:
        for (arm, _), cell in frame.groupby(["arm", "item"], observed=True):
            rows = cell[cell[stage.name].notna()]
            ends = (
                [rows[rows[stage.name] == end] for end in (1.0, 0.0)] if rows[stage.name].isin([0.0, 1.0]).all() else []
            )
            if any(small(people(scores, part), limit) for part in (rows, *ends)):
                few.add((str(arm), stage.name))
            if small(people(scores, cell[cell[stage.name].isna()]), limit):
                lacking.add(str(arm))
    return frozenset(few), frozenset(lacking)


def small_in_trial(trial: TrialData, columns: Sequence["pd.Series[Any]"], limit: int) -> bool:
    """Whether few people of an arm have some combination of values of columns, blank ones included."""
    frame, arm, person = trial.answers, trial.column("arm") or "arm", trial.column("participant")
    groups = [frame[arm], *columns]
    if person is not None and bool(frame[person].notna().all()):
        cells = frame[person].groupby(groups, dropna=False).nunique()
    else:
        cells = counts(frame, trial.table).groupby(groups, dropna=False).sum()
    return any(small(float(count), limit) for count in cells)
