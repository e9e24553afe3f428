"""Where a result's numbers come from: systems, settings, attrition, margins."""

from rctgap.design import Arm
from rctgap.estimates import StageEstimates
from rctgap.moments import item_mix
from rctgap.records import AttritionRow, MarginRow, Settings, SystemRow
from rctgap.scores import StageScores

__all__ = ["attrition_rows", "margin_rows", "mixed_steps", "settings_of", "system_rows"]


def mixed_steps(scores: StageScores, arm: Arm) -> tuple[str, ...]:
    """Transitions of an arm's chain at which the system changes, or whose rows mix systems."""
    found = []
    for start, to, _ in scores.chain.steps:
        before, after = (set(scores.systems[arm.label, stage.name]) for stage in (start, to))
        if before and after and (before != after or len(after) > 1):
            found.append(to.name)
    return tuple(found)


def settings_of(estimates: StageEstimates) -> Settings:
    """The words that head every table of this result."""
    scores, estimand = estimates.scores, estimates.estimand
    answers = scores.answers
    mix = item_mix(scores, estimand)
    items = set(answers["item"].dropna()) | set(scores.runs["item"].dropna()) if mix is None else set(mix)
    return Settings(
        items=estimand.items,
        item_weights=estimand.item_weights_name,
        arm_weights=estimand.arm_weights_name,
        non_users=estimand.non_users or "",
        method=estimates.method,
        estimator=estimates.estimator_name,
        covariance=estimates.covariance_name,
        small_sample=estimates.small_sample_name,
        level=estimates.level,
        stages=scores.chain.names,
        arms=tuple(arm.label for arm in scores.design.arms),
        control=scores.design.control or "",
        n_answers=_answers(scores),
        n_runs=round(float(scores.runs["count"].sum())),
        n_participants=int(answers["participant"].nunique()) if scores.participants else None,
        n_items=len(items) or None,
        paired=scores.paired,
        scores=estimates.scores_name,
        uncorrected=estimates.uncorrected,
    )


def _answers(scores: StageScores) -> int:
    """Answers behind the result; of marginal counts, the most at any stage of an arm."""
    size = scores.answers.groupby(["arm", "marginal"])["count"].sum()
    return round(float(size.groupby("arm").max().sum()))


def attrition_rows(scores: StageScores) -> tuple[AttritionRow, ...]:
    """Answers that entered and left each step."""
    return tuple(AttritionRow(one.step, one.arm, one.n_in, one.n_out, one.reason) for one in scores.attrition)


def margin_rows(scores: StageScores) -> tuple[MarginRow, ...]:
    """Published figures beside those found."""
    return tuple(
        MarginRow(
            ", ".join(f"{column} = {value}" for column, value in one.label),
            one.item,
            one.column,
            one.declared,
            one.found,
            one.agrees,
            one.fits,
            one.fit_detail,
            one.source,
            one.counts,
        )
        for one in scores.margins
    )


def system_rows(scores: StageScores) -> tuple[SystemRow, ...]:
    """Which system and instrument stand behind each arm's stages."""
    return tuple(
        SystemRow(
            arm.label,
            stage.name,
            arm.tested,
            scores.systems[arm.label, stage.name],
            arm.rows_of(stage.name) if arm.borrows(stage.name) else "",
            next((loan.because for loan in arm.borrowed if loan.stage == stage.name), ""),
            stage.instrument,
            (arm.label, stage.name) in scores.unnamed,
        )
        for arm in scores.design.arms
        for stage in scores.chain.stages
    )
