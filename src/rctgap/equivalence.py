"""Equivalence within a margin: two one-sided tests, verdicts, the sequence of tests, and sizes. Numbers only."""

import math
from collections.abc import Callable, Sequence

from scipy import optimize, stats

from rctgap.intervals import Interval
from rctgap.staged_records import Verdict

__all__ = ["answers_needed", "fixed_sequence", "inverted_p_value", "items_needed", "two_one_sided", "verdict"]

MOST_UNITS = 10_000_000
HALVINGS = 24


def two_one_sided(estimate: float, std_error: float, df: float, margin: float) -> float:
    """P-value of two one-sided tests that a parameter lies within plus or minus `margin`.

    Parameters
    ----------
    estimate, std_error : float
        `std_error` above 0.
    df : float
        Of t; infinite for the normal.
    margin : float
        Above 0.

    Returns
    -------
    float
        The larger of the two one-sided p-values: the smallest alpha at which the 1 - 2 alpha interval lies inside.

    References
    ----------
    Schuirmann (1987), doi 10.1007/BF01068419.

    Examples
    --------
    >>> from rctgap.equivalence import two_one_sided
    >>> round(two_one_sided(0.0, 0.01, float("inf"), 0.05), 9)
    2.87e-07
    """
    law = stats.norm if math.isinf(df) else stats.t(df)
    return float(max(law.sf((estimate + margin) / std_error), law.sf((margin - estimate) / std_error)))


def inverted_p_value(interval_at: Callable[[float], Interval | None], margin: float) -> float | None:
    """The same for an interval of any kind: half of what the widest level inside the margin leaves out.

    Parameters
    ----------
    interval_at : callable
        The interval at a level in (0, 1), wider where the level is higher; None where there is none.
    margin : float

    Returns
    -------
    float or None
        1 where no level is inside, so that it is never smaller than the test's own; None without intervals.
    """

    def inside(level: float) -> bool | None:
        ends = interval_at(level)
        return None if ends is None else verdict(ends.lower, ends.upper, margin) == "holds"

    low, high = 1e-6, 1 - 1e-9
    lowest = inside(low)
    if lowest is None:
        return None
    if not lowest:
        return 1.0
    if inside(high):
        return (1 - high) / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return (1 - low) / 2


def verdict(lower: float | None, upper: float | None, margin: float) -> Verdict:
    """What an interval at 1 - 2 alpha says of a margin: `holds` wholly inside, `violated` wholly beyond.

    Examples
    --------
    >>> from rctgap.equivalence import verdict
    >>> verdict(-0.03, 0.04, 0.05), verdict(0.06, 0.2, 0.05), verdict(0.02, 0.2, 0.05)
    ('holds', 'violated', 'inconclusive')
    """
    if lower is None or upper is None:
        return "inconclusive"
    if -margin < lower and upper < margin:
        return "holds"
    return "violated" if lower > margin or upper < -margin else "inconclusive"


def fixed_sequence(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for testing in a fixed order, stopping at the first that is not rejected: running maxima.

    A step without a p-value stops the sequence: it and all later ones have none.

    References
    ----------
    Maurer, Hothorn and Lehmacher (1995); Bretz, Maurer, Brannath and Posch (2009), doi 10.1002/sim.3495.

    Examples
    --------
    >>> from rctgap.equivalence import fixed_sequence
    >>> fixed_sequence([0.01, 0.2, 0.03, None, 0.01])
    [0.01, 0.2, 0.2, None, None]
    """
    found: list[float | None] = []
    highest: float | None = 0.0
    for value in p_values:
        highest = None if highest is None or value is None else max(highest, value)
        found.append(highest)
    return found


def answers_needed(n: int, variance: float, fixed: float, margin: float, alpha: float, power: float) -> int | None:
    """Answers at which both one-sided tests reject with `power` if the parameter is 0.

    Parameters
    ----------
    n : int
        Answers now.
    variance : float
        The part of the estimate's variance that falls as 1 / n.
    fixed : float
        The part that more answers leave as it is, such as that of the benchmark's runs.
    margin, alpha, power : float

    Returns
    -------
    int or None
        None where no number would do, since `fixed` alone is too much.

    Examples
    --------
    >>> from rctgap.equivalence import answers_needed
    >>> answers_needed(600, 0.022**2, 0.0, 0.05, 0.05, 0.8)
    995
    >>> answers_needed(600, 0.022**2, 0.02**2, 0.05, 0.05, 0.8) is None
    True
    """
    steps = stats.norm.isf(alpha) + stats.norm.isf((1 - power) / 2)
    wanted = (margin / steps) ** 2 - fixed
    return None if wanted <= 0 else math.ceil(n * variance / wanted)


def items_needed(items: int, std_error: float, margin: float, alpha: float, power: float) -> int | None:
    """Items of a population, each with as many answers as now, at which the tests reject with `power` at 0.

    Parameters
    ----------
    items : int
        Items now, behind `std_error`.
    std_error : float
        Falls as the square root of the number of items; the reference is t with one degree of freedom less than items.

    Returns
    -------
    int or None
        None where ten million items would not do.

    Examples
    --------
    >>> from rctgap.equivalence import items_needed
    >>> items_needed(10, 0.0496, 0.05, 0.05, 0.8)
    86
    """

    def surplus(size: float) -> float:
        df = size - 1
        spread = std_error * math.sqrt(items / size)
        return float(2 * stats.t.cdf(margin / spread - stats.t.isf(alpha, df), df) - 1 - power)

    if surplus(2.0) >= 0:
        return 2
    if surplus(MOST_UNITS) < 0:
        return None
    return math.ceil(optimize.brentq(surplus, 2.0, MOST_UNITS, xtol=1e-6))
