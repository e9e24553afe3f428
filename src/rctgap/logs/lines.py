"""Lines of a text file in constant memory, and the faults of a file, raised together when it has been read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rctgap.errors import MAX_LISTED, DataError, Fault

__all__ = ["CHUNK", "LONGEST", "Faults", "Line", "lines", "refuse_wide"]

LONGEST = 64 * 2**20
CHUNK = 2**16
UTF8 = "Save the file as UTF-8"


@dataclass(slots=True)
class Faults:
    """What is wrong with a file: the first faults, and how many there are.

    Examples
    --------
    >>> from pathlib import Path
    >>> from rctgap.logs.lines import Faults
    >>> found = Faults(Path("logs.jsonl"))
    >>> found.add("the line is not valid JSON", "Give one JSON object a line", "line 2")
    >>> found.count
    1
    """

    path: Path
    count: int = 0
    _first: list[Fault] = field(default_factory=list)

    def add(self, what: str, allowed: str, place: str, row: int | None = None) -> None:
        """Count a fault, and keep it while they are few."""
        self.count += 1
        if len(self._first) < MAX_LISTED:
            self._first.append(Fault(what, allowed, str(self.path), place, row))

    def close(self) -> None:
        """Raise what was found.

        Raises
        ------
        DataError
            At most `MAX_LISTED` faults, the last of which counts those left out.
        """
        if self.count > MAX_LISTED:
            what = f"{self.count - MAX_LISTED + 1:,} further places cannot be read either"
            self._first[-1] = Fault(what, "Mend the ones above first", str(self.path))
        if self._first:
            raise DataError(*self._first)


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its end; `good` is false where a fault was found in it."""

    number: int
    text: str = field(repr=False)
    good: bool = True


def refuse_wide(start: bytes, path: Path) -> None:
    """Refuse UTF-16 by name.

    Raises
    ------
    DataError
        The file starts with a mark of UTF-16 or UTF-32.
    """
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(Fault("the text is UTF-16", UTF8, str(path)))


def lines(path: Path, faults: Faults) -> Iterator[Line]:
    """Lines of a UTF-8 file, with or without byte-order mark.

    Lines that are no UTF-8, hold a NUL byte or are longer than `LONGEST` bytes come with the faults noted, and only as
    far as they can be read.
    """
    with path.open("rb") as stream:
        number = 0
        while raw := stream.readline(LONGEST + 1):
            number += 1
            if number == 1:
                refuse_wide(raw, path)
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            what, allowed = _wrong(raw)
            if what:
                faults.add(what, allowed, f"line {number}")
            if len(raw) > LONGEST:
                while not raw.endswith(b"\n") and (raw := stream.readline(CHUNK)):
                    pass
                raw = b"\n"
            yield Line(number, raw.decode("utf-8", "replace"), not what)


def _wrong(raw: bytes) -> tuple[str, str]:
    """What is wrong with a line, and what to do; empty where nothing is."""
    if len(raw) > LONGEST:
        return f"the line is longer than {LONGEST:,} bytes", "Split the record"
    if b"\0" in raw:
        return "the line has a NUL byte", f"{UTF8} text, without UTF-16 or binary parts"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return "the line is not UTF-8", UTF8
    return "", ""
