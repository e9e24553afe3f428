"""Covariate adjustment for precision: a working model in each arm and stage, averaged over all randomised answers."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special
from statsmodels.genmod.families import Binomial
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning, PerfectSeparationWarning

from rctgap.documents import nearest
from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Estimand
from rctgap.moments import Moment
from rctgap.patterns import covariate_column
from rctgap.scores import StageScores

__all__ = ["CHOICES", "Adjusted", "Adjustment", "Choice", "adjusted", "chosen_adjustment"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Adjustment = Literal["linear", "logistic"]
type Choice = Adjustment | Literal["none"]

CHOICES: Sequence[Choice] = ("linear", "logistic", "none")
SEPARATED = 1e-8
STEP = 1e-10
MOST_STEPS = 100
ROUNDING = 1e-12

_WORDS: Mapping[str, str] = {
    "linear": "interacted linear regression (Lin 2013)",
    "logistic": "logistic g-computation",
}


@dataclass(frozen=True, slots=True)
class Adjusted:
    """Moments of which the adjusted ones stand as two that share a key and add up; and what a reader must know."""

    moments: tuple[Moment, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Design:
    """Columns of the working models over all answers, shape (R, q), and the covariate behind each column."""

    columns: Array
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Problem:
    """One arm and stage: N randomised answers to average over, and the n of them whose scores are fitted.

    Attributes
    ----------
    rows : ndarray of int, shape (N,)
        Positions in the answers.
    design : ndarray, shape (N, p)
        Intercept or item dummies, then covariates.
    item : ndarray of int, shape (N,)
        Column of the row's intercept or item dummy.
    count, average : ndarray, shape (N,)
        Answers alike, and their weight in the mean, which sums to 1.
    own : ndarray of int, shape (n,)
        Rows that are fitted.
    score : ndarray, shape (n,)
    spread : ndarray, shape (n,)
        Scores in the row's cell over the cell's weight: turns an influence into a score of the cell.
    """

    rows: Codes
    design: Array
    item: Codes
    count: Array
    average: Array
    own: Codes
    score: Array
    spread: Array

    @property
    def cells(self) -> int:
        """How many columns of the design are the intercept or item dummies."""
        return int(self.item.max()) + 1


@dataclass(frozen=True, slots=True)
class _Fit:
    """Predictions of a working model, and their slopes in its linear predictor, shape (N,) each."""

    predicted: Array
    slope: Array


def chosen_adjustment(scores: StageScores, adjustment: Choice | None) -> Adjustment | None:
    """The working model asked for; `linear` where answers carry covariates and nothing is said, None for `none`.

    Raises
    ------
    EstimationError
        An unknown name, or a working model without covariates.
    """
    if adjustment is None:
        return "linear" if scores.covariates else None
    if adjustment not in CHOICES:
        what, allowed = "not a known adjustment", nearest(str(adjustment), CHOICES)
        raise EstimationError(Fault(what, allowed, place="adjustment", value=str(adjustment)))
    if not scores.covariates and adjustment != "none":
        what, allowed = "the answers carry no covariate to adjust for", "Name them: score_stages(..., covariates=[...])"
        raise EstimationError(Fault(what, allowed, place="adjustment", value=adjustment))
    return None if adjustment == "none" else adjustment


def adjusted(scores: StageScores, estimand: Estimand, moments: Sequence[Moment], adjustment: Adjustment) -> Adjusted:
    """Replace the stage means of answers by means adjusted for the covariates that the answers carry.

    Parameters
    ----------
    scores : StageScores
        With `covariates`.
    estimand : Estimand
    moments : sequence of Moment
        The unadjusted ones. Benchmark runs, flows, both sides of a conditional and mix terms stay as they are.
    adjustment : {"linear", "logistic"}
        Least squares, or a logistic regression with its canonical link.

    Returns
    -------
    Adjusted

    Raises
    ------
    EstimationError
        A covariate that is constant, or determined by the items and the other covariates in some arm;
        fewer participants than the working model needs; marginal counts; non-users set to the control mean.

    Notes
    -----
    With f a working model of the score X on covariates x (and on item dummies where items are weighted), fitted to
    the rows of one arm and stage, the adjusted mean is ::

        sum_s pi_s mean over all randomised answers to item s of f(x, s)

    and its residuals average to zero over the fitted rows. Its influence has two parts: ``f - mean`` of every
    randomised answer, and the residual ``X - f`` of a fitted one times ``h = g' M^-1 z``, where z is the row of the
    design, M the information of the fit and g the gradient of the mean in the coefficients. h is 1 where the
    covariates of the fitted rows balance those of all answers; it carries the variance of the coefficients, which is
    that of the stacked estimating equations. Residuals are scaled by ``(G - 1) / (G - 1 - q)`` in the
    variance, G the participants fitted (answers where they are not identified) and q the columns of covariates.

    References
    ----------
    Lin (2013), doi 10.1214/12-AOAS583; Freedman (2008), doi 10.1214/08-STS262; Tsiatis, Davidian, Zhang and Lu
    (2008), doi 10.1002/sim.3113; Stefanski and Boos (2002), doi 10.1198/000313002753631330.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap import adjustment, moments
    >>> frame = pd.DataFrame({
    ...     "arm": "a1", "hard": [0, 0, 1, 1], "talk": 1, "decision": [1, 0, 1, 0], "count": [30, 10, 20, 40]
    ... })
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("talk"), rg.Stage("decision")], covariates=["hard"])
    >>> plain = list(moments.moments_of(scores, rg.Estimand("fixed"), None, None, {}))
    >>> found = adjustment.adjusted(scores, rg.Estimand("fixed"), plain, "linear").moments
    >>> [(one.predicted, one.rows.size, round(abs(one.mean()), 12)) for one in found if one.key.name == "decision"]
    [(True, 4, 0.5), (False, 4, 0.0)]
    """
    _refuse(scores, estimand)
    frame = scores.answers
    design = _design(scores, frame)
    idle = _arms_without_some_users(scores, frame) if estimand.non_users == "exclude" else frozenset()
    stages = {stage.name for stage in scores.trial_stages}
    found: list[Moment] = []
    apart: list[str] = []
    for moment in moments:
        if moment.block == "runs" or moment.key.name not in stages:
            found.append(moment)
            continue
        users_only = moment.key.name != scores.chain.last and _rows_of(scores, moment) in idle
        pair, reason = (
            ((), "it speaks of users alone") if users_only else _pair(scores, frame, design, moment, adjustment)
        )
        found.extend(pair or (moment,))
        apart.extend([f"{moment.key.name} in arm {moment.key.arm}: {reason}"] if reason else [])
    return Adjusted(tuple(found), tuple(_notes(scores, adjustment, apart)))


def _notes(scores: StageScores, adjustment: Adjustment, apart: Sequence[str]) -> Iterator[str]:
    yield (
        f"Stage means of answers are adjusted for {', '.join(scores.covariates)} by {_WORDS[adjustment]}, fitted "
        "within each arm and stage and averaged over all randomised answers. Standard errors count the coefficients "
        "as estimated, to first order. Benchmark means, flows, uptake, self-rescue and item mix are not adjusted."
    )
    if apart:
        yield f"Not adjusted: {'; '.join(apart)}."


def _refuse(scores: StageScores, estimand: Estimand) -> None:
    if not scores.paired:
        what = "the trial gives marginal counts, which do not tell whose covariates go with which score"
        raise EstimationError(
            Fault(what, "Give scores answer by answer, or leave the covariates out", place="covariates")
        )
    if estimand.non_users == "control" and scores.non_users():
        what = "covariates cannot be adjusted for where non-users take the control mean"
        raise EstimationError(
            Fault(what, "Choose non_users `zero` or `exclude`, or leave the covariates out", place="estimand.non_users")
        )


def _rows_of(scores: StageScores, moment: Moment) -> str:
    """The arm whose rows carry the moment."""
    arm = next((one for one in scores.design.arms if one.label == moment.key.arm), None)
    return arm.rows_of(moment.key.name) if arm else moment.key.arm


def _arms_without_some_users(scores: StageScores, frame: pd.DataFrame) -> frozenset[str]:
    """AI arms with non-users: who would use the system in another arm is not known, so users cannot be pooled."""
    labels = [arm.label for arm in scores.design.arms]
    return frozenset(frame.loc[~frame["used"] & frame["arm"].isin(labels), "arm"].astype(str))


def _design(scores: StageScores, frame: pd.DataFrame) -> _Design:
    """Numbers standardised, categories as dummies without their first level, over all randomised answers."""
    columns: list[Array] = []
    names: list[str] = []
    for name in scores.covariates:
        values = frame[covariate_column(name)]
        found = list(_number(values)) if pd.api.types.is_numeric_dtype(values) else list(_dummies(values))
        if not found:
            what, allowed = "a covariate has the same value in every answer", "Leave it out"
            raise EstimationError(Fault(what, allowed, place="covariates", value=name))
        columns += found
        names += [name] * len(found)
    return _Design(np.column_stack(columns), tuple(names))


def _number(values: "pd.Series[float]") -> Iterator[Array]:
    numbers = values.to_numpy(dtype=np.float64)
    centred = numbers - numbers.mean()
    scale = np.abs(centred).max()
    if scale > ROUNDING * max(1.0, float(np.abs(numbers).max())):
        yield centred / scale


def _dummies(values: "pd.Series[str]") -> Iterator[Array]:
    for level in sorted(values.unique())[1:]:
        yield (values == level).to_numpy(dtype=np.float64)


def _pair(
    scores: StageScores, frame: pd.DataFrame, design: _Design, moment: Moment, adjustment: Adjustment
) -> tuple[tuple[Moment, ...], str]:
    """Predictions and residuals of one arm and stage as two moments; none where it has no fit, with the reason."""
    problem = _problem(frame, design, moment)
    if float(np.ptp(problem.score)) == 0.0:
        return (), ""
    room = _room(scores, frame, design, moment, problem)
    _refuse_dependent(design, moment, problem)
    fit = _least_squares(problem) if adjustment == "linear" else _logistic(problem)
    if fit is None:
        return (), "the logistic fit separates its scores, so the plain mean stands"
    residual = problem.score - fit.predicted[problem.own]
    values = problem.spread * _reach(problem, fit) * residual * np.sqrt(room)
    fitted = problem.rows[problem.own]
    return (
        _part(frame, moment, problem.rows, fit.predicted, predicted=True),
        _part(frame, moment, fitted, values, predicted=False),
    ), ""


def _part(frame: pd.DataFrame, moment: Moment, rows: Codes, values: Array, *, predicted: bool) -> Moment:
    part = frame.iloc[rows]
    items = part["item"].astype(object).where(part["item"].notna(), None).to_numpy()
    counts = part["count"].to_numpy(dtype=np.float64)
    return replace(moment, rows=rows, values=values, counts=counts, items=items, predicted=predicted)


def _problem(frame: pd.DataFrame, design: _Design, moment: Moment) -> _Problem:
    codes, weights = np.zeros(len(frame), dtype=np.intp), np.ones(1)
    if moment.weights is not None:
        names = sorted(moment.weights)
        codes = np.asarray(pd.Index(names).get_indexer(pd.Index(frame["item"].astype(object))), dtype=np.intp)
        weights = np.array([moment.weights[name] for name in names])
    rows = np.flatnonzero(codes >= 0)
    item, count = codes[rows], frame["count"].to_numpy(dtype=np.float64)[rows]
    inside = codes[moment.rows] >= 0
    own = np.searchsorted(rows, moment.rows[inside]).astype(np.intp)
    pooled, fitted = (np.bincount(item[part], count[part], weights.size) for part in (slice(None), own))
    return _Problem(
        rows.astype(np.intp),
        np.column_stack([np.eye(weights.size)[item], design.columns[rows]]),
        item,
        count,
        weights[item] * count / pooled[item],
        own,
        moment.values[inside],  # noqa: PD011 - a record's field
        fitted[item[own]] / weights[item[own]],
    )


def _room(scores: StageScores, frame: pd.DataFrame, design: _Design, moment: Moment, problem: _Problem) -> float:
    """(G - 1) / (G - 1 - q), which undoes the shrinking of residuals by q coefficients from G clusters."""
    fitted = problem.rows[problem.own]
    answers = float(problem.count[problem.own].sum())
    people: float = frame["participant"].iloc[fitted].nunique() if scores.participants else answers
    size = design.columns.shape[1]
    if people - 1 <= size or answers <= problem.design.shape[1]:
        who = "participants" if scores.participants else "answers"
        raise EstimationError(
            Fault(
                f"{moment.key.name} in arm {moment.key.arm!r} has {people:.0f} {who} ({answers:.0f} answers) for "
                f"{problem.design.shape[1]} coefficients, {size} of them of covariates",
                "Name fewer covariates, or merge levels",
                place="covariates",
            )
        )
    return float((people - 1) / (people - 1 - size))


def _refuse_dependent(design: _Design, moment: Moment, problem: _Problem) -> None:
    """Every column of covariates must add to those before it, in the rows fitted."""
    fitted = problem.design[problem.own]
    rank = np.linalg.matrix_rank
    size = fitted.shape[1]
    if rank(fitted) == size:
        return
    first = size - len(design.names)
    position = next(at for at in range(first, size) if rank(fitted[:, : at + 1]) <= rank(fitted[:, :at]))
    raise EstimationError(
        Fault(
            f"in arm {moment.key.arm!r} at {moment.key.name!r} this covariate, or one of its levels, is constant or "
            "follows from the items and the covariates before it",
            "Leave it out, or merge its rare levels",
            place="covariates",
            value=design.names[position - first],
        )
    )


def _least_squares(problem: _Problem) -> _Fit:
    root = np.sqrt(problem.count[problem.own])
    fitted = problem.design[problem.own] * root[:, None]
    coefficients = np.linalg.lstsq(fitted, problem.score * root, rcond=None)[0]
    return _Fit(problem.design @ coefficients, np.ones(problem.rows.size))


def _logistic(problem: _Problem) -> _Fit | None:
    """Maximum likelihood; None where it lies at infinity. Items whose scores are all 0 or all 1 are fitted exactly."""
    low, high = np.full(problem.cells, np.inf), np.full(problem.cells, -np.inf)
    np.minimum.at(low, problem.item[problem.own], problem.score)
    np.maximum.at(high, problem.item[problem.own], problem.score)
    sure = (low == high) & np.isin(low, (0.0, 1.0))
    settled = sure[problem.item]
    free = problem.own[~settled[problem.own]]
    design = np.column_stack([problem.design[:, : problem.cells][:, ~sure], problem.design[:, problem.cells :]])
    if free.size == 0 or np.linalg.matrix_rank(design[free]) < design.shape[1]:
        return None
    coefficients = _canonical_logit(design[free], problem.score[~settled[problem.own]], problem.count[free])
    predicted = special.expit(design @ coefficients)
    if _separated(predicted[free]):
        return None
    chance = np.where(settled, low[problem.item], predicted)
    return _Fit(chance, np.where(settled, 0.0, predicted * (1.0 - predicted)))


def _canonical_logit(design: Array, score: Array, count: Array) -> Array:
    model = GLM(score, design, family=Binomial(), freq_weights=count)
    with warnings.catch_warnings():
        # What these say is tested on the fitted values, and told in the notes of the estimates.
        for kind in (PerfectSeparationWarning, ConvergenceWarning, RuntimeWarning):
            warnings.simplefilter("ignore", kind)
        return np.asarray(model.fit(maxiter=MOST_STEPS, tol=STEP, tol_criterion="params").params, dtype=np.float64)


def _separated(fitted: Array) -> bool:
    """Whether some fitted chance has run off to 0 or 1, or the fit to nowhere."""
    return not bool((np.minimum(fitted, 1.0 - fitted) > SEPARATED).all())


def _reach(problem: _Problem, fit: _Fit) -> Array:
    """How far a fitted row's residual moves the mean through the coefficients: g' M^-1 z, shape (n,)."""
    gradient = problem.design.T @ (problem.average * fit.slope)
    own = problem.design[problem.own]
    weight = problem.count[problem.own] * fit.slope[problem.own]
    kept = (own * weight[:, None] != 0).any(axis=0)
    own, gradient = own[:, kept], gradient[kept]
    information = (own * weight[:, None]).T @ own
    return np.asarray(own @ np.linalg.solve(information, gradient), dtype=np.float64)
