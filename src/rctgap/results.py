"""The records of a result: flat, frozen, and the only source of every table, figure and file."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from rctgap.cards import BenchmarkCard
    from rctgap.estimates import StageEstimates

__all__ = [
    "AssumptionRow",
    "AttritionRow",
    "CheckResult",
    "ComponentRow",
    "EffectRow",
    "GapDecomposition",
    "HypothesisRow",
    "MarginRow",
    "MissingRow",
    "Settings",
    "ShareRow",
    "StageRow",
    "SystemRow",
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
    """Which system and which instrument made a stage's scores in an arm."""

    arm: str
    stage: str
    under_test: str
    found: tuple[str, ...]
    borrowed_from: str
    because: str
    instrument: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class AssumptionRow:
    """One row of assumptions.csv."""

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


@dataclass(frozen=True)
class GapDecomposition:
    """The gap between benchmark and outcome, split by transition, with everything a reader needs beside it.

    `tidy()` is the one frame; printers, figures and files read it or the records that it is
    made of. The rows under other estimands (items random beside fixed, standardised beside
    observed mix) are kept with the main ones and told apart by `items` and `item_weights`. The same
    estimates with other intervals are `alternatives`, told apart by `estimator`.
    """

    title: str
    settings: Settings
    components: tuple[ComponentRow, ...]
    stages: tuple[StageRow, ...]
    other_stages: tuple[StageRow, ...]
    shares: tuple[ShareRow, ...]
    effects: tuple[EffectRow, ...]
    attrition: tuple[AttritionRow, ...]
    margins: tuple[MarginRow, ...]
    systems: tuple[SystemRow, ...]
    assumptions: tuple[AssumptionRow, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    checks: tuple[CheckResult, ...] = ()
    alternatives: tuple[ComponentRow, ...] = ()
    missing: tuple[MissingRow, ...] = ()
    tests: tuple[HypothesisRow, ...] = ()
    estimates: "StageEstimates | None" = field(default=None, compare=False, repr=False)
    card: "BenchmarkCard | None" = field(default=None, compare=False, repr=False)

    def tidy(self) -> "pd.DataFrame":
        """Every component, gap, effect and conditional as one frame, one row each (columns of components.csv)."""
        return records_frame((*self.components, *self.alternatives), ComponentRow)

    def main(self) -> tuple[ComponentRow, ...]:
        """Rows of the estimand that was asked for, without those shown beside it."""
        chosen = self.settings
        return tuple(
            row
            for row in self.components
            if (row.items, row.item_weights, row.covariance) == (chosen.items, chosen.item_weights, chosen.covariance)
        )

    def row(self, quantity: str, arm: str = "all") -> ComponentRow:
        """The main row of a quantity.

        Raises
        ------
        KeyError
            No such arm or quantity.
        """
        for row in self.main():
            if (row.arm, row.quantity) == (arm, quantity):
                return row
        raise KeyError((arm, quantity))

    @property
    def final(self) -> bool:
        """Whether no check forbids calling the result final."""
        return not self.forbidden_by

    @property
    def forbidden_by(self) -> tuple[str, ...]:
        """Failed checks that forbid calling the result final, those consented to left aside."""
        consented = {"same_system"} if self.settings.allow_mixed_systems else set()
        forbidding = FORBIDDING - consented
        return tuple(check.check for check in self.checks if check.status == "fail" and check.check in forbidding)

    def __str__(self) -> str:
        from rctgap.printing import result_text  # noqa: PLC0415 - pandas is loaded when something is printed

        return result_text(self)

    def plot(self) -> "Figure":
        """Draw the accuracy ladder: benchmark to decision, with control beside it."""
        from rctgap.plots import ladder  # noqa: PLC0415 - matplotlib is loaded when something is drawn

        return ladder(self)


FORBIDDING = frozenset({"same_system", "other_route", "embedded_counts"})


def records_frame(rows: tuple[Any, ...], kind: type) -> "pd.DataFrame":
    """Records of one kind as a frame, with the kind's columns even where there are no rows."""
    import pandas as pd  # noqa: PLC0415 - loaded when a frame is asked for

    names = [one.name for one in fields(kind)]
    return pd.DataFrame([[getattr(row, name) for name in names] for row in rows], columns=names)
