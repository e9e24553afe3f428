"""How the texts became scores: scorers, agreement with people, what labels changed."""

from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.words import arm_name, quantity
from rctgap.results import GapDecomposition
from rctgap.scoring_records import ScoringRow
from rctgap.tables import BLANK, percent

__all__ = ["scoring_section"]

FACTS = "key facts: "
MEANS = ("automatic", "labels alone", "rectified")
AGREEMENT = ("agreement", "sensitivity", "specificity", "ppv", "npv", "kappa", "alpha")
TOLD = (
    "Scores of these stages were made from texts. No text is shown here; positions and the gold terms found are in the "
    "table that the command rctgap score writes."
)


def scoring_section(result: GapDecomposition) -> Section | None:
    """What made the scores; None where they came as given."""
    rows = result.scoring
    if not rows:
        return None
    blocks: list[Block] = [Paragraph(TOLD), _said(result), *_remarks(result)]
    if any(row.quantity.startswith(FACTS) for row in rows):
        blocks.append(_completeness(result))
    if any(row.quantity in AGREEMENT for row in rows):
        blocks.append(_agreement(result))
    if any(row.quantity in MEANS for row in rows):
        blocks += [_changed(result), *_lambdas(result)]
    return Section("How texts became scores", tuple(blocks))


def _said(result: GapDecomposition) -> Table:
    places = dict.fromkeys((row.stage, row.arm, row.scorer) for row in result.scoring if row.quantity == "texts")
    found = {(row.stage, row.arm, row.quantity): row for row in result.scoring}
    cells = tuple(
        (
            quantity(stage),
            arm_name(result, arm) if arm else BLANK,
            scorer,
            _count(found.get((stage, arm, "texts"))),
            percent(mean.estimate) if (mean := found.get((stage, arm, "mean score"))) else BLANK,
        )
        for stage, arm, scorer in places
    )
    header = ("stage", "arm", "scorer", "texts", "mean %")
    return Table("Texts and what their scorers said", header, cells, heads=2, numbers=frozenset({3, 4}))


def _remarks(result: GapDecomposition) -> list[Paragraph]:
    """Denied hits and scorers' remarks, stage by stage."""
    found: dict[str, list[str]] = {}
    for row in result.scoring:
        if row.quantity == "texts with a denied hit" or row.quantity.startswith("note: "):
            found.setdefault(row.stage, []).append(f"{row.quantity.removeprefix('note: ')} {row.note or _count(row)}")
    return [Paragraph(f"{quantity(stage)}: {'; '.join(parts)}.") for stage, parts in found.items()]


def _completeness(result: GapDecomposition) -> Table:
    rows = [row for row in result.scoring if row.quantity.startswith(FACTS)]
    cells = tuple(
        (
            row.quantity.removeprefix(FACTS),
            arm_name(result, row.arm) if row.arm else "all",
            _points(row),
            _count(row),
            row.note or BLANK,
        )
        for row in rows
    )
    title = "Share of an item's key facts that people's messages carry, %"
    return Table(title, ("messages", "arm", "share", "answers", "note"), cells, heads=2, numbers=frozenset({2, 3}))


def _count(row: ScoringRow | None) -> str:
    return BLANK if row is None or row.n is None else str(row.n)


def _agreement(result: GapDecomposition) -> Table:
    rows = [row for row in result.scoring if row.quantity in AGREEMENT]
    names = [name for name in AGREEMENT if any(row.quantity == name for row in rows)]
    found = {(row.stage, row.arm, row.scorer, row.quantity): row for row in rows}
    places = dict.fromkeys((row.stage, row.arm, row.scorer) for row in rows)
    cells = tuple(
        (
            quantity(stage),
            arm_name(result, arm) if arm else "all",
            scorer,
            *(_measured(found.get((stage, arm, scorer, name))) for name in names),
        )
        for stage, arm, scorer in places
    )
    level = 100 * result.settings.level
    title = (
        f"Scorers against people, with {level:g} % intervals by participant; labelled cases weighted by 1 / probability"
    )
    return Table(title, ("stage", "arm", "scorer", *names), cells, heads=2, numbers=frozenset(range(3, 3 + len(names))))


def _measured(row: ScoringRow | None) -> str:
    if row is None or row.estimate is None:
        return BLANK
    ends = "" if row.lower is None or row.upper is None else f" ({row.lower:.2f} to {row.upper:.2f})"
    return f"{row.estimate:.2f}{ends}"


def _changed(result: GapDecomposition) -> Table:
    rows = [row for row in result.scoring if row.quantity in MEANS]
    found = {(row.stage, row.arm, row.quantity): row for row in rows}
    places = dict.fromkeys((row.stage, row.arm) for row in rows)
    cells = tuple(
        (quantity(stage), arm_name(result, arm), *(_points(found.get((stage, arm, name))) for name in MEANS))
        for stage, arm in places
    )
    title = "Mean scores, %: automatic, of the labelled answers alone, and rectified by the labels"
    return Table(title, ("stage", "arm", *MEANS), cells, heads=2, numbers=frozenset({2, 3, 4}))


def _points(row: ScoringRow | None) -> str:
    if row is None or row.estimate is None:
        return BLANK
    ends = "" if row.lower is None or row.upper is None else f" ({percent(row.lower)} to {percent(row.upper)})"
    return f"{percent(row.estimate)}{ends}"


def _lambdas(result: GapDecomposition) -> list[Paragraph]:
    return [
        Paragraph(
            f"{quantity(row.stage)}: {row.n} labelled answers; the automatic scores count with lambda = "
            f"{row.estimate:.2f}. {row.note}".strip()
        )
        for row in result.scoring
        if row.quantity == "lambda" and row.estimate is not None
    ]
