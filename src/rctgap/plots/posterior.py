"""What was known of each component before the data, and what is known after."""

from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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
    with_settings,
    write,
)
from rctgap.plots.words import (
    chance_words,
    default_arm,
    interval_words,
    of_arm,
    sentence,
    step_words,
    trimmed,
    unsigned,
    wrapped,
)
from rctgap.records import PosteriorRow
from rctgap.results import GapDecomposition

__all__ = ["PosteriorFigure", "PosteriorMark", "posterior", "prepare_posterior"]

KINDS = ("component", "family", "gap")
PRIOR, AFTER = "#d5dae1", "#4a5160"
WIDE, NARROW = 0.2, 0.1
ROW = 0.33
ABOVE = 0.125
GUTTER = 0.68
MODELS = {"hierarchical": "hierarchical model", "bayesian bootstrap": "Bayesian bootstrap"}


@dataclass(frozen=True, slots=True)
class PosteriorMark:
    """One quantity in points: its prior, its posterior, the plug-in beside it where there is one."""

    quantity: str
    kind: str
    family: str
    mean: float | None
    lower: float | None
    upper: float | None
    prior_lower: float | None
    prior_upper: float | None
    plug_in: float | None
    prob_positive: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PosteriorFigure:
    """All that the figure of prior and posterior shows."""

    arm: str
    title: str
    subtitle: str
    level: float
    marks: tuple[PosteriorMark, ...]

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        return (
            ". ".join(
                f"{step_words(one.quantity, one.kind, one.family)}: {_value_text(one)}{_prior_text(one)}"
                for one in self.marks
            )
            + "."
        )


def prepare_posterior(result: GapDecomposition, arm: str | None = None) -> PosteriorFigure:
    """Pick prior, posterior and plug-in of every component out of a result.

    Parameters
    ----------
    result : GapDecomposition
        With rows in `posterior`.
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Raises
    ------
    KeyError
        No posterior of such an arm.
    """
    arm = default_arm(result) if arm is None else arm
    asked = (result.settings.items, result.settings.item_weights)
    mine = [row for row in result.posterior if row.arm == arm and row.kind in KINDS and row.quantity != "item_mix"]
    estimands = dict.fromkeys((row.items, row.item_weights) for row in mine)
    if not estimands:
        raise KeyError(arm)
    chosen = asked if asked in estimands else next(iter(estimands))
    rows = [row for row in mine if (row.items, row.item_weights) == chosen]
    families = {row.quantity: row.family for row in result.main() if row.kind == "component"}
    plug_in = {
        row.quantity: row.estimate
        for row in reversed((*result.components, *result.alternatives))
        if (row.arm, row.method, row.items, row.item_weights) == (arm, "frequentist", *chosen)
    }
    marks = tuple(_mark(row, families.get(row.quantity, ""), plug_in.get(row.quantity)) for row in rows)
    subtitle = f"{sentence(of_arm(result, arm))}; items {chosen[0]}; {MODELS.get(rows[0].estimator, rows[0].estimator)}"
    return PosteriorFigure(arm, _title(marks), subtitle, rows[0].level, marks)


def _mark(row: PosteriorRow, family: str, plug_in: float | None) -> PosteriorMark:
    mean, lower, upper, prior_lower, prior_upper, other = (
        None if one is None else 100.0 * one
        for one in (row.mean, row.lower, row.upper, row.prior_lower, row.prior_upper, plug_in)
    )
    return PosteriorMark(
        quantity=row.quantity,
        kind=row.kind,
        family=row.quantity if row.kind == "family" else family,
        mean=mean,
        lower=lower,
        upper=upper,
        prior_lower=prior_lower,
        prior_upper=prior_upper,
        plug_in=other,
        prob_positive=row.prob_positive,
        note=row.note if row.mean is None else "",
    )


def _title(marks: tuple[PosteriorMark, ...]) -> str:
    """How sure it is that points are lost."""
    gap = next((one for one in marks if one.kind == "gap"), None)
    if gap is None or gap.mean is None or gap.prob_positive is None:
        return "What the data add to what the prior said"
    size = f"A gap of {unsigned(gap.mean)} points{interval_words(gap.lower, gap.upper)}"
    return f"{size}, above zero with probability {chance_words(gap.prob_positive)}"


def _value_text(mark: PosteriorMark) -> str:
    if mark.mean is None:
        return f"not estimated{f': {mark.note}' if mark.note else ''}"
    return f"{unsigned(mark.mean)}{interval_words(mark.lower, mark.upper) or ', no interval'}"


def _prior_text(mark: PosteriorMark) -> str:
    parts = []
    if mark.prob_positive is not None:
        parts.append(f"lost with probability {chance_words(mark.prob_positive)}")
    if mark.prior_lower is not None and mark.prior_upper is not None:
        parts.append(f"before any data {unsigned(mark.prior_lower)} to {unsigned(mark.prior_upper)}")
    if mark.plug_in is not None:
        parts.append(f"frequentist {unsigned(mark.plug_in)}")
    return f"; {', '.join(parts)}" if parts else ""


@with_settings
def posterior(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw prior and posterior of every component, family and the gap.

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
        No posterior of such an arm.
    """
    data = prepare_posterior(result, arm)
    key, rows = Stack(), Stack()
    key.text(1 + _has_prior(data) + _has_plug_in(data))
    places = [_place(rows, mark) for mark in data.marks]
    panels = (
        Panel("", key.depth, partial(_draw_key, data=data, height=key.depth), axis=False),
        Panel("", rows.depth, partial(_draw_marks, data=data, places=places, height=rows.depth)),
    )
    return compose(data.title, data.subtitle, panels, data.description)


def _lines(mark: PosteriorMark) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Bold and small lines above a quantity's bars."""
    small = wrapped(trimmed(f"not estimated: {mark.note}", 2 * WRAP), WRAP) if mark.note else ()
    return wrapped(step_words(mark.quantity, mark.kind, mark.family), BOLD_WRAP), small


def _place(stack: Stack, mark: PosteriorMark) -> tuple[float, float]:
    """Top of a quantity's words, and the middle of its bars."""
    bold, small = _lines(mark)
    top = stack.text(len(bold) + len(small))
    middle = stack.depth + ROW - WIDE / 2 - 0.01
    stack.gap(ROW)
    stack.gap()
    return top, middle


def _colour(mark: PosteriorMark) -> str:
    return COLOURS.get(mark.family, AFTER)


def _has_prior(data: PosteriorFigure) -> bool:
    return any(one.prior_lower is not None for one in data.marks)


def _has_plug_in(data: PosteriorFigure) -> bool:
    return any(one.plug_in is not None for one in data.marks)


def _draw_key(axes: Axes, *, data: PosteriorFigure, height: float) -> None:
    axes.set_xlim(0.0, 100.0)
    axes.set_ylim(height, 0.0)
    axes.set_axis_off()
    level = f"{100 * data.level:g} %"
    middle = LINE / 2
    if _has_prior(data):
        _bar(axes, middle, 0.0, 6.0, PRIOR, WIDE * 0.8)
        axes.text(8.0, middle, f"before any data: the prior's {level} interval", size=SMALL + 0.5, va="center")
        middle += LINE
    for number, colour in enumerate(dict.fromkeys(_colour(one) for one in data.marks)):
        _bar(axes, middle, 2.2 * number, 2.2 * number + 2.0, colour, NARROW)
    _mean(axes, 3.1, middle)
    axes.text(8.0, middle, f"with the data: mean and {level} credible interval", size=SMALL + 0.5, va="center")
    middle += LINE
    if _has_plug_in(data):
        _plug_in(axes, 3.1, middle)
        axes.text(8.0, middle, "frequentist estimate from the same data", size=SMALL + 0.5, va="center")


def _draw_marks(axes: Axes, *, data: PosteriorFigure, places: list[tuple[float, float]], height: float) -> None:
    values = [
        end
        for one in data.marks
        for end in (one.mean, one.lower, one.upper, one.prior_lower, one.prior_upper, one.plug_in)
        if end is not None
    ]
    left, right = limits(values)
    dress(axes, height, (left, right), "points lost (below zero: gained)")
    box = axes.get_position()
    axes.set_position((box.x0, box.y0, box.width * GUTTER, box.height))
    axes.axvline(0.0, color=INK, linewidth=1.1, zorder=1)
    offset = 0.03 * (right - left)
    for mark, (top, middle) in zip(data.marks, places, strict=True):
        bold, small = _lines(mark)
        write(axes, top, bold, bold=True)
        write(axes, top + LINE * len(bold), small, small=True)
        if mark.mean is None:
            continue
        axes.text(right + offset, middle, _value_text(mark), size=SMALL + 0.5, va="center", ha="left")
        if mark.prior_lower is not None and mark.prior_upper is not None:
            _bar(axes, middle, mark.prior_lower, mark.prior_upper, PRIOR, WIDE)
        if mark.lower is not None and mark.upper is not None:
            _bar(axes, middle, mark.lower, mark.upper, _colour(mark), NARROW)
        _mean(axes, mark.mean, middle)
        if mark.plug_in is not None:
            _plug_in(axes, mark.plug_in, middle - ABOVE)


def _bar(axes: Axes, middle: float, lower: float, upper: float, colour: str, height: float) -> None:
    box = Rectangle((lower, middle - height / 2), upper - lower, height, facecolor=colour, edgecolor="none", zorder=2)
    axes.add_patch(box)


def _mean(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], marker="o", markersize=5.5, color=INK, markerfacecolor="white", markeredgewidth=1.2, zorder=5)


def _plug_in(axes: Axes, x: float, y: float) -> None:
    axes.plot([x], [y], marker="v", markersize=6, color=INK, zorder=5)
