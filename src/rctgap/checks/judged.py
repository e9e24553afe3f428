"""Which rows a check judges: every arm's and those of all together, as losses in one and gains in another cancel."""

from collections.abc import Iterable
from typing import Protocol

from rctgap.estimands import ALL_ARMS
from rctgap.results import GapDecomposition

__all__ = ["assumptions_of", "judged_arms", "where"]


class _OfQuantity(Protocol):
    """A row that speaks of one quantity of one arm."""

    @property
    def arm(self) -> str: ...

    @property
    def quantity(self) -> str: ...


def judged_arms(result: GapDecomposition) -> tuple[str, ...]:
    """All arms together, then each by itself where there are several."""
    arms = result.settings.arms
    return (ALL_ARMS, *(arms if len(arms) > 1 else ()))


def where(arm: str) -> str:
    """Which arm a figure is of; nothing for all arms together."""
    return "" if arm == ALL_ARMS else f" in arm {arm}"


def assumptions_of(result: GapDecomposition, rows: Iterable[_OfQuantity]) -> str:
    """IDs of the assumptions that rows speak to, each once, joined by semicolons."""
    named = (result.row(row.quantity, row.arm).assumption_ids.split(";") for row in rows)
    return ";".join(dict.fromkeys(name for names in named for name in names if name))
