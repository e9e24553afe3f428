"""Ties conversation logs to the answers of a trial, and accounts for every log and answer that finds no partner."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import pandas as pd

from rctgap.conversations import Conversation
from rctgap.documents import nearest
from rctgap.errors import DataError, Fault
from rctgap.trial import AttritionStep, TrialData, counts

__all__ = ["DUPLICATES", "Duplicates", "Linker", "Match", "NoLog", "link_columns"]

type Duplicates = Literal["refuse", "first", "last"]
type NoLog = Literal["missing", "non_user"]

DUPLICATES: tuple[str, ...] = get_args(Duplicates.__value__)
ROLES = ("participant", "item", "arm")
KEY = "conversation"


def link_columns(trial: TrialData, given: Mapping[str, str]) -> dict[str, str]:
    """Which value of a log is held against which column of the trial.

    Parameters
    ----------
    trial : TrialData
    given : mapping of str to str
        As the analysis says it. Empty means: the column `conversation` where the trial has one, else the columns with
        the roles participant and item, and the arm too where participants take part in several.

    Raises
    ------
    DataError
        A column that the trial does not have, or nothing to link by.
    """
    columns = [str(one) for one in trial.answers.columns]
    file = trial.sources.get("trial", "trial")
    for name in given.values():
        if name not in columns:
            raise DataError(Fault("logs are linked by a column that is not there", nearest(name, columns), file, name))
    if given:
        return dict(given)
    if KEY in columns:
        return {KEY: KEY}
    roles = ROLES if trial.design.crossover else ROLES[:2]
    named = {role: trial.column(role) for role in roles}
    found = {role: name for role, name in named.items() if name is not None}
    if "participant" not in found:
        todo = "Give the trial a column `conversation`, or say what links them (data.conversations.link)"
        raise DataError(Fault("nothing links the logs to the trial's answers", todo, file))
    return found


def _wrote(one: Conversation) -> bool:
    """Whether the user said something, or got a reply to a blank message."""
    said = one.said_by("user")
    return any(text.strip() for text in said) or bool(said and one.said_by("bot"))


def _digest(one: Conversation) -> bytes:
    parts = "\x1e".join(f"{turn.speaker}\x1f{turn.text}" for turn in one.turns)
    return hashlib.sha256(parts.encode("utf-8", "replace")).digest()


@dataclass(frozen=True, slots=True)
class Match:
    """What became of one log: the answer that it belongs to, and whether it is to be scored."""

    row: int | None
    fresh: bool = True


@dataclass
class Linker:
    """Matches logs to answers one at a time, and keeps what the attrition table needs.

    It holds one short record per answer, whatever the length of the logs.
    """

    trial: TrialData
    columns: Mapping[str, str]
    duplicates: Duplicates = "refuse"
    no_log: NoLog = "missing"
    file: str = "conversations"
    _rows: dict[tuple[str, ...], int] = field(init=False, repr=False)
    _arms: list[str] = field(init=False, repr=False)
    _seen: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)
    _wrote: dict[int, bool] = field(default_factory=dict, init=False, repr=False)
    _flaws: dict[int, str] = field(default_factory=dict, init=False, repr=False)
    _copies: Counter[int] = field(default_factory=Counter, init=False, repr=False)
    _others: Counter[int] = field(default_factory=Counter, init=False, repr=False)
    _strangers: int = field(default=0, init=False, repr=False)
    _logs: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        frame = self.trial.answers
        if (counts(frame, self.trial.table) != 1).any():
            raise DataError(
                Fault(
                    "rows that stand for several answers cannot be linked to logs",
                    "Give one row per answer",
                    self.trial.sources.get("trial", "trial"),
                )
            )
        self._arms = frame[self.trial.column("arm") or "arm"].astype("string").tolist()
        keys = frame[list(self.columns.values())].astype("string")
        self._rows = {}
        mine = set(self.ai_arms)
        faults = []
        for row, values in enumerate(zip(*(keys[name] for name in keys), strict=True)):
            if self._arms[row] not in mine or any(pd.isna(one) for one in values):
                continue
            if values in self._rows:
                faults.append(self._twice(row))
            self._rows[values] = row
        if faults:
            raise DataError(*faults[:20])

    @property
    def ai_arms(self) -> tuple[str, ...]:
        """Labels of the arms whose answers can have logs: analysed ones, and those that lend a stage."""
        lenders = [loan.arm for arm in self.trial.design.arms for loan in arm.borrowed]
        return tuple(dict.fromkeys([*(arm.label for arm in self.trial.design.arms), *lenders]))

    def match(self, one: Conversation) -> Match:
        """The answer of a log.

        Raises
        ------
        DataError
            The log lacks a value that links it, or is a second, different one of its answer and nothing says which
            counts.
        """
        self._logs += 1
        lacking = [name for name in self.columns if not one.links.get(name) and not (name == KEY and one.key)]
        if lacking:
            todo = "Name the log's field for it under data.conversations.columns"
            raise DataError(Fault(f"the log has no {', '.join(lacking)} to link it by", todo, self.file, one.place))
        fields = {name: self.trial.table.field(column) for name, column in self.columns.items()}
        row = self._rows.get(tuple(fields[name].label_of(one.links.get(name) or one.key) for name in self.columns))
        if row is None:
            self._strangers += bool(one.turns)
            return Match(None)
        content = _digest(one)
        if row in self._seen:
            if self._seen[row] == content:
                self._copies[row] += 1
                return Match(row, fresh=False)
            self._others[row] += 1
            if self.duplicates == "refuse":
                todo = f"Keep one of them, or set data.conversations.duplicates: {' or '.join(DUPLICATES[1:])}"
                raise DataError(Fault("a second, different log belongs to the same answer", todo, self.file, one.place))
            if self.duplicates == "first":
                return Match(row, fresh=False)
        self._seen[row] = content
        self._wrote[row] = _wrote(one)
        self._flaws[row] = one.flaw
        return Match(row)

    def wrote(self, row: int) -> bool | None:
        """Whether an answer's participant wrote to the system; None where no readable log says."""
        if row not in self._seen:
            return False if self.no_log == "non_user" else None
        return None if self._flaws[row] == "unreadable" else self._wrote[row]

    def attrition(self) -> tuple[AttritionStep, ...]:
        """Logs and answers that found no partner, by arm and reason."""
        steps = [
            AttritionStep("logs", "", self._logs, self._logs - self._strangers, "log belongs to no answer analysed")
        ]
        if not self._strangers:
            steps = []
        for label in self.ai_arms:
            rows = [row for row, arm in enumerate(self._arms) if arm == label]
            with_log = [row for row in rows if row in self._seen]
            readable = [row for row in with_log if self._flaws[row] != "unreadable"]
            writing = [row for row in readable if self._wrote[row]]
            whole = [row for row in writing if self._flaws[row] != "truncated"]
            read = sum(self._copies[row] + self._others[row] for row in rows) + len(with_log)
            steps += [
                AttritionStep("logs", label, before, after, reason)
                for before, after, reason in (
                    (read, len(with_log), f"second log of an answer ({self._which()})"),
                    (len(rows), len(with_log), "no log"),
                    (len(with_log), len(readable), "log unreadable"),
                    (len(readable), len(writing), "empty log: never wrote to the system"),
                    (len(writing), len(whole), "log truncated, scored as far as it goes"),
                )
                if after < before
            ]
        return tuple(steps)

    def _which(self) -> str:
        return "copy left out" if not self._others else f"{self.duplicates} kept"

    def _twice(self, row: int) -> Fault:
        names = ", ".join(self.columns.values())
        return Fault(
            f"two answers have the same {names}, which should link each to its log",
            "Link by more columns (data.conversations.link)",
            self.trial.sources.get("trial", "trial"),
            names,
            self.trial.rows[row],
        )
