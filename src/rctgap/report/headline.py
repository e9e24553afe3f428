"""The opening: what forbids calling the result final, the headline in words, the limits to read it with."""

from rctgap.printing import uncorrected_line
from rctgap.records import CheckResult, ComponentRow, StageRow
from rctgap.report.blocks import Block, Notice, Paragraph, Section
from rctgap.report.words import arm_name, counted, figure, long_interval, quantity, shown_arms, signed
from rctgap.results import FORBIDDING, GapDecomposition
from rctgap.tables import CREDIBLE

__all__ = ["answers_line", "consented", "headline", "headline_section", "interval_line", "stage_of"]

INTERVALS = {
    "t": "t",
    "normal": "normal",
    "wilson": "Wilson",
    "mover": "MOVER",
    "percentile": "percentile bootstrap",
    "bca": "BCa bootstrap",
    "studentized": "studentised bootstrap",
    "population": "t, widened",
    "betting": "bounded",
    **CREDIBLE,
}


CONVERGENCE = "convergence"
UNCONVERGED = "the sampler has not converged"
MEANING = "Posterior figures, intervals and probabilities below can be wrong by more than they say: draw longer chains."


def headline_section(result: GapDecomposition) -> Section:
    """Banner, headline, counts and limits."""
    arms = shown_arms(result)
    blocks: list[Block] = [*(Paragraph(text, lead=True) for text in uncorrected_line(result)), *_banner(result)]
    blocks.append(Paragraph(headline(result, arms[0]), lead=True))
    effect = _effect_line(result, arms[0])
    if effect:
        blocks.append(Paragraph(effect))
    blocks.append(Paragraph(f"{interval_line(result)} {answers_line(result)}"))
    if result.warnings:
        blocks.append(Notice("Limits to read these numbers with", result.warnings))
    return Section("", tuple(blocks))


def _banner(result: GapDecomposition) -> list[Notice]:
    failed = [check for check in result.checks if check.status == "fail"]
    details = tuple(_failure(check) for check in failed)
    why = f": {UNCONVERGED}" if any(check.check == CONVERGENCE for check in failed) else ""
    if not result.final:
        return [Notice(f"This result is not final{why}", details, "final")]
    consent = " by consent" if consented(result) else ""
    counted_checks = "a failed check" if len(failed) == 1 else f"{len(failed)} failed checks"
    return [Notice(f"Final{consent}, with {counted_checks}{why}", details, "final")] if failed else []


def _failure(check: CheckResult) -> str:
    """A failed check in words; of the sampler's, what it means for the figures below."""
    if check.check == CONVERGENCE:
        return f"{UNCONVERGED}: {check.detail} {MEANING}"
    return f"{quantity(check.check)}: {check.detail}"


def consented(result: GapDecomposition) -> bool:
    """Whether a check fails that would forbid a final result, had the analysis not consented."""
    return any(check.status == "fail" and check.check in FORBIDDING for check in result.checks)


def stage_of(result: GapDecomposition, arm: str, stage: str) -> StageRow | None:
    """A stage's main row."""
    return next((row for row in result.stages if (row.arm, row.stage) == (arm, stage)), None)


def headline(result: GapDecomposition, arm: str) -> str:
    """The gap and its parts in one sentence, each with its interval."""
    names = result.settings.stages
    first, last = _stage_text(result, arm, names[0]), _stage_text(result, arm, names[-1])
    gap = result.row("gap", arm)
    families = [row for row in result.main() if row.arm == arm and row.kind == "family"]
    whose = f" ({arm_name(result, arm)})" if len(result.settings.arms) > 1 else ""
    if gap.estimate is None:
        return f"{_capital(first)} → {last}{whose}: the gap is not estimated ({gap.note})."
    size = f"a gap of {figure(gap.estimate)} points{_ends(gap)}"
    parts = " and ".join(f"{row.quantity} {figure(row.estimate)}{_ends(row)}" for row in families)
    return f"{_capital(first)} → {last}{whose}: {size}{f', of which {parts}' if parts else ''}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ends(row: ComponentRow) -> str:
    return long_interval(row.lower, row.upper)


def _stage_text(result: GapDecomposition, arm: str, stage: str) -> str:
    row = stage_of(result, arm, stage)
    if row is None or row.estimate is None:
        return f"{quantity(stage)} not estimated"
    return f"{quantity(stage)} {figure(row.estimate)} %{long_interval(row.lower, row.upper)}"


def _effect_line(result: GapDecomposition, arm: str) -> str:
    control = stage_of(result, result.settings.control, result.settings.stages[-1])
    rows = {row.quantity: row for row in result.main() if row.arm == arm and row.kind == "effect"}
    if control is None or control.estimate is None or "predicted_effect" not in rows:
        return (
            "There is no control arm to compare with, so no effect can be given." if not result.settings.control else ""
        )
    predicted, realized = (
        f"{signed(rows[name].estimate)} points{_ends(rows[name])}" for name in ("predicted_effect", "realized_effect")
    )
    base = f"{figure(control.estimate)} %{long_interval(control.lower, control.upper)}"
    return f"Against the control arm's {base}, the first stage predicted {predicted}; the trial found {realized}."


def interval_line(result: GapDecomposition) -> str:
    """Level and kind of the main intervals, and the estimand, in words."""
    kinds = dict.fromkeys(INTERVALS.get(row.interval, row.interval) for row in result.main() if row.interval)
    chosen = result.settings
    what = "credible intervals" if chosen.method == "bayesian" else "intervals"
    level = f"{100 * chosen.level:g} % {what}"
    shown = f"Brackets hold {level} ({', '.join(kinds)})" if kinds else "No interval could be given"
    covariance = f", covariance {chosen.covariance}" if chosen.covariance else ""
    return f"{shown}; items {chosen.items}, item weights {chosen.item_weights}{covariance}."


def answers_line(result: GapDecomposition) -> str:
    """How much data stand behind the result."""
    chosen = result.settings
    people = "not identified" if chosen.n_participants is None else counted(chosen.n_participants)
    items = "not identified" if chosen.n_items is None else counted(chosen.n_items)
    return (
        f"Answers: {counted(chosen.n_answers)}; benchmark runs: {counted(chosen.n_runs)}; "
        f"participants: {people}; items: {items}."
    )
