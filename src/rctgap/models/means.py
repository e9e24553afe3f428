"""From draws of parameters to means of stages, item by item: participants integrated out, each answer a chain."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from rctgap.models.parameters import Parameters, Predictor

__all__ = ["Pair", "Step", "average", "walk"]

type Array = npt.NDArray[np.float64]

PARTICLES = 16


@dataclass(frozen=True, slots=True)
class Step:
    """The mean of one stage of a segment, shape (n, S' + 1, Q), and what joins it to the stage before, if any."""

    mean: Array
    pair: "Pair | None" = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Expectations over a score and the one before, of shape (n, S' + 1, Q): what is lost, gained, their product."""

    lost: Array
    gained: Array
    both: Array


@dataclass(frozen=True, slots=True)
class _Scores:
    """A distribution of scores as weighted values, the last axis; `previous` are those they follow."""

    values: Array
    weights: Array


def walk(
    predictor: Predictor,
    draws: Parameters,
    segment: Sequence[tuple[int, int]],
    logits: Array,
    effect: Array,
    rng: np.random.Generator,
    state: str = "start",
) -> list[Step]:
    """Expectations along the stages of a segment.

    Parameters
    ----------
    predictor : Predictor
    draws : Parameters
        n draws.
    segment : sequence of (response, group)
    logits : ndarray, shape (n, S', D)
        Of items at every itemised response.
    effect : ndarray, shape (S' + 1, Q)
        Standardised participant effects.
    rng : Generator
        For fractional scores that another stage follows.
    state : str
        What comes before the first stage.

    Returns
    -------
    list of Step
    """
    found: list[Step] = []
    before: _Scores | None = None
    for place, group in segment:
        level = predictor.level(draws, place, group, logits)[:, :, None]
        level = level + predictor.spread(draws, place)[:, None, None] * effect
        if before is None:
            level = (level + predictor.shift(draws, place, state)[:, None, None])[..., None]
            before = _Scores(np.zeros(1), np.ones((1, 1, 1, 1)))
            step, after = _next(predictor, draws, place, level, before, rng)
            found.append(Step(step.mean))
        else:
            level = level[..., None] + predictor.carry(draws, place)[:, None, None, None] * (before.values - 0.5)
            step, after = _next(predictor, draws, place, level, before, rng)
            found.append(step)
        before = after
    return found


def _next(
    predictor: Predictor, draws: Parameters, place: int, level: Array, before: _Scores, rng: np.random.Generator
) -> tuple[Step, _Scores]:
    """Scores at a stage given those before, with what is lost and gained; `level` has shape (n, S' + 1, Q, P)."""
    one = predictor.structure.responses[place]
    if one.levels:
        values = np.array(one.levels)
        chances = _chances(level, draws.shape.get(one.name))
        joint = before.weights[..., None] * chances
        start = np.asarray(before.values)[..., None]
        after = _Scores(values, joint.sum(axis=-2))
        return _step(joint, start, values, (-2, -1)), after
    few = before.values.shape[-1] < PARTICLES
    drawn = level[..., None] + np.zeros(PARTICLES if few else 1)
    values = _fractional(one.scale, drawn, draws.shape[one.name], rng)
    weights = np.broadcast_to(before.weights[..., None] / drawn.shape[-1], values.shape)
    start = np.broadcast_to(np.asarray(before.values)[..., None], values.shape)
    # Moved to have the exact mean: the few values would otherwise add their own noise to every draw of it.
    mean = _expected(one.scale, drawn)
    apart = values - mean - (weights * (values - mean)).sum(axis=(-2, -1), keepdims=True)
    if one.scale == "unbounded":
        count = apart.shape[-2] * apart.shape[-1]
        apart = apart * np.sqrt(count / (count - 1))  # what moving them took from their spread
    values = mean + apart
    step = _step(weights, start, values, (-2, -1))
    flat = (*values.shape[:-2], -1)
    return step, _Scores(values.reshape(flat), weights.reshape(flat))


def _step(joint: Array, start: Array, values: Array, axes: tuple[int, int]) -> Step:
    change = values - start
    pair = Pair(
        (joint * np.clip(-change, 0.0, None)).sum(axis=axes),
        (joint * np.clip(change, 0.0, None)).sum(axis=axes),
        (joint * (values * start)).sum(axis=axes),
    )
    return Step((joint * values).sum(axis=axes), pair)


def _chances(level: Array, gaps: Array | None) -> Array:
    """Probability of each level, last axis: P(level >= l) = expit(predictor - cut_l), the first cut at zero."""
    if gaps is None:
        right = special.expit(level)
        return np.stack([1 - right, right], axis=-1)
    cuts = np.concatenate([np.zeros((gaps.shape[0], 1)), np.cumsum(gaps, axis=1)], axis=1)
    at_least = special.expit(level[..., None] - cuts[:, None, None, None, :])
    edges = np.concatenate([np.ones((*level.shape, 1)), at_least, np.zeros((*level.shape, 1))], axis=-1)
    return -np.diff(edges, axis=-1)


def _expected(scale: str, level: Array) -> Array:
    """Mean score at each predictor."""
    return np.asarray(np.clip(special.expit(level), 1e-6, 1 - 1e-6) if scale == "bounded" else 0.5 + level / 4)


def _fractional(scale: str, level: Array, shape: Array, rng: np.random.Generator) -> Array:
    """One score at each predictor."""
    across = shape.reshape(-1, *[1] * (level.ndim - 1))
    mean = _expected(scale, level)
    if scale == "bounded":
        return np.asarray(rng.beta(mean * across, (1 - mean) * across))
    return np.asarray(mean + across * rng.standard_normal(level.shape))


def average(values: Array, masses: Array) -> Array:
    """Participants averaged out: over the last axis, with weights of shape (Q,) or (n, S' + 1, Q)."""
    return np.asarray((values * masses).sum(axis=-1) / np.broadcast_to(masses, values.shape).sum(axis=-1))
