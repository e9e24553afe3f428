"""Literals of untrusted cells: what Python writes is read, what is beyond a limit is refused before it is parsed."""

import ast
import json
import time
import tracemalloc
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rctgap.logs.literals import LiteralError, literal

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=12
)


def read(text, max_chars=10**6, max_depth=50, max_values=10**5):
    return literal(text, max_chars=max_chars, max_depth=max_depth, max_values=max_values)


@given(VALUES)
def test_what_python_or_json_writes_reads_back(value):
    assert read(repr(value)) == value
    assert read(json.dumps(value)) == value
    assert read(json.dumps(value, ensure_ascii=False)) == value


@given(st.text(st.sampled_from("[]{}()'\"\\,: 1ab#\n"), max_size=40))
def test_nothing_but_a_literal_is_read(text):
    try:
        expected = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError):
        expected = None
    try:
        found = read(text)
    except LiteralError:
        found = None
    if isinstance(expected, list | dict | str | int) and not set("({#") & set(text):
        assert found == expected
    if expected is None:
        assert found is None


def test_tuples_are_lists_and_keys_are_texts():
    assert read("{1: (2, 3.5), None: 'a'}") == {"1": [2, 3.5], "None": "a"}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "neither JSON nor"),
        ("__import__('os').system('true')", "neither JSON nor"),
        ("[x for x in (1, 2)]", "neither JSON nor"),
        ("f'{1 + 1}'", "neither JSON nor"),
        ("{1, 2}", "neither JSON nor"),
        ("b'bytes'", "neither JSON nor"),
        ("...", "neither JSON nor"),
        ("1j", "neither JSON nor"),
        ("{**{'a': 1}}", "neither JSON nor"),
        ("{[]: 1}", "neither JSON nor"),
        ("['a\0b']", "neither JSON nor"),
        ("9" * 5000, "neither JSON nor"),
        ("-" * 100_000 + "1", "neither JSON nor"),
        ("1+" * 50_000 + "1", "neither JSON nor"),
        ("['a', 'b", "cut off"),
        ("['a', ['b']", "cut off"),
        ("['a', 'b\\", "cut off"),
        ("{'a': 1, 'a': 2}", "a key is given twice"),
        ('{"a": 1, "a": 2}', "a key is given twice"),
        ("{1: 'a', '1': 'b'}", "a key is given twice"),
    ],
)
def test_other_texts_are_refused(text: str, what: str):
    with pytest.raises(LiteralError, match=what):
        read(text)


def test_limits_hold_to_the_last_one():
    assert read("[1, 2]", max_chars=6, max_depth=1, max_values=2) == [1, 2]
    for limit, what in (("max_chars", "longer than 5"), ("max_depth", "deeper than 0"), ("max_values", "more than 1")):
        allowed = {"max_chars": 5, "max_depth": 0, "max_values": 1}[limit]
        with pytest.raises(LiteralError, match=what):
            read("[1, 2]", **{limit: allowed})


def test_what_stands_in_quotes_counts_for_nothing():
    assert read(repr(["[" * 1000, "it's", 'say "{"', "\\", ",:" * 1000]), max_depth=1, max_values=10)[1] == "it's"
    assert read(json.dumps(["[" * 1000, "it's", 'say "{"', "\\"]), max_depth=1, max_values=10)[2] == 'say "{"'


NESTED = ["[" * 100_000, "[" * 100_000 + "]" * 100_000, "{'a':" * 50_000, "['" + "a', ['" * 1000]


@pytest.mark.parametrize("text", NESTED, ids=range(len(NESTED)))
def test_nesting_is_refused_before_it_is_parsed(text: str, monkeypatch: pytest.MonkeyPatch):
    def parsed(*_args, **_options):
        raise AssertionError

    monkeypatch.setattr("rctgap.logs.literals._python", parsed)
    monkeypatch.setattr("rctgap.logs.literals.json", SimpleNamespace(loads=parsed))
    with pytest.raises(LiteralError, match="deeper than 20"):
        read(text, max_depth=20)


def test_a_comment_hides_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rctgap.logs.literals._python", None)
    with pytest.raises(LiteralError, match="neither JSON nor"):
        read("[ # '\n" + "[" * 1000 + "# '\n" + "]" * 1001, max_depth=2)


@pytest.mark.parametrize("unit", ["\\'", '\\"', "'\"", "\\", "a'", "'\\'"])
def test_quotes_without_end_take_no_more_time_than_they_are_long(unit: str):
    text = unit * (100_000 // len(unit))
    start = time.process_time()
    with pytest.raises(LiteralError):
        read(text, max_chars=10**7)
    assert time.process_time() - start < 1


def test_a_long_text_takes_memory_in_proportion():
    text = repr(["x\\'\"" * 500_000])
    tracemalloc.start()
    read(text, max_chars=10**8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * len(text)
