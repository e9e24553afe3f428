"""Quantities from posterior draws: every draw of the moments goes through the contrasts that serve the plug-in.

The estimate of a linear quantity is its posterior mean, so components add up to the gap exactly, as medians would
not. Sizes (`n`, `clusters`) are those of the data and come from the plug-in.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from rctgap import inference
from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Conditional, MomentKey
from rctgap.estimates import Linear, Posterior, Share, StageEstimates
from rctgap.intervals import Interval, ShareSet, equal_tailed, highest_density, simultaneous_bands

__all__ = [
    "absent",
    "conditional",
    "credible",
    "draws_of",
    "linear",
    "log_ratio",
    "posterior_of",
    "prior_of",
    "prior_ratio",
    "ratio_draws",
    "shares",
    "simultaneous",
]

type Array = npt.NDArray[np.float64]
type Coefficients = Mapping[MomentKey, float]

STILL = 1e-12
NOT_GIVEN = "the model does not give it"
NO_SPREAD = "no interval: the draws do not vary, since a stage mean of 0 or 1 has nothing to reweight"
PARTLY_STILL = "a stage mean of 0 or 1 has nothing to reweight: its uncertainty is left out"
NO_SHARE = "the gap's interval contains 0, so a share has no bounded interval"
WHOLE = "no interval: the share is the same in every draw"
NO_CONDITION = "in some draws no answer meets the condition"
NO_RATIO = "a proportion of 0 or 1 has no ratio with an interval"


def posterior_of(estimates: StageEstimates) -> Posterior:
    """The posterior that the estimates carry.

    Raises
    ------
    EstimationError
        They carry none.
    """
    if estimates.posterior is None:
        raise EstimationError(Fault("these estimates carry no posterior", "Use `estimate_bayesian`"))
    return estimates.posterior


def absent(estimates: StageEstimates, coefficients: Coefficients) -> str:
    """Why a linear quantity has no draws; empty where it has."""
    missing = estimates.missing
    key = next((key for key in coefficients if key in missing), None)
    if key is not None:
        return missing[key] if ":" in key.name else f"{key.name} in arm {key.arm}: {missing[key]}"
    places = [estimates.keys[key] for key in coefficients]
    return NOT_GIVEN if bool(np.isnan(posterior_of(estimates).draws[..., places]).any()) else ""


def draws_of(estimates: StageEstimates, coefficients: Coefficients) -> Array:
    """Draws of a linear quantity that is not `absent`, shape (chains, draws)."""
    return _along(posterior_of(estimates).draws, estimates, coefficients)


def prior_of(estimates: StageEstimates, coefficients: Coefficients) -> Array | None:
    """The same quantity before any data, shape (draws,); None where there is no proper prior on it."""
    prior = posterior_of(estimates).prior
    if prior is None:
        return None
    found = _along(prior, estimates, coefficients)
    return None if np.isnan(found).any() else found


def prior_ratio(estimates: StageEstimates, ratio: Conditional) -> Array | None:
    """A conditional before any data, shape (draws,); None where there is none, or its condition may not be met."""
    top, bottom = (prior_of(estimates, one.coefficients) for one in (ratio.numerator, ratio.denominator))
    if top is None or bottom is None or not (bottom > STILL).all():
        return None
    return np.asarray(top / bottom, dtype=np.float64)


def _along(draws: Array, estimates: StageEstimates, coefficients: Coefficients) -> Array:
    """Draws times a row; moments without weight may be NaN."""
    places = [estimates.keys[key] for key in coefficients]
    return np.asarray(draws[..., places] @ np.array(list(coefficients.values())), dtype=np.float64)


def credible(estimates: StageEstimates, draws: Array) -> Interval:
    """The interval of the kind and level that were asked for."""
    flat = draws.ravel()
    if posterior_of(estimates).interval == "hdi":
        return highest_density(flat, estimates.level)
    return equal_tailed(flat, estimates.level)


def linear(estimates: StageEstimates, quantities: Sequence[Coefficients]) -> tuple[Linear, ...]:
    """Posterior means, standard deviations and credible intervals of linear quantities.

    Parameters
    ----------
    estimates : StageEstimates
        With a posterior.
    quantities : sequence of mapping
        Coefficients over the moments.

    Returns
    -------
    tuple of Linear
        `std_error` is the posterior standard deviation; `df` does not apply. Where draws that reweight the data cannot
        tell the uncertainty, and the plug-in gives no interval for it, the posterior gives none for the same reason.
    """
    plain = inference.linear(estimates.plug_in, quantities)
    return tuple(_linear(estimates, one, size) for one, size in zip(quantities, plain, strict=True))


def _linear(estimates: StageEstimates, coefficients: Coefficients, plain: Linear) -> Linear:
    reason = absent(estimates, coefficients)
    if reason:
        return Linear(None, n=plain.n, clusters=plain.clusters, notes=(reason,))
    notes = (PARTLY_STILL,) if _still(estimates, coefficients) else ()
    return _summary(estimates, draws_of(estimates, coefficients), plain, notes)


def _still(estimates: StageEstimates, keys: Coefficients) -> bool:
    """Whether some stage mean that enters is the same in every draw."""
    stages = [estimates.keys[key] for key in keys if ":" not in key.name]
    drawn = posterior_of(estimates).draws[..., stages]
    return bool((np.ptp(drawn, axis=(0, 1)) <= STILL).any()) if stages else False


def _summary(estimates: StageEstimates, draws: Array, plain: Linear, notes: tuple[str, ...]) -> Linear:
    mean, spread = float(draws.mean()), float(draws.std(ddof=1))
    if posterior_of(estimates).independent and plain.interval is None:
        return Linear(mean, n=plain.n, clusters=plain.clusters, notes=plain.notes)
    if spread <= STILL:
        return Linear(mean, n=plain.n, clusters=plain.clusters, notes=(NO_SPREAD,))
    return Linear(mean, spread, None, credible(estimates, draws), plain.n, plain.clusters, notes)


def ratio_draws(estimates: StageEstimates, ratio: Conditional) -> tuple[Array | None, str]:
    """Draws of a conditional, shape (chains, draws), or why there are none."""
    top, bottom = ratio.numerator.coefficients, ratio.denominator.coefficients
    reason = absent(estimates, top) or absent(estimates, bottom)
    if reason:
        return None, reason
    below = draws_of(estimates, bottom)
    if (below <= STILL).any():
        return None, NO_CONDITION
    return np.asarray(draws_of(estimates, top) / below, dtype=np.float64), ""


def conditional(estimates: StageEstimates, ratio: Conditional) -> Linear:
    """A ratio of moments, taken in every draw."""
    plain = inference.conditional(estimates.plug_in, ratio)
    draws, reason = ratio_draws(estimates, ratio)
    if draws is None:
        return Linear(None, n=plain.n, clusters=plain.clusters, notes=(reason,))
    return _summary(estimates, draws, plain, ())


def shares(estimates: StageEstimates, parts: Sequence[Coefficients], whole: Coefficients) -> tuple[Share, ...]:
    """Each part's share of the whole: intervals from the ratio in every draw.

    Notes
    -----
    The point is the ratio of posterior means, which adds up to 1 over the components and is the ratio of the two
    estimates that stand beside it; the mean of a ratio does not exist where the gap may be 0. Where the gap's
    equal-tailed interval contains 0 the ratio has no bounded interval, and the point is left empty as with Fieller's.
    """
    *own, total = linear(estimates, [*parts, whole])
    if total.interval is None:
        return tuple(Share(None, None, None, total.notes) for _ in parts)
    below = draws_of(estimates, whole)
    ends = equal_tailed(below.ravel(), estimates.level)
    open_ended = ends.lower <= 0 <= ends.upper
    return tuple(
        Share(None, None, None, one.notes)
        if one.interval is None
        else _share(estimates, draws_of(estimates, part), below, one.notes, open_ended=open_ended)
        for part, one in zip(parts, own, strict=True)
    )


def _share(estimates: StageEstimates, own: Array, total: Array, notes: tuple[str, ...], *, open_ended: bool) -> Share:
    if open_ended or not total.all():
        return Share(None, ShareSet(-math.inf, math.inf, "unbounded"), None, (NO_SHARE,))
    ratio = own / total
    point = float(own.mean() / total.mean())
    if float(np.ptp(ratio)) <= STILL:
        return Share(point, None, None, (WHOLE,))
    ends = credible(estimates, ratio)
    return Share(point, ShareSet(ends.lower, ends.upper, "bounded"), None, notes)


def simultaneous(estimates: StageEstimates, quantities: Sequence[Coefficients]) -> tuple[Interval | None, ...]:
    """Intervals that hold all the quantities at once with posterior probability `level`; None where one has none."""
    if any(one.interval is None for one in linear(estimates, quantities)):
        return tuple(None for _ in quantities)
    return simultaneous_bands(np.array([draws_of(estimates, one).ravel() for one in quantities]), estimates.level)


def log_ratio(
    estimates: StageEstimates, top: Coefficients, base: Coefficients, *, odds: bool
) -> tuple[float | None, Interval | None, str]:
    """Mean and interval of the log of a ratio of two means, or of their odds; or why there is none."""
    means = linear(estimates, [top, base])
    reason = next(("; ".join(one.notes) for one in means if one.interval is None), "")
    if reason:
        return None, None, reason
    treated, control = draws_of(estimates, top), draws_of(estimates, base)
    if any(bool((one <= 0).any() or (one >= 1).any()) for one in (treated, control)):
        return None, None, NO_RATIO
    logged = np.log(treated / control)
    if odds:
        logged = logged + np.log1p(-control) - np.log1p(-treated)
    return float(logged.mean()), credible(estimates, logged), ""
