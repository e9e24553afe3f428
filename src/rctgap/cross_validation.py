"""Leave-one-out cross-validation of fitted models, on arrays."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rctgap.criticism import LEAST_WEIGHTS, array_stats, must_be_finite, varies
from rctgap.errors import EstimationError, Fault
from rctgap.records import FitRow

__all__ = ["LeaveOneOut", "compare_fits", "leave_one_out"]

type Array = npt.NDArray[np.float64]

CLOSE = 4.0
FEW_UNITS = 100


@dataclass(frozen=True)
class LeaveOneOut:
    """Leave-one-out predictive fit of one model.

    Attributes
    ----------
    elpd, std_error : float
        Expected log predictive density of a unit left out, summed over units, and its standard error.
    p_loo : float
        Effective number of parameters.
    pointwise, pareto_k : ndarray, shape (U,)
        Of each distinct unit: its term of `elpd`, counted once, and the shape of its importance weights' tail.
    counts : ndarray, shape (U,)
        How many alike units each stands for.
    draws : int
    """

    elpd: float
    std_error: float
    p_loo: float
    pointwise: Array
    pareto_k: Array
    counts: Array
    draws: int

    @property
    def threshold(self) -> float:
        """Pareto k over which a unit's term is not to be trusted."""
        return float(min(1.0 - 1.0 / np.log10(self.draws), 0.7))

    @cached_property
    def high_k(self) -> int:
        """Number of units, alike ones counted each, whose k is over the threshold."""
        return round(float(self.counts[self.pareto_k > self.threshold].sum()))


def leave_one_out(log_likelihood: Array, counts: Array, *, r_eff: float = 1.0) -> LeaveOneOut:
    """Pareto-smoothed leave-one-out cross-validation over units of which many are alike.

    Of each distinct unit one copy is left out at a time; its term counts as often as there are copies.

    Parameters
    ----------
    log_likelihood : ndarray, shape (chains, draws, U)
        Of one copy of each distinct unit.
    counts : ndarray, shape (U,)
        How many alike units each stands for.
    r_eff : float
        Effective draws over draws, which sets how much of the tail is smoothed.

    Returns
    -------
    LeaveOneOut

    Raises
    ------
    EstimationError
        A log likelihood is not finite, counts are not whole numbers of at least 1 for each unit, or
        there are fewer than 50 draws.

    References
    ----------
    Vehtari, Gelman and Gabry (2017), doi 10.1007/s11222-016-9696-4.
    Vehtari et al. (2024), Pareto smoothed importance sampling, JMLR 25(72).

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> logit = random.normal(0.5, 0.2, size=(4, 500))
    >>> each = np.stack([-np.log1p(np.exp(-logit)), -np.log1p(np.exp(logit))], axis=-1)
    >>> found = leave_one_out(each, counts=np.array([62.0, 38.0]))
    >>> round(found.elpd), found.high_k
    (-67, 0)
    """
    draws = int(np.prod(log_likelihood.shape[:2]))
    if counts.shape != log_likelihood.shape[2:] or (counts < 1).any() or (counts != np.round(counts)).any():
        raise EstimationError(
            Fault("counts that do not fit the units of the log likelihood", "Give each unit a whole number from 1 on")
        )
    if draws < LEAST_WEIGHTS:
        raise EstimationError(
            Fault("too few draws for importance weights", f"Draw at least {LEAST_WEIGHTS}", value=str(draws))
        )
    must_be_finite(log_likelihood, "log likelihood")
    told = [_left_out(log_likelihood[..., unit], r_eff) for unit in range(len(counts))]
    elpd, k, p_loo = (np.array(column, dtype=np.float64) for column in zip(*told, strict=True))
    return LeaveOneOut(
        elpd=float(counts @ elpd),
        std_error=_sum_error(elpd, counts),
        p_loo=float(counts @ p_loo),
        pointwise=elpd,
        pareto_k=k,
        counts=np.asarray(counts, dtype=np.float64),
        draws=draws,
    )


def _left_out(unit: Array, r_eff: float) -> tuple[float, float, float]:
    """The term of a unit, the k of its weights, its effective parameters; (chains, draws) in."""
    if not varies(unit):
        # Every draw gives the unit the same density: leaving it out changes nothing.
        return float(unit.mean()), 0.0, 0.0
    elpd, k, p_loo = array_stats().loo(unit, r_eff=r_eff)
    # Weights that no Pareto tail fits come as NaN, which no threshold would catch.
    return float(elpd), float(k) if np.isfinite(k) else np.inf, float(p_loo)


def _sum_error(terms: Array, counts: Array) -> float:
    """Standard error of a sum over units, each as often as it counts."""
    total = float(counts.sum())
    if total <= 1:
        return 0.0
    mean = float(counts @ terms) / total
    return float(np.sqrt(total * (counts @ (terms - mean) ** 2) / (total - 1.0)))


def compare_fits(fits: Mapping[str, LeaveOneOut], units: str) -> tuple[FitRow, ...]:
    """Models fitted to the same units, best first.

    Parameters
    ----------
    fits : mapping of str to LeaveOneOut
        By the name of the model.
    units : str
        What is left out, in the plural: `participants`, `answers`.

    Returns
    -------
    tuple of FitRow
        `difference` is to the best and so at most 0; its standard error is paired over units. Notes say where
        either cannot be relied on.

    Raises
    ------
    EstimationError
        The models are not of the same units.

    References
    ----------
    Sivula, Magnusson, Matamoros and Vehtari (2025), arXiv 2008.10296: when the difference's error can be trusted.

    Examples
    --------
    >>> import numpy as np
    >>> random = np.random.default_rng(1)
    >>> counts = np.array([620.0, 380.0])
    >>> def fit(mean):
    ...     logit = random.normal(mean, 0.05, size=(4, 500))
    ...     return leave_one_out(-np.logaddexp(0, np.stack([-logit, logit], axis=-1)), counts)
    >>> rows = compare_fits({"far": fit(1.5), "near": fit(0.5)}, "answers")
    >>> [(row.model, round(row.difference)) for row in rows]
    [('near', 0), ('far', -107)]
    """
    first = next(iter(fits.values()))
    for name, one in fits.items():
        if not np.array_equal(one.counts, first.counts):
            raise EstimationError(
                Fault(
                    "this model was fitted to other units than the first", "Compare fits to the same data", value=name
                )
            )
    order = sorted(fits, key=lambda name: -fits[name].elpd)
    best = fits[order[0]]
    return tuple(_fit_row(name, fits[name], best, units) for name in order)


def _fit_row(name: str, fit: LeaveOneOut, best: LeaveOneOut, units: str) -> FitRow:
    terms = fit.pointwise - best.pointwise
    difference, error = float(fit.counts @ terms), _sum_error(terms, fit.counts)
    notes = []
    total = round(float(fit.counts.sum()))
    if fit.high_k:
        notes.append(
            f"{fit.high_k} of {total} {units} weigh so much that importance weights cannot leave them out "
            f"(Pareto k over {fit.threshold:.2f}); this row is then too favourable"
        )
    if fit is not best and abs(difference) < CLOSE:
        notes.append(f"predicts as well as the best: the difference is under {CLOSE:g}")
    elif fit is not best and total < FEW_UNITS:
        notes.append(f"with {total} {units} the error of the difference is too small")
    return FitRow(
        model=name,
        elpd=fit.elpd,
        std_error=fit.std_error,
        p_loo=fit.p_loo,
        difference=difference,
        difference_std_error=error,
        units=units,
        high_k=fit.high_k,
        note="; ".join(notes),
    )
