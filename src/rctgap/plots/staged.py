"""The staged evaluation: every transition against its margin, with the verdict in words."""

from matplotlib.figure import Figure

from rctgap.plots.forest import ForestEntry, ForestFigure, ForestRow, drawn
from rctgap.plots.words import default_arm, interval_note, of_arm, sentence
from rctgap.results import GapDecomposition
from rctgap.staged_records import StagedRow

__all__ = ["prepare_staged", "staged"]


def prepare_staged(result: GapDecomposition, arm: str | None = None) -> ForestFigure:
    """Pick transitions, margins and verdicts out of a result.

    Parameters
    ----------
    result : GapDecomposition
        With a staged evaluation.
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Raises
    ------
    KeyError
        No row of such an arm.
    """
    arm = default_arm(result) if arm is None else arm
    mine = [row for row in result.staged if row.arm == arm]
    if not mine:
        raise KeyError(arm)
    rows = tuple(
        _row([row for row in mine if row.transition == name]) for name in dict.fromkeys(row.transition for row in mine)
    )
    kinds = tuple(dict.fromkeys(_kind(row) for row in mine))
    level = f"{100 * mine[0].level:.0f} %"
    subtitle = f"{sentence(of_arm(result, arm))}; lines are {level} intervals, the shaded band is the margin"
    return ForestFigure(arm, _title(result, mine), subtitle, kinds, rows)


def _kind(row: StagedRow) -> str:
    return f"items {row.items}"


def _title(result: GapDecomposition, rows: list[StagedRow]) -> str:
    """How many steps hold, under the estimand that was asked for."""
    asked = [row for row in rows if row.items == result.settings.items]
    counted = {word: sum(row.verdict == one for row in asked) for one, word in _WORDS.items()}
    told = [f"{number} {word}" for word, number in counted.items() if number]
    return f"Of {len(asked)} steps against their margins: {', '.join(told)}"


_WORDS = {"holds": "hold", "violated": "violated", "inconclusive": "not settled"}


def _row(rows: list[StagedRow]) -> ForestRow:
    first = rows[0]
    verdicts = ", ".join(f"{_kind(row)} {row.verdict}" for row in rows)
    changed = "" if first.attributable else "; the system changes here: not attributed to an assumption"
    note = f"margin {100 * first.margin:g} points: {verdicts}{changed}"
    entries = tuple(_entry(row) for row in rows)
    return ForestRow(
        first.transition, "component", first.family, first.assumption_ids, entries, note, margin=100 * first.margin
    )


def _entry(row: StagedRow) -> ForestEntry:
    estimate, lower, upper = (None if one is None else 100.0 * one for one in (row.estimate, row.lower, row.upper))
    return ForestEntry(_kind(row), estimate, lower, upper, interval_note(row.note) if row.lower is None else "")


def staged(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw every transition with its interval over the band that its margin allows.

    Parameters
    ----------
    result : GapDecomposition
        With a staged evaluation.
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Returns
    -------
    Figure

    Raises
    ------
    KeyError
        No row of such an arm.
    """
    return drawn(prepare_staged(result, arm))
