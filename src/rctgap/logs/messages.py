"""Logs that hold a list of messages, each with its role: chat-completion logs, and ShareGPT's."""

from collections.abc import Mapping
from typing import Any

from rctgap.conversations import Speaker, Turn
from rctgap.logs.cells import Said, as_list, said, whole

__all__ = ["SPEAKERS", "messages"]

SPEAKERS: Mapping[str, Speaker] = {
    "user": "user", "human": "user",
    "assistant": "bot", "model": "bot", "bot": "bot", "ai": "bot", "gpt": "bot", "chatgpt": "bot",
    "system": "system", "developer": "system", "tool": "system", "function": "system",
}  # fmt: skip
ROLE, CONTENT, TIME = ("role", "from"), ("content", "value", "text"), ("timestamp", "time", "created_at")
TEXT_PARTS = (None, "text", "input_text", "output_text")


def messages(cell: Any) -> Said:
    """Turns from a list of messages: `{role, content}` or `{from, value}`.

    Content may be a list of parts, of which the texts count, joined by line ends. A last reply that ended for its
    length is a flaw, and so are messages that cannot be read.

    Raises
    ------
    LiteralError
        The cell is no list.

    Examples
    --------
    >>> from rctgap.logs.messages import messages
    >>> read = messages([{"role": "user", "content": "Hi"}, {"role": "model", "content": [{"text": "Hello"}]}])
    >>> [(turn.speaker, turn.text) for turn in read.turns]
    [('user', 'Hi'), ('bot', 'Hello')]
    """
    turns: list[Turn] = []
    lost, cut, before = 0, False, 0
    for one in as_list(cell):
        turn = _turn(one) if isinstance(one, Mapping) else None
        if turn is None:
            before = before if lost else len(turns)
            lost += 1
            continue
        turns.append(turn)
        if turn.speaker == "bot":
            cut = one.get("finish_reason") == "length"
    unread = [f"messages without readable role or content: {lost}"] if lost else []
    return said(turns, unread, "the last reply ended for its length" if cut else "", before)


def _turn(one: Mapping[str, Any]) -> Turn | None:
    """A message, or None where it has no known role or no content."""
    role, text = _first(one, ROLE), _text(one)
    speaker = SPEAKERS.get(role.strip().lower()) if isinstance(role, str) else None
    if speaker is None or text is None:
        return None
    time = _first(one, TIME)
    return Turn(speaker, whole(text), "" if time is None else str(time))


def _first(one: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first of some fields that is there."""
    for name in names:
        if (found := one.get(name)) is not None:
            return found
    return None


def _text(one: Mapping[str, Any]) -> str | None:
    content = _first(one, CONTENT)
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(text for part in content if (text := _part(part)) is not None)
    return "" if content is None and one.get("tool_calls") else None


def _part(part: Any) -> str | None:
    """The text of a part of a message, or None where it is an image or the like."""
    if isinstance(part, Mapping):
        part = part.get("text") if part.get("type") in TEXT_PARTS else None
    return part if isinstance(part, str) else None
