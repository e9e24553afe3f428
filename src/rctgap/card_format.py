"""The YAML format of BenchmarkCards: what cannot be used in a card, and what departs from its authors' schema.

The schema is stated here in our own words: a card has a name, a citation, an intended use and two families of
assumptions, every value is text, and no other key is allowed. Reading is more lenient than that, so a breach is a
departure to be told; a fault is what no reading can mend.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from rctgap.documents import bounded
from rctgap.errors import CardError, Fault
from rctgap.stages import Family

__all__ = [
    "DEFAULT_ASSUMPTIONS",
    "Block",
    "Holds",
    "blocks",
    "declared_holds",
    "departures",
    "displayed",
    "faults",
    "frozen",
    "text_of",
    "untyped",
]

type Holds = Literal["yes", "partially", "no", ""]

DEFAULT_ASSUMPTIONS = (
    "task.query_authorship",
    "task.information_completeness",
    "task.interaction_type",
    "outcome.decision_mediation",
    "outcome.outcome_validity",
)

_OLD_FAMILIES: Mapping[str, Family] = {"contextual": "task", "consequential": "outcome"}
_FAMILY_OF: Mapping[str, Family] = {"task": "task", "outcome": "outcome", **_OLD_FAMILIES}
_INTERACTION_ANSWERS = ("single-turn", "multi-turn", "both", "single-turn (single-shot)")
_USE = "intended_use_case"

# Each key of a level, and whether the schema requires it.
_CARD_KEYS = {
    "benchmark_name": True,
    "citation": True,
    _USE: True,
    "version": False,
    "notes": False,
    "task": False,
    "outcome": False,
}
_USE_KEYS = {"answer": True, "deployment_context": False}
_BLOCK_KEYS = {"question": True, "answer": True, "holds_at_deployment": False}

_CARD_TEXTS = ("benchmark_name", "citation", "version", "notes")
_USE_TEXTS = (*_USE_KEYS, "holds_at_deployment")
_BLOCK_TEXTS = (*_BLOCK_KEYS, "id")

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
_ID_ADVICE = "An ID is made of letters, digits, '_' and '-' in parts joined by '.', beginning with a letter"
_JOINERS = "\u200c\u200d"
_SHOWN_CHARACTERS = 120

_VERDICT = "(yes|partially|no)(?![\\w'\u2019-])"
_OPENING = re.compile(rf"\W*{_VERDICT}(?!\s*\?)(?!\s*(?:/|\||\bor\b|\band\b)\s*{_VERDICT})", re.IGNORECASE)
_VERDICTS: Mapping[str, Holds] = {"yes": "yes", "partially": "partially", "no": "no"}


class Block(NamedTuple):
    """One assumption as it stands in the document: its family, the key as written, where it stands, and its content."""

    family: Family
    key: str
    place: str
    content: Any

    @property
    def id(self) -> str:
        """The ID given explicitly, else the one that the key path makes."""
        if isinstance(self.content, Mapping) and "id" in self.content:
            return text_of(self.content["id"]).strip()
        return f"{self.family}.{self.key}"


def blocks(document: Mapping[str, Any]) -> Iterator[Block]:
    """Assumptions of a document in its own order, under either pair of family names."""
    for name, content in document.items():
        family = _FAMILY_OF.get(name)
        if family and isinstance(content, Mapping):
            for key, block in content.items():
                yield Block(family, str(key), f"{name}.{key}", block)


def text_of(value: Any) -> str:
    """Text as given; an absent value as nothing, a truth value as Yes or No, a list as lines."""
    match value:
        case str():
            return value
        case None:
            return ""
        case bool():
            return "Yes" if value else "No"
        case list() | tuple():
            return "\n".join(text_of(item) for item in value)
        case _:
            return str(value)


def declared_holds(text: str) -> Holds:
    """Whether an assumption is declared to hold, by the opening word of the practitioner's free text.

    Parameters
    ----------
    text : str
        The practitioner's answer, which by habit opens with Yes, No or Partially.

    Returns
    -------
    {"yes", "partially", "no", ""}
        Empty where the text opens otherwise, leaves a choice open or asks.

    Examples
    --------
    >>> from rctgap.cards import declared_holds
    >>> [declared_holds(text) for text in ("No (multi-turn)", "Partially; patients omit", "Not sure", "Yes / No")]
    ['no', 'partially', '', '']
    """
    opening = _OPENING.match(text)
    return _VERDICTS.get(opening[1].lower(), "") if opening else ""


def displayed(text: str) -> str:
    """Text on one line without control, direction and lone surrogate characters, fit for a terminal."""
    spaced = (" " if mark.isspace() else mark for mark in text)
    return " ".join("".join(mark for mark in spaced if mark.isprintable() or mark in _JOINERS).split())


def _quoted(value: Any) -> str:
    shown = displayed(text_of(value))
    return f"'{shown}'" if len(shown) <= _SHOWN_CHARACTERS else f"'{shown[:_SHOWN_CHARACTERS]}...'"


def frozen(document: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    """Make an immutable copy of a document of mappings with text keys, lists and scalars.

    Raises
    ------
    CardError
        The document is nested too deeply, holds too much (aliases included), has a
        key that is not text, or a value that no YAML or JSON document holds.
    """
    bounded(document, file, CardError)
    pending: list[Any] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            wrong = [key for key in value if not isinstance(key, str)]
            if wrong:
                raise CardError(
                    Fault("a key is not text", "Quote the key", file, value=str(wrong[0])[:_SHOWN_CHARACTERS])
                )
            pending.extend(value.values())
        elif isinstance(value, list | tuple):
            pending.extend(value)
        elif not isinstance(value, str | int | float | dt.date | None):
            raise CardError(Fault(f"a value is a {type(value).__name__}", "Give text", file))
    copy: Mapping[str, Any] = _frozen(document)
    return copy


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return MappingProxyType({key: _frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item) for item in value)
    return value


def faults(document: Mapping[str, Any], file: str) -> Iterator[Fault]:
    """Everything in a document that cannot be used."""
    if not document:
        yield Fault("the card is empty", "Fill in the authors' template", file)
        return
    for family in _FAMILY_OF:
        if family in document and not isinstance(document[family], Mapping):
            advice = "A mapping of assumptions is expected; leave the key out if there are none"
            yield Fault("the family is not a mapping", advice, file, family, value=_value(document[family]))
    found = tuple(blocks(document))
    if not found and all(isinstance(document.get(family, {}), Mapping) for family in _FAMILY_OF):
        yield Fault("the card states no assumption", "Add at least one under 'task' or 'outcome'", file)
    yield from _text_faults(document, file)
    for block in found:
        yield from _block_faults(block, file)
    yield from _repeated(found, file)


def _text_faults(document: Mapping[str, Any], file: str) -> Iterator[Fault]:
    for place, value in _texts(document):
        unusable = (
            any(isinstance(item, Mapping | tuple) for item in value)
            if isinstance(value, tuple)
            else isinstance(value, Mapping)
        )
        if unusable:
            yield Fault("text is expected here", "Write one text", file, displayed(place), value=_value(value))
    use = document.get(_USE)
    if isinstance(use, tuple):
        advice = "A mapping with the key 'answer' is expected"
        yield Fault("the intended use is a list", advice, file, _USE)


def _block_faults(block: Block, file: str) -> Iterator[Fault]:
    place = displayed(block.place)
    if not isinstance(block.content, Mapping):
        advice = "Give it question, answer and holds_at_deployment, or leave the key out"
        yield Fault("the assumption is not a mapping", advice, file, place, value=_value(block.content))
        return
    opening = block.id.partition(".")[0]
    if not _ID.fullmatch(block.id):
        explicit = "id" in block.content
        advice = _ID_ADVICE if explicit else f"{_ID_ADVICE}; rename the key or give the assumption an explicit 'id'"
        yield Fault(
            "the ID is invalid", advice, file, f"{place}.id" if explicit else place, value=block.id[:_SHOWN_CHARACTERS]
        )
    elif opening in _FAMILY_OF and opening != block.family:
        advice = f"Begin the ID with {block.family!r} or move the assumption"
        yield Fault("the ID names another family", advice, file, f"{place}.id", value=block.id)


def _repeated(found: tuple[Block, ...], file: str) -> Iterator[Fault]:
    keys: dict[tuple[str, str], str] = {}
    ids: dict[str, str] = {}
    for block in found:
        place = displayed(block.place)
        if (block.family, block.key) in keys:
            advice = f"It also stands at {keys[block.family, block.key]}: keep one"
            yield Fault("the assumption is given twice", advice, file, place, value=block.key)
        elif block.id in ids:
            advice = f"It also belongs to {ids[block.id]}: give each assumption its own 'id'"
            yield Fault("the ID is given twice", advice, file, place, value=block.id)
        keys.setdefault((block.family, block.key), place)
        ids.setdefault(block.id, place)


def _value(value: Any) -> str:
    match value:
        case Mapping():
            return "a mapping"
        case tuple():
            return "a list"
        case _:
            return text_of(value)[:_SHOWN_CHARACTERS]


def _texts(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every place of a document that should hold text, with what it holds."""
    yield from ((key, document[key]) for key in _CARD_TEXTS if key in document)
    use = document.get(_USE)
    if isinstance(use, Mapping):
        yield from ((f"{_USE}.{key}", use[key]) for key in _USE_TEXTS if key in use)
    for block in blocks(document):
        if isinstance(block.content, Mapping):
            content = block.content
            yield from ((f"{block.place}.{key}", content[key]) for key in _BLOCK_TEXTS if key in content)


def departures(document: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each breach of the schema's structure and of its list of interaction answers."""
    for old, new in _OLD_FAMILIES.items():
        if old in document:
            yield f"{old} is an older name of a family, where the schema has {new}; it was read as {new}."
    yield from _key_departures(document, _CARD_KEYS, "", frozenset(_OLD_FAMILIES))
    use = document.get(_USE)
    if isinstance(use, Mapping):
        yield from _key_departures(use, _USE_KEYS, _USE)
    elif _USE in document:
        yield f"{_USE} is {_quoted(use)}, where the schema has a mapping; it was read as {_USE}.answer."
    for block in blocks(document):
        yield from _block_departures(block)


def _key_departures(
    content: Mapping[str, Any], keys: Mapping[str, bool], place: str, read: frozenset[str] = frozenset()
) -> Iterator[str]:
    prefix = f"{place}." if place else ""
    for key, required in keys.items():
        if required and key not in content:
            yield f"{displayed(prefix)}{key} is missing, where the schema requires it."
    for key in content:
        if key not in keys and key not in read:
            place = displayed(f"{prefix}{key}")
            yield f"{place} is a further key, where the schema allows only {', '.join(keys)}; it was kept."


def _block_departures(block: Block) -> Iterator[str]:
    place = displayed(block.place)
    known = tuple(name.partition(".")[2] for name in DEFAULT_ASSUMPTIONS if name.startswith(f"{block.family}."))
    if block.key not in known:
        allowed = f"the schema allows only {', '.join(known)}"
        yield f"{place} is a further assumption, where {allowed}; it was read as {block.id}."
    yield from _key_departures(block.content, _BLOCK_KEYS, block.place)
    answer = block.content.get("answer", _INTERACTION_ANSWERS[0])
    if block.key == "interaction_type" and text_of(answer) not in _INTERACTION_ANSWERS:
        yield f"{place}.answer is {_quoted(answer)}, where the schema allows one of {', '.join(_INTERACTION_ANSWERS)}."


def untyped(document: Mapping[str, Any]) -> Iterator[str]:
    """One sentence for each value that a plain YAML or JSON reader does not take for text."""
    for place, value in _texts(document):
        if not isinstance(value, str):
            named = "empty" if value is None else f"{_quoted(value)}, {_kind(value)} to plain readers"
            yield f"{displayed(place)} is {named}, where the schema allows text: write it in quotes."


def _kind(value: Any) -> str:
    match value:
        case bool():
            return "a truth value"
        case int() | float():
            return "a number"
        case dt.date():
            return "a date"
        case _:
            return "a list"
