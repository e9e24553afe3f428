"""Pairs bootstraps on sufficient statistics: participants, items or both drawn again, rows never touched. Arrays only.

A *column* is a moment's scores on one item (or all of them, where rows carry none). A replicate is a weight for
every pattern of units and every item; its moments follow from two sparse products, so its cost goes by distinct
patterns and not by rows.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from rctgap.drawing import Block, Weights
from rctgap.replication import in_batches

__all__ = ["Draw", "Kind", "Layout", "Resampled", "Targets", "resample"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Kind = Literal["participant", "item", "crossed"]
type Progress = Callable[[Iterable[list["Draw"]]], Iterable[list["Draw"]]]

KINDS: tuple[str, ...] = get_args(Kind.__value__)
BATCH = 64


@dataclass(frozen=True)
class Layout:
    """How columns make moments.

    Attributes
    ----------
    blocks : tuple of Block
    part, item : ndarray of int, shape (F,)
        The mean that each column belongs to, and its item; -1 where its rows carry none.
    weight : ndarray, shape (F,)
        Item weight of the column in a standardised mean, else 1.
    standardised : ndarray of bool, shape (P,)
        Whether a mean weighs item means, or is that of all its scores.
    part_of : ndarray of int, shape (P,)
        The moment that each mean is added to: one mean a moment, two where it is adjusted.
    leaning : ndarray, shape (J, J)
        How much of each moment is another one (the control mean standing in for non-users), at the estimate.
    values : ndarray, shape (J,)
        The estimates, which leaning moments are taken to first order from.
    items : int
        Items of some column; each is one to draw.
    sign : ndarray, shape (P,)
        What each mean is multiplied by as it is added: -1 for the mean that a mix term subtracts, else 1.
    """

    blocks: tuple[Block, ...]
    part: Codes
    item: Codes
    weight: Array
    standardised: npt.NDArray[np.bool_]
    part_of: Codes
    leaning: Array
    values: Array
    items: int
    sign: Array

    @cached_property
    def into(self) -> sp.csr_array:
        """Columns summed into means, shape (P, F)."""
        return self._indicator(self.part, self.standardised.size)

    @cached_property
    def adding(self) -> sp.csr_array:
        """Means added up to moments, shape (J, P)."""
        shape = (self.leaning.shape[0], self.part_of.size)
        return sp.csr_array((self.sign, (self.part_of, np.arange(self.part_of.size))), shape)

    @cached_property
    def moment(self) -> Codes:
        """Moment of each column, shape (F,)."""
        return self.part_of[self.part]

    @cached_property
    def per_column(self) -> npt.NDArray[np.bool_]:
        """Whether a column belongs to a standardised mean, shape (F, 1)."""
        return self.standardised[self.part][:, None]

    def leaned(self, rows: Array) -> Array:
        """Rows over the moments as rows over the means that they rest on, shape (Q, J)."""
        return np.asarray(rows + rows @ self.leaning, dtype=np.float64)

    def by_item(self, rows: Array) -> sp.csr_array:
        """Rows over the moments spread over their columns and gathered by item, shape (Q * S, F)."""
        known = np.flatnonzero(self.item >= 0)
        spread = sp.coo_array(rows[:, self.moment[known]])
        place = (spread.row * self.items + self.item[known][spread.col], known[spread.col])
        return sp.coo_array((spread.data, place), (rows.shape[0] * self.items, self.moment.size)).tocsr()

    @staticmethod
    def _indicator(rows: Codes, height: int) -> sp.csr_array:
        return sp.csr_array((np.ones(rows.size), (rows, np.arange(rows.size))), (height, rows.size))


@dataclass(frozen=True, slots=True)
class Targets:
    """Quantities whose intervals are wanted: rows over the moments, or ratios of two such rows.

    Attributes
    ----------
    top, bottom : ndarray, shape (Q, J)
    is_ratio : ndarray of bool, shape (Q,)
    """

    top: Array
    bottom: Array
    is_ratio: npt.NDArray[np.bool_]

    def of(self, moments: Array) -> Array:
        """Values under each column of `moments`, shape (J, B); shape (Q, B)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(_exact(self.top, moments) / self._below(moments), dtype=np.float64)

    def _below(self, moments: Array) -> Array:
        return np.where(self.is_ratio[:, None], _exact(self.bottom, moments), 1.0)

    def one(self, position: int) -> "Targets":
        """One of the targets alone."""
        part = slice(position, position + 1)
        return Targets(self.top[part], self.bottom[part], self.is_ratio[part])

    def slopes(self, moments: Array) -> tuple[Array, Array]:
        """What a small change of the two rows does to the targets: by the top one, by the bottom one, both (Q, B)."""
        below = self._below(moments)
        with np.errstate(divide="ignore", invalid="ignore"):
            by_top = np.where(below != 0, 1 / below, np.nan)
            return by_top, np.where(self.is_ratio[:, None], -by_top * self.of(moments), 0.0)


def _exact(rows: Array, moments: Array) -> Array:
    """Rows times moments, summed in one order whatever the number of columns; moments without weight may be NaN."""
    return np.asarray(sp.csr_array(rows) @ moments, dtype=np.float64)


def _summed(values: Array) -> Array:
    """Sum over the first axis, likewise in one order."""
    return _exact(np.ones((1, values.shape[0])), values.reshape(values.shape[0], -1)).reshape(values.shape[1:])


@dataclass(frozen=True, slots=True)
class Draw:
    """One replicate: the moments, and the standard errors of the targets where they were asked for."""

    moments: Array
    std_errors: Array | None


@dataclass(frozen=True, slots=True)
class Resampled:
    """Replicates of moments.

    Attributes
    ----------
    kind : {"participant", "item", "crossed"}
    weights : {"multinomial", "bayesian"}
    moments : ndarray, shape (J, B)
        NaN where a replicate left a moment without scores.
    std_errors : ndarray, shape (Q, B), optional
        Of the targets, worked out anew in every replicate.
    base_errors : ndarray, shape (Q,), optional
        The same on the data themselves.
    """

    kind: Kind
    weights: Weights
    moments: Array
    std_errors: Array | None = None
    base_errors: Array | None = None


@dataclass(frozen=True)
class _Task:
    """What a worker needs to turn generators into replicates."""

    layout: Layout
    targets: Targets
    kind: Kind
    weights: Weights
    studentised: bool

    def __call__(self, generators: Sequence[np.random.Generator]) -> list[Draw]:
        units, items = zip(*(self._drawn(rng) for rng in generators), strict=True)
        return self.replicates([np.stack(one, axis=1) for one in zip(*units, strict=True)], np.stack(items, axis=1))

    def _drawn(self, rng: np.random.Generator) -> tuple[list[Array], Array]:
        """Weights of one replicate: of each block's patterns, and of the items."""
        again = self.kind in ("participant", "crossed")
        units = [block.drawn(rng, self.weights) if again else block.multiplicity for block in self.layout.blocks]
        if self.kind == "participant":
            return units, np.ones(self.layout.items)
        if self.weights == "bayesian":
            raw = rng.standard_exponential(self.layout.items)
            return units, raw * (raw.size / raw.sum())
        chosen = rng.integers(0, self.layout.items, self.layout.items)
        return units, np.bincount(chosen, minlength=self.layout.items).astype(np.float64)

    def replicates(self, units: Sequence[Array], items: Array) -> list[Draw]:
        """Moments, and standard errors if wanted, under weights of shape (P, B) per block and (S, B)."""
        state = _State.of(self.layout, units, items)
        errors = None if not self.studentised else self._errors(state, units, items)
        return [
            Draw(state.moments[:, b].copy(), None if errors is None else errors[:, b].copy())
            for b in range(items.shape[1])
        ]

    def _errors(self, state: "_State", units: Sequence[Array], items: Array) -> Array:
        """Standard errors of the targets, shape (Q, B): by unit where units are drawn alone, else by item."""
        one = self.targets
        if self.kind == "participant":
            spread = state.by_unit(self.layout, units, one)
        else:
            spread = state.by_item(self.layout, items, one)
        return np.asarray(np.sqrt(spread), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _State:
    """Columns and moments under the weights of B replicates.

    Sums, sizes and means of columns, shape (F, B); totals and centres of the means they make, (P, B); moments, (J, B).
    """

    sums: Array
    sizes: Array
    means: Array
    totals: Array
    centres: Array
    moments: Array

    @classmethod
    def of(cls, layout: Layout, units: Sequence[Array], items: Array) -> "_State":
        shape = (layout.part.size, items.shape[1])
        sums, sizes = np.zeros(shape), np.zeros(shape)
        for block, weights in zip(layout.blocks, units, strict=True):
            held = block.columns @ weights
            mine = block.size >= 0
            sums[mine], sizes[mine] = held[block.score[mine]], held[block.size[mine]]
        share, known = np.ones(shape), layout.item >= 0
        share[known] = items[layout.item[known]]
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(sizes > 0, sums / sizes, 0.0)
            scale = share * np.where(layout.per_column, layout.weight[:, None] * (sizes > 0), sizes)
            totals = layout.into @ scale
            centres = (layout.into @ (scale * means)) / totals
        moments = layout.adding @ centres
        if layout.leaning.any():
            moments = moments + _exact(layout.leaning, moments - layout.values[:, None])
        return cls(sums, sizes, means, totals, centres, moments)

    def _centre(self, layout: Layout) -> Array:
        return self.centres[layout.part]

    def by_item(self, layout: Layout, items: Array, targets: Targets) -> Array:
        """Variances by item, S/(S - 1) times the summed squares, S the drawn items that enter, shape (Q, B)."""
        one = np.where(layout.per_column, layout.weight[:, None] * (self.sizes > 0), self.sizes)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.nan_to_num(one * (self.means - self._centre(layout)) / self.totals[layout.part])
        shape = (targets.top.shape[0], layout.items, items.shape[1])
        spread = [layout.by_item(layout.leaned(rows)) for rows in (targets.top, targets.bottom)]
        top, bottom = ((rows @ part).reshape(shape).swapaxes(0, 1) for rows in spread)
        filled = (abs(spread[0]) + abs(spread[1])) @ (self.sizes > 0).astype(np.float64)
        held = np.asarray(filled).reshape(shape).swapaxes(0, 1) > 0
        by_top, by_bottom = targets.slopes(self.moments)
        count = _summed(held * items[:, None, :])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(count > 1, count / (count - 1), np.nan)
        return factor * _summed(items[:, None, :] * (by_top * top + by_bottom * bottom) ** 2)

    def by_unit(self, layout: Layout, units: Sequence[Array], targets: Targets) -> Array:
        """Variances by unit, shape (Q, B)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(layout.per_column, layout.weight[:, None] / self.sizes, 1.0) / self.totals[layout.part]
        each = np.nan_to_num(each, posinf=0.0, neginf=0.0)
        centre = np.nan_to_num(np.where(layout.per_column, self.means, self._centre(layout)))
        slopes, leaned = targets.slopes(self.moments), [layout.leaned(rows) for rows in (targets.top, targets.bottom)]
        total = np.zeros((targets.top.shape[0], self.moments.shape[1]))
        for block, weights in zip(layout.blocks, units, strict=True):
            for q in range(total.shape[0]):
                coefficient = sum(
                    rows[q, layout.moment][:, None] * by[q] for rows, by in zip(leaned, slopes, strict=True)
                )
                total[q] += _summed(weights * self._influence(block, coefficient * each, centre) ** 2)
        return total

    @staticmethod
    def _influence(block: Block, coefficient: Array, centre: Array) -> Array:
        """Influence of each of the block's patterns on a row over the columns, shape (P, B)."""
        if not coefficient.any():
            return np.zeros((block.multiplicity.size, coefficient.shape[1]))
        mine = np.flatnonzero((block.size >= 0) & coefficient.any(axis=1))
        onto = np.zeros((block.held.shape[1], coefficient.shape[1]))
        np.add.at(onto, block.score[mine], coefficient[mine])
        np.add.at(onto, block.size[mine], -(coefficient * centre)[mine])
        return np.asarray(block.held @ onto, dtype=np.float64)


def resample(
    layout: Layout,
    targets: Targets,
    *,
    kind: Kind,
    times: int,
    seed: int | np.random.SeedSequence,
    weights: Weights = "multinomial",
    studentised: bool = False,
    executor: Executor | None = None,
    progress: Progress = iter,
) -> Resampled:
    """Draw units, items or both again, all stages and quantities sharing one draw per replicate.

    Parameters
    ----------
    layout : Layout
    targets : Targets
        Needed where `studentised`.
    kind : {"participant", "item", "crossed"}
        `participant` draws units within their strata; `item` draws items with all their rows and runs;
        `crossed` does both, a score weighing its unit's times its item's weight.
    times : int
        Replicates; each has a spawned child of the seed, so workers never change a number.
    seed : int or SeedSequence
    weights : {"multinomial", "bayesian"}
        Drawn with replacement, or Dirichlet weights (Rubin).
    studentised : bool
        Work out the targets' standard errors in every replicate: by unit for `participant`, else by item.
    executor : concurrent.futures.Executor, optional
    progress : callable
        Wraps the batches as they come.

    References
    ----------
    Owen and Eckles (2012), doi 10.1214/12-AOAS547 (products of weights over crossed factors);
    Rubin (1981), doi 10.1214/aos/1176345338.
    """
    task = _Task(layout, targets, kind, weights, studentised)
    draws = in_batches(task, times, seed, smallest=BATCH, executor=executor, progress=progress)
    moments = np.stack([one.moments for one in draws], axis=1)
    base = task.replicates([block.multiplicity[:, None] for block in layout.blocks], np.ones((layout.items, 1)))[0]
    errors = [one.std_errors for one in draws if one.std_errors is not None]
    return Resampled(kind, weights, moments, np.stack(errors, axis=1) if errors else None, base.std_errors)
