"""The plug-in's intervals of linear quantities and ratios, at the boundary too: no interval has zero width."""

import math
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rctgap.estimands import Conditional, MomentKey
from rctgap.estimates import Linear, Share, StageEstimates
from rctgap.frequentist import covariance_of, units_of
from rctgap.intervals import Interval, critical_value, delta_share, fieller, max_t, mover, symmetric, wilson
from rctgap.variance import Covariance, Units, effective_size, entering

__all__ = ["conditional", "linear", "shares", "simultaneous"]

type Array = npt.NDArray[np.float64]

EDGE = 1e-12
FEW_DF = 4.0
NO_SHARE = "no share: a stage mean of 0 or 1, or no variation, leaves its interval unknown"


def linear(estimates: StageEstimates, quantities: Sequence[Mapping[MomentKey, float]]) -> tuple[Linear, ...]:
    """Estimates, standard errors and intervals of linear quantities, in one pass over the covariance."""
    absent = [_absent(estimates, one) for one in quantities]
    present = [one for one, reason in zip(quantities, absent, strict=True) if not reason]
    found = iter(_present(estimates, present))
    return tuple(Linear(None, notes=(reason,)) if reason else next(found) for reason in absent)


def _absent(estimates: StageEstimates, coefficients: Mapping[MomentKey, float]) -> str:
    missing = estimates.statistics.missing
    key = next((key for key in coefficients if key in missing), None)
    if key is None:
        return ""
    return missing[key] if ":" in key.name else f"{key.name} in arm {key.arm}: {missing[key]}"


def _present(estimates: StageEstimates, quantities: Sequence[Mapping[MomentKey, float]]) -> list[Linear]:
    if not quantities:
        return []
    rows = np.array([estimates.row(one) for one in quantities])
    values = rows @ estimates.statistics.values
    covariance = covariance_of(estimates, rows)
    weights = rows @ estimates.statistics.loading
    size = entering(estimates.statistics.answers, weights) + entering(estimates.statistics.runs, weights)
    units = units_of(estimates)
    effective = effective_size(units, weights)
    alone = _resting_on_one(estimates, units, {key for one in quantities for key in one})
    return [
        _one(estimates, coefficients, float(values[q]), covariance, q, round(size[q]), float(effective[q]), alone)
        for q, coefficients in enumerate(quantities)
    ]


def _one(
    estimates: StageEstimates,
    coefficients: Mapping[MomentKey, float],
    value: float,
    covariance: Covariance,
    q: int,
    n: int,
    effective: float,
    alone: frozenset[MomentKey],
) -> Linear:
    clusters = round(covariance.clusters[q])
    reason = _no_variance(estimates, coefficients, float(covariance.variance[q]), alone)
    if reason:
        return Linear(value, n=n, clusters=clusters, notes=(reason,))
    if effective == 0.0:
        return Linear(value, n=n, clusters=clusters, notes=("zero by construction: no cell carries weight",))
    std_error = math.sqrt(max(float(covariance.variance[q]), 0.0))
    df = float(covariance.df[q])
    edges = [key for key in coefficients if _at_edge(estimates, key)]
    if std_error <= EDGE or edges:
        interval = _boundary(estimates, coefficients, value, std_error, df, edges, effective)
    else:
        interval = symmetric(value, std_error, df, estimates.level)
    notes = _notes(covariance, q, df, interval)
    shown = None if math.isinf(df) or math.isnan(df) else df
    return Linear(value, std_error, shown, interval, n, clusters, notes)


def _notes(covariance: Covariance, q: int, df: float, interval: Interval) -> tuple[str, ...]:
    notes = []
    if covariance.floored[q]:
        notes.append("the two-way variance fell below the item variance, which is used")
    if round(df, 6) < FEW_DF and interval.kind == "t":
        notes.append(f"{df:.1f} degrees of freedom: too few for a trustworthy interval")
    if interval.kind in ("wilson", "mover"):
        notes.append("a zero estimated variance is part of this: interval from an effective sample size")
    return tuple(notes)


def _resting_on_one(
    estimates: StageEstimates, blocks: Sequence[Units], keys: Collection[MomentKey]
) -> frozenset[MomentKey]:
    """Moments behind which one unit stands: its own variation cannot be seen."""
    wanted = list(keys)
    loading = estimates.statistics.loading[[estimates.keys[key] for key in wanted]]
    units = np.sum([entering(one, loading) for one in blocks], axis=0)
    return frozenset(key for key, count in zip(wanted, units, strict=True) if count == 1)


def _no_variance(
    estimates: StageEstimates, coefficients: Mapping[MomentKey, float], variance: float, alone: frozenset[MomentKey]
) -> str:
    """Why no interval can be given; empty where one can."""
    single = next((key for key in coefficients if key in alone), None)
    if single is not None:
        unit = "item" if estimates.estimand.items == "random" else "independent unit"
        return f"no interval: one {unit} stands behind {single.name.rpartition(':')[2]} in arm {single.arm}"
    if estimates.estimand.items == "random" and estimates.statistics.lacks_items(estimates.row(coefficients)):
        return "no interval over items: some of its rows carry no item"
    if not estimates.scores.paired and _joined(estimates, coefficients):
        return "no interval: marginal counts do not tell how the two stages of one answer go together"
    if math.isnan(variance):
        unit = "item" if estimates.estimand.items == "random" else "unit"
        return f"no interval: too few observations, one {unit} or one score per cell"
    return ""


def _joined(estimates: StageEstimates, coefficients: Mapping[MomentKey, float]) -> bool:
    """Whether two trial stages of the same rows enter."""
    chain, design = estimates.scores.chain, estimates.scores.design
    arms = {arm.label: arm for arm in design.arms}
    seen: set[str] = set()
    for key in coefficients:
        stage = key.name.rpartition(":")[2]
        if chain[stage].source == "benchmark":
            continue
        rows = arms[key.arm].rows_of(stage) if key.arm in arms else key.arm
        if rows in seen:
            return True
        seen.add(rows)
    return False


def _at_edge(estimates: StageEstimates, key: MomentKey) -> bool:
    """Whether a stage mean is exactly 0 or 1, so that its variance estimate is zero."""
    return ":" not in key.name and min(abs(estimates.value(key)), abs(1.0 - estimates.value(key))) < EDGE


def _boundary(
    estimates: StageEstimates,
    coefficients: Mapping[MomentKey, float],
    value: float,
    std_error: float,
    df: float,
    edges: list[MomentKey],
    effective: float,
) -> Interval:
    if len(coefficients) == 1 and next(iter(coefficients.values())) == 1.0 and 0 <= value <= 1:
        return wilson(min(max(value, 0.0), 1.0), effective, estimates.level)
    if not edges:
        half = wilson(0.0, effective, estimates.level).upper
        return Interval(value - half, value + half, "mover")
    ordinary = critical_value(estimates.level, df) * std_error if std_error > EDGE else 0.0
    return mover(
        value, ordinary, [(coefficients[key], estimates.value(key), _stage_wilson(estimates, key)) for key in edges]
    )


def _stage_wilson(estimates: StageEstimates, key: MomentKey) -> Interval:
    weights = estimates.row({key: 1.0})[None, :] @ estimates.statistics.loading
    size = effective_size(units_of(estimates), weights)
    return wilson(min(max(estimates.value(key), 0.0), 1.0), float(size[0]), estimates.level)


def conditional(estimates: StageEstimates, ratio: Conditional) -> Linear:
    """A ratio of moments with its delta-method interval; Wilson where the ratio is exactly 0 or 1."""
    parts = linear(estimates, [ratio.numerator.coefficients, ratio.denominator.coefficients])
    absent = next((part for part in parts if part.estimate is None), None)
    if absent is not None:
        return absent
    top, bottom = (float(part.estimate or 0.0) for part in parts)
    if bottom <= EDGE:
        return Linear(None, notes=("no answer meets the condition",))
    value = top / bottom
    gradient = ratio.numerator.plus(ratio.denominator, -value)
    scaled = {key: weight / bottom for key, weight in gradient.items()}
    slope = linear(estimates, [scaled])[0]
    given = estimates.row(ratio.denominator.coefficients)
    n = _answers_where(estimates, ratio.denominator.coefficients)
    if slope.std_error is None:
        return Linear(value, n=n, clusters=slope.clusters, notes=slope.notes)
    if slope.std_error <= EDGE:
        size = effective_size(units_of(estimates), given[None, :] @ estimates.statistics.loading)
        interval = wilson(min(max(value, 0.0), 1.0), float(size[0]) * bottom, estimates.level)
    else:
        df = math.inf if slope.df is None else slope.df
        interval = symmetric(value, slope.std_error, df, estimates.level)
    return Linear(value, slope.std_error, slope.df, interval, n, slope.clusters, slope.notes)


def _answers_where(estimates: StageEstimates, coefficients: Mapping[MomentKey, float]) -> int:
    """How many answers meet a 0/1 condition, over the arms that enter."""
    found = estimates.statistics
    total = 0.0
    for key in coefficients:
        columns = np.flatnonzero(found.loading[estimates.keys[key]])
        total += float(found.means[columns] @ found.cells.size[columns])
    return round(total)


def shares(
    estimates: StageEstimates, parts: Sequence[Mapping[MomentKey, float]], whole: Mapping[MomentKey, float]
) -> tuple[Share, ...]:
    """Each part's share of the whole, with Fieller's set and the delta interval at the whole's degrees of freedom."""
    results = linear(estimates, [*parts, whole])
    total = results[-1]
    if total.estimate is None or total.std_error is None:
        return tuple(Share(None, None, None, total.notes) for _ in parts)
    if _unvarying(estimates, whole, total):
        return tuple(Share(None, None, None, (NO_SHARE,)) for _ in parts)
    usable = [
        index
        for index, one in enumerate(results[:-1])
        if one.estimate is not None and one.std_error is not None and not _unvarying(estimates, parts[index], one)
    ]
    rows = np.array([estimates.row(parts[index]) for index in usable] + [estimates.row(whole)])
    covariance = covariance_of(estimates, rows)
    pivot = len(usable)
    df = math.inf if total.df is None else total.df
    found = {
        index: _share(results[index], total, covariance.joint(pivot, [position, pivot]), df, estimates.level)
        for position, index in enumerate(usable)
    }
    return tuple(
        found.get(index, Share(None, None, None, results[index].notes or (NO_SHARE,))) for index in range(len(parts))
    )


def _unvarying(estimates: StageEstimates, coefficients: Mapping[MomentKey, float], result: Linear) -> bool:
    """Whether some of the variance is estimated as zero, so that a ratio's interval would be too narrow."""
    return float(result.std_error or 0.0) <= EDGE or any(_at_edge(estimates, key) for key in coefficients)


def _share(part: Linear, whole: Linear, joint: Array, df: float, level: float) -> Share:
    top, bottom = float(part.estimate or 0.0), float(whole.estimate or 0.0)
    confidence = fieller(top, bottom, joint, critical_value(level, df))
    if confidence.set_type != "bounded":
        return Share(
            None, confidence, None, ("the gap is not clearly away from zero, so a share has no bounded interval",)
        )
    std_error = delta_share(top, bottom, joint)
    return Share(top / bottom, confidence, symmetric(top / bottom, std_error, df, level))


def simultaneous(
    estimates: StageEstimates, quantities: Sequence[Mapping[MomentKey, float]]
) -> tuple[Interval | None, ...]:
    """Max-t intervals that cover all the quantities at once; None where one of them has no ordinary interval."""
    results = linear(estimates, quantities)
    if not results or any(one.interval is None or one.interval.kind not in ("t", "normal") for one in results):
        return tuple(None for _ in results)
    rows = np.array([estimates.row(one) for one in quantities])
    covariance = covariance_of(estimates, rows)
    joint = covariance.joint(0, list(range(len(results))))
    if not (np.diag(joint) > 0).all():
        return tuple(None for _ in results)
    df = min(math.inf if one.df is None else one.df for one in results)
    critical = max_t(joint, df, estimates.level)
    return tuple(
        Interval(
            float(one.estimate or 0) - critical * float(one.std_error or 0),
            float(one.estimate or 0) + critical * float(one.std_error or 0),
            "max-t",
        )
        for one in results
    )
