"""What each stage predicts of the deployment: if untested assumptions hold, whatever they do, and under priors."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rctgap.estimands import MomentKey
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.intervals import Interval, critical_value
from rctgap.quantities import linear, possible
from rctgap.staged import StagedPlan
from rctgap.staged_records import PredictionRow

__all__ = ["prediction_rows", "untested_after"]

NO_CONTROL = "no control arm: effects cannot be predicted"
TAKEN_TO_HOLD = "no prior is stated for {}: taken to hold"

type Ends = tuple[float | None, float | None]


def untested_after(estimates: StageEstimates, stage: str, elsewhere: Sequence[str]) -> tuple[str, ...]:
    """Assumptions of the transitions behind a stage, and those of the card that no transition bears on."""
    chain = estimates.scores.chain
    place = chain.names.index(stage)
    later = [name for step in chain.transitions[place:] for name in step.assumptions]
    return tuple(dict.fromkeys([*later, *elsewhere]))


def prediction_rows(
    estimates: StageEstimates, plan: StagedPlan, elsewhere: Sequence[str] = ()
) -> tuple[PredictionRow, ...]:
    """Accuracy and effect at deployment as each stage lets them be predicted.

    Parameters
    ----------
    estimates : StageEstimates
    plan : StagedPlan
        Its priors speak of the components of assumptions that are untested after a stage.
    elsewhere : sequence of str
        Assumption IDs of the card that no transition of the chain bears on.

    Returns
    -------
    tuple of PredictionRow
        For each arm and all together, stage and quantity, in proportions. The prediction takes untested assumptions to
        hold; the bounds let them do anything that leaves an accuracy between 0 and 1. Behind a last step of the outcome
        family nothing is left to predict, and the bounds are the interval.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.predictions import prediction_rows
    >>> from rctgap.staged import StagedPlan
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimates = rg.estimate_frequentist(scores, rg.Estimand(items="fixed"))
    >>> first, *_ = prediction_rows(estimates, StagedPlan())
    >>> first.after, round(first.estimate, 2), (first.bound_lower, first.bound_upper), first.untested
    ('conversation', 0.7, (0.0, 1.0), 'outcome.decision_mediation')
    """
    return tuple(_rows(estimates, plan, elsewhere))


def _rows(estimates: StageEstimates, plan: StagedPlan, elsewhere: Sequence[str]) -> Iterator[PredictionRow]:
    chain, control = estimates.scores.chain, estimates.scores.design.control
    reference = {} if control is None else {MomentKey(control, chain.last): -1.0}
    for label, weights in arm_sets(estimates):
        means = [{MomentKey(arm, stage): weight for arm, weight in weights.items() if weight} for stage in chain.names]
        accuracies = _cut(estimates, means)
        effects = _cut(estimates, [one | reference for one in means]) if reference else None
        against = _cut(estimates, [dict.fromkeys(reference, 1.0)])[0] if reference else None
        for place, stage in enumerate(chain.names):
            untested = untested_after(estimates, stage, elsewhere)
            realized = stage == chain.last and chain.transitions[-1].family == "outcome"
            ends = _ends(accuracies[place]) if realized else (0.0, 1.0)
            yield _row(estimates, label, stage, "accuracy", accuracies[place], ends, plan, untested)
            if effects is not None and against is not None:
                ends = _ends(effects[place]) if realized else _around(against)
                yield _row(estimates, label, stage, "effect", effects[place], ends, plan, untested)
            else:
                yield _row(
                    estimates, label, stage, "effect", Linear(None, notes=(NO_CONTROL,)), (None, None), plan, untested
                )


def _cut(estimates: StageEstimates, quantities: Sequence[Mapping[MomentKey, float]]) -> list[Linear]:
    """Estimates with intervals within what accuracies between 0 and 1 can give."""
    pairs = zip(linear(estimates, quantities), quantities, strict=True)
    return [replace(found, interval=_inside(found.interval, one)) for found, one in pairs]


def _inside(ends: Interval | None, coefficients: Mapping[MomentKey, float]) -> Interval | None:
    """An interval cut, whatever its kind: a prediction is read as an accuracy."""
    cut = None if ends is None else possible(replace(ends, kind="population"), coefficients)
    return cut if cut is None or ends is None else replace(cut, kind=ends.kind)


def _ends(found: Linear) -> Ends:
    return (None, None) if found.interval is None else (found.interval.lower, found.interval.upper)


def _around(control: Linear) -> Ends:
    """An accuracy anywhere between 0 and 1, against the interval of the control arm."""
    low, high = _ends(control)
    return (None, None) if low is None or high is None else (-high, 1.0 - low)


def _row(
    estimates: StageEstimates,
    arm: str,
    stage: str,
    quantity: str,
    found: Linear,
    bounds: Ends,
    plan: StagedPlan,
    untested: tuple[str, ...],
) -> PredictionRow:
    lower, upper = _ends(found)
    possible_range = (0.0, 1.0) if quantity == "accuracy" else (-1.0, 1.0)
    believed, note = _believed(estimates, found, possible_range, plan.priors, untested)
    return PredictionRow(
        arm=arm,
        after=stage,
        quantity=quantity,
        items=estimates.estimand.items,
        item_weights=estimates.estimand.item_weights_name,
        estimate=found.estimate,
        lower=lower,
        upper=upper,
        level=estimates.level,
        bound_lower=bounds[0],
        bound_upper=bounds[1],
        prior_estimate=believed[0],
        prior_lower=believed[1],
        prior_upper=believed[2],
        untested=";".join(untested),
        note="; ".join(filter(None, (*found.notes, note))),
    )


def _believed(
    estimates: StageEstimates,
    found: Linear,
    within: tuple[float, float],
    priors: Mapping[str, tuple[float, float]],
    untested: Sequence[str],
) -> tuple[tuple[float | None, float | None, float | None], str]:
    """The prediction less what priors expect the untested assumptions to cost, cut to what is possible."""
    stated = [priors[name] for name in untested if name in priors]
    if not stated or found.estimate is None or found.interval is None:
        return (None, None, None), ""
    centre = found.estimate - sum(mean for mean, _ in stated)
    further = critical_value(estimates.level, math.inf) * math.hypot(*(sd for _, sd in stated))
    below = math.hypot(found.estimate - found.interval.lower, further)
    above = math.hypot(found.interval.upper - found.estimate, further)
    low, high = within
    cut = tuple(min(max(value, low), high) for value in (centre, centre - below, centre + above))
    silent = [name for name in untested if name not in priors]
    return (cut[0], cut[1], cut[2]), TAKEN_TO_HOLD.format(", ".join(silent)) if silent else ""
