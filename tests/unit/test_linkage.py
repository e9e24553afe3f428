"""Every log finds its answer or is accounted for."""

import pandas as pd
import pytest

import rctgap as rg
from rctgap.conversations import Conversation, Turn
from rctgap.errors import DataError
from rctgap.linkage import Linker, link_columns


def trial(**columns):
    frame = pd.DataFrame(
        {
            "participant": ["p1", "p1", "p2", "p3", "p4"],
            "item": ["s1", "s2", "s1", "s1", "s1"],
            "arm": ["a1", "a1", "a1", "a1", "control"],
            "decision": [1, 0, 1, 0, 1],
        }
        | columns
    )
    return rg.read_trial(frame, design=rg.Design("control", ["a1"]))


def log(person, item, *texts, flaw="", key=""):
    turns = tuple(Turn("user" if place % 2 == 0 else "bot", text) for place, text in enumerate(texts))
    return Conversation(key or f"{person}-{item}", "line 1", turns, {"participant": person, "item": item}, flaw=flaw)


def linker(data=None, **options):
    data = data or trial()
    return Linker(data, link_columns(data, {}), **options)


def steps(one):
    return {(step.arm, step.reason): (step.n_in, step.n_out) for step in one.attrition()}


def test_logs_are_linked_by_participant_and_item():
    one = linker()
    assert one.match(log("p1", "s2", "hello", "yes")).row == 1
    assert one.match(log("p2", "s1", "hello", "yes")).row == 2


def test_a_log_of_nobody_analysed_is_counted_and_scored_nowhere():
    one = linker()
    assert one.match(log("p9", "s1", "hello")).row is None
    assert one.match(log("p4", "s1", "hello")).row is None
    assert one.match(log("p4", "s1")).row is None
    assert steps(one)["", "log belongs to no answer analysed"] == (3, 1)


def test_who_never_wrote_is_told_from_who_has_no_log():
    one = linker()
    one.match(log("p1", "s1", "hello", "yes"))
    one.match(log("p1", "s2", flaw="empty"))
    one.match(log("p2", "s1", "   "))
    assert [one.wrote(row) for row in range(4)] == [True, False, False, None]
    found = steps(one)
    assert found["a1", "no log"] == (4, 3)
    assert found["a1", "empty log: never wrote to the system"] == (3, 1)


def test_a_blank_message_that_got_a_reply_is_use():
    one = linker()
    one.match(log("p1", "s1", "  ", "What would you like to know?"))
    assert one.wrote(0)


def test_no_log_means_never_wrote_where_the_analysis_says_so():
    assert linker(no_log="non_user").wrote(0) is False


def test_unreadable_logs_tell_nothing_and_truncated_ones_what_they_hold():
    one = linker()
    one.match(log("p1", "s1", flaw="unreadable"))
    one.match(log("p1", "s2", "hello", flaw="truncated"))
    assert (one.wrote(0), one.wrote(1)) == (None, True)
    found = steps(one)
    assert found["a1", "log unreadable"] == (2, 1)
    assert found["a1", "log truncated, scored as far as it goes"] == (1, 0)


def test_a_copy_is_left_out_and_counted():
    one = linker()
    assert one.match(log("p1", "s1", "hello", "yes")).fresh
    assert not one.match(log("p1", "s1", "hello", "yes")).fresh
    assert steps(one)["a1", "second log of an answer (copy left out)"] == (2, 1)


def test_a_different_second_log_needs_a_decision():
    one = linker()
    one.match(log("p1", "s1", "hello", "yes"))
    with pytest.raises(DataError, match=r"second, different log .* data.conversations.duplicates: first or last"):
        one.match(log("p1", "s1", "hello", "no"))


@pytest.mark.parametrize(("rule", "fresh"), [("first", False), ("last", True)])
def test_the_first_or_the_last_of_several_logs_counts(rule, fresh):
    one = linker(duplicates=rule)
    one.match(log("p1", "s1", "hello", "yes"))
    assert one.match(log("p1", "s1")).fresh == fresh
    assert one.wrote(0) is (rule == "first")
    assert steps(one)["a1", f"second log of an answer ({rule} kept)"] == (2, 1)


def test_turns_that_differ_only_in_speaker_are_not_copies():
    one = linker(duplicates="last")
    one.match(log("p1", "s1", "hello", "yes"))
    swapped = Conversation(
        "x", "line 2", (Turn("bot", "hello"), Turn("user", "yes")), {"participant": "p1", "item": "s1"}
    )
    assert one.match(swapped).fresh


def test_a_conversation_column_links_by_the_log_s_own_name():
    data = trial(conversation=["c1", "c2", "c3", "c4", None])
    one = Linker(data, link_columns(data, {}))
    assert one.match(Conversation("c3", "line 1", (Turn("user", "hello"),))).row == 2


def test_answers_that_share_a_key_are_refused_with_their_row():
    frame = {"item": ["s1", "s1", "s1", "s1", "s1"]}
    with pytest.raises(DataError, match="row 2: two answers have the same participant, item"):
        linker(trial(**frame))


def test_a_log_without_its_link_is_refused_without_its_words():
    with pytest.raises(DataError, match="line 7: the log has no item") as caught:
        linker().match(Conversation("c", "line 7", (Turn("user", "my secret"),), {"participant": "p1"}))
    assert "secret" not in str(caught.value)


def test_a_link_to_no_column_is_refused_with_the_nearest():
    with pytest.raises(DataError, match="Did you mean 'participant'"):
        link_columns(trial(), {"participant": "participants"})


def test_rows_that_stand_for_several_answers_are_refused():
    with pytest.raises(DataError, match="one row per answer"):
        linker(trial(count=[1, 1, 2, 1, 1]))


def test_aliases_of_an_item_link_too():
    fields = [
        {"name": "participant", "role": "participant", "type": "string"},
        {"name": "item", "role": "item", "type": "string", "levels": [{"value": "1", "label": "s1"}]},
        {"name": "arm", "role": "arm", "type": "string"},
        {"name": "decision", "role": "score", "type": "integer", "stage": "decision"},
    ]
    dictionary = {"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}}}
    frame = pd.DataFrame({"participant": ["p1"], "item": ["1"], "arm": ["a1"], "decision": ["1"]})
    data = rg.read_trial(frame, design=rg.Design(None, ["a1"]), dictionary=dictionary)
    assert Linker(data, link_columns(data, {})).match(log("p1", "1", "hello")).row == 0
