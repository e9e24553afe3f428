"""Every component under every way to score the texts."""

from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.words import arm_name, figure, measured, quantity, shown_arms
from rctgap.results import GapDecomposition
from rctgap.scoring_records import SpecificationRow
from rctgap.tables import BLANK, interval_name

__all__ = ["specifications_section"]

KINDS = ("component", "gap")


def specifications_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section | None:
    """What the way of scoring changes; None where there is one way only."""
    if not result.specifications:
        return None
    arms = shown_arms(result)
    blocks: list[Block] = [Paragraph(text) for text in _spread(result, arms[0])]
    blocks.extend(pictures)
    blocks.append(_table(result, arms[0]))
    return Section("What the way of scoring changes", tuple(blocks))


def _rows(result: GapDecomposition, arm: str) -> list[SpecificationRow]:
    return [row for row in result.specifications if row.arm == arm and row.kind in KINDS]


def _spread(result: GapDecomposition, arm: str) -> list[str]:
    rows = _rows(result, arm)
    parts = []
    for name in dict.fromkeys(row.quantity for row in rows):
        values = [row.estimate for row in rows if row.quantity == name and row.estimate is not None]
        if values:
            parts.append(f"{quantity(name)} from {figure(min(values))} to {figure(max(values))} points")
    number = len({row.specification for row in rows})
    found = f"Over {number} specifications ({arm_name(result, arm)}): {'; '.join(parts)}."
    told = "Each interval treats its scores as right: the spread between specifications comes on top of it."
    return [f"The texts can be scored in other ways. {found}", f"{told} Every arm's figures are in specifications.csv."]


def _table(result: GapDecomposition, arm: str) -> Table:
    rows = _rows(result, arm)
    names = list(dict.fromkeys(row.quantity for row in rows))
    found = {(row.specification, row.quantity): row for row in rows}
    numbers = dict.fromkeys(row.specification for row in rows)
    level = interval_name(result.settings.level, (row.interval for row in rows))
    cells = tuple(
        (str(number), *(_cell(found.get((number, name))) for name in names), found[number, names[0]].choices)
        for number in numbers
    )
    header = ("specification", *(f"{quantity(name)}, points" for name in names), "scoring")
    title = f"Points under each specification with {level}; {arm_name(result, arm)}; 1 is the one asked for"
    return Table(title, header, cells, heads=1, numbers=frozenset(range(1, len(names) + 1)))


def _cell(row: SpecificationRow | None) -> str:
    return BLANK if row is None else measured(row.estimate, row.lower, row.upper)
