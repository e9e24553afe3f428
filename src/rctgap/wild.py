"""Wild cluster bootstrap-t with the null imposed, for linear combinations of means. Arrays only.

A *location* is a mean that the data estimate: a cell where items are fixed, a moment where they are random. Cluster g
holds of location j its share of the weight, ``M_gj`` (the shares of a location sum to 1), and the weighted sum of its
deviations from the mean, ``A_gj`` (they sum to 0). A quantity is ``q = sum_j a_j mean_j``.

Under the null ``q = c``, restricted least squares moves each mean by ``-delta kappa_j``, with ``delta = q - c`` and
``kappa_j = (a_j / n_j) / sum_j (a_j^2 / n_j)``. A draw multiplies the restricted residuals of each cluster by a weight
``v_g``. Then ``s_g = sum_j a_j (A_gj + delta kappa_j M_gj)`` is the restricted influence of a cluster,
``q* - c = sum_g v_g s_g``, the means move by ``d_j = sum_g v_g (A_gj + delta kappa_j M_gj)``, and the influence of a
cluster in the draw is ``v_g s_g - sum_j a_j M_gj d_j``. All are linear in delta, so one draw serves every null with
five numbers: two for ``q* - c`` and three for its variance, the sum of squared influences times G / (G - 1).
"""

import math
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from rctgap.documents import nearest
from rctgap.errors import EstimationError, Fault
from rctgap.inversion import ResamplingTest
from rctgap.replication import replicate
from rctgap.variance import Units

__all__ = ["Clusters", "WildResult", "WildWeights", "cells_as_locations", "draw_weights", "wild_bootstrap", "wild_test"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.uint8]
type WildWeights = Literal["rademacher", "webb"]

VALUES: dict[str, Array] = {
    "rademacher": np.array([-1.0, 1.0]),
    "webb": np.sqrt([1.5, 1.0, 0.5, 0.5, 1.0, 1.5]) * [-1, -1, -1, 1, 1, 1],
}
CHUNK = 512
ROUNDING = 1e-12
NO_VARIATION = "no test: its scores do not vary"
ONE_CLUSTER = "no test: fewer than two clusters enter"


@dataclass(frozen=True, slots=True)
class Clusters:
    """What each cluster holds of each location.

    Attributes
    ----------
    deviations, shares : sparse array, shape (G, J)
        A and M of the module's notes.
    sizes : ndarray, shape (J,)
        Scores behind each location.
    """

    deviations: sp.csr_array
    shares: sp.csr_array
    sizes: Array


@dataclass(frozen=True, slots=True)
class WildResult:
    """A wild bootstrap test of 0 and the interval of values not rejected; None with the reason in `note`.

    Attributes
    ----------
    estimate : float or None
    statistic : float or None
        Estimate over its cluster-robust (CR1) standard error.
    p_value : float or None
        Two-sided, of 0.
    lower, upper : float or None
        Infinite where no value is far enough to be rejected.
    level : float
    clusters : int
        Clusters that enter the quantity.
    replicates : int
        Draws, or sign vectors where they are all enumerated.
    enumerated : bool
    weights : {"rademacher", "webb"}
    note : str
    test : ResamplingTest or None
        The draws, which give the p-value of any other null.
    """

    estimate: float | None
    statistic: float | None
    p_value: float | None
    lower: float | None
    upper: float | None
    level: float
    clusters: int
    replicates: int
    enumerated: bool
    weights: WildWeights
    note: str = ""
    test: ResamplingTest | None = field(default=None, repr=False, compare=False)


def cells_as_locations(*blocks: Units, loading: Array | None = None) -> Clusters:
    """Units as clusters, alike units each a cluster of its own.

    Parameters
    ----------
    *blocks : Units
        Independent blocks over the same C cells, such as participants and benchmark runs.
    loading : ndarray, shape (J, C), optional
        Weights that make up each location from cells, each row summing to 1; every cell a location without it.
    """
    stacked = sp.vstack([sp.hstack([one.residuals, one.sizes], format="csr") for one in blocks], format="csr")
    copies = np.concatenate([one.multiplicity for one in blocks])
    whole = np.rint(copies)
    if not np.allclose(copies, whole):
        raise EstimationError(
            Fault("a count is not a whole number, so its units cannot be resampled", "Give whole counts", place="count")
        )
    each = stacked[np.repeat(np.arange(copies.size), whole.astype(np.intp))]
    size = blocks[0].cell_size
    scaled = sp.diags_array(1.0 / size) if loading is None else sp.csr_array(loading.T / size[:, None])
    sizes = size if loading is None else (loading != 0) @ size
    return Clusters(
        sp.csr_array(each[:, : size.size] @ scaled),
        sp.csr_array(each[:, size.size :] @ scaled),
        np.asarray(sizes, dtype=np.float64),
    )


@dataclass(frozen=True, slots=True)
class _Draw:
    """Weights of all clusters, as positions in `VALUES`."""

    clusters: int
    weights: WildWeights

    def __call__(self, rng: np.random.Generator) -> Codes:
        if self.weights == "rademacher":
            return np.unpackbits(np.frombuffer(rng.bytes(-(-self.clusters // 8)), np.uint8), count=self.clusters)
        return rng.integers(0, VALUES[self.weights].size, self.clusters, dtype=np.uint8)


def draw_weights(
    clusters: int,
    weights: WildWeights,
    replicates: int,
    seed: int | np.random.SeedSequence,
    executor: Executor | None = None,
) -> Codes:
    """Weights of each replicate, as positions in `VALUES`, shape (B, G); each from its own child of the seed."""
    return np.stack(replicate(_Draw(clusters, weights), replicates, seed, executor=executor))


def _sign_vectors(clusters: int) -> Codes:
    """Sign vectors whose last sign is plus, shape (2^(G - 1), G); turning every sign of one changes no squared draw."""
    minus = (np.arange(2 ** (clusters - 1))[:, None] >> np.arange(clusters)) & 1
    return np.asarray(1 - minus, dtype=np.uint8)


def _entering(clusters: Clusters, quantity: Array) -> npt.NDArray[np.bool_]:
    """Clusters with a share in a location that the quantity weighs, shape (G,)."""
    touched = np.asarray((abs(clusters.shares) @ (quantity != 0).astype(np.float64)) > 0)
    return np.asarray(touched, dtype=np.bool_)


def wild_test(clusters: Clusters, quantity: Array, value: float, codes: Codes, weights: WildWeights) -> ResamplingTest:
    """Draws of the restricted wild bootstrap, for every null.

    Parameters
    ----------
    clusters : Clusters
        G clusters, two or more.
    quantity : ndarray, shape (J,)
        Coefficients over locations, with at least one that is not 0.
    value : float
        The quantity's estimate.
    codes : ndarray of int, shape (B, G)
        Weights of each draw, as `draw_weights` gives them.
    weights : {"rademacher", "webb"}

    References
    ----------
    Cameron, Gelbach and Miller (2008), doi 10.1162/rest.90.3.414; Roodman, Nielsen, MacKinnon and Webb (2019),
    doi 10.1177/1536867X19830877.
    """
    used = quantity != 0
    a, sizes = quantity[used], clusters.sizes[used]
    kappa = (a / sizes) / np.sum(a**2 / sizes)
    problem = _Restricted.of(clusters.deviations[:, used].toarray(), clusters.shares[:, used].toarray(), a, kappa)
    count = len(problem.s0)
    factor = count / (count - 1)
    values = VALUES[weights]
    parts = [problem.draws(values[codes[start : start + CHUNK]]) for start in range(0, len(codes), CHUNK)]
    shift, spread = (np.concatenate(one) for one in zip(*parts, strict=True))
    return ResamplingTest(value, factor * float(problem.s0 @ problem.s0), shift, factor * spread, count_observed=False)


@dataclass(frozen=True, slots=True)
class _Restricted:
    """The restricted problem of one quantity: everything is its part at delta = 0, and what delta adds.

    Attributes
    ----------
    s0, s1 : ndarray, shape (G,)
        Restricted influence of each cluster.
    moves : ndarray, shape (G, 4 J + 2)
        What weights are multiplied by: A, M kappa, and s0 and s1 times `pull`, then s0 and s1.
    squares : ndarray, shape (G, 3)
        Coefficients of delta in the squared restricted influences.
    overlap : ndarray, shape (J, J)
        ``pull' pull``, with `pull` the shares times a.
    """

    s0: Array
    s1: Array
    moves: Array
    squares: Array
    overlap: Array

    @classmethod
    def of(cls, deviations: Array, shares: Array, a: Array, kappa: Array) -> "_Restricted":
        s0, s1, pull = deviations @ a, shares @ (a * kappa), shares * a
        moves = [deviations, shares * kappa, s0[:, None] * pull, s1[:, None] * pull, s0[:, None], s1[:, None]]
        squares = np.column_stack([s0**2, 2 * s0 * s1, s1**2])
        return cls(s0, s1, np.hstack(moves), squares, pull.T @ pull)

    def draws(self, v: Array) -> tuple[Array, Array]:
        """Numerators and variances (before G / (G - 1)) of draws with weights `v`, shapes (b, 2) and (b, 3)."""
        product = v @ self.moves
        shift = product[:, -2:]
        d0, d1, c0, c1 = np.split(product[:, :-2], 4, axis=1)
        own = v**2 @ self.squares
        cross = np.column_stack([_dot(c0, d0), _dot(c0, d1) + _dot(c1, d0), _dot(c1, d1)])
        moved = np.column_stack(
            [_dot(d0 @ self.overlap, d0), 2 * _dot(d0 @ self.overlap, d1), _dot(d1 @ self.overlap, d1)]
        )
        return shift, _without_rounding(own - 2 * cross + moved, own, moved)


def _dot(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("bj,bj->b", left, right), dtype=np.float64)


def _without_rounding(spread: Array, own: Array, moved: Array) -> Array:
    """Exact zeros where terms cancel, so that a draw equal to the data stays a tie at nulls far away."""
    size = own[:, [0, 2]] + moved[:, [0, 2]]
    scale = np.column_stack([size[:, 0], np.sqrt(size.prod(axis=1)), size[:, 1]])
    return np.where(np.abs(spread) <= ROUNDING * scale, 0.0, spread)


def wild_bootstrap(
    clusters: Clusters,
    quantities: Array,
    values: Array,
    *,
    weights: WildWeights = "rademacher",
    replicates: int = 9999,
    seed: int | np.random.SeedSequence,
    level: float = 0.95,
    executor: Executor | None = None,
) -> tuple[WildResult, ...]:
    """Wild cluster bootstrap-t tests of 0, and intervals by inversion; the same draws serve every quantity.

    Parameters
    ----------
    clusters : Clusters
    quantities : ndarray, shape (Q, J)
        Coefficients over locations.
    values : ndarray, shape (Q,)
    weights : {"rademacher", "webb"}
        Signs, or Webb's six points, which have more distinct draws with few clusters.
    replicates : int
        Draws. Where a quantity has no more sign vectors than this, all are enumerated.
    seed : int or SeedSequence
    level : float
        Confidence level in (0, 1).
    executor : concurrent.futures.Executor, optional
        For drawing the weights; results do not depend on it.

    Returns
    -------
    tuple of WildResult, length Q

    Raises
    ------
    EstimationError
        Unknown weights, or no replicate.

    Notes
    -----
    ``p`` is the share of draws with ``|t*| >= |t|``. The sign vectors with all signs alike give the data's own
    statistic back and are counted: both of them in an enumeration, as they come in random draws. So with G clusters
    enumerated p is at least 2 / 2^G, and with 5 clusters (1 / 16) no value is ever rejected at 5 %.

    References
    ----------
    Cameron, Gelbach and Miller (2008), doi 10.1162/rest.90.3.414; Webb (2023), doi 10.1111/caje.12661; MacKinnon,
    Nielsen and Webb (2023), doi 10.1016/j.jeconom.2022.04.001.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from rctgap.variance import Units
    >>> from rctgap.wild import cells_as_locations, wild_bootstrap
    >>> scores = np.array([0.2, 0.5, 0.9, 0.4, 0.7, 0.6])
    >>> alone = sp.csr_array(np.ones((6, 1)))
    >>> units = Units(sp.csr_array((scores - 0.55)[:, None]), alone, np.ones(6), np.array([6.0]))
    >>> result = wild_bootstrap(cells_as_locations(units), np.array([[1.0]]), np.array([0.55]), seed=1)[0]
    >>> result.enumerated, result.replicates, result.p_value
    (True, 64, 0.03125)
    >>> round(result.lower, 3), round(result.upper, 3)
    (0.2, 0.9)
    """
    _refuse_senseless(weights, replicates)
    drawn: Codes | None = None
    found = []
    for quantity, value in zip(quantities, values, strict=True):
        inside = _entering(clusters, quantity)
        count = int(inside.sum())
        if count <= 1:
            found.append(_untested(float(value), level, count, weights, ONE_CLUSTER))
            continue
        enumerated = weights == "rademacher" and 2**count <= replicates
        if not enumerated and drawn is None:
            drawn = draw_weights(inside.size, weights, replicates, seed, executor)
        codes = _sign_vectors(count) if enumerated or drawn is None else drawn[:, inside]
        part = Clusters(clusters.deviations[inside], clusters.shares[inside], clusters.sizes)
        test = wild_test(part, quantity, float(value), codes, weights)
        if test.variance <= ROUNDING**2 * float(quantity @ quantity):
            found.append(_untested(float(value), level, count, weights, NO_VARIATION))
            continue
        found.append(
            _result(test, level, count, 2**count if enumerated else replicates, weights, enumerated=enumerated)
        )
    return tuple(found)


def _refuse_senseless(weights: str, replicates: int) -> None:
    known = get_args(WildWeights.__value__)
    if weights not in known:
        raise EstimationError(Fault("not known weights", nearest(weights, known), place="weights", value=weights))
    if replicates < 1:
        what = "a bootstrap needs replicates"
        raise EstimationError(Fault(what, "Give for example 9999", place="replicates", value=str(replicates)))


def _untested(value: float, level: float, clusters: int, weights: WildWeights, note: str) -> WildResult:
    return WildResult(value, None, None, None, None, level, clusters, 0, enumerated=False, weights=weights, note=note)


def _result(
    test: ResamplingTest, level: float, clusters: int, replicates: int, weights: WildWeights, *, enumerated: bool
) -> WildResult:
    lower, upper = test.interval(level)
    note = ""
    if math.isinf(lower) or math.isinf(upper):
        note = f"unbounded: with {clusters} clusters some end is never rejected at {1 - level:.3g}"
        if enumerated:
            note += f" ({replicates} sign vectors, p is at least {2 / replicates:.3g}); Webb's weights have more draws"
    return WildResult(
        test.estimate,
        test.statistic(0.0),
        test.p_value(0.0),
        lower,
        upper,
        level,
        clusters,
        replicates,
        enumerated,
        weights,
        note,
        test,
    )
