"""Logs that hold both sides of a chat as one mapping of speakers to numbered messages."""

import math
from collections.abc import Mapping
from typing import Any

from rctgap.conversations import Speaker, Turn
from rctgap.logs.cells import Said, as_value, blank, said, whole
from rctgap.logs.literals import LiteralError

__all__ = ["chat_history"]

SIDES: tuple[Speaker, ...] = ("user", "bot")


def chat_history(cell: Any) -> Said:
    """Turns from `{"user": [{"id": 1, "text": ...}, ...], "bot": [...]}`: by id, the user's before the bot's.

    Raises
    ------
    LiteralError
        The cell is no such mapping.

    Examples
    --------
    >>> from rctgap.logs.chat_history import chat_history
    >>> cell = "{'user': [{'id': 1, 'text': 'It hurts.'}], 'bot': [{'id': 1, 'text': 'Where?', 'score': 50}]}"
    >>> [turn.text for turn in chat_history(cell).turns]
    ['It hurts.', 'Where?']
    """
    found = {} if blank(cell) else as_value(cell)
    if not isinstance(found, Mapping):
        raise LiteralError("no mapping of `user` and `bot`")
    if not found:
        return Said(())
    wrong = [f"no list `{side}`" for side in SIDES if not isinstance(found.get(side), list)]
    numbered: list[tuple[float, int, Turn]] = []
    lost, first = 0, math.inf
    for order, side in enumerate(SIDES):
        listed = found.get(side)
        for one in listed if isinstance(listed, list) else []:
            number, text = (_number(one.get("id")), one.get("text")) if isinstance(one, Mapping) else (None, None)
            if number is not None and isinstance(text, str):
                numbered.append((number, order, Turn(side, whole(text))))
            else:
                lost += 1
                first = min(first, -math.inf if number is None else number)
    if lost:
        wrong.append(f"messages without readable id or text: {lost}")
    numbered.sort(key=lambda one: one[:2])
    before = sum(number < first for number, _, _ in numbered) if lost else 0
    return said([turn for _, _, turn in numbered], wrong, before=before)


def _number(given: Any) -> float | None:
    """An id, as a number or as its digits."""
    if isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 16:  # noqa: PLR2004 - exact in a float
        return float(given)
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        number = float(given)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None
