"""The rows of a result: flat and frozen, one kind a table; columns as in the files."""

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "AssumptionRow",
    "AttritionRow",
    "CheckResult",
    "ComponentRow",
    "EffectRow",
    "FitRow",
    "HypothesisRow",
    "MarginRow",
    "MissingRow",
    "PosteriorRow",
    "PredictiveRow",
    "PriorRow",
    "Settings",
    "ShareRow",
    "StageRow",
    "SystemRow",
    "records_frame",
]

type Status = Literal["pass", "fail", "warning", "not_applicable"]


@dataclass(frozen=True, slots=True)
class ComponentRow:
    """One row of components.csv; columns as in the file."""

    arm: str
    quantity: str
    kind: str
    family: str
    assumption_ids: str
    estimate: float | None
    std_error: float | None
    df: float | None
    lower: float | None
    upper: float | None
    level: float
    interval: str
    method: str
    estimator: str
    covariance: str
    small_sample: str
    items: str
    item_weights: str
    arm_weights: str
    scores: str
    share_of_gap: float | None
    lost: float | None
    gained: float | None
    lost_count: int | None
    gained_count: int | None
    n: int | None
    clusters: int | None
    note: str
    simultaneous_lower: float | None = None
    simultaneous_upper: float | None = None

    @property
    def key(self) -> tuple[str, ...]:
        """What makes the row unique."""
        return (
            self.arm,
            self.quantity,
            self.method,
            self.estimator,
            self.covariance,
            self.items,
            self.item_weights,
            self.scores,
        )


@dataclass(frozen=True, slots=True)
class StageRow:
    """One row of stages.csv."""

    arm: str
    stage: str
    system: str
    estimate: float | None
    std_error: float | None
    lower: float | None
    upper: float | None
    level: float
    interval: str
    method: str
    n: int | None
    covariance: str
    items: str
    item_weights: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One row of shares.csv."""

    arm: str
    quantity: str
    estimate: float | None
    method: str
    set_type: str
    lower: float | None
    upper: float | None
    level: float
    denominator: str
    items: str
    item_weights: str
    note: str = ""
    estimator: str = "plug-in"


@dataclass(frozen=True, slots=True)
class EffectRow:
    """The realized effect on another scale: risk ratio or odds ratio."""

    arm: str
    quantity: str
    estimate: float | None
    lower: float | None
    upper: float | None
    level: float
    items: str
    item_weights: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class AttritionRow:
    """One row of attrition.csv."""

    step: str
    arm: str
    n_in: int | None
    n_out: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class MarginRow:
    """A published figure beside the one found."""

    label: str
    item: str
    column: str
    declared: str
    found: str
    agrees: bool
    fits: str
    fit_detail: str
    source: str
    counts: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemRow:
    """Which system and which instrument made a stage's scores in an arm; `unnamed` where only some rows say which."""

    arm: str
    stage: str
    under_test: str
    found: tuple[str, ...]
    borrowed_from: str
    because: str
    instrument: tuple[tuple[str, str], ...]
    unnamed: bool = False


@dataclass(frozen=True, slots=True)
class AssumptionRow:
    """One row of assumptions.csv; the interval is that of the staged evaluation, at its own level."""

    assumption_id: str
    question: str
    declared_answer: str
    declared_holds: str
    status: str
    joint_with: str
    estimate: float | None
    lower: float | None
    upper: float | None
    evidence: str
    transition: str = ""
    margin: float | None = None
    level: float | None = None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One row of checks.csv."""

    check: str
    status: Status
    assumption_ids: str
    detail: str


@dataclass(frozen=True, slots=True)
class MissingRow:
    """A quantity under one way to deal with missing scores.

    Attributes
    ----------
    approach : str
        `available` (each stage's own scores, the default), `complete_case`, `inverse_probability` or `worst_case`.
    estimate, std_error : float or None
        None under `worst_case`, unless no missing score touches the quantity.
    lower, upper : float or None
        Confidence interval; under `worst_case` for a number between the bounds (Imbens and Manski).
    bound_lower, bound_upper : float or None
        Under `worst_case`, the smallest and largest estimate over all values of the missing scores.
    n : int or None
        Answers and runs that enter: under `inverse_probability` and `worst_case` the answers without a score too.
    note : str
    """

    arm: str
    quantity: str
    approach: str
    estimate: float | None
    std_error: float | None
    lower: float | None
    upper: float | None
    bound_lower: float | None
    bound_upper: float | None
    level: float
    n: int | None
    note: str


@dataclass(frozen=True, slots=True)
class HypothesisRow:
    """One row of tests.csv: a hypothesis, and the interval of the test's quantity where the test gives one."""

    arm: str
    hypothesis: str
    method: str
    statistic: float | None
    df_num: float | None
    df_denom: float | None
    reference: str
    p_value: float | None
    lower: float | None
    upper: float | None
    level: float
    replicates: int | None
    note: str


@dataclass(frozen=True, slots=True)
class PosteriorRow:
    """One row of posterior.csv: what the draws say about one quantity.

    Attributes
    ----------
    quantity : str
        As in components.csv, a stage, or `task_minus_outcome`.
    kind : str
        As in components.csv, `stage` (a stage mean, told apart from the component of that name) or `difference`.
    mean, median, std_dev, lower, upper : float or None
        Of the draws, in proportions.
    prob_positive : float or None
        P(quantity > 0).
    margin, prob_within_margin : float or None
        P(|quantity| < margin), for components, families and the gap.
    prior_lower, prior_upper : float or None
        Interval of the prior predictive draws, before any data.
    r_hat, ess_bulk, ess_tail : float or None
        Of this quantity's chains; None where draws are independent.
    prior_sensitivity, likelihood_sensitivity : float or None
        Power-scaling sensitivity of the draws to the prior and to the likelihood.
    """

    arm: str
    quantity: str
    items: str
    item_weights: str
    estimator: str
    mean: float | None
    median: float | None
    std_dev: float | None
    lower: float | None
    upper: float | None
    level: float
    interval: str
    prob_positive: float | None
    margin: float | None
    prob_within_margin: float | None
    prior_lower: float | None
    prior_upper: float | None
    r_hat: float | None
    ess_bulk: float | None
    ess_tail: float | None
    prior_sensitivity: float | None
    likelihood_sensitivity: float | None
    note: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class PriorRow:
    """One row of priors.csv: a prior that was used, and what it means."""

    prior: str
    value: float
    default: float
    distribution: str
    meaning: str


@dataclass(frozen=True, slots=True)
class PredictiveRow:
    """One row of predictive.csv: a mean that was observed beside what the fitted model predicts for it.

    `item` is empty for the whole arm. `p_value` is P(replicated >= observed), ties counted half.
    """

    arm: str
    stage: str
    item: str
    n: int | None
    observed: float | None
    predicted: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class FitRow:
    """One row of fits.csv: a model among nested ones, by leave-one-out cross-validation (PSIS)."""

    model: str
    elpd: float | None
    std_error: float | None
    p_loo: float | None
    difference: float | None
    difference_std_error: float | None
    units: str
    high_k: int | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked: the words that head every table."""

    items: str
    item_weights: str
    arm_weights: str
    non_users: str
    method: str
    estimator: str
    covariance: str
    small_sample: str
    level: float
    stages: tuple[str, ...]
    arms: tuple[str, ...]
    control: str
    n_answers: int
    n_runs: int
    n_participants: int | None
    n_items: int | None
    paired: bool
    suppress_below: int = 5
    allow_mixed_systems: bool = False
    allow_unconverged: bool = False
    scores: str = "as given"
    uncorrected: tuple[str, ...] = ()


def records_frame(rows: tuple[Any, ...], kind: type) -> "pd.DataFrame":
    """Records of one kind as a frame, with the kind's columns even where there are no rows."""
    import pandas as pd  # noqa: PLC0415 - loaded when a frame is asked for

    names = [one.name for one in fields(kind)]
    return pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=names)
