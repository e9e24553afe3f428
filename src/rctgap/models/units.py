"""Units that the sampler moves in: normals as distances from where a first guess or the data put them.

A change of variables with its volume: the posterior is the same in any units.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pymc as pm
import pytensor.tensor as pt
from pymc.logprob.transforms import Transform
from pytensor.tensor.linalg import cholesky, solve_triangular

__all__ = ["item_effects", "normal_in_units", "times"]

type Array = npt.NDArray[np.float64]


def times(matrix: Any, vector: Any) -> Any:
    """A matrix times a vector, or a stack of both; written out, for each product takes Numba some ten seconds."""
    return pt.sum(matrix * vector[..., None, :], axis=-1)


def normal_in_units(name: str, sd: Any, guess: Any, units: Any, dims: str) -> Any:
    """A normal around zero, sampled as its distance from a first guess."""
    return pm.CustomDist(
        name,
        sd,
        guess,
        units,
        logp=_normal,
        random=_draw_normal,
        support_point=_guess,
        signature="(f),(f),(f,f)->(f)",
        transform=_InUnitsOfTheGuess(),
        dims=dims,
    )


def item_effects(name: str, population: Any, chol: Any, centre: Any, precision: Any) -> Any:
    """Standard normal effects of every item, shape (S, D), that `population` and `chol` turn into logits.

    `centre` and `precision`, of shape (S, D), say where the data put those logits.
    """
    return pm.CustomDist(
        name,
        population,
        chol,
        centre,
        precision,
        logp=_standard_normal,
        random=_draw,
        support_point=_place_of_the_data,
        signature="(d),(d,d),(s,d),(s,d)->(s,d)",
        transform=_InUnitsOfTheData(),
        dims=("item", "itemised"),
    )


def _normal(value: Any, sd: Any, *_: Any) -> Any:
    return pt.sum(-0.5 * (value / sd) ** 2 - pt.log(sd)) - 0.5 * np.log(2 * np.pi) * value.size


def _draw_normal(sd: Array, *_: Array, rng: np.random.Generator, size: Any = None) -> Array:  # noqa: ARG001
    return rng.normal(0.0, sd)


def _guess(_rv: Any, _size: Any, _sd: Any, guess: Any, _units: Any) -> Any:
    """Where chains start: many rows leave so little open that a start elsewhere is never left."""
    return guess


class _InUnitsOfTheGuess(Transform):  # type: ignore[misc]  # PyMC comes without types
    """Normals as distances from a first guess, in units of what it leaves open."""

    name = "unit"
    ndim_supp = 1

    def forward(self, value: Any, *inputs: Any) -> Any:
        guess, units = inputs[-2:]
        return solve_triangular(units, value - guess, lower=True, b_ndim=1)

    def backward(self, value: Any, *inputs: Any) -> Any:
        guess, units = inputs[-2:]
        return guess + times(units, value)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:  # noqa: ARG002 - the form of a transform
        return pt.sum(pt.log(pt.diagonal(inputs[-1])))


class _InUnitsOfTheData(Transform):  # type: ignore[misc]  # PyMC comes without types
    """Standardised item effects as distances from where the data put them, in units of what the data leave open.

    Large precisions give the centred, zero the non-centred parametrisation.
    """

    name = "unit"
    ndim_supp = 2

    @staticmethod
    def _place(population: Any, chol: Any, centre: Any, precision: Any) -> tuple[Any, Any]:
        weighted = precision[:, :, None] * chol
        root = cholesky(pt.eye(chol.shape[0]) + pt.sum(chol[:, :, None] * weighted[:, :, None, :], axis=1))
        pull = (weighted * (centre - population)[:, :, None]).sum(axis=1)
        half = solve_triangular(root, pull, lower=True, b_ndim=1)
        return half, root

    def forward(self, value: Any, *inputs: Any) -> Any:
        half, root = self._place(*inputs[-4:])
        return times(root.mT, value) - half

    def backward(self, value: Any, *inputs: Any) -> Any:
        half, root = self._place(*inputs[-4:])
        return solve_triangular(root.mT, half + value, lower=False, b_ndim=1)

    def log_jac_det(self, value: Any, *inputs: Any) -> Any:  # noqa: ARG002 - the form of a transform
        root = self._place(*inputs[-4:])[1]
        return -pt.sum(pt.log(pt.sum(root * pt.eye(root.shape[-1]), axis=-1)))


def _standard_normal(value: Any, *_: Any) -> Any:
    """Density of standardised item effects; the parameters only set the units in which the sampler moves."""
    return -0.5 * pt.sum(value**2) - 0.5 * np.log(2 * np.pi) * value.size


def _draw(*parameters: Array, rng: np.random.Generator, size: Any = None) -> Array:  # noqa: ARG001 - PyMC's form
    return rng.standard_normal(parameters[2].shape)


def _place_of_the_data(_rv: Any, _size: Any, *parameters: Any) -> Any:
    return _InUnitsOfTheData().backward(pt.zeros_like(parameters[-1]), *parameters)
