"""The card's assumptions, each with what the data say of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rctgap.cards import Assumption, BenchmarkCard
from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import OutcomeVerdict
from rctgap.records import AssumptionRow, ComponentRow
from rctgap.results import GapDecomposition
from rctgap.staged_records import StagedRow, Verdict
from rctgap.stages import Chain, Transition
from rctgap.tables import interval, points

__all__ = ["assumption_rows", "main_rows"]

NO_TRANSITION = "no transition of this analysis bears on it"
NOT_RUN = "components.csv: arm {}, quantity {}; staged evaluation has not been run"


def main_rows(result: GapDecomposition) -> tuple[StagedRow, ...]:
    """Each transition under the estimand asked for: of all arms together, or of one arm in which it is violated.

    The mean over arms may hold where losses in one are gains in another.
    """
    chosen = (result.settings.items, result.settings.item_weights)
    asked = [row for row in result.staged if (row.items, row.item_weights) == chosen]
    return tuple(_main(row, asked) for row in asked if row.arm == ALL_ARMS)


def _main(row: StagedRow, asked: Sequence[StagedRow]) -> StagedRow:
    alone = [
        one for one in asked if one.transition == row.transition and one.verdict == "violated" and one.attributable
    ]
    if row.verdict == "violated" or not row.attributable or not alone:
        return row
    return max(alone, key=lambda one: abs(one.estimate or 0.0))


def assumption_rows(
    result: GapDecomposition,
    chain: Chain,
    card: BenchmarkCard | None,
    measured: Mapping[str, OutcomeVerdict] | None = None,
) -> tuple[AssumptionRow, ...]:
    """Every assumption of the card, and of the transitions, with the verdict on the transitions that bear on it.

    Parameters
    ----------
    result : GapDecomposition
        With the rows of a staged evaluation, or without.
    chain : Chain
    card : BenchmarkCard, optional
    measured : mapping of assumption ID to OutcomeVerdict, optional
        Assumptions that other evidence than a transition speaks to.

    Returns
    -------
    tuple of AssumptionRow
        Of all arms together, unless a step is violated in one alone. Several transitions may bear on one assumption:
        one violated is enough, and it holds if all hold. Several assumptions on one transition share its component:
        `joint_with` names the others.
    """
    declared = {one.id: one for one in card.assumptions} if card is not None else {}
    other = measured or {}
    known = tuple(dict.fromkeys([*declared, *chain.assumptions]))
    return tuple(_row(result, chain, name, declared.get(name), other.get(name)) for name in known)


def _row(
    result: GapDecomposition, chain: Chain, name: str, entry: Assumption | None, other: OutcomeVerdict | None
) -> AssumptionRow:
    steps = tuple(one for one in chain.transitions if name in one.assumptions)
    found = [row for row in main_rows(result) if row.transition in {one.to for one in steps}]
    status, evidence = _status(found), _evidence(result, steps, found)
    shown = _deciding(result, steps, found) if status != "not_testable" else None
    row = AssumptionRow(
        assumption_id=name,
        question=entry.question if entry else "",
        declared_answer=entry.answer if entry else "",
        declared_holds=entry.holds_at_deployment if entry else "",
        status=status,
        joint_with=";".join(dict.fromkeys(one for step in steps for one in step.assumptions if one != name)),
        estimate=shown.estimate if shown else None,
        lower=shown.lower if shown else None,
        upper=shown.upper if shown else None,
        evidence=evidence,
        transition=";".join(one.to for one in steps),
        margin=shown.margin if isinstance(shown, StagedRow) else None,
        level=shown.level if shown else None,
    )
    return row if other is None or steps else _measured(row, other)


def _measured(row: AssumptionRow, found: OutcomeVerdict) -> AssumptionRow:
    """What a comparison of outcomes says, where no transition speaks."""
    return replace(
        row,
        status=found.verdict,
        estimate=found.estimate,
        lower=found.lower,
        upper=found.upper,
        evidence=found.evidence,
        margin=found.margin,
        level=found.level,
    )


def _tested(row: StagedRow) -> bool:
    return row.attributable and row.lower is not None


def _status(found: Sequence[StagedRow]) -> str:
    if not found:
        return "untested"
    verdicts: set[Verdict] = {row.verdict for row in found if _tested(row)}
    if "violated" in verdicts:
        return "violated"
    if not all(_tested(row) for row in found):
        return "not_testable"
    return "holds" if verdicts == {"holds"} else "inconclusive"


def _deciding(
    result: GapDecomposition, steps: Sequence[Transition], found: Sequence[StagedRow]
) -> StagedRow | ComponentRow | None:
    """The row whose figures go with the status: violated before inconclusive; untested, the component."""
    if not found:
        components = [result.row(one.to, ALL_ARMS) for one in steps]
        return next((row for row in components if row.assumption_ids), None)
    order: Sequence[Verdict] = ("violated", "inconclusive", "holds")
    ranked = sorted((row for row in found if _tested(row)), key=lambda row: order.index(row.verdict))
    return ranked[0] if ranked else None


def _evidence(result: GapDecomposition, steps: Sequence[Transition], found: Sequence[StagedRow]) -> str:
    if not steps:
        return NO_TRANSITION
    if not found:
        return "; ".join(_component(result, step) for step in steps)
    return "; ".join(_told(result, row) for row in found)


def _component(result: GapDecomposition, step: Transition) -> str:
    """Before a staged evaluation: where the component stands, or why it is not attributed."""
    row = result.row(step.to, ALL_ARMS)
    if not row.assumption_ids:
        return f"component {row.quantity} is not attributed to an assumption: {row.note}"
    return NOT_RUN.format(row.arm, row.quantity)


def _told(result: GapDecomposition, row: StagedRow) -> str:
    """One transition in words: figures, margin, verdict, and the verdict over a population of items beside it."""
    ends = "no interval" if row.lower is None else f"{interval(row.lower, row.upper)} at {100 * row.level:g} %"
    where = "" if len(result.settings.arms) == 1 else "mean over arms, " if row.arm == ALL_ARMS else f"arm {row.arm}, "
    text = f"{where}transition {row.transition}, items {row.items}: {points(row.estimate)} points ({ends})"
    text += f" against a margin of {100 * row.margin:g}: {row.verdict}"
    if not row.attributable:
        text += ", but the system changes at this step, so it is not attributed"
    beside = next(
        (
            one
            for one in result.staged
            if (one.arm, one.transition, one.item_weights) == (row.arm, row.transition, row.item_weights)
            and one.items != row.items
        ),
        None,
    )
    return text if beside is None else f"{text}; items {beside.items}: {beside.verdict}"
