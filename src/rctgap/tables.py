"""Number formatting, and one plain-text or Markdown table from rows."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "BLANK",
    "CREDIBLE",
    "chance",
    "interval",
    "interval_name",
    "markdown_table",
    "number",
    "p_value",
    "percent",
    "plain",
    "points",
    "text_table",
]

BLANK = "–"  # noqa: RUF001 - a dash says that nothing is missing by mistake

CREDIBLE: Mapping[str, str] = {"equal_tailed": "equal-tailed", "hdi": "highest-density"}
"""Intervals of a posterior, in words."""

CERTAIN = 0.995
SMALLEST_P = 0.0001


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


def chance(value: float | None) -> str:
    """A probability to two decimals; draws cannot show that one is exactly 0 or 1.

    Examples
    --------
    >>> chance(0.714), chance(0.9999), chance(0.0)
    ('0.71', '> 0.99', '< 0.01')
    """
    if value is None:
        return BLANK
    return "> 0.99" if value > CERTAIN else "< 0.01" if value < 1 - CERTAIN else f"{value:.2f}"


def p_value(value: float | None) -> str:
    """A p-value to four decimals."""
    if value is None:
        return BLANK
    return f"< {SMALLEST_P}" if value < SMALLEST_P else f"{value:.4f}"


def interval_name(level: float, kinds: Iterable[str]) -> str:
    """What a column of intervals is called: credible, and how made, where they are a posterior's.

    Examples
    --------
    >>> interval_name(0.95, ["t", "wilson"])
    '95 % interval'
    >>> interval_name(0.95, ["equal_tailed"])
    '95 % credible interval, equal-tailed'
    """
    made = dict.fromkeys(CREDIBLE[kind] for kind in kinds if kind in CREDIBLE)
    return f"{100 * level:g} % " + (f"credible interval, {' or '.join(made)}" if made else "interval")


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
