"""Checks that a result must survive, one a file, each returning CheckResults."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from rctgap.check_context import CheckContext
from rctgap.checks.agreement import agreement
from rctgap.checks.clustering import clustering
from rctgap.checks.convergence import convergence
from rctgap.checks.declared_margins import declared_margins
from rctgap.checks.other_route import other_route
from rctgap.checks.same_instrument import same_instrument
from rctgap.checks.same_system import same_system
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition

__all__ = ["checked", "run_checks", "tabled"]

_CHECKS: Sequence[Callable[[GapDecomposition], CheckResult]] = (
    declared_margins,
    same_system,
    same_instrument,
    other_route,
    clustering,
    convergence,
    agreement,
)


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
    whole = tabled(result if context is None else replace(result, context=context))
    return tuple(check(whole) for check in _CHECKS)


def tabled(result: GapDecomposition) -> GapDecomposition:
    """The result with the tables that its checks rest on."""
    return result


def checked(result: GapDecomposition) -> GapDecomposition:
    """The result with its checks filled in, kept as they are where it was loaded."""
    if result.estimates is None or result.checks:
        return result
    whole = tabled(result)
    return replace(whole, checks=run_checks(whole))
