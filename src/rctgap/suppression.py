"""Small cells hidden before anything is written, with whatever else they could be worked out from."""

from collections.abc import Iterable
from dataclasses import fields, replace

from rctgap.check_records import InfluenceRow
from rctgap.checks.balance import ITEM, MOST_LEVELS, ROLES
from rctgap.checks.declared_margins import declared_margins
from rctgap.checks.leave_one_participant_out import RULE as PARTICIPANT_RULE
from rctgap.checks.outcome_validity import ASSUMPTION as OUTCOME
from rctgap.estimands import ALL_ARMS
from rctgap.records import (
    AssumptionRow,
    AttritionRow,
    CheckResult,
    ComponentRow,
    EffectRow,
    HypothesisRow,
    MarginRow,
    MissingRow,
    PosteriorRow,
    PredictiveRow,
    ShareRow,
    StageRow,
)
from rctgap.results import GapDecomposition
from rctgap.rows import LOST_MINUS_GAINED
from rctgap.scores import StageScores
from rctgap.scoring_records import ScoringRow, SpecificationRow
from rctgap.small_cells import Hidden, people, small, small_cells, small_in_trial, small_items
from rctgap.spread_at_margin import AT_MARGIN
from rctgap.staged_records import PredictionRow, StagedRow

__all__ = ["raw_data_may_be_shown", "suppressed"]

FIGURES = ("estimate", "std_error", "df", "lower", "upper", "simultaneous_lower", "simultaneous_upper", "share_of_gap")
FLOW_COUNTS = ("lost_count", "gained_count")
FLOWS = ("lost", "gained", *FLOW_COUNTS)
SIZES = ("n", "clusters", "df")
POSTERIOR_FIGURES = (
    *("mean", "median", "std_dev", "lower", "upper", "prob_positive", "prob_within_margin"),
    *("r_hat", "ess_bulk", "ess_tail", "prior_sensitivity", "likelihood_sensitivity"),
)
STAGED_FIGURES = (
    "estimate",
    "std_error",
    "df",
    "lower",
    "upper",
    "p_value",
    "p_adjusted",
    "prob_within_margin",
    "n",
    "n_needed",
)
WIDENED = ("lower", "upper", "p_value", "p_adjusted", "n_needed")
PREDICTION_FIGURES = (
    *("estimate", "lower", "upper", "bound_lower", "bound_upper", "prior_estimate", "prior_lower", "prior_upper"),
)
OF_STAGES = frozenset(
    {
        *("answer_position", "common_cause", "item_mix", "leave_one_item_out", "leave_one_participant_out"),
        *("missing_logs", "outcome_validity", "scorer_sensitivity", "stage_order"),
    }
)
DETAIL_HIDDEN = "Figures hidden: small cells (suppress_below)."
ONE_PERSON = f"Figures hidden: they tell what one person did (suppress_below). {PARTICIPANT_RULE}."
PREDICTIVE_FIGURES = ("n", "observed", "predicted", "lower", "upper", "p_value")


def suppressed(result: GapDecomposition) -> GapDecomposition:
    """The result as it may be published.

    A stage of an arm with 1 to `suppress_below` - 1 people, successes or failures is hidden, and with
    it the pooled row and every quantity that uses it, since the count could be worked out from them.
    A paired step is hidden likewise where one of its joint counts is small: flows, uptake and
    self-rescue together, because the stage means give any of them from another. Where few answers
    lack a score, `n` is hidden with the arm's attrition rows. Benchmark runs are not people and stay. A
    loaded result was suppressed when it was saved.

    What is hidden cannot be had by subtraction. A formula turned round is another matter: under
    `robust` and observed weights the standard error of a paired step still gives lost plus gained, and a mean with
    all its digits can give its denominator. An interval that was widened to the spread at a margin would give lost plus
    gained under any covariance, and is hidden with the step's flows; so is what leaving out one participant changes.
    """
    estimates, limit = result.estimates, result.settings.suppress_below
    if estimates is None or limit <= 1:
        return result
    hidden = small_cells(estimates.scores, limit)
    note = f"hidden: fewer than {limit} people, successes or failures (suppress_below)"
    told = (note,) if hidden.any else ()
    measures = hidden.any or _small_measures(result, limit)
    shown = replace(
        result,
        components=tuple(_component(row, result, hidden, note) for row in result.components),
        alternatives=tuple(_component(row, result, hidden, note) for row in result.alternatives),
        posterior=tuple(_posterior(row, result, hidden, note) for row in result.posterior),
        predictive=_predictive(result.predictive, estimates.scores, hidden, limit, note),
        missing=tuple(_resting(row, result, hidden, note) for row in result.missing),
        staged=tuple(_staged(row, result, hidden, note) for row in result.staged),
        predictions=tuple(_prediction(row, result, hidden, note) for row in result.predictions),
        next_steps=()
        if hidden.stages or any(_tells_spread(row, hidden) for row in result.staged)
        else result.next_steps,
        influence=_influence(result, estimates.plug_in.scores, hidden, limit, note),
        orders=() if hidden.any or _small_other_cells(result, limit) else result.orders,
        bias=() if hidden.any else result.bias,
        outcomes=() if measures else result.outcomes,
        checks=_checks(result, estimates.plug_in.scores, hidden, limit),
        tests=tuple(_resting(row, result, hidden, note) for row in result.tests),
        stages=tuple(_stage(row, hidden, note) for row in result.stages),
        other_stages=tuple(_stage(row, hidden, note) for row in result.other_stages),
        shares=tuple(_share(row, result, hidden, note) for row in result.shares),
        effects=tuple(_effect(row, result, hidden, note) for row in result.effects),
        specifications=tuple(_specification(row, limit, note) for row in result.specifications),
        scoring=tuple(_scoring(row, limit, note) for row in result.scoring),
        attrition=_attrition(result.attrition, limit),
        margins=_margins(result.margins, limit),
        assumptions=tuple(_assumption(row, result, hidden, measures=measures) for row in result.assumptions),
        warnings=tuple(text for text in result.warnings if not _tells(text, hidden)),
        notes=(*result.notes, *(f"Small cells are {text}." for text in told)),
    )
    if shown.margins == result.margins:
        return shown
    retold = tuple(declared_margins(shown) if one.check == "declared_margins" else one for one in shown.checks)
    return replace(shown, checks=retold)


def _staged(row: StagedRow, result: GapDecomposition, hidden: Hidden, note: str) -> StagedRow:
    """A step is hidden with either of its stages; its verdict tells no count and stays."""
    names = result.settings.stages
    if hidden.stages & {(row.arm, names[names.index(row.transition) - 1]), (row.arm, row.transition)}:
        return replace(row, **dict.fromkeys(STAGED_FIGURES), note=note, interval="")  # type: ignore[arg-type]
    if _tells_spread(row, hidden):
        row = replace(row, **dict.fromkeys(WIDENED), note=f"{row.note}; {note}", interval="")  # type: ignore[arg-type]
    return replace(row, n=None) if hidden.sizes else row


def _tells_spread(row: StagedRow, hidden: Hidden) -> bool:
    """Whether an interval, set beside its standard error, gives the variance of an answer's change."""
    return AT_MARGIN in row.note and (row.arm, row.transition) in hidden.steps


def _prediction(row: PredictionRow, result: GapDecomposition, hidden: Hidden, note: str) -> PredictionRow:
    cells = {(row.arm, row.after)}
    if row.quantity == "effect":
        cells.add((result.settings.control, result.settings.stages[-1]))
    if not hidden.stages & cells:
        return row
    return replace(row, **dict.fromkeys(PREDICTION_FIGURES), note=note)  # type: ignore[arg-type]


def _influence(
    result: GapDecomposition, scores: StageScores, hidden: Hidden, limit: int, note: str
) -> tuple[InfluenceRow, ...]:
    """Left out, an item shows what its own cell holds, and a participant what one person did.

    Where some item's cell is small, none is shown; a participant never is.
    """
    if hidden.any:
        return ()
    told = {"participant", *(("item",) if small_items(scores, limit)[0] else ())}
    blank = {"estimate": None, "lower": None, "upper": None, "change": None, "n": None, "note": note}
    return tuple(replace(row, **blank) if row.unit in told else row for row in result.influence)  # type: ignore[arg-type]


def _checks(result: GapDecomposition, scores: StageScores, hidden: Hidden, limit: int) -> tuple[CheckResult, ...]:
    """A check that tells of answers keeps its status and not its figures."""
    told = {"leave_one_participant_out", *(OF_STAGES if hidden.any else ())}
    if small_items(scores, limit)[0]:
        told.add("leave_one_item_out")
    if _small_measures(result, limit):
        told.add("outcome_validity")
    if _small_other_cells(result, limit):
        told.add("stage_order")
    if _small_baseline(result, limit):
        told.add("balance")
    if any(_small_step_of(row, limit) for row in result.attrition):
        told |= {"differential_attrition", "missing_logs"}
    return tuple(
        replace(one, detail=ONE_PERSON if one.check == "leave_one_participant_out" else DETAIL_HIDDEN)
        if one.check in told and one.status != "not_applicable"
        else one
        for one in result.checks
    )


def _small_measures(result: GapDecomposition, limit: int) -> bool:
    """Whether few people of an arm have some pair of scores by two measures of the last stage, or lack one."""
    context, estimates = result.context, result.estimates
    if context is None or estimates is None or not result.outcomes:
        return False
    last = estimates.scores.chain[estimates.scores.chain.last].column
    frame = context.trial.answers
    return any(small_in_trial(context.trial, [frame[last], frame[other]], limit) for other in context.outcomes.values())


def _small_other_cells(result: GapDecomposition, limit: int) -> bool:
    """Whether few people of an arm are right, wrong or without a score in a cell that another order passes through."""
    context = result.context
    if context is None:
        return False
    frame = context.trial.answers
    return any(small_in_trial(context.trial, [frame[one.score]], limit) for one in context.cells)


def _small_baseline(result: GapDecomposition, limit: int) -> bool:
    """Whether few people of an arm have some value of a baseline column, or none, or some item."""
    context = result.context
    if context is None:
        return False
    trial, frame = context.trial, context.trial.answers
    names = [one.name for role in (*ROLES, ITEM) for one in trial.table.by_role(role) if one.name in frame]
    levels = [name for name in names if frame[name].nunique() <= MOST_LEVELS]
    told = [*(frame[name] for name in levels), *(frame[name].isna() for name in names)]
    return any(small_in_trial(trial, [column], limit) for column in told)


def _specification(row: SpecificationRow, limit: int, note: str) -> SpecificationRow:
    """A specification under which some stage of the arm rests on few people, successes or failures."""
    if row.fewest is None or not small(row.fewest, limit):
        return replace(row, fewest=None)
    return replace(
        row, estimate=None, std_error=None, lower=None, upper=None, interval="", n=None, fewest=None, note=note
    )


def _scoring(row: ScoringRow, limit: int, note: str) -> ScoringRow:
    if row.n is None or not small(row.n, limit):
        return row
    return replace(row, estimate=None, lower=None, upper=None, n=None, note=note)


def _tells(text: str, hidden: Hidden) -> bool:
    """Whether a warning speaks of a stage that is hidden."""
    return any(f"{stage} in arm {arm}" in text for arm, stage in hidden.stages)


def _uses(row: ComponentRow | PosteriorRow, result: GapDecomposition) -> Iterable[tuple[str, str]]:
    """Arm and stage of every mean behind a row."""
    names, control = result.settings.stages, result.settings.control
    if row.kind == "effect":
        stage = {"predicted_effect": names[0], "realized_effect": names[-1]}.get(
            row.quantity, row.quantity.removeprefix("predicted_effect_after_")
        )
        return [(row.arm, stage), (control, names[-1])]
    if row.kind == "component":
        return [(row.arm, names[names.index(row.quantity) - 1]), (row.arm, row.quantity)]
    if row.kind == "conditional":
        return [(row.arm, names[-2]), (row.arm, names[-1])]
    if row.kind == "stage":
        return [(row.arm, row.quantity)]
    if row.kind in ("family", "difference"):
        return [(row.arm, name) for name in names]
    return [(row.arm, names[0]), (row.arm, names[-1])]


def _component(row: ComponentRow, result: GapDecomposition, hidden: Hidden, note: str) -> ComponentRow:
    cells = set(_uses(row, result))
    blanks: dict[str, object] = {}
    if hidden.stages & cells:
        return replace(row, **dict.fromkeys((*FIGURES, *FLOWS, *SIZES)), note=note, interval="")  # type: ignore[arg-type]
    if row.kind == "conditional" and (row.arm, result.settings.stages[-1]) in hidden.steps:
        return replace(row, **dict.fromkeys((*FIGURES, *SIZES)), note=note, interval="")  # type: ignore[arg-type]
    if row.kind == "component" and (row.arm, row.quantity) in hidden.steps:
        blanks |= dict.fromkeys(FLOWS)
        kept = [part for part in row.note.split("; ") if part and not part.startswith(LOST_MINUS_GAINED)]
        blanks["note"] = "; ".join([*kept, f"flows {note}"])
    if hidden.sizes & cells:
        blanks |= dict.fromkeys((*SIZES, *FLOW_COUNTS))
    return replace(row, **blanks)  # type: ignore[arg-type]  # blanks are given by field name


def _posterior(row: PosteriorRow, result: GapDecomposition, hidden: Hidden, note: str) -> PosteriorRow:
    """A posterior's row is hidden with the component or stage that it speaks of, and its prior interval stays."""
    conditional = row.kind == "conditional" and (row.arm, result.settings.stages[-1]) in hidden.steps
    if not conditional and not hidden.stages & set(_uses(row, result)):
        return row
    return replace(row, **dict.fromkeys(POSTERIOR_FIGURES), note=note, interval="")  # type: ignore[arg-type]


def _predictive(
    rows: tuple[PredictiveRow, ...], scores: StageScores, hidden: Hidden, limit: int, note: str
) -> tuple[PredictiveRow, ...]:
    """Cells of arm, item and stage: one small cell hides its arm's others at that stage, which add up to the stage.

    Where few answers to an item lack a score, the arm's `n` by item is hidden at every stage: two of them would tell.
    """
    lenders = {(arm.label, name): arm.rows_of(name) for arm in scores.design.arms for name in scores.chain.names}
    trial = {stage.name for stage in scores.trial_stages}
    few, lacking = small_items(scores, limit)
    found = []
    for row in rows:
        rows_of = lenders.get((row.arm, row.stage), row.arm)
        one = row
        if row.stage in trial and ((row.arm, row.stage) in hidden.stages or (row.item and (rows_of, row.stage) in few)):
            one = replace(row, **dict.fromkeys(PREDICTIVE_FIGURES), note=note)  # type: ignore[arg-type]
        elif row.stage in trial and ((row.arm, row.stage) in hidden.sizes or (row.item and rows_of in lacking)):
            one = replace(row, n=None)
        found.append(one)
    return tuple(found)


def raw_data_may_be_shown(result: GapDecomposition) -> bool:
    """Whether no pattern of stages of any arm and item is shown by few people, so that a model's own data may be shown.

    A model's parameters, its likelihood by observation and its replicated data tell as much as the observations.
    """
    estimates, limit = result.bayesian, result.settings.suppress_below
    if estimates is None or limit <= 1:
        return True
    scores, hidden = estimates.scores, small_cells(estimates.scores, limit)
    if hidden.any:
        return False
    names = ["arm", "item", *(stage.name for stage in scores.trial_stages)]
    groups = scores.answers.groupby(names, observed=True, dropna=False)
    return not any(small(people(scores, part), limit) for _, part in groups)


def _stage(row: StageRow, hidden: Hidden, note: str) -> StageRow:
    if (row.arm, row.stage) in hidden.stages:
        return replace(row, estimate=None, std_error=None, lower=None, upper=None, interval="", n=None, note=note)
    return replace(row, n=None) if (row.arm, row.stage) in hidden.sizes else row


def _share(row: ShareRow, result: GapDecomposition, hidden: Hidden, note: str) -> ShareRow:
    if not hidden.stages & {(row.arm, name) for name in result.settings.stages}:
        return row
    return replace(row, estimate=None, lower=None, upper=None, set_type="", note=note)


def _effect(row: EffectRow, result: GapDecomposition, hidden: Hidden, note: str) -> EffectRow:
    last = result.settings.stages[-1]
    few_users = row.quantity == "complier_effect" and row.arm in hidden.use
    if not few_users and not hidden.stages & {(row.arm, last), (result.settings.control, last)}:
        return row
    return replace(row, estimate=None, lower=None, upper=None, note=note)


def _resting[T: (MissingRow, HypothesisRow)](row: T, result: GapDecomposition, hidden: Hidden, note: str) -> T:
    """A row that rests on several stages of an arm and of the control arm: blank where any, or its size, is hidden."""
    arms = {arm for arm, _ in (*hidden.stages, *hidden.sizes)}
    if getattr(row, "approach", "") == "complete_case":
        arms |= hidden.complete
    if not arms or (not arms & {row.arm, result.settings.control} and row.arm in result.settings.arms):
        return row
    kept = {"arm", "quantity", "approach", "hypothesis", "method", "reference", "level"}
    blank = {one.name: None for one in fields(row) if one.name not in kept}
    return replace(row, **(blank | {"note": note}))  # type: ignore[arg-type]  # blanks are given by field name


def _attrition(rows: tuple[AttritionRow, ...], limit: int) -> tuple[AttritionRow, ...]:
    """Where a step of an arm lost, kept or met a few people, none of its numbers: the others would give it away."""
    arms = {row.arm for row in rows if _small_step_of(row, limit)}
    note = f"numbers of this arm hidden: fewer than {limit} at a step"
    return tuple(
        replace(row, n_in=None, n_out=None, reason=f"{row.reason} ({note})") if row.arm in arms else row for row in rows
    )


def _small_step_of(row: AttritionRow, limit: int) -> bool:
    entered, left = row.n_in or 0, row.n_out or 0
    return any(small(count, limit) for count in (entered, left, entered - left))


def _margins(rows: tuple[MarginRow, ...], limit: int) -> tuple[MarginRow, ...]:
    """A small margin is hidden, and with an item's all items of its label, which would add up to it."""
    few = {(row.label, row.item != "", row.column) for row in rows if any(small(count, limit) for count in row.counts)}
    return tuple(
        replace(row, found=f"hidden: fewer than {limit}", counts=())
        if (row.label, row.item != "", row.column) in few
        else row
        for row in rows
    )


def _assumption(row: AssumptionRow, result: GapDecomposition, hidden: Hidden, *, measures: bool) -> AssumptionRow:
    """An assumption is hidden with a step that bears on it, or with the comparison of measures that does."""
    names = result.settings.stages
    steps = [step for step in row.transition.split(";") if step in names[1:]]
    cells = {(ALL_ARMS, name) for step in steps for name in (names[names.index(step) - 1], step)}
    spread = any(_tells_spread(one, hidden) for one in result.staged if one.transition in steps)
    if not spread and not hidden.stages & cells and not (measures and row.assumption_id == OUTCOME and not steps):
        return row
    return replace(row, estimate=None, lower=None, upper=None, evidence="hidden: small cells")
