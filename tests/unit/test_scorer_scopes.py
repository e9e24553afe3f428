"""Which texts of a conversation a scorer sees."""

from itertools import pairwise

import pytest

from rctgap.conversations import Conversation, Turn
from rctgap.errors import AnalysisError
from rctgap.scorers.scopes import SCOPES, check_scope, texts_in_scope

SAID = (
    Turn("system", "S"),
    Turn("bot", "hello"),
    Turn("user", "u1"),
    Turn("user", "u2"),
    Turn("bot", "b1"),
    Turn("system", "tool"),
    Turn("bot", "b2"),
    Turn("user", "u3"),
    Turn("bot", "b3"),
    Turn("user", "u4"),
)


def conversation(turns=SAID):
    return Conversation("c1", "line 1", tuple(turns))


@pytest.mark.parametrize(
    ("scope", "texts"),
    [
        ("first_user", "u1"),
        ("user", "u1 u2 u3 u4"),
        ("bot", "hello b1 b2 b3"),
        ("either", "hello u1 u2 b1 b2 u3 b3 u4"),
        ("first_bot", "b1 b2"),
        ("last_bot", "b3"),
        ("through_turn_1", "b1 b2"),
        ("through_turn_2", "b1 b2 b3"),
        ("through_turn_3", "b1 b2 b3"),
        ("through_turn_9999", "b1 b2 b3"),
        ("user_through_turn_1", "u1 u2"),
        ("user_through_turn_2", "u1 u2 u3"),
    ],
)
def test_texts_of_each_scope(scope, texts):
    assert texts_in_scope(conversation(), scope) == tuple(texts.split())


def test_through_turn_k_grows_with_k():
    seen = [texts_in_scope(conversation(), f"through_turn_{one}") for one in range(1, 5)]
    for fewer, more in pairwise(seen):
        assert more[: len(fewer)] == fewer


@pytest.mark.parametrize("scope", [*SCOPES, "through_turn_2", "user_through_turn_2"])
def test_nothing_said_gives_no_text(scope):
    assert texts_in_scope(conversation([]), scope) == ()
    assert texts_in_scope(conversation([Turn("system", "S")]), scope) == ()


@pytest.mark.parametrize("scope", ["bot", "first_bot", "last_bot", "through_turn_1"])
def test_an_unanswered_question_has_no_reply(scope):
    assert texts_in_scope(conversation([Turn("user", "u1")]), scope) == ()


@pytest.mark.parametrize(
    "name", ["bots", "through_turn_0", "through_turn_", "through_turn_-1", "through_turn_1\n", "Bot", "", "system"]
)
def test_what_is_no_scope_is_refused(name):
    with pytest.raises(AnalysisError) as caught:
        texts_in_scope(conversation(), name)
    assert caught.value.faults[0].value == name


def test_the_nearest_scope_is_offered():
    with pytest.raises(AnalysisError, match="Did you mean 'last_bot'"):
        check_scope("lastbot")
    with pytest.raises(AnalysisError, match="Did you mean 'through_turn_1'"):
        check_scope("through_turn1")
