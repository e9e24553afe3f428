"""The common look: sizes in inches, colours that the colour-blind can tell apart, rows that never collide.

Every panel is a stack of rows. A row has its words on lines of their own and its marks in a band
below them, so that no label can run into another whatever its length.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rctgap.plots.words import plain, wrapped

__all__ = [
    "BAND",
    "BOLD_WRAP",
    "COLOURS",
    "HATCHES",
    "SIZE",
    "WRAP",
    "Panel",
    "Stack",
    "compose",
    "limits",
    "settled",
    "span",
    "write",
]

WIDTH = 5.8
SIDE = 0.22
LINE = 0.19
BAND = 0.17
GAP = 0.13
TITLE_LINE = 0.235
SIZE = 10.0
SMALL = 9.0
TITLE_SIZE = 12.5
WRAP = 72
BOLD_WRAP = 62
TITLE_WRAP = 52
INK = "#1f2430"
SOFT = "#4a5160"
COLOURS = {"task": "#0072b2", "outcome": "#e69f00", "stage": "#9fa8b5", "control": "#ffffff"}
HATCHES = {"outcome": "///"}
OTHER = "#8f6fb5"

_SETTINGS: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
    "font.size": SIZE,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.unicode_minus": True,
    "xtick.color": INK,
    "hatch.linewidth": 0.7,
    "text.usetex": False,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "rctgap",
}


@contextmanager
def settled() -> Iterator[None]:
    """Use the package's own drawing settings, and put the user's back."""
    with rc_context(_SETTINGS):
        yield


def with_settings[**P, R](draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the package's settings."""

    @wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> R:
        with settled():
            return draw(*args, **kwargs)

    return drawn


class Stack:
    """Where the next row goes: a cursor that runs down the panel in inches."""

    def __init__(self) -> None:
        self.depth = 0.0

    def text(self, lines: int = 1) -> float:
        """Room for lines of text; returns the top of the first."""
        return self._take(LINE * lines)

    def band(self) -> float:
        """Room for marks; returns the middle of the band."""
        return self._take(BAND) + BAND / 2

    def gap(self, size: float = GAP) -> None:
        """Empty room."""
        self._take(size)

    def _take(self, size: float) -> float:
        top = self.depth
        self.depth += size
        return top


@dataclass(frozen=True, slots=True)
class Panel:
    """A stack of rows to be placed under a heading; `height` in inches."""

    heading: str
    height: float
    draw: Callable[[Axes], None]
    axis: bool = True


def compose(title: str, subtitle: str, panels: tuple[Panel, ...], description: str) -> Figure:
    """One figure: title, subtitle, then the panels below one another."""
    title_lines, sub_lines = wrapped(title, TITLE_WRAP), wrapped(subtitle, WRAP)
    head = 0.14 + TITLE_LINE * len(title_lines) + LINE * len(sub_lines) + 0.1
    tops = [(0.34 if one.heading else 0.0, 0.62 if one.axis else 0.1) for one in panels]
    height = head + sum(top + one.height + foot for one, (top, foot) in zip(panels, tops, strict=True))
    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    figure.set_label(f"{plain(title)}\n{plain(description)}")
    cursor = 0.14
    for lines, size, weight, step in (
        (title_lines, TITLE_SIZE, "bold", TITLE_LINE),
        (sub_lines, SMALL, "normal", LINE),
    ):
        for line in lines:
            figure.text(SIDE / WIDTH, 1 - cursor / height, line, size=size, weight=weight, va="top")
            cursor += step
    cursor = head
    for one, (top, foot) in zip(panels, tops, strict=True):
        if one.heading:
            figure.text(SIDE / WIDTH, 1 - (cursor + 0.06) / height, one.heading, size=SIZE + 1, weight="bold", va="top")
        cursor += top
        box = (SIDE / WIDTH, 1 - (cursor + one.height) / height, 1 - 2 * SIDE / WIDTH, one.height / height)
        one.draw(figure.add_axes(box))
        cursor += one.height + foot
    return figure


def dress(axes: Axes, height: float, ends: tuple[float, float], label: str) -> None:
    """Set the frame of a panel: x from `ends`, y in inches from the top down."""
    axes.set_xlim(*ends)
    axes.set_ylim(height, 0.0)
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=SIZE, length=3)
    axes.set_xlabel(label, fontsize=SIZE)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(axis="x", color="#e3e6ea", linewidth=0.7)


def write(axes: Axes, top: float, lines: tuple[str, ...], *, bold: bool = False, small: bool = False) -> None:
    """Lines of a row, from the left edge of the panel, on a white ground so that no line crosses them."""
    left = axes.get_xlim()[0]
    for number, line in enumerate(lines):
        axes.text(
            left,
            top + LINE * (number + 0.5),
            line,
            size=SMALL if small else SIZE,
            weight="bold" if bold else "normal",
            color=SOFT if small else INK,
            va="center",
            ha="left",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6},
            zorder=4,
        )


def span(axes: Axes, y: float, lower: float, upper: float, *, colour: str = INK, dashed: bool = False) -> None:
    """Draw an interval; an end beyond the panel is cut there and carries an arrow."""
    left, right = axes.get_xlim()
    shown = max(lower, left), min(upper, right)
    if shown[0] > shown[1]:
        return
    axes.hlines(y, *shown, color=colour, linewidth=1.6, linestyles=(0, (3, 1.5)) if dashed else "solid", zorder=3)
    for end, edge, inside, marker in (
        (lower, left, lower >= left, "<"),
        (upper, right, upper <= right, ">"),
    ):
        if inside:
            axes.vlines(end, y - 0.045, y + 0.045, color=colour, linewidth=1.6, zorder=3)
        else:
            axes.plot([edge], [y], marker=marker, color=colour, markersize=7, clip_on=False, zorder=3)


def limits(values: list[float], floor: float = -100.0, ceiling: float = 100.0) -> tuple[float, float]:
    """Ends of an axis in points: around zero and all values, inside what points can be."""
    kept = [0.0, *(min(max(value, floor), ceiling) for value in values)]
    room = max(2.0, 0.05 * (max(kept) - min(kept)))
    return max(floor, min(kept) - room), min(ceiling, max(kept) + room)
