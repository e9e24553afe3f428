"""Logs that hold the queries and the responses of a conversation as two lists."""

from itertools import chain, zip_longest
from typing import Any

from rctgap.conversations import Speaker, Turn
from rctgap.logs.cells import Said, as_list, said, whole
from rctgap.logs.literals import LiteralError

__all__ = ["query_response"]


def query_response(queries: Any, responses: Any) -> Said:
    r"""Turns from two lists in order: first query, first response, second query, ...

    Lists of unequal length are kept whole, and said to be truncated.

    Raises
    ------
    LiteralError
        One of them is no list.

    Examples
    --------
    >>> from rctgap.logs.query_response import query_response
    >>> read = query_response("['Is it far?', 'By bus?']", '["It\'s near."]')
    >>> [turn.speaker for turn in read.turns], read.detail
    (['user', 'bot', 'user'], 'queries: 2, responses: 1')
    """
    asked, answered = _side("user", "queries", queries), _side("bot", "responses", responses)
    pairs = list(chain.from_iterable(zip_longest(asked, answered)))
    turns = [one for one in pairs if one is not None]
    lost = len(asked) + len(answered) - len(turns)
    before = pairs.index(None) if lost else None
    unread = [f"queries and responses that are no text: {lost}"] if lost else []
    uneven = f"queries: {len(asked)}, responses: {len(answered)}" if len(asked) != len(answered) else ""
    return said(turns, unread, uneven, before)


def _side(speaker: Speaker, name: str, cell: Any) -> list[Turn | None]:
    """One speaker's turns; None where an entry is no text."""
    try:
        listed = as_list(cell)
    except LiteralError as error:
        raise LiteralError(f"{name}: {error}") from None
    return [Turn(speaker, whole(str(one))) if isinstance(one, str | int | float) else None for one in listed]
