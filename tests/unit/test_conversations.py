"""Conversations as one table of turns."""

from rctgap.conversations import TURN_COLUMNS, Conversation, Turn, turn_table


def test_every_turn_is_a_row_with_its_links_and_any_text():
    hostile = "\udcff\x00<script>"
    spoken = (Turn("user", hostile, "2026-01-01"), Turn("bot", "See a doctor."))
    frame = turn_table([Conversation("c1", "line 1", spoken, {"participant": "p1", "arm": "a1"}, "m1")])
    assert list(frame.columns) == list(TURN_COLUMNS)
    assert frame.iloc[0].tolist() == ["c1", 1, "user", hostile, "2026-01-01", "m1", "p1", None, "a1"]
    assert frame["turn"].tolist() == [1, 2]


def test_no_conversation_is_an_empty_table():
    assert turn_table([]).columns.tolist() == list(TURN_COLUMNS)
    assert turn_table([Conversation("c1", "line 1", ())]).empty


def test_a_record_shown_shows_no_text():
    one = Conversation("c1", "line 1", (Turn("user", "secret words"),), {"participant": "p9"})
    assert "secret" not in repr(one)
    assert "p9" not in repr(one)
