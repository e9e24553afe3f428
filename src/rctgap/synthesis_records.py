"""Rows of a synthesis over trials: what each trial says of a quantity, and what they say together."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["HARTUNG_KNAPP", "HIERARCHICAL", "SHRUNKEN", "TRIAL", "ComparedTrial", "Synthesis", "SynthesisRow"]

type Method = Literal["trial", "hartung-knapp", "hierarchical", "shrunken"]

TRIAL: Method = "trial"
HARTUNG_KNAPP: Method = "hartung-knapp"
HIERARCHICAL: Method = "hierarchical"
SHRUNKEN: Method = "shrunken"


@dataclass(frozen=True, slots=True)
class SynthesisRow:
    """One row of synthesis.csv, in proportions.

    Attributes
    ----------
    kind : str
        As in components.csv, or `share`: the quantity's share of the gap.
    method : {"trial", "hartung-knapp", "hierarchical", "shrunken"}
        One trial's own row; the two ways to pool; one trial's true value as the hierarchical model has it.
    trial : str
        Name of the result; empty where the row is pooled.
    tau, tau_lower, tau_upper : float or None
        Standard deviation of the true values between trials, with its interval.
    i2, q, q_p : float or None
        Heterogeneity: share of the spread that chance does not explain, Cochran's Q and its p-value.
    prediction_lower, prediction_upper : float or None
        Interval of the true value of a new trial.
    prob_positive, margin, prob_within_margin : float or None
        P(mean > 0), and P(abs(mean) < margin), of the posterior.
    weight : float or None
        Of a trial in the Hartung-Knapp mean, where it is pooled.
    k : int or None
        Trials that are pooled.
    """

    quantity: str
    kind: str
    method: Method
    trial: str
    estimate: float | None
    std_error: float | None
    df: float | None
    lower: float | None
    upper: float | None
    level: float
    assumption_ids: str = ""
    tau: float | None = None
    tau_lower: float | None = None
    tau_upper: float | None = None
    i2: float | None = None
    q: float | None = None
    q_p: float | None = None
    prediction_lower: float | None = None
    prediction_upper: float | None = None
    prob_positive: float | None = None
    margin: float | None = None
    prob_within_margin: float | None = None
    weight: float | None = None
    k: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ComparedTrial:
    """One result as it enters a synthesis."""

    name: str
    title: str
    arms: tuple[str, ...]
    n_answers: int
    n_participants: int | None
    n_items: int | None
    level: float
    method: str
    final: bool
    result_sha256: str
    trial_sha256: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Synthesis:
    """Results side by side and, where `pooled`, together.

    Attributes
    ----------
    arm : str
        The arm whose rows are used, `all` for the mean over a trial's AI arms.
    estimand : tuple of (setting, value)
        What the pooled results have in common.
    left_out : tuple of str
        Trials shown and not pooled, by quantity, each with its reason.
    warnings : tuple of str
        What to read the pooled numbers with.
    """

    arm: str
    level: float
    margin: float
    mu_sd: float
    tau_scale: float
    pooled: bool
    trials: tuple[ComparedTrial, ...]
    rows: tuple[SynthesisRow, ...]
    estimand: tuple[tuple[str, str], ...]
    left_out: tuple[str, ...]
    warnings: tuple[str, ...]

    def quantities(self) -> tuple[tuple[str, str], ...]:
        """Every (quantity, kind), in the order of the chain."""
        return tuple(dict.fromkeys((row.quantity, row.kind) for row in self.rows))

    def of_trial(self, quantity: str, kind: str) -> tuple[SynthesisRow, ...]:
        """A quantity's rows of the trials."""
        return tuple(row for row in self.rows if (row.quantity, row.kind, row.method) == (quantity, kind, TRIAL))

    def found(self, quantity: str, kind: str, method: Method) -> SynthesisRow | None:
        """A quantity's pooled row by one method, None where it is not pooled."""
        wanted = (quantity, kind, method)
        return next((row for row in self.rows if (row.quantity, row.kind, row.method) == wanted), None)
