"""Small cells hidden before anything is written, with whatever else they could be worked out from."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from rctgap.checks.declared_margins import declared_margins
from rctgap.design import Arm
from rctgap.estimands import ALL_ARMS
from rctgap.records import (
    AssumptionRow,
    AttritionRow,
    ComponentRow,
    EffectRow,
    HypothesisRow,
    MarginRow,
    MissingRow,
    PosteriorRow,
    PredictiveRow,
    ShareRow,
    StageRow,
)
from rctgap.results import GapDecomposition
from rctgap.rows import LOST_MINUS_GAINED
from rctgap.scores import StageScores
from rctgap.scoring_records import ScoringRow, SpecificationRow

__all__ = ["raw_data_may_be_shown", "suppressed"]

FIGURES = ("estimate", "std_error", "df", "lower", "upper", "simultaneous_lower", "simultaneous_upper", "share_of_gap")
FLOWS = ("lost", "gained", "lost_count", "gained_count")
SIZES = ("n", "clusters", "df")
POSTERIOR_FIGURES = (
    *("mean", "median", "std_dev", "lower", "upper", "prob_positive", "prob_within_margin"),
    *("r_hat", "ess_bulk", "ess_tail", "prior_sensitivity", "likelihood_sensitivity"),
)
PREDICTIVE_FIGURES = ("n", "observed", "predicted", "lower", "upper", "p_value")


@dataclass(frozen=True, slots=True)
class _Hidden:
    """What must not be shown: stages of arms, how many answers a stage lacks, and the joint counts of paired steps."""

    stages: frozenset[tuple[str, str]]
    sizes: frozenset[tuple[str, str]]
    steps: frozenset[tuple[str, str]]
    use: frozenset[str]
    complete: frozenset[str]


def suppressed(result: GapDecomposition) -> GapDecomposition:
    """The result as it may be published.

    A stage of an arm with 1 to `suppress_below` - 1 people, successes or failures is hidden, and with
    it the pooled row and every quantity that uses it, since the count could be worked out from them.
    A paired step is hidden likewise where one of its joint counts is small: flows, uptake and
    self-rescue together, because the stage means give any of them from another. Where few answers
    lack a score, `n` is hidden with the arm's attrition rows. Benchmark runs are not people and stay. A
    loaded result was suppressed when it was saved.

    What is hidden cannot be had by subtraction. A formula turned round is another matter: under
    `robust` and observed weights the standard error of a paired step still gives lost plus gained, and a mean with
    all its digits can give its denominator.
    """
    estimates, limit = result.estimates, result.settings.suppress_below
    if estimates is None or limit <= 1:
        return result
    hidden = _find(estimates.scores, limit)
    note = f"hidden: fewer than {limit} people, successes or failures (suppress_below)"
    told = (note,) if any((hidden.stages, hidden.steps, hidden.sizes, hidden.use, hidden.complete)) else ()
    shown = replace(
        result,
        components=tuple(_component(row, result, hidden, note) for row in result.components),
        alternatives=tuple(_component(row, result, hidden, note) for row in result.alternatives),
        posterior=tuple(_posterior(row, result, hidden, note) for row in result.posterior),
        predictive=_predictive(result.predictive, estimates.scores, hidden, limit, note),
        missing=tuple(_resting(row, result, hidden, note) for row in result.missing),
        tests=tuple(_resting(row, result, hidden, note) for row in result.tests),
        stages=tuple(_stage(row, hidden, note) for row in result.stages),
        other_stages=tuple(_stage(row, hidden, note) for row in result.other_stages),
        shares=tuple(_share(row, result, hidden, note) for row in result.shares),
        effects=tuple(_effect(row, result, hidden, note) for row in result.effects),
        specifications=tuple(_specification(row, limit, note) for row in result.specifications),
        scoring=tuple(_scoring(row, limit, note) for row in result.scoring),
        attrition=_attrition(result.attrition, limit),
        margins=_margins(result.margins, limit),
        assumptions=tuple(_assumption(row, result, hidden) for row in result.assumptions),
        warnings=tuple(text for text in result.warnings if not _tells(text, hidden)),
        notes=(*result.notes, *(f"Small cells are {text}." for text in told)),
    )
    if shown.margins == result.margins:
        return shown
    retold = tuple(declared_margins(shown) if one.check == "declared_margins" else one for one in result.checks)
    return replace(shown, checks=retold)


def _specification(row: SpecificationRow, limit: int, note: str) -> SpecificationRow:
    """A specification under which some stage of the arm rests on few people, successes or failures."""
    if row.fewest is None or not _small(row.fewest, limit):
        return replace(row, fewest=None)
    return replace(
        row, estimate=None, std_error=None, lower=None, upper=None, interval="", n=None, fewest=None, note=note
    )


def _scoring(row: ScoringRow, limit: int, note: str) -> ScoringRow:
    if row.n is None or not _small(row.n, limit):
        return row
    return replace(row, estimate=None, lower=None, upper=None, n=None, note=note)


def _tells(text: str, hidden: _Hidden) -> bool:
    """Whether a warning speaks of a stage that is hidden."""
    return any(f"{stage} in arm {arm}" in text for arm, stage in hidden.stages)


def _small(count: float, limit: int) -> bool:
    return 0 < count < limit


def _find(scores: StageScores, limit: int) -> _Hidden:
    chain, control = scores.chain, scores.design.control
    names = [stage.name for stage in scores.trial_stages]
    cells = {(arm.label, name): arm.rows_of(name) for arm in scores.design.arms for name in names}
    if control is not None:
        cells[control, chain.last] = control
    stages = {cell for cell, rows in cells.items() if _small_stage(scores, rows, cell[1], limit)}
    sizes = {cell for cell, rows in cells.items() if _small(_unscored(scores, rows, cell[1]), limit)}
    steps = {
        (arm.label, to.name)
        for arm in scores.design.arms
        for start, to, _ in chain.steps
        if _small_step(scores, arm, start.name, to.name, limit)
    }
    labels = [arm.label for arm in scores.design.arms]
    use = {label for label in labels if _small_use(scores, label, limit)}
    dropped = {label for label in labels if _small_difference(scores, label, limit)}
    return _Hidden(
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


def _people(scores: StageScores, rows: pd.DataFrame) -> float:
    """Persons behind rows where they are identified, answers otherwise."""
    return float(rows["participant"].nunique()) if scores.participants else float(rows["count"].sum())


def _small_stage(scores: StageScores, arm: str, stage: str, limit: int) -> bool:
    rows = _rows(scores, arm, [stage])
    ends = [rows[rows[stage] == end] for end in (1.0, 0.0)] if rows[stage].isin([0.0, 1.0]).all() else []
    return any(_small(_people(scores, part), limit) for part in (rows, *ends))


def _small_step(scores: StageScores, arm: Arm, start: str, to: str, limit: int) -> bool:
    if scores.chain[start].source == "benchmark" or arm.borrows(start) or arm.borrows(to):
        return False
    rows = _rows(scores, arm.label, [start, to])
    binary = rows[[start, to]].isin([0.0, 1.0]).all(axis=None)
    change = rows[to] - rows[start]
    keys = [rows[start], rows[to]] if binary else [np.sign(change)]
    return any(_small(_people(scores, part), limit) for _, part in rows.groupby(keys))


def _small_use(scores: StageScores, arm: str, limit: int) -> bool:
    """Whether few people of an arm used the system, or few did not."""
    rows = _rows(scores, arm, [])
    return any(_small(_people(scores, part), limit) for part in (rows[rows["used"]], rows[~rows["used"]]))


def _small_difference(scores: StageScores, arm: str, limit: int) -> bool:
    """Whether leaving incomplete answers out takes few people, or few right or wrong ones, from some stage."""
    names = [stage.name for stage in scores.trial_stages]
    rows = _rows(scores, arm, [])
    incomplete = rows[rows[names].isna().any(axis=1)]
    for name in names:
        scored = incomplete[incomplete[name].notna()]
        ends = (scored, scored[scored[name] == 1.0], scored[scored[name] == 0.0])
        if any(_small(_people(scores, part), limit) for part in ends):
            return True
    return False


def _uses(row: ComponentRow | PosteriorRow, result: GapDecomposition) -> Iterable[tuple[str, str]]:
    """Arm and stage of every mean behind a row."""
    names, control = result.settings.stages, result.settings.control
    if row.kind == "effect":
        stage = {"predicted_effect": names[0], "realized_effect": names[-1]}.get(
            row.quantity, row.quantity.removeprefix("predicted_effect_after_")
        )
        return [(row.arm, stage), (control, names[-1])]
    if row.kind == "component":
        return [(row.arm, names[names.index(row.quantity) - 1]), (row.arm, row.quantity)]
    if row.kind == "conditional":
        return [(row.arm, names[-2]), (row.arm, names[-1])]
    if row.kind == "stage":
        return [(row.arm, row.quantity)]
    if row.kind in ("family", "difference"):
        return [(row.arm, name) for name in names]
    return [(row.arm, names[0]), (row.arm, names[-1])]


def _component(row: ComponentRow, result: GapDecomposition, hidden: _Hidden, note: str) -> ComponentRow:
    cells = set(_uses(row, result))
    blanks: dict[str, object] = {}
    if hidden.stages & cells:
        return replace(row, **dict.fromkeys((*FIGURES, *FLOWS, *SIZES)), note=note, interval="")  # type: ignore[arg-type]
    if row.kind == "conditional" and (row.arm, result.settings.stages[-1]) in hidden.steps:
        return replace(row, **dict.fromkeys((*FIGURES, *SIZES)), note=note, interval="")  # type: ignore[arg-type]
    if row.kind == "component" and (row.arm, row.quantity) in hidden.steps:
        blanks |= dict.fromkeys(FLOWS)
        kept = [part for part in row.note.split("; ") if part and not part.startswith(LOST_MINUS_GAINED)]
        blanks["note"] = "; ".join([*kept, f"flows {note}"])
    if hidden.sizes & cells:
        blanks |= dict.fromkeys(SIZES)
    return replace(row, **blanks)  # type: ignore[arg-type]  # blanks are given by field name


def _posterior(row: PosteriorRow, result: GapDecomposition, hidden: _Hidden, note: str) -> PosteriorRow:
    """A posterior's row is hidden with the component or stage that it speaks of, and its prior interval stays."""
    conditional = row.kind == "conditional" and (row.arm, result.settings.stages[-1]) in hidden.steps
    if not conditional and not hidden.stages & set(_uses(row, result)):
        return row
    return replace(row, **dict.fromkeys(POSTERIOR_FIGURES), note=note, interval="")  # type: ignore[arg-type]


def _predictive(
    rows: tuple[PredictiveRow, ...], scores: StageScores, hidden: _Hidden, limit: int, note: str
) -> tuple[PredictiveRow, ...]:
    """Cells of arm, item and stage: one small cell hides its arm's others at that stage, which add up to the stage.

    Where few answers to an item lack a score, the arm's `n` by item is hidden at every stage: two of them would tell.
    """
    lenders = {(arm.label, name): arm.rows_of(name) for arm in scores.design.arms for name in scores.chain.names}
    trial = {stage.name for stage in scores.trial_stages}
    small, lacking = _small_items(scores, limit)
    found = []
    for row in rows:
        rows_of = lenders.get((row.arm, row.stage), row.arm)
        one = row
        if row.stage in trial and (
            (row.arm, row.stage) in hidden.stages or (row.item and (rows_of, row.stage) in small)
        ):
            one = replace(row, **dict.fromkeys(PREDICTIVE_FIGURES), note=note)  # type: ignore[arg-type]
        elif row.stage in trial and ((row.arm, row.stage) in hidden.sizes or (row.item and rows_of in lacking)):
            one = replace(row, n=None)
        found.append(one)
    return tuple(found)


def _small_items(scores: StageScores, limit: int) -> tuple[frozenset[tuple[str, str]], frozenset[str]]:
    """Arms and stages with a small cell of some item, and arms where few answers to some item lack a score."""
    frame, small, lacking = scores.answers, set(), set()
    for stage in scores.trial_stages:
        for (arm, _), cell in frame.groupby(["arm", "item"], observed=True):
            rows = cell[cell[stage.name].notna()]
            ends = (
                [rows[rows[stage.name] == end] for end in (1.0, 0.0)] if rows[stage.name].isin([0.0, 1.0]).all() else []
            )
            if any(_small(_people(scores, part), limit) for part in (rows, *ends)):
                small.add((str(arm), stage.name))
            if _small(_people(scores, cell[cell[stage.name].isna()]), limit):
                lacking.add(str(arm))
    return frozenset(small), frozenset(lacking)


def raw_data_may_be_shown(result: GapDecomposition) -> bool:
    """Whether no pattern of stages of any arm and item is shown by few people, so that a model's own data may be shown.

    A model's parameters, its likelihood by observation and its replicated data tell as much as the observations.
    """
    estimates, limit = result.bayesian, result.settings.suppress_below
    if estimates is None or limit <= 1:
        return True
    scores, hidden = estimates.scores, _find(estimates.scores, limit)
    if any((hidden.stages, hidden.steps, hidden.sizes, hidden.use, hidden.complete)):
        return False
    names = ["arm", "item", *(stage.name for stage in scores.trial_stages)]
    groups = scores.answers.groupby(names, observed=True, dropna=False)
    return not any(_small(_people(scores, part), limit) for _, part in groups)


def _stage(row: StageRow, hidden: _Hidden, note: str) -> StageRow:
    if (row.arm, row.stage) in hidden.stages:
        return replace(row, estimate=None, std_error=None, lower=None, upper=None, interval="", n=None, note=note)
    return replace(row, n=None) if (row.arm, row.stage) in hidden.sizes else row


def _share(row: ShareRow, result: GapDecomposition, hidden: _Hidden, note: str) -> ShareRow:
    if not hidden.stages & {(row.arm, name) for name in result.settings.stages}:
        return row
    return replace(row, estimate=None, lower=None, upper=None, set_type="", note=note)


def _effect(row: EffectRow, result: GapDecomposition, hidden: _Hidden, note: str) -> EffectRow:
    last = result.settings.stages[-1]
    few_users = row.quantity == "complier_effect" and row.arm in hidden.use
    if not few_users and not hidden.stages & {(row.arm, last), (result.settings.control, last)}:
        return row
    return replace(row, estimate=None, lower=None, upper=None, note=note)


def _resting[T: (MissingRow, HypothesisRow)](row: T, result: GapDecomposition, hidden: _Hidden, note: str) -> T:
    """A row that rests on several stages of an arm and of the control arm: blank where any, or its size, is hidden."""
    arms = {arm for arm, _ in (*hidden.stages, *hidden.sizes)}
    if getattr(row, "approach", "") == "complete_case":
        arms |= hidden.complete
    if not arms or (not arms & {row.arm, result.settings.control} and row.arm in result.settings.arms):
        return row
    kept = {"arm", "quantity", "approach", "hypothesis", "method", "reference", "level"}
    blank = {one.name: None for one in fields(row) if one.name not in kept}
    return replace(row, **(blank | {"note": note}))  # type: ignore[arg-type]  # blanks are given by field name


def _attrition(rows: tuple[AttritionRow, ...], limit: int) -> tuple[AttritionRow, ...]:
    """Where a step of an arm lost, kept or met a few people, none of its numbers: the others would give it away."""
    arms = {row.arm for row in rows if _small_step_of(row, limit)}
    note = f"numbers of this arm hidden: fewer than {limit} at a step"
    return tuple(
        replace(row, n_in=None, n_out=None, reason=f"{row.reason} ({note})") if row.arm in arms else row for row in rows
    )


def _small_step_of(row: AttritionRow, limit: int) -> bool:
    entered, left = row.n_in or 0, row.n_out or 0
    return any(_small(count, limit) for count in (entered, left, entered - left))


def _margins(rows: tuple[MarginRow, ...], limit: int) -> tuple[MarginRow, ...]:
    """A small margin is hidden, and with an item's all items of its label, which would add up to it."""
    small = {
        (row.label, row.item != "", row.column) for row in rows if any(_small(count, limit) for count in row.counts)
    }
    return tuple(
        replace(row, found=f"hidden: fewer than {limit}", counts=())
        if (row.label, row.item != "", row.column) in small
        else row
        for row in rows
    )


def _assumption(row: AssumptionRow, result: GapDecomposition, hidden: _Hidden) -> AssumptionRow:
    component = next(
        (
            one
            for one in result.main()
            if row.assumption_id in one.assumption_ids.split(";") and one.kind == "component" and one.arm == ALL_ARMS
        ),
        None,
    )
    if component is None or not hidden.stages & set(_uses(component, result)):
        return row
    return replace(row, estimate=None, lower=None, upper=None, evidence="hidden: small cells")
