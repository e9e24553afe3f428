"""A result: the rows of every table, and everything a reader needs beside them."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rctgap.check_records import BiasRow, InfluenceRow, OrderRow, OutcomeRow
from rctgap.records import (
    AssumptionRow,
    AttritionRow,
    CheckResult,
    ComponentRow,
    EffectRow,
    FitRow,
    HypothesisRow,
    MarginRow,
    MissingRow,
    PosteriorRow,
    PredictiveRow,
    PriorRow,
    Settings,
    ShareRow,
    StageRow,
    SystemRow,
    records_frame,
)
from rctgap.scoring_records import ScoringRow, SpecificationRow
from rctgap.staged_records import PredictionRow, StagedRow

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr
    from matplotlib.figure import Figure

    from rctgap.cards import BenchmarkCard
    from rctgap.check_context import CheckContext
    from rctgap.estimates import Sampling, StageEstimates

__all__ = ["GapDecomposition"]


@dataclass(frozen=True)
class GapDecomposition:
    """The gap between benchmark and outcome, split by transition, with everything a reader needs beside it.

    `tidy()` is the one frame; printers, figures and files read it or the records that it is
    made of. The rows under other estimands (items random beside fixed, standardised beside
    observed mix) are kept with the main ones and told apart by `items` and `item_weights`. The same
    estimates with other intervals, and a posterior beside frequentist estimates, are `alternatives`, told apart by
    `method` and `estimator`. `context` is the trial that checks look into, `bayesian` are the estimates that carry the
    posterior, and `draws` the groups of a loaded result's posterior.nc.
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
    next_steps: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    alternatives: tuple[ComponentRow, ...] = ()
    missing: tuple[MissingRow, ...] = ()
    specifications: tuple[SpecificationRow, ...] = ()
    scoring: tuple[ScoringRow, ...] = ()
    tests: tuple[HypothesisRow, ...] = ()
    staged: tuple[StagedRow, ...] = ()
    predictions: tuple[PredictionRow, ...] = ()
    influence: tuple[InfluenceRow, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    outcomes: tuple[OutcomeRow, ...] = ()
    bias: tuple[BiasRow, ...] = ()
    posterior: tuple[PosteriorRow, ...] = ()
    priors: tuple[PriorRow, ...] = ()
    predictive: tuple[PredictiveRow, ...] = ()
    fits: tuple[FitRow, ...] = ()
    sampling: "Sampling | None" = None
    estimates: "StageEstimates | None" = field(default=None, compare=False, repr=False)
    bayesian: "StageEstimates | None" = field(default=None, compare=False, repr=False)
    draws: "xr.DataTree | None" = field(default=None, compare=False, repr=False)
    card: "BenchmarkCard | None" = field(default=None, compare=False, repr=False)
    context: "CheckContext | None" = field(default=None, compare=False, repr=False)

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
        consents = {
            "same_system": self.settings.allow_mixed_systems,
            "convergence": self.settings.allow_unconverged,
        }
        forbidding = FORBIDDING - {check for check, given in consents.items() if given}
        return tuple(check.check for check in self.checks if check.status == "fail" and check.check in forbidding)

    def __str__(self) -> str:
        from rctgap.printing import result_text  # noqa: PLC0415 - pandas is loaded when something is printed

        return result_text(self)

    def plot(self) -> "Figure":
        """Draw the accuracy ladder: benchmark to decision, with control beside it."""
        from rctgap.plots import ladder  # noqa: PLC0415 - matplotlib is loaded when something is drawn

        return ladder(self)


FORBIDDING = frozenset({"same_system", "other_route", "embedded_counts", "convergence"})
