"""Conversations as their readers hand them on: turns in order, links to the trial, and what is wrong with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

__all__ = ["TURN_COLUMNS", "Conversation", "Flaw", "Speaker", "Turn", "turn_table"]

type Speaker = Literal["user", "bot", "system"]
type Flaw = Literal["", "empty", "truncated", "unreadable"]

TURN_COLUMNS = ("conversation", "turn", "speaker", "text", "time", "system", "participant", "item", "arm")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message.

    Attributes
    ----------
    speaker : {"user", "bot", "system"}
        `system` stands for everything that neither the person nor the assistant said to the other: prompts, tools.
    text : str
        As it was written: untrusted, confidential, never shown.
    time : str
        As the log gives it; empty where it gives none.
    """

    speaker: Speaker
    text: str = field(repr=False)
    time: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation of a log.

    Attributes
    ----------
    key : str
        The log's own name for it, or its place where it has none.
    place : str
        Where the log holds it, for messages: "line 3", "row 7".
    turns : tuple of Turn
        In order.
    links : mapping of str to str
        Values of the log's other columns that tie it to a trial row (participant, item, arm, ...), by column.
    system : str
        The system that answered, where the log names one.
    flaw : {"", "empty", "truncated", "unreadable"}
        Why it holds less than what was said; `unreadable` ones have no turns.
    detail : str
        What is wrong, without a word of the conversation.
    lost : int or None
        How many turns stand before the first message that could not be read.
    """

    key: str
    place: str
    turns: tuple[Turn, ...]
    links: Mapping[str, str] = field(default_factory=dict, repr=False)
    system: str = ""
    flaw: Flaw = ""
    detail: str = ""
    lost: int | None = None

    def said_by(self, speaker: Speaker) -> tuple[str, ...]:
        """Texts of one speaker, in order."""
        return tuple(turn.text for turn in self.turns if turn.speaker == speaker)


def turn_table(conversations: Iterable[Conversation]) -> pd.DataFrame:
    """Every turn as a row, with the columns `TURN_COLUMNS` of any text; turns count from 1 within a conversation.

    Examples
    --------
    >>> from rctgap.conversations import Conversation, Turn, turn_table
    >>> spoken = (Turn("user", "Is it serious?"), Turn("bot", "See a doctor today."))
    >>> frame = turn_table([Conversation("c1", "line 1", spoken, {"participant": "p1"}, system="m1")])
    >>> frame[["conversation", "turn", "speaker", "participant"]].values.tolist()
    [['c1', 1, 'user', 'p1'], ['c1', 2, 'bot', 'p1']]
    """
    rows = [
        (
            one.key,
            number,
            turn.speaker,
            turn.text,
            turn.time,
            one.system,
            *(one.links.get(name) for name in TURN_COLUMNS[6:]),
        )
        for one in conversations
        for number, turn in enumerate(one.turns, 1)
    ]
    return pd.DataFrame(rows, columns=list(TURN_COLUMNS), dtype=object)
