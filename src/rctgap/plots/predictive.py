"""What was observed beside what the fitted model predicts for it, stage by stage and item by item."""

import itertools
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rctgap.criticism import TAIL, outside
from rctgap.plots.style import INK, LINE, SMALL, Panel, compose, dress, with_settings
from rctgap.plots.words import interval_words, plain, quantity_words, sentence, stage_words, trimmed, unsigned
from rctgap.records import PredictiveRow
from rctgap.results import GapDecomposition

__all__ = ["Predicted", "PredictiveFigure", "StagePredictions", "predictive", "predictive_arms", "prepare_predictive"]

MOST = 30
LABEL, FIGURES = 0.26, 0.27
LONGEST = 17
STEP = LINE * 0.96
SOFT_BLUE, OUTSIDE = "#a9cbe8", "#b35c00"
KEY_LINES = 3


@dataclass(frozen=True, slots=True)
class Predicted:
    """One mean, in percent: observed, predicted, and whether it lies in a tail of what is predicted."""

    label: str
    observed: float
    predicted: float
    lower: float | None
    upper: float | None
    outside: bool


@dataclass(frozen=True, slots=True)
class StagePredictions:
    """A stage of an arm: all answers first, then its items; `left_out` items are closer to what is predicted."""

    stage: str
    rows: tuple[Predicted, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class PredictiveFigure:
    """All that the figure of predictive checks shows."""

    arm: str
    title: str
    subtitle: str
    stages: tuple[StagePredictions, ...]

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        return (
            ". ".join(
                f"{quantity_words(stage.stage)}, {row.label}: {_told(row)}"
                for stage in self.stages
                for row in stage.rows
            )
            + "."
        )


def predictive_arms(result: GapDecomposition) -> tuple[str, ...]:
    """Arms with predictive checks, in the order of the settings, the control arm last."""
    there = {row.arm for row in result.predictive if row.p_value is not None}
    known = ("all", *result.settings.arms, result.settings.control)
    return tuple(arm for arm in dict.fromkeys((*known, *sorted(there))) if arm in there)


def prepare_predictive(result: GapDecomposition, arm: str) -> PredictiveFigure:
    """Pick an arm's predictive checks out of a result.

    Parameters
    ----------
    result : GapDecomposition
    arm : str
        One of `predictive_arms`.

    Raises
    ------
    KeyError
        No predictive check of such an arm.
    """
    mine = [row for row in result.predictive if row.arm == arm and row.p_value is not None]
    if not mine:
        raise KeyError(arm)
    names = dict.fromkeys(row.stage for row in mine)
    stages = tuple(_stage(name, [row for row in mine if row.stage == name]) for name in names)
    found = sum(outside(row.p_value) for row in mine)
    told = "every mean as predicted" if not found else f"{found} of {len(mine)} means outside what is predicted"
    name = "Control arm" if arm == result.settings.control else f"All {len(result.settings.arms)} AI arms"
    shown = name if arm in ("all", result.settings.control) else f"Arm {trimmed(arm, 70)}"
    return PredictiveFigure(
        arm,
        f"Does the model fit? {sentence(told)}",
        f"{shown}; in figures: observed (interval of what is predicted)",
        stages,
    )


def _stage(name: str, rows: list[PredictiveRow]) -> StagePredictions:
    whole, items = [row for row in rows if not row.item], [row for row in rows if row.item]
    far = sorted(items, key=lambda row: min(row.p_value or 0.0, 1.0 - (row.p_value or 0.0)))[:MOST]
    kept = [row for row in items if row in far]
    return StagePredictions(name, tuple(map(_predicted, (*whole, *kept))), len(items) - len(kept))


def _predicted(row: PredictiveRow) -> Predicted:
    observed, predicted = (100.0 * (one or 0.0) for one in (row.observed, row.predicted))
    lower, upper = (None if one is None else 100.0 * one for one in (row.lower, row.upper))
    return Predicted(row.item or "all answers", observed, predicted, lower, upper, outside(row.p_value))


def _told(row: Predicted) -> str:
    ends = interval_words(row.lower, row.upper)
    mark = ", outside" if row.outside else ""
    return f"observed {unsigned(row.observed)}, predicted {unsigned(row.predicted)}{ends}{mark}"


@with_settings
def predictive(result: GapDecomposition, arm: str) -> Figure:
    """Draw observed means on what the fitted model predicts for them.

    Parameters
    ----------
    result : GapDecomposition
    arm : str
        One of `predictive_arms`.

    Returns
    -------
    Figure

    Raises
    ------
    KeyError
        No predictive check of such an arm.
    """
    data = prepare_predictive(result, arm)
    key = Panel("", LINE * KEY_LINES, _draw_key, axis=False)
    panels = (key, *itertools.starmap(_panel, enumerate(data.stages, 1 - len(data.stages))))
    return compose(data.title, data.subtitle, panels, data.description)


def _panel(before_last: int, stage: StagePredictions) -> Panel:
    lines = len(stage.rows) + (1 if stage.left_out else 0)
    height = STEP * lines
    return Panel(
        sentence(stage_words(stage.stage)),
        height,
        partial(_draw_stage, stage=stage, height=height, last=before_last == 0),
        axis=before_last == 0,
    )


def _draw_key(axes: Axes) -> None:
    axes.set_xlim(0.0, 100.0)
    axes.set_ylim(LINE * KEY_LINES, 0.0)
    axes.set_axis_off()
    _range(axes, LINE / 2, 0.0, 6.0)
    _mean(axes, LINE / 2, 3.0)
    _observed(axes, 1.5 * LINE, 3.0, outside=False)
    _observed(axes, 2.5 * LINE, 3.0, outside=True)
    for number, text in enumerate(
        (
            "predicted: mean and interval",
            "observed",
            f"observed, outside what is predicted (P under {TAIL:g} or over {1 - TAIL:g})",
        )
    ):
        axes.text(8.0, LINE * (number + 0.5), text, size=SMALL + 0.5, va="center")


def _draw_stage(axes: Axes, *, stage: StagePredictions, height: float, last: bool) -> None:
    dress(axes, height, (0.0, 100.0), "right answers, %")
    box = axes.get_position()
    axes.set_position((box.x0 + box.width * LABEL, box.y0, box.width * (1 - LABEL - FIGURES), box.height))
    if not last:
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.set_xlabel("")
    across = axes.get_yaxis_transform()
    for number, row in enumerate(stage.rows):
        y = STEP * (number + 0.5)
        weight = "bold" if row.outside else "normal"
        size = SMALL + 0.3
        label = _short(row.label)
        width = 1 - LABEL - FIGURES
        axes.text(-LABEL / width, y, label, transform=across, size=size, weight=weight, va="center")
        told = f"{unsigned(row.observed)}{interval_words(row.lower, row.upper)}"
        axes.text(1.03, y, told, transform=across, size=size, weight=weight, va="center")
        if row.lower is not None and row.upper is not None:
            _range(axes, y, row.lower, row.upper)
        _mean(axes, y, row.predicted)
        _observed(axes, y, row.observed, outside=row.outside)
    if stage.left_out:
        told = f"and {stage.left_out} more, closer to what is predicted"
        axes.text(0.0, STEP * (len(stage.rows) + 0.5), told, size=SMALL, va="center", style="italic")


def _short(label: str) -> str:
    """An item's name with its middle left out where it is long: names often differ at their ends."""
    clean, half = plain(label), LONGEST // 2
    return clean if len(clean) <= LONGEST else f"{clean[:half].rstrip()}…{clean[-half:].lstrip()}"


def _range(axes: Axes, y: float, lower: float, upper: float) -> None:
    height = STEP * 0.62
    axes.add_patch(Rectangle((lower, y - height / 2), upper - lower, height, facecolor=SOFT_BLUE, zorder=2))


def _mean(axes: Axes, y: float, x: float) -> None:
    axes.vlines(x, y - STEP * 0.31, y + STEP * 0.31, color="white", linewidth=1.6, zorder=3)


def _observed(axes: Axes, y: float, x: float, *, outside: bool) -> None:
    shape, colour = ("X", OUTSIDE) if outside else ("o", INK)
    size = 7.5 if outside else 5
    axes.plot([x], [y], marker=shape, color=colour, markersize=size, markeredgecolor="white", zorder=5, clip_on=False)
