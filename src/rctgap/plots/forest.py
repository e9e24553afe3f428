"""The forest: every component, family and the gap, under each estimand, with the assumptions that each speaks to."""

from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rctgap.plots.style import (
    BOLD_WRAP,
    COLOURS,
    INK,
    LINE,
    SMALL,
    WRAP,
    Panel,
    Stack,
    compose,
    dress,
    limits,
    span,
    with_settings,
    write,
)
from rctgap.plots.words import (
    default_arm,
    interval_kind,
    interval_note,
    interval_words,
    mix_words,
    of_arm,
    sentence,
    step_words,
    system_changes,
    trimmed,
    unsigned,
    wrapped,
)
from rctgap.records import ComponentRow
from rctgap.results import GapDecomposition

__all__ = ["ForestEntry", "ForestFigure", "ForestRow", "drawn", "forest", "prepare_forest"]

KINDS = ("component", "family", "gap")
ENTRY = LINE * 1.08
GUTTER = 0.68
LOOKS = (("o", "#1f2430"), ("s", "#0072b2"), ("^", "#b35c00"), ("D", "#8f6fb5"), ("v", "#4a5160"), ("P", "#56b4e9"))


@dataclass(frozen=True, slots=True)
class ForestEntry:
    """One estimate with its interval, in points, under one estimand."""

    estimand: str
    estimate: float | None
    lower: float | None
    upper: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ForestRow:
    """A quantity, the assumptions it speaks to, and its estimates side by side, over the band of a margin."""

    quantity: str
    kind: str
    family: str
    assumptions: str
    entries: tuple[ForestEntry, ...]
    note: str = ""
    margin: float | None = None


@dataclass(frozen=True, slots=True)
class ForestFigure:
    """All that the forest shows; `estimands` in the order of the entries, where `asked` the one asked for first."""

    arm: str
    title: str
    subtitle: str
    estimands: tuple[str, ...]
    rows: tuple[ForestRow, ...]
    asked: bool = True

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        told = [
            f"{step_words(row.quantity, row.kind, row.family)}: "
            + "; ".join(f"{one.estimand} {_value_text(one)}" for one in row.entries)
            for row in self.rows
        ]
        return ". ".join(told) + "."


def prepare_forest(result: GapDecomposition, arm: str | None = None) -> ForestFigure:
    """Pick the forest's numbers out of a result.

    Parameters
    ----------
    result : GapDecomposition
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Raises
    ------
    KeyError
        No such arm.
    """
    arm = default_arm(result) if arm is None else arm
    result.row("gap", arm)
    mine = [row for row in result.components if row.arm == arm and row.kind in KINDS and row.quantity != "item_mix"]
    asked = mix_words(result.settings.items, result.settings.item_weights)
    found = dict.fromkeys([asked, *(mix_words(row.items, row.item_weights) for row in mine)])
    changes = system_changes(result, arm)
    quantities = dict.fromkeys((row.quantity, row.kind) for row in mine)
    rows = tuple(
        _row([row for row in mine if (row.quantity, row.kind) == key], tuple(found), changes) for key in quantities
    )
    return ForestFigure(
        arm,
        _title(result, arm),
        f"{sentence(of_arm(result, arm))}; lines are {interval_kind(result)}",
        tuple(found),
        rows,
    )


def _title(result: GapDecomposition, arm: str) -> str:
    """The gap and its families, in points."""
    gap = result.row("gap", arm).estimate
    if gap is None:
        return "Points lost at each step, with intervals"
    families = [row for row in result.main() if (row.arm, row.kind) == (arm, "family") and row.estimate is not None]
    parts = ", ".join(f"{unsigned(100 * (row.estimate or 0.0))} {row.quantity}" for row in families)
    size = f"{abs(100 * gap):.1f} points are {'lost' if gap >= 0 else 'gained'}"
    return f"Where {size}{f': {parts}' if parts else ''}"


def _row(rows: list[ComponentRow], estimands: tuple[str, ...], changes: dict[str, str]) -> ForestRow:
    by_estimand = {mix_words(row.items, row.item_weights): row for row in reversed(rows)}
    entries = tuple(_entry(name, by_estimand[name]) for name in estimands if name in by_estimand)
    first = rows[0]
    note = changes.get(first.quantity, "") if first.kind == "component" else ""
    return ForestRow(first.quantity, first.kind, first.family, first.assumption_ids, entries, note)


def _entry(estimand: str, row: ComponentRow) -> ForestEntry:
    estimate, lower, upper = (None if one is None else 100.0 * one for one in (row.estimate, row.lower, row.upper))
    return ForestEntry(estimand, estimate, lower, upper, interval_note(row.note) if row.lower is None else "")


def _value_text(entry: ForestEntry) -> str:
    if entry.estimate is None:
        return "not estimated"
    return f"{unsigned(entry.estimate)}{interval_words(entry.lower, entry.upper) or ', no interval'}"


def forest(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw components, families and gap with their intervals under every estimand at hand.

    Parameters
    ----------
    result : GapDecomposition
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Returns
    -------
    Figure

    Raises
    ------
    KeyError
        No such arm.
    """
    return drawn(prepare_forest(result, arm))


@with_settings
def drawn(data: ForestFigure) -> Figure:
    """Draw what was picked out: intervals side by side under each quantity."""
    key, rows = Stack(), Stack()
    key.text(len(data.estimands))
    places = [_place(rows, row) for row in data.rows]
    panels = (
        Panel("", key.depth, partial(_draw_key, data=data, height=key.depth), axis=False),
        Panel("", rows.depth, partial(_draw_rows, data=data, places=places, height=rows.depth)),
    )
    return compose(data.title, data.subtitle, panels, data.description)


def _head(row: ForestRow) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Bold lines and small lines above a quantity's intervals."""
    reasons = dict.fromkeys(one.note for one in row.entries if one.note)
    told = [row.assumptions.replace(";", ", ") if row.kind == "component" else "", row.note, *reasons]
    small = [line for text in told if text for line in wrapped(trimmed(text, 2 * WRAP), WRAP + 4)]
    return wrapped(step_words(row.quantity, row.kind, row.family), BOLD_WRAP), tuple(small)


def _place(stack: Stack, row: ForestRow) -> tuple[float, float]:
    """Top of a quantity's words and of its intervals."""
    bold, small = _head(row)
    top = stack.text(len(bold) + len(small))
    first = stack.depth
    stack.gap(ENTRY * len(row.entries))
    stack.gap()
    return top, first


def _look(data: ForestFigure, estimand: str) -> tuple[str, str]:
    return LOOKS[data.estimands.index(estimand) % len(LOOKS)]


def _draw_key(axes: Axes, *, data: ForestFigure, height: float) -> None:
    axes.set_xlim(0.0, 100.0)
    axes.set_ylim(height, 0.0)
    axes.set_axis_off()
    for number, estimand in enumerate(data.estimands):
        y = LINE * (number + 0.5)
        shape, colour = _look(data, estimand)
        axes.plot([3.0], [y], marker=shape, color=colour, markersize=6)
        axes.hlines(y, 0.0, 6.0, color=colour, linewidth=1.6)
        asked = " (asked for)" if number == 0 and data.asked else ""
        axes.text(8.0, y, f"{estimand}{asked}", size=SMALL + 0.5, va="center")


def _draw_rows(axes: Axes, *, data: ForestFigure, places: list[tuple[float, float]], height: float) -> None:
    values = [
        end
        for row in data.rows
        for one in row.entries
        for end in (one.estimate, one.lower, one.upper)
        if end is not None
    ]
    values += [end for row in data.rows if row.margin is not None for end in (-row.margin, row.margin)]
    left, right = limits(values)
    dress(axes, height, (left, right), "points lost (below zero: gained)")
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, box.width * GUTTER, box.height))
    axes.axvline(0.0, color=INK, linewidth=1.1, zorder=1)
    for row, (top, first) in zip(data.rows, places, strict=True):
        bold, small = _head(row)
        write(axes, top, bold, bold=True)
        write(axes, top + LINE * len(bold), small, small=True)
        _draw_margin(axes, row, first)
        for number, entry in enumerate(row.entries):
            _draw_entry(axes, entry, first + ENTRY * (number + 0.5), _look(data, entry.estimand), right)


def _draw_margin(axes: Axes, row: ForestRow, first: float) -> None:
    if row.margin is not None:
        band = axes.fill_betweenx([first, first + ENTRY * len(row.entries)], -row.margin, row.margin)
        band.set(facecolor=COLOURS["stage"], alpha=0.45, linewidth=0.0, zorder=0)


def _draw_entry(axes: Axes, entry: ForestEntry, y: float, look: tuple[str, str], right: float) -> None:
    shape, colour = look
    offset = 0.03 * (right - axes.get_xlim()[0])
    axes.text(right + offset, y, _value_text(entry), size=SMALL + 0.5, va="center", ha="left")
    if entry.estimate is None:
        return
    if entry.lower is not None and entry.upper is not None:
        span(axes, y, entry.lower, entry.upper, colour=colour)
    if axes.get_xlim()[0] <= entry.estimate <= right:
        axes.plot([entry.estimate], [y], marker=shape, color=colour, markersize=6, zorder=5, clip_on=False)
