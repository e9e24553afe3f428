"""Published figures that the dictionary declares, against the data."""

from rctgap.results import CheckResult, GapDecomposition, MarginRow

__all__ = ["declared_margins"]


def declared_margins(result: GapDecomposition) -> CheckResult:
    """Fail where rows under a label do not give the figures published for it; name the label that fits."""
    if not result.margins:
        return CheckResult("declared_margins", "not_applicable", "", "The dictionary declares no published figures.")
    missed = [row for row in result.margins if not row.agrees]
    if not missed:
        return CheckResult("declared_margins", "pass", "", f"All {len(result.margins)} published figures agree with the data.")
    labels = dict.fromkeys(row.label for row in missed)
    detail = " ".join(_about(result.margins, label) for label in labels)
    return CheckResult("declared_margins", "fail", "", detail)


def _about(margins: tuple[MarginRow, ...], label: str) -> str:
    mine = [row for row in margins if _base(row, label)]
    missed = [row for row in mine if not row.agrees]
    shown = "; ".join(f"{row.column or 'number of answers'} {row.found}, published {row.declared}" for row in missed[:3])
    more = f"; and {len(missed) - 3} more" if len(missed) > 3 else ""  # noqa: PLR2004 - three examples are enough
    text = f"Rows with {label} do not give {len(missed)} of {len(mine)} published figures ({shown}{more})."
    fits = next((row for row in missed if row.fits), None)
    if fits is not None:
        text += f" They fit the label {fits.fits}: {fits.fit_detail}."
    return text


def _base(row: MarginRow, label: str) -> bool:
    return row.label == label
