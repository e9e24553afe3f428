"""Every component under every way to score the texts: a multiverse of specifications."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from rctgap.errors import AnalysisError, EstimandError, EstimationError, Fault
from rctgap.estimands import ALL_ARMS
from rctgap.estimates import StageEstimates
from rctgap.records import ComponentRow
from rctgap.rows import component_rows
from rctgap.scores import StageScores
from rctgap.scoring import ScoredText, ScoredTrial, with_scores
from rctgap.scoring_plan import StageScoring
from rctgap.scoring_records import SpecificationRow
from rctgap.stages import Chain, Stage
from rctgap.trial import TrialData

__all__ = ["MOST_SPECIFICATIONS", "Alternatives", "all_plans", "specification_rows"]

MOST_SPECIFICATIONS = 256
KINDS = ("component", "family", "gap", "effect")


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Ways to score each stage that is scored here; the first of each is the one that the analysis asked for.

    Raises
    ------
    AnalysisError
        Their combinations are too many.
    """

    by_stage: Mapping[str, tuple[StageScoring, ...]]

    def __post_init__(self) -> None:
        number = 1
        for ways in self.by_stage.values():
            number *= len(ways)
        if number > MOST_SPECIFICATIONS:
            what = f"the alternatives make {number} specifications"
            raise AnalysisError(Fault(what, f"Name fewer: at most {MOST_SPECIFICATIONS}", place="multiverse"))

    def combinations(self) -> Iterator[tuple[StageScoring, ...]]:
        """One way for each stage; the asked one first."""
        yield from product(*self.by_stage.values())


def all_plans(alternatives: Alternatives) -> tuple[StageScoring, ...]:
    """Every way to score every stage, each under a name of its own, to be scored in one pass over the texts."""
    return tuple(
        replace(plan, stage=_alias(stage, number))
        for stage, ways in alternatives.by_stage.items()
        for number, plan in enumerate(ways)
    )


def _alias(stage: str, number: int) -> str:
    return stage if number == 0 else f"{stage}__{number}"


def specification_rows(
    trial: TrialData,
    chain: Chain,
    alternatives: Alternatives,
    scored: ScoredTrial,
    estimate: Callable[[TrialData, Chain], StageEstimates],
) -> tuple[SpecificationRow, ...]:
    """Components, families, gap and effects under every combination of alternatives.

    Parameters
    ----------
    trial : TrialData
        Before anything was scored.
    chain : Chain
    alternatives : Alternatives
    scored : ScoredTrial
        The scores of `all_plans`.
    estimate : callable
        Estimates a trial that carries the scores of a chain.

    Returns
    -------
    tuple of SpecificationRow
        By specification, arm and quantity. One that cannot be estimated has rows without numbers, and the reason.

    References
    ----------
    Steegen et al. (2016), doi 10.1177/1745691616658637; Simonsohn et al. (2020), doi 10.1038/s41562-020-0912-z.
    """
    texts: dict[str, list[ScoredText]] = {}
    for one in scored.texts:
        texts.setdefault(one.stage, []).append(one)
    rows: list[SpecificationRow] = []
    template: list[ComponentRow] = []
    for number, plans in enumerate(alternatives.combinations(), 1):
        mine = [
            replace(one, stage=plan.stage)
            for plan in plans
            for one in texts.get(_alias(plan.stage, alternatives.by_stage[plan.stage].index(plan)), [])
        ]
        varied = Chain(tuple(_stage(stage, plans) for stage in chain.stages), chain.transitions)
        choices = "; ".join(f"{plan.stage}: {plan.told}" for plan in plans)
        try:
            found = estimate(with_scores(trial, plans, mine, scored.linker), varied)
            template = [row for row in component_rows(found) if row.kind in KINDS and row.quantity != "item_mix"]
            made, fewest = template, _fewest(found.scores)
        except (EstimandError, EstimationError) as error:
            made, fewest = [_blank(row, error.reason) for row in template], {}
        rows.extend(replace(_row(number, choices, row), fewest=fewest.get(row.arm)) for row in made)
    return tuple(rows)


def _fewest(scores: StageScores) -> dict[str, int]:
    """Fewest people, successes or failures, but none, behind a stage of each arm, and of any."""
    found, frame = {}, scores.answers
    for arm in scores.design.arms:
        counted = []
        for stage in scores.trial_stages:
            mine = frame[(frame["arm"] == arm.rows_of(stage.name)) & frame[stage.name].notna()]
            right = float((mine[stage.name] * mine["count"]).sum())
            counted += [float(mine["count"].sum()), right, float(mine["count"].sum()) - right]
        found[arm.label] = math.ceil(min((one for one in counted if one > 0), default=0))
    return found | {ALL_ARMS: min((one for one in found.values() if one > 0), default=0)}


def _stage(stage: Stage, plans: Sequence[StageScoring]) -> Stage:
    plan = next((one for one in plans if one.stage == stage.name), None)
    return stage if plan is None else replace(stage, instrument=plan.instrument)


def _row(number: int, choices: str, row: ComponentRow) -> SpecificationRow:
    return SpecificationRow(
        number,
        choices,
        row.arm,
        row.quantity,
        row.kind,
        row.family,
        row.estimate,
        row.std_error,
        row.lower,
        row.upper,
        row.level,
        row.interval,
        row.scores,
        row.n,
        row.note,
    )


def _blank(row: ComponentRow, reason: str) -> ComponentRow:
    return replace(
        row, estimate=None, std_error=None, lower=None, upper=None, interval="", n=None, note=f"not estimated: {reason}"
    )
