"""The accuracy ladder: from the benchmark to the decision, step by step, and each stage against the control arm."""

from dataclasses import dataclass
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rctgap.plots.style import (
    BAND,
    BOLD_WRAP,
    COLOURS,
    HATCHES,
    INK,
    LINE,
    OTHER,
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
    lost_or_gained,
    of_arm,
    percent,
    quantity_words,
    sentence,
    signed,
    stage_words,
    system_changes,
    trimmed,
    wrapped,
)
from rctgap.records import ComponentRow, StageRow
from rctgap.results import GapDecomposition

__all__ = ["Effect", "LadderFigure", "Level", "Step", "ladder", "prepare_ladder"]

LONGEST = 2 * WRAP
REALIZED = "realized_effect"


@dataclass(frozen=True, slots=True)
class Level:
    """Accuracy at a stage, in percent."""

    name: str
    estimate: float | None
    lower: float | None
    upper: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What is lost on the way into a stage, in points, and what the step is about."""

    name: str
    family: str
    estimate: float | None
    lower: float | None
    upper: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """A stage against the control arm's decisions, in points."""

    name: str
    estimate: float | None
    lower: float | None
    upper: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class LadderFigure:
    """All that the ladder shows, in percent and points."""

    arm: str
    title: str
    subtitle: str
    levels: tuple[Level, ...]
    steps: tuple[Step, ...]
    control: Level | None
    effects: tuple[Effect, ...]

    @property
    def description(self) -> str:
        """The figure in words, for those who cannot see it."""
        parts = [_level_text(level) for level in self.levels]
        parts[1:] = [f"{text}, after {_step_text(step)}" for text, step in zip(parts[1:], self.steps, strict=True)]
        if self.control is not None:
            parts.append(_control_text(self.control))
        return ". ".join([*parts, *(_effect_text(effect) for effect in self.effects)]) + "."


def prepare_ladder(result: GapDecomposition, arm: str | None = None) -> LadderFigure:
    """Pick the ladder's numbers out of a result.

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
    stages = {(row.arm, row.stage): row for row in result.stages}
    levels = tuple(_level(stages[arm, name]) for name in names)
    changes = system_changes(result, arm)
    steps = tuple(_step(result.row(name, arm), changes.get(name, "")) for name in names[1:])
    control = stages.get((result.settings.control, names[-1]))
    effects = tuple(_effect(row) for row in result.main() if row.arm == arm and row.kind == "effect")
    return LadderFigure(
        arm,
        _title(result, arm, levels),
        f"{sentence(of_arm(result, arm))}; lines are {interval_kind(result)}, items {result.settings.items}",
        levels,
        steps,
        _level(control) if control is not None else None,
        effects if control is not None else (),
    )


def _title(result: GapDecomposition, arm: str, levels: tuple[Level, ...]) -> str:
    first, last = levels[0], levels[-1]
    gap = result.row("gap", arm).estimate
    ends = f"{quantity_words(first.name)} to {quantity_words(last.name)}"
    if first.estimate is None or last.estimate is None or gap is None:
        return f"Accuracy from {ends}"
    told = (f"{quantity_words(one.name)} {percent(one.estimate or 0.0)}" for one in (first, last))
    return sentence(f"{', '.join(told)}: {lost_or_gained(100 * gap)}")


def _hundred(value: float | None) -> float | None:
    return None if value is None else 100.0 * value


def _level(row: StageRow) -> Level:
    return Level(row.stage, _hundred(row.estimate), _hundred(row.lower), _hundred(row.upper), row.note)


def _step(row: ComponentRow, change: str) -> Step:
    note = change or (interval_note(row.note) if row.lower is None else "")
    return Step(row.quantity, row.family, _hundred(row.estimate), _hundred(row.lower), _hundred(row.upper), note)


def _effect(row: ComponentRow) -> Effect:
    note = interval_note(row.note) if row.lower is None else ""
    return Effect(row.quantity, _hundred(row.estimate), _hundred(row.lower), _hundred(row.upper), note)


def _level_text(level: Level) -> str:
    if level.estimate is None:
        return f"{stage_words(level.name)}: not estimated"
    return f"{percent(level.estimate)}{interval_words(level.lower, level.upper)} · {stage_words(level.name)}"


def _control_text(level: Level) -> str:
    if level.estimate is None:
        return "control arm: not estimated"
    return (
        f"{percent(level.estimate)}{interval_words(level.lower, level.upper)} · control arm: decisions without the AI"
    )


def _step_text(step: Step) -> str:
    family = f" · {step.family} step" if step.family else ""
    if step.estimate is None:
        return f"not estimated{family}"
    return f"{lost_or_gained(step.estimate)}{interval_words(*_as_said(step))}{family}"


def _as_said(step: Step) -> tuple[float | None, float | None]:
    """Ends of the interval on the scale of the words: a step that gains is told as a gain."""
    if step.estimate is None or step.estimate >= 0 or step.lower is None or step.upper is None:
        return step.lower, step.upper
    return -step.upper, -step.lower


def _effect_text(effect: Effect) -> str:
    name = _effect_words(effect.name)
    if effect.estimate is None:
        return f"{name}: not estimated"
    return f"{signed(effect.estimate)}{interval_words(effect.lower, effect.upper)} · {name}"


def _effect_words(quantity: str) -> str:
    if quantity == REALIZED:
        return "realized: decisions with the AI"
    after = quantity.removeprefix("predicted_effect_after_")
    return f"predicted after {quantity_words(after)}" if after != quantity else "predicted by the first stage"


@with_settings
def ladder(result: GapDecomposition, arm: str | None = None, *, ax: Axes | None = None) -> Figure:
    """Draw the accuracy ladder of an arm, and below it its effects against the control arm.

    Parameters
    ----------
    result : GapDecomposition
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.
    ax : Axes, optional
        Draw the ladder alone into these axes.

    Returns
    -------
    Figure

    Raises
    ------
    KeyError
        No such arm.
    """
    data = prepare_ladder(result, arm)
    steps = _Layout(data)
    if ax is not None:
        steps.draw(ax)
        ax.set_title(data.title)
        return ax.get_figure(root=True) or Figure()
    panels = [Panel("", steps.height, steps.draw)]
    if data.effects:
        stack = Stack()
        rows = [_row(stack, _effect_text(one), one.note, bold=one.name == REALIZED) for one in data.effects]
        draw = partial(_draw_effects, effects=data.effects, rows=rows, height=stack.depth)
        panels.append(Panel("Against the control arm: points gained by having the AI", stack.depth, draw))
    else:
        panels.append(Panel("No control arm: effects cannot be estimated", 0.0, _nothing, axis=False))
    return compose(data.title, data.subtitle, tuple(panels), data.description)


def _nothing(axes: Axes) -> None:
    axes.set_axis_off()


@dataclass(frozen=True, slots=True)
class _Row:
    """A row's words, where they begin, and the middle of the band for its marks."""

    lines: tuple[str, ...]
    small: tuple[str, ...]
    top: float
    middle: float
    bold: bool

    def write(self, axes: Axes) -> None:
        write(axes, self.top, self.lines, bold=self.bold)
        write(axes, self.top + LINE * len(self.lines), self.small, small=True)


def _row(stack: Stack, text: str, note: str, *, bold: bool = False) -> _Row:
    """Take the room of the next row."""
    lines = wrapped(text, BOLD_WRAP if bold else WRAP)
    small = wrapped(trimmed(note, LONGEST), WRAP) if note else ()
    top = stack.text(len(lines) + len(small))
    middle = stack.band()
    stack.gap()
    return _Row(lines, small, top, middle, bold)


class _Layout:
    """Rows of the ladder panel: a stage, the step out of it, the next stage, and the control arm last."""

    def __init__(self, data: LadderFigure) -> None:
        self.data = data
        stack = Stack()
        self.levels: list[_Row] = []
        self.steps: list[_Row] = []
        for number, level in enumerate(data.levels):
            if number:
                step = data.steps[number - 1]
                self.steps.append(_row(stack, _step_text(step), step.note))
            self.levels.append(_row(stack, _level_text(level), level.note, bold=True))
        base = data.control
        self.control = _row(stack, _control_text(base), base.note, bold=True) if base is not None else None
        self.height = stack.depth

    def draw(self, axes: Axes) -> None:
        """Draw all rows into the axes."""
        dress(axes, self.height, (0.0, 100.0), "answers that were right, %")
        for level, row in zip(self.data.levels, self.levels, strict=True):
            row.write(axes)
            _bar(axes, level, row.middle, COLOURS["stage"])
        for number, row in enumerate(self.steps):
            row.write(axes)
            self._drop(axes, number, row.middle)
        if self.data.control is not None and self.control is not None:
            self._reference(axes, self.data.control, self.control)

    def _drop(self, axes: Axes, number: int, middle: float) -> None:
        start, end = self.data.levels[number].estimate, self.data.levels[number + 1].estimate
        if start is None or end is None:
            return
        family = self.data.steps[number].family
        colour, hatch = COLOURS.get(family, OTHER), HATCHES.get(family)
        axes.barh(
            middle, abs(start - end), BAND, min(start, end), color=colour, hatch=hatch, edgecolor="white", zorder=2
        )
        for level, row in ((start, self.levels[number]), (end, self.levels[number + 1])):
            axes.plot([level, level], sorted((middle, row.middle)), color=INK, linewidth=0.8, zorder=1)

    def _reference(self, axes: Axes, level: Level, row: _Row) -> None:
        row.write(axes)
        _bar(axes, level, row.middle, COLOURS["control"])
        if level.estimate is not None:
            axes.plot(
                [level.estimate] * 2, [0.0, row.middle], color=INK, linewidth=1.1, linestyle=(0, (4, 3)), zorder=2.5
            )


def _bar(axes: Axes, level: Level, middle: float, colour: str) -> None:
    if level.estimate is None:
        return
    axes.barh(middle, level.estimate, BAND, color=colour, edgecolor=INK, linewidth=0.8, zorder=2)
    if level.lower is not None and level.upper is not None:
        span(axes, middle, level.lower, level.upper)


def _draw_effects(axes: Axes, *, effects: tuple[Effect, ...], rows: list[_Row], height: float) -> None:
    values = [end for one in effects for end in (one.estimate, one.lower, one.upper) if end is not None]
    dress(axes, height, limits(values), "difference from the control arm, points")
    axes.axvline(0.0, color=INK, linewidth=1.1, zorder=1)
    for effect, row in zip(effects, rows, strict=True):
        row.write(axes)
        if effect.estimate is None:
            continue
        if effect.lower is not None and effect.upper is not None:
            span(axes, row.middle, effect.lower, effect.upper)
        shape = "D" if effect.name == REALIZED else "o"
        axes.plot([effect.estimate], [row.middle], marker=shape, color=INK, markersize=7, zorder=5, clip_on=False)
