"""Cards written back with evidence in their notes: comments, order, quotes and every other value stay as they were."""

import io
import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.resolver import BaseResolver
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

from rctgap.card_evidence import NEVER, DeploymentEvidence, joined, split_notes
from rctgap.card_format import text_of
from rctgap.cards import BenchmarkCard
from rctgap.documents import MAX_DOCUMENT_BYTES, load_text
from rctgap.errors import CardError, Fault, OutputError

__all__ = ["card_of_result", "new_file", "replace_file", "with_evidence"]

NOTES = "notes"
WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH
_NOTHING = ("", "~", "null")
_BEFORE = re.compile(r"(?:(?:[ \t]*#.*|%.*|[ \t]*)\n)*---[ \t]*(?:#.*)?\n")
_INDENT = re.compile(r"^[^\s#].*:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*( +)[^\s#-]", re.MULTILINE)
_BREAKS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_LONE = re.compile(r"\\u[dD][89a-fA-F]")  # half a character, which UTF-8 cannot hold
_HINT = re.compile(r":[ \t].*[|>][-+]?[1-9]")


def with_evidence(card: BenchmarkCard, *found: DeploymentEvidence) -> str:
    r"""A card's text with evidence in its notes.

    Parameters
    ----------
    card : BenchmarkCard
        As read; the evidence that it carries is kept.
    *found : DeploymentEvidence
        Each takes the place of what the card carries of the same deployment, else comes last.

    Returns
    -------
    str
        YAML, or JSON for a card that was read from JSON. What the card held is unchanged outside `notes`: comments,
        order, quotes and values, which are never retyped. A card read from a mapping is written plainly.

    Raises
    ------
    CardError
        Two of `found` have one deployment's name; the card cannot be written back without changing another value;
        or it would be too large to be read.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from rctgap.card_evidence import DeploymentEvidence
    >>> from rctgap.card_writing import with_evidence
    >>> from rctgap.cards import read_card
    >>> path = Path(tempfile.mkdtemp()) / "card.yaml"
    >>> _ = path.write_text("task:  # what it assumes\n  query_authorship: {answer: Yes}\n")
    >>> trial = DeploymentEvidence("Trial A", "items fixed", True, "2025", "", "", "0.1.0", ())
    >>> print(with_evidence(read_card(path), trial))
    task:  # what it assumes
      query_authorship: {answer: Yes}
    notes: |-
      [rctgap evidence 1: made by `rctgap card evidence`; do not edit between the marks]
      - deployment: Trial A
        estimand: items fixed
        final: true
        data_date: '2025'
        data_sha256: ''
        analysis_sha256: ''
        version: 0.1.0
        assumptions: []
      [end of rctgap evidence, sha256 ...]
    """
    evidence = _merged(card.evidence, found)
    before = text_of(card.document.get(NOTES))
    after = joined("" if card.notes.strip() in _NOTHING else card.notes, evidence)
    if not evidence or after == before:
        return card.text or _dumped(card.document, None)
    if not card.text:
        return _dumped(card.document, after)
    text = _rewritten_json(card.text, after) if _is_json(card) else _rewritten_yaml(card, after)
    _insist_on_the_same(card, text, after, evidence)
    return text


def card_of_result(card: BenchmarkCard, found: DeploymentEvidence) -> str:
    """The card of a result folder: always YAML, and written plainly where it cannot be written back as it stands."""
    plain = replace(card, text="")
    try:
        return with_evidence(plain if _is_json(card) else card, found)
    except CardError:
        return with_evidence(plain, found)


def _merged(held: Sequence[DeploymentEvidence], found: Sequence[DeploymentEvidence]) -> tuple[DeploymentEvidence, ...]:
    names = [one.deployment for one in found]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        advice = "A deployment is named by its result's title: give each analysis a title of its own"
        raise CardError(Fault("two results have one title", advice, value=repeated))
    return tuple({one.deployment: one for one in (*held, *found)}.values())


def _is_json(card: BenchmarkCard) -> bool:
    return card.path is not None and card.path.suffix == ".json"


def _dumped(document: Mapping[str, Any], notes: str | None) -> str:
    content = _plain(document) if notes is None else _plain(document) | {NOTES: notes}
    dumped: str = yaml.dump(content, Dumper=_BlockText, sort_keys=False, allow_unicode=True, width=100)
    return dumped


class _BlockText(yaml.SafeDumper):
    """A dumper that writes text of several lines as the lines it has."""


def _represent(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockText.add_representer(str, _represent)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _rewritten_json(text: str, notes: str) -> str:
    """JSON with other notes, indented as it was."""
    spaces = re.search(r"\n([ \t]+)\"", text)
    content = json.loads(text) | {NOTES: notes}
    dumped = json.dumps(content, indent=spaces[1] if spaces else None, ensure_ascii=_LONE.search(text) is not None)
    return dumped + "\n"


class _TextResolver(BaseResolver):
    """Takes every scalar for text, so that none is retyped on its way: `Yes`, `012` and 2026-5-1 stay as written."""

    processing_version = (1, 2)

    def __init__(self, **given: Any) -> None:
        super().__init__(given.get("loader"))


def _rewritten_yaml(card: BenchmarkCard, notes: str) -> str:
    """The card's own YAML with other notes."""
    source = card.text.replace("\r\n", "\n")
    start = _BEFORE.match(source)
    opening = start[0] if start else ""
    indent = _INDENT.search(source)
    hinted = notes[0].isspace() or _HINT.search(source)  # such text keeps its indent only where that is two spaces
    document = YAML(typ="rt")
    document.Resolver = _TextResolver
    document.preserve_quotes = True
    document.width = NEVER
    if indent and not hinted:
        document.indent(mapping=len(indent[1]))
    stream = io.StringIO()
    try:
        content = document.load(source[len(opening) :])
        content[NOTES] = _lines(notes)
        document.dump(content, stream)
    except (YAMLError, ValueError) as fault:
        raise _unchangeable(card, next(iter(str(fault).splitlines()), "")) from None
    text = opening + stream.getvalue()
    return text.replace("\n", "\r\n") if "\r\n" in card.text else text


def _lines(notes: str) -> str:
    """Text to be written as the lines it has, or in quotes where a character of it would break them."""
    kind: type[str] = DoubleQuotedScalarString if _BREAKS.search(notes) else LiteralScalarString
    return kind(notes)


def _insist_on_the_same(card: BenchmarkCard, text: str, notes: str, evidence: tuple[DeploymentEvidence, ...]) -> None:
    """Read what would be written; refuse it if anything but the notes is another value."""
    if len(text.encode()) > MAX_DOCUMENT_BYTES:
        raise CardError(Fault("with its evidence the card is too large", f"At most {MAX_DOCUMENT_BYTES:,} bytes"))
    again = load_text(text, str(card.path), CardError, as_json=_is_json(card), text_only=True)
    if again != _plain(card.document) | {NOTES: notes} or list(again) != list({**card.document, NOTES: notes}):
        raise _unchangeable(card, "another value would change")
    if len(split_notes(notes).evidence) != len(evidence):
        raise CardError(Fault("with its evidence the card is too large", "Keep fewer deployments in one card"))


def _unchangeable(card: BenchmarkCard, reason: str) -> CardError:
    advice = "Write its texts in quotes, without tags or line separators such as U+2028, and try again"
    return CardError(Fault(f"the card cannot be written back as it stands: {reason}", advice, str(card.path)))


def new_file(path: Path, text: str) -> None:
    """Write a text file that is not there yet.

    Raises
    ------
    OutputError
        There is one, or it cannot be written there.
    """
    if path.exists():
        raise OutputError(Fault("there is a file already", "Choose another --out, or remove it first", str(path)))
    replace_file(path, text)


def replace_file(path: Path, text: str) -> None:
    """Write a text file whole or not at all, with the rights of the file whose place it takes.

    Raises
    ------
    OutputError
        It cannot be written there, or the file there is write-protected.
    """
    target = path.resolve()
    if target.is_file() and not target.stat().st_mode & WRITABLE:
        raise OutputError(
            Fault("the file is write-protected", "Choose another --out, or lift the protection", str(path))
        )
    place = target.with_name(f".rctgap-{os.getpid()}-{target.name}")
    try:
        with place.open("x", encoding="utf-8", newline="") as stream:
            stream.write(text)
        if target.exists():
            place.chmod(target.stat().st_mode & 0o777)
        place.replace(target)
    except OSError as error:
        raise OutputError(Fault(f"cannot write there: {error.strerror}", "Choose another --out", str(path))) from None
    finally:
        with suppress(OSError):
            place.unlink()
