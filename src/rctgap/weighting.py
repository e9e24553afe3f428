"""Scored answers weighted by the inverse of their chance to be scored, as scores that any estimator of means takes."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Estimand
from rctgap.missing import missing_scores, refuse_marginal
from rctgap.patterns import covariate_column
from rctgap.scores import StageScores, due

__all__ = ["Chances", "inverse_probability", "scoring_chances"]

type Array = npt.NDArray[np.float64]
type Rows = npt.NDArray[np.bool_]

SMALL_CHANCE = 0.05
SEPARATED = 1e-8
TOLERANCE = 1e-12


@dataclass(frozen=True, slots=True)
class Chances:
    """Chances to be scored at one stage of one arm.

    Attributes
    ----------
    rows : ndarray of bool, shape (N,)
        Answer patterns that should have a score.
    chance : ndarray, shape (N,)
        Their estimated chance; 1 elsewhere.
    predictors : tuple of str
        What the chance was estimated from.
    smallest, largest_weight : float
        Smallest chance of these answers, and largest inverse of a scored one's.
    note : str
        Said where the smallest is below 0.05.
    """

    rows: Rows
    chance: Array
    predictors: tuple[str, ...]
    smallest: float
    largest_weight: float
    note: str


def scoring_chances(scores: StageScores) -> Mapping[tuple[str, str], Chances]:
    """Estimated chance of each answer to be scored, by arm and stage, where a score is missing.

    A logistic regression per arm and stage on items, strata, covariates and, at the last stage, on whether the
    participant used the system. Answers of an item (stratum, category) that is scored throughout have chance 1, the
    limit of the maximum likelihood estimate, and the others are fitted without them. Covariates that tell which
    answers are scored bring these near 1 likewise.

    Raises
    ------
    EstimationError
        Marginal counts; an item, stratum or category without any score; covariates that tell which answers are missing.
    """
    refuse_marginal(scores, "weighting for missing scores")
    return {rows: _chances(scores, *rows) for rows in missing_scores(scores)}


def _chances(scores: StageScores, arm: str, stage: str) -> Chances:
    frame = scores.answers
    last = stage == scores.chain.last
    rows = due(frame, arm, everyone=last)
    part = frame[rows]
    factors, numbers = _predictors(part, scores, last=last)
    scored = part[stage].notna().to_numpy()
    inside = _fitted(scored, part["count"].to_numpy(dtype=np.float64), factors, numbers, f"{stage} in arm {arm}")
    chance = np.ones(len(frame))
    chance[rows.to_numpy()] = inside
    largest = float((1.0 / inside[scored]).max())
    smallest = float(inside.min())
    note = (
        f"The chance of a score at {stage} in arm {arm} is estimated at {smallest:.3f} for some answers, "
        f"and the largest weight is {largest:.1f}: few answers stand in for many."
        if smallest < SMALL_CHANCE
        else ""
    )
    return Chances(rows.to_numpy(), chance, tuple(map(_name, (*factors, *numbers))), smallest, largest, note)


def _predictors(
    part: pd.DataFrame, scores: StageScores, *, last: bool
) -> "tuple[dict[str, pd.Series[str]], dict[str, pd.Series[float]]]":
    """Categories and numbers that vary among these answers; a blank is a category of its own."""
    columns = {"item": part["item"], "stratum": part["stratum"]}
    if last:
        columns["used"] = part["used"]
    columns |= {covariate_column(name): part[covariate_column(name)] for name in scores.covariates}
    varying = {name: column for name, column in columns.items() if len(column.drop_duplicates()) > 1}
    numeric = {name for name, column in varying.items() if column.dtype == np.float64}
    factors = {name: one.astype("string").fillna("") for name, one in varying.items() if name not in numeric}
    return factors, {name: varying[name] for name in varying if name in numeric}


def _name(column: str) -> str:
    """A predictor as a reader knows it."""
    return column.removeprefix(covariate_column(""))


def _fitted(
    scored: Rows,
    count: Array,
    factors: "Mapping[str, pd.Series[str]]",
    numbers: "Mapping[str, pd.Series[float]]",
    place: str,
) -> Array:
    """Chance of each answer to be scored; levels that are scored throughout are settled at 1 beforehand."""
    open_ = np.ones(scored.size, dtype=bool)
    labels = {name: one.to_numpy() for name, one in factors.items()}
    settled = True
    while settled:
        settled = False
        for name, label in labels.items():
            for level in np.unique(label[open_]):
                rows = open_ & (label == level)
                if not scored[rows].any():
                    _refuse_silent_level(name, level, place, first=bool(open_.all()))
                if scored[rows].all():
                    open_ &= ~rows
                    settled = True
    columns = [label[open_] == level for label in labels.values() for level in np.unique(label[open_])[1:]]
    columns += [_scaled(np.asarray(one, dtype=np.float64)[open_]) for one in numbers.values()]
    design = np.column_stack([np.ones(int(open_.sum())), *columns])
    chance = np.ones(scored.size)
    chance[open_] = _logistic(scored[open_], design, count[open_], place)
    return chance


def _scaled(values: Array) -> Array:
    spread = float(values.std())
    return np.asarray((values - values.mean()) / spread if spread > 0 else np.zeros_like(values))


def _refuse_silent_level(name: str, level: str, place: str, *, first: bool) -> None:
    aside = "" if first else "aside from what is scored throughout, "
    raise EstimationError(
        Fault(
            f"{aside}no answer with {_level(name, level)} has a score at {place}, so none can stand in for the others",
            "Exclude such answers with a reason, or use worst-case bounds",
            place="missing",
            value="inverse_probability",
        )
    )


def _level(name: str, level: str) -> str:
    """An item by its name; covariates and strata may be confidential, so of them the column alone."""
    return f"{_name(name)} {level!r}" if name == "item" else f"one of the levels of {_name(name)}"


def _logistic(scored: Rows, design: Array, count: Array, place: str) -> Array:
    model = GLM(scored.astype(np.float64), design, family=Binomial(), freq_weights=count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PerfectSeparationWarning)
        fit = model.fit(tol=TOLERANCE, maxiter=200)
    chance = np.asarray(fit.fittedvalues, dtype=np.float64)
    if not (chance > SEPARATED).all():
        raise EstimationError(
            Fault(
                f"the covariates tell exactly which answers have no score at {place}, so none can stand in for them",
                "Leave out the covariate that does, or use worst-case bounds",
                place="missing",
                value="inverse_probability",
            )
        )
    return chance


def inverse_probability(scores: StageScores, estimand: Estimand) -> StageScores:
    """Replace scores so that the plain mean of a cell is its mean weighted by inverse chances to be scored.

    Parameters
    ----------
    scores : StageScores
    estimand : Estimand
        Says what a cell is: an arm, or an item in an arm where items are standardised.

    Returns
    -------
    StageScores
        At each stage of each arm that misses scores, every answer that should have one has a pseudo-score, which may
        lie outside [0, 1]. The stage's pairs are empty: what a step loses and gains is not weighted.

    Raises
    ------
    EstimationError
        As for `scoring_chances`.

    Notes
    -----
    With O whether the answer is scored, p its chance and X its score, the cell's weighted (Hajek) mean is
    ``f = sum(O X / p) / sum(O / p)``, and each of its n answers gets ``f + n (O / p) (X - f) / sum(O / p)``. The mean
    of these is f, and their distances from it, over n, are the influence of the answers on f with the chances taken
    as known, which on average overstates the variance. A cell without a scored answer stays empty. Answers whose
    participant never wrote are left to the choice for non-users at the task stages.

    The means are right if, given the predictors, having a score says nothing about what it would be.

    References
    ----------
    Hajek (1971), in Godambe and Sprott, Foundations of Statistical Inference; Seaman and White (2013),
    doi 10.1177/0962280210395740; Lunceford and Davidian (2004), doi 10.1002/sim.1903.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.weighting import inverse_probability
    >>> rows = [("s1", 1, 1, 40), ("s1", 0, 1, 40), ("s2", 0, 0, 20), ("s2", None, 0, 60)]
    >>> frame = pd.DataFrame(rows, columns=["item", "conversation", "decision", "count"]).assign(arm="a1")
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> for one in (scores, inverse_probability(scores, estimand)):
    ...     print(round(rg.estimate_frequentist(one, estimand).value(rg.MomentKey("a1", "conversation")), 6))
    0.4
    0.25
    """
    frame = scores.answers
    notes, unpaired = [], dict(scores.unpaired)
    for (arm, stage), one in scoring_chances(scores).items():
        cell = np.zeros(len(frame), dtype=np.intp)
        if estimand.item_weights != "observed":
            cell = pd.factorize(frame["item"])[0]
        frame[stage] = _pseudo(frame[stage].to_numpy(), frame["count"].to_numpy(dtype=np.float64), one, cell)
        given = ", ".join(one.predictors) or "nothing (as if they were missing completely at random)"
        notes.append(f"Scores at {stage} in arm {arm} are weighted by the inverse of their chance, given {given}.")
        notes += [one.note] if one.note else []
        unpaired[arm, stage] = f"unpaired: scores at {stage} are weighted for those missing, and pairs are not"
    return replace(scores, notes=(*scores.notes, *notes), unpaired=unpaired, _answers=frame)


def _pseudo(values: Array, count: Array, chances: Chances, cell: npt.NDArray[np.intp]) -> Array:
    """Pseudo-scores of the answers that should have a score, cell by cell; the others as they are."""
    weight = np.where(chances.rows & ~np.isnan(values), 1.0 / chances.chance, 0.0)
    known = np.nan_to_num(values)
    result = values.copy()
    for one in np.unique(cell[chances.rows]):
        rows = chances.rows & (cell == one)
        total = float(count[rows] @ weight[rows])
        if total > 0:
            mean = float(count[rows] @ (weight[rows] * known[rows])) / total
            size = float(count[rows].sum())
            result[rows] = mean + size * weight[rows] * (known[rows] - mean) / total
    return result
