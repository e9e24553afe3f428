"""The joint model of all stages in PyMC: every answer a chain of regressions that share items and participants."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor.tensor as pt

from rctgap.models.answers import log_likelihood, padded
from rctgap.models.design import ATTENUATION, coefficients, matrices
from rctgap.models.priors import Priors
from rctgap.models.readings import labelled, sampled_rates
from rctgap.models.structure import UNREAD, Structure
from rctgap.models.units import item_effects, normal_in_units, times

__all__ = ["Variant", "build", "data_of"]

type Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Variant:
    """Which parts of the model are left out, to compare nested models.

    Attributes
    ----------
    correlated : bool
        Whether item effects are correlated between stages.
    participants : bool
        Whether participants who answer more than once have effects.
    """

    correlated: bool = True
    participants: bool = True


def data_of(structure: Structure, priors: Priors) -> dict[str, npt.NDArray[Any]]:
    """Arrays that the compiled model reads, so that it serves every trial of the same shape."""
    made = matrices(structure, priors)
    index = np.where(structure.answers < 0, structure.terms.size, structure.answers)
    found: dict[str, npt.NDArray[Any]] = {
        "cell": made.cell,
        "design": made.design,
        "centre": made.centre,
        "precision": made.precision,
        "stage": made.stage,
        "stage_units": made.stage_units,
        "sign": np.where(structure.terms.level == 1, 1.0, -1.0),
        "answers": index.astype(np.int64),
        "alone": structure.alone,
    }
    sds = np.array([one.sd for one in coefficients(structure, priors)])
    if sds.size:
        found |= {"prior_sd": sds, "lean": made.lean, "guess": made.guess, "units": made.units}
    if structure.answers.shape[1] > 1:
        found["absent"] = (structure.answers < 0).all(axis=2)
    if structure.people.size:
        found |= {"tie": made.tie, "people": structure.people.astype(np.int64), "alike": structure.alike}
    if any(one.scale != "binary" for one in structure.responses):
        found |= _by_response(structure)
    if structure.scorers:
        reading = np.where(structure.terms.reading == UNREAD, 4 * len(structure.scorers), structure.terms.reading)
        found |= {"labelled": labelled(structure.scorers, priors), "reading": reading.astype(np.int64)}
    return found


def _by_response(structure: Structure) -> dict[str, npt.NDArray[Any]]:
    """Which terms each response has, how to put them back in order, and their scores and levels."""
    terms = structure.terms
    rows = [np.flatnonzero(terms.response == place) for place in range(len(structure.responses))]
    back = np.argsort(np.concatenate([*rows, [terms.size]]))
    found = {f"rows_{place}": one for place, one in enumerate(rows)}
    return found | {"back": back, "score": terms.score, "level": terms.level}


def build(structure: Structure, priors: Priors, variant: Variant | None = None) -> pm.Model:
    """The model of a structure, with its likelihood.

    Participant effects are integrated out, and so are true scores where a scorer errs. Coefficients, stage logits and
    item effects are sampled in units of what the data leave open of them, which changes the sampler's speed and nothing
    else.

    Parameters
    ----------
    structure : Structure
    priors : Priors
    variant : Variant, optional

    Returns
    -------
    pymc.Model
        Its data are those of `data_of`.
    """
    kind = variant or Variant()
    held = structure if kind.participants else structure.untied()
    with pm.Model(coords=_coords(held, priors)) as model:
        data = {name: pm.Data(name, value) for name, value in data_of(held, priors).items()}
        spread = pm.HalfNormal("participant_sd", priors.participant_sd, dims="tied") if held.tied else None
        coefficient = _coefficient(data)
        items = _items(held, priors, data, spread, coefficient, correlated=kind.correlated)
        eta = padded(items)[data["cell"]]
        if coefficient is not None:
            eta += times(data["design"], coefficient)
        eta = eta[:, None]
        points, masses = held.grid
        if spread is not None:
            eta = eta + padded(spread)[data["tie"]][:, None] * points
        read = sampled_rates(data["labelled"])[data["reading"]] if held.scorers else None
        pm.Potential("likelihood", log_likelihood(held, priors, data, eta, masses, read))
    return model


def _coords(structure: Structure, priors: Priors) -> dict[str, list[Any]]:
    return {
        "response": [one.name for one in structure.responses],
        "itemised": [structure.responses[place].name for place in structure.itemised],
        "tied": [structure.responses[place].name for place in structure.tied],
        "item": list(structure.items),
        "regressor": [one.name for one in coefficients(structure, priors)],
        "scorer": [one.scorer for one in structure.scorers],
    }


def _coefficient(data: Any) -> Any:
    """Every coefficient, shape (F,)."""
    if "prior_sd" not in data:
        return None
    return normal_in_units("coefficient", data["prior_sd"], data["guess"], data["units"], "regressor")


def _items(structure: Structure, priors: Priors, data: Any, spread: Any, coefficient: Any, *, correlated: bool) -> Any:
    """Logit of each item at each itemised response, shape (S D,)."""
    width = len(structure.itemised)
    if not width:
        return pt.zeros(0)
    sd = pm.HalfNormal("item_sd", priors.item_sd, dims="itemised")
    chol = sd[:, None] * np.eye(width)
    if width > 1 and correlated:
        chol = sd[:, None] * pm.LKJCorr("item_correlation", n=width, eta=priors.item_correlation)
    wide = np.full(width, priors.stage_mean_sd)
    marginal = normal_in_units("stage_logit", wide, data["stage"], data["stage_units"], "itemised")
    population = marginal * _stretch(structure, sd**2 + _person_variance(structure, spread))
    pm.Deterministic("population", population, dims="itemised")
    centre = data["centre"] if coefficient is None else data["centre"] + times(data["lean"], coefficient)
    standard = item_effects("item_standard", population, chol, centre, data["precision"])
    return (population + times(chol, standard)).ravel()


def _person_variance(structure: Structure, spread: Any) -> Any:
    """Variance of the participant effect at each itemised response."""
    if spread is None:
        return pt.zeros(len(structure.itemised))
    tied = [*structure.tied, None]
    chosen = [tied.index(place if place in structure.tied else None) for place in structure.itemised]
    return padded(spread**2)[np.array(chosen)]


def _stretch(structure: Structure, variance: Any) -> Any:
    """What a marginal logit is multiplied by to give the conditional one (Zeger, Liang and Albert 1988)."""
    logit = np.array([structure.responses[place].scale != "unbounded" for place in structure.itemised], dtype=float)
    return pt.sqrt(1 + ATTENUATION**2 * logit * variance)
