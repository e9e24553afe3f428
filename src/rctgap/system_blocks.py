"""Regressions of several outcomes on the same regressors: influence of clusters, CR corrections, degrees of freedom.

A *block* has rows that carry all of its K outcomes. With ``M = (X' X)^-1`` and `A_g` the correction of cluster `g`,
the influence of a cluster on the coefficients of outcome `k` is ``M X_g' A_g e_gk``. What is kept is its product with
the rows of `targets`, such as one row an arm, so nothing here grows with the square of the regressors. Arrays only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Block", "block_of", "degrees_of_freedom"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]

FILLED = 1e-10
_POWER = {"CR0": 0.0, "CR1": 0.0, "CR2": 0.5, "CR3": 1.0}


@dataclass(frozen=True, slots=True)
class Block:
    """K outcomes, m targets, p regressors and G clusters, those of other blocks included.

    Attributes
    ----------
    values : ndarray, shape (m, K)
        Targets times coefficients.
    influence : ndarray, shape (G, m, K)
    own : ndarray, shape (G, m, m)
        Inner products of a cluster's loadings ``A_g X_g M target``.
    overlap : ndarray, shape (G, m, p)
        The loadings' images in the space of the regressors, ``M^1/2 X_g' A_g X_g M target``.
    """

    values: Array
    influence: Array
    own: Array
    overlap: Array


def block_of(
    regressors: Array, residuals: Array, values: Array, targets: Array, clusters: Codes, size: int, correction: str
) -> Block:
    """The influence of clusters under a small-sample correction, identity working model.

    Parameters
    ----------
    regressors : ndarray, shape (N, p)
        Of full column rank.
    residuals : ndarray, shape (N, K)
    values : ndarray, shape (m, K)
    targets : ndarray, shape (m, p)
    clusters : ndarray of int, shape (N,)
        In 0 to `size` - 1.
    correction : {"CR0", "CR1", "CR2", "CR3"}
        ``A_g = (I - H_gg)^-power``, power 0, 0, 1/2 and 1, by pseudo-inverse.

    References
    ----------
    Bell and McCaffrey (2002), Survey Methodology 28(2).
    """
    shape = (targets.shape[0], residuals.shape[1], regressors.shape[1])
    scale, rotation = np.linalg.eigh(regressors.T @ regressors)
    root = rotation / np.sqrt(scale) @ rotation.T
    whitened = regressors @ root
    influence, own = np.zeros((size, shape[0], shape[1])), np.zeros((size, shape[0], shape[0]))
    overlap = np.zeros((size, shape[0], shape[2]))
    for group, rows in _by_size(clusters):
        inside = whitened[rows]
        power = _residual_maker_power(inside @ inside.transpose(0, 2, 1), _POWER[correction])
        loading = power @ (inside @ (root @ targets.T))
        turned = loading.transpose(0, 2, 1)
        influence[group], own[group], overlap[group] = turned @ residuals[rows], turned @ loading, turned @ inside
    return Block(values, influence, own, overlap)


def _by_size(clusters: Codes) -> Sequence[tuple[Codes, Codes]]:
    """Clusters of equal size together: their codes, and their rows in shape (clusters, size)."""
    order = np.argsort(clusters, kind="stable")
    codes, starts, sizes = np.unique(clusters[order], return_index=True, return_counts=True)
    return [
        (codes[sizes == size], order[starts[sizes == size][:, None] + np.arange(size)]) for size in np.unique(sizes)
    ]


def _residual_maker_power(hat: Array, power: float) -> Array:
    """(I - H_gg)^-power of a batch of hat matrices; 0 in directions that a cluster fills."""
    if not power:
        return np.broadcast_to(np.eye(hat.shape[-1]), hat.shape)
    room, vectors = np.linalg.eigh(np.eye(hat.shape[-1]) - hat)
    with np.errstate(divide="ignore", invalid="ignore"):
        raised = np.where(room > FILLED, room**-power, 0.0)
    return np.asarray((vectors * raised[:, None, :]) @ vectors.transpose(0, 2, 1))


def degrees_of_freedom(blocks: Sequence[Block], weights: Sequence[Array]) -> float:
    """Bell-McCaffrey degrees of freedom of a quantity over blocks with shared clusters.

    Parameters
    ----------
    weights : sequence of ndarray, shape (m, K)
        The quantity's weights on the targets and outcomes of each block.

    Returns
    -------
    float
        tr(P)^2 / tr(P^2), with ``P = diag(d) - V V'``; NaN where no cluster has room to vary.
    """
    diagonal = sum(
        np.einsum("ak,gab,bk->g", weight, block.own, weight) for block, weight in zip(blocks, weights, strict=True)
    )
    shared = np.concatenate(
        [
            np.einsum("gap,ak->gkp", block.overlap, weight).reshape(len(block.overlap), -1)
            for block, weight in zip(blocks, weights, strict=True)
        ],
        axis=1,
    )
    lost = np.sum(shared**2, axis=1)
    gram = shared.T @ shared if shared.shape[1] < shared.shape[0] else shared @ shared.T
    trace = float(np.sum(diagonal - lost))
    square = float(np.sum(diagonal**2 - 2 * diagonal * lost) + np.sum(gram**2))
    return trace**2 / square if square > 0 else float("nan")
