"""How strong a common cause of conversation and decision would have to be: pairs of ties that explain uptake away."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from rctgap.common_cause import e_value, limit_nearer_one, observed_ratio, partner
from rctgap.plots.style import INK, SIZE, SMALL, SOFT, Panel, compose, with_settings
from rctgap.plots.words import default_arm, of_arm, sentence
from rctgap.results import GapDecomposition

__all__ = ["BiasCurve", "BiasFigure", "bias_curve", "prepare_bias_curve"]

FURTHEST = 8.0
TICKS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 20.0, 40.0, 100.0)
HEIGHT = 3.4
LEFT = 0.1
COLOUR = "#e69f00"
POINTS = 200
ROOM = 2.5


@dataclass(frozen=True, slots=True)
class BiasCurve:
    """Pairs of ties that would move one figure to 1.

    Attributes
    ----------
    what : str
        `the estimate` or `the limit`.
    ratio, e_value : float
    with_conversation, with_decision : tuple of float
        Along the curve, inside the panel.
    """

    what: str
    ratio: float
    e_value: float
    with_conversation: tuple[float, ...]
    with_decision: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class BiasFigure:
    """What the figure shows; `furthest` is the end of both axes."""

    arm: str
    title: str
    subtitle: str
    curves: tuple[BiasCurve, ...]
    furthest: float


def prepare_bias_curve(result: GapDecomposition, arm: str | None = None) -> BiasFigure:
    """Pick the risk ratio of an arm out of a result, and what would explain it away.

    Parameters
    ----------
    result : GapDecomposition
        With the rows of bias_curve.csv.
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Raises
    ------
    KeyError
        No ratio of such an arm.
    """
    arm = default_arm(result) if arm is None else arm
    row = observed_ratio(result.bias, arm)
    if row is None or row.ratio is None:
        raise KeyError(arm)
    limit = None if row.lower is None or row.upper is None else limit_nearer_one(row.ratio, row.lower, row.upper)
    figures = [("the estimate", row.ratio)]
    figures += [("the limit", limit)] if limit is not None and limit != 1.0 else []
    furthest = max(FURTHEST, ROOM * e_value(row.ratio))
    curves = tuple(_curve(what, value, furthest) for what, value in figures)
    ends = "no interval"
    if row.lower is not None and row.upper is not None:
        ends = f"{row.lower:.2f} to {row.upper:.2f} at {100 * row.level:.0f} %"
    subtitle = (
        f"{sentence(of_arm(result, arm))}; uptake over self-rescue {row.ratio:.2f} ({ends}), "
        f"{row.note.partition('; ')[0]}. A cause above a line would move that figure to 1; dots mark equal ties "
        "(E-values)"
    )
    return BiasFigure(arm, _title(row.ratio, limit), subtitle, curves, furthest)


def _title(ratio: float, limit: float | None) -> str:
    if limit == 1.0:
        return "Uptake's interval contains a ratio of 1: no hidden cause is needed to explain it"
    told = f"A hidden cause tied to both by {e_value(ratio):.2f} would explain uptake away"
    return told if limit is None else f"{told}; by {e_value(limit):.2f}, its interval would reach 1"


def _curve(what: str, ratio: float, furthest: float) -> BiasCurve:
    above = max(ratio, 1.0 / ratio)
    ties = np.geomspace(above * 1.0001, furthest, POINTS)
    others = partner(ratio, ties)
    inside = others <= furthest
    return BiasCurve(what, ratio, e_value(ratio), tuple(map(float, ties[inside])), tuple(map(float, others[inside])))


@with_settings
def bias_curve(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw the pairs of ties to conversation and decision that would move uptake's risk ratio to 1.

    Parameters
    ----------
    result : GapDecomposition
        With the rows of bias_curve.csv.
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Returns
    -------
    Figure

    Raises
    ------
    KeyError
        No ratio of such an arm.
    """
    shown = prepare_bias_curve(result, arm)
    told = [f"{one.what} {one.ratio:.2f}, E-value {one.e_value:.2f}" for one in shown.curves]
    panel = Panel("", HEIGHT, lambda axes: _drawn(axes, shown))
    return compose(shown.title, shown.subtitle, (panel,), f"{'; '.join(told)}.")


def _drawn(axes: Axes, shown: BiasFigure) -> None:
    box = axes.get_position()
    axes.set_position((box.x0 + LEFT * box.width, box.y0, (1 - LEFT) * box.width, box.height))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(1.0, shown.furthest)
    axes.set_ylim(1.0, shown.furthest)
    ticks = [one for one in TICKS if one <= shown.furthest]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        axis.set_ticklabels([f"{one:g}" for one in ticks], fontsize=SMALL)
    axes.set_xlabel("tie to a right conversation (risk ratio)", fontsize=SIZE)
    axes.set_ylabel("tie to a right decision (risk ratio)", fontsize=SIZE)
    axes.grid(color="#e3e6ea", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("right", "top"):
        axes.spines[side].set_visible(False)
    for one in shown.curves:
        _line(axes, one, shown.furthest)


def _line(axes: Axes, one: BiasCurve, furthest: float) -> None:
    main = one.what == "the estimate"
    if main:
        axes.fill_between(one.with_conversation, one.with_decision, furthest, color=COLOUR, alpha=0.18, linewidth=0)
    style = "solid" if main else (0, (4, 2))
    axes.plot(one.with_conversation, one.with_decision, color=INK if main else SOFT, linewidth=1.8, linestyle=style)
    axes.plot([one.e_value], [one.e_value], marker="o", color=INK if main else SOFT, markersize=6)
    axes.annotate(
        f"{one.what}: {one.e_value:.2f}",
        (one.e_value, one.e_value),
        xytext=(8, 6) if main else (-8, -7),
        textcoords="offset points",
        fontsize=SMALL,
        color=INK if main else SOFT,
        ha="left" if main else "right",
        va="bottom" if main else "top",
    )
