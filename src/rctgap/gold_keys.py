"""Rows whose texts are scored, and the gold keys that they are held against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from rctgap.dictionary import Table
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import GoldKey
from rctgap.scoring_plan import StageScoring
from rctgap.trial import TrialData

__all__ = ["Keys", "Rows", "table_rows"]


def table_rows(trial: TrialData) -> dict[str, "Rows"]:
    """The trial's answers, and its benchmark runs where there are any."""
    tables = {"trial": Rows.of(trial.answers, trial.table, trial, "trial", trial.rows)}
    runs = trial.runs
    if runs is not None and trial.runs_table is not None:
        tables["benchmark"] = Rows.of(runs, trial.runs_table, trial, "benchmark", range(1, len(runs) + 1))
    return tables


@dataclass(frozen=True, slots=True)
class Rows:
    """A table's rows as texts, and the gold keys that they are held against."""

    name: str
    file: str
    frame: pd.DataFrame
    numbers: Sequence[int]
    arms: tuple[str, ...]
    items: tuple[str, ...]
    keys: Mapping[str, Mapping[str, str]]
    items_file: str
    item_rows: Mapping[str, int]

    @classmethod
    def of(cls, frame: pd.DataFrame, table: Table, trial: TrialData, name: str, numbers: Sequence[int]) -> "Rows":
        """A table of a trial, with the trial's item table for its keys."""
        item = table.by_role("item")
        arm = trial.column("arm") if name == "trial" else None
        blank = [""] * len(frame)
        return cls(
            name,
            trial.sources.get(name, name),
            frame,
            numbers,
            tuple(blank if arm is None else frame[arm].astype("string").fillna("")),
            tuple(frame[item[0].name].astype("string").fillna("") if item else blank),
            *_item_cells(trial),
        )

    def cells(self, row: int, columns: Sequence[str]) -> tuple[str, ...]:
        """Texts of the columns that hold a row's key: of its item in the item table, else of the row itself."""
        found = []
        for column in columns:
            by_item = self.keys.get(column)
            if by_item is not None:
                if self.items[row] not in by_item:
                    raise DataError(
                        Fault(
                            f"item {self.items[row]!r} is not in the item table",
                            "Add its row",
                            self.file,
                            row=self.numbers[row],
                        )
                    )
                found.append(by_item[self.items[row]])
            elif column in self.frame:
                value = self.frame[column].iloc[row]
                found.append("" if pd.isna(value) else str(value))
            else:
                known = [*map(str, self.frame.columns), *self.keys]
                raise DataError(Fault("the gold key's column is missing", nearest(column, known), self.file, column))
        return tuple(found)

    def place_of(self, row: int, columns: Sequence[str]) -> tuple[str, int]:
        """File and row that hold a row's key: the item table's where it has one of the columns."""
        by_item = any(column in self.keys for column in columns) and self.items[row] in self.item_rows
        return (self.items_file, self.item_rows[self.items[row]]) if by_item else (self.file, self.numbers[row])


def _item_cells(trial: TrialData) -> tuple[dict[str, dict[str, str]], str, dict[str, int]]:
    """Cells of the item table by column and item, its file, and the row of each item."""
    frame, table, file = trial.items, trial.items_table, trial.sources.get("items", "items")
    if frame is None or table is None:
        return {}, file, {}
    item = table.by_role("item")
    if not item:
        what = "no column of the item table has the role `item`"
        raise DataError(Fault(what, "Give it to the key column", file))
    labels = frame[item[0].name].astype("string").tolist()
    rows: dict[str, int] = {}
    for number, label in enumerate(labels, 1):
        if rows.setdefault(label, number) != number:
            what = f"the item has a row already, row {rows[label]}"
            raise DataError(Fault(what, "Keep one row of each item", file, item[0].name, number, label))
    cells = {
        str(column): dict(zip(labels, frame[column].astype("string").fillna(""), strict=True))
        for column in frame.columns
        if column != item[0].name
    }
    return cells, file, rows


class Keys:
    """Gold keys of one stage, each made once, so that the answers of an item share one."""

    def __init__(self, plan: StageScoring, rows: Rows) -> None:
        self._plan, self._rows = plan, rows
        self._made: dict[tuple[str, ...], GoldKey] = {}

    def __getitem__(self, row: int) -> GoldKey:
        cells = self._rows.cells(row, self._plan.key.columns)
        if cells not in self._made:
            self._made[cells] = self._make(cells, row)
        return self._made[cells]

    def _make(self, cells: tuple[str, ...], row: int) -> GoldKey:
        named = dict(zip(self._plan.key.columns, cells, strict=True))
        key = self._plan.key
        try:
            return gold_key(
                terms=named[key.terms] if key.terms else "",
                options={label: named[column] for label, column in key.options},
                answer=named[key.answer] if key.answer else "",
            )
        except DataError as error:
            file, number = self._rows.place_of(row, key.columns)
            place = ", ".join(key.columns)
            raise DataError(
                *(replace(one, file=file, place=place, row=number) for one in error.faults if isinstance(one, Fault))
            ) from None
