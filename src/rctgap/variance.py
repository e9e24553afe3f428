"""From influence sums to covariances: cluster corrections, degrees of freedom, joint matrices. Arrays only.

A *cell* is one column: a stage of an arm on one item (or of the whole arm where items are not
standardised). A *unit* is one row: an answer pattern, a participant, a benchmark run or an item.
Every estimate is a weighted sum of cell means, so a quantity is a row `w` of weights over cells and
the influence of unit `u` on it is ``sum_c w_c / n_c * f_uc * S_uc``, with `S` the unit's summed
residuals in the cell and `f` its small-sample correction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy import linalg

__all__ = [
    "Cells",
    "Covariance",
    "CovarianceName",
    "Part",
    "SmallSample",
    "Units",
    "cluster",
    "effective_size",
    "entering",
    "hotelling_df",
    "items",
    "robust",
    "two_way",
]

type Array = npt.NDArray[np.float64]
type CovarianceName = Literal["robust", "cluster", "cluster2", "item"]
type SmallSample = Literal["CR1", "CR2", "CR3"]

SLACK = 1e-10

_LEVERAGE_POWER: dict[str, float] = {"CR0": 0.0, "CR1": 0.0, "CR2": 0.5, "CR3": 1.0}


@dataclass(frozen=True)
class Units:
    """What each unit holds in each cell; what does not depend on the quantity asked for is worked out once.

    Attributes
    ----------
    residuals : sparse array, shape (U, C)
        Sum over the unit's scores in the cell of score minus the cell's centre.
    sizes : sparse array, shape (U, C)
        Number of those scores, with the same sparsity as `residuals`.
    multiplicity : ndarray, shape (U,)
        How many alike units the row stands for.
    cell_size : ndarray, shape (C,)
        Scores in the cell, of all units.
    scored : ndarray of bool, shape (C,), optional
        False for cells of predictions, to which a unit gives its covariates and not its scores. They enter every
        variance; counts of units, effective sizes and degrees of freedom speak of scores alone.
    """

    residuals: sp.csr_array
    sizes: sp.csr_array
    multiplicity: Array
    cell_size: Array
    scored: npt.NDArray[np.bool_] | None = None

    def stacked_on(self, other: "Units") -> "Units":
        """Both sets of units as one, their cells shared."""
        return Units(
            sp.vstack([other.residuals, self.residuals], format="csr"),
            sp.vstack([other.sizes, self.sizes], format="csr"),
            np.concatenate([other.multiplicity, self.multiplicity]),
            self.cell_size,
            self.scored,
        )

    @cached_property
    def present(self) -> sp.csr_array:
        """1 where the unit has a score in the cell, shape (U, C)."""
        return self._like(self._counts)

    @cached_property
    def share(self) -> sp.csr_array:
        """Share of the cell's scores that are the unit's, shape (U, C)."""
        return self._like(self._counts * self.sizes.data / self._n)

    @cached_property
    def scaled(self) -> Mapping[str, sp.csr_array]:
        """Residual sums over the cell size, with the correction of each name, shape (U, C)."""
        return {name: self._like(self.residuals.data * self._leverage(name) / self._n) for name in _LEVERAGE_POWER}

    @cached_property
    def adjusted(self) -> tuple[sp.csr_array, sp.csr_array, sp.csr_array]:
        """Diagonal, overlap and squared cross products of the CR2 residual maker, for `satterthwaite`."""
        factor = self._leverage("CR2") * self._counts
        shared = self._like(factor * self.sizes.data / self._n**1.5)
        cross = sp.csr_array(shared.T @ sp.diags_array(self.multiplicity) @ shared)
        return self._like(factor**2 * self.sizes.data / self._n**2), self._like(shared.data**2), cross.power(2)

    @property
    def _n(self) -> Array:
        return np.asarray(self.cell_size[self.sizes.indices], dtype=np.float64)

    @property
    def _counts(self) -> Array:
        """1 for an entry that holds scores, 0 for one of predictions."""
        if self.scored is None:
            return np.ones_like(self.sizes.data)
        return np.asarray(self.scored[self.sizes.indices], dtype=np.float64)

    def _leverage(self, name: str) -> Array:
        """(1 - m/n)^-power of each entry; a unit that fills its cell has no residual, so 0 (pseudo-inverse)."""
        power = _LEVERAGE_POWER[name]
        room = 1.0 - self.sizes.data / self._n
        with np.errstate(divide="ignore"):
            return np.where(room > 0, room**-power, 0.0) if power else np.ones_like(room)

    def _like(self, data: Array) -> sp.csr_array:
        return sp.csr_array((data, self.sizes.indices, self.sizes.indptr), self.sizes.shape)


@dataclass(frozen=True, slots=True)
class Cells:
    """The columns: `size` scores each, and `group`, the arm-by-item cell of the design, both shape (C,)."""

    size: Array
    group: npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Part:
    """One additive part of a covariance: `matrix` (Q, Q), and the `factor` (Q,) of each quantity."""

    matrix: Array
    factor: Array


@dataclass(frozen=True, slots=True)
class Covariance:
    """Sampling variances of Q quantities.

    Attributes
    ----------
    parts : tuple of Part
        Their sum is the covariance; a factor may differ by quantity.
    df : ndarray, shape (Q,)
        Degrees of freedom of the t reference; infinite for the normal.
    clusters : ndarray, shape (Q,)
        Number of independent units that enter the quantity.
    floored : ndarray of bool, shape (Q,)
        Where the two-way variance fell below the item variance, which is used instead.
    """

    parts: tuple[Part, ...]
    df: Array
    clusters: Array
    floored: npt.NDArray[np.bool_]

    @property
    def variance(self) -> Array:
        """Variance of each quantity, shape (Q,)."""
        return np.asarray(sum(part.factor * np.diag(part.matrix) for part in self.parts), dtype=np.float64)

    @property
    def matrix(self) -> Array:
        """Covariance of all Q quantities, shape (Q, Q), each with its own factors, so that the diagonal is `variance`.

        A two-way sum falls below its first part, by item, for no linear combination: what would take it there is
        left out, so that the diagonal can lie above `variance`.
        """
        first, *rest = (_scaled(part) for part in self.parts)
        extra = np.asarray(sum(rest, np.zeros_like(first)), dtype=np.float64)
        return first + (extra if _semidefinite(extra) else _lifted(extra, first))

    def joint(self, pivot: int, members: list[int]) -> Array:
        """Covariance of `members` with the factors of quantity `pivot`, as Fieller and Wald sets need.

        A two-way sum need not be positive semi-definite; where it is not, its first part, by item, stands alone.
        """
        chosen = np.ix_(members, members)
        scaled = [part.factor[pivot] * part.matrix[chosen] for part in self.parts]
        total = np.asarray(sum(scaled), dtype=np.float64)
        return total if _semidefinite(total) else np.asarray(scaled[0], dtype=np.float64)


def _scaled(part: Part) -> Array:
    """The part with geometric means of factors off its diagonal; factors of one part have one sign."""
    root = np.sqrt(np.abs(part.factor))
    return np.asarray(np.sign(np.nansum(part.factor)) * part.matrix * np.outer(root, root), dtype=np.float64)


def _lifted(extra: Array, base: Array) -> Array:
    """What `extra` adds to `base` where it adds: its negative directions, in the metric of `base`, set to 0."""
    if np.linalg.eigvalsh(base)[0] <= SLACK * np.trace(base):
        return np.zeros_like(base)
    gains, directions = linalg.eigh(extra, base)
    loaded = base @ directions
    return np.asarray(loaded * np.maximum(gains, 0.0) @ loaded.T, dtype=np.float64)


def _semidefinite(matrix: Array) -> bool:
    """Whether no eigenvalue is below zero by more than rounding; an undefined matrix passes."""
    return bool(np.isnan(matrix).any() or np.linalg.eigvalsh(matrix)[0] >= -SLACK * np.trace(matrix))


def entering(units: Units, quantities: Array) -> Array:
    """Units with a score in a cell that carries weight, shape (Q,)."""
    return _touched(units, quantities).T @ units.multiplicity


def _touched(units: Units, quantities: Array) -> Array:
    return np.asarray((units.present @ (quantities != 0).T.astype(np.float64)) > 0, dtype=np.float64)


def _outer(units: Units, quantities: Array, correction: str = "CR0") -> Array:
    """Sum over units of the outer product of their influence on the quantities, shape (Q, Q)."""
    influence = units.scaled[correction] @ quantities.T
    return np.asarray((influence * units.multiplicity[:, None]).T @ influence)


def _ratio(count: Array, lost: Array | float = 1.0) -> Array:
    """Count / (count - lost); undefined (NaN) where nothing is left, 0 where nothing entered."""
    left = count - lost
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count == 0, 0.0, np.where(left > 0, count / left, np.nan))


def satterthwaite(units: Units, quantities: Array) -> Array:
    """Bell-McCaffrey degrees of freedom of CR2 under the identity working model.

    With disjoint cell dummies the adjusted residual maker has inner products
    ``P = D - V V'``, where ``V_uc = w_c f_uc m_uc n_c^-3/2`` and ``D`` is diagonal with
    ``sum_c (w_c f_uc / n_c)^2 m_uc``; the degrees of freedom are ``tr(P)^2 / tr(P^2)``.

    Parameters
    ----------
    units : Units
    quantities : ndarray, shape (Q, C)

    Returns
    -------
    ndarray, shape (Q,)
        NaN where the quantity has no unit or no residual variation is possible.

    References
    ----------
    Bell and McCaffrey (2002), Survey Methodology 28(2); Pustejovsky and Tipton (2018),
    doi 10.1080/07350015.2016.1247004.
    """
    own, shared, cross = units.adjusted
    weight, squared = units.multiplicity, quantities**2
    diagonal, overlap = own @ squared.T, shared @ squared.T
    trace = weight @ (diagonal - overlap)
    inner = np.sum((cross @ squared.T).T * squared, axis=1)
    trace_of_square = weight @ (diagonal**2 - 2 * diagonal * overlap) + inner
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(trace_of_square > 0, trace**2 / trace_of_square, np.nan)


def hotelling_df(units: Units, quantities: Array) -> float:
    """Degrees of freedom of the Wishart distribution that approximates the CR2 covariance of several quantities.

    Under the identity working model the entries of the standardised covariance have variances that are, by the inner
    products `P` of `satterthwaite`, a quadratic form ``B`` in products of cell weights. With ``K = L' L``, `L` the
    standardised quantities, ``eta = q (q + 1) / sum_cd B_cd (K_cc K_dd + K_cd^2)``; Hotelling's statistic is then
    ``(eta - q + 1) / (eta q) W`` against F(q, eta - q + 1). For one quantity eta is Satterthwaite's.

    Parameters
    ----------
    units : Units
    quantities : ndarray, shape (q, C)
        Linearly independent.

    References
    ----------
    Pustejovsky and Tipton (2018), doi 10.1080/07350015.2016.1247004.
    """
    columns = np.flatnonzero((quantities != 0).any(axis=0))
    own, shared, cross = (one[:, columns] for one in units.adjusted)
    weighted = sp.diags_array(units.multiplicity)
    mixed = (own.T @ weighted @ shared).toarray()
    form = (own.T @ weighted @ own).toarray() - mixed - mixed.T + cross[columns].toarray()
    chosen = quantities[:, columns]
    expected = chosen * (units.multiplicity @ (own - shared)) @ chosen.T
    inner = chosen.T @ np.linalg.solve(expected, chosen)
    spread = np.sum(form * (np.outer(np.diag(inner), np.diag(inner)) + inner**2))
    q = quantities.shape[0]
    return float(q * (q + 1) / spread)


def _welch(trial: Array, trial_df: Array, runs: Array, runs_df: Array) -> Array:
    """Degrees of freedom of a sum of two independent variance estimates."""
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (trial + runs) ** 2 / (trial**2 / trial_df + runs**2 / runs_df)
    return np.where(runs == 0, trial_df, np.where(trial == 0, runs_df, total))


def _design_cells(units: Units, cells: Cells, quantities: Array) -> Array:
    """Distinct arm-by-item cells of the design that these units fill and the quantity weighs, shape (Q,)."""
    filled = np.unique(units.sizes.indices)
    groups, inverse = np.unique(cells.group[filled], return_inverse=True)
    counts = np.zeros((quantities.shape[0], groups.size))
    for column, group in zip(filled, inverse, strict=True):
        counts[:, group] += quantities[:, column] != 0
    return np.asarray((counts > 0).sum(axis=1), dtype=np.float64)


def robust(answers: Units, runs: Units, cells: Cells, quantities: Array) -> Covariance:
    """Heteroskedasticity-consistent HC1: answers independent, N/(N - p) within the trial and within the runs."""
    parts = tuple(_hc1(units, cells, quantities) for units in (answers, runs))
    size = entering(answers, quantities) + entering(runs, quantities)
    return Covariance(parts, np.full(size.shape, np.inf), size, np.zeros(size.shape, dtype=np.bool_))


def _hc1(units: Units, cells: Cells, quantities: Array) -> Part:
    factor = _ratio(entering(units, quantities), _design_cells(units, cells, quantities))
    return Part(_outer(units, quantities), factor)


def cluster(participants: Units, runs: Units, cells: Cells, quantities: Array, small_sample: SmallSample) -> Covariance:
    """Cluster-robust by participant, with HC1, HC2 or HC3 for the independent benchmark runs.

    CR1 is CR0 times G/(G - 1) and CR3 the jackknife, both against t(G - 1); CR2 is Bell and
    McCaffrey's with Satterthwaite degrees of freedom. A quantity with a trial and a benchmark part
    adds the variances and takes Welch's degrees of freedom.

    References
    ----------
    Cameron and Miller (2015), doi 10.3368/jhr.50.2.317; Pustejovsky and Tipton (2018),
    doi 10.1080/07350015.2016.1247004.
    """
    trial, trial_df = _clustered(participants, quantities, small_sample)
    alone, alone_df = _clustered(runs, quantities, small_sample)
    if small_sample == "CR1":
        alone = _hc1(runs, cells, quantities)
    df = _welch(_diagonal(trial), trial_df, _diagonal(alone), alone_df)
    size = entering(participants, quantities) + entering(runs, quantities)
    return Covariance((trial, alone), df, size, np.zeros(size.shape, dtype=np.bool_))


def _diagonal(part: Part) -> Array:
    return np.asarray(part.factor * np.diag(part.matrix), dtype=np.float64)


def _clustered(units: Units, quantities: Array, small_sample: SmallSample) -> tuple[Part, Array]:
    count = entering(units, quantities)
    matrix = _outer(units, quantities, small_sample)
    enough = np.where(count == 1, np.nan, 1.0)
    factor = _ratio(count) if small_sample == "CR1" else enough
    df = satterthwaite(units, quantities) if small_sample == "CR2" else np.maximum(count - 1, 0.0)
    return Part(matrix, factor), df


def items(units: Units, quantities: Array) -> Covariance:
    """Items drawn from a population: S/(S - 1) times the summed squares of item influences, t(S - 1)."""
    count = entering(units, quantities)
    part = Part(_outer(units, quantities), _ratio(count))
    return Covariance((part,), np.maximum(count - 1, 0.0), count, np.zeros(count.shape, dtype=np.bool_))


def two_way(by_item: Units, by_participant: Units, by_answer: Units, quantities: Array) -> Covariance:
    """Items and participants both drawn: item plus participant minus answer variance, never below the item part.

    References
    ----------
    Cameron, Gelbach and Miller (2011), doi 10.1198/jbes.2010.07136.
    """
    base = items(by_item, quantities)
    extra = [
        Part(_outer(units, quantities), sign * _ratio(entering(units, quantities)))
        for units, sign in ((by_participant, 1.0), (by_answer, -1.0))
    ]
    gain = np.asarray(sum(_diagonal(part) for part in extra), dtype=np.float64)
    tolerance = 1e-12 * _diagonal(base.parts[0])
    floored = gain < -tolerance
    idle = floored | (np.abs(gain) <= tolerance)
    kept = [Part(part.matrix, np.where(idle, 0.0, part.factor)) for part in extra]
    return Covariance((*base.parts, *kept), base.df, base.clusters, floored)


def effective_size(blocks: Sequence[Units], quantities: Array) -> Array:
    """Kish's effective number of units, 1 / sum of squared unit weights, over blocks of units, shape (Q,).

    The design effect is taken at its worst, scores of one unit being alike, because a stage
    without variation cannot show its own.
    """
    weights = [units.share @ np.abs(quantities).T for units in blocks]
    total = sum(units.multiplicity @ one for units, one in zip(blocks, weights, strict=True))
    squares = sum(units.multiplicity @ one**2 for units, one in zip(blocks, weights, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, total**2 / squares, 0.0), dtype=np.float64)
