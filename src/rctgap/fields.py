"""What a data dictionary can say: tables, fields, roles, levels, keys and published margins, as frozen records."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import pydantic
from pydantic.alias_generators import to_camel

from rctgap.documents import nearest
from rctgap.errors import DictionaryError, Fault

__all__ = [
    "KINDS",
    "KINDS_OF_ROLE",
    "LEXICAL",
    "ROLES",
    "Constraints",
    "Dictionary",
    "Field",
    "ForeignKey",
    "Kind",
    "Level",
    "Margin",
    "MissingCode",
    "Reference",
    "Role",
    "Table",
    "text_of",
]

type Kind = Literal["string", "integer", "number", "boolean", "date", "datetime", "year", "any"]
type Role = Literal[
    "participant", "item", "arm", "stratum", "count", "successes", "trials", "score", "system", "used", "covariate",
    "position", "text", "label", "label_probability",
]  # fmt: skip

KINDS: tuple[str, ...] = get_args(Kind.__value__)
ROLES: tuple[str, ...] = get_args(Role.__value__)

# A role fixes what its values can be; the first kind is the one that `any` stands for.
KINDS_OF_ROLE: Mapping[str, tuple[Kind, ...]] = {
    "participant": ("string", "integer"),
    "item": ("string", "integer"),
    "arm": ("string", "integer", "boolean"),
    "stratum": ("string", "integer", "boolean", "year", "date"),
    "system": ("string", "integer"),
    "text": ("string",),
    "count": ("integer",),
    "successes": ("integer",),
    "trials": ("integer",),
    "position": ("integer",),
    "score": ("number", "integer", "boolean"),
    "used": ("boolean", "integer", "number"),
    "label_probability": ("number", "integer"),
}
_MEASURED = frozenset({"count", "successes", "trials", "position", "score", "used", "label_probability"})
LEXICAL: Mapping[str, str] = {
    "integer": r"[+-]?[0-9]{1,18}",
    "number": r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?",
    "year": r"[0-9]{4}",
    "date": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "datetime": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?",
}


def text_of(value: Any) -> str:
    """Spell a plain value as a table's text would: `true`, `1` for 1.0, ISO dates.

    Examples
    --------
    >>> from rctgap.fields import text_of
    >>> text_of(True), text_of(1.0), text_of("a1")
    ('true', '1', 'a1')
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, dt.date) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | dt.date):
        return value
    raise ValueError(f"a {type(value).__name__} is not a single value. Give text, a number, a date, true or false")


def _unquoted(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        raise ValueError(f"this was read as {value}, not as text. Put the word in quotes")
    return value


def _known(what: str, words: Sequence[str]) -> pydantic.BeforeValidator:
    def check(value: Any) -> Any:
        if value is not None and value not in words:
            raise ValueError(f"unknown {what}. {nearest(str(value), words)}")
        return value

    return pydantic.BeforeValidator(check)


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


type Plain = Annotated[Any, pydantic.AfterValidator(_plain)]
type Text = Annotated[str, pydantic.BeforeValidator(_unquoted)]
type Names = Annotated[tuple[str, ...], pydantic.BeforeValidator(_several)]


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, coerce_numbers_to_str=True
    )


class Level(_Part):
    """One value of a categorical field: as stored, as printed, and its other spellings."""

    value: Plain
    label: Text = ""
    aliases: tuple[Text, ...] = ()
    description: str = ""

    @property
    def text(self) -> str:
        """The stored value as text."""
        return text_of(self.value)

    @property
    def name(self) -> str:
        """The label, or the value where there is none."""
        return self.label or self.text

    @property
    def spellings(self) -> tuple[str, ...]:
        """Everything that means this level, each once."""
        return tuple(dict.fromkeys((self.text, self.name, *self.aliases)))


class MissingCode(_Part):
    """A value that stands for an absent one, and the reason it gives."""

    value: Text
    label: str = ""


def _codes(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [code if isinstance(code, Mapping | MissingCode) else {"value": code} for code in value]
    return value


type Codes = Annotated[tuple[MissingCode, ...], pydantic.BeforeValidator(_codes)]


class Constraints(_Part):
    """Limits on a field's values, named as in Table Schema. A pattern must match the whole value."""

    required: bool = False
    unique: bool = False
    minimum: Plain | None = None
    maximum: Plain | None = None
    exclusive_minimum: Plain | None = None
    exclusive_maximum: Plain | None = None
    enum: tuple[Plain, ...] | None = None
    pattern: str | None = None
    min_length: pydantic.NonNegativeInt | None = None
    max_length: pydantic.NonNegativeInt | None = None

    @property
    def given(self) -> Mapping[str, Any]:
        """What is declared, by its name in the file, in a fixed order."""
        return self.model_dump(by_alias=True, exclude_defaults=True)


class Field(_Part):
    """One column: its type, its role in the trial, and what its values mean."""

    name: Annotated[str, pydantic.StringConstraints(min_length=1)]
    type: Annotated[Kind, _known("type", KINDS)] = "any"
    title: str = ""
    description: str = ""
    format: str = "default"
    example: Plain | None = None
    rdf_type: str = ""
    constraints: Constraints = Constraints()
    missing_values: Codes | None = None
    decimal_char: str = "."
    group_char: str = ""
    true_values: tuple[Text, ...] = ("true", "True", "TRUE", "1")
    false_values: tuple[Text, ...] = ("false", "False", "FALSE", "0")
    role: Annotated[Role | None, _known("role", ROLES)] = None
    stage: str | None = None
    unit: str = ""
    levels: tuple[Level, ...] = ()
    sensitive: bool = False

    @property
    def kind(self) -> Kind:
        """The type, or what the role implies where the type is `any`."""
        implied = KINDS_OF_ROLE.get(self.role or "", ("any",))[0]
        return implied if self.type == "any" else self.type

    @property
    def measured(self) -> bool:
        """Whether the role is a number: its levels then only document values, which stay numbers."""
        return self.role in _MEASURED

    @property
    def withheld(self) -> bool:
        """Whether values must stay out of messages."""
        return self.sensitive or self.role == "text"

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the levels, in the order declared."""
        return tuple(level.name for level in self.levels)

    @property
    def spellings(self) -> Mapping[str, Level]:
        """Every value, label and alias with its level."""
        return {spelling: level for level in self.levels for spelling in level.spellings}

    def label_of(self, value: Any) -> str:
        """How a validated column writes this value, given as value, label or alias.

        A field without levels, and a value that is no level, give the value's own text.

        Examples
        --------
        >>> from rctgap.fields import Field, Level
        >>> Field(name="group", levels=(Level(value=3, label="control"),)).label_of(3)
        'control'
        """
        level = self.spellings.get(text_of(value))
        if level is None:
            return text_of(value)
        return level.text if self.measured else level.name


class Reference(_Part):
    """The table (empty for the same one) and fields that a foreign key points to."""

    resource: str = ""
    fields: Names


class ForeignKey(_Part):
    """Fields whose values must occur in another table."""

    fields: Names
    reference: Reference


class Margin(_Part):
    """A published figure: among the rows of `where`, how many have `column`, and its mean to the printed decimals.

    Either `n` or `value` may be absent, not both. Without `column`, `n` counts all rows of `where`.
    """

    where: Mapping[str, Plain] = pydantic.Field(default_factory=dict)
    column: str | None = None
    n: pydantic.NonNegativeInt | None = None
    value: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    decimals: Annotated[int, pydantic.Field(ge=0, le=15)] | None = None
    source: str = ""


class Table(_Part):
    """One table: its fields in order, its keys, its missing codes, its published margins."""

    fields: Annotated[tuple[Field, ...], pydantic.Field(min_length=1)]
    title: str = ""
    description: str = ""
    missing_values: Codes = (MissingCode(value=""),)
    primary_key: Names = ()
    unique_keys: tuple[Names, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    margins: tuple[Margin, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the fields, in order."""
        return tuple(field.name for field in self.fields)

    def by_role(self, role: str) -> tuple[Field, ...]:
        """Fields of this role, in order."""
        return tuple(field for field in self.fields if field.role == role)

    def field(self, name: str) -> Field:
        """Find the field of this name.

        Raises
        ------
        DictionaryError
            The table has no such field.
        """
        found = next((field for field in self.fields if field.name == name), None)
        if found is None:
            raise DictionaryError(Fault("the table has no such field", nearest(name, self.names), value=name))
        return found

    def missing(self, field: Field) -> tuple[MissingCode, ...]:
        """Codes that mean "absent" in this field: its own, or the table's."""
        return self.missing_values if field.missing_values is None else field.missing_values


class Dictionary(_Part):
    """Descriptions of a trial's tables, by table name."""

    schema_: Literal["rctgap/dictionary/1"] = pydantic.Field(alias="schema")
    title: str = ""
    description: str = ""
    tables: Annotated[Mapping[str, Table], pydantic.Field(min_length=1)]
