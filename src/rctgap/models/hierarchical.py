"""The joint model of all stages in PyMC: every answer a chain of regressions that share items and participants."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.tensor.linalg import cholesky, solve_triangular

from rctgap.models.design import coefficients, matrices
from rctgap.models.parameters import ATTENUATION
from rctgap.models.priors import Priors
from rctgap.models.structure import Response, Structure

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
        "design": made.design,
        "centre": made.centre,
        "precision": made.precision,
        "sign": np.where(structure.terms.level == 1, 1.0, -1.0),
        "answers": index.astype(np.int64),
        "alone": structure.alone,
    }
    sds = np.array([one.sd for one in coefficients(structure, priors)])
    if sds.size:
        found["prior_sd"] = sds
    if structure.answers.shape[1] > 1:
        found["absent"] = (structure.answers < 0).all(axis=2)
    if structure.people.size:
        found |= {"tie": made.tie, "people": structure.people.astype(np.int64), "alike": structure.alike}
    if any(one.scale != "binary" for one in structure.responses):
        found |= _by_response(structure)
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

    Participant effects are integrated out. Item effects are sampled in units of what the data leave open of them, which
    changes the sampler's speed and nothing else.

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
        parameters = [*_items(held, priors, data, spread, correlated=kind.correlated)]
        if "prior_sd" in data:
            parameters.append(pm.Normal("coefficient", 0.0, data["prior_sd"], dims="regressor"))
        eta = (data["design"] @ pt.concatenate(parameters))[:, None]
        points, masses = held.grid
        if spread is not None:
            eta = eta + (data["tie"] @ spread)[:, None] * points
        answers = _answers(held, data, _factors(held, priors, data, eta))
        total = pt.sum(data["alone"] * answers[:-1, 0])
        if spread is not None:
            people = pt.logsumexp(answers[data["people"]].sum(axis=1) + np.log(masses), axis=1)
            total += pt.sum(data["alike"] * people)
        pm.Potential("likelihood", total)
    return model


def _coords(structure: Structure, priors: Priors) -> dict[str, list[Any]]:
    return {
        "response": [one.name for one in structure.responses],
        "itemised": [structure.responses[place].name for place in structure.itemised],
        "tied": [structure.responses[place].name for place in structure.tied],
        "item": list(structure.items),
        "regressor": [one.name for one in coefficients(structure, priors)],
    }


def _items(structure: Structure, priors: Priors, data: Any, spread: Any, *, correlated: bool) -> tuple[Any, ...]:
    """Logit of each item at each itemised response, shape (S D,)."""
    width = len(structure.itemised)
    if not width:
        return ()
    sd = pm.HalfNormal("item_sd", priors.item_sd, dims="itemised")
    chol = pt.diag(sd)
    if width > 1 and correlated:
        chol = sd[:, None] * pm.LKJCorr("item_correlation", n=width, eta=priors.item_correlation)
    marginal = pm.Normal("stage_logit", 0.0, priors.stage_mean_sd, dims="itemised")
    stretched = marginal * _stretch(structure, sd**2 + _person_variance(structure, spread))
    population = pm.Deterministic("population", stretched, dims="itemised")
    standard = pm.CustomDist(
        "item_standard",
        population,
        chol,
        data["centre"],
        data["precision"],
        logp=_standard_normal,
        random=_draw,
        signature="(d),(d,d),(s,d),(s,d)->(s,d)",
        transform=_InUnitsOfTheData(),
        dims=("item", "itemised"),
    )
    return ((population + standard @ chol.T).ravel(),)


class _InUnitsOfTheData(Transform):  # type: ignore[misc]  # PyMC comes without types
    """Standardised item effects as distances from where the data put them, in units of what the data leave open.

    Large precisions give the centred, zero the non-centred parametrisation.
    """

    name = "unit"
    ndim_supp = 2

    @staticmethod
    def _place(population: Any, chol: Any, centre: Any, precision: Any) -> tuple[Any, Any]:
        weighted = precision[:, :, None] * chol
        root = cholesky(pt.eye(chol.shape[0]) + chol.T @ weighted)
        pull = (weighted * (centre - population)[:, :, None]).sum(axis=1)
        half = solve_triangular(root, pull, lower=True, b_ndim=1)
        return half, root

    def forward(self, value: Any, *inputs: Any) -> Any:
        half, root = self._place(*inputs[-4:])
        return (root.mT @ value[:, :, None])[:, :, 0] - half

    def backward(self, value: Any, *inputs: Any) -> Any:
        half, root = self._place(*inputs[-4:])
        return solve_triangular(root.mT, half + value, lower=False, b_ndim=1)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:  # noqa: ARG002 - the form of a transform
        root = self._place(*inputs[-4:])[1]
        return -pt.sum(pt.log(pt.diagonal(root, axis1=-2, axis2=-1)))


def _standard_normal(value: Any, *_: Any) -> Any:
    """Density of standardised item effects; the parameters only set the units in which the sampler moves."""
    return -0.5 * pt.sum(value**2) - 0.5 * np.log(2 * np.pi) * value.size


def _draw(*parameters: Array, rng: np.random.Generator, size: Any = None) -> Array:  # noqa: ARG001 - PyMC's form
    return rng.standard_normal(parameters[2].shape)


def _person_variance(structure: Structure, spread: Any) -> Any:
    """Variance of the participant effect at each itemised response."""
    if spread is None:
        return pt.zeros(len(structure.itemised))
    chosen = np.array([[float(place == tied) for tied in structure.tied] for place in structure.itemised])
    return chosen @ spread**2


def _stretch(structure: Structure, variance: Any) -> Any:
    """What a marginal logit is multiplied by to give the conditional one (Zeger, Liang and Albert 1988)."""
    logit = np.array([structure.responses[place].scale != "unbounded" for place in structure.itemised], dtype=float)
    return pt.sqrt(1 + ATTENUATION**2 * logit * variance)


def _factors(structure: Structure, priors: Priors, data: Any, eta: Any) -> Any:
    """Log probability (or density) of each term at each node, with a last row of zeros, shape (T + 1, Q)."""
    scales = [one.scale for one in structure.responses]
    last = pt.zeros_like(eta[:1])
    if set(scales) == {"binary"}:
        return pt.concatenate([-pt.softplus(-data["sign"][:, None] * eta), last], axis=0)
    parts = []
    for place, one in enumerate(structure.responses):
        rows = data[f"rows_{place}"]
        if one.scale == "binary":
            parts.append(-pt.softplus(-data["sign"][rows, None] * eta[rows]))
        else:
            parts.append(_other(one, priors, eta[rows], data["score"][rows], data["level"][rows]))
    return pt.concatenate([*parts, last], axis=0)[data["back"]]


def _other(one: Response, priors: Priors, eta: Any, score: Any, level: Any) -> Any:
    """Ordinal and fractional scores."""
    if one.scale == "ordinal":
        cuts = pt.zeros(1)
        if len(one.levels) > 2:  # noqa: PLR2004 - the one threshold of two levels is where the predictor is zero
            gaps = pm.HalfNormal(f"gaps:{one.name}", priors.threshold_gap, shape=len(one.levels) - 2)
            cuts = pt.concatenate([cuts, pt.cumsum(gaps)])
        return _cumulative(eta, cuts, level, len(one.levels) - 1)
    if one.scale == "bounded":
        centre = np.log(priors.precision_centre)
        precision = pm.LogNormal(f"precision:{one.name}", centre, priors.precision_log_sd)
        mean = pt.clip(pt.sigmoid(eta), 1e-6, 1 - 1e-6)
        return pm.logp(pm.Beta.dist(mean * precision, (1 - mean) * precision), score[:, None])
    sd = pm.HalfNormal(f"residual:{one.name}", priors.residual_sd)
    return pm.logp(pm.Normal.dist(0.5 + eta / 4, sd), score[:, None])


def _cumulative(eta: Any, cuts: Any, level: Any, top: int) -> Any:
    """Log P(level) where P(level >= l) = sigmoid(eta - cut_l), levels 0 to `top`."""
    below = eta - cuts[pt.clip(level - 1, 0, top - 1)][:, None]
    above = eta - cuts[pt.clip(level, 0, top - 1)][:, None]
    at_least = pt.switch((level > 0)[:, None], -pt.softplus(-below), 0.0)
    more = pt.switch((level < top)[:, None], pt.exp(-pt.softplus(-above) - at_least), 0.0)
    return at_least + pt.log1p(-pt.clip(more, 0.0, 1 - 1e-12))


def _answers(structure: Structure, data: Any, factors: Any) -> Any:
    """Log likelihood of each distinct answer at each node, with a last row of zeros, shape (N + 1, Q)."""
    chained = factors[data["answers"]].sum(axis=2)
    if structure.answers.shape[1] > 1:
        whole = pt.logsumexp(pt.switch(data["absent"][:, :, None], -np.inf, chained), axis=1)
    else:
        whole = chained[:, 0, :]
    return pt.concatenate([whole, pt.zeros_like(factors[:1])], axis=0)
