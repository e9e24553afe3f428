"""Small cells hidden before anything is written, with whatever else they could be worked out from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from rctgap.estimands import ALL_ARMS
from rctgap.results import (
    AssumptionRow,
    AttritionRow,
    ComponentRow,
    EffectRow,
    GapDecomposition,
    MarginRow,
    ShareRow,
    StageRow,
)
from rctgap.scores import StageScores
from rctgap.trial import Arm

__all__ = ["suppressed"]

FIGURES = ("estimate", "std_error", "df", "lower", "upper", "simultaneous_lower", "simultaneous_upper", "share_of_gap")
FLOWS = ("lost", "gained", "lost_count", "gained_count")


@dataclass(frozen=True, slots=True)
class _Hidden:
    """What must not be shown: stages of arms, and the joint counts of paired steps."""

    stages: frozenset[tuple[str, str]]
    steps: frozenset[tuple[str, str]]


def suppressed(result: GapDecomposition) -> GapDecomposition:
    """The result as it may be published.

    A stage of an arm with 1 to `suppress_below` - 1 people, successes or failures is hidden, and with
    it the pooled row and every quantity that uses it, since the count could be worked out from them.
    A paired step is hidden likewise where one of its four joint counts is small: flows, uptake and
    self-rescue together, because the stage means give any three from the fourth. Benchmark runs are
    not people and stay. A loaded result was suppressed when it was saved.
    """
    estimates, limit = result.estimates, result.settings.suppress_below
    if estimates is None or limit <= 1:
        return result
    hidden = _find(estimates.scores, limit)
    note = f"hidden: fewer than {limit} people, successes or failures (suppress_below)"
    told = (note,) if hidden.stages or hidden.steps else ()
    return replace(
        result,
        components=tuple(_component(row, result, hidden, note) for row in result.components),
        stages=tuple(_stage(row, hidden, note) for row in result.stages),
        other_stages=tuple(_stage(row, hidden, note) for row in result.other_stages),
        shares=tuple(_share(row, result, hidden, note) for row in result.shares),
        effects=tuple(_effect(row, result, hidden, note) for row in result.effects),
        attrition=tuple(_attrition(row, limit) for row in result.attrition),
        margins=tuple(_margin(row, limit) for row in result.margins),
        assumptions=tuple(_assumption(row, result, hidden) for row in result.assumptions),
        warnings=tuple(text for text in result.warnings if not hidden.stages),
        notes=(*result.notes, *(f"Small cells are {text}." for text in told)),
    )


def _small(count: float, limit: int) -> bool:
    return 0 < count < limit


def _find(scores: StageScores, limit: int) -> _Hidden:
    frame, chain = scores.answers, scores.chain
    names = [stage.name for stage in scores.trial_stages]
    stages: set[tuple[str, str]] = set()
    steps: set[tuple[str, str]] = set()
    for arm in scores.design.arms:
        stages |= {(arm.label, name) for name in names if _small_stage(frame, arm.rows_of(name), name, limit)}
        steps |= {
            (arm.label, to.name)
            for start, to, _ in chain.steps
            if _small_step(scores, frame, arm, start.name, to.name, limit)
        }
    control = scores.design.control
    if control is not None and _small_stage(frame, control, chain.last, limit):
        stages.add((control, chain.last))
    pooled = {(ALL_ARMS, name) for label, name in stages if label != control}
    return _Hidden(frozenset(stages | pooled), frozenset(steps | {(ALL_ARMS, name) for _, name in steps}))


def _small_stage(frame: pd.DataFrame, arm: str, stage: str, limit: int) -> bool:
    rows = frame[(frame["arm"] == arm) & frame[stage].notna()]
    won = float((rows[stage] * rows["count"]).sum())
    total = float(rows["count"].sum())
    return any(_small(count, limit) for count in (total, won, total - won))


def _small_step(scores: StageScores, frame: pd.DataFrame, arm: Arm, start: str, to: str, limit: int) -> bool:
    if scores.chain[start].source == "benchmark" or arm.borrows(start) or arm.borrows(to):
        return False
    rows = frame[(frame["arm"] == arm.label) & frame[start].notna() & frame[to].notna()]
    joint: Mapping[object, float] = rows.groupby([start, to])["count"].sum().to_dict()
    return any(_small(count, limit) for count in joint.values())


def _uses(row: ComponentRow, result: GapDecomposition) -> Iterable[tuple[str, str]]:
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
    if row.kind == "family":
        return [(row.arm, name) for name in names]
    return [(row.arm, names[0]), (row.arm, names[-1])]


def _component(row: ComponentRow, result: GapDecomposition, hidden: _Hidden, note: str) -> ComponentRow:
    blanks: dict[str, object] = {}
    if hidden.stages & set(_uses(row, result)):
        blanks = {**dict.fromkeys((*FIGURES, *FLOWS)), "n": 0, "clusters": 0, "note": note, "interval": ""}
    elif row.kind == "component" and (row.arm, row.quantity) in hidden.steps:
        blanks = {**dict.fromkeys(FLOWS), "note": "; ".join(filter(None, [row.note, f"flows {note}"]))}
    elif row.kind == "conditional" and (row.arm, result.settings.stages[-1]) in hidden.steps:
        blanks = {**dict.fromkeys(FIGURES), "n": 0, "clusters": 0, "note": note, "interval": ""}
    return replace(row, **blanks)  # type: ignore[arg-type]  # blanks are given by field name


def _stage(row: StageRow, hidden: _Hidden, note: str) -> StageRow:
    if (row.arm, row.stage) not in hidden.stages:
        return row
    return replace(row, estimate=None, std_error=None, lower=None, upper=None, interval="", n=0, note=note)


def _share(row: ShareRow, result: GapDecomposition, hidden: _Hidden, note: str) -> ShareRow:
    if not hidden.stages & {(row.arm, name) for name in result.settings.stages}:
        return row
    return replace(row, estimate=None, lower=None, upper=None, set_type="", note=note)


def _effect(row: EffectRow, result: GapDecomposition, hidden: _Hidden, note: str) -> EffectRow:
    last = result.settings.stages[-1]
    if not hidden.stages & {(row.arm, last), (result.settings.control, last)}:
        return row
    return replace(row, estimate=None, lower=None, upper=None, note=note)


def _attrition(row: AttritionRow, limit: int) -> AttritionRow:
    """A step that lost, kept or met a few people shows that it did, and no number."""
    entered, left = row.n_in or 0, row.n_out or 0
    if not any(_small(count, limit) for count in (entered, left, entered - left)):
        return row
    return replace(row, n_in=None, n_out=None, reason=f"{row.reason} (numbers hidden: fewer than {limit})")


def _margin(row: MarginRow, limit: int) -> MarginRow:
    if not any(_small(count, limit) for count in row.counts):
        return row
    return replace(row, found=f"hidden: fewer than {limit}", counts=())


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
