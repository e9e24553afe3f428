"""Whether components depend on the order of the stages, where the data hold another order."""

import math

from scipy import stats

from rctgap.check_records import OrderRow
from rctgap.checks.judged import judged_arms, where
from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import margin_of
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.stage_orders import MEAN, SHAPLEY
from rctgap.tables import points

__all__ = ["stage_order"]

type Step = tuple[str, str]

ALPHA = 0.01
RULE = (
    "The rule: a warning where a range, in an arm or in all, exceeds its margin, and what chance makes of it "
    f"(p < {ALPHA:g}, adjusted by Bonferroni)"
)


def stage_order(result: GapDecomposition) -> CheckResult:
    """Warn where a component differs between observed orders by more than its margin, and by more than chance.

    Chance is that of a difference of independent estimates, over all steps of all arms, which is on the safe side.
    """
    chain = () if result.estimates is None else result.estimates.scores.chain.transitions
    ids = ";".join(dict.fromkeys(name for one in chain for name in one.assumptions))
    arms = judged_arms(result)
    rows = [row for row in result.orders if row.arm in arms and row.transition and row.estimate is not None]
    orders = tuple(dict.fromkeys(row.order for row in rows if row.order not in (MEAN, SHAPLEY)))
    if not orders:
        reasons = "; ".join(dict.fromkeys(row.note for row in result.orders if row.order == MEAN and row.note))
        told = f"No other order could be estimated: {reasons}." if reasons else "A single transition has one order."
        return CheckResult("stage_order", "not_applicable", ids, told)
    total = math.factorial(len(chain))
    seen = f"{len(orders)} of {total} orders of the stages {'is' if len(orders) == 1 else 'are'} observed"
    if len(orders) == 1:
        detail = f"{seen} ({orders[0]}); components under other orders are not observed."
        return CheckResult("stage_order", "not_applicable", ids, detail)
    steps = tuple(dict.fromkeys((row.arm, row.transition) for row in rows))
    most = stats.norm.isf(ALPHA / 2 / len(steps))
    apart = [step for step in steps if _range(rows, step) > max(margin_of(result, step[1]), most * _error(rows, step))]
    average = "Shapley value" if any(row.order == SHAPLEY for row in rows) else "mean over them"
    parts = "; ".join(_told(result, rows, step, average) for step in steps if step[0] == ALL_ARMS or step in apart)
    shown = f" Beyond its margin: {', '.join(step + where(arm) for arm, step in apart)}." if apart else ""
    rest = f" {RULE}." + ("" if len(orders) == total else " Components under the other orders are not observed.")
    return CheckResult("stage_order", "warning" if apart else "pass", ids, f"{seen}. {parts}.{shown}{rest}")


def _of(rows: list[OrderRow], step: Step) -> list[OrderRow]:
    """One step of an arm under each observed order."""
    return [row for row in rows if (row.arm, row.transition) == step and row.order not in (MEAN, SHAPLEY)]


def _values(rows: list[OrderRow], step: Step) -> list[float]:
    return [_estimate(row) for row in _of(rows, step)]


def _error(rows: list[OrderRow], step: Step) -> float:
    """Standard error of the difference between the largest and the smallest estimate."""
    mine = _of(rows, step)
    ends = (max(mine, key=_estimate), min(mine, key=_estimate))
    return math.hypot(*(row.std_error or 0.0 for row in ends))


def _estimate(row: OrderRow) -> float:
    return row.estimate or 0.0


def _range(rows: list[OrderRow], step: Step) -> float:
    values = _values(rows, step)
    return max(values) - min(values)


def _told(result: GapDecomposition, rows: list[OrderRow], step: Step, average: str) -> str:
    values, (arm, name) = _values(rows, step), step
    means = (row for row in rows if (row.arm, row.transition) == step and row.order in (MEAN, SHAPLEY))
    mean = next((row.estimate for row in means), None)
    margin = 100 * margin_of(result, name)
    told = f"{name}{where(arm)} from {points(min(values))} to {points(max(values))} points (margin {margin:g})"
    return f"{told}, {average} {points(mean)}"
