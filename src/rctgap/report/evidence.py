"""Assumptions, checks, published figures beside those found, systems and attrition."""

from rctgap.records import AssumptionRow, MarginRow, SystemRow
from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.columns import for_arms, without_blanks
from rctgap.report.words import arm_name, counted, listed, measured, quantity
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK

__all__ = ["assumptions_section", "attrition_section", "checks_section"]

STATUS = {"pass": "✓ pass", "fail": "✗ fail", "warning": "! warning", "not_applicable": f"{BLANK} not applicable"}


def assumptions_section(result: GapDecomposition) -> Section:
    """What the card declares, and the component that bears on it."""
    if not result.assumptions:
        return Section("Assumptions", (Paragraph("No card was given and no transition names an assumption."),))
    table = Table(
        "The benchmark's assumptions and what the data say of each",
        (
            "assumption",
            "question",
            "declared answer",
            "declared to hold at deployment",
            "status",
            "points lost",
            "evidence",
        ),
        tuple(_assumption_cells(row) for row in result.assumptions),
        numbers=frozenset({5}),
        wide=frozenset({1, 2, 3, 6}),
    )
    return Section("Assumptions", (table,))


def _assumption_cells(row: AssumptionRow) -> tuple[str, ...]:
    evidence = row.evidence + (f"; jointly with {listed(row.joint_with)}" if row.joint_with else "")
    declared = (row.question or BLANK, row.declared_answer or BLANK, row.declared_holds or BLANK)
    figures = measured(row.estimate, row.lower, row.upper)
    return (row.assumption_id, *declared, quantity(row.status), figures, evidence or BLANK)


def checks_section(result: GapDecomposition) -> Section:
    """Every check with its finding, and the two tables behind the checks on labels and systems."""
    rows = tuple(
        (quantity(one.check), STATUS.get(one.status, one.status), listed(one.assumption_ids), one.detail)
        for one in result.checks
    )
    blocks: list[Block] = []
    if rows:
        header = ("check", "status", "assumptions", "finding")
        table = Table("Checks that a result must survive", header, rows, wide=frozenset({2, 3}))
        blocks.append(without_blanks(table))
    else:
        blocks.append(Paragraph("No check has been run on this result."))
    if result.margins:
        blocks += [without_blanks(_margins(result)), *_fits(result)]
    if result.systems:
        blocks.append(for_arms(_systems(result), result))
    return Section("Checks", tuple(blocks))


def _margins(result: GapDecomposition) -> Table:
    return Table(
        "Published figures and the figures found under the same label",
        ("label", "item", "column", "published", "found", "agrees", "label that fits better", "source"),
        tuple(_margin_cells(row) for row in result.margins),
        heads=2,
        wide=frozenset({7}),
    )


def _margin_cells(row: MarginRow) -> tuple[str, ...]:
    figures = (row.column or BLANK, row.declared, row.found, "✓ yes" if row.agrees else "✗ no")
    return (row.label, row.item or BLANK, *figures, row.fits or BLANK, row.source or BLANK)


def _fits(result: GapDecomposition) -> list[Paragraph]:
    """Which label the rows under another fit better, once for each label."""
    told = dict.fromkeys((row.label, row.fits, row.fit_detail) for row in result.margins if row.fits)
    return [Paragraph(f"The rows under {label} fit the label {fits} better: {detail}.") for label, fits, detail in told]


def _systems(result: GapDecomposition) -> Table:
    return Table(
        "Which system produced each stage's rows",
        ("arm", "stage", "system under test", "system found", "same", "borrowed from", "instrument"),
        tuple(_system_cells(result, row) for row in result.systems),
        heads=2,
        wide=frozenset({5, 6}),
    )


def _system_cells(result: GapDecomposition, row: SystemRow) -> tuple[str, ...]:
    same = "not stated" if not row.found else "✓ yes" if set(row.found) == {row.under_test} else "✗ no"
    borrowed = f"{row.borrowed_from}: {row.because}" if row.borrowed_from else BLANK
    instrument = "; ".join(f"{name}: {value}" for name, value in row.instrument) or BLANK
    found = ", ".join(row.found) or BLANK
    return (arm_name(result, row.arm), quantity(row.stage), row.under_test, found, same, borrowed, instrument)


def attrition_section(result: GapDecomposition) -> Section:
    """Answers that entered and left each step."""
    table = Table(
        "Answers into and out of each step",
        ("step", "arm", "in", "out", "reason"),
        tuple(
            (one.step, one.arm, counted(one.n_in), counted(one.n_out), one.reason or BLANK) for one in result.attrition
        ),
        heads=2,
        numbers=frozenset({2, 3}),
        wide=frozenset({4}),
    )
    return Section("Attrition", (without_blanks(table),))
