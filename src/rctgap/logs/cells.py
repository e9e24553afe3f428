"""What the cells of a log say, once they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rctgap.conversations import Flaw, Turn
from rctgap.logs.literals import LiteralError, literal

__all__ = ["Said", "as_list", "as_value", "blank", "said", "whole"]

MAX_CHARS, MAX_DEPTH, MAX_VALUES = 64 * 2**20, 20, 200_000


@dataclass(frozen=True, slots=True)
class Said:
    """Turns, and what is wrong with them."""

    turns: tuple[Turn, ...]
    flaw: Flaw = ""
    detail: str = ""
    lost: int | None = None


def said(turns: Sequence[Turn], lost: Sequence[str] = (), cut: str = "", before: int | None = None) -> Said:
    """Turns in order, with what was lost on the way, before which turn first, and what cut the conversation short.

    Where something was lost and no turn of the user is left, nobody can say that the user never wrote: unreadable.
    """
    detail = "; ".join([*lost, *([cut] if cut else [])])
    if lost and not any(turn.speaker == "user" for turn in turns):
        return Said((), "unreadable", detail)
    return Said(tuple(turns), "truncated" if detail else "", detail, before if lost else None)


def blank(cell: Any) -> bool:
    """Whether a cell holds nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def as_value(cell: Any) -> Any:
    """A cell; one that is text, as the literal it spells.

    Raises
    ------
    LiteralError
        The text spells none.
    """
    if not isinstance(cell, str):
        return cell
    return literal(cell, max_chars=MAX_CHARS, max_depth=MAX_DEPTH, max_values=MAX_VALUES)


def as_list(cell: Any) -> list[Any]:
    """A cell that holds or spells a list; a blank one is empty.

    Raises
    ------
    LiteralError
        It is no list.
    """
    found = [] if blank(cell) else as_value(cell)
    if not isinstance(found, list):
        raise LiteralError("no list")
    return found


def whole(text: str) -> str:
    """A text with halves of characters joined, or replaced where the other half is lost: no file could hold them."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
