"""Whether randomisation left the arms alike: baseline columns and the mix of items."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from rctgap.check_context import CheckContext
from rctgap.design import Design
from rctgap.estimates import StageEstimates
from rctgap.records import CheckResult
from rctgap.results import GapDecomposition
from rctgap.trial import counts

__all__ = ["balance"]

type Array = npt.NDArray[np.float64]

ALPHA = 0.01
MOST_LEVELS = 12
ROLES = ("covariate", "stratum")
RULE = (
    f"The rule: a warning at p < {ALPHA:g}, adjusted by Holm. A p-value cannot show that arms are alike; the largest "
    "standardised difference says how much they differ"
)
NOTHING = (
    "Nothing to compare: no column has the role covariate or stratum and no item is known, in two arms or more. "
    "Declare what was known before treatment."
)
ITEM, REST = "item", "\x00rest"
STILL = 1e-9


@dataclass(frozen=True, slots=True)
class _Column:
    """A baseline column as numbers, one a level where it is none; values are never shown."""

    name: str
    numbers: Array
    arm: npt.NDArray[np.str_]
    unit: npt.NDArray[np.intp]
    weight: Array


def balance(result: GapDecomposition) -> CheckResult:
    """Warn where baseline columns or the mix of items differ between arms by more than chance, with units as clusters.

    References
    ----------
    Rosenbaum and Rubin (1985), doi 10.1080/00031305.1985.10479383.
    """
    estimates = result.estimates
    columns = [] if estimates is None else list(_columns(estimates.plug_in, result.context))
    tested = [(one, p_value) for one in columns if (p_value := _p_value(one)) is not None]
    if not tested:
        return CheckResult("balance", "not_applicable", "", NOTHING)
    adjusted = multipletests([p_value for _, p_value in tested], method="holm")[1]
    apart = [one.name for (one, _), value in zip(tested, adjusted, strict=True) if value < ALPHA]
    told = "; ".join(
        f"{one.name} {_difference(one):.2f} (p {value:.3f})" for (one, _), value in zip(tested, adjusted, strict=True)
    )
    beyond = f" Different: {', '.join(apart)}." if apart else ""
    detail = f"Largest standardised difference between two arms: {told}.{beyond} {RULE}."
    return CheckResult("balance", "warning" if apart else "pass", "", detail)


def _columns(estimates: StageEstimates, context: CheckContext | None) -> Iterator[_Column]:
    """The items of answers, and what the dictionary declares as known before treatment."""
    scores = estimates.scores
    frame = scores.answers
    used = frame[frame["arm"].isin(scores.design.labels) & frame["item"].notna() & (frame["marginal"] == "")]
    if len(set(used["item"])) > 1 and _every_arm(used["arm"], scores.design):
        dummies = _dummies(used["item"].astype(str)).to_numpy(dtype=np.float64)
        yield _Column(ITEM, dummies, *_units(used["arm"], used["participant"], used["count"]))
    if context is not None:
        yield from _declared(context, scores.design)


def _declared(context: CheckContext, design: Design) -> Iterator[_Column]:
    """Every baseline column, confidential ones too, as no value is shown; and whether it is filled in."""
    trial = context.trial
    frame, arm, person = trial.answers, trial.column("arm") or "arm", trial.column("participant")
    frame = frame[frame[arm].isin(design.labels)]
    size = counts(frame, trial.table)
    for field in (one for role in ROLES for one in trial.table.by_role(role) if one.name in frame):
        for name, values in _as_numbers(field.name, frame[field.name]):
            mine = frame.loc[values.index]
            if mine.empty or not _every_arm(mine[arm], design):
                continue
            people = mine[person] if person else pd.Series(pd.NA, index=mine.index)
            numbers = np.asarray(values.to_numpy(dtype=np.float64))
            yield _Column(name, numbers, *_units(mine[arm], people, size[mine.index]))


def _as_numbers(name: str, column: "pd.Series[Any]") -> Iterator[tuple[str, pd.DataFrame]]:
    """A column's values where it has one, and whether it has one; of many levels the commonest and the rest."""
    known = column.dropna()
    number = pd.to_numeric(known, errors="coerce")
    if number.notna().all():
        yield name, number.to_frame()
    else:
        text = known.astype(str)
        common = text.value_counts().index[: MOST_LEVELS - 1]
        merged = text if text.nunique() <= MOST_LEVELS else text.where(text.isin(common), REST)
        yield name, _dummies(merged)
    if len(known) < len(column):
        yield f"{name} missing", column.isna().to_frame()


def _every_arm(found: "pd.Series[str]", design: Design) -> bool:
    """Whether each arm of the design has rows; one alone compares with none."""
    wanted = {*(arm.label for arm in design.arms), *([design.control] if design.control is not None else [])}
    there = wanted & set(found.astype(str))
    return len(there) > 1


def _units(
    arm: "pd.Series[Any]", person: "pd.Series[Any]", size: "pd.Series[Any]"
) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.intp], Array]:
    """Arm, unit and weight of each row; a row without a participant is a unit of its own."""
    named = person.astype("string").fillna(
        pd.Series([f"\x00{place}" for place in range(len(person))], index=person.index)
    )
    labels = np.asarray(arm.astype(str).tolist(), dtype=np.str_)
    codes = np.asarray(pd.factorize(named)[0], dtype=np.intp)
    return labels, codes, np.asarray(size.to_numpy(dtype=np.float64), dtype=np.float64)


def _dummies(levels: "pd.Series[str]") -> pd.DataFrame:
    return pd.get_dummies(levels, drop_first=True, dtype=float)


def _p_value(one: _Column) -> float | None:
    """Joint score test that every number has one mean in all arms, with units as clusters.

    Its variance is that of units dealt to arms by chance: with few units to a level a variance by arm finds
    differences in what is chance alone. Units in several arms were not dealt, and keep the variance they show.
    """
    arms = list(dict.fromkeys(one.arm))
    varying = one.numbers[:, np.ptp(one.numbers, axis=0) > 0]
    if len(arms) < 2 or not varying.shape[1]:  # noqa: PLR2004 - a comparison needs two
        return None
    member = np.column_stack([(one.arm == label).astype(float) for label in arms[1:]])
    residual = varying - np.average(varying, axis=0, weights=one.weight)
    if _binomial_like(one):
        dealt, size, total = member, one.weight, residual * np.sqrt(one.weight)[:, None]
    else:
        first = np.unique(one.unit, return_index=True)[1]
        dealt, size, total = member[first], np.ones(first.size), _by_unit(residual * one.weight[:, None], one.unit)
        if (member != dealt[one.unit]).any():
            apart = member - np.average(member, axis=0, weights=one.weight)
            scores = _by_unit(_crossed(apart, residual * one.weight[:, None]), one.unit)
            return _chi_square(scores.sum(axis=0), scores.T @ scores, STILL * _square(residual, one.weight))
    spread = np.cov(dealt, rowvar=False, fweights=size.astype(np.int64)).reshape(member.shape[1], -1)
    joint = _crossed(member, residual * one.weight[:, None]).sum(axis=0)
    chance: Array = np.kron(spread, total.T @ total).astype(np.float64)
    return _chi_square(joint, chance, STILL * _square(residual, one.weight))


def _by_unit(rows: Array, unit: npt.NDArray[np.intp]) -> Array:
    summed = np.zeros((int(unit.max()) + 1, rows.shape[1]))
    np.add.at(summed, unit, rows)
    return summed


def _crossed(left: Array, right: Array) -> Array:
    """Products of every column of one with every column of the other, row by row."""
    crossed: Array = (left[:, :, None] * right[:, None, :]).reshape(len(left), -1)
    return crossed


def _square(residual: Array, weight: Array) -> float:
    return float((residual**2 * weight[:, None]).sum())


def _chi_square(joint: Array, covariance: Array, still: float) -> float:
    """P-value along what varies; 1 where nothing does, as where everyone answers all items."""
    spread, axes = np.linalg.eigh(covariance)
    free = spread > still
    along = joint @ axes[:, free]
    return float(stats.chi2.sf(float((along**2 / spread[free]).sum()), int(free.sum()))) if free.any() else 1.0


def _binomial_like(one: _Column) -> bool:
    """Whether rows stand for several answers each, without participants: each answer then is a unit."""
    return len(set(one.unit.tolist())) == one.unit.size and bool((one.weight > 1).any())


def _difference(one: _Column) -> float:
    """Largest difference of two arms' means in pooled standard deviations, over the column's levels."""
    largest = 0.0
    for column in one.numbers.T:
        by_arm: Mapping[str, tuple[float, float]] = {
            label: _mean_and_variance(column[one.arm == label], one.weight[one.arm == label])
            for label in dict.fromkeys(one.arm)
        }
        means, variances = zip(*by_arm.values(), strict=True)
        pooled = float(np.sqrt(np.mean(variances)))
        if pooled > 0:
            largest = max(largest, (max(means) - min(means)) / pooled)
    return largest


def _mean_and_variance(values: Array, weight: Array) -> tuple[float, float]:
    mean = float(np.average(values, weights=weight))
    return mean, float(np.average((values - mean) ** 2, weights=weight))
