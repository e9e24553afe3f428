"""The linear predictor of every term, its coefficients with their priors, and a first guess at all of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rctgap.models.priors import Priors
from rctgap.models.readings import chances, labelled
from rctgap.models.structure import NO_ITEM, STATES, UNREAD, Structure

__all__ = ["ATTENUATION", "Coefficient", "Matrices", "coefficients", "contrasts_to_zero", "matrices"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]

ATTENUATION = 16 * np.sqrt(3) / (15 * np.pi)
STEPS = 8
SLOW_STEPS = 24
MOST = 4.0


@dataclass(frozen=True, slots=True)
class Coefficient:
    """A coefficient with a normal prior around zero.

    Attributes
    ----------
    kind : {"arm", "margin", "carry", "start", "non_user"}
        `margin` where no item, or a single one, is named, whose spread nothing tells.
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
    cell : ndarray of int, shape (T,)
        Item and itemised response of each term, response fastest, S D where it has none.
    design : ndarray, shape (T, F)
        What multiplies the coefficients.
    tie : ndarray of int, shape (T,)
        Which participant effect each term has, E where it has none.
    centre, precision : ndarray, shape (S, D)
        A ridge estimate of each item's logit where all coefficients are zero, and how much the data say of it.
    lean : ndarray, shape (S, D, F)
        What a coefficient of one adds to that estimate.
    guess : ndarray, shape (F,)
        A ridge estimate of the coefficients.
    units : ndarray, shape (F, F)
        Lower triangular factor of its covariance.
    stage : ndarray, shape (D,)
        An estimate of each marginal stage logit.
    stage_units : ndarray, shape (D, D)
        Its standard errors on the diagonal.
    """

    cell: Codes
    design: Array
    tie: Codes
    centre: Array
    precision: Array
    lean: Array
    guess: Array
    units: Array
    stage: Array
    stage_units: Array


def contrasts_to_zero(count: int) -> Array:
    """An orthonormal basis of the vectors that sum to zero, shape (count, count - 1)."""
    whole = np.linalg.qr(np.column_stack([np.ones(count), np.eye(count)[:, :-1]]))[0]
    return np.asarray(whole[:, 1:])


def coefficients(structure: Structure, priors: Priors) -> tuple[Coefficient, ...]:
    """Every coefficient of the model, in the order of the design's columns."""
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
    """What every term is made of, and a first guess at it."""
    terms = structure.terms
    shape = (len(structure.items), len(structure.itemised))
    column = _position(structure, structure.itemised)
    nothing = (terms.item == NO_ITEM) | (column == shape[1])
    cell = np.where(nothing, shape[0] * shape[1], terms.item * shape[1] + column)
    columns = [_column(structure, one) for one in coefficients(structure, priors)]
    design = np.stack(columns, axis=1) if columns else np.zeros((terms.size, 0))
    tie = _position(structure, structure.tied)
    return Matrices(cell, design, tie, *_first_guess(structure, priors, cell, design))


def _position(structure: Structure, chosen: tuple[int, ...]) -> Codes:
    """Position of each term's response among some, and their number where it is none of them."""
    place = np.full(len(structure.responses), len(chosen), dtype=np.intp)
    place[list(chosen)] = range(len(chosen))
    return place[structure.terms.response]


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


def _first_guess(structure: Structure, priors: Priors, cell: Codes, design: Array) -> tuple[Array, ...]:
    """Ridge logistic regression of all terms by a few Newton steps: all of `Matrices` from `centre` on.

    Where scorers err, each step first weighs both true scores of an answer by what the last one makes of them.
    It only sets the units in which the sampler moves; the posterior does not depend on it.
    """
    score, sure = structure.terms.score, not structure.scorers
    weight = _weights(structure)
    items = len(structure.items) * len(structure.itemised)
    tight = np.array([min(one.sd, MOST) for one in coefficients(structure, priors)]) ** -2.0
    logits, slopes = np.zeros(items + 1), np.zeros(design.shape[1])
    for _ in range(STEPS if sure else SLOW_STEPS):
        eta = np.clip(logits[cell] + design @ slopes, -MOST, MOST)
        mean, weight = special.expit(eta), weight if sure else _weights(structure, _log_chance(structure, priors, eta))
        held, pull = weight * mean * (1 - mean), weight * (score - mean)
        held = held if sure else held * _kept(structure, priors, mean)
        # No term has two items, so their block of the normal equations is diagonal, and is eliminated.
        block = np.bincount(cell, held, items + 1) + MOST**-2.0
        across = np.zeros((items + 1, slopes.size))
        np.add.at(across, cell, held[:, None] * design)
        across[items], logits[items] = 0.0, 0.0
        own = np.bincount(cell, pull, items + 1) - logits / MOST**2
        rest = design.T @ pull - slopes * tight - across.T @ (own / block)
        whole = design.T @ (held[:, None] * design) + np.diag(tight) - across.T @ (across / block[:, None])
        change = np.linalg.solve(whole, rest)
        slopes = slopes + change
        logits = logits + (own - across @ change) / block
        logits[items] = 0.0
    mean = special.expit(logits[cell] + design @ slopes)
    left = weight if sure else weight * _kept(structure, priors, mean)
    precision = np.bincount(cell, left * mean * (1 - mean), items + 1)[:items]
    lean = -(across / block[:, None])[:items]
    shape = (len(structure.items), len(structure.itemised))
    centre = (logits[:items] - lean @ slopes).reshape(shape)
    units = np.linalg.cholesky(np.linalg.inv(whole))
    levels = _levels(logits[:items].reshape(shape), precision.reshape(shape) + MOST**-2.0)
    return centre, precision.reshape(shape), lean.reshape(*shape, slopes.size), slopes, units, *levels


def _levels(logits: Array, precision: Array) -> tuple[Array, Array]:
    """Marginal stage logits, and their standard errors as a diagonal matrix."""
    if not logits.size:
        return np.zeros(0), np.zeros((0, 0))
    inside = np.clip(logits, -MOST, MOST)  # items that are always right say nothing of how far out they are
    spread = inside.var(axis=0)
    stretch = np.sqrt(1 + ATTENUATION**2 * spread)
    error = np.sqrt((spread + (1 / precision).mean(axis=0)) / logits.shape[0])
    return inside.mean(axis=0) / stretch, np.diag(error / stretch)


def _log_chance(structure: Structure, priors: Priors, eta: Array) -> Array:
    """Log probability of each score of 0 or 1, and of what its scorer read, at the labelled cases' rates."""
    binary = np.array([one.scale == "binary" for one in structure.responses])[structure.terms.response]
    right, missed, rejected, alarmed = labelled(structure.scorers, priors)[:, None]
    read = np.log(chances(right / (right + missed), rejected / (rejected + alarmed)))[0]
    score = special.log_expit(np.where(structure.terms.level == 1, 1.0, -1.0) * eta)
    return np.asarray(np.where(binary, score, 0.0) + read[structure.terms.reading])


def _kept(structure: Structure, priors: Priors, mean: Array) -> Array:
    """Share of what a score would say of its predictor that is left in its reading, at the labelled cases' rates."""
    terms = structure.terms
    right, missed, rejected, alarmed = labelled(structure.scorers, priors)
    which = np.where(terms.reading == UNREAD, len(structure.scorers), terms.reading // 4)
    sensitivity = np.append(right / (right + missed), 1.0)[which]
    specificity = np.append(rejected / (rejected + alarmed), 1.0)[which]
    chance = sensitivity * mean + (1 - specificity) * (1 - mean)
    return np.asarray((sensitivity + specificity - 1) ** 2 * mean * (1 - mean) / (chance * (1 - chance)))


def _weights(structure: Structure, log_chance: Array | None = None) -> Array:
    """How often each term occurs, completions of one answer shared evenly, or by the chance of each."""
    times = structure.alone
    if structure.people.size:
        repeats = np.repeat(structure.alike, structure.people.shape[1])
        times = times + np.bincount(structure.people.ravel(), repeats, structure.alone.size + 1)[:-1]
    exists = (structure.answers >= 0).any(axis=2)
    index = np.where(structure.answers < 0, structure.terms.size, structure.answers)
    if log_chance is None:
        share = (times / np.maximum(exists.sum(axis=1), 1))[:, None]
    else:
        share = times[:, None] * special.softmax(
            np.where(exists, np.append(log_chance, 0.0)[index].sum(axis=2), -np.inf), axis=1
        )
    shared = np.broadcast_to(share[:, :, None], index.shape)
    return np.bincount(index.ravel(), shared.ravel(), structure.terms.size + 1)[:-1]
