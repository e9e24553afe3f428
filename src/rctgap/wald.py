"""Wald tests of linear hypotheses, from the joint covariance of the plug-in: components, families, arms."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from rctgap.estimands import Contrast, MomentKey, contrasts
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import covariance_of
from rctgap.inference import linear
from rctgap.variance import entering, hotelling_df

__all__ = ["WaldTest", "wald_tests"]

type Array = npt.NDArray[np.float64]
type Coefficients = Mapping[MomentKey, float]
type Reference = Literal["t", "normal", "Hotelling", "chi2", ""]

ACROSS = "across arms"
SINGULAR = 1e-10
SMALLEST = "degrees of freedom from the smallest among the tested quantities"


@dataclass(frozen=True, slots=True)
class WaldTest:
    """One hypothesis; what cannot be given is None and `note` says why.

    Attributes
    ----------
    hypothesis : str
        Such as ``conversation = 0``, ``task = outcome`` or ``components equal``.
    arm : str
        An AI arm, `all`, or ``across arms``.
    statistic : float, optional
        The number held against the reference: t or z for one quantity, the scaled F of Hotelling's T^2, or chi-squared.
    df_num, df_denom : float, optional
        Numerator and denominator degrees of freedom; no denominator where the reference is large-sample.
    p_value : float, optional
        Two-sided.
    reference : {"t", "normal", "Hotelling", "chi2", ""}
    note : str
    """

    hypothesis: str
    arm: str
    statistic: float | None = None
    df_num: float | None = None
    df_denom: float | None = None
    p_value: float | None = None
    reference: Reference = ""
    note: str = ""


def wald_tests(estimates: StageEstimates) -> tuple[WaldTest, ...]:
    """Test the components, the two families and the arms against each other.

    For each AI arm and for `all`: each component is 0, all components are 0, and the task gap equals the outcome
    gap. With two or more arms: each component, all components, and the realized effect are equal in all arms.

    Parameters
    ----------
    estimates : StageEstimates

    Returns
    -------
    tuple of WaldTest
        A hypothesis whose covariance is singular, or that rests on a stage mean of exactly 0 or 1, has no p-value
        and a note.

    Notes
    -----
    One quantity takes its own t reference. Several take Hotelling's T^2 approximated by F: under `cluster` with CR2
    and no benchmark runs at the degrees of freedom of Pustejovsky and Tipton (2018) under the identity working
    model; else at the smallest degrees of freedom among the tested quantities (G - 1 under CR1 and CR3,
    S - 1 with items random, Welch's with benchmark runs). Under `robust` the reference is chi-squared. The tests of
    one arm are not adjusted for their number.

    References
    ----------
    Pustejovsky and Tipton (2018), doi 10.1080/07350015.2016.1247004.

    Examples
    --------
    >>> import rctgap as rg
    >>> from rctgap.wald import wald_tests
    >>> trial = rg.simulate_trial(rg.SimulationPlan(participants=100), seed=2)
    >>> data = rg.read_trial(trial.answers, benchmark=trial.runs, design=rg.Design("control", ["a1"]))
    >>> estimates = rg.estimate_frequentist(rg.score_stages(data, rg.DEFAULT_CHAIN), rg.Estimand(items="fixed"))
    >>> [(test.hypothesis, test.reference) for test in wald_tests(estimates)[:4]]
    [('own_query = 0', 't'), ('conversation = 0', 't'), ('decision = 0', 't'), ('components = 0', 'Hotelling')]
    """
    estimates.require_frequentist("Wald tests")
    return tuple(_tests(estimates))


def _tests(estimates: StageEstimates) -> Iterator[WaldTest]:
    chain, design = estimates.scores.chain, estimates.scores.design
    for label, weights in arm_sets(estimates):
        rows = contrasts(chain, label, weights, design.control)
        parts = _of_kind(rows, "component")
        for row in parts:
            yield wald_test(estimates, f"{row.quantity} = 0", label, [row.coefficients])
        yield wald_test(estimates, "components = 0", label, [row.coefficients for row in parts])
        families = _of_kind(rows, "family")
        if len(families) == 2:  # noqa: PLR2004 - task and outcome
            first, second = families
            yield wald_test(
                estimates, f"{first.quantity} = {second.quantity}", label, [_nonzero(first.plus(second, -1.0))]
            )
    yield from _across(estimates)


def _across(estimates: StageEstimates) -> Iterator[WaldTest]:
    """Each quantity of every further arm minus the first arm's."""
    chain, design = estimates.scores.chain, estimates.scores.design
    labels = [arm.label for arm in design.arms]
    if len(labels) < 2:  # noqa: PLR2004 - nothing to compare
        return
    by_arm = [contrasts(chain, label, {label: 1.0}, design.control) for label in labels]

    def differences(kind: str, quantity: str | None = None) -> list[Coefficients]:
        chosen = [[row for row in _of_kind(rows, kind) if quantity in (None, row.quantity)] for rows in by_arm]
        return [
            _nonzero(row.plus(base, -1.0)) for rows in chosen[1:] for row, base in zip(rows, chosen[0], strict=True)
        ]

    for row in _of_kind(by_arm[0], "component"):
        yield wald_test(estimates, f"{row.quantity} equal", ACROSS, differences("component", row.quantity))
    yield wald_test(estimates, "components equal", ACROSS, differences("component"))
    if design.control is not None:
        yield wald_test(estimates, "realized_effect equal", ACROSS, differences("effect", "realized_effect"))


def _of_kind(rows: Sequence[Contrast], kind: str) -> list[Contrast]:
    return [row for row in rows if row.kind == kind]


def _nonzero(coefficients: Coefficients) -> Coefficients:
    return {key: value for key, value in coefficients.items() if value}


def wald_test(estimates: StageEstimates, hypothesis: str, arm: str, quantities: Sequence[Coefficients]) -> WaldTest:
    """Test that linear quantities are all 0.

    Parameters
    ----------
    hypothesis, arm : str
        What the record is to be called.
    quantities : sequence of mapping of MomentKey to coefficient
        One quantity or several.
    """
    results = linear(estimates, quantities)
    reason = next((why for one in results if (why := _untestable(one))), "")
    if reason:
        return WaldTest(hypothesis, arm, df_num=float(len(quantities)), note=reason)
    if len(quantities) == 1:
        return _single(hypothesis, arm, results[0])
    return _joint(estimates, hypothesis, arm, quantities, results)


def _untestable(result: Linear) -> str:
    """Why a quantity has no reference distribution; empty where it has one."""
    if result.interval is None or result.std_error is None:
        return "; ".join(result.notes) or "no standard error"
    if result.interval.kind not in ("t", "normal"):
        return "no test: a stage mean of 0 or 1, or no variation, leaves the variance unknown"
    return ""


def _single(hypothesis: str, arm: str, result: Linear) -> WaldTest:
    statistic = float(result.estimate or 0.0) / float(result.std_error or math.nan)
    note = "; ".join(result.notes)
    if result.df is None:
        return WaldTest(hypothesis, arm, statistic, 1.0, None, float(2 * stats.norm.sf(abs(statistic))), "normal", note)
    p_value = float(2 * stats.t.sf(abs(statistic), result.df))
    return WaldTest(hypothesis, arm, statistic, 1.0, result.df, p_value, "t", note)


def _joint(
    estimates: StageEstimates, hypothesis: str, arm: str, quantities: Sequence[Coefficients], results: Sequence[Linear]
) -> WaldTest:
    rows = np.array([estimates.row(one) for one in quantities])
    q = float(len(quantities))
    covariance = covariance_of(estimates, rows).matrix
    if _singular(covariance):
        return WaldTest(hypothesis, arm, df_num=q, note="no test: the joint covariance is singular")
    values = rows @ estimates.statistics.values
    wald = float(values @ np.linalg.solve(covariance, values))
    if all(one.df is None for one in results):
        return WaldTest(hypothesis, arm, wald, q, None, float(stats.chi2.sf(wald, q)), "chi2")
    eta, note = _wishart_df(estimates, rows, results)
    df = eta - q + 1
    if df <= 0:
        few = f"no test: {eta:.1f} degrees of freedom for {len(quantities)} quantities"
        return WaldTest(hypothesis, arm, df_num=q, note=few)
    statistic = df / (eta * q) * wald
    return WaldTest(hypothesis, arm, statistic, q, df, float(stats.f.sf(statistic, q, df)), "Hotelling", note)


def _singular(covariance: Array) -> bool:
    """Whether the quantities' correlation matrix has no inverse to speak of."""
    scale = np.sqrt(np.diag(covariance))
    return bool(np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] < SINGULAR)


def _wishart_df(estimates: StageEstimates, rows: Array, results: Sequence[Linear]) -> tuple[float, str]:
    """Degrees of freedom of the Wishart that stands for the joint covariance, and a note on where they are from."""
    found = estimates.statistics
    weights = rows @ found.loading
    people = found.participants
    if (
        estimates.covariance == "cluster"
        and estimates.small_sample == "CR2"
        and people is not None
        and not entering(found.runs, weights).any()
    ):
        return hotelling_df(people, weights), ""
    return min(one.df for one in results if one.df is not None), SMALLEST
