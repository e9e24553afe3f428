"""Number formatting, and one plain-text or Markdown table from rows."""

import unicodedata
from collections.abc import Sequence

__all__ = ["BLANK", "interval", "markdown_table", "number", "percent", "plain", "points", "text_table"]

BLANK = "–"  # noqa: RUF001 - a dash says that nothing is missing by mistake


def percent(value: float | None, decimals: int = 1) -> str:
    """A proportion as a percentage without its sign.

    Examples
    --------
    >>> percent(0.94667)
    '94.7'
    """
    return BLANK if value is None else f"{100 * value:.{decimals}f}"


def points(value: float | None, decimals: int = 1) -> str:
    """A difference of proportions in percentage points, signed.

    Examples
    --------
    >>> points(-0.13)
    '-13.0'
    """
    return BLANK if value is None else f"{100 * value:+.{decimals}f}"


def interval(lower: float | None, upper: float | None, decimals: int = 1) -> str:
    """Two ends of an interval in percent or points."""
    if lower is None or upper is None:
        return BLANK
    return f"{100 * lower:.{decimals}f} to {100 * upper:.{decimals}f}"


def number(value: float | None, digits: int = 3) -> str:
    """A number to significant digits."""
    return BLANK if value is None else f"{value:.{digits}g}"


def plain(text: str) -> str:
    """Text on one line, without control characters."""
    kept = "".join(" " if unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") else one for one in text)
    return " ".join(kept.split())


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """Aligned columns: those in `left` to the left, numbers to the right."""
    table = [[plain(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table with cells escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(_escape(cell) for cell in cells) + " |"

    return "\n".join([line(header), "|" + "---|" * len(header), *(line(row) for row in rows)])


def _escape(cell: str) -> str:
    text = plain(cell).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{one}" if one in "\\|`*_[]" else one for one in text)
