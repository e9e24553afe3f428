"""From estimates to the rows of a result: components, families, gap, effects, conditionals, stages and shares."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rctgap.design import Arm
from rctgap.estimands import (
    Conditional,
    Contrast,
    MomentKey,
    conditionals,
    contrasts,
    flow_keys,
)
from rctgap.estimates import Linear, Share, StageEstimates, arm_sets
from rctgap.intervals import Interval, critical_value
from rctgap.posterior_quantities import log_ratio
from rctgap.provenance import mixed_steps
from rctgap.quantities import conditional, linear, possible, shares, simultaneous
from rctgap.records import ComponentRow, EffectRow, ShareRow, StageRow
from rctgap.tables import points

__all__ = ["component_rows", "effect_rows", "share_rows", "stage_rows"]

ADDS_UP = 1e-9
NO_BAND = "no simultaneous interval: a step of this arm has no symmetric one"
LOST_MINUS_GAINED = "lost minus gained among complete pairs"


@dataclass(frozen=True, slots=True)
class _Flow:
    """Answers lost and gained at a paired step."""

    lost: float | None = None
    gained: float | None = None
    lost_count: int | None = None
    gained_count: int | None = None
    notes: tuple[str, ...] = ()


_NO_FLOW = _Flow()
_SHARE_METHODS = {"bootstrap": "bootstrap", "bounded": "betting", "few-items": "inversion", "posterior": "posterior"}


def component_rows(estimates: StageEstimates) -> Iterator[ComponentRow]:
    """Every row of components.csv under one estimand."""
    scores = estimates.scores
    for label, weights in arm_sets(estimates):
        rows = contrasts(scores.chain, label, weights, scores.design.control)
        results = linear(estimates, [row.coefficients for row in rows])
        parts = _share_by_quantity(estimates, rows)
        bands = _bands(estimates, rows)
        for contrast, found in zip(rows, results, strict=True):
            result = replace(found, interval=possible(found.interval, contrast.coefficients))
            yield _linear_row(estimates, contrast, result, weights, parts, bands)
        for ratio in conditionals(label, weights):
            yield _conditional_row(estimates, ratio)
        if scores.design.control is None:
            yield _no_effect(estimates, label)


def _linear_row(
    estimates: StageEstimates,
    contrast: Contrast,
    result: Linear,
    weights: Mapping[str, float],
    parts: Mapping[str, Share],
    bands: Mapping[str, Interval | None],
) -> ComponentRow:
    flow = _flow(estimates, contrast, result, weights) if contrast.kind == "component" else _NO_FLOW
    mixed = _mixed_note(estimates, contrast, weights)
    part = parts.get(contrast.quantity)
    band = bands.get(contrast.quantity) if contrast.kind == "component" else None
    alone = estimates.intervals == "t" and result.interval is not None
    unbanded = contrast.kind == "component" and band is None and alone
    return _row(
        estimates,
        contrast.arm,
        contrast.quantity,
        contrast.kind,
        result,
        (*result.notes, *flow.notes, *mixed, *((NO_BAND,) if unbanded else ())),
        family=contrast.family,
        assumptions=() if mixed else contrast.assumptions,
        share=part.estimate if part else None,
        flow=flow,
        band=band,
    )


def _conditional_row(estimates: StageEstimates, ratio: Conditional) -> ComponentRow:
    result = conditional(estimates, ratio)
    counted: tuple[str, ...] = ()
    whole = estimates.posterior is None and estimates.estimand.item_weights == "observed" and len(_arms_in(ratio)) == 1
    if result.estimate is not None and whole:
        counted = (f"{round(result.estimate * result.n)} of {result.n} answers",)
    return _row(estimates, ratio.arm, ratio.quantity, "conditional", result, (*counted, *result.notes))


def _arms_in(ratio: Conditional) -> set[str]:
    return {key.arm for key in ratio.numerator.coefficients}


def _no_effect(estimates: StageEstimates, label: str) -> ComponentRow:
    reason = "no control arm: accuracy can be decomposed, effects cannot be estimated"
    return _row(estimates, label, "realized_effect", "effect", Linear(None), (reason,))


def _row(
    estimates: StageEstimates,
    arm: str,
    quantity: str,
    kind: str,
    result: Linear,
    notes: Sequence[str],
    *,
    family: str = "",
    assumptions: Sequence[str] = (),
    share: float | None = None,
    flow: _Flow = _NO_FLOW,
    band: Interval | None = None,
) -> ComponentRow:
    ends = result.interval
    return ComponentRow(
        arm=arm,
        quantity=quantity,
        kind=kind,
        family=family,
        assumption_ids=";".join(assumptions),
        estimate=result.estimate,
        std_error=result.std_error,
        df=result.df,
        lower=ends.lower if ends else None,
        upper=ends.upper if ends else None,
        level=estimates.level,
        interval=ends.kind if ends else "",
        method=estimates.method,
        estimator=estimates.estimator_name,
        covariance=estimates.covariance_name,
        small_sample=estimates.small_sample_name,
        items=estimates.estimand.items,
        item_weights=estimates.estimand.item_weights_name,
        arm_weights=estimates.estimand.arm_weights_name,
        scores=estimates.scores_name,
        share_of_gap=share,
        lost=flow.lost,
        gained=flow.gained,
        lost_count=flow.lost_count,
        gained_count=flow.gained_count,
        n=result.n,
        clusters=result.clusters,
        note="; ".join(dict.fromkeys(notes)),
        simultaneous_lower=band.lower if band else None,
        simultaneous_upper=band.upper if band else None,
    )


def _flow(estimates: StageEstimates, contrast: Contrast, result: Linear, weights: Mapping[str, float]) -> _Flow:
    lost = {flow_keys(arm, contrast.quantity)[0]: weight for arm, weight in weights.items() if weight}
    gained = {flow_keys(arm, contrast.quantity)[1]: weight for arm, weight in weights.items() if weight}
    missing = next((estimates.missing[key] for key in lost if key in estimates.missing), None)
    if missing is not None:
        return _Flow(notes=(f"no flows: {missing}",))
    down, up = (sum(estimates.value(key) * weight for key, weight in flow.items()) for flow in (lost, gained))
    counts = [_flow_counts(estimates, arm, *contrast.stages) for arm, weight in weights.items() if weight]
    notes: tuple[str, ...] = ()
    if result.estimate is not None and abs(down - up - result.estimate) > ADDS_UP:
        notes = (f"{LOST_MINUS_GAINED} is {points(down - up)} points, the component {points(result.estimate)}",)
    return _Flow(down, up, sum(one for one, _ in counts), sum(two for _, two in counts), notes)


def _flow_counts(estimates: StageEstimates, arm: str, start: str, to: str) -> tuple[int, int]:
    frame = estimates.scores.answers
    mine = frame[frame["arm"] == arm]
    lost = mine.loc[mine[start] > mine[to], "count"].sum()
    gained = mine.loc[mine[to] > mine[start], "count"].sum()
    return round(float(lost)), round(float(gained))


def _mixed_note(estimates: StageEstimates, contrast: Contrast, weights: Mapping[str, float]) -> tuple[str, ...]:
    """Said where a quantity contains a step at which the system changes."""
    if contrast.kind not in ("component", "family", "gap") or contrast.quantity == "item_mix":
        return ()
    scores = estimates.scores
    labels = {arm for arm, weight in weights.items() if weight}
    changed = {step for arm in scores.design.arms if arm.label in labels for step in mixed_steps(scores, arm)}
    spanned = _steps_spanned(contrast, scores.chain.names)
    return tuple(
        f"the system changes at {step}: not attributed to an assumption"
        for step in scores.chain.names[1:]
        if step in changed and step in spanned
    )


def _steps_spanned(contrast: Contrast, names: tuple[str, ...]) -> set[str]:
    if contrast.kind == "component":
        return {contrast.quantity}
    if contrast.kind == "gap":
        return set(names[1:])
    first, last = names.index(contrast.stages[0]), names.index(contrast.stages[-1])
    return {name for name in names[first + 1 : last + 1] if name in contrast.stages}


def _splittable(rows: Sequence[Contrast]) -> tuple[list[Contrast], Contrast]:
    parts = [row for row in rows if row.kind in ("component", "family")]
    return parts, next(row for row in rows if row.quantity == "gap")


def _share_by_quantity(estimates: StageEstimates, rows: Sequence[Contrast]) -> Mapping[str, Share]:
    parts, whole = _splittable(rows)
    found = shares(estimates, [row.coefficients for row in parts], whole.coefficients)
    return dict(zip([row.quantity for row in parts], found, strict=True))


def _bands(estimates: StageEstimates, rows: Sequence[Contrast]) -> Mapping[str, Interval | None]:
    steps = [row for row in rows if row.kind == "component"]
    found = simultaneous(estimates, [row.coefficients for row in steps])
    return dict(zip([row.quantity for row in steps], found, strict=True))


def share_rows(estimates: StageEstimates) -> Iterator[ShareRow]:
    """Each component's and family's share of the gap: Fieller's set and the delta interval."""
    scores = estimates.scores
    for label, weights in arm_sets(estimates):
        rows = contrasts(scores.chain, label, weights, scores.design.control)
        for quantity, share in _share_by_quantity(estimates, rows).items():
            yield from _two_shares(estimates, label, quantity, share)


def _two_shares(estimates: StageEstimates, arm: str, quantity: str, share: Share) -> Iterator[ShareRow]:
    found = share.fieller
    ends = (None, None) if found is None or found.set_type == "unbounded" else (found.lower, found.upper)
    note = "; ".join(share.notes)
    if found is not None and found.set_type == "exclusive":
        note = f"the set is all shares up to `lower` and from `upper` on; {note}"
    method = _SHARE_METHODS.get(estimates.intervals, "fieller")
    yield _share_row(estimates, arm, quantity, share.estimate, method, found.set_type if found else "", ends, note)
    if share.delta is not None:
        ends = (share.delta.lower, share.delta.upper)
        yield _share_row(estimates, arm, quantity, share.estimate, "delta", "bounded", ends, note)


def _share_row(
    estimates: StageEstimates,
    arm: str,
    quantity: str,
    estimate: float | None,
    method: str,
    set_type: str,
    ends: tuple[float | None, float | None],
    note: str,
) -> ShareRow:
    chosen = estimates.estimand
    return ShareRow(
        arm,
        quantity,
        estimate,
        method,
        set_type,
        *ends,
        estimates.level,
        "gap",
        chosen.items,
        chosen.item_weights_name,
        note,
        estimates.estimator_name,
    )


def stage_rows(estimates: StageEstimates) -> Iterator[StageRow]:
    """Every stage mean with its interval, the control arm's decisions last."""
    scores = estimates.scores
    chain, design = scores.chain, scores.design
    wanted: list[tuple[str, str, str, Mapping[MomentKey, float]]] = []
    arms = {arm.label: arm for arm in design.arms}
    for label, weights in arm_sets(estimates):
        for stage in chain.names:
            system = _system(estimates, arms, [arm for arm, weight in weights.items() if weight], stage)
            wanted.append((label, stage, system, {MomentKey(arm, stage): w for arm, w in weights.items() if w}))
    if design.control is not None:
        wanted.append((design.control, chain.last, "", {MomentKey(design.control, chain.last): 1.0}))
    results = linear(estimates, [coefficients for *_, coefficients in wanted])
    for (label, stage, system, coefficients), found in zip(wanted, results, strict=True):
        result = replace(found, interval=possible(found.interval, coefficients))
        yield _stage_row(estimates, label, stage, system, result)


def _system(estimates: StageEstimates, arms: Mapping[str, Arm], labels: Sequence[str], stage: str) -> str:
    systems = estimates.scores.systems
    found = [", ".join(systems[label, stage]) or arms[label].tested for label in labels]
    return "; ".join(dict.fromkeys(found))


def _stage_row(estimates: StageEstimates, arm: str, stage: str, system: str, result: Linear) -> StageRow:
    ends = result.interval
    return StageRow(
        arm=arm,
        stage=stage,
        system=system,
        estimate=result.estimate,
        std_error=result.std_error,
        lower=ends.lower if ends else None,
        upper=ends.upper if ends else None,
        level=estimates.level,
        interval=ends.kind if ends else "",
        method=estimates.method,
        n=result.n,
        covariance=estimates.covariance_name,
        items=estimates.estimand.items,
        item_weights=estimates.estimand.item_weights_name,
        note="; ".join(result.notes),
    )


def effect_rows(estimates: StageEstimates) -> Iterator[EffectRow]:
    """The realized effect as risk ratio and odds ratio, on the log scale: by the delta method, or in every draw."""
    scores = estimates.scores
    control = scores.design.control
    if control is None:
        return
    last = scores.chain.last
    base = MomentKey(control, last)
    for label, weights in arm_sets(estimates):
        top = {MomentKey(arm, last): weight for arm, weight in weights.items() if weight}
        for quantity in ("risk_ratio", "odds_ratio"):
            made = _ratio_row if estimates.posterior is None else _ratio_of_draws
            yield made(estimates, label, quantity, top, base)


def _ratio_of_draws(
    estimates: StageEstimates, arm: str, quantity: str, top: Mapping[MomentKey, float], base: MomentKey
) -> EffectRow:
    chosen = estimates.estimand
    mean, ends, note = log_ratio(estimates, top, {base: 1.0}, odds=quantity == "odds_ratio")
    blank = EffectRow(arm, quantity, None, None, None, estimates.level, chosen.items, chosen.item_weights_name, note)
    if mean is None or ends is None:
        return blank
    return replace(blank, estimate=math.exp(mean), lower=math.exp(ends.lower), upper=math.exp(ends.upper))


def _ratio_row(
    estimates: StageEstimates, arm: str, quantity: str, top: Mapping[MomentKey, float], base: MomentKey
) -> EffectRow:
    chosen = estimates.estimand
    means = linear(estimates, [top, {base: 1.0}])
    treated, control = (one.estimate for one in means)
    extreme = any(not 0.0 < estimates.value(key) < 1.0 for key in (*top, base) if key in estimates.keys)
    if treated is None or control is None or extreme:
        missing = [note for one in means if one.estimate is None for note in one.notes]
        note = "; ".join(missing) or "a proportion of 0 or 1 has no ratio with an interval"
        return EffectRow(arm, quantity, None, None, None, estimates.level, chosen.items, chosen.item_weights_name, note)
    odds = quantity == "odds_ratio"
    slope_top = 1 / (treated * (1 - treated)) if odds else 1 / treated
    slope_base = 1 / (control * (1 - control)) if odds else 1 / control
    logged = math.log(treated / control) + (math.log((1 - control) / (1 - treated)) if odds else 0.0)
    gradient = {key: weight * slope_top for key, weight in top.items()} | {base: -slope_base}
    slope = linear(estimates, [gradient])[0]
    lower = upper = None
    notes = slope.notes
    if slope.std_error is not None and slope.std_error <= ADDS_UP:
        notes = ("no interval: the variance is estimated as zero",)
    elif slope.std_error is not None:
        half = critical_value(estimates.level, math.inf if slope.df is None else slope.df) * slope.std_error
        lower, upper = math.exp(logged - half), math.exp(logged + half)
    return EffectRow(
        arm,
        quantity,
        math.exp(logged),
        lower,
        upper,
        estimates.level,
        chosen.items,
        chosen.item_weights_name,
        "; ".join(notes),
    )
