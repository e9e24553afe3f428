"""How strong a common cause of conversation and decision would have to be: E-values, and the table behind their curve.

Uptake over self-rescue is a risk ratio: P(decision right given conversation right) over P(decision right given
conversation wrong). Items are a common cause that is seen, so both chances are averaged over items with one set of
weights; what remains is about causes that nobody measured.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.check_records import BiasRow
from rctgap.design import Arm
from rctgap.errors import DataError, EstimandError, EstimationError, Fault
from rctgap.estimands import Estimand, MomentKey
from rctgap.estimates import StageEstimates, arm_sets
from rctgap.frequentist import estimate_frequentist
from rctgap.inference import linear
from rctgap.intervals import Interval, critical_value
from rctgap.moments import item_mix
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores
from rctgap.stages import Chain, Stage, Transition

__all__ = ["GRID", "UNMOVED", "bias_factor", "bias_rows", "e_value", "limit_nearer_one", "observed_ratio", "partner"]

type Array = npt.NDArray[np.float64]

GRID = (1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
UNMOVED = 1.0
RIGHT, WRONG = "after_right", "after_wrong"
EXTREME = "a chance of 0 or 1 has no ratio with an interval"
APPROXIMATE = "interval of the log ratio by the delta method, approximate"


def e_value(ratio: float) -> float:
    """Risk ratio by which an unmeasured cause must be tied to both sides to explain a risk ratio away.

    Parameters
    ----------
    ratio : float
        Above 0; under 1 it is turned over first.

    Returns
    -------
    float
        1 where there is nothing to explain.

    Raises
    ------
    DataError
        A ratio that is not a positive number.

    References
    ----------
    VanderWeele and Ding (2017), doi 10.7326/M16-2607.

    Examples
    --------
    >>> from rctgap.common_cause import e_value
    >>> round(e_value(3.9), 2), round(e_value(0.8), 2), e_value(1.0)
    (7.26, 1.81, 1.0)
    """
    if not 0 < ratio < math.inf:
        raise DataError(Fault("not a positive number", "Give a risk ratio above 0", place="ratio", value=str(ratio)))
    above = max(ratio, 1.0 / ratio)
    return above + math.sqrt(above * (above - 1.0))


def bias_factor(with_conversation: Array | float, with_decision: Array | float) -> Array:
    """Largest factor by which a cause tied to both sides can move a risk ratio.

    Parameters
    ----------
    with_conversation, with_decision : ndarray or float
        Risk ratios of at least 1 that tie the cause to each side.

    Returns
    -------
    ndarray
        Their product over their sum less 1.

    References
    ----------
    Ding and VanderWeele (2016), doi 10.1097/EDE.0000000000000457.

    Examples
    --------
    >>> from rctgap.common_cause import bias_factor
    >>> float(bias_factor(2.0, 2.0)), float(bias_factor(1.0, 5.0))
    (1.3333333333333333, 1.0)
    """
    one, other = np.asarray(with_conversation, dtype=np.float64), np.asarray(with_decision, dtype=np.float64)
    return np.asarray(one * other / (one + other - 1.0), dtype=np.float64)


def partner(ratio: float, with_conversation: Array | float) -> Array:
    """How strongly a cause must be tied to the decision, given its tie to the conversation, to explain a ratio away.

    Parameters
    ----------
    ratio : float
        A risk ratio; under 1 it is turned over first.
    with_conversation : ndarray or float

    Returns
    -------
    ndarray
        Infinite where no tie to the decision would do.

    Examples
    --------
    >>> from rctgap.common_cause import bias_factor, partner
    >>> float(partner(2.0, 4.0)), float(bias_factor(4.0, partner(2.0, 4.0))), float(partner(2.0, 1.5))
    (3.0, 2.0, inf)
    """
    above, tie = max(ratio, 1.0 / ratio), np.asarray(with_conversation, dtype=np.float64)
    room = np.where(tie > above, tie - above, np.nan)
    found = np.where(tie > above, above * (tie - 1.0) / room, np.inf)
    return np.asarray(found, dtype=np.float64)


def limit_nearer_one(ratio: float, lower: float, upper: float) -> float:
    """The confidence limit nearer 1; 1 where the interval contains it.

    Examples
    --------
    >>> from rctgap.common_cause import limit_nearer_one
    >>> limit_nearer_one(2.0, 1.5, 3.0), limit_nearer_one(0.5, 0.3, 0.8), limit_nearer_one(1.2, 0.9, 1.6)
    (1.5, 0.8, 1.0)
    """
    return max(lower, 1.0) if ratio >= 1 else min(upper, 1.0)


def observed_ratio(rows: Sequence[BiasRow], arm: str) -> BiasRow | None:
    """The row of an arm without any bias; None where there is none."""
    return next((row for row in rows if (row.arm, row.with_conversation, row.with_decision) == (arm, 1.0, 1.0)), None)


@dataclass(frozen=True, slots=True)
class _Ratio:
    """Uptake over self-rescue with its interval; None where there is none, and `note` says why."""

    value: float | None
    interval: Interval | None
    note: str


def bias_rows(result: GapDecomposition) -> tuple[BiasRow, ...]:
    """Uptake's risk ratio as observed, and under common causes of each strength.

    Parameters
    ----------
    result : GapDecomposition
        With estimates.

    Returns
    -------
    tuple of BiasRow
        For each AI arm and `all`: first the ratio as observed (ties of 1), then a grid of ties, then the pair of
        equal ties that moves the estimate, and its limit, to 1. None where the last transition is not of the outcome
        family, or no stage comes before it but the benchmark.

    Notes
    -----
    Both chances are averaged over the items that have answers after a right and after a wrong conversation, with the
    weights of the estimand, or under `observed` each item's share of the answers that have both scores. Without items
    the ratio is that of the raw chances. Its interval is the delta method's on the log scale, with the covariance of
    the main estimates; clusters enter as they do there.

    References
    ----------
    VanderWeele and Ding (2017), doi 10.7326/M16-2607; Ding and VanderWeele (2016),
    doi 10.1097/EDE.0000000000000457.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.common_cause import bias_rows, e_value, observed_ratio
    >>> frame = pd.DataFrame(
    ...     {"arm": "a1", "conversation": [1, 1, 0, 0], "decision": [1, 0, 1, 0], "count": [30, 20, 10, 40]}
    ... )
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> row = observed_ratio(bias_rows(result), "a1")
    >>> round(row.ratio, 2), round(e_value(row.ratio), 2)
    (3.0, 5.45)
    """
    estimates = result.estimates
    if estimates is None:
        return ()
    start, _, step = estimates.scores.chain.steps[-1]
    if step.family != "outcome" or start.source == "benchmark":
        return ()
    plain = estimates.plug_in
    return tuple(row for label, weights in arm_sets(plain) for row in _of_arm(plain, label, weights))


def _of_arm(estimates: StageEstimates, label: str, weights: Mapping[str, float]) -> Iterator[BiasRow]:
    found = _ratio(estimates, weights)
    level, ends = estimates.level, found.interval
    if found.value is None:
        yield BiasRow(label, 1.0, 1.0, UNMOVED, None, None, None, level, found.note)
        return
    yield _row(label, found, (1.0, 1.0), level, found.note)
    for one in GRID:
        for other in GRID:
            yield _row(label, found, (one, other), level, "")
    equal = e_value(found.value)
    yield _row(label, found, (equal, equal), level, "E-value of the estimate")
    if ends is not None:
        limit = e_value(limit_nearer_one(found.value, ends.lower, ends.upper))
        yield _row(label, found, (limit, limit), level, "E-value of the limit nearer 1")


def _row(label: str, found: _Ratio, ties: tuple[float, float], level: float, note: str) -> BiasRow:
    """The ratio and both limits moved towards 1, and past it, by the bias factor."""
    factor = float(bias_factor(*ties))
    value = found.value or 1.0
    moved = factor if value >= 1 else 1.0 / factor
    lower, upper = (found.interval.lower / moved, found.interval.upper / moved) if found.interval else (None, None)
    return BiasRow(label, *ties, factor, value / moved, lower, upper, level, note)


def _ratio(estimates: StageEstimates, weights: Mapping[str, float]) -> _Ratio:
    """The ratio of one arm, or of a weighted set of arms."""
    kept = {arm: weight for arm, weight in weights.items() if weight}
    unpaired = (estimates.statistics.missing.get(MomentKey(arm, "uptake:hit")) for arm in kept)
    reason = next((one for one in unpaired if one), "")
    if reason:
        return _Ratio(None, None, reason)
    scores = _split(estimates.scores, tuple(kept))
    mix, told = _common_mix(estimates, scores, tuple(kept))
    found = _measured(estimates, scores, kept, mix)
    if mix is None:
        return replace(found, note=_joined(told, found.note))
    raw = _measured(estimates, scores, kept, None)
    crude = f"without standardising {raw.value:.2f} (E-value {e_value(raw.value):.2f})" if raw.value else ""
    return replace(found, note=_joined(told, crude, found.note))


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _split(scores: StageScores, labels: tuple[str, ...]) -> StageScores:
    """Decisions after a right conversation and after a wrong one, as two stages that no answer has both of."""
    before, last = scores.chain.names[-2:]
    frame = scores.answers
    frame = frame[frame["arm"].isin(labels) & frame[before].notna() & frame[last].notna()].reset_index(drop=True)
    parts = {RIGHT: frame[last].where(frame[before] == 1.0), WRONG: frame[last].where(frame[before] == 0.0)}
    arms = tuple(Arm(arm.label, arm.system) for arm in scores.design.arms if arm.label in labels)
    return replace(
        scores,
        chain=Chain((Stage(RIGHT), Stage(WRONG)), (Transition(WRONG, "outcome"),)),
        design=replace(scores.design, control=None, ai=arms),
        covariates=(),
        unpaired={},
        error_rates={},
        _answers=frame.assign(used=True, **parts),
        _runs=scores.runs.iloc[:0],
    )


def _common_mix(
    estimates: StageEstimates, scores: StageScores, labels: tuple[str, ...]
) -> tuple[Mapping[str, float] | None, str]:
    """Weights of the items that have both kinds of conversation in every arm, and what to say of them."""
    frame = scores.answers
    if bool(frame["item"].isna().any()):
        return None, "not standardised: some answers carry no item"
    size = frame.groupby(["arm", "item"], observed=True)[[RIGHT, WRONG]].count().min(axis=1)
    both = {str(item) for item, number in (size > 0).groupby(level="item").sum().items() if number == len(labels)}
    named = {str(item) for item in frame["item"].unique()}
    total = item_mix(estimates.scores, estimates.estimand) or _shares(frame)
    weights = {item: weight for item, weight in total.items() if item in both and weight > 0}
    if not weights:
        return None, "not standardised: no item has right and wrong conversations"
    whole = sum(weights.values())
    left = len(named) - len(weights)
    told = f"standardised over {len(weights)} of {len(named)} items"
    told += f" ({left} left out, their conversations being all right or all wrong, or without weight)" if left else ""
    return {item: weight / whole for item, weight in weights.items()}, told


def _shares(frame: pd.DataFrame) -> Mapping[str, float]:
    size = frame.groupby("item", observed=True)["count"].sum()
    return {str(item): float(number) for item, number in size.items()}


def _measured(
    estimates: StageEstimates, scores: StageScores, weights: Mapping[str, float], mix: Mapping[str, float] | None
) -> _Ratio:
    """The ratio of two averages, with the delta-method interval of its logarithm."""
    estimand = Estimand(estimates.estimand.items, "observed" if mix is None else mix)
    try:
        found = estimate_frequentist(
            scores,
            estimand,
            estimates.covariance,
            estimates.small_sample,
            estimates.level,
            adjustment="none",
            intervals="t",
        )
    except (EstimandError, EstimationError) as error:
        return _Ratio(None, None, error.reason)
    top, bottom = ({MomentKey(arm, stage): w for arm, w in weights.items()} for stage in (RIGHT, WRONG))
    uptake, rescue = (one.estimate for one in linear(found, [top, bottom]))
    if uptake is None or rescue is None:
        return _Ratio(None, None, "no answer meets the condition")
    if any(not 0 < value < 1 for value in (uptake, rescue)):
        return _Ratio(None, None, EXTREME)
    gradient = {key: w / uptake for key, w in top.items()} | {key: -w / rescue for key, w in bottom.items()}
    slope, value = linear(found, [gradient])[0], uptake / rescue
    if not slope.std_error:
        return _Ratio(value, None, _joined(*slope.notes) or "no interval: the variance is estimated as zero")
    half = critical_value(found.level, math.inf if slope.df is None else slope.df) * slope.std_error
    return _Ratio(value, Interval(value * math.exp(-half), value * math.exp(half), "delta"), APPROXIMATE)
