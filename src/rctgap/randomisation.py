"""Randomisation tests of the effect of arms: re-drawn assignments, inverted under a constant effect. Arrays only.

Units u (participants, or answers) hold scores on items s: sums ``Y_us`` of ``n_us`` scores. An effect is
``sum_k b_k sum_s pi_s mean_ks`` over arms k, with b the arms' weights, -1 for the control arm. If every score of a
treated unit is tau higher than it would have been under control, ``Y - tau X`` are the scores under control, with
``X_us = n_us`` for treated units and 0 for others, whatever the assignment. A re-drawn assignment then has the
statistic ``N*(Y) - tau N*(X)``, which the data's ``N - tau`` is held against, each over its standard error where
studentised. With ``delta = N - tau`` that is ``N*(Y - N X) + delta N*(X)``, linear in delta, and its squared standard
error is quadratic.
"""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from rctgap.errors import EstimationError, Fault
from rctgap.inversion import ResamplingTest
from rctgap.replication import replicate

__all__ = ["Outcomes", "RandomisationResult", "assignments", "randomisation_draws", "randomisation_test", "redraw"]

type Array = npt.NDArray[np.float64]
type Arms = npt.NDArray[np.int8]
type Codes = npt.NDArray[np.intp]

CHUNK = 256
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Scores of units by item, and the effect asked for.

    Attributes
    ----------
    sums, sizes : sparse array, shape (U, S)
        Sum and number of the unit's scores on the item.
    item_weights : ndarray, shape (S,)
        pi, summing to 1. One item stands for all where scores are not standardised.
    arm_weights : ndarray, shape (K,)
        b: positive for treated arms, summing to 1; -1 for control.
    """

    sums: sp.csr_array
    sizes: sp.csr_array
    item_weights: Array
    arm_weights: Array


@dataclass(frozen=True, slots=True)
class RandomisationResult:
    """A randomisation test of no effect on any unit, and the constant effects that are not rejected.

    Attributes
    ----------
    estimate : float
    statistic : float or None
        The estimate, over its standard error where studentised.
    p_value : float or None
        Two-sided, of the sharp null that no score depends on the arm; None with the reason in `note`.
    lower, upper : float or None
        Outermost constant effects that are not rejected; infinite where none far enough is.
    level : float
    studentised : bool
    units : int
        Units re-drawn.
    replicates : int
        Assignments: drawn, or all.
    enumerated : bool
    emptied : int
        Assignments that leave an item without a score in some arm; their statistic is over the other items.
    note : str
    test : ResamplingTest or None
        The assignments' statistics, which give the p-value of any constant effect.
    """

    estimate: float
    statistic: float | None
    p_value: float | None
    lower: float | None
    upper: float | None
    level: float
    studentised: bool
    units: int
    replicates: int
    enumerated: bool
    emptied: int
    note: str = ""
    test: ResamplingTest | None = field(default=None, repr=False, compare=False)


def assignments(arm: Arms, stratum: Codes) -> int:
    """Number of assignments that keep every arm's number of units in every stratum."""
    total = 1
    for one in np.unique(stratum):
        left = int(np.count_nonzero(stratum == one))
        for size in np.unique(arm[stratum == one], return_counts=True)[1]:
            total *= math.comb(left, int(size))
            left -= int(size)
    return total


def _all_assignments(arm: Arms, stratum: Codes) -> Arms:
    """Every assignment, shape (B, U)."""
    places = [np.flatnonzero(stratum == one) for one in np.unique(stratum)]
    found = np.empty((assignments(arm, stratum), arm.size), dtype=np.int8)
    for row, parts in enumerate(product(*(list(_arrangements(arm[place].tolist())) for place in places))):
        for place, part in zip(places, parts, strict=True):
            found[row, place] = part
    return found


def _arrangements(labels: Sequence[int]) -> Iterator[list[int]]:
    """Distinct orders of labels: the places of the first kind, then the orders of the rest."""
    if not labels:
        yield []
        return
    first = min(labels)
    rest = [label for label in labels if label != first]
    for chosen in combinations(range(len(labels)), len(labels) - len(rest)):
        for others in _arrangements(rest):
            left = iter(others)
            yield [first if place in chosen else next(left) for place in range(len(labels))]


@dataclass(frozen=True, slots=True)
class _Redraw:
    """An assignment: each stratum's arms in a random order."""

    arm: Arms
    stratum: Codes

    def __call__(self, rng: np.random.Generator) -> Arms:
        order = np.argsort(self.stratum + rng.random(self.arm.size))
        drawn = np.empty_like(self.arm)
        drawn[order] = self.arm[np.argsort(self.stratum, kind="stable")]
        return drawn


def redraw(
    arm: Arms,
    stratum: Codes,
    replicates: int,
    seed: int | np.random.SeedSequence,
    executor: Executor | None = None,
) -> Arms:
    """Random assignments within strata, shape (B, U), each from its own child of the seed."""
    return np.stack(replicate(_Redraw(arm, stratum), replicates, seed, executor=executor))


def randomisation_draws(
    outcomes: Outcomes, arm: Arms, drawn: Arms, *, studentised: bool, count_observed: bool
) -> tuple[ResamplingTest, int]:
    """The test that these assignments give, and how many of them leave an item without a score in some arm.

    Parameters
    ----------
    outcomes : Outcomes
    arm : ndarray of int, shape (U,)
        Arms as they were, positions in `outcomes.arm_weights`.
    drawn : ndarray of int, shape (B, U)
    studentised : bool
        Divide by the cluster-robust (CR0) standard error of the assignment, units being the clusters.
    count_observed : bool
        As `ResamplingTest` has it.
    """
    treated = (outcomes.arm_weights > 0)[arm]
    exposed = sp.csr_array(sp.diags_array(treated.astype(np.float64)) @ outcomes.sizes)
    raw = _Problem(outcomes, outcomes.sums.toarray(), exposed.toarray(), studentised)
    estimate = float(raw.draws(arm[None, :])[0][0, 0])
    centred = _Problem(outcomes, raw.scores - estimate * raw.exposed, raw.exposed, studentised)
    variance = float(centred.draws(arm[None, :])[1][0, 0])
    parts = [centred.draws(drawn[start : start + CHUNK]) for start in range(0, len(drawn), CHUNK)]
    shift, spread, emptied = (np.concatenate(one) for one in zip(*parts, strict=True))
    return ResamplingTest(estimate, variance, shift, spread, count_observed), int(emptied.sum())


@dataclass(frozen=True, slots=True)
class _Problem:
    """Scores (U, S) at delta = 0, and what delta adds to them."""

    outcomes: Outcomes
    scores: Array
    exposed: Array
    studentised: bool

    def draws(self, arms: Arms) -> tuple[Array, Array, npt.NDArray[np.bool_]]:
        """Numerators (b, 2), variances (b, 3), and which assignments leave a cell empty (b,)."""
        sizes = self.outcomes.sizes.toarray()
        inside = [(arms == k).astype(np.float64) for k in range(self.outcomes.arm_weights.size)]
        count = [one @ sizes for one in inside]
        wanted = self.outcomes.item_weights > 0
        present = np.logical_and.reduce([one > 0 for one in count]) & wanted
        weight = np.where(present, self.outcomes.item_weights, 0.0)
        total = weight.sum(axis=1, keepdims=True)
        weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        shift = np.zeros((len(arms), 2))
        influence = [np.zeros(arms.shape), np.zeros(arms.shape)]
        for k, b in enumerate(self.outcomes.arm_weights):
            each = np.divide(b * weight, count[k], out=np.zeros_like(weight), where=count[k] > 0)
            for part, values in enumerate((self.scores, self.exposed)):
                mean = np.divide(inside[k] @ values, count[k], out=np.zeros_like(weight), where=count[k] > 0)
                shift[:, part] += b * np.einsum("bs,bs->b", weight, mean)
                if self.studentised:
                    influence[part] += inside[k] * (each @ values.T - (each * mean) @ sizes.T)
        spread = self._spread(influence) if self.studentised else np.tile([1.0, 0.0, 0.0], (len(arms), 1))
        lost = ~present[:, wanted].all(axis=1)
        spread[total[:, 0] == 0] = 0.0
        return shift, spread, lost

    @staticmethod
    def _spread(influence: list[Array]) -> Array:
        base, added = influence
        pairs = [(base, base, 1.0), (base, added, 2.0), (added, added, 1.0)]
        spread = np.column_stack([factor * np.einsum("bu,bu->b", left, right) for left, right, factor in pairs])
        return np.where(np.abs(spread) <= ROUNDING**2, 0.0, spread)


def randomisation_test(
    outcomes: Outcomes,
    arm: Arms,
    stratum: Codes,
    *,
    studentised: bool = True,
    replicates: int = 9999,
    seed: int | np.random.SeedSequence,
    level: float = 0.95,
    executor: Executor | None = None,
) -> RandomisationResult:
    """Test the sharp null by re-drawing arms within strata; the interval inverts it under a constant effect.

    Parameters
    ----------
    outcomes : Outcomes
    arm : ndarray of int, shape (U,)
        Each unit's arm, a position in `outcomes.arm_weights`.
    stratum : ndarray of int, shape (U,)
        Each unit's randomisation stratum.
    studentised : bool
        Divide each statistic by its cluster-robust (CR0) standard error. The test of the sharp null is exact either
        way; the studentised one holds its level in large samples for the null of no average effect too.
    replicates : int
        Assignments to draw. Where there are no more than this, all are enumerated.
    seed : int or SeedSequence
    level : float
        Confidence level in (0, 1).
    executor : concurrent.futures.Executor, optional
        For drawing the assignments; results do not depend on it.

    Returns
    -------
    RandomisationResult

    Raises
    ------
    EstimationError
        No replicate.

    Notes
    -----
    ``p`` is the share of assignments whose statistic is at least as far from 0; where they are drawn, the one that
    happened counts as one of them. Item and arm weights are constants. An assignment that leaves an item without a
    score in some arm is compared on the others, their weights scaled up to 1; these are counted in `emptied`.

    References
    ----------
    Wu and Ding (2021), doi 10.1080/01621459.2020.1750415; Phipson and Smyth (2010), doi 10.2202/1544-6115.1585.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from rctgap.randomisation import Outcomes, randomisation_test
    >>> scores = np.array([0.9, 0.8, 0.7, 0.3, 0.2, 0.1])
    >>> outcomes = Outcomes(
    ...     sp.csr_array(scores[:, None]), sp.csr_array(np.ones((6, 1))), np.ones(1), np.array([-1.0, 1.0])
    ... )
    >>> arm = np.array([1, 1, 1, 0, 0, 0], dtype=np.int8)
    >>> result = randomisation_test(outcomes, arm, np.zeros(6, dtype=np.intp), seed=1, level=0.8)
    >>> result.enumerated, result.replicates, round(result.estimate, 3), result.p_value
    (True, 20, 0.6, 0.1)
    >>> round(result.lower, 3), round(result.upper, 3)
    (0.5, 0.7)
    """
    if replicates < 1:
        what = "a randomisation test needs assignments"
        raise EstimationError(Fault(what, "Give for example 9999", place="replicates", value=str(replicates)))
    total = assignments(arm, stratum)
    enumerated = total <= replicates
    drawn = _all_assignments(arm, stratum) if enumerated else redraw(arm, stratum, replicates, seed, executor)
    test, emptied = randomisation_draws(outcomes, arm, drawn, studentised=studentised, count_observed=not enumerated)
    if test.variance <= ROUNDING**2:
        note = "no test: the scores of each arm do not vary, so there is no standard error; use studentised=False"
        return RandomisationResult(
            test.estimate, None, None, None, None, level, studentised, arm.size, len(drawn), enumerated, emptied, note
        )
    lower, upper = test.interval(level)
    return RandomisationResult(
        test.estimate,
        test.statistic(0.0),
        test.p_value(0.0),
        lower,
        upper,
        level,
        studentised,
        arm.size,
        len(drawn),
        enumerated,
        emptied,
        _note(lower, upper, total, emptied, level),
        test,
    )


def _note(lower: float, upper: float, total: int, emptied: int, level: float) -> str:
    notes = []
    if math.isinf(lower) or math.isinf(upper):
        notes.append(f"unbounded: with {total} assignments some end is never rejected at {1 - level:.3g}")
    if emptied:
        notes.append(f"{emptied} assignments leave an item without a score in some arm and are compared on the others")
    return "; ".join(notes)
