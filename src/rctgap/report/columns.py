"""Tables without columns that say nothing."""

from dataclasses import replace

from rctgap.report.blocks import Table
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK

__all__ = ["for_arms", "without_arms", "without_blanks"]

OPTIONAL = frozenset(
    {
        "assumes",
        "assumptions",
        "before any data",
        "borrowed from",
        "clusters",
        "df",
        "ESS, bulk",
        "ESS, tails",
        "instrument",
        "item",
        "label that fits better",
        "note",
        "R-hat",
        "reason",
        "sensitivity to the data",
        "sensitivity to the prior",
        "under stated priors",
        "units needed",
        "what it means",
    }
)


def for_arms(table: Table, result: GapDecomposition) -> Table:
    """Drop blank columns and, where there is one AI arm, the column that repeats its label."""
    return without_blanks(without_arms(table) if len(result.settings.arms) == 1 else table)


def without_arms(table: Table) -> Table:
    """Drop the column of arms."""
    return _kept(table, [column for column, name in enumerate(table.header) if name != "arm"])


def without_blanks(table: Table) -> Table:
    """Drop columns that may be empty and are."""
    blank = {
        column
        for column, name in enumerate(table.header)
        if name in OPTIONAL and all(row[column] == BLANK for row in table.rows)
    }
    return _kept(table, [column for column in range(len(table.header)) if column not in blank])


def _kept(table: Table, columns: list[int]) -> Table:
    where = {old: new for new, old in enumerate(columns)}
    return replace(
        table,
        header=tuple(table.header[column] for column in columns),
        rows=tuple(tuple(row[column] for column in columns) for row in table.rows),
        heads=sum(column < table.heads for column in columns),
        numbers=frozenset(where[column] for column in table.numbers if column in where),
        wide=frozenset(where[column] for column in table.wide if column in where),
    )
