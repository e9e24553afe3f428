"""Words and numbers on figures: what a reader sees instead of a column's name."""

import itertools
import textwrap

from rctgap.results import GapDecomposition
from rctgap.tables import chance

__all__ = [
    "ABOUT_FLOWS",
    "chance_words",
    "default_arm",
    "interval_kind",
    "interval_note",
    "interval_words",
    "lost_or_gained",
    "mix_words",
    "of_arm",
    "percent",
    "plain",
    "quantity_words",
    "sentence",
    "signed",
    "stage_words",
    "step_words",
    "system_changes",
    "trimmed",
    "unsigned",
    "wrapped",
]

MINUS = "\u2212"
ABOUT_FLOWS = ("no flows: ", "flows ")

_STAGES = {
    "benchmark": "AI alone, expert text",
    "own_query": "AI alone, first message",
    "conversation": "AI in the real chat",
    "decision": "the person's own answer",
}
_MIXES = {"observed": "mix as observed", "trial": "mix of the trial", "uniform": "equal mix", "named": "stated mix"}


def plain(text: str) -> str:
    """Text on one line, without characters that no picture can show."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def trimmed(text: str, longest: int) -> str:
    """Plain text, cut at `longest` characters."""
    clean = plain(text)
    return clean if len(clean) <= longest else f"{clean[: longest - 1].rstrip()}…"


def wrapped(text: str, width: int) -> tuple[str, ...]:
    """Plain text as lines of at most `width` characters."""
    return tuple(textwrap.wrap(plain(text), width, break_on_hyphens=False)) or ("",)


def percent(value: float) -> str:
    """A percentage with one decimal; `value` is already out of 100."""
    return f"{value:.1f} %"


def signed(value: float) -> str:
    """Points with one decimal and their sign."""
    text = f"{abs(value):.1f}"
    return text if float(text) == 0 else f"{MINUS if value < 0 else '+'}{text}"


def unsigned(value: float) -> str:
    """Points with one decimal and a sign only where negative."""
    return signed(value).removeprefix("+")


def interval_words(lower: float | None, upper: float | None) -> str:
    """An interval in brackets, or nothing."""
    return "" if lower is None or upper is None else f" ({unsigned(lower)} to {unsigned(upper)})"


def chance_words(value: float) -> str:
    """A probability to two decimals; draws cannot show that one is exactly 0 or 1."""
    return chance(value).replace(">", "over").replace("<", "under")


def interval_kind(result: GapDecomposition) -> str:
    """What the lines of the main rows are: intervals, or credible intervals where they are a posterior's."""
    credible = "credible " if result.settings.method == "bayesian" else ""
    return f"{100 * result.settings.level:.0f} % {credible}intervals"


def interval_note(note: str) -> str:
    """The parts of a row's note that are not about flows."""
    return "; ".join(part for part in note.split("; ") if not part.startswith(ABOUT_FLOWS))


def lost_or_gained(points: float) -> str:
    """Which way a step goes, as a number and a word."""
    word = "lost" if points >= 0 else "gained"
    return f"{abs(points):.1f} points {word}"


def quantity_words(name: str) -> str:
    """A stage or quantity as words."""
    return plain(name.replace("_", " "))


def sentence(text: str) -> str:
    """A text with a capital first letter."""
    return text[:1].upper() + text[1:]


def stage_words(name: str) -> str:
    """A stage's name, and what it is where the name is one of the four usual ones."""
    known = _STAGES.get(name)
    return f"{quantity_words(name)}: {known}" if known else quantity_words(name)


def step_words(quantity: str, kind: str, family: str) -> str:
    """A component, a family or the gap as a heading."""
    if kind == "component":
        return f"into {quantity_words(quantity)}{f' ({family})' if family else ''}"
    return f"{quantity_words(quantity)}, together" if kind == "family" else "whole gap"


def mix_words(items: str, item_weights: str) -> str:
    """Which estimand a row belongs to."""
    return f"items {items}, {_MIXES.get(item_weights, item_weights)}"


def default_arm(result: GapDecomposition) -> str:
    """The single AI arm, or the row over all of them."""
    return result.settings.arms[0] if len(result.settings.arms) == 1 else "all"


def of_arm(result: GapDecomposition, arm: str) -> str:
    """The arm a figure is about, as a sentence's part."""
    labels = result.settings.arms
    if arm != "all":
        return f"arm {trimmed(arm, 70)}"
    return f"arm {trimmed(labels[0], 70)}" if len(labels) == 1 else f"all {len(labels)} AI arms"


def system_changes(result: GapDecomposition, arm: str) -> dict[str, str]:
    """Stages before which the system changes, with the two systems in words."""
    told: dict[str, str] = {}
    for label in result.settings.arms:
        rows = [row for row in result.systems if row.arm == label and arm in ("all", label)]
        for before, after in itertools.pairwise(rows):
            one, other = (set(row.found) for row in (before, after))
            if one and other and (one != other or len(other) > 1):
                names = (" and ".join(row.found) for row in (before, after))
                told[after.stage] = f"the system changes here: {' to '.join(names)}"
    return told
