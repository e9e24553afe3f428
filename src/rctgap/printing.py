"""What the console shows: a result, results side by side, the attrition table."""

from collections.abc import Mapping

from rctgap.records import ComponentRow, PosteriorRow, StageRow
from rctgap.results import GapDecomposition
from rctgap.tables import BLANK, chance, interval, interval_name, percent, points, text_table

__all__ = ["attrition_text", "comparison_text", "result_text", "uncorrected_line"]

CONVERGENCE = "convergence"
KINDS_OF_SCORES = ("as given", "rectified", "corrected")
SAID = ("component", "family", "gap", "difference", "effect")


def result_text(result: GapDecomposition) -> str:
    """What `print(result)` shows: choices, stages, components, effects, warnings."""
    chosen = result.settings
    correction = f" ({chosen.small_sample})" if chosen.small_sample else ""
    covariance = f", covariance {chosen.covariance}{correction}" if chosen.covariance else ""
    counted = f"{chosen.n_answers} answers, {chosen.n_runs} benchmark runs"
    people = f", {chosen.n_participants} participants" if chosen.n_participants else ", participants not identified"
    items = f", {chosen.n_items} items" if chosen.n_items else ", items not identified"
    head = [
        result.title or "Gap decomposition",
        (
            f"items {chosen.items}, item weights {chosen.item_weights}, arm weights {chosen.arm_weights}; "
            f"{chosen.method} {chosen.estimator}{covariance}"
        ),
        counted + people + items,
    ]
    head = [*uncorrected_line(result), *head]
    parts = ["\n".join(head), *_unconverged(result), _stage_table(result), _component_table(result)]
    parts += _posterior_table(result)
    parts.extend(f"Warning: {text}" for text in result.warnings)
    parts.extend(
        f"Check {check.check}: {check.status}. {check.detail}"
        for check in result.checks
        if check.status == "fail" and check.check != CONVERGENCE
    )
    return "\n\n".join(parts)


def uncorrected_line(result: GapDecomposition) -> list[str]:
    """What a result says first whose scores hold their scorer's errors."""
    stages = result.settings.uncorrected
    if not stages:
        return []
    named = "" if result.settings.scores in KINDS_OF_SCORES else f" ({result.settings.scores})"
    return [f"AUTOMATIC SCORES{named}, not corrected for the scorer's errors: {', '.join(stages)}."]


def _unconverged(result: GapDecomposition) -> list[str]:
    """What stands above the numbers where the sampler's check failed."""
    return [
        f"DO NOT RELY ON THIS POSTERIOR: the sampler has not converged. {check.detail}"
        for check in result.checks
        if check.check == CONVERGENCE and check.status == "fail"
    ]


def _stage_table(result: GapDecomposition) -> str:
    level = interval_name(result.settings.level, (row.interval for row in result.stages)).partition(",")[0]
    rows = [_stage_cells(row) for row in result.stages if _shown(result, row.arm)]
    return text_table(["arm", "stage", "system", "accuracy %", level, "n"], rows, left=(0, 1, 2))


def _stage_cells(row: StageRow) -> list[str]:
    return [
        row.arm,
        row.stage,
        row.system,
        percent(row.estimate),
        interval(row.lower, row.upper),
        BLANK if row.n is None else str(row.n),
    ]


def _component_table(result: GapDecomposition) -> str:
    level = interval_name(result.settings.level, (row.interval for row in result.main())).partition(",")[0]
    rows = [_component_cells(row) for row in result.main() if _shown(result, row.arm)]
    return text_table(["arm", "quantity", "points", level, "kind", "assumptions"], rows, left=(0, 1, 4, 5))


def _component_cells(row: ComponentRow) -> list[str]:
    figure = percent(row.estimate) if row.kind == "conditional" else points(row.estimate)
    last = row.assumption_ids.replace(";", " ") if row.kind == "component" else ""
    if row.lower is None:
        last = f"{last} [{row.note}]".strip()
    return [row.arm, row.quantity, figure, interval(row.lower, row.upper), row.interval, last]


def _posterior_table(result: GapDecomposition) -> list[str]:
    """What the posterior says of losses and effects, under the estimand that was asked for."""
    asked = (result.settings.items, result.settings.item_weights)
    rows = [
        row
        for row in result.posterior
        if row.kind in SAID and (row.items, row.item_weights) == asked and _shown(result, row.arm)
    ]
    if not rows:
        return []
    margin = next((row.margin for row in rows if row.margin is not None), None)
    header = ["arm", "posterior of", "median", interval_name(rows[0].level, (row.interval for row in rows)), "P(> 0)"]
    header += [] if margin is None else [f"P(under {100 * margin:g} either way)"]
    cells = [_posterior_cells(row, near=margin is not None) for row in rows]
    return [text_table(header, cells, left=(0, 1))]


def _posterior_cells(row: PosteriorRow, *, near: bool) -> list[str]:
    cells = [row.arm, row.quantity, points(row.median), interval(row.lower, row.upper), chance(row.prob_positive)]
    return [*cells, chance(row.prob_within_margin)] if near else cells


def _shown(result: GapDecomposition, arm: str) -> bool:
    """The pooled row says nothing new where there is one arm."""
    return arm != "all" or len(result.settings.arms) > 1


def comparison_text(results: Mapping[str, GapDecomposition]) -> str:
    """Chains side by side: gap, task, outcome and realized effect with intervals, and the checks that fail."""
    quantities = ("task", "outcome", "gap", "realized_effect")
    rows = []
    for name, result in results.items():
        found = {row.quantity: row for row in result.main() if row.arm == "all"}
        cells = [
            f"{percent(found[one].estimate)} ({interval(found[one].lower, found[one].upper)})" for one in quantities
        ]
        failed = ", ".join(check.check for check in result.checks if check.status == "fail") or "none"
        rows.append([name, *cells, failed])
    return text_table(["chain", *quantities, "failed checks"], rows, left=(0, 5))


def attrition_text(result: GapDecomposition) -> str:
    """The attrition table."""
    rows = [
        [row.step, row.arm, *(BLANK if n is None else str(n) for n in (row.n_in, row.n_out)), row.reason]
        for row in result.attrition
    ]
    return text_table(["step", "arm", "in", "out", "reason"], rows, left=(0, 1, 4))
