"""Rows of a staged evaluation: what each transition shows, and what is predicted after each stage."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["PredictionRow", "StagedRow", "Verdict"]

type Verdict = Literal["holds", "violated", "inconclusive"]


@dataclass(frozen=True, slots=True)
class StagedRow:
    """One row of staged.csv: a transition held against its margin.

    Attributes
    ----------
    arm, transition, family, assumption_ids : str
        Where, the stage it leads to, and what it bears on (;-joined).
    items, item_weights, covariance, interval : str
        As in components.csv.
    estimate, std_error, df, lower, upper : float or None
        The component, with the interval at `level`, which is 1 - 2 alpha.
    margin, alpha : float
        In proportions; size of each one-sided test.
    verdict : {"holds", "violated", "inconclusive"}
    p_value, p_adjusted : float or None
        Of the two one-sided tests together, and its running maximum along the sequence.
    prob_within_margin : float or None
        P(|component| < margin) under the posterior named in `posterior`.
    posterior : str
        The posterior's estimator; empty without one.
    attributable : bool
        Whether the component may be put down to its assumptions.
    n, n_needed : int or None
        Units behind the component, and how many would settle it if the true component were 0.
    unit : str
        `answers` where items are fixed, `items` where they are random.
    note : str
    """

    arm: str
    transition: str
    family: str
    assumption_ids: str
    items: str
    item_weights: str
    covariance: str
    interval: str
    estimate: float | None
    std_error: float | None
    df: float | None
    lower: float | None
    upper: float | None
    level: float
    margin: float
    alpha: float
    verdict: Verdict
    p_value: float | None
    p_adjusted: float | None
    prob_within_margin: float | None
    posterior: str
    attributable: bool
    n: int | None
    unit: str
    n_needed: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One row of predictions.csv: deployment accuracy, or the effect against control, as predicted after a stage.

    Attributes
    ----------
    arm, after, quantity, items, item_weights : str
        `quantity` is `accuracy` or `effect`.
    estimate, lower, upper : float or None
        If every untested assumption holds.
    level : float
    bound_lower, bound_upper : float or None
        Whatever the untested transitions may do; equal to the interval where none is left.
    prior_estimate, prior_lower, prior_upper : float or None
        Under the priors that the analysis states for untested assumptions.
    untested : str
        Assumption IDs that are not yet tested after this stage (;-joined).
    note : str
    """

    arm: str
    after: str
    quantity: str
    items: str
    item_weights: str
    estimate: float | None
    lower: float | None
    upper: float | None
    level: float
    bound_lower: float | None
    bound_upper: float | None
    prior_estimate: float | None
    prior_lower: float | None
    prior_upper: float | None
    untested: str
    note: str = ""
