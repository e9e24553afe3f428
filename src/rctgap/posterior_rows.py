"""Posterior draws as rows: what they say about every quantity, with the diagnostics of its own chains."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rctgap.criticism import PowerScaling, convergence
from rctgap.estimands import MomentKey, conditionals, contrasts
from rctgap.estimates import Linear, Posterior, StageEstimates, arm_sets
from rctgap.intervals import equal_tailed
from rctgap.posterior_quantities import (
    conditional,
    credible,
    draws_of,
    linear,
    posterior_of,
    prior_of,
    prior_ratio,
    ratio_draws,
)
from rctgap.records import PosteriorRow

__all__ = ["DIFFERENCE", "Drawn", "drawn_quantities", "posterior_rows"]

type Array = npt.NDArray[np.float64]

DIFFERENCE = "task_minus_outcome"
WITHIN_MARGIN = ("component", "family", "gap")


@dataclass(frozen=True, slots=True)
class Drawn:
    """Draws of one reported quantity.

    Attributes
    ----------
    kind : {"component", "family", "gap", "effect", "conditional", "stage", "difference"}
    mean : float or None
    draws : ndarray, shape (chains, draws), optional
        None where there is no interval, and `note` says why.
    prior : ndarray, shape (draws,), optional
    """

    arm: str
    quantity: str
    kind: str
    mean: float | None
    draws: Array | None
    prior: Array | None
    note: str


def drawn_quantities(estimates: StageEstimates) -> Iterator[Drawn]:
    """Draws of every linear quantity, of task minus outcome, of conditionals and of stage means, arm by arm."""
    chain, control = estimates.scores.chain, estimates.scores.design.control
    for label, weights in arm_sets(estimates):
        rows = {row.quantity: row for row in contrasts(chain, label, weights, control)}
        wanted: list[tuple[str, str, Mapping[MomentKey, float]]] = [
            (row.quantity, row.kind, row.coefficients) for row in rows.values()
        ]
        if "task" in rows and "outcome" in rows:
            wanted.append((DIFFERENCE, "difference", rows["task"].plus(rows["outcome"], -1.0)))
        for stage in chain.names:
            mean = {MomentKey(arm, stage): weight for arm, weight in weights.items() if weight}
            wanted.append((stage, "stage", mean))
        yield from _linear(estimates, label, wanted)
        for ratio in conditionals(label, weights):
            found, (draws, _) = conditional(estimates, ratio), ratio_draws(estimates, ratio)
            prior = prior_ratio(estimates, ratio) if found.interval else None
            yield _drawn(label, ratio.quantity, "conditional", found, draws, prior)
    if control is not None:
        yield from _linear(estimates, control, [(chain.last, "stage", {MomentKey(control, chain.last): 1.0})])


def _linear(
    estimates: StageEstimates, arm: str, wanted: Sequence[tuple[str, str, Mapping[MomentKey, float]]]
) -> Iterator[Drawn]:
    results = linear(estimates, [coefficients for *_, coefficients in wanted])
    for (quantity, kind, coefficients), found in zip(wanted, results, strict=True):
        given = found.interval is not None
        draws = draws_of(estimates, coefficients) if given else None
        yield _drawn(arm, quantity, kind, found, draws, prior_of(estimates, coefficients) if given else None)


def _drawn(arm: str, quantity: str, kind: str, found: Linear, draws: Array | None, prior: Array | None) -> Drawn:
    shown = draws if found.interval is not None else None
    return Drawn(arm, quantity, kind, found.estimate, shown, prior, "; ".join(found.notes))


def posterior_rows(estimates: StageEstimates, *, margin: float) -> Iterator[PosteriorRow]:
    """Every row of posterior.csv under one estimand.

    Parameters
    ----------
    estimates : StageEstimates
        With a posterior.
    margin : float
        Of P(|quantity| < margin), for components, families and the gap.

    Notes
    -----
    R-hat is the maximum of rank-normalised split R-hat for bulk and tails; effective sizes are of bulk and 5 % tails.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Buerkner (2021), doi 10.1214/20-BA1221; Kallioinen, Paananen, Buerkner and
    Vehtari (2024), doi 10.1007/s11222-023-10366-5.
    """
    posterior = posterior_of(estimates)
    logs = posterior.log_prior, posterior.log_likelihood
    scaling = None if logs[0] is None or logs[1] is None else PowerScaling.from_logs(logs[0], logs[1])
    for one in drawn_quantities(estimates):
        yield _row(estimates, posterior, one, margin, scaling)


def _row(
    estimates: StageEstimates, posterior: Posterior, one: Drawn, margin: float, scaling: PowerScaling | None
) -> PosteriorRow:
    near = margin if one.kind in WITHIN_MARGIN else None
    draws = one.draws
    ends = None if draws is None else credible(estimates, draws)
    prior = None if one.prior is None else equal_tailed(one.prior, estimates.level)
    r_hat, bulk, tail = (None, None, None) if posterior.independent or draws is None else convergence(draws)
    to_prior, to_data = (None, None) if scaling is None or draws is None else scaling.of(draws)
    return PosteriorRow(
        arm=one.arm,
        quantity=one.quantity,
        items=estimates.estimand.items,
        item_weights=estimates.estimand.item_weights_name,
        estimator=estimates.estimator_name,
        mean=one.mean,
        median=None if draws is None else float(np.median(draws)),
        std_dev=None if draws is None else float(draws.std(ddof=1)),
        lower=ends.lower if ends else None,
        upper=ends.upper if ends else None,
        level=estimates.level,
        interval=ends.kind if ends else "",
        prob_positive=None if draws is None else float((draws > 0).mean()),
        margin=near,
        prob_within_margin=None if draws is None or near is None else float((np.abs(draws) < near).mean()),
        prior_lower=None if prior is None else prior.lower,
        prior_upper=None if prior is None else prior.upper,
        r_hat=r_hat,
        ess_bulk=bulk,
        ess_tail=tail,
        prior_sensitivity=to_prior,
        likelihood_sensitivity=to_data,
        note=one.note,
        kind=one.kind,
    )
