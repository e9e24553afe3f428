"""Whether components depend on how texts are scored."""

from rctgap.checks.judged import judged_arms, where
from rctgap.equivalence import verdict
from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import margin_of
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.scoring_records import SpecificationRow
from rctgap.tables import points

__all__ = ["scorer_sensitivity"]

type Step = tuple[str, str]


def scorer_sensitivity(result: GapDecomposition) -> CheckResult:
    """Warn where a component of an arm or of all ranges over more than its margin between ways to score, or crosses it.

    Verdicts are those of each specification's own interval against the margin.
    """
    chain = () if result.estimates is None else result.estimates.scores.chain.transitions
    touched = {one.to: one.assumptions for one in chain}
    arms = judged_arms(result)
    rows = [row for row in result.specifications if row.arm in arms and row.kind == "component"]
    steps = [step for step in dict.fromkeys((row.arm, row.quantity) for row in rows) if len(_known(rows, step)) > 1]
    if not steps:
        ids = ";".join(dict.fromkeys(name for names in touched.values() for name in names))
        return CheckResult("scorer_sensitivity", "not_applicable", ids, _alone(result, rows))
    ids = ";".join(dict.fromkeys(name for _, step in steps for name in touched.get(step, ())))
    sensitive = [step for step in steps if _sensitive(result, rows, step)]
    shown = sensitive or [step for step in steps if step[0] == ALL_ARMS] or steps
    parts = "; ".join(_told(result, rows, step) for step in shown)
    number, level = len({row.specification for row in rows}), 100 * rows[0].level
    detail = f"{number} ways to score; verdicts at each one's {level:g} % interval. {parts}."
    return CheckResult("scorer_sensitivity", "warning" if sensitive else "pass", ids, detail)


def _alone(result: GapDecomposition, rows: list[SpecificationRow]) -> str:
    if rows:
        return "No component is estimated under more than one way to score."
    automatic = ", ".join(result.settings.uncorrected)
    told = f" Scores at {automatic} are automatic and not corrected for errors of their scorer." if automatic else ""
    return f"One way to score; the key `multiverse` of an analysis names others.{told}"


def _known(rows: list[SpecificationRow], step: Step) -> list[SpecificationRow]:
    return [row for row in rows if (row.arm, row.quantity) == step and row.estimate is not None]


def _ends(rows: list[SpecificationRow], step: Step) -> tuple[SpecificationRow, SpecificationRow]:
    """The specifications of the smallest and of the largest estimate."""
    ranked = sorted(_known(rows, step), key=lambda row: row.estimate or 0.0)
    return ranked[0], ranked[-1]


def _verdicts(result: GapDecomposition, rows: list[SpecificationRow], step: Step) -> tuple[str, ...]:
    margin = margin_of(result, step[1])
    mine = sorted(_known(rows, step), key=lambda row: row.specification)
    return tuple(dict.fromkeys(verdict(row.lower, row.upper, margin) for row in mine))


def _sensitive(result: GapDecomposition, rows: list[SpecificationRow], step: Step) -> bool:
    low, high = _ends(rows, step)
    wide = (high.estimate or 0.0) - (low.estimate or 0.0) > margin_of(result, step[1])
    return wide or len(_verdicts(result, rows, step)) > 1


def _told(result: GapDecomposition, rows: list[SpecificationRow], step: Step) -> str:
    low, high = _ends(rows, step)
    arm, name = step
    margin = f"margin {100 * margin_of(result, name):g}"
    reached = " or ".join(_verdicts(result, rows, step))
    ends = f"from {points(low.estimate)} points ({low.choices}) to {points(high.estimate)} ({high.choices})"
    return f"{name}{where(arm)} {ends}, {margin}: {reached}"
