"""Reads tables from .csv, .parquet and .feather, and keeps paths inside their folder."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet

from rctgap.errors import AnalysisError, DataError, Fault

__all__ = ["SUFFIXES", "inside", "read_table"]

SUFFIXES = (".csv", ".parquet", ".feather")


def inside(base: Path, relative: str, allow_outside: bool = False) -> Path:
    """Resolve a path that a file names, relative to that file's folder.

    Parameters
    ----------
    base : Path
        The folder.
    relative : str
        The path as written.
    allow_outside : bool
        Let it be absolute, or leave the folder.

    Raises
    ------
    AnalysisError
        The path leaves the folder, symbolic links followed, or is no path at all.

    Examples
    --------
    >>> from pathlib import Path
    >>> from rctgap.files import inside
    >>> inside(Path("trial"), "data/answers.csv").name
    'answers.csv'
    """
    refused = Fault("the path leaves the folder", "Give a path under it, or pass --allow-outside", value=relative)
    try:
        folder = base.resolve()
        found = (folder / relative).resolve()
    except (OSError, RuntimeError, ValueError):
        raise AnalysisError(Fault("this is not a usable path", "Give the path of a file", value=relative)) from None
    if not relative.strip():
        raise AnalysisError(Fault("the path is empty", "Give the path of a file", value=relative))
    if not allow_outside and (Path(relative).is_absolute() or not found.is_relative_to(folder)):
        raise AnalysisError(refused)
    return found


def read_table(path: Path) -> pd.DataFrame:
    r"""Read a table: text cells from .csv, typed columns from .parquet and .feather.

    Parameters
    ----------
    path : Path
        A .csv file is UTF-8, with or without byte-order mark, separated by commas, with
        a header; nothing in it is guessed to be a number or missing.

    Returns
    -------
    DataFrame
        Rows in file order, index 0 to n - 1. Integer columns with gaps stay integers.

    Raises
    ------
    DataError
        No such file, another suffix, a damaged file, no rows, a column unnamed or named
        twice, or rows of the wrong length, each with its line.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rctgap.files import read_table
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "trial.csv"
    ...     _ = path.write_text("arm,decision\na1,1\n")
    ...     read_table(path).loc[0, "decision"]
    '1'
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise DataError(Fault(f"the suffix {path.suffix!r} is not known", f"Allowed: {', '.join(SUFFIXES)}", str(path)))
    try:
        if not path.is_file():
            what = "this is not a file" if path.exists() else "no such file"
            raise DataError(Fault(what, "Give the path of a table", str(path)))
        frame = reader(path)
    except OSError as fault:
        raise DataError(
            Fault(f"the file cannot be read: {fault.strerror}", "Check name and rights", str(path))
        ) from None
    if frame.empty:
        raise DataError(Fault("the table has no rows", "Give a header and at least one row", str(path)))
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    header, rows = _records(_text(path), str(path))
    faults = [*_header_faults(header, str(path)), *_ragged(header, rows, str(path))]
    if faults:
        raise DataError(*faults)
    columns = zip(*(row for _, row in rows), strict=True)
    return pd.DataFrame({name: pd.array(cells, dtype="string") for name, cells in zip(header, columns, strict=False)})


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        line = f"line {content[: fault.start].count(b'\n') + 1}"
        raise DataError(Fault("the text is not UTF-8", "Save the file as UTF-8", str(path), line)) from None
    if not text.strip():
        raise DataError(Fault("the file is empty", "Give a header and at least one row", str(path)))
    if "\0" in text:
        line = f"line {text[: text.index('\0')].count('\n') + 1}"
        raise DataError(Fault("the text has a NUL byte", "Save the file as UTF-8 text", str(path), line))
    return text


type _Rows = Sequence[tuple[int, list[str]]]  # the line on which each record ends, and its cells


def _records(text: str, file: str) -> tuple[list[str], _Rows]:
    """Split into a header and records, without the blank lines at the end."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        records = [(reader.line_num, record) for record in reader]
    except csv.Error as fault:
        mend = 'Close every quote, double those inside a cell (""), and keep cells of long texts in .parquet'
        raise DataError(Fault(f"the record cannot be read: {fault}", mend, file, f"line {reader.line_num}")) from None
    while records and not records[-1][1]:
        records.pop()
    return records[0][1], records[1:]


def _ragged(header: Sequence[str], rows: _Rows, file: str) -> Iterator[Fault]:
    for number, (line, cells) in enumerate(rows, 1):
        if len(cells) != len(header):
            found = f"{len(cells)} cells under {len(header)} columns" if cells else "the line is blank"
            yield Fault(found, "Give every row one cell for each column", file, f"line {line}", number)


def _header_faults(header: Sequence[str], file: str) -> Iterator[Fault]:
    for number, name in enumerate(header, 1):
        if not name.strip():
            mend = "Name it; row numbers can be left out (`index=False`, `row.names = FALSE`)"
            yield Fault("the column has no name", mend, file, f"column {number}")
    yield from _duplicates(header, file)
    if not header:
        yield Fault("the header is blank", "Put the column names in the first line", file, "line 1")
    elif all(_NUMBER.fullmatch(name) for name in header):
        yield Fault("the header holds numbers only", "Put the column names in the first line", file, "line 1")
    if len(header) == 1 and re.search(r"[;\t]", header[0]):
        yield Fault(
            "the header is not separated by commas", "Save the file with commas", file, "line 1", value=header[0]
        )


_NUMBER = re.compile(r"\s*[+-]?[0-9]*\.?[0-9]+([eE][+-]?[0-9]+)?\s*")


def _duplicates(names: Sequence[str], file: str) -> Iterator[Fault]:
    for name, times in Counter(names).items():
        if times > 1 and name.strip():
            yield Fault(f"{times} columns have this name", "Name each column once", file, "header", value=name)


def _read_arrow(read: Callable[[Path], pa.Table]) -> Callable[[Path], pd.DataFrame]:
    def reader(path: Path) -> pd.DataFrame:
        try:
            table = read(path)
            faults = tuple(_duplicates(table.column_names, str(path)))
            if faults:
                raise DataError(*faults)
            frame: pd.DataFrame = table.to_pandas(
                types_mapper=_NULLABLE.get, ignore_metadata=True, date_as_object=False
            )
        except (pa.ArrowException, OSError) as fault:
            what = " ".join(str(fault).split()).rstrip(".") or type(fault).__name__
            raise DataError(Fault(f"the file cannot be read: {what[:200]}", "Write it again", str(path))) from None
        return frame

    return reader


_NULLABLE: Mapping[pa.DataType, object] = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.string(): pd.StringDtype(),
    pa.large_string(): pd.StringDtype(),
}

_READERS: Mapping[str, Callable[[Path], pd.DataFrame]] = {
    ".csv": _read_csv,
    ".parquet": _read_arrow(pyarrow.parquet.read_table),
    ".feather": _read_arrow(pyarrow.feather.read_table),
}
