"""Every linear quantity under each way to deal with missing scores, side by side."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from rctgap.errors import EstimandError, EstimationError
from rctgap.estimands import Contrast, Estimand, MomentKey, contrasts
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import estimate_frequentist
from rctgap.inference import linear
from rctgap.intervals import Interval, imbens_manski
from rctgap.missing import End, complete_cases, extreme_values, filled, missing_scores
from rctgap.moments import item_mix
from rctgap.records import MissingRow
from rctgap.scores import StageScores
from rctgap.weighting import inverse_probability, scoring_chances

__all__ = ["APPROACHES", "missing_score_rows"]

APPROACHES = ("available", "complete_case", "inverse_probability", "worst_case")
SAME = 1e-12
UNADJUSTED = "bounds are not adjusted for covariates"
EACH_END = "a bound has no symmetric interval: each end is that of its own two-sided interval"


def missing_score_rows(estimates: StageEstimates) -> tuple[MissingRow, ...]:
    """Components, families, gap and effects of every arm under each way to deal with missing scores.

    Parameters
    ----------
    estimates : StageEstimates
        From each stage's own scores, as `estimate_frequentist` makes them by default.

    Returns
    -------
    tuple of MissingRow
        By arm, quantity and approach; empty where no score is missing. The weights of items and arms are those of all
        the answers throughout, so every approach estimates the same quantity. The item-mix term, which depends on the
        counts themselves, is left out.

    Notes
    -----
    An approach that the data do not allow gives rows without numbers, and the reason as their note.

    References
    ----------
    Horowitz and Manski (2000), doi 10.1080/01621459.2000.10473902; Imbens and Manski (2004),
    doi 10.1111/j.1468-0262.2004.00555.x; Stoye (2009), doi 10.3982/ECTA7347.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.missingness import missing_score_rows
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 0, None], "decision": [1, 0, 1], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> for row in missing_score_rows(rg.estimate_frequentist(scores, rg.Estimand(items="fixed"))):
    ...     if (row.arm, row.quantity) == ("a1", "decision"):
    ...         print(row.approach, row.estimate and round(row.estimate, 3), row.bound_lower, row.bound_upper)
    available -0.171 None None
    complete_case 0.0 None None
    inverse_probability -0.171 None None
    worst_case None -0.3 0.0
    """
    estimates.require_frequentist("approaches to missing scores")
    if not missing_scores(estimates.scores):
        return ()
    wanted = _wanted(estimates)
    found = {
        "available": _plain(estimates, "available", wanted, estimates),
        "complete_case": _plain(estimates, "complete_case", wanted, *_refitted(estimates, _complete)),
        "inverse_probability": _weighted(estimates, wanted),
        "worst_case": _unadjusted(estimates, wanted),
    }
    return tuple(row for same in zip(*(found[name] for name in APPROACHES), strict=True) for row in same)


def _wanted(estimates: StageEstimates) -> tuple[Contrast, ...]:
    scores = estimates.scores
    return tuple(
        row
        for label, weights in arm_sets(estimates)
        for row in contrasts(scores.chain, label, weights, scores.design.control)
        if row.quantity != "item_mix"
    )


# ---------------------------------------------------------------- point estimates


def _complete(estimates: StageEstimates) -> StageEstimates:
    """Complete answers, at the item weights of all answers."""
    mix = item_mix(estimates.scores, estimates.estimand)
    estimand = estimates.estimand if mix is None else replace(estimates.estimand, item_weights=dict(mix))
    return _estimated(estimates, complete_cases(estimates.scores), estimand)


def _inverse(estimates: StageEstimates) -> StageEstimates:
    return _estimated(estimates, inverse_probability(estimates.scores, estimates.estimand), estimates.estimand)


def _estimated(like: StageEstimates, scores: StageScores, estimand: Estimand) -> StageEstimates:
    return estimate_frequentist(scores, estimand, like.covariance, like.small_sample, like.level, like.adjustment)


def _refitted(
    estimates: StageEstimates, fit: Callable[[StageEstimates], StageEstimates]
) -> tuple[StageEstimates | None, str]:
    """Other estimates, or why there are none."""
    try:
        return fit(estimates), ""
    except (EstimandError, EstimationError) as error:
        return None, error.reason


def _plain(
    estimates: StageEstimates,
    approach: str,
    wanted: Sequence[Contrast],
    found: StageEstimates | None,
    reason: str = "",
) -> list[MissingRow]:
    if found is None:
        return [_row(estimates, one, approach, Linear(None, notes=(reason,))) for one in wanted]
    results = linear(found, [one.coefficients for one in wanted])
    return [_row(estimates, one, approach, result) for one, result in zip(wanted, results, strict=True)]


def _weighted(estimates: StageEstimates, wanted: Sequence[Contrast]) -> list[MissingRow]:
    """Inverse-probability weights, with what is said of an arm's stage beside the quantities that rest on it."""
    found, reason = _refitted(estimates, _inverse)
    rows = _plain(estimates, "inverse_probability", wanted, found, reason)
    if found is None:
        return rows
    said = {place: one.note for place, one in scoring_chances(estimates.scores).items() if one.note}
    return [
        replace(row, note="; ".join([*([row.note] if row.note else []), *notes]))
        for row, contrast in zip(rows, wanted, strict=True)
        for notes in [[said[place] for place in _places(estimates.scores, contrast.coefficients) if place in said]]
    ]


def _places(scores: StageScores, coefficients: Mapping[MomentKey, float]) -> list[tuple[str, str]]:
    """Arm whose rows carry each stage that enters, and the stage."""
    arms = {arm.label: arm for arm in scores.design.arms}
    return [(arms[key.arm].rows_of(key.name) if key.arm in arms else key.arm, key.name) for key in coefficients]


def _row(
    estimates: StageEstimates,
    contrast: Contrast,
    approach: str,
    result: Linear,
    interval: Interval | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
) -> MissingRow:
    ends = interval or result.interval
    return MissingRow(
        contrast.arm,
        contrast.quantity,
        approach,
        result.estimate,
        result.std_error,
        ends.lower if ends else None,
        ends.upper if ends else None,
        *bounds,
        estimates.level,
        result.n,
        "; ".join(result.notes),
    )


# ---------------------------------------------------------------- bounds


def _unadjusted(estimates: StageEstimates, wanted: Sequence[Contrast]) -> list[MissingRow]:
    """Bounds of plain means: once a score's weight depends on covariates, 0 and 1 are no longer the extremes."""
    rows = _bounded(replace(estimates, estimator="plug-in"), wanted)
    if estimates.adjustment == "none":
        return rows
    return [replace(row, note="; ".join(filter(None, [row.note, UNADJUSTED]))) for row in rows]


def _bounded(estimates: StageEstimates, wanted: Sequence[Contrast]) -> list[MissingRow]:
    """Bounds quantity by quantity: an arm's sign at a stage is that of all arms, so one filling serves them all."""
    fits: dict[tuple[tuple[tuple[str, str], float], ...], StageEstimates] = {}
    rows: dict[tuple[str, str], MissingRow] = {}
    for quantity in dict.fromkeys(one.quantity for one in wanted):
        members = [one for one in wanted if one.quantity == quantity]
        lower = _extremes(estimates, members, "lower", fits)
        upper = _extremes(estimates, members, "upper", fits)
        for one, low, high in zip(members, lower, upper, strict=True):
            rows[one.arm, quantity] = _bounds_row(estimates, one, low, high)
    return [rows[one.arm, one.quantity] for one in wanted]


def _extremes(
    estimates: StageEstimates,
    members: Sequence[Contrast],
    end: End,
    fits: dict[tuple[tuple[tuple[str, str], float], ...], StageEstimates],
) -> list[Linear]:
    """Each member, one a set of arms, with the missing scores at the values that make it smallest or largest."""
    found = []
    for values in _fillings(estimates, members, end):
        name = tuple(sorted(values.items()))
        if name not in fits:
            fits[name] = _estimated(estimates, filled(estimates.scores, values), estimates.estimand)
        found.append(linear(fits[name], [one.coefficients for one in members]))
    sign = 1.0 if end == "lower" else -1.0
    return [min(ways, key=lambda one: sign * _value(one)) for ways in zip(*found, strict=True)]


def _value(result: Linear) -> float:
    return math.nan if result.estimate is None else result.estimate


def _fillings(
    estimates: StageEstimates, members: Sequence[Contrast], end: End
) -> list[Mapping[tuple[str, str], float]]:
    """Candidate fillings: one, or two where the control mean also stands in for non-users and its sign is open."""
    scores, control = estimates.scores, estimates.scores.design.control
    together: dict[MomentKey, float] = {}
    for one in members:
        for key, value in one.coefficients.items():
            together[key] = together.get(key, 0.0) + value
    sides = [together]
    if estimates.estimand.non_users == "control" and control is not None:
        key = MomentKey(control, scores.chain.last)
        sides = [together | {key: sign} for sign in (-1.0, 1.0)]
    return [extreme_values(scores, side, end) for side in sides]


def _bounds_row(estimates: StageEstimates, contrast: Contrast, low: Linear, high: Linear) -> MissingRow:
    if low.estimate is None or high.estimate is None:
        return _row(estimates, contrast, "worst_case", low if low.estimate is None else high)
    bounds = (low.estimate, high.estimate)
    if high.estimate - low.estimate <= SAME:
        return _row(estimates, contrast, "worst_case", low, bounds=bounds)
    interval, notes = _between(bounds, low, high, estimates.level)
    return _row(estimates, contrast, "worst_case", Linear(None, n=low.n, notes=notes), interval, bounds)


def _between(
    bounds: tuple[float, float], low: Linear, high: Linear, level: float
) -> tuple[Interval | None, tuple[str, ...]]:
    """Confidence interval of a number between the bounds, where both have a variance."""
    notes = tuple(dict.fromkeys((*low.notes, *high.notes)))
    if low.interval is None or high.interval is None:
        return None, notes
    if not {low.interval.kind, high.interval.kind} <= {"t", "normal"}:
        return Interval(low.interval.lower, high.interval.upper, "bounds"), (*notes, EACH_END)
    df = min(math.inf if one.df is None else one.df for one in (low, high))
    errors = (float(low.std_error or 0.0), float(high.std_error or 0.0))
    return imbens_manski(bounds, errors, df, level), notes
