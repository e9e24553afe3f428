"""Whether one participant carries the result."""

from rctgap.check_records import InfluenceRow
from rctgap.checks.judged import assumptions_of, judged_arms, where
from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import margin_of
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.tables import points

__all__ = ["leave_one_participant_out"]

NOT_IDENTIFIED = "Participants are not identified, or non-users take the control mean."
PART = 0.5
RULE = (
    f"The rule: a warning where one moves a component, of an arm or of all, by more than {PART:g} standard errors, or "
    "by its margin"
)


def leave_one_participant_out(result: GapDecomposition) -> CheckResult:
    """Warn where one participant, who is not named, moves a component by half its standard error, or by its margin."""
    arms, steps = judged_arms(result), result.settings.stages[1:]
    rows = [
        row
        for row in result.influence
        if row.unit == "participant" and row.arm in arms and row.quantity in steps and row.change is not None
    ]
    if not rows:
        return CheckResult("leave_one_participant_out", "not_applicable", "", NOT_IDENTIFIED)
    found = [row for row in rows if abs(row.change or 0.0) > _most(result, row)]
    told = "; ".join(_told(row) for row in rows if row.arm == ALL_ARMS)
    beyond = f" Beyond the rule: {'; '.join(map(_told, found))}." if found else ""
    kept = rows[0].left_out.removeprefix("the most influential of ")
    detail = f"Without the one of {kept} participants who moves it most, in points: {told}.{beyond} {RULE}."
    ids = assumptions_of(result, found)
    return CheckResult("leave_one_participant_out", "warning" if found else "pass", ids, detail)


def _told(row: InfluenceRow) -> str:
    return f"{row.quantity}{where(row.arm)} {points(row.change, 2)}"


def _most(result: GapDecomposition, row: InfluenceRow) -> float:
    """How far one participant may move a component."""
    error, margin = result.row(row.quantity, row.arm).std_error, margin_of(result, row.quantity)
    return margin if error is None else min(PART * error, margin)
