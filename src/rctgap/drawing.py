"""Units as distinct patterns, and drawing them again within strata. Arrays only."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

__all__ = ["Block", "Weights", "collapsed"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Weights = Literal["multinomial", "bayesian"]

SLOTS_PER_PATTERN = 8


@dataclass(frozen=True)
class Block:
    """Units drawn from the same strata: trial answers or participants, or benchmark runs.

    Attributes
    ----------
    held : sparse array, shape (P, K)
        Sums of scores and numbers of scores that one unit of each pattern holds; alike columns are stored once.
    score, size : ndarray of int, shape (F,)
        Where in `held` the sum and the number of scores of each column stand; -1 for columns of another block.
    multiplicity : ndarray, shape (P,)
        How many units show the pattern.
    stratum : ndarray of int, shape (P,)
        Units are drawn within strata, so their numbers stay.
    """

    held: sp.csr_array
    score: Codes
    size: Codes
    multiplicity: Array
    stratum: Codes

    @cached_property
    def columns(self) -> sp.csr_array:
        """`held` transposed, shape (K, P)."""
        return sp.csr_array(self.held.T)

    @cached_property
    def totals(self) -> Array:
        """Units in each stratum, shape (strata,)."""
        return np.bincount(self.stratum, self.multiplicity)

    @cached_property
    def _slots(self) -> tuple[Codes, Codes, Array]:
        """Pattern of every unit in order of strata, and, for each, where its stratum starts and its size."""
        order = np.argsort(self.stratum, kind="stable")
        pattern = np.repeat(order, self.multiplicity[order].astype(np.intp))
        mine = self.stratum[pattern]
        start = np.concatenate([[0], np.cumsum(self.totals)[:-1]]).astype(np.intp)
        return pattern, start[mine], self.totals[mine]

    @cached_property
    def _table(self) -> tuple[Codes, Array]:
        """Patterns side by side within strata, shape (strata, widest), -1 where there is none, and their chances."""
        widest = int(np.bincount(self.stratum).max())
        place = np.full((self.totals.size, widest), -1, dtype=np.intp)
        for stratum in range(self.totals.size):
            mine = np.flatnonzero(self.stratum == stratum)
            place[stratum, : mine.size] = mine
        chance = np.where(place >= 0, self.multiplicity[place], 0.0) / self.totals[:, None]
        return place, chance

    def drawn(self, rng: np.random.Generator, weights: Weights) -> Array:
        """Weights of the patterns in one replicate, adding up to the number of units in every stratum."""
        if weights == "bayesian":
            raw = rng.standard_gamma(self.multiplicity)
            return np.asarray(raw * (self.totals / np.bincount(self.stratum, raw))[self.stratum], dtype=np.float64)
        if self.totals.sum() <= SLOTS_PER_PATTERN * self.multiplicity.size:
            pattern, start, size = self._slots
            chosen = start + (rng.random(pattern.size) * size).astype(np.intp)
            return np.bincount(pattern[chosen], minlength=self.multiplicity.size).astype(np.float64)
        place, chance = self._table
        counts = rng.multinomial(self.totals.astype(np.int64), chance)
        found = np.zeros(self.multiplicity.size)
        found[place[place >= 0]] = counts[place >= 0]
        return found


def collapsed(
    unit: Codes, column: Codes, value: Array, count: Array, multiplicity: Array, stratum: Codes, width: int
) -> Block:
    """Units as distinct patterns.

    Parameters
    ----------
    unit, column : ndarray of int, shape (E,)
        Unit and column of each entry.
    value, count : ndarray, shape (E,)
        Its score, and how many alike scores of the unit it stands for.
    multiplicity : ndarray, shape (U,)
        How many alike units a unit stands for.
    stratum : ndarray of int, shape (U,)
    width : int
        Number of columns, F.
    """
    shape = (multiplicity.size, width)
    scores = sp.coo_array((value * count, (unit, column)), shape).tocsc()
    sizes = sp.coo_array((count, (unit, column)), shape).tocsc()
    both = sp.hstack([scores, sizes], format="csc")
    kept, place = _distinct(both)
    held = sp.csr_array(both[:, kept])
    filled = np.diff(sizes.indptr) > 0
    score, size = (np.where(filled, part, -1) for part in np.split(place, 2))
    rows, pattern = _distinct(sp.csc_array(sp.hstack([held, sp.csr_array(stratum[:, None] + 1.0)]).T))
    return Block(held[rows], score, size, np.bincount(pattern, multiplicity, rows.size), stratum[rows])


def _distinct(table: sp.csc_array) -> tuple[Codes, Codes]:
    """First of each set of alike columns, and which of them every column is like."""
    seen: dict[tuple[bytes, bytes], int] = {}
    first: list[int] = []
    like = np.empty(table.shape[1], dtype=np.intp)
    table.sum_duplicates()
    table.eliminate_zeros()
    starts, rows, values = table.indptr, table.indices.astype(np.int64), table.data
    for column in range(table.shape[1]):
        part = slice(starts[column], starts[column + 1])
        key = (rows[part].tobytes(), values[part].tobytes())
        if key not in seen:
            seen[key] = len(first)
            first.append(column)
        like[column] = seen[key]
    return np.asarray(first, dtype=np.intp), like
