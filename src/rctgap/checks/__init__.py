"""Checks that a result must survive, one a file, each returning CheckResults."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from rctgap.check_context import CheckContext
from rctgap.checks.agreement import agreement
from rctgap.checks.answer_position import answer_position
from rctgap.checks.balance import balance
from rctgap.checks.clustering import clustering
from rctgap.checks.common_cause import common_cause
from rctgap.checks.convergence import convergence
from rctgap.checks.declared_margins import declared_margins
from rctgap.checks.differential_attrition import differential_attrition
from rctgap.checks.item_mix import item_mix
from rctgap.checks.leave_one_item_out import leave_one_item_out
from rctgap.checks.leave_one_participant_out import leave_one_participant_out
from rctgap.checks.missing_logs import missing_logs
from rctgap.checks.other_route import other_route
from rctgap.checks.outcome_validity import outcome_validity
from rctgap.checks.prior_sensitivity import prior_sensitivity
from rctgap.checks.same_instrument import same_instrument
from rctgap.checks.same_system import same_system
from rctgap.checks.scorer_sensitivity import scorer_sensitivity
from rctgap.checks.stage_order import stage_order
from rctgap.common_cause import bias_rows
from rctgap.influence import influence_rows
from rctgap.outcome_measures import outcome_rows
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.stage_orders import order_rows

__all__ = ["checked", "run_checks", "tabled"]

_CHECKS: Sequence[Callable[[GapDecomposition], CheckResult]] = (
    declared_margins,
    same_system,
    same_instrument,
    other_route,
    clustering,
    balance,
    differential_attrition,
    missing_logs,
    answer_position,
    item_mix,
    leave_one_item_out,
    leave_one_participant_out,
    stage_order,
    scorer_sensitivity,
    outcome_validity,
    common_cause,
    convergence,
    prior_sensitivity,
    agreement,
)


_WITHOUT_TABLES: dict[str, Any] = {"bias": (), "outcomes": (), "orders": ()}


def run_checks(result: GapDecomposition, context: CheckContext | None = None) -> tuple[CheckResult, ...]:
    """Run every check on a result, or give those that a loaded result was saved with.

    Parameters
    ----------
    result : GapDecomposition
    context : CheckContext, optional
        The trial behind the result, for checks that look at more than its scores; that of the result by default.

    Returns
    -------
    tuple of CheckResult
        One per check, with status pass, fail, warning or not_applicable, keyed by the
        assumption IDs that it touches.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> {check.check: check.status for check in rg.run_checks(result)}["same_system"]
    'pass'
    """
    if result.estimates is None:
        return result.checks
    whole = tabled(result) if context is None else tabled(replace(result, context=context, **_WITHOUT_TABLES))
    return tuple(check(whole) for check in _CHECKS)


def tabled(result: GapDecomposition) -> GapDecomposition:
    """The result with the tables that its checks rest on, made once, from its estimates and its trial."""
    if result.orders or result.bias or result.outcomes or result.influence:
        return result
    return replace(
        result,
        influence=influence_rows(result),
        orders=order_rows(result),
        outcomes=outcome_rows(result),
        bias=bias_rows(result),
    )


def checked(result: GapDecomposition) -> GapDecomposition:
    """The result with its checks filled in, kept as they are where it was loaded."""
    if result.estimates is None or result.checks:
        return result
    whole = tabled(result)
    return replace(whole, checks=run_checks(whole))
