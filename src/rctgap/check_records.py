"""Rows of the tables that checks rest on."""

from dataclasses import dataclass

__all__ = ["BiasRow", "InfluenceRow", "OrderRow", "OutcomeRow"]


@dataclass(frozen=True, slots=True)
class InfluenceRow:
    """One row of leave_one_out.csv: a quantity without one item, or without one participant.

    Attributes
    ----------
    arm, quantity : str
        As in components.csv.
    unit : {"item", "participant"}
    left_out : str
        The item; participants are never named: `the most influential of 340`.
    estimate, lower, upper : float or None
        Without it, with the main estimates' kind of interval.
    change : float or None
        Estimate without it minus the estimate with all.
    level : float
    n : int or None
        Answers and runs left out.
    note : str
    """

    arm: str
    quantity: str
    unit: str
    left_out: str
    estimate: float | None
    lower: float | None
    upper: float | None
    change: float | None
    level: float
    n: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class OrderRow:
    """One row of orders.csv: a transition's component under one order of the stages, or averaged over orders.

    Attributes
    ----------
    arm, transition : str
    order : str
        Transitions in order, joined by ` > `; `mean` over the complete orders observed, `shapley` where all cells are.
    estimate, std_error, lower, upper : float or None
    level : float
    note : str
        For orders that the data do not hold: `not observed`.
    """

    arm: str
    transition: str
    order: str
    estimate: float | None
    std_error: float | None
    lower: float | None
    upper: float | None
    level: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class BiasRow:
    """One row of bias_curve.csv: uptake's risk ratio under an unmeasured common cause of conversation and decision.

    Attributes
    ----------
    arm : str
    with_conversation, with_decision : float
        Risk ratios by which the cause is tied to a correct conversation and to a correct decision.
    bias_factor : float
        The largest factor by which they can have raised the observed ratio.
    ratio, lower, upper : float or None
        Risk ratio of a correct decision, uptake over self-rescue, divided by that factor.
    level : float
    note : str
    """

    arm: str
    with_conversation: float
    with_decision: float
    bias_factor: float
    ratio: float | None
    lower: float | None
    upper: float | None
    level: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """One row of outcomes.csv: one measure of the last stage beside another, on the same answers.

    Attributes
    ----------
    arm : str
        An AI arm, `all`, or the control arm.
    quantity : str
        `accuracy`, `realized_effect`, or `agreement` (kappa of the two measures).
    outcome : str
        The measure; `difference` for the last stage's own minus the other's.
    other : str
        The other measure, for `difference` and `agreement`.
    estimate, std_error, lower, upper : float or None
    level : float
    n : int or None
    note : str
    """

    arm: str
    quantity: str
    outcome: str
    other: str
    estimate: float | None
    std_error: float | None
    lower: float | None
    upper: float | None
    level: float
    n: int | None
    note: str = ""
