"""Reads a data dictionary and checks that it agrees with itself."""

import datetime as dt
import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rctgap.codebooks import codebook
from rctgap.documents import nearest, parse, read_document
from rctgap.errors import DictionaryError, Fault
from rctgap.fields import (
    KINDS_OF_ROLE,
    LEXICAL,
    ROLES,
    Constraints,
    Dictionary,
    Field,
    ForeignKey,
    Level,
    Margin,
    MissingCode,
    Reference,
    Table,
    text_of,
)

__all__ = [
    "Constraints",
    "Dictionary",
    "Field",
    "ForeignKey",
    "Level",
    "Margin",
    "MissingCode",
    "Reference",
    "Table",
    "codebook",
    "implied_table",
    "read_dictionary",
]

_ONCE = frozenset({"participant", "item", "count", "used", "position"})
_ONCE_A_STAGE = frozenset({"system", "successes", "trials"})

TABLES = ("trial", "benchmark", "conversations", "items", "labels")
_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_ORDERED = frozenset({"integer", "number", "date", "datetime", "year"})
_KINDS_OF_PROPERTY: Mapping[str, frozenset[str]] = {
    "minimum": _ORDERED,
    "maximum": _ORDERED,
    "exclusiveMinimum": _ORDERED,
    "exclusiveMaximum": _ORDERED,
    "pattern": frozenset({"string"}),
    "minLength": frozenset({"string"}),
    "maxLength": frozenset({"string"}),
    "format": frozenset({"date", "datetime"}),
    "decimalChar": frozenset({"number"}),
    "groupChar": frozenset({"number", "integer"}),
    "trueValues": frozenset({"boolean"}),
    "falseValues": frozenset({"boolean"}),
}


def read_dictionary(source: Path | str | Mapping[str, Any]) -> Dictionary:
    """Read a data dictionary and check that it agrees with itself.

    Parameters
    ----------
    source : path or mapping
        A YAML or JSON file, or its content.

    Raises
    ------
    DictionaryError
        Every fault found, with its key path: first those of shape (unknown keys, wrong
        types); where the shape is right, those of sense (roles, keys, levels, margins).

    Examples
    --------
    >>> from rctgap.dictionary import read_dictionary
    >>> fields = [{"name": "pid", "role": "participant"}, {"name": "right", "type": "integer", "role": "score"}]
    >>> known = read_dictionary({"schema": "rctgap/dictionary/1", "tables": {"trial": {"fields": fields}}})
    >>> known.tables["trial"].by_role("score")[0].name
    'right'
    """
    if isinstance(source, Mapping):
        file, content = "dictionary", source
    else:
        file, content = str(source), read_document(Path(source), DictionaryError)
    found = parse(Dictionary, content, file, DictionaryError)
    faults = tuple(_inconsistencies(found, file))
    if faults:
        raise DictionaryError(*faults)
    return found


def implied_table(columns: Iterable[str], scores: Mapping[str, str] | None = None) -> Table:
    """Describe the table that names alone imply: a column named like a role has it, the others are unconstrained.

    Parameters
    ----------
    columns : iterable of str
        Column names.
    scores : mapping of str to str, optional
        Columns that an analysis uses as scores, each with its stage.

    Examples
    --------
    >>> from rctgap.dictionary import implied_table
    >>> [field.role for field in implied_table(["arm", "decision"], {"decision": "decision"}).fields]
    ['arm', 'score']
    """
    stages = scores or {}
    roles = {name: "score" if name in stages else name for name in columns}
    fields = [
        {"name": name, "role": role if role in ROLES else None, "stage": stages.get(name)}
        for name, role in roles.items()
    ]
    return parse(Table, {"fields": fields}, "columns", DictionaryError)


type _Found = Iterator[tuple[str, str, str, str | None]]  # key path, what, allowed, value


def _inconsistencies(dictionary: Dictionary, file: str) -> Iterator[Fault]:
    for name, table in dictionary.tables.items():
        checks = (_roles(name, table), _fields(table), _keys(name, table, dictionary), _margins(table))
        for found in (_table_name(name), *checks):
            for place, what, allowed, value in found:
                yield Fault(what, allowed, file, f"tables.{name}{place}", value=value)


def _table_name(name: str) -> _Found:
    """Refuse a name close to one that analyses use; any other is a table of its own."""
    guess = difflib.get_close_matches(name, TABLES, n=1, cutoff=0.75)
    if guess and name not in TABLES:
        yield "", "this is close to the name of a table that analyses use", f"Did you mean {guess[0]!r}?", name


def _roles(name: str, table: Table) -> _Found:
    yield from _repeated(table)
    stages = {role: {field.stage for field in table.by_role(role)} for role in ("successes", "trials")}
    for number, field in enumerate(table.fields):
        place = f".fields[{number}].role"
        if field.role in stages and field.stage is None and name != "benchmark":
            yield (
                place,
                f"{field.role} without a stage",
                "Add `stage`; only the benchmark table can omit it",
                field.name,
            )
        partner = {"successes": "trials", "trials": "successes"}.get(field.role or "")
        if partner and field.stage not in stages[partner]:
            yield (
                place,
                f"{field.role} without {partner}",
                f"Give a field the role {partner} for the same stage",
                field.name,
            )
        allowed = KINDS_OF_ROLE.get(field.role or "")
        if allowed and field.type not in (*allowed, "any"):
            yield (
                place,
                f"a {field.role} cannot be of type {field.type}",
                f"Allowed: {', '.join(allowed)}, any",
                field.name,
            )


def _repeated(table: Table) -> _Found:
    """Names, and roles that one field alone can have, given again."""
    names, roles = Counter[str](), Counter[tuple[str, str | None]]()
    for number, field in enumerate(table.fields):
        names[field.name] += 1
        if names[field.name] == 2:  # noqa: PLR2004 - the second is the first that repeats
            yield f".fields[{number}].name", "two fields have this name", "Name each field once", field.name
        role = field.role or ""
        key = (role, field.stage if role in _ONCE_A_STAGE else None)
        roles[key] += role in _ONCE | _ONCE_A_STAGE
        if roles[key] > 1:
            for_stage = f" for stage {field.stage!r}" if key[1] else ""
            yield (
                f".fields[{number}].role",
                f"a second field with role {role}{for_stage}",
                "One field has it",
                field.name,
            )


def _fields(table: Table) -> _Found:
    for number, field in enumerate(table.fields):
        codes = {code.value for code in table.missing(field)}
        for found in (_levels(field, codes), _properties(field), _limits(field)):
            for place, what, allowed, value in found:
                yield f".fields[{number}]{place}", what, allowed, value


def _levels(field: Field, codes: set[str]) -> _Found:
    owner: dict[str, int] = {}
    for number, level in enumerate(field.levels):
        place = f".levels[{number}]"
        for spelling in level.spellings:
            if owner.setdefault(spelling, number) != number:
                other = field.levels[owner[spelling]].name
                yield (
                    place,
                    f"this spelling already means the level {other!r}",
                    "Each spelling has one meaning",
                    spelling,
                )
            if spelling in codes:
                yield place, "this spelling is a missing code too", "Drop it here or under `missingValues`", spelling
        if isinstance(level.value, bool) and field.kind not in {"boolean", "any"}:
            yield f"{place}.value", "this was read as true or false", "Put the word in quotes", level.text
        elif not _is_of(field, level.value):
            yield (
                f"{place}.value",
                f"the value is not of type {field.kind}",
                "Correct the value or the type",
                level.text,
            )


def _properties(field: Field) -> _Found:
    """Properties that cannot act on this type."""
    declared = field.model_dump(by_alias=True, exclude_defaults=True)
    for name, kinds in _KINDS_OF_PROPERTY.items():
        inner = name in field.constraints.given
        if (inner or name in declared) and field.kind not in kinds:
            place = f".constraints.{name}" if inner else f".{name}"
            only = f"It applies to {', '.join(sorted(kinds))}"
            yield place, f"`{name}` does not apply to type {field.kind}", only, None


def _limits(field: Field) -> _Found:
    given = field.constraints.given
    values = [(key, given[key]) for key in _BOUNDS if key in given]
    values += [(f"enum[{number}]", value) for number, value in enumerate(given.get("enum", ()))]
    for key, value in values:
        if field.levels and key.startswith("enum") and text_of(value) not in field.spellings:
            yield (
                f".constraints.{key}",
                "this is none of the field's levels",
                nearest(text_of(value), field.labels),
                str(value),
            )
        elif not _is_of(field, value):
            yield (
                f".constraints.{key}",
                f"the value is not of type {field.kind}",
                "Correct the value or the type",
                str(value),
            )
        elif field.role == "score" and field.kind != "boolean" and not 0 <= float(text_of(value)) <= 1:
            yield (
                f".constraints.{key}",
                "a score lies in [0, 1]",
                "Rescale the column, or give it another role",
                str(value),
            )
    yield from _crossing(field)
    if field.constraints.pattern is not None:
        yield from _pattern(field.constraints.pattern)


def _crossing(field: Field) -> _Found:
    limits = field.constraints
    lowest, highest = limits.minimum, limits.maximum
    if isinstance(lowest, int | float) and isinstance(highest, int | float) and lowest > highest:
        yield ".constraints", "minimum is above maximum", "Exchange them", f"{lowest} > {highest}"
    if limits.min_length is not None and limits.max_length is not None and limits.min_length > limits.max_length:
        yield (
            ".constraints",
            "minLength is above maxLength",
            "Exchange them",
            f"{limits.min_length} > {limits.max_length}",
        )


def _pattern(pattern: str) -> _Found:
    """RE2 runs in linear time on any text; what it lacks (look-around, back-references) is refused here."""
    try:
        re.compile(pattern)
        pc.match_substring_regex(pa.array([""]), pattern)
    except (re.error, pa.ArrowInvalid) as fault:
        what = str(fault).removeprefix("Invalid regular expression: ")
        yield ".constraints.pattern", f"the pattern cannot be used: {what}", "Write it in RE2 syntax", pattern


def _is_of(field: Field, value: Any) -> bool:
    text = text_of(value)
    match field.kind:
        case "boolean":
            return isinstance(value, bool) or text in (*field.true_values, *field.false_values)
        case "date" | "datetime":
            return isinstance(value, dt.date) or _is_moment(text, field)
        case kind:
            return kind not in LEXICAL or re.fullmatch(LEXICAL[kind], text) is not None


def _is_moment(text: str, field: Field) -> bool:
    try:
        if field.format == "default":
            return re.fullmatch(LEXICAL[field.kind], text) is not None and bool(dt.datetime.fromisoformat(text))
        return bool(dt.datetime.strptime(text, field.format))  # noqa: DTZ007 - only the form is asked
    except ValueError:
        return False


def _keys(name: str, table: Table, dictionary: Dictionary) -> _Found:
    named = [(".primaryKey", table.primary_key)]
    named += [(f".uniqueKeys[{number}]", key) for number, key in enumerate(table.unique_keys)]
    named += [(f".foreignKeys[{number}].fields", key.fields) for number, key in enumerate(table.foreign_keys)]
    for place, names in named:
        yield from _unknown(place, names, table)
    for number, key in enumerate(table.foreign_keys):
        place = f".foreignKeys[{number}].reference"
        target = key.reference.resource or name
        if target not in dictionary.tables:
            yield f"{place}.resource", "no such table in the dictionary", nearest(target, dictionary.tables), target
            continue
        yield from _unknown(f"{place}.fields", key.reference.fields, dictionary.tables[target])
        if len(key.fields) != len(key.reference.fields):
            counts = f"{len(key.fields)} and {len(key.reference.fields)}"
            yield place, "the two sides of the key differ in length", "Pair each field with one", counts


def _unknown(place: str, names: Iterable[str], table: Table) -> _Found:
    for name in names:
        if name not in table.names:
            yield place, "no such field in the table", nearest(name, table.names), name


def _margins(table: Table) -> _Found:
    for number, margin in enumerate(table.margins):
        place = f".margins[{number}]"
        yield from _unknown(f"{place}.column", [margin.column] if margin.column is not None else [], table)
        yield from _unknown(f"{place}.where", margin.where, table)
        for name, value in margin.where.items():
            field = next((field for field in table.fields if field.name == name), None)
            if field is not None and field.levels and text_of(value) not in field.spellings:
                yield f"{place}.where.{name}", "no such level", nearest(text_of(value), field.labels), text_of(value)
        yield from _figures(place, margin)


def _figures(place: str, margin: Margin) -> _Found:
    if margin.value is None:
        if margin.n is None:
            yield place, "the margin states nothing", "Give `n`, `value` or both", None
        return
    if margin.column is None:
        yield place, "a value without a column", "Name the column whose mean it is", str(margin.value)
    if margin.decimals is None:
        yield place, "a value without its decimals", "Give `decimals` as printed (0.830 has 3)", str(margin.value)
    elif round(margin.value, margin.decimals) != margin.value:
        yield place, f"the value has more than {margin.decimals} decimals", "Give both as printed", str(margin.value)
