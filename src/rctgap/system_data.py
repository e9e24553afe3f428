"""What a system of equations is fitted to: answers with every stage, covariates centred, common regressors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Estimand
from rctgap.estimates import StageEstimates
from rctgap.moments import item_mix
from rctgap.patterns import covariate_column
from rctgap.scores import StageScores

__all__ = ["Regressors", "SystemData", "refuse_unequal_rows", "regressors", "system_data"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Flags = npt.NDArray[np.bool_]

TINY = 1e-12
SINGULAR = 1e-10


def refuse_unequal_rows(scores: StageScores, estimand: Estimand) -> None:
    """The equations of a system are for the same answers."""
    loan = next((f"{one.stage} of arm {arm.label!r}" for arm in scores.design.arms for one in arm.borrowed), None)
    reasons = {
        "stages are given as marginal counts, so that no answer has them all": not scores.paired,
        f"stage {loan} is borrowed, so that its rows are another arm's": loan is not None,
        f"non-users are left out or filled in (non_users {estimand.non_users!r})": scores.non_users() > 0
        and estimand.non_users != "zero",
    }
    found = [Fault(what, "Use the plug-in estimator", place="estimator") for what, holds in reasons.items() if holds]
    if found:
        raise EstimationError(*found)


@dataclass(frozen=True, slots=True)
class SystemData:
    """Answers of the AI arms and the control arm, one row each.

    Attributes
    ----------
    frame : DataFrame
    weights : mapping of item to weight, optional
    covariates : ndarray, shape (N, c)
        Centred over all rows.
    clusters : ndarray of int, shape (N,)
        Participants, or answers where they are not identified.
    treated, complete : ndarray of bool, shape (N,)
        Rows of AI arms; rows with a score at every stage of their arm.
    """

    frame: pd.DataFrame
    weights: Mapping[str, float] | None
    covariates: Array
    clusters: Codes
    treated: Flags
    complete: Flags

    def part(self, arms: list[str]) -> Flags:
        """Complete rows of some arms."""
        return self.complete & self.frame["arm"].isin(arms).to_numpy()


def system_data(plain: StageEstimates) -> SystemData:
    """The answers behind an estimate, each row once, with the items that carry weight."""
    scores, labels = plain.scores, [arm.label for arm in plain.scores.design.arms]
    weights = item_mix(scores, plain.estimand)
    answers = scores.answers
    kept = answers["arm"].isin([*labels, scores.design.control])
    kept &= True if weights is None else answers["item"].isin(weights)
    frame = answers[kept].loc[lambda rows: rows.index.repeat(rows["count"].astype("int64"))].reset_index(drop=True)
    treated = frame["arm"].isin(labels).to_numpy()
    stages = [stage.name for stage in scores.trial_stages]
    complete = np.where(treated, frame[stages].notna().all(axis=1), frame[scores.chain.last].notna())
    people = pd.factorize(frame["participant"])[0] if scores.participants else np.arange(len(frame))
    return SystemData(frame, weights, _centred(frame, scores), np.asarray(people, dtype=np.intp), treated, complete)


def _centred(frame: pd.DataFrame, scores: StageScores) -> Array:
    """Covariates as numbers, text as an indicator of each level but the first, minus their means."""
    columns = frame[[covariate_column(name) for name in scores.covariates]]
    numbers = pd.get_dummies(columns, drop_first=True, dtype=np.float64) if len(columns.columns) else columns
    values = numbers.to_numpy(dtype=np.float64)
    return np.asarray(values - values.mean(axis=0) if values.size else values)


@dataclass(frozen=True, slots=True)
class Regressors:
    """The common regressors of some arms' rows.

    Attributes
    ----------
    matrix : ndarray, shape (n, p)
        Cells (arm, or arm by item), then each arm times each covariate.
    targets : ndarray, shape (m, p)
        The mean of each arm at the covariates' centre.
    slopes : ndarray, shape (m, c, p)
        Picks each arm's slopes.
    """

    matrix: Array
    targets: Array
    slopes: Array


def regressors(data: SystemData, arms: list[str]) -> Regressors:
    """The regressors of the complete rows of some arms.

    Raises
    ------
    EstimationError
        An arm, or an item with weight, without a complete row; covariates that are collinear.
    """
    rows = data.part(arms)
    mix: dict[str | None, float] = {None: 1.0}
    if data.weights is not None:
        mix = dict(data.weights.items())
    cells = [(arm, item) for arm in arms for item in mix]
    frame, z = data.frame[rows], data.covariates[rows]
    mine = np.array([frame["arm"] == arm for arm in arms], dtype=np.float64)
    inside = np.array([(frame["arm"] == arm) & (item is None or frame["item"] == item) for arm, item in cells])
    _refuse_empty(cells, inside)
    matrix = np.column_stack([inside.T.astype(np.float64), *(one[:, None] * z for one in mine)])
    _refuse_collinear(matrix)
    m, c, p = len(arms), z.shape[1], matrix.shape[1]
    targets, slopes = np.zeros((m, p)), np.zeros((m, c, p))
    for a, arm in enumerate(arms):
        targets[a, : len(cells)] = [mix[item] if owner == arm else 0.0 for owner, item in cells]
        slopes[a, :, len(cells) + a * c : len(cells) + (a + 1) * c] = np.eye(c)
    return Regressors(matrix, targets, slopes)


def _refuse_empty(cells: list[tuple[str, str | None]], inside: Flags) -> None:
    empty = next((cell for cell, rows in zip(cells, inside, strict=True) if not rows.any()), None)
    if empty is not None:
        arm, item = empty
        where = f"arm {arm!r}" if item is None else f"arm {arm!r} on item {item!r}"
        allowed = "Use the plug-in estimator, or leave the item out (named weights)"
        raise EstimationError(Fault(f"no answer of {where} has a score at every stage", allowed, place="estimator"))


def _refuse_collinear(matrix: Array) -> None:
    scaled = matrix / np.maximum(np.sqrt((matrix**2).sum(axis=0)), TINY)
    if np.linalg.eigvalsh(scaled.T @ scaled)[0] < SINGULAR:
        what = "the covariates do not vary within an arm, or are collinear with each other or with the items"
        raise EstimationError(Fault(what, "Leave one out", place="covariates"))
