"""The same quantities by both schools, side by side: what a prior and shrinkage change."""

from rctgap.records import ComponentRow
from rctgap.report.blocks import Block, Paragraph, Section, Table
from rctgap.report.columns import for_arms
from rctgap.report.quantities import effect_name
from rctgap.report.words import arm_name, figure, measured, quantity, ratio, shown_arms
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK, interval_name

__all__ = ["schools_section"]

KINDS = ("component", "family", "gap", "effect")
FREQUENTIST, BAYESIAN = "frequentist", "bayesian"
TOLD = {
    "hierarchical": (
        "The model draws what was seen of each arm and item towards what the others show (shrinkage), more so where "
        "fewer answers stand behind it. A Bayesian figure therefore tends to lie closer to the middle of its kind, and "
        "a stage at 0 or 100 % is drawn inwards. A difference of much less than the width of an interval is no sign "
        "that either is wrong; a large one says that the prior has a say or that the model does not fit: see its "
        "checks."
    ),
    "bayesian bootstrap": (
        "The Bayesian bootstrap shrinks nothing: it puts random weights on the same answers, so its figures agree with "
        "the frequentist ones but for chance in the draws and for skewness. With few participants or items its "
        "intervals are too short."
    ),
}


def schools_section(result: GapDecomposition, pictures: tuple[Block, ...]) -> Section | None:
    """Frequentist and Bayesian figures of one estimand; None where one school is missing."""
    found = {
        (row.method, row.arm, row.quantity): row
        for row in reversed((*result.main(), *_beside(result)))
        if row.kind in KINDS
    }
    names = dict.fromkeys(row.quantity for row in result.main() if row.kind in KINDS and row.quantity != "item_mix")
    pairs = [
        (found[FREQUENTIST, arm, name], found[BAYESIAN, arm, name])
        for arm in shown_arms(result)
        for name in names
        if (FREQUENTIST, arm, name) in found and (BAYESIAN, arm, name) in found
    ]
    if not pairs:
        return None
    level = result.settings.level
    estimators = tuple(dict.fromkeys(other.estimator for _, other in pairs))
    kinds = tuple(name.removeprefix("bayesian ") for name in estimators)
    credible = interval_name(level, (other.interval for _, other in pairs))
    header = (
        "arm",
        "quantity",
        f"frequentist, with {interval_name(level, ())}",
        f"Bayesian, with {credible}",
        "difference, points",
        "ratio of widths",
    )
    table = Table(
        f"Points by both schools: frequentist {pairs[0][0].estimator}, Bayesian {', '.join(kinds)}",
        header,
        tuple(_cells(result, *pair) for pair in pairs),
        heads=2,
        numbers=frozenset({2, 3, 4, 5}),
    )
    words = [TOLD[name] for name in estimators if name in TOLD]
    agreed = [Paragraph(one.detail) for one in result.checks if one.check == "agreement" and one.status != "fail"]
    blocks = (
        Paragraph(_intervals_differ(level)),
        *(Paragraph(one) for one in words),
        *pictures,
        for_arms(table, result),
        *agreed,
    )
    return Section("Bayesian beside frequentist", blocks)


def _intervals_differ(level: float) -> str:
    told = f"{100 * level:g}"
    return (
        "The two intervals answer different questions: the frequentist one is made so as to cover the true value in "
        f"{told} of 100 repetitions of the trial; the credible one holds it with probability {told} %, "
        "given the model and its priors."
    )


def _beside(result: GapDecomposition) -> list[ComponentRow]:
    """Rows of the other school under the estimand that was asked for."""
    asked = (result.settings.items, result.settings.item_weights)
    return [
        row
        for row in result.alternatives
        if (row.items, row.item_weights) == asked and row.method != result.settings.method
    ]


def _cells(result: GapDecomposition, one: ComponentRow, other: ComponentRow) -> tuple[str, ...]:
    name = effect_name(one.quantity) if one.kind == "effect" else quantity(one.quantity)
    told = tuple(measured(row.estimate, row.lower, row.upper) for row in (one, other))
    apart = None if one.estimate is None or other.estimate is None else other.estimate - one.estimate
    return (arm_name(result, one.arm), name, *told, figure(apart), _relative_width(one, other))


def _relative_width(one: ComponentRow, other: ComponentRow) -> str:
    """Width of the credible interval over that of the frequentist one."""
    if None in (one.lower, one.upper, other.lower, other.upper):
        return BLANK
    first, second = (float(row.upper or 0.0) - float(row.lower or 0.0) for row in (one, other))
    return ratio(second / first) if first > 0 else BLANK
