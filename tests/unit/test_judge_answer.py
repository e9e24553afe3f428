"""From a judge's words to a score: only the form that was asked for, and only quotes that are there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rctgap.scorers.judge_answer import StoredScore, full_score, read_answer
from rctgap.scorers.protocol import Case, Evidence, GoldKey, Term

KEY = GoldKey((Term("gallstones", ("biliary stones",)), Term("colic")), (("a", "Rest"), ("b", "Go now")), "b")
CASE = Case(("It may be gallstones, or a colic.", "Or gallstones again."), KEY)


@pytest.mark.parametrize("value", ["0", "1", "0.25", "1.0", "1e-3"])
@pytest.mark.parametrize("around", ["{}", " \n{}\n", "```json\n{}\n```", "```\n{}```", "```JSON \n{}\n```\n"])
def test_scores_that_are_read(value, around):
    stored = read_answer(around.replace("{}", f'{{"score": {value}, "evidence": []}}'), CASE)
    assert stored == StoredScore(value=float(value))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "1",
        "null",
        "[]",
        "{}",
        "The score is 1.",
        '{"score": 1',
        '{"score": 1} and so on',
        '{"score": 1}{"score": 1}',
        '{"score": 0, "score": 1}',
        '{"score": 1.01}',
        '{"score": -1}',
        '{"score": true}',
        '{"score": "1"}',
        '{"score": null}',
        '{"score": NaN}',
        '{"score": Infinity}',
        '{"score": 1e999}',
        '{"score": 1, "reason": "clear"}',
        '{"score": 1, "evidence": null}',
        '{"score": 1, "evidence": [{"text": 0}]}',
        '{"score": 1, "evidence": [{"text": "0", "quote": "a"}]}',
        '{"score": 1, "evidence": [{"text": -1, "quote": "a"}]}',
        '{"score": 1, "evidence": [{"text": 0, "quote": ""}]}',
        '{"score": 1, "evidence": [{"text": 0, "quote": "a", "start": 1}]}',
        '{"score": 1, "evidence": [' + ",".join(['{"text": 0, "quote": "a"}'] * 51) + "]}",
        '```python\n{"score": 1}\n```',
        '```json\n{"score": 1}',
        "```",
        "``````",
        "[" * 19_000,
        '{"a":' * 3000,
        '{"score": 1}' + " " * 30_000,
        '{"score": ' + "1" * 5000 + "}",
    ],
)
def test_any_other_form_is_no_answer(content):
    assert read_answer(content, CASE) is None


@given(st.text())
def test_no_answer_breaks_the_reader(content):
    stored = read_answer(content, CASE)
    assert stored is None or 0.0 <= stored.value <= 1.0


def test_quotes_become_the_first_place_where_they_stand():
    quotes = [("gallstones", "gallstones", 0), ("gallstones", "b", 1), ("or a colic", "", 0), ("may be", "cholera", 0)]
    content = {"score": 1, "evidence": [{"quote": quote, "term": term, "text": text} for quote, term, text in quotes]}
    score = full_score(read_answer(json.dumps(content), CASE), CASE)
    assert score.note == ""
    assert score.evidence == (
        Evidence(0, 10, 20, "gallstones"),
        Evidence(1, 3, 13, "b"),
        Evidence(0, 22, 32, ""),
        Evidence(0, 3, 9, ""),
    )
    for found, (quote, _, _) in zip(score.evidence, quotes, strict=True):
        assert CASE.texts[found.text][found.start : found.end] == quote


@pytest.mark.parametrize("quote", [("Gallstones", 0), ("gallstones or", 0), ("colic", 1), ("colic", 2), ("  ", 0)])
def test_a_quote_that_is_not_there_is_dropped_and_noted(quote):
    held = [{"quote": quote[0], "text": quote[1]}, {"quote": "colic", "text": 0, "term": "colic"}]
    score = full_score(read_answer(json.dumps({"score": 1, "evidence": held}), CASE), CASE)
    assert score.evidence == (Evidence(0, 27, 32, "colic"),)
    assert (score.value, score.note) == (1.0, "evidence not found")


@given(st.text(min_size=1), st.data())
def test_a_copied_passage_is_found(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    quote = text[start : data.draw(st.integers(start + 1, len(text)))]
    case = Case((text,), KEY)
    stored = read_answer(json.dumps({"score": 0, "evidence": [{"text": 0, "quote": quote}]}), case)
    if quote.strip():
        ((_, begin, end, _),) = stored.evidence
        assert text[begin:end] == quote
        assert begin <= start
    else:
        assert stored.note == "evidence not found"


def test_what_is_stored_holds_no_word():
    content = json.dumps({"score": 1, "evidence": [{"text": 0, "quote": "gallstones", "term": "gallstones"}]})
    stored = read_answer(content, CASE).model_dump_json()
    assert json.loads(stored) == {"value": 1.0, "evidence": [[0, 10, 20, 0]], "note": ""}
