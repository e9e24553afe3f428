"""Published figures that the dictionary declares, against the data."""

from rctgap.records import CheckResult, MarginRow
from rctgap.results import GapDecomposition

__all__ = ["declared_margins"]

NOTHING = "The dictionary declares no published figures, or none for a label that rows carry."


def declared_margins(result: GapDecomposition) -> CheckResult:
    """Fail where rows under a label do not give the figures published for it; name the label that fits."""
    if not result.margins:
        return CheckResult("declared_margins", "not_applicable", "", NOTHING)
    missed = [row for row in result.margins if not row.agrees]
    if not missed:
        return CheckResult(
            "declared_margins",
            "pass",
            "",
            f"All {len(result.margins)} figures published for labels that rows carry agree with the data.",
        )
    labels = dict.fromkeys(row.label for row in missed)
    detail = " ".join(_about(result.margins, label) for label in labels)
    return CheckResult("declared_margins", "fail", "", detail)


def _about(margins: tuple[MarginRow, ...], label: str) -> str:
    mine = [row for row in margins if row.label == label]
    missed = [row for row in mine if not row.agrees]
    whole = [f"{row.column or 'answers'} {row.found}, published {row.declared}" for row in missed if not row.item]
    by_item = [row for row in missed if row.item]
    if by_item:
        first = "; ".join(f"{row.item}: {row.found}, published {row.declared}" for row in by_item[:2])
        whole.append(f"{len(by_item)} figures by item ({first}{'; ...' if len(by_item) > 2 else ''})")  # noqa: PLR2004
    text = f"Rows with {label} miss {len(missed)} of {len(mine)} published figures: {'; '.join(whole)}."
    fits = next((row for row in missed if row.fits), None)
    return text if fits is None else f"{text} They fit the label {fits.fits}: {fits.fit_detail}."
