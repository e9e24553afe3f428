"""What the console shows: a result, results side by side, the attrition table."""

from collections.abc import Mapping, Sequence

from rctgap.records import ComponentRow, PosteriorRow, StageRow
from rctgap.results import GapDecomposition
from rctgap.staged_records import PredictionRow, StagedRow
from rctgap.tables import BLANK, chance, interval, interval_name, p_value, percent, points, text_table

__all__ = ["attrition_text", "comparison_text", "result_text", "staged_text", "uncorrected_line"]

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
            f"{percent(found[one].estimate)} ({interval(found[one].lower, found[one].upper)})"
            if one in found
            else BLANK
            for one in quantities
        ]
        failed = ", ".join(check.check for check in result.checks if check.status == "fail") or "none"
        rows.append([name, *cells, failed])
    return text_table(["chain", *quantities, "failed checks"], rows, left=(0, 5))


def staged_text(result: GapDecomposition) -> str:
    """What `rctgap stage` prints: verdicts, predictions, assumptions, and what to do next."""
    rows = [row for row in result.staged if _shown(result, row.arm)]
    head = [*uncorrected_line(result), result.title or "Staged evaluation"]
    if rows:
        control = f"P(any false `holds`) at most {100 * rows[0].alpha:g} % in each arm and kind of items"
        head.append(f"fixed sequence of two one-sided tests, {control}; `violated` is said step by step")
    parts = ["\n".join(head), _verdict_table(rows), _prediction_table(result), _assumption_table(result)]
    several = len(result.settings.arms) > 1
    notes = dict.fromkeys(
        f"{f'{row.arm}, ' if several else ''}{row.transition}, items {row.items}: {row.note}"
        for row in rows
        if row.note
    )
    parts.append("\n".join(f"Note: {text}." for text in notes))
    parts.extend(f"Warning: {text}" for text in result.warnings)
    told = ", ".join(f"{one.check} ({one.status})" for one in result.checks if one.status in ("warning", "fail"))
    parts.append(f"Checks to read with this (checks.csv): {told}." if told else "")
    parts.append(
        "\n".join(f"Next: {text}" if not number else f"Then: {text}" for number, text in enumerate(result.next_steps))
    )
    return "\n\n".join(part for part in parts if part)


def _verdict_table(rows: Sequence[StagedRow]) -> str:
    level = f"{100 * rows[0].level:g} % interval" if rows else "interval"
    header = ["arm", "items", "transition", "points", level, "margin", "verdict", "p, adjusted", "P(within)"]
    cells = [
        [
            row.arm,
            row.items,
            row.transition,
            points(row.estimate),
            interval(row.lower, row.upper),
            f"{100 * row.margin:g}",
            row.verdict if row.attributable else f"{row.verdict}, not attributable",
            p_value(row.p_adjusted),
            chance(row.prob_within_margin),
        ]
        for row in rows
    ]
    return text_table(header, cells, left=(0, 1, 2, 6))


def _prediction_table(result: GapDecomposition) -> str:
    asked = (result.settings.items, result.settings.item_weights)
    rows = [
        row
        for row in result.predictions
        if (row.items, row.item_weights) == asked and _shown(result, row.arm) and row.estimate is not None
    ]
    if not rows:
        return ""
    stated = any(row.prior_estimate is not None for row in rows)
    level = f"{100 * rows[0].level:g} %"
    header = ["arm", "after", "predicted", "if untested hold", level, "whatever they do"]
    header += ["under priors", level] if stated else []
    return text_table(header, [_prediction_cells(row, stated=stated) for row in rows], left=(0, 1, 2))


def _prediction_cells(row: PredictionRow, *, stated: bool) -> list[str]:
    show = percent if row.quantity == "accuracy" else points
    cells = [row.arm, row.after, row.quantity, show(row.estimate), interval(row.lower, row.upper)]
    cells.append(interval(row.bound_lower, row.bound_upper))
    return [*cells, show(row.prior_estimate), interval(row.prior_lower, row.prior_upper)] if stated else cells


def _assumption_table(result: GapDecomposition) -> str:
    rows = [
        [row.assumption_id, row.status.replace("_", " "), row.joint_with.replace(";", " ")]
        for row in result.assumptions
    ]
    return text_table(["assumption", "status", "jointly with"], rows, left=(0, 1, 2)) if rows else ""


def attrition_text(result: GapDecomposition) -> str:
    """The attrition table."""
    rows = [
        [row.step, row.arm, *(BLANK if n is None else str(n) for n in (row.n_in, row.n_out)), row.reason]
        for row in result.attrition
    ]
    return text_table(["step", "arm", "in", "out", "reason"], rows, left=(0, 1, 4))
