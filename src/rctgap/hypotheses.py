"""Tests of a decomposition as rows: Wald, wild cluster bootstrap, randomisation."""

import math
from collections.abc import Iterator
from concurrent.futures import Executor

from rctgap.estimands import contrasts
from rctgap.estimates import StageEstimates, arm_sets
from rctgap.inference_by_design import randomisation_inference, wild_cluster_bootstrap
from rctgap.intervals import finite
from rctgap.randomisation import RandomisationResult
from rctgap.records import HypothesisRow
from rctgap.wald import wald_tests
from rctgap.wild import WildResult, WildWeights

__all__ = ["randomisation_rows", "wald_rows", "wild_rows"]


def wald_rows(estimates: StageEstimates) -> Iterator[HypothesisRow]:
    """Components, families and arms by the joint covariance."""
    for one in wald_tests(estimates):
        yield HypothesisRow(
            one.arm,
            one.hypothesis,
            "wald",
            one.statistic,
            one.df_num,
            one.df_denom,
            one.reference,
            one.p_value,
            None,
            None,
            estimates.level,
            None,
            one.note,
        )


def _reported(one: WildResult | RandomisationResult) -> float | None:
    """The p-value, of random draws never below what their number can show."""
    if one.p_value is None or one.enumerated or not one.replicates:
        return one.p_value
    return max(one.p_value, 1.0 / (one.replicates + 1))


def _noted(one: WildResult | RandomisationResult, estimates: StageEstimates) -> str:
    """The test's own note, where its interval has no end, and what it does not adjust for."""
    parts = [one.note] if one.note else []
    if (one.lower is not None and math.isinf(one.lower)) or (one.upper is not None and math.isinf(one.upper)):
        parts.append("an end left empty is infinite")
    if isinstance(one, RandomisationResult) and estimates.adjustment != "none":
        parts.append("not adjusted for covariates")
    return "; ".join(parts)


def wild_rows(
    estimates: StageEstimates,
    *,
    weights: WildWeights = "rademacher",
    replicates: int = 9999,
    seed: int,
    executor: Executor | None = None,
) -> Iterator[HypothesisRow]:
    """Every component, family, gap and effect by the wild cluster bootstrap-t, with intervals by inversion."""
    scores = estimates.scores
    wanted = [
        row
        for label, shares in arm_sets(estimates)
        for row in contrasts(scores.chain, label, shares, scores.design.control)
        if row.quantity != "item_mix"
    ]
    found = wild_cluster_bootstrap(
        estimates,
        [row.coefficients for row in wanted],
        weights=weights,
        replicates=replicates,
        seed=seed,
        executor=executor,
    )
    for row, one in zip(wanted, found, strict=True):
        yield HypothesisRow(
            row.arm,
            f"{row.quantity} = 0",
            f"wild cluster bootstrap, {weights}",
            one.statistic,
            None,
            None,
            f"{one.clusters} clusters" + (", enumerated" if one.enumerated else ""),
            _reported(one),
            finite(one.lower),
            finite(one.upper),
            estimates.level,
            one.replicates,
            _noted(one, estimates),
        )


def randomisation_rows(
    estimates: StageEstimates,
    *,
    studentised: bool = True,
    replicates: int = 9999,
    seed: int,
    executor: Executor | None = None,
) -> Iterator[HypothesisRow]:
    """The realized effect of every arm by re-drawing who was assigned to what, within the design's strata."""
    found = randomisation_inference(
        estimates,
        arm_sets(estimates),
        studentised=studentised,
        replicates=replicates,
        seed=seed,
        executor=executor,
    )
    for label, one in found.items():
        yield HypothesisRow(
            label,
            "no effect on anyone (realized_effect)",
            "randomisation, studentised" if studentised else "randomisation",
            one.statistic,
            None,
            None,
            f"{one.units} units" + (", enumerated" if one.enumerated else ""),
            _reported(one),
            finite(one.lower),
            finite(one.upper),
            estimates.level,
            one.replicates,
            _noted(one, estimates),
        )
