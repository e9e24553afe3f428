"""Draws of the model's parameters, and the linear predictor that they give."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np
import numpy.typing as npt

from rctgap.models.design import ATTENUATION, coefficients, contrasts_to_zero
from rctgap.models.priors import Priors
from rctgap.models.readings import prior_rates
from rctgap.models.structure import Structure

__all__ = ["Parameters", "parameters_of", "prior_draws"]

type Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Parameters:
    """n draws of every parameter of a structure's model.

    Attributes
    ----------
    population : ndarray, shape (n, D)
        Logit of an average item of the population, at each itemised response.
    chol : ndarray, shape (n, D, D)
        Cholesky factor of the covariance of item effects.
    items : ndarray, shape (n, S, D)
        Logits of these items.
    coefficient : ndarray, shape (n, F)
        In the order of `coefficients`.
    spread : ndarray, shape (n, E)
        Standard deviations of the participant effect at the tied responses.
    sensitivity, specificity : ndarray, shape (n, R)
        Of the scorers that err.
    shape : mapping of response name to ndarray
        Gaps between thresholds (n, L - 2), precisions (n,), residual standard deviations (n,).
    """

    population: Array
    chol: Array
    items: Array
    coefficient: Array
    spread: Array
    sensitivity: Array
    specificity: Array
    shape: Mapping[str, Array] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Number of draws."""
        return int(self.coefficient.shape[0])

    def rows(self, where: slice | npt.NDArray[np.intp]) -> "Parameters":
        """Some of the draws."""
        arrays = {one.name: getattr(self, one.name)[where] for one in fields(self) if one.name != "shape"}
        return replace(self, **arrays, shape={name: value[where] for name, value in self.shape.items()})


def parameters_of(structure: Structure, draws: Mapping[str, Array], size: int) -> Parameters:
    """Named draws of the PyMC model, each of shape (n, ...), as parameters.

    `population` may be left out: it follows from `stage_logit` and the spreads.
    """
    width = len(structure.itemised)
    sd = draws.get("item_sd", np.zeros((size, width)))
    correlation = draws.get("item_correlation", np.broadcast_to(np.eye(width), (size, width, width)))
    chol = sd[:, :, None] * correlation
    spread = draws.get("participant_sd", np.zeros((size, 0)))
    if "population" in draws:
        population = draws["population"]
    else:
        population = draws.get("stage_logit", np.zeros((size, 0))) * stretch(structure, sd, spread)
    standard = draws.get("item_standard", np.zeros((size, len(structure.items), 0)))
    shape = {one.name: np.zeros((size, 0)) for one in structure.responses if one.scale == "ordinal"}
    shape |= {name.partition(":")[2]: value for name, value in draws.items() if ":" in name}
    return Parameters(
        population,
        chol,
        population[:, None, :] + standard @ np.swapaxes(chol, 1, 2),
        draws.get("coefficient", np.zeros((size, 0))),
        spread,
        draws.get("sensitivity", np.zeros((size, 0))),
        draws.get("specificity", np.zeros((size, 0))),
        shape,
    )


@dataclass(frozen=True, slots=True)
class Predictor:
    """The linear predictor of a structure, from draws of its parameters."""

    structure: Structure
    places: Mapping[tuple[str, int, int], int]

    @classmethod
    def of(cls, structure: Structure) -> "Predictor":
        """Where each coefficient stands."""
        found = coefficients(structure, Priors())
        return cls(structure, {(one.kind, one.response, one.place): place for place, one in enumerate(found)})

    def level(self, draws: Parameters, place: int, group: int, logits: Array) -> Array:
        """Predictor of a group at each item, and last for rows that name none, shape (n, S' + 1).

        Where a response knows no items, it is the same at all.
        `logits` are those of items at every itemised response, shape (n, S', D).
        """
        one = self.structure.responses[place]
        size, items = logits.shape[:2]
        level = np.zeros((size, items + 1))
        if place in self.structure.itemised:
            level[:, :-1] = logits[:, :, self.structure.itemised.index(place)] + self._arm(draws, place, group)[:, None]
        if group in one.margins:
            bare = draws.coefficient[:, self.places["margin", place, group]]
            level[:, slice(-1, None) if one.items else slice(None)] = bare[:, None]
        return level

    def _arm(self, draws: Parameters, place: int, group: int) -> Array:
        row = contrasts_to_zero(len(self.structure.responses[place].groups))[group]
        found = [draws.coefficient[:, self.places["arm", place, column]] for column in range(row.size)]
        return sum((weight * one for weight, one in zip(row, found, strict=True)), np.zeros(draws.size))

    def shift(self, draws: Parameters, place: int, state: str) -> Array:
        """What a state adds, shape (n,): nothing in the response's first state."""
        key = (state, place, 0)
        return draws.coefficient[:, self.places[key]] if key in self.places else np.zeros(draws.size)

    def carry(self, draws: Parameters, place: int) -> Array:
        """Slope of the previous score, shape (n,)."""
        return draws.coefficient[:, self.places["carry", place, 0]]

    def spread(self, draws: Parameters, place: int) -> Array:
        """Standard deviation of the participant effect, shape (n,)."""
        tied = self.structure.tied
        return draws.spread[:, tied.index(place)] if place in tied else np.zeros(draws.size)


def prior_draws(structure: Structure, priors: Priors, size: int, rng: np.random.Generator) -> Parameters:
    """Parameters drawn before any data.

    Parameters
    ----------
    structure : Structure
    priors : Priors
    size : int
    rng : Generator
    """
    width = len(structure.itemised)
    spread = np.abs(rng.normal(0.0, priors.participant_sd, (size, len(structure.tied))))
    sd = np.abs(rng.normal(0.0, priors.item_sd, (size, width)))
    chol = sd[:, :, None] * lkj(width, priors.item_correlation, size, rng)
    scale = priors.stage_mean_sd * stretch(structure, sd, spread)
    population = rng.normal(0.0, 1.0, (size, width)) * scale
    standard = rng.standard_normal((size, len(structure.items), width))
    found = coefficients(structure, priors)
    shape: dict[str, Array] = {}
    for one in structure.responses:
        if one.scale == "ordinal":
            shape[one.name] = np.abs(rng.normal(0.0, priors.threshold_gap, (size, len(one.levels) - 2)))
        elif one.scale == "bounded":
            shape[one.name] = np.exp(rng.normal(np.log(priors.precision_centre), priors.precision_log_sd, size))
        elif one.scale == "unbounded":
            shape[one.name] = np.abs(rng.normal(0.0, priors.residual_sd, size))
    return Parameters(
        population,
        chol,
        population[:, None, :] + standard @ np.swapaxes(chol, 1, 2),
        rng.normal(0.0, 1.0, (size, len(found))) * np.array([one.sd for one in found]),
        spread,
        *prior_rates(structure.scorers, priors, size, rng),
        shape,
    )


def stretch(structure: Structure, sd: Array, spread: Array) -> Array:
    """What turns a marginal logit into the conditional one, shape (n, D) (Zeger, Liang and Albert 1988)."""
    variance = sd**2
    for column, place in enumerate(structure.itemised):
        if place in structure.tied:
            variance[:, column] += spread[:, structure.tied.index(place)] ** 2
        if structure.responses[place].scale == "unbounded":
            variance[:, column] = 0.0
    return np.asarray(np.sqrt(1 + ATTENUATION**2 * variance))


def lkj(width: int, eta: float, size: int, rng: np.random.Generator) -> Array:
    """Cholesky factors of correlation matrices from LKJ(eta) by the onion method, shape (size, width, width).

    References
    ----------
    Lewandowski, Kurowicka and Joe (2009), doi 10.1016/j.jmva.2009.04.008.
    """
    chol = np.zeros((size, width, width))
    if width:
        chol[:, 0, 0] = 1.0
    for row in range(1, width):
        squared = rng.beta(row / 2, eta + (width - 1 - row) / 2, size)
        direction = rng.standard_normal((size, row))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        chol[:, row, :row] = np.sqrt(squared)[:, None] * direction
        chol[:, row, row] = np.sqrt(1 - squared)
    return chol
