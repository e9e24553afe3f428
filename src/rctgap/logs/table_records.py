"""Records of tables, one at a time: rows of .csv and .parquet files."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from rctgap.errors import DataError, Fault
from rctgap.logs.lines import Faults, lines

__all__ = ["csv_rows", "parquet_rows"]

type Record = tuple[str, dict[str, Any]]

CELL = 32 * 2**20
ROWS = 128
BUFFER = 2**20  # else the columns of a whole row group are held at once
QUOTES = "Close every quote, and double those inside a cell"


def csv_rows(path: Path, faults: Faults) -> Iterator[Record]:
    """Rows of a .csv file under its header; blank lines are passed over, damaged rows noted."""
    reader = csv.reader((line.text for line in lines(path, faults)), strict=True)
    header: list[str] | None = None
    number = 0
    while True:
        place, before = f"line {reader.line_num + 1}", faults.count
        cells, what = _next(reader)
        if cells is None and not what:
            return
        if cells == []:
            continue
        if header is None:
            if what or faults.count > before:
                faults.add(what or "the header cannot be read", QUOTES, place)
                return
            header = cells or []
            _check_header(header, path, place)
            continue
        number += 1
        if cells is None:
            faults.add(what, QUOTES, place, number)
        elif faults.count > before:
            continue
        elif len(cells) != len(header):
            faults.add(f"{len(cells)} cells under {len(header)} columns", "Give every column a cell", place, number)
        else:
            yield f"row {number}", dict(zip(header, cells, strict=True))


def _next(reader: Any) -> tuple[list[str] | None, str]:
    """The next row or why there is none, under a limit that lets long messages through and is put back at once."""
    before = csv.field_size_limit(CELL)
    try:
        return next(reader, None), ""
    except csv.Error as error:
        loose = "new-line" in str(error)  # the module's message speaks of its own arguments
        return None, f"the row cannot be read: {'a line end stands outside of quotes' if loose else error}"
    finally:
        csv.field_size_limit(before)


def _check_header(header: Sequence[str], path: Path, place: str) -> None:
    if not all(name.strip() for name in header):
        raise DataError(Fault("a column has no name", "Name every column", str(path), place))
    if max(Counter(header).values()) > 1:
        raise DataError(Fault("two columns have the same name", "Name each column once", str(path), place))


def parquet_rows(path: Path) -> Iterator[Record]:
    """Rows of a .parquet file, a few at a time.

    Raises
    ------
    DataError
        The file is no Parquet, is damaged, or names a column twice.
    """
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as table:
            _check_header(table.schema_arrow.names, path, "schema")
            for batch in table.iter_batches(ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        place = f"after row {number}" if number else ""
        raise DataError(Fault("the file is no readable Parquet", "Write it again", str(path), place)) from None
