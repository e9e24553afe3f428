"""Sufficient statistics: every moment as a weighted sum of cell means, and what each unit holds in each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from rctgap.adjustment import Adjusted, Adjustment, adjusted
from rctgap.estimands import Estimand, MomentKey
from rctgap.moments import Moment, item_mix, leaning, moments_of, reference_mix
from rctgap.scores import StageScores
from rctgap.variance import Cells, Units

__all__ = ["Entries", "SufficientStatistics", "sufficient_statistics"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Entries:
    """Scores in long form: one entry per moment and row, with its cell.

    Attributes
    ----------
    row, column : ndarray of int, shape (E,)
        Row of its block's frame, and cell.
    value, count : ndarray, shape (E,)
    item : ndarray of int, shape (E,)
        Position in `items`, -1 where the row carries none.
    items : tuple of str
    is_run : ndarray of bool, shape (E,)
    scored : ndarray of bool, shape (C,)
        False for cells of predictions; see `Units`.
    width : int
        Number of cells, C.
    """

    row: Codes
    column: Codes
    value: Array
    count: Array
    item: Codes
    items: tuple[str, ...]
    is_run: npt.NDArray[np.bool_]
    scored: npt.NDArray[np.bool_]
    width: int

    @property
    def sizes(self) -> Array:
        """Scores in each cell, shape (C,)."""
        return np.bincount(self.column, self.count, self.width)

    def units(
        self, label: Codes, where: npt.NDArray[np.bool_], centre: Array, multiplicity: Array, weight: Array
    ) -> Units:
        """Residual sums and sizes of labelled units, over the entries `where`."""
        column, weights = self.column[where], weight[where]
        place, shape = (label[where], column), (multiplicity.size, self.width)
        residuals = sp.coo_array((weights * (self.value[where] - centre[column]), place), shape).tocsr()
        return Units(residuals, sp.coo_array((weights, place), shape).tocsr(), multiplicity, self.sizes, self.scored)

    def patterns(self, centre: Array, counts: "pd.Series[float]", *, runs: bool) -> Units:
        """Each row of a block a unit that stands for `count` alike ones."""
        ones = np.ones_like(self.value)
        return self.units(self.row, self.is_run == runs, centre, np.asarray(counts, dtype=np.float64), ones)

    def participants(self, centre: Array, people: "pd.Series[str]") -> Units:
        """Each participant a unit."""
        codes, names = pd.factorize(people)
        label = np.asarray(codes, dtype=np.intp)[np.where(self.is_run, 0, self.row)]
        return self.units(label, ~self.is_run, centre, np.ones(len(names)), self.count)

    def by_item(self, centre: Array) -> Units | None:
        """Each item a unit, over answers and runs; entries without an item are left out."""
        if not self.items:
            return None
        return self.units(self.item, self.item >= 0, centre, np.ones(len(self.items)), self.count)

    @property
    def itemless(self) -> npt.NDArray[np.bool_]:
        """Cells with an entry that carries no item, shape (C,)."""
        return np.bincount(self.column, self.item < 0, self.width) > 0


@dataclass(frozen=True, slots=True)
class SufficientStatistics:
    """All that an estimator of means needs, in arrays.

    Attributes
    ----------
    moments : tuple of MomentKey
        J moments, the order of `values` and of the rows of `loading`.
    values : ndarray, shape (J,)
    means : ndarray, shape (C,)
        Cell means.
    loading : ndarray, shape (J, C)
        Weight of each cell in each moment's influence.
    cells : Cells
        C cells.
    answers, runs : Units
        Answer patterns and benchmark runs, residuals from the cell means.
    participants : Units or None
        Participants, residuals from the cell means; None where they are not identified.
    by_item : Units or None
        Items, residuals from each moment's own weighted mean; likewise `item_answers`,
        `item_participants`, the other clusterings of the same residuals.
    itemless : ndarray of bool, shape (C,)
        Cells with rows that carry no item, which cannot enter an inference about items.
    entries : Entries
        The scores themselves, in long form.
    part : ndarray of int, shape (C,)
        A moment is one mean, or the sum of two where it is adjusted (of predictions and of residuals): the one that
        each cell belongs to.
    part_of : ndarray of int, shape (P,)
        The moment of each such mean.
    weights : ndarray, shape (C,)
        Weight of the cell in its mean.
    standardised : ndarray of bool, shape (P,)
        Whether the mean weighs item means, or is that of all its scores.
    leaning : ndarray, shape (J, J)
        How much of each moment is another one, the control mean that stands in for non-users.
    missing : mapping of MomentKey to str
        Moments that these data do not give, and why.
    notes : tuple of str
        What was adjusted for, and what could not be.
    """

    moments: tuple[MomentKey, ...]
    values: Array
    means: Array
    loading: Array
    cells: Cells
    answers: Units
    runs: Units
    participants: Units | None
    by_item: Units | None
    item_answers: Units
    item_participants: Units | None
    itemless: npt.NDArray[np.bool_]
    entries: Entries
    part: Codes
    part_of: Codes
    weights: Array
    standardised: npt.NDArray[np.bool_]
    leaning: Array
    missing: Mapping[MomentKey, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """False for cells of predictions, shape (C,); see `Units`."""
        return self.entries.scored

    @property
    def adjusted(self) -> frozenset[MomentKey]:
        """Moments that are adjusted for covariates: those that rest on predictions."""
        resting = (self.loading[:, ~self.scored] != 0).any(axis=1)
        return frozenset(key for key, found in zip(self.moments, resting, strict=True) if found)

    def scored_cells(self, key: MomentKey) -> tuple[Array, Array]:
        """Sizes of the cells of scores behind a moment, and their means: of an adjusted one, as predicted."""
        columns = self.loading[self.moments.index(key)] != 0
        own, beside = np.flatnonzero(columns & self.scored), np.flatnonzero(columns & ~self.scored)
        level = self.means[own] + (self.means[beside] if beside.size else 0.0)
        return self.cells.size[own], np.asarray(level, dtype=np.float64)

    def lacks_items(self, row: Array) -> bool:
        """Whether a quantity, a row over the moments, rests on cells whose rows carry no item."""
        return bool(((row @ self.loading != 0) & self.itemless).any())


def sufficient_statistics(
    scores: StageScores, estimand: Estimand, adjustment: Adjustment | None = None
) -> SufficientStatistics:
    """Reduce stage scores to cells and units under an estimand.

    An adjusted moment is the sum of two rows of cells, of predictions and of residuals: rows that share a key add up.

    Raises
    ------
    EstimandError
        A cell with positive weight and no observation, named; or weights that need items
        where the answers carry none.
    EstimationError
        An adjustment that these data cannot bear.
    """
    weights = item_mix(scores, estimand)
    missing: dict[MomentKey, str] = {}
    plain = tuple(moments_of(scores, estimand, weights, reference_mix(scores, estimand, weights), missing))
    found = adjusted(scores, estimand, plain, adjustment) if adjustment else Adjusted(plain, ())
    moments = found.moments
    columns = [_columns(scores, moment) for moment in moments]
    table = _entries(moments, columns)
    means = np.bincount(table.column, table.count * table.value, table.width) / table.sizes
    keys = tuple(one.key for one in plain)
    part_of = np.array([keys.index(one.key) for one in moments], dtype=np.intp)
    loading = _loading(columns, part_of, table.width)
    values = loading @ means
    lean = _leaning(keys, leaning(scores, estimand, plain), scores)
    full = loading + lean @ loading
    return _statistics(scores, table, keys, part_of, values, means, full, lean, columns, missing, found.notes)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells of one moment: item weights, weights of its centre, design cells, and the cell of each row (-1: none)."""

    weights: Array
    centre: Array
    groups: Sequence[str]
    codes: Codes
    standardised: bool
    predicted: bool


def _columns(scores: StageScores, moment: Moment) -> _Columns:
    if moment.weights is None:
        one = np.ones(1)
        nought = np.zeros(moment.rows.size, dtype=np.intp)
        return _Columns(one, one, [_group(scores, moment, "")], nought, standardised=False, predicted=moment.predicted)
    names = sorted(moment.weights)
    centre = moment.centre or moment.weights
    codes = pd.Index(names).get_indexer(pd.Index(moment.items))
    return _Columns(
        np.array([moment.weights[name] for name in names]),
        np.array([centre.get(name, 0.0) for name in names]),
        [_group(scores, moment, name) for name in names],
        np.asarray(codes, dtype=np.intp),
        standardised=True,
        predicted=moment.predicted,
    )


def _group(scores: StageScores, moment: Moment, item: str) -> str:
    """The arm-by-item cell of the design that the rows come from."""
    arm = next((one for one in scores.design.arms if one.label == moment.key.arm), None)
    if moment.block == "runs":
        return f"runs\x1f{arm.tested if arm else ''}\x1f{item}"
    stage = moment.key.name.rpartition(":")[2]
    rows_of = arm.rows_of(stage) if arm and stage in scores.chain.names else moment.key.arm
    return f"answers\x1f{rows_of}\x1f{item}"


def _loading(columns: Sequence[_Columns], part_of: Codes, width: int) -> Array:
    loading = np.zeros((int(part_of.max()) + 1, width))
    offset = 0
    for position, one in zip(part_of, columns, strict=True):
        loading[position, offset : offset + one.weights.size] = one.weights
        offset += one.weights.size
    return loading


def _leaning(keys: tuple[MomentKey, ...], shares: Mapping[MomentKey, float], scores: StageScores) -> Array:
    """How much of each moment is the control mean, standing in for non-users, shape (J, J)."""
    matrix = np.zeros((len(keys), len(keys)))
    for key, share in shares.items():
        matrix[keys.index(key), keys.index(MomentKey(scores.design.control or "", scores.chain.last))] = share
    return matrix


def _entries(moments: Sequence[Moment], columns: Sequence[_Columns]) -> Entries:
    offsets = np.cumsum([0, *(one.weights.size for one in columns)])
    inside = [one.codes >= 0 for one in columns]

    def joined(parts: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        return np.concatenate([part[kept] for part, kept in zip(parts, inside, strict=True)])

    item, names = pd.factorize(joined([one.items for one in moments]).astype(object), sort=False)
    return Entries(
        joined([one.rows for one in moments]).astype(np.intp),
        joined([one.codes + offset for one, offset in zip(columns, offsets[:-1], strict=True)]).astype(np.intp),
        joined([one.values for one in moments]).astype(np.float64),  # noqa: PD011 - a record's field
        joined([one.counts for one in moments]).astype(np.float64),
        np.asarray(item, dtype=np.intp),
        tuple(map(str, names)),
        joined([np.full(one.rows.size, one.block == "runs") for one in moments]).astype(np.bool_),
        np.concatenate([np.full(one.weights.size, not one.predicted) for one in columns]),
        int(offsets[-1]),
    )


def _statistics(
    scores: StageScores,
    table: Entries,
    keys: tuple[MomentKey, ...],
    part_of: Codes,
    values: Array,
    means: Array,
    loading: Array,
    lean: Array,
    columns: Sequence[_Columns],
    missing: Mapping[MomentKey, str],
    notes: tuple[str, ...],
) -> SufficientStatistics:
    answers, runs = scores.answers, scores.runs
    own = np.repeat(np.arange(len(columns)), [one.weights.size for one in columns])
    weights = np.concatenate([one.centre for one in columns])
    centre = np.bincount(own, weights * means, len(columns))[own]
    free_runs = table.patterns(centre, runs["count"], runs=True)
    identified = scores.participants
    return SufficientStatistics(
        moments=keys,
        values=values,
        means=means,
        loading=loading,
        cells=Cells(table.sizes, np.unique([name for one in columns for name in one.groups], return_inverse=True)[1]),
        answers=table.patterns(means, answers["count"], runs=False),
        runs=table.patterns(means, runs["count"], runs=True),
        participants=table.participants(means, answers["participant"]) if identified else None,
        by_item=table.by_item(centre),
        item_answers=free_runs.stacked_on(table.patterns(centre, answers["count"], runs=False)),
        item_participants=(
            free_runs.stacked_on(table.participants(centre, answers["participant"])) if identified else None
        ),
        itemless=table.itemless,
        entries=table,
        part=own,
        part_of=part_of,
        weights=np.concatenate([one.weights for one in columns]),
        leaning=lean,
        standardised=np.array([one.standardised for one in columns]),
        missing=missing,
        notes=notes,
    )
