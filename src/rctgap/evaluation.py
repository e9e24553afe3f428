"""`staged_evaluation(result)`: assumptions tested in order, what each stage predicts, and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rctgap.assumptions import assumption_rows, main_rows
from rctgap.bayesian import estimate_bayesian, under
from rctgap.checks import tabled
from rctgap.checks.outcome_validity import ASSUMPTION
from rctgap.decomposition import again
from rctgap.errors import EstimandError, EstimationError, Fault
from rctgap.estimates import StageEstimates
from rctgap.next_study import next_steps
from rctgap.outcome_measures import outcome_verdict
from rctgap.predictions import prediction_rows
from rctgap.records import AssumptionRow, records_frame
from rctgap.replication import DEFAULT_SEED
from rctgap.results import GapDecomposition
from rctgap.staged import StagedPlan, staged_rows
from rctgap.staged_records import PredictionRow, StagedRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StagedEvaluation", "evaluated", "staged_evaluation"]

QUICK_DRAWS = 4000


@dataclass(frozen=True)
class StagedEvaluation:
    """A staged evaluation: verdicts, predictions, assumptions, and what to do next."""

    result: GapDecomposition

    @property
    def rows(self) -> tuple[StagedRow, ...]:
        """Every transition of every arm, under the estimand asked for and over a population of items."""
        return self.result.staged

    @property
    def predictions(self) -> tuple[PredictionRow, ...]:
        """Accuracy and effect at deployment, as predicted after each stage."""
        return self.result.predictions

    @property
    def assumptions(self) -> tuple[AssumptionRow, ...]:
        """The card's assumptions with their status."""
        return self.result.assumptions

    @property
    def next_steps(self) -> tuple[str, ...]:
        """Which study comes next, of which kind, and how large."""
        return self.result.next_steps

    def tidy(self) -> "pd.DataFrame":
        """The verdicts as a frame (columns of staged.csv)."""
        return records_frame(self.rows, StagedRow)

    def __str__(self) -> str:
        from rctgap.printing import staged_text  # noqa: PLC0415 - pandas is loaded when something is printed

        return staged_text(self.result)


def staged_evaluation(
    result: GapDecomposition,
    margin: float = 0.05,
    alpha: float = 0.05,
    *,
    margins: Mapping[str, float] | None = None,
    power: float = 0.8,
    priors: Mapping[str, tuple[float, float]] | None = None,
) -> StagedEvaluation:
    """Test a card's assumptions in the order of the stages: whether each transition costs less than a margin.

    Parameters
    ----------
    result : GapDecomposition
        From `decompose`, or loaded with a staged evaluation under the same margins.
    margin : float
        In proportions: 0.05 is 5 points, either way.
    alpha : float
        P(any assumption is falsely said to hold) is at most this, in each arm.
    margins : mapping of transition to float, optional
        Margins of single transitions.
    power : float
        For the size of the next study.
    priors : mapping of assumption ID to (mean, standard deviation), optional
        What is believed of the components of untested assumptions, in proportions.

    Returns
    -------
    StagedEvaluation

    Raises
    ------
    EstimandError
        A margin, alpha or power out of range; a margin or prior of what is not there.
    EstimationError
        A loaded result that was not evaluated under these margins.

    Notes
    -----
    `holds`: two one-sided tests at alpha in a fixed sequence that stops at the first transition that does not hold.
    `violated`: the 1 - 2 alpha interval lies wholly beyond the margin. The paper leaves tests, margins and their order
    open: this is rctgap's design.

    References
    ----------
    Raman et al. (2026), arXiv 2605.22612; Schuirmann (1987), doi 10.1007/BF01068419.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> found = rg.staged_evaluation(result, margin=0.05)
    >>> [(row.transition, row.verdict) for row in found.rows if row.arm == "all"]
    [('decision', 'violated')]
    """
    plan = StagedPlan(margin, alpha, dict(margins or {}), power, dict(priors or {}))
    if result.estimates is None:
        _require_same(result, plan)
        return StagedEvaluation(result)
    return StagedEvaluation(evaluated(result, plan))


def _require_same(result: GapDecomposition, plan: StagedPlan) -> None:
    same = result.staged and all(
        (row.margin, row.alpha) == (plan.margin_of(row.transition), plan.alpha) for row in result.staged
    )
    if not same:
        what = (
            "a loaded result cannot be evaluated again: it was saved without its estimates, under other margins or none"
        )
        raise EstimationError(Fault(what, "Run `rctgap stage` on its analysis with the margins wanted", place="margin"))


def evaluated(result: GapDecomposition, plan: StagedPlan) -> GapDecomposition:
    """The result with the rows of a staged evaluation, and the status of every assumption.

    Raises
    ------
    EstimandError, EstimationError
        As `staged_evaluation`.
    """
    estimates = result.estimates
    if estimates is None:
        raise EstimationError(Fault("the result carries no estimates", "Run the analysis", place="result"))
    chain, card = estimates.scores.chain, result.card
    known = tuple(dict.fromkeys((*(card.ids if card is not None else ()), *chain.assumptions)))
    plan.require(chain, known)
    elsewhere = tuple(dict.fromkeys(name for name in known if name not in chain.assumptions))
    rows = staged_rows(estimates, plan, _posterior(result, estimates))
    predictions = prediction_rows(estimates, plan, elsewhere)
    beside = _over_items(estimates)
    if beside is not None:
        further = staged_rows(beside, plan, _modelled(result, beside))
        if any(row.lower is not None for row in further):
            rows, predictions = (*rows, *further), (*predictions, *prediction_rows(beside, plan, elsewhere))
    staged = tabled(replace(result, staged=rows, predictions=predictions))
    verdict = outcome_verdict(staged)
    assumptions = assumption_rows(staged, chain, card, {} if verdict is None else {ASSUMPTION: verdict})
    untested = tuple(row.assumption_id for row in assumptions if row.status == "untested")
    return replace(staged, assumptions=assumptions, next_steps=next_steps(main_rows(staged), untested, plan))


def _over_items(estimates: StageEstimates) -> StageEstimates | None:
    """The same over a population of items, where items are known."""
    if estimates.estimand.items == "random":
        return None
    try:
        return again(estimates, replace(estimates.estimand, items="random"))
    except (EstimandError, EstimationError):
        return None


def _posterior(result: GapDecomposition, estimates: StageEstimates) -> StageEstimates | None:
    """The result's posterior; else a Bayesian bootstrap, where items are fixed and it can be had."""
    found = _modelled(result, estimates)
    if found is not None or estimates.estimand.items == "random":
        return found
    try:
        return estimate_bayesian(
            estimates.scores, estimates.estimand, model="bootstrap", draws=QUICK_DRAWS, seed=DEFAULT_SEED
        )
    except (EstimandError, EstimationError):
        return None


def _modelled(result: GapDecomposition, estimates: StageEstimates) -> StageEstimates | None:
    """The result's own posterior under an estimand; a bootstrap of few items is too sure, and left out."""
    known = result.bayesian
    if known is None or (estimates.estimand.items == "random" and known.estimator != "hierarchical"):
        return None
    try:
        return known if known.estimand == estimates.estimand else under(known, estimates.estimand)
    except (EstimandError, EstimationError):
        return None
