"""Components under other orders of the stages, where the data hold the means that another order passes through.

A cell is a set of relaxed transitions, and its mean the accuracy with just these relaxed. The chain passes through the
nested cells: none, the first, the first two, and so on. Another order passes through others. The component of a
transition under an order is the mean before it is relaxed minus the mean after.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rctgap.check_context import CheckContext, OtherCell
from rctgap.check_records import OrderRow
from rctgap.documents import nearest
from rctgap.errors import AnalysisError, DataError, EstimandError, EstimationError, Fault
from rctgap.estimands import ALL_ARMS, MomentKey
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import estimate_frequentist
from rctgap.patterns import marginal_stages
from rctgap.quantities import linear
from rctgap.results import GapDecomposition
from rctgap.scores import score_stages
from rctgap.stages import Chain, Stage, Transition
from rctgap.trial import TrialData

__all__ = ["ARROW", "MEAN", "NOT_OBSERVED", "SHAPLEY", "order_rows", "refuse_cells"]

type Cell = frozenset[str]
type Order = tuple[str, ...]
type Lattice = Mapping[Cell, str]
type Coefficients = Mapping[MomentKey, float]

ARROW = " > "
MEAN, SHAPLEY = "mean", "shapley"
NOT_OBSERVED = "not observed"
MARGINAL = "marginal counts do not tell the cells of one answer"
LISTED = 24


def refuse_cells(trial: TrialData, chain: Chain, cells: Sequence[OtherCell]) -> None:
    """Refuse cells that are unknown, given twice or the chain's own, and columns that the trial does not hold.

    Raises
    ------
    AnalysisError
        A stage in `relaxes` that no transition leads to, or a cell or name given twice.
    DataError
        A column that is missing or confidential, or a value that is no score.
    """
    _lattice(chain, cells)
    for cell in cells:
        known = [str(one) for one in trial.answers.columns]
        if cell.score not in known:
            file = trial.sources.get("trial", "trial")
            what = "no column of the trial holds this cell"
            raise DataError(Fault(what, nearest(cell.score, known), file, f"cells.{cell.name}", value=cell.score))
    if cells and not marginal_stages(trial.table, chain):
        score_stages(trial, _joint(chain, cells))


def _lattice(chain: Chain, cells: Sequence[OtherCell]) -> Lattice:
    """The stage or cell that holds the mean of each set of relaxed transitions."""
    steps = chain.names[1:]
    found: dict[Cell, str] = {frozenset(steps[:number]): name for number, name in enumerate(chain.names)}
    taken = set(chain.names)
    for cell in cells:
        place = f"cells.{cell.name}"
        strange = [name for name in cell.relaxes if name not in steps]
        if strange:
            what = "no transition leads to this stage"
            raise AnalysisError(Fault(what, nearest(strange[0], steps), place=f"{place}.relaxes", value=strange[0]))
        key = frozenset(cell.relaxes)
        if key in found:
            what = f"{found[key]!r} already holds the mean under {', '.join(cell.relaxes)}"
            raise AnalysisError(Fault(what, "Name each set of relaxed transitions once", place=place))
        if cell.name in taken:
            what = "the name is taken by a stage or another cell"
            raise AnalysisError(Fault(what, "Give each cell a name of its own", place=place, value=cell.name))
        found[key] = cell.name
        taken.add(cell.name)
    return found


def _joint(chain: Chain, cells: Sequence[OtherCell]) -> Chain:
    """All cells as the stages of one chain, the last stage last; only its means are used."""
    first, *middle, last = (
        replace(one, scoring="automatic") if one.scoring == "rectified" else one for one in chain.stages
    )
    stages = (first, *middle, *(Stage(cell.name, score=cell.score) for cell in cells), last)
    return Chain(stages, tuple(Transition(one.name, "task") for one in stages[1:]))


def order_rows(result: GapDecomposition) -> tuple[OrderRow, ...]:
    """Every transition's component under every order of the stages that the data hold, and its mean over them.

    Parameters
    ----------
    result : GapDecomposition
        With estimates; further cells come from its context.

    Returns
    -------
    tuple of OrderRow
        Of each AI arm and `all`. An order is observed where every cell that it passes through is. With several, the
        mean over them is `shapley` only where all 2^K cells exist. Orders that are not observed have one row each,
        without a transition, or one that counts them where there are more than 24. None for a single transition.

    Raises
    ------
    AnalysisError, DataError
        As `refuse_cells`.

    Notes
    -----
    All cells are estimated jointly, with the estimand and covariance of the main result, so that intervals of means
    over orders carry the covariance of the cells. A posterior's own orders are those of its chain; with further cells
    the plug-in is used.

    References
    ----------
    Shapley (1953), doi 10.1515/9781400881970-018; Shorrocks (2013), doi 10.1007/s10888-011-9214-z.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.check_context import CheckContext, OtherCell
    >>> from rctgap.stage_orders import order_rows
    >>> rows = {"own_query": [1, 1, 0], "conversation": [1, 0, 0], "decision": [0, 0, 1], "alone": [1, 0, 1]}
    >>> trial = rg.read_trial(pd.DataFrame({"arm": "a1", **rows, "count": [40, 30, 30]}), design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage(name) for name in ("own_query", "conversation", "decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> cell = OtherCell("alone", "alone", ("decision",))
    >>> found = order_rows(replace(result, context=CheckContext(trial, {}, (cell,))))
    >>> [(row.order, round(row.estimate, 2)) for row in found if (row.arm, row.transition) == ("a1", "decision")]
    [('conversation > decision', 0.1), ('decision > conversation', 0.0), ('shapley', 0.05)]
    """
    estimates = result.estimates
    if estimates is None or len(estimates.scores.chain.transitions) < 2:  # noqa: PLR2004 - one transition has one order
        return ()
    chain = estimates.scores.chain
    cells = result.context.cells if result.context is not None else ()
    lattice = _lattice(chain, cells)
    orders = list(_observed(chain.names[1:], lattice))
    level = estimates.level
    unseen = _unobserved(chain.names[1:], orders, level)
    if not cells or result.context is None:
        return (*_estimated(estimates, lattice, orders, ""), *unseen)
    if not estimates.scores.paired:
        return (OrderRow(ALL_ARMS, "", MEAN, None, None, None, None, level, MARGINAL), *unseen)
    try:
        found = _jointly(estimates, result.context)
    except (EstimandError, EstimationError) as error:
        return (OrderRow(ALL_ARMS, "", MEAN, None, None, None, None, level, error.reason), *unseen)
    rectified = any(stage.scoring == "rectified" for stage in chain.stages)
    told = "automatic scores as they came" if rectified else ""
    return (*_estimated(found, lattice, orders, told), *unseen)


def _jointly(estimates: StageEstimates, context: CheckContext) -> StageEstimates:
    plain = estimates.plug_in
    scores = score_stages(context.trial, _joint(plain.scores.chain, context.cells), plain.scores.covariates)
    style = plain.intervals if plain.intervals in ("t", "few-items", "bounded") else None
    return estimate_frequentist(
        scores, plain.estimand, plain.covariance, plain.small_sample, plain.level, plain.adjustment, style
    )


def _observed(steps: Order, lattice: Lattice) -> Iterator[Order]:
    """Orders all of whose cells exist, the chain's own first."""

    def onward(done: Order) -> Iterator[Order]:
        if len(done) == len(steps):
            yield done
        for step in steps:
            if step not in done and frozenset((*done, step)) in lattice:
                yield from onward((*done, step))

    return onward(())


def _unobserved(steps: Order, orders: Sequence[Order], level: float) -> tuple[OrderRow, ...]:
    """What the data do not hold: a row an order, or one that counts them."""
    total = math.factorial(len(steps))
    if total > LISTED:
        missing = total - len(orders)
        told = f"{NOT_OBSERVED}: {missing} of {total} orders"
        return (_blank(ALL_ARMS, "", level, told),) if missing else ()
    known = set(orders)
    every = itertools.permutations(steps)
    return tuple(_blank(ALL_ARMS, ARROW.join(one), level, NOT_OBSERVED) for one in every if one not in known)


def _blank(arm: str, order: str, level: float, note: str) -> OrderRow:
    return OrderRow(arm, "", order, None, None, None, None, level, note)


def _estimated(estimates: StageEstimates, lattice: Lattice, orders: Sequence[Order], told: str) -> Iterator[OrderRow]:
    steps = orders[0]
    average = SHAPLEY if len(lattice) == 2 ** len(steps) else MEAN
    for label, weights in arm_sets(estimates):
        wanted: list[tuple[str, str, Coefficients]] = []
        for step in steps:
            parts = [_component(lattice, order, step, weights) for order in orders]
            wanted += [(step, ARROW.join(order), part) for order, part in zip(orders, parts, strict=True)]
            if len(orders) > 1:
                wanted.append((step, average, _mean(parts)))
        found = linear(estimates, [coefficients for *_, coefficients in wanted])
        for (step, order, _), one in zip(wanted, found, strict=True):
            yield _row(label, step, order, one, estimates.level, told)


def _component(lattice: Lattice, order: Order, step: str, weights: Mapping[str, float]) -> Coefficients:
    """The mean before a transition is relaxed, minus the mean after."""
    before = frozenset(order[: order.index(step)])
    kept = {arm: weight for arm, weight in weights.items() if weight}
    start = {MomentKey(arm, lattice[before]): weight for arm, weight in kept.items()}
    return start | {MomentKey(arm, lattice[before | {step}]): -weight for arm, weight in kept.items()}


def _mean(parts: Sequence[Coefficients]) -> Coefficients:
    total: dict[MomentKey, float] = {}
    for part in parts:
        for key, weight in part.items():
            total[key] = total.get(key, 0.0) + weight / len(parts)
    return {key: weight for key, weight in total.items() if weight}


def _row(arm: str, step: str, order: str, found: Linear, level: float, told: str) -> OrderRow:
    ends = found.interval
    notes = "; ".join(part for part in (*found.notes, told) if part)
    lower, upper = (ends.lower, ends.upper) if ends else (None, None)
    return OrderRow(arm, step, order, found.estimate, found.std_error, lower, upper, level, notes)
