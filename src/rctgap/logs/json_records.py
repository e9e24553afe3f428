"""Records of JSON files, one at a time: a line each, or the members of an array."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

from rctgap.errors import DataError, Fault
from rctgap.logs.lines import CHUNK, LONGEST, Faults, lines, refuse_wide
from rctgap.logs.literals import TwiceError, once

__all__ = ["json_array", "json_lines"]

type Record = tuple[str, dict[str, Any]]

LINE = "Give one JSON object a line, in UTF-8"
ARRAY = "Give a JSON array of objects, in UTF-8"
SPACE = " \t\r\n"
NEAR = 16  # a number, name or escape that the end of a piece cuts is shorter


def json_lines(path: Path, faults: Faults) -> Iterator[Record]:
    """Objects of a JSON Lines file with their lines; blank lines are passed over, damaged ones noted."""
    for line in lines(path, faults):
        if not line.good or line.text.isspace():
            continue
        place = f"line {line.number}"
        try:
            value = json.loads(line.text, object_pairs_hook=once)
        except TwiceError as error:
            faults.add(str(error), LINE, place)
        except RecursionError:
            faults.add("the line is nested too deeply", LINE, place)
        except json.JSONDecodeError:
            faults.add("the line is not valid JSON", LINE, place)
        except ValueError:
            faults.add("the line holds a number that is too long", LINE, place)
        else:
            if isinstance(value, dict):
                yield place, value
            else:
                faults.add("the line is no JSON object", LINE, place)


def json_array(path: Path) -> Iterator[Record]:
    """Objects of one JSON array, or of a file of objects with nothing between them, read piece by piece.

    Raises
    ------
    DataError
        The first damage: what follows it cannot be told apart.
    """
    with path.open("rb") as wide:
        refuse_wide(wide.read(2), path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        pieces = _Pieces(stream, path)
        listed = pieces.take("[")
        more = pieces.next() not in ("]", "") if listed else bool(pieces.next())
        while more:
            yield pieces.record()
            more = pieces.take(",") if listed else bool(pieces.next())
        if listed and not pieces.take("]"):
            pieces.refuse("the array is cut off, or a comma is missing")
        if pieces.next():
            pieces.refuse("something follows the end of the array")


class _Pieces:
    """A JSON file of which little more than the record at hand is in memory."""

    def __init__(self, stream: IO[str], path: Path) -> None:
        self._stream, self._path = stream, path
        self._held, self._at, self._line, self._number = "", 0, 1, 0
        self._decoder = json.JSONDecoder(object_pairs_hook=once)

    def next(self) -> str:
        """The next character that is no space, or nothing at the end."""
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in SPACE:
                    return self._held[self._at]
                self._move(self._at + 1)
            if not self._read(CHUNK):
                return ""

    def take(self, character: str) -> bool:
        """Pass over a character if it is the next one."""
        if self.next() != character:
            return False
        self._move(self._at + 1)
        return True

    def record(self) -> Record:
        """The record that starts here."""
        self.next()
        self._number += 1
        place, size = self._place(), CHUNK
        while True:
            try:
                found, end = self._decoder.raw_decode(self._held, self._at)
                break
            except TwiceError as error:
                self.refuse(str(error))
            except RecursionError:
                self.refuse("the record is nested too deeply")
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._held) - NEAR
                if cut and len(self._held) - self._at > LONGEST:
                    self.refuse(f"the record is longer than {LONGEST:,} characters, or a quote is not closed")
                if not cut or not self._read(size):
                    self.refuse("the record is not valid JSON")
                size *= 2
            except ValueError:
                self.refuse("the record holds a number that is too long")
        if not isinstance(found, dict):
            self.refuse("the record is no JSON object")
        self._move(end)
        return place, found

    def refuse(self, what: str) -> NoReturn:
        """Stop here.

        Raises
        ------
        DataError
        """
        raise DataError(Fault(what, ARRAY, str(self._path), self._place())) from None

    def _place(self) -> str:
        return f"record {self._number}, line {self._line}" if self._number else f"line {self._line}"

    def _move(self, to: int) -> None:
        self._line += self._held.count("\n", self._at, to)
        self._at = to

    def _read(self, size: int) -> bool:
        """Take up more of the file, and let go of what was read."""
        try:
            more = self._stream.read(size)
        except UnicodeDecodeError:
            self.refuse("the text from here on is not UTF-8")
        self._held, self._at = self._held[self._at :] + more, 0
        return bool(more)
