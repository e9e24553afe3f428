"""What a posterior says of each quantity: probabilities in words, tables, the prior beside, the other estimands."""

from collections.abc import Iterator, Sequence

from rctgap.records import PosteriorRow
from rctgap.report.answers import NAMES
from rctgap.report.blocks import Block, Bullets, Paragraph, Section, Table
from rctgap.report.columns import for_arms, without_blanks
from rctgap.report.quantities import effect_name
from rctgap.report.words import (
    arm_name,
    counted,
    estimand_name,
    figure,
    quantity,
    shown_arms,
    span,
)
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK, chance, interval_name

__all__ = ["chosen_rows", "posterior_name", "posterior_section", "quantity_name"]

LOSSES = ("component", "family", "gap", "difference")
TASK_MINUS_OUTCOME = "task_minus_outcome"
MODELS = {
    "bayesian bootstrap": "the Bayesian bootstrap, which weighs participants (answers, where participants are not "
    "identified; items too, where they are random) anew in each draw and assumes no model of the scores",
    "hierarchical": "one model of all stages, in which arms, items and participants have effects of their own",
}


def posterior_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section | None:
    """Probabilities, quantities and stage means; None where there is no posterior."""
    rows = chosen_rows(result)
    if not rows:
        return None
    blocks: list[Block] = [Paragraph(_opening(result, rows[0]))]
    first = shown_arms(result)[0]
    if told := tuple(_statements(rows, first)):
        blocks += [Paragraph(f"Probabilities, for {arm_name(result, first)}:"), Bullets(told)]
    blocks += [Paragraph(text) for text in _before(result, rows)]
    blocks += [*pictures, for_arms(_losses(result, rows), result)]
    blocks += _effects(result, rows)
    blocks.append(without_blanks(_chances(result, rows)))
    blocks += _other_estimands(result)
    return Section("Posterior", tuple(blocks))


def chosen_rows(result: GapDecomposition) -> list[PosteriorRow]:
    """Posterior rows of the estimand that was asked for, else of the first there is."""
    asked = (result.settings.items, result.settings.item_weights)
    there = [(row.items, row.item_weights) for row in result.posterior]
    wanted = asked if asked in there else next(iter(there), None)
    return [row for row in result.posterior if (row.items, row.item_weights) == wanted]


def posterior_name(rows: Sequence[PosteriorRow]) -> str:
    """What the rows' intervals are called."""
    return interval_name(rows[0].level, (row.interval for row in rows))


def quantity_name(name: str) -> str:
    """A posterior row's quantity in words."""
    return effect_name(name) if "effect" in name else NAMES.get(name, quantity(name))


def _opening(result: GapDecomposition, row: PosteriorRow) -> str:
    made = result.sampling
    draws = f" ({counted(made.chains * made.draws)} draws)" if made is not None else ""
    source = MODELS.get(row.estimator, row.estimator)
    estimand = f"items {row.items}, item weights {row.item_weights}"
    return (
        f"A posterior puts a probability on every statement about a quantity. This one comes from {source}{draws}; "
        f"{estimand}. A credible interval holds the quantity with the probability that it names."
    )


def _statements(rows: Sequence[PosteriorRow], arm: str) -> Iterator[str]:
    """Probabilities in words, for one arm."""
    for row in rows:
        if row.arm != arm or row.prob_positive is None or row.quantity == "item_mix":
            continue
        name = quantity(row.quantity)
        if row.quantity == TASK_MINUS_OUTCOME:
            yield (
                f"{_probability('task > outcome', row.prob_positive)}, that more points are lost at task steps than at "
                "outcome steps."
            )
        elif row.kind in LOSSES:
            where = "in all" if row.kind == "gap" else f"at {name} steps" if row.kind == "family" else "at this step"
            within = _probability(f"|{name}| < {_margin(row)} points", row.prob_within_margin)
            small = f"; {within}, that little changes" if row.prob_within_margin is not None else ""
            yield f"{_probability(f'{name} > 0', row.prob_positive)}, that points are lost {where}{small}."
        elif row.quantity == "realized_effect":
            event = _probability(f"{name} > 0", row.prob_positive)
            yield f"{event}, that decisions are better than in the control arm."


def _probability(event: str, value: float | None) -> str:
    told = chance(value)
    return f"P({event}) {told}" if told[0] in "<>" else f"P({event}) = {told}"


def _margin(row: PosteriorRow) -> str:
    return f"{100 * (row.margin or 0.0):g}"


def _before(result: GapDecomposition, rows: Sequence[PosteriorRow]) -> Iterator[str]:
    """What the prior said of the gap, beside what the posterior says."""
    arm = shown_arms(result)[0]
    gap = next((row for row in rows if (row.arm, row.quantity) == (arm, "gap")), None)
    if gap is not None and gap.prior_lower is not None and gap.lower is not None:
        level = f"{100 * gap.level:g} %"
        yield (
            f"Before any data the prior put the gap between {figure(gap.prior_lower)} and {figure(gap.prior_upper)} "
            f"points ({level}); with the data it lies between {figure(gap.lower)} and {figure(gap.upper)}."
        )
    elif gap is not None:
        yield "This posterior has no prior of its own to show beside it."


def _of_kinds(result: GapDecomposition, rows: Sequence[PosteriorRow], kinds: Sequence[str]) -> list[PosteriorRow]:
    labels = (*shown_arms(result), result.settings.control)
    return [row for arm in labels for row in rows if row.arm == arm and row.kind in kinds]


def _losses(result: GapDecomposition, rows: Sequence[PosteriorRow]) -> Table:
    shown = _of_kinds(result, rows, LOSSES)
    margin = next((_margin(row) for row in shown if row.margin is not None), "")
    return Table(
        "Points lost, as the posterior has them; a negative number is a gain",
        (
            "arm",
            "quantity",
            "mean",
            "median",
            posterior_name(rows),
            "P(> 0)",
            f"P(under {margin} points either way)" if margin else "P(small)",
            "before any data",
            "note",
        ),
        tuple(
            (
                *_cells(result, row),
                chance(row.prob_positive),
                chance(row.prob_within_margin),
                span(row.prior_lower, row.prior_upper),
                row.note or BLANK,
            )
            for row in shown
        ),
        heads=2,
        numbers=frozenset({2, 3, 4, 5, 6, 7}),
        wide=frozenset({8}),
    )


def _effects(result: GapDecomposition, rows: Sequence[PosteriorRow]) -> list[Block]:
    shown = [row for row in _of_kinds(result, rows, ("effect",)) if row.mean is not None]
    if not shown:
        return []
    header = ("arm", "effect", "mean", "median", posterior_name(rows), "P(> 0)", "before any data", "note")
    cells = tuple(
        (
            *_cells(result, row),
            chance(row.prob_positive),
            span(row.prior_lower, row.prior_upper),
            row.note or BLANK,
        )
        for row in shown
    )
    numbers = frozenset({2, 3, 4, 5, 6})
    caption = "Difference from the control arm in points, as the posterior has it"
    return [for_arms(Table(caption, header, cells, heads=2, numbers=numbers, wide=frozenset({7})), result)]


def _chances(result: GapDecomposition, rows: Sequence[PosteriorRow]) -> Table:
    return Table(
        "Right answers in percent, as the posterior has them",
        ("arm", "of", "mean", "median", posterior_name(rows), "before any data", "note"),
        tuple(
            (*_cells(result, row), span(row.prior_lower, row.prior_upper), row.note or BLANK)
            for row in _of_kinds(result, rows, ("stage", "conditional"))
        ),
        heads=2,
        numbers=frozenset({2, 3, 4, 5}),
        wide=frozenset({6}),
    )


def _cells(result: GapDecomposition, row: PosteriorRow) -> tuple[str, ...]:
    names = (arm_name(result, row.arm), quantity_name(row.quantity))
    return (*names, figure(row.mean), figure(row.median), span(row.lower, row.upper))


def _other_estimands(result: GapDecomposition) -> list[Block]:
    """Medians under every estimand that the posterior was taken to, side by side."""
    rows = [row for row in result.posterior if row.kind in LOSSES]
    estimands = tuple(dict.fromkeys((row.items, row.item_weights) for row in rows))
    if len(estimands) < 2:  # noqa: PLR2004 - one estimand has nothing beside it
        return []
    found = {(row.arm, row.quantity, row.items, row.item_weights): row for row in reversed(rows)}
    cells = []
    for arm in shown_arms(result):
        for name in dict.fromkeys(row.quantity for row in rows):
            told = [found.get((arm, name, *estimand)) for estimand in estimands]
            shown = tuple(BLANK if row is None or row.median is None else _with_interval(row) for row in told)
            cells.append((arm_name(result, arm), quantity_name(name), *shown))
    header = ("arm", "quantity", *(estimand_name(*one) for one in estimands))
    caption = f"The posterior under each estimand: median points lost, with {posterior_name(rows)}"
    numbers = frozenset(range(2, len(header)))
    return [for_arms(Table(caption, header, tuple(cells), heads=2, numbers=numbers), result)]


def _with_interval(row: PosteriorRow) -> str:
    return f"{figure(row.median)} ({span(row.lower, row.upper)})"
