"""The decomposition: estimates and a card in, a GapDecomposition out."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rctgap.assumptions import assumption_rows
from rctgap.bayesian import ESTIMATORS, under
from rctgap.cards import BenchmarkCard
from rctgap.caveats import coverage_limits, standing_notes
from rctgap.checks import checked
from rctgap.corrected import corrected_rows
from rctgap.errors import EstimandError, EstimationError, Fault, RctgapWarning
from rctgap.estimands import Estimand
from rctgap.estimates import IntervalStyle, StageEstimates
from rctgap.frequentist import estimate_frequentist
from rctgap.hypotheses import wald_rows
from rctgap.missingness import missing_score_rows
from rctgap.posterior_rows import posterior_rows
from rctgap.provenance import attrition_rows, margin_rows, settings_of, system_rows
from rctgap.records import ComponentRow
from rctgap.results import GapDecomposition
from rctgap.rows import component_rows, effect_rows, share_rows, stage_rows

__all__ = ["again", "decompose", "decomposed"]

NOT_SHOWN = "Not shown,"


def decompose(
    estimates: StageEstimates,
    estimand: Estimand,
    card: BenchmarkCard | None = None,
    *,
    title: str = "",
    beside: Sequence[StageEstimates] = (),
    margin: float = 0.05,
) -> GapDecomposition:
    """Split the gap between the first and the last stage by transition, and tie each part to the card.

    Parameters
    ----------
    estimates : StageEstimates
    estimand : Estimand
        The one that was estimated.
    card : BenchmarkCard, optional
        Its assumption IDs must include all that the transitions name.
    title : str
    beside : sequence of StageEstimates
        The same estimates with other intervals, such as from `bootstrapped`, or a posterior from
        `estimate_bayesian`, to show beside.
    margin : float
        Of the posterior's statements on how likely a component is smaller than that.

    Returns
    -------
    GapDecomposition
        In proportions. With items fixed, the intervals over items stand beside where items are
        known, and under the observed mix the standardised results do; a posterior's companions come from the
        same fit or draws.

    Raises
    ------
    EstimandError
        `estimand` is not the one that was estimated.
    CardError
        A transition names an assumption that the card lacks.

    Warns
    -----
    RctgapWarning
        Where simulation has shown that an interval covers less than it says.

    References
    ----------
    Raman et al. (2026), arXiv 2605.22612.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> round(result.row("decision").estimate, 3)
    0.4
    """
    result = decomposed(estimates, estimand, card, title=title, beside=beside, margin=margin)
    if result.warnings:
        warnings.warn("\n".join(result.warnings), RctgapWarning, stacklevel=2)
    return checked(result)


def decomposed(
    estimates: StageEstimates,
    estimand: Estimand,
    card: BenchmarkCard | None = None,
    *,
    title: str = "",
    beside: Sequence[StageEstimates] = (),
    margin: float = 0.05,
) -> GapDecomposition:
    """The same as `decompose`, before checks, and without its warning."""
    if estimand != estimates.estimand:
        raise EstimandError(
            Fault(
                f"these estimates are of another estimand ({estimates.estimand.describe()})",
                f"Estimate again under: {estimand.describe()}",
                place="estimand",
            )
        )
    scores = estimates.scores
    if card is not None:
        card.require(scores.chain.assumptions, "transitions")
    others, left_out = _companions(estimates)
    every = (estimates, *others)
    further, left_out_beside = _with_companions(beside)
    alternatives = (*(other for one in every for other in _other_intervals(one)), *further)
    added = [one for one in further if one.posterior is not None]
    posteriors = [one for one in (*every, *further) if one.posterior is not None]
    limits = coverage_limits(estimates, others)
    plain = estimates.posterior is None
    told = (*_told(estimates, *beside, *posteriors), *scores.notes, *standing_notes(estimates))
    result = GapDecomposition(
        title=title,
        settings=settings_of(estimates),
        components=tuple(row for one in every for row in component_rows(one)),
        stages=tuple(stage_rows(estimates)),
        other_stages=tuple(row for one in (*others, *added) for row in stage_rows(one)),
        shares=tuple(row for one in (*every, *alternatives) for row in share_rows(one)),
        effects=tuple(row for one in every for row in effect_rows(one)),
        attrition=attrition_rows(scores),
        margins=margin_rows(scores),
        systems=system_rows(scores),
        assumptions=(),
        warnings=limits,
        notes=tuple(dict.fromkeys((*told, *left_out, *left_out_beside))),
        alternatives=(*(row for one in alternatives for row in _linear_rows(one)), *corrected_rows(estimates)),
        missing=missing_score_rows(estimates) if plain else (),
        tests=tuple(wald_rows(estimates)) if plain else (),
        posterior=tuple(row for one in posteriors for row in posterior_rows(one, margin=margin)),
        estimates=estimates,
        bayesian=posteriors[0] if posteriors else None,
    )
    result = _with_model(result)
    return replace(result, assumptions=assumption_rows(result, scores.chain, card), card=card)


def _told(*estimates: StageEstimates) -> Iterator[str]:
    for one in estimates:
        yield from one.notes


def _other_intervals(estimates: StageEstimates) -> Iterator[StageEstimates]:
    """The same estimates over random items with the intervals that were not chosen."""
    if estimates.estimand.items == "random" and estimates.posterior is None:
        styles: Sequence[IntervalStyle] = ("few-items", "t", "bounded")
        yield from (replace(estimates, intervals=style) for style in styles if style != estimates.intervals)


def _linear_rows(estimates: StageEstimates) -> Iterator[ComponentRow]:
    """Rows with intervals of the estimates' own making: `few-items` and `bounded` leave ratios to the plug-in."""
    for row in component_rows(estimates):
        if row.kind != "conditional" or estimates.intervals in ("t", "bootstrap", "posterior"):
            yield row


def _with_model(result: GapDecomposition) -> GapDecomposition:
    """The result with the tables that come with its posterior."""
    posterior = result.bayesian.posterior if result.bayesian is not None else None
    if posterior is None:
        return result
    return replace(
        result,
        priors=posterior.priors,
        predictive=posterior.predictive,
        fits=posterior.fits,
        sampling=posterior.sampling,
    )


def _with_companions(beside: Sequence[StageEstimates]) -> tuple[list[StageEstimates], list[str]]:
    """What is shown beside, each posterior followed by its own companions."""
    found: list[StageEstimates] = []
    left_out: list[str] = []
    for one in beside:
        found.append(one)
        if one.posterior is not None:
            others, reasons = _companions(one)
            found.extend(others)
            left_out.extend(reasons)
    return found, left_out


def _companions(estimates: StageEstimates) -> tuple[list[StageEstimates], list[str]]:
    """The same data under the estimands that a careful reader asks for next, and why any is left out."""
    asked = estimates.estimand
    other = "trial" if asked.item_weights == "observed" else "observed"
    wanted = [replace(asked, item_weights=other)]
    if asked.items == "fixed":
        wanted = [replace(asked, items="random"), *wanted, replace(asked, items="random", item_weights=other)]
    if estimates.estimator == ESTIMATORS["hierarchical"]:
        wanted = [one for one in wanted if one.items == "fixed" or one.item_weights == asked.item_weights]
    found: list[StageEstimates] = []
    left_out: dict[str, list[str]] = {}
    for estimand in wanted:
        try:
            found.append(again(estimates, estimand))
        except (EstimandError, EstimationError) as error:
            left_out.setdefault(error.reason, []).append(f"items {estimand.items}, {estimand.item_weights_name} mix")
    return found, [f"{NOT_SHOWN} {'; '.join(which)}: {reason}." for reason, which in left_out.items()]


def again(estimates: StageEstimates, estimand: Estimand) -> StageEstimates:
    """The same estimator under another estimand.

    Raises
    ------
    EstimandError, EstimationError
        The data cannot give it.
    """
    if estimates.posterior is not None:
        return under(estimates, estimand)
    same = estimand.items == estimates.estimand.items
    return estimate_frequentist(
        estimates.scores,
        estimand,
        estimates.covariance if same else None,
        estimates.small_sample,
        estimates.level,
        estimates.adjustment,
        estimates.intervals if same and estimates.intervals != "bootstrap" else None,
    )
