"""The codebook: a data dictionary as a Markdown document for people."""

from collections.abc import Iterator, Sequence

from rctgap.fields import Dictionary, Field, Margin, Table, text_of

__all__ = ["codebook"]

_ESCAPES = str.maketrans(
    {character: f"\\{character}" for character in "\\|*[]"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)


def codebook(dictionary: Dictionary) -> str:
    """Write the codebook of a dictionary in Markdown; the same dictionary gives the same text.

    Examples
    --------
    >>> from rctgap.dictionary import codebook, read_dictionary
    >>> tables = {"trial": {"fields": [{"name": "arm", "role": "arm"}]}}
    >>> print(codebook(read_dictionary({"schema": "rctgap/dictionary/1", "tables": tables})).splitlines()[0])
    # Codebook
    """
    lines = [f"# {_cell(dictionary.title or 'Codebook')}", ""]
    lines += _paragraph(dictionary.description)
    for name, table in dictionary.tables.items():
        lines += _table(name, table)
    return "\n".join(lines)


def _table(name: str, table: Table) -> Iterator[str]:
    yield from (f"## {_cell(name)}{f': {_cell(table.title)}' if table.title else ''}", "")
    yield from _paragraph(table.description)
    yield from _paragraph(f"Missing values: {_missing(table)}")
    yield from _grid(
        ("field", "title", "type", "role", "stage", "unit", "limits", "missing values", "description"),
        [_field(table, field) for field in table.fields],
    )
    for field in table.fields:
        yield from _levels(field)
    yield from _keys(table)
    yield from _margins(table.margins)


def _field(table: Table, field: Field) -> Sequence[str]:
    kind = field.type if field.format == "default" else f"{field.type} ({field.format})"
    own = _missing(table, field) if field.missing_values is not None else ""
    notes = [note for note in (field.description, "Sensitive: never printed." if field.sensitive else "") if note]
    if field.example is not None and not field.withheld:
        notes.append(f"Example: {text_of(field.example)}.")
    stage, role = field.stage or "", field.role or ""
    return (field.name, field.title, kind, role, stage, field.unit, _limits(field), own, " ".join(notes))


def _missing(table: Table, field: Field | None = None) -> str:
    codes = table.missing_values if field is None else table.missing(field)
    shown = (f'"{code.value}"' + (f" ({code.label})" if code.label else "") for code in codes)
    return ", ".join(shown) or "none"


def _limits(field: Field) -> str:
    given = field.constraints.given
    return "; ".join(
        key
        if value is True
        else f"{key} {', '.join(map(text_of, value)) if isinstance(value, tuple) else text_of(value)}"
        for key, value in given.items()
        if value is not False
    )


def _levels(field: Field) -> Iterator[str]:
    if field.levels:
        yield from _paragraph(f"Levels of {field.name}, in order:")
        rows = [(level.text, level.name, ", ".join(level.aliases), level.description) for level in field.levels]
        yield from _grid(("value", "label", "aliases", "description"), rows)


def _keys(table: Table) -> Iterator[str]:
    found = [f"Primary key: {', '.join(table.primary_key)}"] if table.primary_key else []
    found += [f"Unique together: {', '.join(key)}" for key in table.unique_keys]
    for key in table.foreign_keys:
        target = key.reference.resource or "this table"
        found.append(f"Foreign key: {', '.join(key.fields)}, in {target} ({', '.join(key.reference.fields)})")
    if found:
        yield from (*(f"- {_cell(line)}" for line in found), "")


def _margins(margins: Sequence[Margin]) -> Iterator[str]:
    if margins:
        yield from _paragraph("Published figures that the data must meet:")
        yield from _grid(("where", "column", "n", "mean", "source"), [_margin(margin) for margin in margins])


def _margin(margin: Margin) -> Sequence[str]:
    where = ", ".join(f"{name} = {text_of(value)}" for name, value in margin.where.items()) or "all rows"
    mean = "" if margin.value is None else f"{margin.value:.{margin.decimals or 0}f}"
    n = "" if margin.n is None else str(margin.n)
    return (where, margin.column or "", n, mean, margin.source)


def _paragraph(text: str) -> Sequence[str]:
    return (_cell(text), "") if text else ()


def _grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lay out a table without the columns that are empty in every row."""
    kept = [place for place, _ in enumerate(header) if any(row[place] for row in rows)]
    yield _row([header[place] for place in kept])
    yield _row(["---"] * len(kept))
    yield from (_row([_cell(row[place]) for place in kept]) for row in rows)
    yield ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return " ".join(text.translate(_ESCAPES).split())
