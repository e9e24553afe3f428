"""Number formatting, and one plain-text or Markdown table from rows."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rctgap.results import ComponentRow, GapDecomposition, StageRow

__all__ = [
    "attrition_text",
    "comparison_text",
    "interval",
    "markdown_table",
    "number",
    "percent",
    "plain",
    "points",
    "result_text",
    "text_table",
]

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


def result_text(result: "GapDecomposition") -> str:
    """What `print(result)` shows: choices, stages, components, effects, warnings."""
    chosen = result.settings
    correction = f" ({chosen.small_sample})" if chosen.small_sample else ""
    counted = f"{chosen.n_answers} answers, {chosen.n_runs} benchmark runs"
    people = f", {chosen.n_participants} participants" if chosen.n_participants else ", participants not identified"
    items = f", {chosen.n_items} items" if chosen.n_items else ", items not identified"
    head = [
        result.title or "Gap decomposition",
        (
            f"items {chosen.items}, item weights {chosen.item_weights}, arm weights {chosen.arm_weights}; "
            f"{chosen.method} {chosen.estimator}, covariance {chosen.covariance}{correction}"
        ),
        counted + people + items,
    ]
    parts = ["\n".join(head), _stage_table(result), _component_table(result)]
    parts.extend(f"Warning: {text}" for text in result.warnings)
    parts.extend(
        f"Check {check.check}: {check.status}. {check.detail}" for check in result.checks if check.status == "fail"
    )
    return "\n\n".join(parts)


def _stage_table(result: "GapDecomposition") -> str:
    level = f"{100 * result.settings.level:g} % interval"
    rows = [_stage_cells(row) for row in result.stages if _shown(result, row.arm)]
    return text_table(["arm", "stage", "system", "accuracy %", level, "n"], rows, left=(0, 1, 2))


def _stage_cells(row: "StageRow") -> list[str]:
    return [row.arm, row.stage, row.system, percent(row.estimate), interval(row.lower, row.upper), str(row.n)]


def _component_table(result: "GapDecomposition") -> str:
    level = f"{100 * result.settings.level:g} % interval"
    rows = [_component_cells(row) for row in result.main() if _shown(result, row.arm)]
    return text_table(["arm", "quantity", "points", level, "kind", "assumptions"], rows, left=(0, 1, 4, 5))


def _component_cells(row: "ComponentRow") -> list[str]:
    figure = percent(row.estimate) if row.kind == "conditional" else points(row.estimate)
    last = row.assumption_ids.replace(";", " ") if row.kind == "component" else ""
    if row.lower is None:
        last = f"{last} [{row.note}]".strip()
    return [row.arm, row.quantity, figure, interval(row.lower, row.upper), row.interval, last]


def _shown(result: "GapDecomposition", arm: str) -> bool:
    """The pooled row says nothing new where there is one arm."""
    return arm != "all" or len(result.settings.arms) > 1


def comparison_text(results: "Mapping[str, GapDecomposition]") -> str:
    """Chains side by side: gap, task, outcome and realized effect with intervals, and the checks that fail."""
    quantities = ("task", "outcome", "gap", "realized_effect")
    rows = []
    for name, result in results.items():
        found = {row.quantity: row for row in result.main() if row.arm == "all"}
        cells = [
            f"{percent(found[one].estimate)} ({interval(found[one].lower, found[one].upper)})" for one in quantities
        ]
        failed = ", ".join(check.check for check in result.checks if check.status == "fail") or "none"
        rows.append([name, *cells, failed])
    return text_table(["chain", *quantities, "failed checks"], rows, left=(0, 5))


def attrition_text(result: "GapDecomposition") -> str:
    """The attrition table."""
    rows = [[row.step, row.arm, str(row.n_in), str(row.n_out), row.reason] for row in result.attrition]
    return text_table(["step", "arm", "in", "out", "reason"], rows, left=(0, 1, 4))
