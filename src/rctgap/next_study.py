"""What to do after a staged evaluation: which study comes next, of which kind, and how large."""

from collections.abc import Iterator, Sequence

from rctgap.equivalence import answers_needed
from rctgap.estimands import ALL_ARMS
from rctgap.staged import NONE_WOULD, STOPPED, StagedPlan
from rctgap.staged_records import StagedRow
from rctgap.tables import interval, points

__all__ = ["next_steps"]

KINDS = {
    "task": "conversation data (who asks, what they say, over how many turns; no outcomes needed)",
    "outcome": "a behavioural study (people decide with and without the system, and the outcome is measured)",
}
FEW_CHANGE, MANY_CHANGE = 0.1, 0.3
OUTCOME = "outcome.outcome_validity"


def next_steps(rows: Sequence[StagedRow], untested: Sequence[str], plan: StagedPlan) -> tuple[str, ...]:
    """Sentences in the order of the stages, each with a study or a change of the benchmark.

    Parameters
    ----------
    rows : sequence of StagedRow
        One arm's transitions in order, under one estimand.
    untested : sequence of str
        Assumption IDs that no transition bears on.
    plan : StagedPlan

    Returns
    -------
    tuple of str
        Empty where every transition holds and nothing is untested.
    """
    return (*(text for row in rows for text in _of_transition(row)), *_of_untested(untested, plan))


def _of_transition(row: StagedRow) -> Iterator[str]:
    where = "" if row.arm == ALL_ARMS else f" in arm {row.arm}"
    within, study = f"its margin of {100 * row.margin:g} points", KINDS[row.family]
    if row.lower is None:
        yield f"{row.transition}: these data give no interval ({row.note}). Next: {study}."
    elif not row.attributable:
        yield f"{row.transition}: its assumptions can be judged with one system throughout. Next: {study}."
    elif row.verdict == "violated":
        told = f"{points(row.estimate)} points ({interval(row.lower, row.upper)}) are beyond {within}"
        yield f"{row.transition}{where}: {told}. {_remedy(row)}."
    elif row.verdict == "inconclusive" and STOPPED in row.note:
        yield f"{row.transition}{where}: inside {within}; it is said to hold once every earlier step does."
    elif row.verdict == "inconclusive":
        yield f"{row.transition}: not settled against {within}. Next: {study}, {_size(row)}."


def _remedy(row: StagedRow) -> str:
    if row.family == "task":
        named = row.assumption_ids.replace(";", ", ") + (" jointly" if ";" in row.assumption_ids else "")
        gained = "The benchmark promises less than this stage keeps. " if (row.estimate or 0.0) < 0 else ""
        return f"{gained}Bring the benchmark to this stage, or predict from here on ({named})"
    if (row.estimate or 0.0) < 0:
        return "People do better than what the system conveyed: the benchmark undersells what they decide with it"
    return "No benchmark of the system alone sees this: measure it in people, and design for how they use its answers"


def _size(row: StagedRow) -> str:
    if row.n_needed is None or row.n is None:
        return f"though {NONE_WOULD}" if NONE_WOULD in row.note else "of a size that these data cannot tell"
    if row.n_needed <= row.n:
        return f"with more {row.unit} than there are: these would do at 0, so it may lie near its margin"
    told = f"{row.n_needed:,} {row.unit} for a true component of 0"
    return f"{told}, each with as many answers as now" if row.unit == "items" else told


def _of_untested(untested: Sequence[str], plan: StagedPlan) -> Iterator[str]:
    """Sizes for a transition of which nothing is known but how many paired answers may change at it."""
    changes = (FEW_CHANGE, MANY_CHANGE)
    sizes = [answers_needed(1, share, 0.0, plan.margin, plan.alpha, plan.power) or 0 for share in changes]
    told = " or ".join(
        f"{size:,} paired answers if {100 * share:g} % change" for size, share in zip(sizes, changes, strict=True)
    )
    if OUTCOME in untested:
        yield f"{OUTCOME}: untested. Next: a second measure of the outcome, on the same people (key `outcomes`)."
    for family, kind in KINDS.items():
        mine = [name for name in untested if name.startswith(f"{family}.") and name != OUTCOME]
        if mine:
            aim = f"for a true component of 0 and a margin of {100 * plan.margin:g} points"
            yield f"{', '.join(mine)}: untested. Next: {kind}; {aim}, {told}."
