"""Intervals from the replicates that bootstrapped estimates carry."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Conditional, MomentKey
from rctgap.estimates import Bootstrap, Linear, Share, StageEstimates, target_key
from rctgap.intervals import Interval, ShareSet, bca, percentile, studentized

__all__ = ["FEWEST", "STILL", "resampled", "resampled_ratio", "resampled_shares"]

type Array = npt.NDArray[np.float64]

FEWEST = 100
STILL = 1e-12


def resampled(
    estimates: StageEstimates, quantities: Sequence[Mapping[MomentKey, float]], plain: Sequence[Linear]
) -> tuple[Linear, ...]:
    """The plug-in's quantities with intervals from the replicates, where the plug-in has one."""
    none = np.zeros(len(estimates.statistics.moments))
    return tuple(
        _resampled(estimates, estimates.row(one), none, found) if found.interval is not None else found
        for one, found in zip(quantities, plain, strict=True)
    )


def resampled_ratio(estimates: StageEstimates, ratio: Conditional, plain: Linear) -> Linear:
    """A conditional with its interval from the replicates."""
    if plain.interval is None:
        return plain
    top, bottom = (estimates.row(one.coefficients) for one in (ratio.numerator, ratio.denominator))
    return _resampled(estimates, top, bottom, plain)


def resampled_shares(
    estimates: StageEstimates,
    parts: Sequence[Mapping[MomentKey, float]],
    whole: Mapping[MomentKey, float],
    plain: Sequence[Share],
) -> tuple[Share, ...]:
    """Shares with intervals from the replicates, where the gap is clearly away from zero."""
    return tuple(
        _resampled_share(estimates, part, whole, one) if one.estimate is not None else one
        for part, one in zip(parts, plain, strict=True)
    )


def _resampled_share(
    estimates: StageEstimates, part: Mapping[MomentKey, float], whole: Mapping[MomentKey, float], plain: Share
) -> Share:
    found = _resampled(estimates, estimates.row(part), estimates.row(whole), Linear(plain.estimate))
    if found.interval is None:
        return Share(plain.estimate, None, None, found.notes)
    ends = ShareSet(found.interval.lower, found.interval.upper, "bounded")
    return Share(plain.estimate, ends, None, (*plain.notes, *found.notes))


def _resampled(estimates: StageEstimates, top: Array, bottom: Array, plain: Linear) -> Linear:
    """One quantity's interval; the replicates in which it is undefined are left out and counted."""
    one = estimates.bootstrap
    place = None if one is None else one.places.get(target_key(top, bottom))
    if one is None or place is None or plain.estimate is None or estimates.intervals != "bootstrap":
        return replace(plain, interval=None, std_error=None, df=None, notes=(*plain.notes, "not resampled"))
    draws = one.targets.one(place).of(one.drawn.moments)[0]
    kept = np.isfinite(draws)
    lost = int((~kept).sum())
    notes = (f"undefined in {lost} of {draws.size} replicates, which are left out",) if lost else ()
    reason = "fewer replicates are left than an interval needs" if kept.sum() < FEWEST else ""
    if reason or float(draws[kept].std()) < STILL:
        why = reason or "replicates do not vary"
        return replace(plain, interval=None, std_error=None, df=None, notes=(*notes, why))
    if plain.interval is not None and plain.interval.kind in ("wilson", "mover"):
        notes = (*notes, "a stage mean of 0 or 1 has nothing to resample: its uncertainty is left out")
    ends = _interval(one, place, float(plain.estimate), draws, estimates.level)
    return replace(plain, std_error=float(draws[kept].std(ddof=1)), df=None, interval=ends, notes=notes)


def _interval(one: Bootstrap, place: int, estimate: float, draws: Array, level: float) -> Interval:
    kept = np.isfinite(draws)
    if one.interval == "percentile":
        return percentile(draws[kept], level)
    if one.interval == "bca":
        return bca(draws[kept], estimate, float(one.acceleration[place]), level)
    if one.drawn.std_errors is None or one.drawn.base_errors is None:
        raise EstimationError(Fault("the replicates carry no standard errors", "Resample with interval `studentized`"))
    errors = one.drawn.std_errors[place]
    usable = kept & (errors > STILL)
    if usable.mean() < 1 - (1 - level) / 4:
        return percentile(draws[kept], level)
    pivots = (draws[usable] - estimate) / errors[usable]
    return studentized(estimate, float(one.drawn.base_errors[place]), pivots, level)
