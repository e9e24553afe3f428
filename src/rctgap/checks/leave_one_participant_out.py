"""Whether one participant carries the result."""

from rctgap.estimands import ALL_ARMS
from rctgap.outcome_measures import margin_of
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.tables import points

__all__ = ["leave_one_participant_out"]

NOT_IDENTIFIED = "Participants are not identified, or non-users take the control mean."
PART = 0.5
RULE = f"The rule: a warning where one moves a component by more than {PART:g} standard errors, or by its margin"


def leave_one_participant_out(result: GapDecomposition) -> CheckResult:
    """Warn where one participant, who is not named, moves a component by half its standard error, or by its margin."""
    steps = result.settings.stages[1:]
    rows = [
        row
        for row in result.influence
        if row.unit == "participant" and row.arm == ALL_ARMS and row.quantity in steps and row.change is not None
    ]
    if not rows:
        return CheckResult("leave_one_participant_out", "not_applicable", "", NOT_IDENTIFIED)
    found = [row for row in rows if abs(row.change or 0.0) > _most(result, row.quantity)]
    told = "; ".join(f"{row.quantity} {points(row.change, 2)}" for row in rows)
    kept = rows[0].left_out.removeprefix("the most influential of ")
    detail = f"Without the one of {kept} participants who moves it most, in points: {told}. {RULE}."
    ids = ";".join(
        dict.fromkeys(
            name for row in found for name in result.row(row.quantity, ALL_ARMS).assumption_ids.split(";") if name
        )
    )
    return CheckResult("leave_one_participant_out", "warning" if found else "pass", ids, detail)


def _most(result: GapDecomposition, quantity: str) -> float:
    """How far one participant may move a component."""
    error, margin = result.row(quantity, ALL_ARMS).std_error, margin_of(result, quantity)
    return margin if error is None else min(PART * error, margin)
