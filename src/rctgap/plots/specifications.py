"""Specification curve: every component under every way to score the texts, and which way is which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rctgap.plots.style import COLOURS, INK, OTHER, SMALL, SOFT, Panel, compose, limits, with_settings
from rctgap.plots.words import default_arm, of_arm, plain, sentence
from rctgap.results import GapDecomposition
from rctgap.scoring_records import SpecificationRow

__all__ = ["Curve", "SpecificationFigure", "prepare_specifications", "specifications"]

KINDS = ("component", "gap")
LEFT = 0.4
HEIGHT = 1.15
ROW = 0.2


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over the specifications, in points: estimates and ends of intervals, None where there is none."""

    quantity: str
    family: str
    estimates: tuple[float | None, ...]
    lower: tuple[float | None, ...]
    upper: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class SpecificationFigure:
    """What the figure shows, from the smallest first component to the largest.

    Attributes
    ----------
    choices : tuple of (str, tuple of int)
        Each choice that differs between specifications, and the places along the curve that make it.
    asked : int
        Place of the specification that the analysis asked for.
    """

    arm: str
    title: str
    subtitle: str
    curves: tuple[Curve, ...]
    choices: tuple[tuple[str, tuple[int, ...]], ...]
    asked: int


def prepare_specifications(result: GapDecomposition, arm: str | None = None) -> SpecificationFigure:
    """Pick the specifications of an arm out of a result, ordered by the first component.

    Parameters
    ----------
    result : GapDecomposition
        With specifications.
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Raises
    ------
    KeyError
        No such arm, or no specification.
    """
    arm = default_arm(result) if arm is None else arm
    mine = [row for row in result.specifications if row.arm == arm and row.kind in KINDS]
    if not mine:
        raise KeyError(arm)
    names = list(dict.fromkeys(row.quantity for row in mine))
    found = {(row.quantity, row.specification): row for row in mine}
    numbers = sorted({row.specification for row in mine}, key=lambda one: _size(found[names[0], one]))
    curves = tuple(_curve([found[name, one] for one in numbers]) for name in names)
    subtitle = (
        f"{sentence(of_arm(result, arm))}; each column is one way to score, the asked one drawn in black; "
        f"lines are {100 * result.settings.level:.0f} % intervals"
    )
    texts = [found[names[0], one].choices for one in numbers]
    return SpecificationFigure(
        arm, "What the way of scoring changes", subtitle, curves, _choices(texts), numbers.index(1)
    )


def _size(row: SpecificationRow) -> tuple[bool, float, int]:
    return (row.estimate is None, row.estimate or 0.0, row.specification)


def _curve(rows: Sequence[SpecificationRow]) -> Curve:
    scaled = [
        tuple(None if one is None else 100.0 * one for one in ends)
        for ends in ([row.estimate for row in rows], [row.lower for row in rows], [row.upper for row in rows])
    ]
    return Curve(rows[0].quantity, rows[0].family, *scaled)


def _choices(texts: Sequence[str]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Parts of the descriptions that are not in all of them, each with the places that have it."""
    split = [[f"{stage}: {part}" for stage, parts in _stages(text) for part in parts] for text in texts]
    stages = [stage for stage, _ in _stages(texts[0])]
    every = sorted(
        {part for parts in split for part in parts}, key=lambda one: (stages.index(one.partition(": ")[0]), one)
    )
    places = {part: tuple(place for place, parts in enumerate(split) if part in parts) for part in every}
    return tuple((part, found) for part, found in places.items() if len(found) < len(texts))


def _stages(text: str) -> list[tuple[str, list[str]]]:
    found = []
    for one in text.split("; "):
        stage, _, parts = one.partition(": ")
        found.append((stage, parts.split(", ")))
    return found


@with_settings
def specifications(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw the specification curve of every component and the gap.

    Parameters
    ----------
    result : GapDecomposition
        With specifications (key `multiverse` of the analysis).
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Returns
    -------
    Figure

    Raises
    ------
    KeyError
        No such arm, or no specification.
    """
    shown = prepare_specifications(result, arm)
    panels = [Panel(plain(one.quantity), HEIGHT, _drawn(shown, one), axis=False) for one in shown.curves]
    height = ROW * (len(shown.choices) + 0.5)
    panels.append(Panel("how the texts are scored", height, lambda axes: _matrix(axes, shown), axis=False))
    told = [f"{one.quantity} from {_ends(one)} points" for one in shown.curves]
    return compose(shown.title, shown.subtitle, tuple(panels), f"{'; '.join(told)}.")


def _ends(one: Curve) -> str:
    known = [value for value in one.estimates if value is not None]
    return f"{min(known):.1f} to {max(known):.1f}" if known else "no estimate in"


def _drawn(shown: SpecificationFigure, one: Curve) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        _columns(axes, shown)
        known = [value for values in (one.estimates, one.lower, one.upper) for value in values if value is not None]
        axes.set_ylim(*limits(known))
        axes.axhline(0, color=SOFT, linewidth=0.8)
        axes.grid(axis="y", color="#e3e6ea", linewidth=0.7)
        axes.tick_params(axis="y", labelsize=SMALL, length=2)
        axes.set_ylabel("points", fontsize=SMALL)
        colour = COLOURS.get(one.family, OTHER)
        for place, (value, lower, upper) in enumerate(zip(one.estimates, one.lower, one.upper, strict=True)):
            ink = INK if place == shown.asked else colour
            if lower is not None and upper is not None:
                axes.vlines(place, lower, upper, color=ink, linewidth=1.4)
            if value is not None:
                axes.plot([place], [value], marker="o", color=ink, markersize=6 if place == shown.asked else 4)

    return draw


def _matrix(axes: Axes, shown: SpecificationFigure) -> None:
    _columns(axes, shown)
    axes.set_ylim(len(shown.choices) - 0.25, -0.75)
    axes.set_yticks(range(len(shown.choices)), [plain(name) for name, _ in shown.choices], fontsize=SMALL)
    axes.tick_params(axis="y", length=0)
    for row, (_, places) in enumerate(shown.choices):
        axes.axhline(row, color="#e3e6ea", linewidth=0.7, zorder=0)
        for place in places:
            axes.plot([place], [row], marker="o", markersize=5, color=INK if place == shown.asked else SOFT)


def _columns(axes: Axes, shown: SpecificationFigure) -> None:
    """One column a specification, to the right of the names of the choices."""
    box = axes.get_position()
    axes.set_position((box.x0 + LEFT * box.width, box.y0, (1 - LEFT) * box.width, box.height))
    axes.set_xlim(-0.7, len(shown.curves[0].estimates) - 0.3)
    axes.set_xticks([])
    for side in ("right", "top", "bottom"):
        axes.spines[side].set_visible(False)
