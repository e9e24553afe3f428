"""Linear quantities, ratios and shares, with the intervals that the estimates' own estimator makes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rctgap import inference, over_items, posterior_quantities, resampled
from rctgap.estimands import Conditional, MomentKey
from rctgap.estimates import Linear, Share, StageEstimates
from rctgap.intervals import Interval

__all__ = ["conditional", "linear", "possible", "shares", "simultaneous"]

type Coefficients = Mapping[MomentKey, float]


def linear(estimates: StageEstimates, quantities: Sequence[Coefficients]) -> tuple[Linear, ...]:
    """Estimates, standard errors and intervals of linear quantities."""
    if estimates.posterior is not None:
        return posterior_quantities.linear(estimates, quantities)
    plain = inference.linear(estimates, quantities)
    match estimates.intervals:
        case "few-items":
            return over_items.few_items(estimates, quantities, plain)
        case "bounded":
            return over_items.bounded(estimates, quantities, plain)
        case "bootstrap":
            return resampled.resampled(estimates, quantities, plain)
        case _:
            return plain


def possible(ends: Interval | None, coefficients: Mapping[MomentKey, float]) -> Interval | None:
    """A widened interval of a population of items, cut to what stage means in [0, 1] can give."""
    if ends is None or ends.kind != "population":
        return ends
    low, high = (sum(side(0.0, weight) for weight in coefficients.values()) for side in (min, max))
    return Interval(max(ends.lower, low), min(ends.upper, high), ends.kind)


def conditional(estimates: StageEstimates, ratio: Conditional) -> Linear:
    """A ratio of moments; `few-items` and `bounded` leave it to the plug-in's delta method."""
    if estimates.posterior is not None:
        return posterior_quantities.conditional(estimates, ratio)
    plain = inference.conditional(estimates, ratio)
    return resampled.resampled_ratio(estimates, ratio, plain) if estimates.intervals == "bootstrap" else plain


def shares(estimates: StageEstimates, parts: Sequence[Coefficients], whole: Coefficients) -> tuple[Share, ...]:
    """Each part's share of the whole."""
    if estimates.posterior is not None:
        return posterior_quantities.shares(estimates, parts, whole)
    plain = inference.shares(estimates, parts, whole)
    match estimates.intervals:
        case "few-items":
            return over_items.few_items_shares(estimates, parts, whole, plain, linear(estimates, [*parts, whole]))
        case "bounded":
            return over_items.bounded_shares(estimates, parts, whole, plain)
        case "bootstrap":
            return resampled.resampled_shares(estimates, parts, whole, plain)
        case _:
            return plain


def simultaneous(estimates: StageEstimates, quantities: Sequence[Coefficients]) -> tuple[Interval | None, ...]:
    """Intervals that cover all quantities at once: max-t for `t`, by joint draws of a posterior, else Bonferroni's."""
    if estimates.posterior is not None:
        return posterior_quantities.simultaneous(estimates, quantities)
    if estimates.intervals == "t":
        return inference.simultaneous(estimates, quantities)
    shared = 1 - (1 - estimates.level) / len(quantities)
    return tuple(one.interval for one in linear(replace(estimates, level=shared), quantities))
