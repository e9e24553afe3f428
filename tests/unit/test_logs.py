"""Chat logs of every format, read back to the turns that were written."""

import csv
import datetime as dt
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rctgap.errors import AnalysisError, DataError
from rctgap.logs.reading import LogForm, read_conversations

ROOT = Path(__file__).parents[2]
HALIE = Path(os.environ.get("RCTGAP_HALIE", ROOT.parent / "shared" / "data" / "halie"))

TALK = (("user", "Is it far?"), ("bot", "No, it's near."), ("user", 'She said "left".\nOr right?'), ("bot", "Left."))
ROLES = {"user": "user", "bot": "assistant", "system": "system"}
FROM = {"user": "human", "bot": "gpt", "system": "system"}


def chat(talk, role=ROLES, names=("role", "content")):
    return [dict(zip(names, (role[speaker], text), strict=True)) for speaker, text in talk]


def numbered(talk):
    sides = {side: [text for speaker, text in talk if speaker == side] for side in ("user", "bot")}
    return {side: [{"id": place, "text": text} for place, text in enumerate(texts, 1)] for side, texts in sides.items()}


def sides(talk):
    return {side: repr([text for speaker, text in talk if speaker == side]) for side in ("user", "bot")}


def jsonl(path: Path, *records, ascii_=False) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=ascii_) + "\n" for one in records), encoding="utf-8")
    return path


def table(path: Path, *rows) -> Path:
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.Table.from_pylist(list(rows)), path)
        return path
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def spoken(one):
    return tuple((turn.speaker, turn.text) for turn in one.turns)


def only(path, form=None):
    (one,) = read_conversations(path, form)
    return one


WRITERS = {
    "messages jsonl": lambda folder, talk: jsonl(folder / "a.jsonl", {"messages": chat(talk)}),
    "messages jsonl, escaped": lambda folder, talk: jsonl(folder / "a.ndjson", {"messages": chat(talk)}, ascii_=True),
    "messages as text": lambda folder, talk: jsonl(folder / "a.jsonl", {"conversation": json.dumps(chat(talk))}),
    "messages csv": lambda folder, talk: table(folder / "a.csv", {"item": "s", "messages": json.dumps(chat(talk))}),
    "messages structs": lambda folder, talk: table(folder / "a.parquet", {"item": "s", "messages": chat(talk)}),
    "messages parquet text": lambda folder, talk: table(folder / "a.parquet", {"messages": json.dumps(chat(talk))}),
    "sharegpt array": lambda folder, talk: array(
        folder / "a.json", {"conversations": chat(talk, FROM, ("from", "value"))}
    ),
    "sharegpt jsonl": lambda folder, talk: jsonl(
        folder / "a.jsonl", {"conversations": chat(talk, FROM, ("from", "value"))}
    ),
    "chat_history csv": lambda folder, talk: table(
        folder / "a.csv", {"item": "s", "chat_history": repr(numbered(talk))}
    ),
    "chat_history json": lambda folder, talk: table(
        folder / "a.csv", {"item": "s", "chat_history": json.dumps(numbered(talk))}
    ),
    "chat_history parquet": lambda folder, talk: table(folder / "a.parquet", {"chat_history": repr(numbered(talk))}),
    "query_response csv": lambda folder, talk: table(folder / "a.csv", {"item": "s", **sides(talk)}),
    "query_response parquet": lambda folder, talk: table(folder / "a.parquet", sides(talk)),
}


def array(path: Path, *records) -> Path:
    path.write_text(json.dumps(list(records), indent=1), encoding="utf-8")
    return path


@pytest.mark.parametrize("writer", WRITERS)
def test_every_format_gives_the_turns_that_were_written(tmp_path: Path, writer: str):
    one = only(WRITERS[writer](tmp_path, TALK))
    assert spoken(one) == TALK
    assert (one.flaw, one.detail) == ("", "")


TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
        st.sampled_from("'\"\\\n\r\t{}[],:#\x1b\x7f"),
    ),
    max_size=30,
)


@pytest.mark.parametrize("writer", WRITERS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_any_text_comes_back_as_it_was(tmp_path: Path, writer: str, texts):
    talk = tuple(one for user, bot in texts for one in (("user", user), ("bot", bot)))
    assert spoken(only(WRITERS[writer](tmp_path, talk))) == talk


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("role", "speaker"),
    [
        ("Human", "user"),
        ("model", "bot"),
        ("ai", "bot"),
        ("developer", "system"),
        ("tool", "system"),
        ("function", "system"),
    ],
)
def test_roles_are_known_by_many_names(tmp_path: Path, role: str, speaker: str):
    path = jsonl(tmp_path / "a.jsonl", {"messages": [{"role": "user", "content": "a"}, {"role": role, "content": "b"}]})
    assert spoken(only(path))[1] == (speaker, "b")


def test_of_content_in_parts_the_texts_count(tmp_path: Path):
    parts = [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "reasoning", "text": "not said"},
        {"type": "text", "text": "What is it?"},
    ]
    one = only(jsonl(tmp_path / "a.jsonl", {"messages": [{"role": "user", "content": parts}]}))
    assert spoken(one) == (("user", "Look:\nWhat is it?"),)


def test_a_last_reply_that_ran_out_of_length_is_truncated(tmp_path: Path):
    def ended(*reasons):
        said = [{"role": "assistant", "content": "b", "finish_reason": reason} for reason in reasons]
        return only(jsonl(tmp_path / "a.jsonl", {"messages": [{"role": "user", "content": "a"}, *said]}))

    assert ended("stop", "length").flaw == "truncated"
    assert ended("length", "stop").flaw == ""
    assert len(ended("length").turns) == 2
    after = [{"role": "assistant", "content": "b", "finish_reason": "length"}, {"role": "user", "content": "And?"}]
    assert only(jsonl(tmp_path / "a.jsonl", {"messages": after})).flaw == "truncated"


def test_messages_that_cannot_be_read_are_counted_and_the_rest_is_kept(tmp_path: Path):
    said = [{"role": "user", "content": "a"}, {"role": "oracle", "content": "b"}, {"role": "assistant"}, "c"]
    one = only(jsonl(tmp_path / "a.jsonl", {"messages": said}))
    assert (spoken(one), one.flaw) == ((("user", "a"),), "truncated")
    assert one.detail == "messages without readable role or content: 3"


def test_nobody_is_said_never_to_have_written_whose_words_are_lost(tmp_path: Path):
    said = [{"role": "user", "content": 7}, {"role": "assistant", "content": "b"}]
    one = only(jsonl(tmp_path / "a.jsonl", {"messages": said}))
    assert (one.turns, one.flaw) == ((), "unreadable")


def test_times_come_along(tmp_path: Path):
    said = [
        {"role": "user", "content": "a", "timestamp": "2026-01-02T03:04:05Z"},
        {"role": "assistant", "content": "b"},
    ]
    one = only(jsonl(tmp_path / "a.jsonl", {"time": 12, "messages": said}))
    assert [turn.time for turn in one.turns] == ["2026-01-02T03:04:05Z", ""]
    assert one.links["time"] == "12"


def test_a_tool_call_without_words_is_a_turn_without_words(tmp_path: Path):
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": None, "tool_calls": [{"id": "t"}]}]
    assert spoken(only(jsonl(tmp_path / "a.jsonl", {"messages": said}))) == (("user", "a"), ("bot", ""))


def test_half_a_character_is_replaced_and_two_halves_are_joined(tmp_path: Path):
    path = tmp_path / "a.csv"
    lone, pair = "a\\ud83db", "\\ud83d\\ude00"  # escapes, as Python writes them
    table(path, {"item": "s", "user": f"['{lone}', '{pair}']", "bot": "['x', 'y']"})
    assert only(path).said_by("user") == ("a\ufffdb", "\U0001f600")


# ---------------------------------------------------------------- chat_history and query_response


def test_chat_history_goes_by_the_numbers_and_the_user_first(tmp_path: Path):
    cell = {
        "bot": [
            {"id": 10, "text": "last", "score": 50},
            {"id": "2", "text": "b2"},
            {"id": 1, "text": "b1", "score": None},
        ],
        "user": [{"id": 2, "text": "u2"}, {"id": 1, "text": "u1"}],
    }
    one = only(table(tmp_path / "a.csv", {"item": "s", "chat_history": repr(cell)}))
    assert [turn.text for turn in one.turns] == ["u1", "b1", "u2", "b2", "last"]
    assert one.flaw == ""


@pytest.mark.parametrize(
    ("cell", "flaw", "turns"),
    [
        ("", "empty", 0),
        ("{}", "empty", 0),
        ("{'user': [], 'bot': []}", "empty", 0),
        ("{'user': [{'id': 1, 'text': 'a'}], 'bot': [{'id': 1, 'te", "unreadable", 0),
        ("{'user': [{'id': 1, 'text': 'a'}], 'bot': [{'id': 1, 'text': 'b'}", "unreadable", 0),
        ("{'user': [{'id': 1, 'text': 'a'}]}", "truncated", 1),
        ("{'bot': [{'id': 1, 'text': 'a'}]}", "unreadable", 0),
        ("{'user': [{'id': 1, 'text': 'a'}, {'id': None, 'text': 'b'}], 'bot': []}", "truncated", 1),
        ("{'user': [{'id': 1, 'text': 'a'}], 'user': [], 'bot': []}", "unreadable", 0),
        ("[{'id': 1}]", "unreadable", 0),
        ("nan", "unreadable", 0),
        ("__import__('os').system('touch never')", "unreadable", 0),
        ("{'user': " + "[" * 100_000, "unreadable", 0),
    ],
)
def test_damage_within_a_cell_is_a_flaw(tmp_path: Path, cell: str, flaw: str, turns: int):
    path = table(tmp_path / "a.csv", {"item": "s", "chat_history": cell}, {"item": "t", "chat_history": "{}"})
    one, other = read_conversations(path, LogForm("chat_history"))
    assert (one.flaw, len(one.turns), other.flaw) == (flaw, turns, "empty")
    assert one.detail
    assert "never" not in one.detail
    assert one.links == {"item": "s"}


def test_lists_of_unequal_length_are_kept_whole(tmp_path: Path):
    path = tmp_path / "a.csv"
    table(path, {"item": "s", "user": "['a', 'b', 'c']", "bot": "['x']"}, {"item": "t", "user": "['a", "bot": "[]"})
    one, cut = read_conversations(path)
    assert [turn.text for turn in one.turns] == ["a", "x", "b", "c"]
    assert (one.flaw, one.detail) == ("truncated", "queries: 3, responses: 1")
    assert (cut.flaw, cut.detail) == ("unreadable", "queries: cut off: a quote or bracket stays open")


def test_entries_that_are_no_text_do_not_shift_the_others(tmp_path: Path):
    one = only(table(tmp_path / "a.csv", {"item": "s", "user": "['a', None, 'c']", "bot": "['x', 'y', 'z']"}))
    assert [turn.text for turn in one.turns] == ["a", "x", "y", "c", "z"]
    assert one.flaw == "truncated"


# ---------------------------------------------------------------- links, keys, fields


def test_links_are_the_named_fields_and_no_others(tmp_path: Path):
    record = {
        "conversation": 7,
        "participant": "p1",
        "arm": None,
        "model": "m1",
        "score": 3,
        "note": "kept back",
        "messages": [],
    }
    form = LogForm("messages", {"system": "model", "extra": "score"})
    one = only(jsonl(tmp_path / "a.jsonl", record), form)
    assert one.links == {"conversation": "7", "participant": "p1", "system": "m1", "extra": "3"}
    assert (one.key, one.place, one.system, one.flaw) == ("7", "line 1", "m1", "empty")


def test_typed_values_become_the_text_a_person_would_write(tmp_path: Path):
    when = dt.datetime(2026, 3, 4, 5, 6, tzinfo=dt.UTC)
    row = {"participant": 7.0, "item": 2.5, "arm": True, "time": when, "system": float("nan"), "messages": chat(TALK)}
    one = only(table(tmp_path / "a.parquet", row))
    assert one.links == {"participant": "7", "item": "2.5", "arm": "True", "time": "2026-03-04T05:06:00+00:00"}
    assert one.system == ""


def test_a_log_without_names_for_conversations_goes_by_ids_or_places(tmp_path: Path):
    named = LogForm("auto", {"conversation": "conversation"})
    both = [{"id": "g7", "conversations": []}, {"conversations": []}]
    assert [one.key for one in read_conversations(array(tmp_path / "a.json", *both), named)] == [
        "g7",
        "record 2, line 6",
    ]
    rows = [{"item": "s", "chat_history": "{}"}, {"item": "t", "chat_history": "{}"}]
    found = list(read_conversations(table(tmp_path / "b.csv", *rows), named))
    assert [one.key for one in found] == ["row 1", "row 2"]


@pytest.mark.parametrize(("columns", "key"), [({}, "line 1"), ({"conversation": "conversation"}, "talk 7")])
def test_a_name_with_spaces_counts_where_it_is_called_a_name(tmp_path: Path, columns, key):
    path = tmp_path / "logs.jsonl"
    said = [{"role": "user", "content": "Hi"}]
    path.write_text(json.dumps({"conversation": "talk 7", "participant": "p1", "messages": said}) + "\n")
    (one,) = read_conversations(path, LogForm(columns=columns))
    assert one.key == key


def test_a_column_called_conversation_is_a_key_unless_it_holds_the_messages(tmp_path: Path):
    row = {"conversation": "c1", "chat_history": repr(numbered(TALK))}
    one = only(table(tmp_path / "a.csv", row))
    assert (one.key, spoken(one)) == ("c1", TALK)
    assert spoken(only(table(tmp_path / "b.csv", row | {"conversation": ""}))) == TALK
    with pytest.raises(DataError, match="needs a field for messages"):
        only(jsonl(tmp_path / "b.jsonl", {"conversation": "c1", "talk": chat(TALK)}), LogForm("messages"))
    one = only(jsonl(tmp_path / "a.jsonl", {"id": 3, "conversation": chat(TALK)}))
    assert (one.key, one.links, spoken(one)) == ("3", {"conversation": "3"}, TALK)


def test_fields_may_have_any_name(tmp_path: Path):
    rows = {"talk": repr(numbered(TALK)), "who": "p1"}
    one = only(table(tmp_path / "a.csv", rows), LogForm("auto", {"messages": "talk", "participant": "who"}))
    assert (spoken(one), one.links) == (TALK, {"participant": "p1"})
    one = only(table(tmp_path / "b.csv", {"q": "['a']", "r": "['b']"}), LogForm("auto", {"user": "q", "bot": "r"}))
    assert spoken(one) == (("user", "a"), ("bot", "b"))


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path):
    table(tmp_path / "b.csv", {"item": "s2", "chat_history": repr(numbered(TALK))})
    jsonl(
        tmp_path / "a.jsonl",
        {"item": "s1", "messages": chat(TALK)},
        {"conversation": "c", "item": "s3", "messages": []},
    )
    (tmp_path / "notes.txt").write_text("no log")
    found = list(read_conversations(tmp_path))
    assert [one.links["item"] for one in found] == ["s1", "s3", "s2"]
    assert [one.key for one in found] == ["a.jsonl line 1", "c", "b.csv row 1"]


def test_the_format_may_be_unclear_and_texts_are_not_shown(tmp_path: Path):
    path = table(tmp_path / "a.csv", {"I have a headache": "x", "worker": "y"})
    with pytest.raises(DataError) as caught:
        list(read_conversations(path))
    message = str(caught.value)
    assert "fields seen: worker, 1 more" in message
    assert "messages, chat_history, query_response, sharegpt, inspect" in message
    assert "headache" not in message


@pytest.mark.parametrize(
    ("form", "what"),
    [
        (LogForm("chat_history"), "the format chat_history needs a field for messages"),
        (LogForm("messages", {"participant": "wroker"}), "the log has no field for participant"),
    ],
)
def test_a_field_that_is_not_there_is_named_with_the_nearest(tmp_path: Path, form: LogForm, what: str):
    path = jsonl(tmp_path / "a.jsonl", {"worker": "p", "messages": []})
    with pytest.raises(DataError) as caught:
        list(read_conversations(path, form))
    (fault,) = caught.value.faults
    assert (fault.what, fault.file, fault.place) == (what, str(path), "line 1")
    assert "Allowed: messages, worker" in fault.allowed


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(AnalysisError, match="Did you mean 'messages'"):
        LogForm("mesages")


# ---------------------------------------------------------------- a real log


@pytest.mark.skipif(not (HALIE / "event_blocks.csv").is_file(), reason="the HALIE logs are not here (RCTGAP_HALIE)")
def test_every_row_of_a_real_log_reads():
    form = LogForm("auto", {"participant": "worker_id", "item": "question_id", "system": "model"})
    found = list(read_conversations(HALIE / "event_blocks.csv", form))
    assert len(found) == 3641
    assert len({one.links["participant"] for one in found}) == 331
    assert {one.flaw for one in found} == {"", "empty"}
    with (HALIE / "event_blocks.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    # A column of its own gives each query a type, in words without commas.
    types = [row["user_query_types"].count(",") + 1 if row["user_query_types"] != "[]" else 0 for row in rows]
    assert [len(one.said_by("user")) for one in found] == types
    assert [len(one.said_by("bot")) for one in found] == types
