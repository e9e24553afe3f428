"""Intervals over a population of items beyond the plain t: `few-items`, recommended, and `bounded`, safe.

`few-items` takes CR2 by item with Satterthwaite's degrees of freedom, and where simulation has shown that interval
to cover too little, the wider of it and the Beta-binomial population's. `bounded` holds for any distribution of item
means, at the price of width.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import numpy.typing as npt

from rctgap.betting import betting_interval, wealth
from rctgap.estimands import MomentKey
from rctgap.estimates import Linear, Share, StageEstimates
from rctgap.few_items import ItemTable, Population, combined, item_population
from rctgap.frequentist import covariance_of
from rctgap.intervals import Interval, ShareSet, critical_value, delta_share, ratio_set, symmetric

__all__ = [
    "ENOUGH_ITEMS",
    "NEAR_EDGE",
    "ONE_ITEM_CARRIES",
    "bounded",
    "bounded_shares",
    "few_items",
    "few_items_shares",
    "item_table",
    "limits_of",
]

type Array = npt.NDArray[np.float64]
type Coefficients = Mapping[MomentKey, float]

ENOUGH_ITEMS = 8.0
NEAR_EDGE = 0.1
ONE_ITEM_CARRIES = 0.6
TINY = 1e-12
NO_BOUNDED_SHARE = "the gap is not clearly away from zero, so a share has no bounded interval"


def item_table(estimates: StageEstimates) -> ItemTable:
    """Items by moments: sums, sizes, weights and deviations."""
    found = estimates.statistics
    entries, units = found.entries, found.by_item
    if units is None:
        empty = np.zeros((0, len(found.moments)))
        return ItemTable(empty, empty, empty, empty)
    known = entries.item >= 0
    shape = (len(entries.items), found.part_of.size)
    place = entries.item[known] * shape[1] + found.part[entries.column[known]]
    sizes, sums = (
        np.bincount(place, weight, shape[0] * shape[1]).reshape(shape)
        for weight in (entries.count[known], (entries.count * entries.value)[known])
    )
    means = np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)
    count = len(found.moments)
    whole, held = np.zeros((shape[0], count)), np.zeros((shape[0], count))
    np.add.at(whole.T, found.part_of, means.T)
    first = np.unique(found.part_of, return_index=True)[1]
    held[:, found.part_of[first]] = sizes[:, first]
    scaled = found.loading / found.cells.size
    weights = np.abs(np.asarray(units.sizes @ scaled.T))
    weights = weights / np.maximum(weights.sum(axis=0), TINY)
    return ItemTable(np.clip(whole, 0.0, 1.0) * held, held, weights, np.asarray(units.residuals @ scaled.T))


def limits_of(estimates: StageEstimates, table: ItemTable) -> Mapping[MomentKey, str]:
    """Stage means around which simulated t intervals over items covered too little, and why."""
    effective, heaviest = table.effective(), table.heaviest()
    found = {}
    for key, place in estimates.keys.items():
        value = float(estimates.statistics.values[place])
        if ":" in key.name:
            continue
        if min(value, 1 - value) < NEAR_EDGE:
            found[key] = f"the mean of {key.name} is near the edge"
        elif round(float(effective[place]), 1) < ENOUGH_ITEMS:
            found[key] = f"its items are worth {effective[place]:.1f} equally weighted ones"
        elif heaviest[place] > ONE_ITEM_CARRIES:
            found[key] = f"one item carries most of the variation of {key.name}"
    return found


def few_items(
    estimates: StageEstimates, quantities: Sequence[Coefficients], plain: Sequence[Linear]
) -> tuple[Linear, ...]:
    """The plug-in's quantities with the intervals recommended over few items.

    Parameters
    ----------
    estimates : StageEstimates
        With items random.
    quantities : sequence of mapping
        Coefficients over the moments.
    plain : sequence of Linear
        What the plug-in gives for them.
    """
    table = item_table(estimates)
    limits, populations = limits_of(estimates, table), _populations(estimates, table)
    usable = [place for place, one in enumerate(plain) if _usable(quantities[place], one)]
    found = list(plain)
    if not usable:
        return tuple(found)
    rows = np.array([estimates.row(quantities[place]) for place in usable])
    errors = np.sqrt(np.diag(table.covariance(rows)) + np.maximum(_beyond_items(estimates, rows), 0.0))
    for place, row, error, df in zip(usable, rows, errors, table.degrees_of_freedom(rows), strict=True):
        reason = next((limits[key] for key in quantities[place] if key in limits), "")
        ends = combined(*_population(table, populations, row[None])) if reason else None
        found[place] = _few(plain[place], float(error), float(df), estimates.level, ends, reason)
    return tuple(found)


def _usable(coefficients: Coefficients, one: Linear) -> bool:
    return one.interval is not None and not any(key.name.startswith("mix:") for key in coefficients)


def _few(
    one: Linear, std_error: float, df: float, level: float, population: tuple[Array, Array] | None, reason: str
) -> Linear:
    """One quantity with its t interval, widened where there is a reason to."""
    if population is None and std_error <= TINY:
        return one
    ordinary = symmetric(float(one.estimate or 0.0), std_error, df, level)
    if population is None:
        return replace(one, std_error=std_error, df=df, interval=ordinary)
    lower, upper = (float(ends[0]) for ends in population)
    widened = Interval(min(ordinary.lower, lower), max(ordinary.upper, upper), "population")
    return replace(one, std_error=std_error, df=df, interval=widened, notes=(f"widened: {reason}",))


def _beyond_items(estimates: StageEstimates, rows: Array) -> Array:
    """Variance from participants that the item part does not hold, shape (Q,)."""
    found = covariance_of(estimates, rows)
    extra = [part.factor * np.diag(part.matrix) for part in found.parts[1:]]
    return np.asarray(sum(extra, np.zeros(rows.shape[0])), dtype=np.float64)


def _populations(estimates: StageEstimates, table: ItemTable) -> Callable[[int], Population]:
    """The population behind each moment, worked out when it is first asked for."""

    @cache
    def of(place: int) -> Population:
        return item_population(table.sums[:, place], table.sizes[:, place], estimates.level)

    return of


def _population(
    table: ItemTable, populations: Callable[[int], Population], rows: Array
) -> tuple[Array, list[Population], Array]:
    """Coefficients, populations and correlation of the moments that enter."""
    places = np.flatnonzero((rows != 0).any(axis=0))
    return rows[:, places], [populations(int(place)) for place in places], table.correlation(places.tolist())


def few_items_shares(
    estimates: StageEstimates,
    parts: Sequence[Coefficients],
    whole: Coefficients,
    plain: Sequence[Share],
    found: Sequence[Linear],
) -> tuple[Share, ...]:
    """Shares of a whole by inversion of the recommended intervals.

    Parameters
    ----------
    parts : sequence of mapping
    whole : mapping
    plain : sequence of Share
        What the plug-in gives.
    found : sequence of Linear
        The parts, then the whole, as `few_items` gives them.
    """
    *own, total = found
    if not _measured(total):
        return tuple(plain)
    table = item_table(estimates)
    limits, populations = limits_of(estimates, table), _populations(estimates, table)
    return tuple(
        _few_share(estimates, table, limits, populations, part, whole, one, total) if _measured(mine) else one
        for part, one, mine in zip(parts, plain, own, strict=True)
    )


def _measured(part: Linear) -> bool:
    """Whether the part's uncertainty over items is known: not where it cannot be told or seems to be none."""
    return part.interval is not None and (part.interval.kind == "population" or (part.std_error or 0.0) > TINY)


def _few_share(
    estimates: StageEstimates,
    table: ItemTable,
    limits: Mapping[MomentKey, str],
    populations: Callable[[int], Population],
    part: Coefficients,
    whole: Coefficients,
    plain: Share,
    total: Linear,
) -> Share:
    rows = np.array([estimates.row(part), estimates.row(whole)])
    top, bottom = (float(row @ estimates.statistics.values) for row in rows)
    joint = table.covariance(rows) + _beyond_joint(estimates, rows)
    critical = critical_value(estimates.level, math.inf if total.df is None else total.df)
    limited = any(key in limits for key in (*part, *whole))
    both, parts, correlation = _population(table, populations, rows if limited else np.zeros_like(rows))

    def member(x: Array, y: Array) -> npt.NDArray[np.bool_]:
        spread = x**2 * joint[0, 0] - 2 * x * y * joint[0, 1] + y**2 * joint[1, 1]
        half = critical * np.sqrt(np.maximum(spread, 0.0))
        low, high = x * top - y * bottom - half, x * top - y * bottom + half
        if limited:
            ends = combined(np.outer(x, both[0]) - np.outer(y, both[1]), parts, correlation)
            low, high = np.minimum(low, ends[0]), np.maximum(high, ends[1])
        return np.asarray((low <= 0) & (high >= 0), dtype=np.bool_)

    if abs(bottom) < TINY:
        return plain
    return _as_share(
        ratio_set(member, top / bottom),
        top / bottom,
        symmetric(
            top / bottom, delta_share(top, bottom, joint), math.inf if total.df is None else total.df, estimates.level
        ),
    )


def _as_share(found: ShareSet, ratio: float, delta: Interval | None) -> Share:
    if found.set_type != "bounded":
        return Share(None, found, None, (NO_BOUNDED_SHARE,))
    return Share(ratio, found, delta)


def _beyond_joint(estimates: StageEstimates, rows: Array) -> Array:
    found = covariance_of(estimates, rows)
    extra = np.zeros((2, 2))
    for part in found.parts[1:]:
        extra += part.factor[1] * part.matrix
    return extra if np.linalg.eigvalsh(extra)[0] >= 0 else np.zeros((2, 2))


def bounded(
    estimates: StageEstimates, quantities: Sequence[Coefficients], plain: Sequence[Linear]
) -> tuple[Linear, ...]:
    """Intervals that hold for any distribution of item means, from betting on each item's own difference.

    Notes
    -----
    Items count alike, whatever the mix, and those without scores at a stage that enters are left out. The
    guarantee is exact where answers to different items are independent given the items; participants who
    answer several items tie them weakly, which the width outweighs in every simulated case.
    """
    table = item_table(estimates)
    return tuple(
        _bounded(estimates, table, coefficients, one) for coefficients, one in zip(quantities, plain, strict=True)
    )


def _bounded(estimates: StageEstimates, table: ItemTable, coefficients: Coefficients, one: Linear) -> Linear:
    if one.estimate is None:
        return one
    if any(":" in key.name for key in coefficients):
        return replace(one, std_error=None, df=None, interval=None, notes=("no bounded interval for this quantity",))
    row = estimates.row(coefficients)
    if estimates.statistics.lacks_items(row):
        return one
    values, used = _differences(table, row)
    if used.sum() < 1:
        return replace(one, std_error=None, df=None, interval=None, notes=("no item has all of its stages",))
    ends = betting_interval(values, estimates.level, *_range(row))
    left_out = int((~used).sum())
    notes = (f"{left_out} items without all of its stages are left out",) if left_out else ()
    return Linear(one.estimate, None, None, Interval(*ends, "betting"), one.n, int(used.sum()), notes)


def _differences(table: ItemTable, row: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """The quantity within each item that has every stage of it, and which items those are."""
    weighed = row != 0
    used = (table.sizes[:, weighed] > 0).all(axis=1)
    return np.asarray(table.means[used][:, weighed] @ row[weighed], dtype=np.float64), used


def _range(row: Array) -> tuple[float, float]:
    return float(row[row < 0].sum()), float(row[row > 0].sum())


def bounded_shares(
    estimates: StageEstimates, parts: Sequence[Coefficients], whole: Coefficients, plain: Sequence[Share]
) -> tuple[Share, ...]:
    """Shares of a whole by inversion of the betting intervals."""
    table = item_table(estimates)
    missing = estimates.statistics.missing
    if any(key in missing for key in whole):
        return tuple(plain)
    return tuple(
        one if any(key in missing for key in part) else _bounded_share(estimates, table, part, whole, one)
        for part, one in zip(parts, plain, strict=True)
    )


def _bounded_share(
    estimates: StageEstimates, table: ItemTable, part: Coefficients, whole: Coefficients, plain: Share
) -> Share:
    over, under = estimates.row(part), estimates.row(whole)
    top, bottom = (float(row @ estimates.statistics.values) for row in (over, under))
    used = (table.sizes[:, (over != 0) | (under != 0)] > 0).all(axis=1)
    lacking = any(estimates.statistics.lacks_items(row) for row in (over, under))
    if abs(bottom) < TINY or not used.any() or lacking:
        return plain
    means = np.nan_to_num(table.means[used])

    def member(x: Array, y: Array) -> npt.NDArray[np.bool_]:
        rows = np.outer(x, over) - np.outer(y, under)
        low, high = np.minimum(rows, 0).sum(axis=1), np.maximum(rows, 0).sum(axis=1)
        width = np.maximum(high - low, 1e-12)
        scaled = (rows @ means.T - low[:, None]) / width[:, None]
        made = wealth(np.clip(scaled, 0, 1), np.clip(-low / width, 1e-9, 1 - 1e-9))
        return np.asarray(made < 1 / (1 - estimates.level), dtype=np.bool_)

    return _as_share(ratio_set(member, _ratio(means @ over, means @ under)), top / bottom, None)


def _ratio(over: Array, under: Array) -> float:
    """Ratio of two means over items, where betting has won nothing."""
    top, bottom = float(over.mean()), float(under.mean())
    return top / bottom if abs(bottom) > TINY else math.copysign(math.inf, top)
