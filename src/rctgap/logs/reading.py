"""Conversations out of a log, in any of its formats, one at a time."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from pathlib import Path
from typing import Any, Literal

from rctgap.conversations import Conversation
from rctgap.documents import nearest
from rctgap.errors import AnalysisError, DataError, Fault
from rctgap.logs.cells import Said, blank, said, whole
from rctgap.logs.chat_history import chat_history
from rctgap.logs.inspect_logs import STOPPED, inspect_samples, is_inspect
from rctgap.logs.json_records import json_array, json_lines
from rctgap.logs.lines import Faults
from rctgap.logs.literals import LiteralError
from rctgap.logs.messages import messages
from rctgap.logs.query_response import query_response
from rctgap.logs.table_records import csv_rows, parquet_rows

__all__ = ["FORMATS", "LINKS", "SUFFIXES", "Format", "LogForm", "read_conversations"]

type Format = Literal["auto", "messages", "chat_history", "query_response", "sharegpt", "inspect"]

FORMATS = ("auto", "messages", "chat_history", "query_response", "sharegpt", "inspect")
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".eval")
LINKS = ("conversation", "participant", "item", "arm", "system", "time")
FIELDS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "messages": {"messages": ("messages", "conversation")},
    "chat_history": {"messages": ("chat_history",)},
    "query_response": {"user": ("user", "user_queries"), "bot": ("bot", "lm_responses")},
    "sharegpt": {"messages": ("conversations",)},
    "inspect": {"messages": ("messages",)},
}
SAY = f"Say data.conversations.format ({', '.join(FORMATS[1:])}) and the fields under data.conversations.columns"
_NAME = re.compile(r"\w[\w.-]{0,39}")
_ID = re.compile(r"\S{1,120}")  # what has spaces, and nobody calls a name, may be a transcript


@dataclass(frozen=True, slots=True)
class LogForm:
    """How a log is written.

    Attributes
    ----------
    format : {"auto", "messages", "chat_history", "query_response", "sharegpt", "inspect"}
        `auto` goes by the file's suffix and the fields of its first record.
    columns : mapping of str to str
        What the log calls a role: conversation, participant, item, arm, system, time, messages, user, bot; any further
        name is carried along as a link. Fields called like a role in `LINKS` need not be named.

    Raises
    ------
    AnalysisError
        An unknown format.
    """

    format: Format = "auto"
    columns: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise AnalysisError(
                Fault("the logs' format is not known", nearest(self.format, FORMATS), value=self.format)
            )


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which fields of a file's records hold what: turns (`cells`) and links, by role; `by_id` where ids may be keys.

    `named`: whether the analysis, or a column of the trial, says that the field of conversations holds their names.
    """

    format: str
    cells: Mapping[str, str]
    links: Mapping[str, str]
    needed: frozenset[str]
    by_id: bool
    named: bool


def read_conversations(path: Path, form: LogForm | None = None) -> Iterator[Conversation]:
    r"""Conversations of a log, or of every log of a folder in the order of their names.

    Parameters
    ----------
    path : Path
        JSON Lines, JSON, CSV, Parquet or an Inspect log; text in UTF-8.
    form : LogForm, optional
        `auto` where none is given.

    Returns
    -------
    iterator of Conversation
        Read as they are asked for; memory does not grow with the file. One whose messages cannot be read has a flaw and
        the turns that could be. What is wrong with the file itself is an error, raised at the file's end.

    Raises
    ------
    DataError
        A file of another kind, a field that is not there, no record at all, or every place that cannot be read. The
        faults hold no word of the conversations.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rctgap.logs.reading import read_conversations
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "logs.jsonl"
    ...     said = '[{"role": "user", "content": "It hurts."}, {"role": "assistant", "content": "Where?"}]'
    ...     _ = path.write_text('{"participant": "p1", "item": "s1", "messages": ' + said + "}\n")
    ...     [(dict(one.links), one.said_by("bot")) for one in read_conversations(path)]
    [({'participant': 'p1', 'item': 's1'}, ('Where?',))]
    """
    chosen = form or LogForm()
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file() and one.suffix.lower() in SUFFIXES)
        if not files:
            raise DataError(Fault("the folder holds no log", f"Allowed: {', '.join(SUFFIXES)}", str(path)))
        for file in files:
            for one in _conversations(file, chosen):
                key = one.key if "conversation" in one.links else f"{file.name} {one.key}"
                yield replace(one, key=key, place=f"{file.name}, {one.place}")
    elif path.is_file():
        yield from _conversations(path, chosen)
    else:
        raise DataError(Fault("no such file", "Give the path of a log or of a folder of logs", str(path)))


def _conversations(path: Path, form: LogForm) -> Iterator[Conversation]:
    """Those of one file."""
    faults = Faults(path)
    layout: _Layout | None = None
    try:
        told = form.format == "inspect" or path.suffix.lower() == ".eval"
        inspected = told or (form.format == "auto" and is_inspect(path))
        for place, record in inspect_samples(path) if inspected else _records(path, faults):
            if layout is None:
                layout = _layout("inspect" if inspected else form.format, form.columns, record, (str(path), place))
            missing = layout.needed - record.keys()
            if missing:
                faults.add(f"the record has no {_shown(missing)}", "Give it, be it empty, or drop the record", place)
            else:
                yield _conversation(layout, place, record)
    except OSError as error:
        what = f"the file cannot be read: {error.strerror}"
        raise DataError(Fault(what, "Check name and rights", str(path))) from None
    faults.close()
    if layout is None:
        raise DataError(Fault("the log holds no record", "Give at least one, or drop the file", str(path)))


def _records(path: Path, faults: Faults) -> Iterator[tuple[str, dict[str, Any]]]:
    """Records of a file by its suffix, each with its place."""
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return json_lines(path, faults)
        case ".json":
            return json_array(path)
        case ".csv":
            return csv_rows(path, faults)
        case ".parquet":
            return parquet_rows(path)
        case other:
            raise DataError(Fault(f"the suffix {other!r} is no log's", f"Allowed: {', '.join(SUFFIXES)}", str(path)))


# ---------------------------------------------------------------- which field holds what


def _layout(format_: str, columns: Mapping[str, str], record: Mapping[str, Any], at: tuple[str, str]) -> _Layout:
    """Where the records of a file hold turns and links, as its first record shows."""
    chosen = _format_of(record, columns, at) if format_ == "auto" else format_
    cells = {role: columns.get(role) or _known(record, names) for role, names in FIELDS[chosen].items()}
    links = {role: name for role, name in columns.items() if role not in cells and name not in cells.values()}
    free = {name: name for name in LINKS if name not in columns and name not in cells.values()}
    # A log without its own names for conversations goes by their ids or places, whatever the trial's column is called.
    needed = {role: name for role, name in links.items() if (role, name) != ("conversation", "conversation")}
    by_id = chosen in ("messages", "sharegpt") and "conversation" not in needed
    for role, name in {**needed, **cells}.items():
        if name is None or name not in record:
            known = nearest(name or FIELDS[chosen][role][0], _names(record))
            todo = f"Name it under data.conversations.columns.{role}. {known}"
            what = f"the format {chosen} needs a field" if role in cells else "the log has no field"
            raise DataError(Fault(f"{what} for {role}", todo, *at, value=columns.get(role)))
    found = {role: name for role, name in cells.items() if name is not None}
    wanted = frozenset([*needed.values(), *found.values()])
    return _Layout(chosen, found, free | links, wanted, by_id, "conversation" in columns)


def _format_of(record: Mapping[str, Any], columns: Mapping[str, str], at: tuple[str, str]) -> str:
    """The format whose fields a record has, and whose cells look like it."""
    for name, roles in FIELDS.items():
        cells = [record.get(columns.get(role) or _known(record, names) or "", ...) for role, names in roles.items()]
        if name != "inspect" and all(_fits(name, cell) for cell in cells):
            return name
    raise DataError(Fault(f"the log's format is not clear; fields seen: {_shown(record)}", SAY, *at))


def _known(record: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of some names that a record has; one that links are called by counts if it holds a list."""
    for name in names:
        if name in record and (name not in LINKS or (not blank(record[name]) and _fits("messages", record[name]))):
            return name
    return None


def _fits(format_: str, cell: Any) -> bool:
    """Whether a cell can hold turns of this format; a blank one can, and what is not there cannot."""
    if isinstance(cell, str):
        return blank(cell) or cell.lstrip()[0] in ("{" if format_ == "chat_history" else "[(")
    return cell is None or isinstance(cell, Mapping if format_ == "chat_history" else list)


def _names(record: Iterable[str]) -> list[str]:
    """Fields that are named as columns are: where a header is missing, texts would stand in its place."""
    return sorted(name for name in record if _NAME.fullmatch(name) and name != STOPPED)


def _shown(record: Iterable[str]) -> str:
    names, total = _names(record), len(list(record))
    more = f"{total - len(names[:20])} more" if total > len(names[:20]) else ""
    return ", ".join([*names[:20], *([more] if more else [])])


# ---------------------------------------------------------------- one record


def _conversation(layout: _Layout, place: str, record: Mapping[str, Any]) -> Conversation:
    held = _said(layout, record)
    if not held.turns and not held.flaw:
        held = Said((), "empty", "no messages")
    links = {role: text for role, name in layout.links.items() if (text := _text(record.get(name)))}
    if layout.by_id and "conversation" not in links and (own := _text(record.get("id"))):
        links["conversation"] = own
    if not layout.named and not _ID.fullmatch(links.get("conversation", "-")):
        del links["conversation"]
    key = links.get("conversation", place)
    return Conversation(key, place, held.turns, links, links.get("system", ""), held.flaw, held.detail, held.lost)


def _said(layout: _Layout, record: Mapping[str, Any]) -> Said:
    cells = [record[name] for name in layout.cells.values()]
    try:
        if layout.format == "query_response":
            return query_response(*cells)
        held = chat_history(*cells) if layout.format == "chat_history" else messages(*cells)
    except LiteralError as error:
        return Said((), "unreadable", str(error))
    stopped = record.get(STOPPED) if layout.format == "inspect" else ""
    return said(held.turns, cut=stopped) if stopped else held


def _text(value: Any) -> str:
    """A link's value as text: numbers as they are written, whole ones without a fraction; nothing for what is none."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else str(int(value)) if value.is_integer() else str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    return str(value) if isinstance(value, int) else ""
