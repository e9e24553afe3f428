"""The forest of trials: for each quantity every trial's estimate, and below them what they say together."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rctgap.plots.style import (
    BOLD_WRAP,
    COLOURS,
    INK,
    LINE,
    SIDE,
    SMALL,
    WIDTH,
    Panel,
    Stack,
    compose,
    dress,
    limits,
    span,
    with_settings,
)
from rctgap.plots.words import interval_words, plain, quantity_words, unsigned, wrapped
from rctgap.synthesis_records import HARTUNG_KNAPP, HIERARCHICAL, Synthesis, SynthesisRow

__all__ = ["PooledFigure", "PooledMark", "PooledQuantity", "pooled", "prepare_pooled"]

KINDS = ("component", "family", "gap")
ENTRY = LINE * 1.05
LEFT, RIGHT = 1.35, 1.6  # inches for names and for figures
LONGEST_NAME = 20
SMALLEST, LARGEST = 3.5, 8.0
BAYESIAN = "#b35c00"
NEW_TRIAL = "#4a5160"


@dataclass(frozen=True, slots=True)
class PooledMark:
    """One line of the forest, in points: a trial, a pooled mean (a diamond), or where a new trial would lie."""

    name: str
    look: str
    estimate: float | None
    lower: float | None
    upper: float | None
    weight: float | None = None


@dataclass(frozen=True, slots=True)
class PooledQuantity:
    """A quantity with its lines."""

    name: str
    kind: str
    note: str
    marks: tuple[PooledMark, ...]


@dataclass(frozen=True, slots=True)
class PooledFigure:
    """All that the figure shows."""

    title: str
    subtitle: str
    quantities: tuple[PooledQuantity, ...]

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        told = [
            f"{one.name}: " + "; ".join(f"{mark.name} {_value_text(mark)}" for mark in one.marks)
            for one in self.quantities
        ]
        return ". ".join(told) + "."


def prepare_pooled(synthesis: Synthesis) -> PooledFigure:
    """Pick the forest's numbers out of a synthesis: components, families and the gap.

    Parameters
    ----------
    synthesis : Synthesis

    Returns
    -------
    PooledFigure
        Trials alone where nothing is pooled.
    """
    shown = tuple(_quantity(synthesis, quantity, kind) for quantity, kind in synthesis.quantities() if kind in KINDS)
    level = f"{100 * synthesis.level:g} %"
    subtitle = f"Points lost at each step; lines are {level} intervals"
    if synthesis.pooled:
        subtitle += ", diamonds pooled means (filled: Hartung-Knapp), dashed where a new trial would lie"
    return PooledFigure(_title(synthesis), subtitle, shown)


def _title(synthesis: Synthesis) -> str:
    gap = synthesis.found("gap", "gap", HARTUNG_KNAPP)
    if gap is None or gap.estimate is None or gap.lower is None or gap.upper is None:
        return f"{len(synthesis.trials)} results side by side"
    ends = interval_words(100 * gap.lower, 100 * gap.upper)
    return f"The gap over {gap.k} trials: {unsigned(100 * gap.estimate)} points{ends}"


def _quantity(synthesis: Synthesis, quantity: str, kind: str) -> PooledQuantity:
    trials = synthesis.of_trial(quantity, kind)
    marks = [_mark(row.trial, "trial", row, row.weight) for row in trials]
    one, other = (synthesis.found(quantity, kind, method) for method in (HARTUNG_KNAPP, HIERARCHICAL))
    note = "not pooled" if synthesis.pooled else ""
    if one is not None and other is not None:
        marks += [_mark("pooled", "mean", one), _mark("pooled, Bayesian", "posterior", other)]
        if one.prediction_lower is not None:
            ends = (one.prediction_lower, one.prediction_upper)
            marks.append(PooledMark("a new trial", "new", None, *(None if end is None else 100 * end for end in ends)))
        note = _heterogeneity(one)
    name = "whole gap" if kind == "gap" else f"into {quantity_words(quantity)}"
    return PooledQuantity(
        f"{quantity_words(quantity)}, together" if kind == "family" else name, kind, note, tuple(marks)
    )


def _heterogeneity(row: SynthesisRow) -> str:
    tau = "" if row.tau is None else f"tau {unsigned(100 * row.tau)} points"
    ends = (
        ""
        if row.tau_lower is None or row.tau_upper is None
        else interval_words(100 * row.tau_lower, 100 * row.tau_upper)
    )
    return f"{tau}{ends}, I2 {100 * (row.i2 or 0.0):.0f} %"


def _mark(name: str, look: str, row: SynthesisRow, weight: float | None = None) -> PooledMark:
    estimate, lower, upper = (None if one is None else 100.0 * one for one in (row.estimate, row.lower, row.upper))
    return PooledMark(_short(name), look, estimate, lower, upper, weight)


def _short(name: str) -> str:
    """A name cut in the middle, since results are told apart by their ends."""
    clean, half = plain(name), LONGEST_NAME // 2
    return clean if len(clean) <= LONGEST_NAME else f"{clean[: half - 1].rstrip()}…{clean[-half:].lstrip()}"


def _value_text(mark: PooledMark) -> str:
    if mark.look == "new":
        return interval_words(mark.lower, mark.upper).strip(" ()")
    if mark.estimate is None:
        return "not estimated"
    return f"{unsigned(mark.estimate)}{interval_words(mark.lower, mark.upper) or ', no interval'}"


def pooled(synthesis: Synthesis) -> Figure:
    """Draw every trial's components with the pooled means below them.

    Parameters
    ----------
    synthesis : Synthesis

    Returns
    -------
    Figure
    """
    return _drawn(prepare_pooled(synthesis))


@with_settings
def _drawn(data: PooledFigure) -> Figure:
    rows = Stack()
    places = [_place(rows, one) for one in data.quantities]
    panel = Panel("", rows.depth, partial(_draw, data=data, places=places, height=rows.depth))
    return compose(data.title, data.subtitle, (panel,), data.description)


def _place(stack: Stack, one: PooledQuantity) -> tuple[float, float]:
    """Top of a quantity's words and of its lines."""
    top = stack.text(len(wrapped(one.name, BOLD_WRAP)) + bool(one.note))
    first = stack.depth
    stack.gap(ENTRY * len(one.marks))
    stack.gap()
    return top, first


def _draw(axes: Axes, *, data: PooledFigure, places: Sequence[tuple[float, float]], height: float) -> None:
    values = [
        end
        for one in data.quantities
        for mark in one.marks
        for end in ((mark.estimate, mark.lower, mark.upper) if mark.look != "new" else ())
        if end is not None
    ]
    left, right = limits(values)
    dress(axes, height, (left, right), "points lost (below zero: gained)")
    box, inches = axes.get_position(), WIDTH - 2 * SIDE
    axes.set_position(
        (box.x0 + box.width * LEFT / inches, box.y0, box.width * (1 - (LEFT + RIGHT) / inches), box.height)
    )
    axes.axvline(0.0, color=INK, linewidth=1.1, zorder=1)
    for one, (top, first) in zip(data.quantities, places, strict=True):
        bold = wrapped(one.name, BOLD_WRAP)
        _write_at_edge(axes, top, bold, one.note, inches)
        for number, mark in enumerate(one.marks):
            _draw_mark(axes, mark, first + ENTRY * (number + 0.5))


def _write_at_edge(axes: Axes, top: float, bold: tuple[str, ...], note: str, inches: float) -> None:
    """A quantity's words, from the left edge of the figure and not of the axis."""
    left, right = axes.get_xlim()
    edge = left - LEFT * (right - left) / (inches - LEFT - RIGHT)
    for number, line in enumerate((*bold, *([note] if note else []))):
        plain = number >= len(bold)
        axes.text(
            edge,
            top + LINE * (number + 0.5),
            line,
            size=SMALL if plain else SMALL + 1,
            weight="normal" if plain else "bold",
            color=NEW_TRIAL if plain else INK,
            va="center",
            ha="left",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            zorder=4,
        )


def _draw_mark(axes: Axes, mark: PooledMark, y: float) -> None:
    left, right = axes.get_xlim()
    room = 0.05 * (right - left)
    per_inch = (right - left) / (WIDTH - 2 * SIDE - LEFT - RIGHT)
    bold = "bold" if mark.look in ("mean", "posterior") else "normal"
    axes.text(left - LEFT * per_inch, y, mark.name, size=SMALL - 0.5, weight=bold, va="center", ha="left")
    axes.text(right + room, y, _value_text(mark), size=SMALL, weight=bold, va="center", ha="left")
    if mark.lower is None or mark.upper is None:
        if mark.estimate is not None:
            axes.plot([mark.estimate], [y], marker="s", color=INK, markersize=SMALLEST, zorder=5)
        return
    if mark.look == "new":
        span(axes, y, mark.lower, mark.upper, colour=NEW_TRIAL, dashed=True)
    elif mark.look == "trial":
        span(axes, y, mark.lower, mark.upper)
        size = SMALLEST + (LARGEST - SMALLEST) * (mark.weight if mark.weight is not None else 0.3)
        axes.plot([mark.estimate or 0.0], [y], marker="s", color=INK, markersize=size, zorder=5)
    else:
        _diamond(axes, mark, y, filled=mark.look == "mean")


def _diamond(axes: Axes, mark: PooledMark, y: float, *, filled: bool) -> None:
    """A pooled mean from end to end of its interval; arrows where it goes beyond the panel."""
    left, right = axes.get_xlim()
    lower, upper, middle = mark.lower or 0.0, mark.upper or 0.0, mark.estimate or 0.0
    if lower < left or upper > right:
        span(axes, y, lower, upper, colour=COLOURS["task"] if filled else BAYESIAN)
    half = ENTRY * 0.34
    ends = max(lower, left), min(upper, right)
    axes.fill(
        [ends[0], middle, ends[1], middle],
        [y, y - half, y, y + half],
        facecolor=COLOURS["task"] if filled else "white",
        edgecolor=COLOURS["task"] if filled else BAYESIAN,
        linewidth=1.3,
        zorder=5,
    )
