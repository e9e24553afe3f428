"""Sufficient statistics: every moment as a weighted sum of cell means, and what each unit holds in each cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from rctgap.estimands import Estimand, MomentKey
from rctgap.moments import Moment, item_mix, leaning, moments_of, reference_mix
from rctgap.scores import StageScores
from rctgap.variance import Cells, Units

__all__ = ["SufficientStatistics", "sufficient_statistics"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]


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
    missing : mapping of MomentKey to str
        Moments that these data do not give, and why.
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
    missing: Mapping[MomentKey, str] = field(default_factory=dict)

    def lacks_items(self, row: Array) -> bool:
        """Whether a quantity, a row over the moments, rests on cells whose rows carry no item."""
        return bool(((row @ self.loading != 0) & self.itemless).any())


def sufficient_statistics(scores: StageScores, estimand: Estimand) -> SufficientStatistics:
    """Reduce stage scores to cells and units under an estimand.

    Raises
    ------
    EstimandError
        A cell with positive weight and no observation, named; or weights that need items
        where the answers carry none.
    """
    weights = item_mix(scores, estimand)
    missing: dict[MomentKey, str] = {}
    moments = list(moments_of(scores, estimand, weights, reference_mix(scores, estimand, weights), missing))
    columns = [_columns(scores, moment) for moment in moments]
    table = _long(moments, columns)
    means = np.bincount(table.column, table.count * table.value, table.width) / table.sizes
    loading = _loading(columns, table.width)
    values = loading @ means
    keys = tuple(one.key for one in moments)
    return _statistics(
        scores,
        table,
        keys,
        values,
        means,
        _leaning(loading, keys, leaning(scores, estimand, moments), scores),
        columns,
        missing,
    )


@dataclass(frozen=True, slots=True)
class _Columns:
    """Cells of one moment: item weights, weights of its centre, design cells, and the cell of each row (-1: none)."""

    weights: Array
    centre: Array
    groups: Sequence[str]
    codes: Codes


def _columns(scores: StageScores, moment: Moment) -> _Columns:
    if moment.weights is None:
        one = np.ones(1)
        return _Columns(one, one, [_group(scores, moment, "")], np.zeros(moment.rows.size, dtype=np.intp))
    names = sorted(moment.weights)
    centre = moment.centre or moment.weights
    codes = pd.Index(names).get_indexer(pd.Index(moment.items))
    return _Columns(
        np.array([moment.weights[name] for name in names]),
        np.array([centre.get(name, 0.0) for name in names]),
        [_group(scores, moment, name) for name in names],
        np.asarray(codes, dtype=np.intp),
    )


def _group(scores: StageScores, moment: Moment, item: str) -> str:
    """The arm-by-item cell of the design that the rows come from."""
    arm = next((one for one in scores.design.arms if one.label == moment.key.arm), None)
    if moment.block == "runs":
        return f"runs\x1f{arm.tested if arm else ''}\x1f{item}"
    stage = moment.key.name.rpartition(":")[2]
    rows_of = arm.rows_of(stage) if arm and stage in scores.chain.names else moment.key.arm
    return f"answers\x1f{rows_of}\x1f{item}"


def _loading(columns: Sequence[_Columns], width: int) -> Array:
    loading = np.zeros((len(columns), width))
    offset = 0
    for position, one in enumerate(columns):
        loading[position, offset : offset + one.weights.size] = one.weights
        offset += one.weights.size
    return loading


def _leaning(
    loading: Array, keys: tuple[MomentKey, ...], shares: Mapping[MomentKey, float], scores: StageScores
) -> Array:
    """Influence of the control rows on moments that take the control mean for non-users."""
    if not shares:
        return loading
    control = loading[keys.index(MomentKey(scores.design.control or "", scores.chain.last))]
    return np.asarray(loading + np.array([shares.get(key, 0.0) for key in keys])[:, None] * control)


@dataclass(frozen=True, slots=True)
class _Long:
    """Scores in long form: one entry per moment and row, with its cell."""

    row: Codes
    column: Codes
    value: Array
    count: Array
    item: npt.NDArray[np.object_]
    is_run: npt.NDArray[np.bool_]
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
        return Units(residuals, sp.coo_array((weights, place), shape).tocsr(), multiplicity, self.sizes)

    def patterns(self, centre: Array, counts: "pd.Series[float]", *, runs: bool) -> Units:
        """Each row of a block a unit that stands for `count` alike ones."""
        ones = np.ones_like(self.value)
        return self.units(self.row, self.is_run == runs, centre, np.asarray(counts, dtype=np.float64), ones)

    def participants(self, centre: Array, people: "pd.Series[str]") -> Units:
        """Each participant a unit."""
        codes, names = pd.factorize(people)
        label = np.asarray(codes, dtype=np.intp)[np.where(self.is_run, 0, self.row)]
        return self.units(label, ~self.is_run, centre, np.ones(len(names)), self.count)

    def items(self, centre: Array) -> Units | None:
        """Each item a unit, over answers and runs; entries without an item are left out."""
        codes, names = pd.factorize(self.item, sort=False)
        if len(names) == 0:
            return None
        label = np.asarray(codes, dtype=np.intp)
        return self.units(label, label >= 0, centre, np.ones(len(names)), self.count)

    @property
    def itemless(self) -> npt.NDArray[np.bool_]:
        """Cells with an entry that carries no item, shape (C,)."""
        blank = pd.isna(pd.Series(self.item)).to_numpy()
        return np.bincount(self.column, blank, self.width) > 0


def _long(moments: Sequence[Moment], columns: Sequence[_Columns]) -> _Long:
    offsets = np.cumsum([0, *(one.weights.size for one in columns)])
    inside = [one.codes >= 0 for one in columns]

    def joined(parts: Sequence[npt.NDArray[np.generic]]) -> npt.NDArray[np.generic]:
        return np.concatenate([part[kept] for part, kept in zip(parts, inside, strict=True)])

    return _Long(
        joined([one.rows for one in moments]).astype(np.intp),
        joined([one.codes + offset for one, offset in zip(columns, offsets[:-1], strict=True)]).astype(np.intp),
        joined([one.values for one in moments]).astype(np.float64),  # noqa: PD011 - a record's field
        joined([one.counts for one in moments]).astype(np.float64),
        joined([one.items for one in moments]).astype(object),
        joined([np.full(one.rows.size, one.block == "runs") for one in moments]).astype(np.bool_),
        int(offsets[-1]),
    )


def _statistics(
    scores: StageScores,
    table: _Long,
    keys: tuple[MomentKey, ...],
    values: Array,
    means: Array,
    loading: Array,
    columns: Sequence[_Columns],
    missing: Mapping[MomentKey, str],
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
        by_item=table.items(centre),
        item_answers=free_runs.stacked_on(table.patterns(centre, answers["count"], runs=False)),
        item_participants=(
            free_runs.stacked_on(table.participants(centre, answers["participant"])) if identified else None
        ),
        itemless=table.itemless,
        missing=missing,
    )
