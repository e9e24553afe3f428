"""The flow of answers: at each step, how many right answers were lost and how many wrong ones were put right."""

import itertools
from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rctgap.plots.style import (
    BAND,
    BOLD_WRAP,
    INK,
    LINE,
    WRAP,
    Panel,
    Stack,
    compose,
    dress,
    with_settings,
    write,
)
from rctgap.plots.words import (
    ABOUT_FLOWS,
    default_arm,
    lost_or_gained,
    of_arm,
    percent,
    quantity_words,
    sentence,
    trimmed,
    wrapped,
)
from rctgap.records import ComponentRow
from rctgap.results import GapDecomposition

__all__ = ["Flow", "FlowFigure", "flows", "prepare_flows"]

LOST, GAINED = "#6b4c9a", "#56b4e9"


@dataclass(frozen=True, slots=True)
class Flow:
    """Answers lost and gained on the way from one stage to the next, in percent of pairs."""

    start: str
    to: str
    lost: float | None
    gained: float | None
    lost_count: int | None
    gained_count: int | None
    net: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FlowFigure:
    """All that the figure of flows shows."""

    arm: str
    title: str
    subtitle: str
    flows: tuple[Flow, ...]

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        return ". ".join(" ".join(_flow_texts(one)) for one in self.flows) + "."


def prepare_flows(result: GapDecomposition, arm: str | None = None) -> FlowFigure:
    """Pick the flows out of a result.

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
    names = result.settings.stages
    found = tuple(_flow(start, result.row(to, arm)) for start, to in itertools.pairwise(names))
    title = "Right answers lost, and wrong answers put right, at each step"
    return FlowFigure(arm, title, f"{sentence(of_arm(result, arm))}; counts of answers seen at both stages", found)


def _flow(start: str, row: ComponentRow) -> Flow:
    net = None if row.estimate is None else 100.0 * row.estimate
    if row.lost is None or row.gained is None:
        return Flow(start, row.quantity, None, None, None, None, net, _reason(row.note))
    return Flow(start, row.quantity, 100.0 * row.lost, 100.0 * row.gained, row.lost_count, row.gained_count, net)


def _reason(note: str) -> str:
    """Why a step has no flows: the part of its note that opens with the word."""
    for part in note.split("; "):
        for opening in ABOUT_FLOWS:
            if part.startswith(opening):
                return part.removeprefix(opening)
    return ""


def _flow_texts(flow: Flow) -> tuple[str, str]:
    head = f"{quantity_words(flow.start)} to {quantity_words(flow.to)}"
    if flow.net is not None:
        head = f"{head}: {lost_or_gained(flow.net)}"
    if flow.lost is None or flow.gained is None:
        return head, f"no flows: {flow.reason or 'the two stages are not paired'}"
    lost, gained = _counted(flow.lost_count, flow.lost), _counted(flow.gained_count, flow.gained)
    return head, f"lost {lost}, put right {gained}"


def _counted(count: int | None, share: float) -> str:
    return percent(share) if count is None else f"{count:,} ({percent(share)})"


@with_settings
def flows(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw the answers lost and gained at each paired step, and say why an unpaired step has none.

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
    data = prepare_flows(result, arm)
    stack = Stack()
    places = [_place(stack, flow) for flow in data.flows]
    draw = partial(_draw, data=data, places=places, height=stack.depth)
    return compose(data.title, data.subtitle, (Panel("", stack.depth, draw),), data.description)


def _lines(flow: Flow) -> tuple[tuple[str, ...], tuple[str, ...]]:
    head, told = _flow_texts(flow)
    return wrapped(head, BOLD_WRAP), wrapped(trimmed(told, 3 * WRAP), WRAP)


def _place(stack: Stack, flow: Flow) -> tuple[float, float]:
    head, told = _lines(flow)
    top = stack.text(len(head) + len(told))
    middle = stack.band() if flow.lost is not None else top
    stack.gap()
    return top, middle


def _draw(axes: Axes, *, data: FlowFigure, places: list[tuple[float, float]], height: float) -> None:
    ends = [max(one.lost or 0.0, one.gained or 0.0) for one in data.flows]
    reach = min(100.0, max(10.0, 1.1 * max(ends)))
    dress(axes, height, (-reach, reach), "lost   ←   % of answers   →   put right")
    axes.xaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.axvline(0.0, color=INK, linewidth=1.1, zorder=3)
    for flow, (top, middle) in zip(data.flows, places, strict=True):
        head, told = _lines(flow)
        write(axes, top, head, bold=True)
        write(axes, top + LINE * len(head), told)
        if flow.lost is None or flow.gained is None:
            continue
        axes.barh(middle, -flow.lost, BAND, color=LOST, hatch="///", edgecolor="white", zorder=2)
        axes.barh(middle, flow.gained, BAND, color=GAINED, edgecolor="white", zorder=2)
