"""The linear predictor as one design matrix, its coefficients with their priors, and a first guess at the items."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rctgap.models.priors import Priors
from rctgap.models.structure import NO_ITEM, STATES, Structure

__all__ = ["Coefficient", "Matrices", "coefficients", "contrasts_to_zero", "matrices"]

type Array = npt.NDArray[np.float64]

STEPS = 8
MOST = 4.0


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient with a normal prior around zero.

    Attributes
    ----------
    kind : {"arm", "margin", "carry", "start", "non_user"}
        `mean` where a single item is named, whose spread nothing tells.
    response, place : int
        Position of the response; of the contrast between arms, or of the group with a margin, else 0.
    sd : float
        Of its prior.
    name : str
    """

    kind: str
    response: int
    place: int
    sd: float
    name: str


@dataclass(frozen=True, slots=True)
class Matrices:
    """What the likelihood multiplies parameters with, and roughly where they will lie.

    Attributes
    ----------
    design : ndarray, shape (T, S D + F)
        Columns: each item's logit at each itemised response, response fastest; coefficients.
    tie : ndarray, shape (T, E)
        Which participant effect each term has.
    centre, precision : ndarray, shape (S, D)
        A ridge estimate of each item's logit, and how much the data say of it.
    """

    design: Array
    tie: Array
    centre: Array
    precision: Array


def contrasts_to_zero(count: int) -> Array:
    """An orthonormal basis of the vectors that sum to zero, shape (count, count - 1)."""
    whole = np.linalg.qr(np.column_stack([np.ones(count), np.eye(count)[:, :-1]]))[0]
    return np.asarray(whole[:, 1:])


def coefficients(structure: Structure, priors: Priors) -> tuple[Coefficient, ...]:
    """Every coefficient of the model, in the order of the design's last columns."""
    return tuple(_coefficients(structure, priors))


def _coefficients(structure: Structure, priors: Priors) -> Iterator[Coefficient]:
    for place, one in enumerate(structure.responses):
        if one.items:
            for contrast in range(len(one.groups) - 1):
                yield Coefficient("arm", place, contrast, priors.arm_sd, f"{one.name}: arm contrast {contrast + 1}")
        for group in one.margins:
            yield Coefficient("margin", place, group, priors.stage_mean_sd, f"{one.name}: mean of {one.groups[group]}")
        if "previous" in one.states:
            yield Coefficient("carry", place, 0, priors.carry_sd, f"{one.name}: previous score")
        for state in one.states[1:]:
            yield Coefficient(state, place, 0, priors.state_sd, f"{one.name}: {state}")


def matrices(structure: Structure, priors: Priors) -> Matrices:
    """The design of every term, the participant effect that it has, and a first guess at the items."""
    terms, places = structure.terms, structure.itemised
    named = terms.item != NO_ITEM
    own = (named[:, None] & (terms.response[:, None] == np.array(places, dtype=np.intp))).astype(np.float64)
    where = (np.where(named, terms.item, 0)[:, None] == np.arange(len(structure.items))).astype(np.float64)
    parts = [(where[:, :, None] * own[:, None, :]).reshape(terms.size, -1)]
    parts.extend(_column(structure, one)[:, None] for one in coefficients(structure, priors))
    tie = (terms.response[:, None] == np.array(structure.tied, dtype=np.intp)).astype(np.float64)
    design = np.concatenate(parts, axis=1)
    centre, precision = _first_guess(structure, priors, design, parts[0].shape[1])
    shape = (len(structure.items), len(places))
    return Matrices(design, tie, centre.reshape(shape), precision.reshape(shape))


def _column(structure: Structure, one: Coefficient) -> Array:
    """What multiplies a coefficient in each term."""
    terms = structure.terms
    mine = terms.response == one.response
    if one.kind == "arm":
        groups = len(structure.responses[one.response].groups)
        inside = np.where(mine, terms.group, 0)
        return np.asarray(np.where(mine & (terms.item != NO_ITEM), contrasts_to_zero(groups)[inside, one.place], 0.0))
    if one.kind == "margin":
        return np.asarray(mine & (terms.item == NO_ITEM) & (terms.group == one.place), dtype=np.float64)
    here = mine & (terms.state == STATES.index("previous" if one.kind == "carry" else one.kind))
    return np.asarray(here * (terms.previous - 0.5 if one.kind == "carry" else 1.0))


def _first_guess(structure: Structure, priors: Priors, design: Array, items: int) -> tuple[Array, Array]:
    """Ridge logistic regression of all terms by a few Newton steps: the items' logits, and their precisions.

    It only sets the units in which the sampler moves; the posterior does not depend on it.
    """
    weight = _weights(structure)
    spread = np.concatenate([np.full(items, MOST), [one.sd for one in coefficients(structure, priors)]])
    guess = np.zeros(design.shape[1])
    for _ in range(STEPS):
        mean = special.expit(np.clip(design @ guess, -MOST, MOST))
        slope = weight * mean * (1 - mean)
        score = design.T @ (weight * (structure.terms.score - mean)) - guess / spread**2
        guess = guess + np.linalg.solve(design.T @ (slope[:, None] * design) + np.diag(1 / spread**2), score)
    mean = special.expit(design @ guess)
    information = (design[:, :items] ** 2).T @ (weight * mean * (1 - mean))
    return guess[:items], information


def _weights(structure: Structure) -> Array:
    """How often each term occurs, completions of one answer shared evenly."""
    times = (
        structure.alone
        + np.bincount(
            structure.people.ravel(), np.repeat(structure.alike, structure.people.shape[1]), structure.alone.size + 1
        )[:-1]
        if structure.people.size
        else structure.alone
    )
    ways = np.maximum((structure.answers >= 0).any(axis=2).sum(axis=1), 1)
    index = np.where(structure.answers < 0, structure.terms.size, structure.answers)
    shared = np.broadcast_to((times / ways)[:, None, None], index.shape)
    return np.bincount(index.ravel(), shared.ravel(), structure.terms.size + 1)[:-1]
