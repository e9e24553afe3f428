"""Answers on disk: written at once, read by whoever comes next, and nothing else's file."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from rctgap.errors import AnalysisError, OutputError
from rctgap.scorers.judge_answer import StoredScore
from rctgap.scorers.judge_cache import Origin, _patiently, open_cache

SCORES = [
    StoredScore(value=0.1 + 0.2, evidence=((0, 3, 9, 1), (2, 0, 1, -1)), note="evidence not found"),
    StoredScore(value=None, note="no valid answer"),
    StoredScore(value=1.0),
]


def test_what_is_put_is_there_for_another_reader_at_once(tmp_path):
    path = tmp_path / "new" / "folder" / "j.sqlite"
    with open_cache(path) as cache:
        for number, score in enumerate(SCORES):
            assert cache.put(f"r{number}", score, Origin("m")) == score
            with open_cache(path) as other:
                assert other.get(f"r{number}") == score
        assert cache.get("r9") is None


def test_the_first_answer_stands(tmp_path):
    with open_cache(tmp_path / "j.sqlite") as one, open_cache(tmp_path / "j.sqlite") as other:
        one.put("r", SCORES[0], Origin())
        assert other.put("r", SCORES[2], Origin()) == SCORES[0]
        assert one.get("r") == SCORES[0]


def test_threads_share_one_cache(tmp_path):
    with open_cache(tmp_path / "j.sqlite") as cache, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: cache.put(f"r{number % 50}", SCORES[2], Origin()), range(200)))
    with closing(sqlite3.connect(tmp_path / "j.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM answers").fetchone() == (50,)


def test_many_may_open_a_new_file_at_once(tmp_path):
    def opened(number: int) -> StoredScore:
        with open_cache(tmp_path / "j.sqlite") as cache:
            return cache.put(f"r{number}", SCORES[2], Origin())

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(opened, range(24))) == [SCORES[2]] * 24


def test_a_new_file_that_another_process_looks_at_is_waited_for(tmp_path):
    path = tmp_path / "j.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM sqlite_schema").fetchall()
        later = threading.Timer(0.2, other.execute, ["COMMIT"])
        later.start()
        with open_cache(path) as cache:
            assert cache.put("r", SCORES[2], Origin()) == SCORES[2]
        later.join()


def foreign_text(path: Path) -> None:
    path.write_text("participant,text\n" * 200, encoding="utf-8")


def foreign_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE patients (id)")


def later_form(path: Path) -> None:
    with open_cache(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize("make", [foreign_text, foreign_table, later_form])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path, make):
    path = tmp_path / "j.sqlite"
    make(path)
    before = path.read_bytes()
    with pytest.raises(AnalysisError, match="holds no answers of a judge") as caught, open_cache(path):
        pass
    assert caught.value.faults[0].file == str(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "damaged",
    [
        '{"value": 2.0, "evidence": [], "note": ""}',
        '{"value": 1.0, "evidence": [], "note": "he said"}',
        '{"value": 1.0, "evidence": [[0, 1]], "note": ""}',
        "zebra-crossing",
    ],
)
def test_a_damaged_row_is_named_and_not_shown(tmp_path, damaged):
    path = tmp_path / "j.sqlite"
    with open_cache(path) as cache:
        cache.put("r1", SCORES[2], Origin())
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE answers SET score = ?", (damaged,))
    with open_cache(path) as cache, pytest.raises(AnalysisError, match="stored answer is damaged") as caught:
        cache.get("r1")
    assert damaged not in str(caught.value)
    assert caught.value.faults[0].place == "r1"


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in (tmp_path, tmp_path / "file" / "j.sqlite"):
        with pytest.raises(OutputError, match="cannot be kept"), open_cache(path):
            pass


def test_a_busy_file_is_tried_again_and_other_faults_are_not(tmp_path):
    """SQLite itself waits for most locks, but not for all while two processes set up one file."""
    path = tmp_path / "j.sqlite"
    tries = 0

    def step() -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            holder.execute("COMMIT")
        waiting.execute("CREATE TABLE made (id)")

    with (
        closing(sqlite3.connect(path, isolation_level=None)) as holder,
        closing(sqlite3.connect(path, timeout=0.0, isolation_level=None)) as waiting,
    ):
        holder.execute("BEGIN EXCLUSIVE")
        _patiently(step)
        assert tries == 3
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            _patiently(step)
        assert tries == 4
