"""What stands beside the main tables: other intervals, missing scores, tests."""

from rctgap.records import HypothesisRow, MissingRow
from rctgap.report.blocks import Paragraph, Section, Table
from rctgap.report.columns import for_arms, without_blanks
from rctgap.report.words import (
    arm_name,
    estimand_name,
    figure,
    long_interval,
    quantity,
    ratio,
    short,
    shown_arms,
    span,
)
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK, p_value

__all__ = ["intervals_section", "missing_section", "tests_section"]

KINDS = ("component", "family", "gap", "effect")
OTHER_INTERVALS = (
    "Few-items is t with CR2 by item, widened to the Beta-binomial population interval where simulation has shown t to "
    "cover too little; t is plain; bounded holds for any distribution of item means, and is wide for it."
)
APPROACHES = {
    "available": "each stage's own scores",
    "complete_case": "complete answers",
    "inverse_probability": "weighted by chance of a score",
    "worst_case": "worst case (bounds)",
}


def intervals_section(result: GapDecomposition) -> Section | None:
    """The same estimates with other intervals, side by side; None where there are none."""
    mix = result.settings.item_weights
    others = [row for row in result.alternatives if row.method == "frequentist"]
    chosen = dict.fromkeys((row.items, row.item_weights) for row in others if row.item_weights == mix)
    tables = [_intervals_table(result, *one) for one in chosen]
    if not tables:
        return None
    return Section("The same estimates with other intervals", (Paragraph(OTHER_INTERVALS), *tables))


def _intervals_table(result: GapDecomposition, items: str, item_weights: str) -> Table:
    rows = [
        row
        for row in (*result.components, *result.alternatives)
        if (row.items, row.item_weights, row.method) == (items, item_weights, "frequentist") and row.kind in KINDS
    ]
    names = tuple(dict.fromkeys(row.estimator for row in rows))
    found = {(row.arm, row.quantity, row.estimator): row for row in reversed(rows)}
    cells = []
    for arm in shown_arms(result):
        for name in dict.fromkeys(row.quantity for row in rows if row.quantity != "item_mix"):
            told = [found.get((arm, name, one)) for one in names]
            if all(row is None or row.lower is None for row in told):
                continue
            point = next((figure(row.estimate) for row in told if row), BLANK)
            ends = tuple(span(row.lower, row.upper) if row else BLANK for row in told)
            cells.append((arm_name(result, arm), quantity(name), point, *ends))
    header = ("arm", "quantity", "points", *(name.partition(", ")[2] or "t" for name in names))
    numbers = frozenset(range(2, len(header)))
    caption = f"{100 * result.settings.level:g} % intervals, {estimand_name(items, item_weights)}"
    return for_arms(Table(caption, header, tuple(cells), heads=2, numbers=numbers), result)


def missing_section(result: GapDecomposition) -> Section | None:
    """Each quantity under every way to deal with missing scores; None where none is missing."""
    if not result.missing:
        return None
    names = tuple(dict.fromkeys(row.approach for row in result.missing))
    found = {(row.arm, row.quantity, row.approach): row for row in result.missing}
    cells = [
        (arm_name(result, arm), quantity(name), *(_missing_cell(found.get((arm, name, one))) for one in names))
        for arm in shown_arms(result)
        for name in dict.fromkeys(row.quantity for row in result.missing)
    ]
    header = ("arm", "quantity", *(APPROACHES.get(name, name) for name in names))
    table = Table("Points, with interval", header, tuple(cells), heads=2, numbers=frozenset(range(2, len(header))))
    told = (
        "Some scores are missing. The columns differ in what they take missing scores to be; the worst case gives the "
        "smallest and largest value over all of them, and an interval that covers whatever lies between."
    )
    reasons = dict.fromkeys(row.note for row in result.missing if row.estimate is None and row.note)
    notes = tuple(Paragraph(f"{note[:1].upper()}{note[1:]}.") for note in reasons if note)
    return Section("Missing scores", (Paragraph(told), for_arms(table, result), *notes[:3]))


def _missing_cell(row: MissingRow | None) -> str:
    if row is None:
        return BLANK
    ends = long_interval(row.lower, row.upper) if row.lower is not None else ""
    if row.estimate is not None:
        return f"{figure(row.estimate)}{ends}"
    return f"{span(row.bound_lower, row.bound_upper)}{ends}" if row.bound_lower is not None else BLANK


def tests_section(result: GapDecomposition) -> Section | None:
    """Hypotheses and p-values; None where there are none."""
    if not result.tests:
        return None
    arms = shown_arms(result)
    rows = [row for row in result.tests if row.arm in arms or row.arm not in (*result.settings.arms, "all")]
    header = ("arm", "hypothesis", "method", "statistic", "df", "reference", "p", "interval", "note")
    table = Table(
        "Two-sided p-values, not adjusted for their number",
        header,
        tuple(_test_cells(result, row) for row in rows),
        heads=2,
        numbers=frozenset({3, 4, 6, 7}),
        wide=frozenset({8}),
    )
    return Section("Tests", (without_blanks(table),))


def _test_cells(result: GapDecomposition, row: HypothesisRow) -> tuple[str, ...]:
    df = ", ".join(short(one) for one in (row.df_num, row.df_denom) if one is not None) or BLANK
    return (
        arm_name(result, row.arm),
        row.hypothesis.replace("_", " "),
        row.method,
        ratio(row.statistic),
        df,
        row.reference or BLANK,
        p_value(row.p_value),
        span(row.lower, row.upper),
        row.note or BLANK,
    )
