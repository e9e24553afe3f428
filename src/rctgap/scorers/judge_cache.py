"""Answers that were paid for, kept on disk from the moment they arrive. No text of a case is in them."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

import pydantic

from rctgap.errors import AnalysisError, Fault, OutputError
from rctgap.scorers.judge_answer import StoredScore

__all__ = ["AnswerCache", "Origin", "open_cache"]

FORM = 1
BUSY_SECONDS = 60.0
TABLE = """CREATE TABLE IF NOT EXISTS answers (
    request TEXT PRIMARY KEY,
    score TEXT NOT NULL,
    model TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    time TEXT NOT NULL
) WITHOUT ROWID"""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who answered, as the endpoint says, and what it counted."""

    model: str = ""
    fingerprint: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0


class AnswerCache:
    """Scores by the hash of their request. Threads may share one; processes may share its file."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path, self._lock = connection, path, Lock()

    def get(self, request: str) -> StoredScore | None:
        """The score of a request; None where it was never answered.

        Raises
        ------
        AnalysisError
            The row cannot be read.
        """
        with self._lock, _named_faults(self._path):
            row = self._connection.execute("SELECT score FROM answers WHERE request = ?", (request,)).fetchone()
        if row is None:
            return None
        try:
            return StoredScore.model_validate_json(row[0])
        except pydantic.ValidationError:
            todo = "Delete the row, or the file: what is deleted is asked and paid for again"
            raise AnalysisError(Fault("the stored answer is damaged", todo, str(self._path), request)) from None

    def put(self, request: str, score: StoredScore, origin: Origin) -> StoredScore:
        """Keep an answer; where another process was first, its answer stands and is returned.

        Raises
        ------
        OutputError
            The file cannot be written.
        """
        cells = (origin.model, origin.fingerprint, origin.prompt_tokens, origin.completion_tokens)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._lock, _named_faults(self._path):
            self._connection.execute(
                "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)",
                (request, score.model_dump_json(), *cells, now),
            )
        return self.get(request) or score


@contextmanager
def open_cache(path: Path) -> Iterator[AnswerCache]:
    """Open the answers of a file, which is made where there is none, and close it at the end.

    Raises
    ------
    AnalysisError
        The file holds something else.
    OutputError
        The file, or its folder, cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rctgap.scorers.judge_answer import StoredScore
    >>> from rctgap.scorers.judge_cache import Origin, open_cache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_cache(Path(folder) / "judge.sqlite") as cache:
    ...         _ = cache.put("a1", StoredScore(value=1.0), Origin("m"))
    ...     with open_cache(Path(folder) / "judge.sqlite") as cache:
    ...         cache.get("a1").value, cache.get("a2")
    (1.0, None)
    """
    with _named_faults(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise _unwritable(path, str(fault.strerror)) from None
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        with _named_faults(path):
            _prepare(connection, path)
        yield AnswerCache(connection, path)
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Write-ahead log, every commit on the disk, and the table; refuses a file that is something else."""
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN")
    _check(connection, path)
    connection.execute("COMMIT")
    _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"))
    connection.execute("BEGIN IMMEDIATE")
    _check(connection, path)
    connection.execute(TABLE)
    connection.execute(f"PRAGMA user_version = {FORM}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a file that is neither empty nor ours; nothing is written to it."""
    form = connection.execute("PRAGMA user_version").fetchone()[0]
    held = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*'")
    if (form, [name for (name,) in held]) not in [(0, []), (FORM, ["answers"])]:
        raise AnalysisError(_foreign(path))


def _patiently(step: Callable[[], object]) -> None:
    """SQLite does not wait by itself while two processes set up one new file."""
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            step()
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def _named_faults(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as fault:
        raise _unwritable(path, fault.sqlite_errorname) from None
    except sqlite3.DatabaseError:
        raise AnalysisError(_foreign(path)) from None


def _unwritable(path: Path, reason: str) -> OutputError:
    return OutputError(
        Fault(f"the judge's answers cannot be kept: {reason}", "Check the folder, its rights and space", str(path))
    )


def _foreign(path: Path) -> Fault:
    return Fault(
        "the file is damaged, or holds no answers of a judge", "Name another file as `cache`, or a new one", str(path)
    )
