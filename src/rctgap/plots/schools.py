"""The same quantities by both schools: frequentist intervals over credible ones."""

from matplotlib.figure import Figure

from rctgap.plots.forest import ForestEntry, ForestFigure, ForestRow, drawn
from rctgap.plots.words import default_arm, interval_note, of_arm, sentence
from rctgap.records import ComponentRow
from rctgap.results import GapDecomposition

__all__ = ["both_schools", "prepare_schools", "schools"]

KINDS = ("component", "family", "gap")


def both_schools(result: GapDecomposition) -> bool:
    """Whether there are frequentist and Bayesian rows of the estimand that was asked for."""
    return len({row.method for row in _rows(result)}) > 1


def _rows(result: GapDecomposition) -> list[ComponentRow]:
    asked = (result.settings.items, result.settings.item_weights)
    other = [
        row
        for row in result.alternatives
        if (row.items, row.item_weights) == asked and row.method != result.settings.method
    ]
    return [row for row in (*result.main(), *other) if row.kind in KINDS and row.quantity != "item_mix"]


def prepare_schools(result: GapDecomposition, arm: str | None = None) -> ForestFigure:
    """Pick both schools' estimates and intervals out of a result.

    Parameters
    ----------
    result : GapDecomposition
    arm : str, optional
        An AI arm or `all`; the only AI arm where there is one, else `all`.

    Raises
    ------
    KeyError
        No row of such an arm.
    """
    arm = default_arm(result) if arm is None else arm
    result.row("gap", arm)
    mine = [row for row in _rows(result) if row.arm == arm]
    names = tuple(dict.fromkeys(_name(row) for row in mine))
    keys = dict.fromkeys((row.quantity, row.kind) for row in mine)
    rows = tuple(_forest_row([row for row in mine if (row.quantity, row.kind) == key], names) for key in keys)
    level = f"{100 * result.settings.level:.0f} %"
    subtitle = f"{sentence(of_arm(result, arm))}; items {result.settings.items}; lines are {level} intervals"
    return ForestFigure(
        arm, "Frequentist and Bayesian estimates of the same points", subtitle, names, rows, asked=False
    )


def _name(row: ComponentRow) -> str:
    if row.method == "bayesian":
        return f"Bayesian, {row.estimator.removeprefix('bayesian ')}: mean and credible interval"
    return f"{row.method}, {row.estimator}: estimate and interval"


def _forest_row(rows: list[ComponentRow], names: tuple[str, ...]) -> ForestRow:
    found = {_name(row): row for row in reversed(rows)}
    entries = tuple(_entry(name, found[name]) for name in names if name in found)
    return ForestRow(rows[0].quantity, rows[0].kind, rows[0].family, "", entries)


def _entry(name: str, row: ComponentRow) -> ForestEntry:
    estimate, lower, upper = (None if one is None else 100.0 * one for one in (row.estimate, row.lower, row.upper))
    return ForestEntry(name, estimate, lower, upper, interval_note(row.note) if row.lower is None else "")


def schools(result: GapDecomposition, arm: str | None = None) -> Figure:
    """Draw both schools' estimates and intervals of every component, family and the gap.

    Parameters
    ----------
    result : GapDecomposition
        With rows of both schools.
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
    return drawn(prepare_schools(result, arm))
