"""Numbers and names as the report prints them."""

import re

from rctgap.results import GapDecomposition
from rctgap.tables import BLANK, interval_name, percent, plain, points

__all__ = [
    "MINUS",
    "arm_name",
    "counted",
    "estimand_name",
    "figure",
    "intervals_name",
    "listed",
    "long_interval",
    "measured",
    "quantity",
    "ratio",
    "short",
    "shown_arms",
    "signed",
    "slug",
    "span",
]

MINUS = "\u2212"
_ZERO = re.compile(r"^[-+](0(?:\.0+)?)$")


def _minus(text: str) -> str:
    return _ZERO.sub(r"\1", text).replace("-", MINUS)


def figure(value: float | None) -> str:
    """A proportion in percent, or a loss in points: one decimal."""
    return _minus(percent(value))


def signed(value: float | None) -> str:
    """An effect in points, with its sign."""
    return _minus(points(value))


def span(lower: float | None, upper: float | None) -> str:
    """Two ends in percent or points."""
    return BLANK if lower is None or upper is None else f"{figure(lower)} to {figure(upper)}"


def long_interval(lower: float | None, upper: float | None) -> str:
    """An interval in brackets after a figure; says where there is none."""
    return f" ({span(lower, upper)})" if lower is not None and upper is not None else " (no interval)"


def measured(value: float | None, lower: float | None, upper: float | None) -> str:
    """A figure with its interval in one cell."""
    return BLANK if value is None else f"{figure(value)}{long_interval(lower, upper)}"


def intervals_name(result: GapDecomposition) -> str:
    """What the main intervals are called: credible where they are a posterior's."""
    return interval_name(result.settings.level, (row.interval for row in result.main()))


def ratio(value: float | None) -> str:
    """A ratio to two decimals."""
    return BLANK if value is None else f"{value:.2f}"


def counted(value: float | None) -> str:
    """A count with thousands separated."""
    return BLANK if value is None else f"{value:,.0f}"


def short(value: float | None) -> str:
    """Degrees of freedom and the like, to one decimal."""
    return BLANK if value is None else f"{value:.1f}"


def quantity(name: str) -> str:
    """A stage or quantity as words."""
    return plain(name.replace("_", " "))


def listed(ids: str) -> str:
    """Assumption IDs as a list."""
    return ids.replace(";", ", ") if ids else BLANK


def estimand_name(items: str, item_weights: str) -> str:
    """One estimand in a column's heading."""
    return f"items {items}, {item_weights} weights"


def shown_arms(result: GapDecomposition) -> tuple[str, ...]:
    """Arms to show: the single one, or the row over all and then each."""
    labels = result.settings.arms
    return labels if len(labels) == 1 else ("all", *labels)


def arm_name(result: GapDecomposition, arm: str) -> str:
    """An arm as a reader knows it."""
    return f"all {len(result.settings.arms)} AI arms" if arm == "all" else arm


def slug(text: str, longest: int = 40) -> str:
    """Letters and digits of a text, joined with hyphens, fit for a file's name or an anchor."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:longest].strip("-")
