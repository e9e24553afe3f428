"""Which texts of a conversation a scorer sees."""

import re

from rctgap.conversations import Conversation, Speaker
from rctgap.documents import nearest
from rctgap.errors import AnalysisError, Fault

__all__ = ["SCOPES", "check_scope", "is_whole", "texts_in_scope"]

SCOPES = ("first_user", "user", "bot", "either", "first_bot", "last_bot")
CUMULATIVE = re.compile(r"(user_)?through_turn_([1-9][0-9]{0,3})")


def check_scope(name: str) -> None:
    """Refuse what is no scope.

    Raises
    ------
    AnalysisError
        The scopes, with the nearest.
    """
    if name not in SCOPES and not CUMULATIVE.fullmatch(name):
        known = [*SCOPES, "through_turn_1", "user_through_turn_1"]
        raise AnalysisError(Fault("this is no scope", nearest(name, known), place="scope", value=name))


def texts_in_scope(conversation: Conversation, scope: str) -> tuple[str, ...]:
    """Texts of a scope in the order in which they were said; none where nobody said any, which scorers call wrong.

    Parameters
    ----------
    conversation : Conversation
    scope : str
        `first_user`, `user`, `bot`, `either` (both sides), `first_bot` (all that answers the first message),
        `last_bot`, `through_turn_K`: what the assistant said in the first K exchanges, an exchange being a message of
        the user and all that answers it, or `user_through_turn_K`: what the user said in them. Messages of the user in
        a row are one; what the assistant says before the first is in no exchange.

    Raises
    ------
    AnalysisError
        Another scope.

    Examples
    --------
    >>> from rctgap.conversations import Conversation, Turn
    >>> from rctgap.scorers.scopes import texts_in_scope
    >>> said = (Turn("user", "It hurts."), Turn("bot", "Where?"), Turn("user", "Here."), Turn("bot", "See a doctor."))
    >>> one = Conversation("c1", "line 1", said)
    >>> texts_in_scope(one, "last_bot"), texts_in_scope(one, "through_turn_1")
    (('See a doctor.',), ('Where?',))
    """
    check_scope(scope)
    if scope == "either":
        return tuple(turn.text for turn in conversation.turns if turn.speaker != "system")
    if scope.endswith("user"):
        return conversation.said_by("user")[: 1 if scope == "first_user" else None]
    found = CUMULATIVE.fullmatch(scope)
    if found is not None or scope == "first_bot":
        speaker: Speaker = "user" if found is not None and found[1] else "bot"
        return _through(conversation, int(found[2]) if found else 1, speaker)
    return conversation.said_by("bot")[-1 if scope == "last_bot" else 0 :]


def is_whole(conversation: Conversation, scope: str) -> bool:
    """Whether a scope that goes by position holds every message that counts; others are taken as far as they go.

    Where the first reply is lost, the second would pass for it.

    Examples
    --------
    >>> from rctgap.conversations import Conversation, Turn
    >>> from rctgap.scorers.scopes import is_whole
    >>> said = (Turn("user", "It hurts."), Turn("bot", "See a doctor."), Turn("user", "Why?"))
    >>> is_whole(Conversation("c1", "line 1", said, lost=1), "first_bot")
    False
    >>> is_whole(Conversation("c1", "line 1", said, lost=3), "first_bot")
    True
    """
    found = CUMULATIVE.fullmatch(scope)
    if conversation.lost is None or (found is None and scope not in ("first_user", "first_bot")):
        return True
    if scope == "first_user":
        speakers = [turn.speaker for turn in conversation.turns]
        return "user" in speakers and speakers.index("user") < conversation.lost
    return _end(conversation, int(found[2]) if found else 1) < conversation.lost


def _end(conversation: Conversation, exchanges: int) -> int:
    """Place of the turn that begins the next exchange, or of the end."""
    asked, previous = 0, ""
    for place, turn in enumerate(conversation.turns):
        if turn.speaker == "user" and previous != "user":
            asked += 1
            if asked > exchanges:
                return place
        if turn.speaker != "system":
            previous = turn.speaker
    return len(conversation.turns)


def _through(conversation: Conversation, exchanges: int, speaker: Speaker) -> tuple[str, ...]:
    """What a speaker said in the first exchanges."""
    texts, asked, previous = [], 0, ""
    for turn in conversation.turns:
        if turn.speaker == "user" and previous != "user":
            asked += 1
        if turn.speaker == speaker and 1 <= asked <= exchanges:
            texts.append(turn.text)
        if turn.speaker != "system":
            previous = turn.speaker
    return tuple(texts)
