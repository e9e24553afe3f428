"""Who carries a result: every quantity without one item, and without the participant that moves it most."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.check_records import InfluenceRow
from rctgap.errors import EstimandError, EstimationError
from rctgap.estimands import Contrast, Estimand, MomentKey, contrasts
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import estimate_frequentist
from rctgap.moments import item_mix
from rctgap.patterns import run_rows
from rctgap.quantities import linear
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores

__all__ = ["MOST_ITEMS", "ErrorShare", "carried_by_one", "influence_rows"]

type Array = npt.NDArray[np.float64]

MOST_ITEMS = 100
SHOWN = ("component", "family", "gap", "effect")
MOST_OF = 0.5
FEWEST_ITEMS, FEWEST_WRONG = 5, 10


@dataclass(frozen=True, slots=True)
class ErrorShare:
    """One item that carries most of what is wrong at a stage of an arm, with fewer than half the rows."""

    arm: str
    stage: str
    item: str
    wrong: int
    of: int


def influence_rows(result: GapDecomposition) -> tuple[InfluenceRow, ...]:
    """Every linear quantity without each item, and without the participant that moves it most.

    Parameters
    ----------
    result : GapDecomposition
        With estimates; of a posterior, its plug-in.

    Returns
    -------
    tuple of InfluenceRow
        By item: estimated again without its answers and runs, under the same estimand with weights shared among the
        rest; effects only where the control arm's answers carry items too. By participant: by deletion in closed form
        at constant item weights, one row a quantity, without name, interval or covariates. No rows by item where some
        answers carry none, or where there are more than `MOST_ITEMS`; none by participant where they are not
        identified or non-users take the control mean.

    References
    ----------
    Cook (1977), doi 10.1080/00401706.1977.10489493.
    """
    estimates = result.estimates
    if estimates is None:
        return ()
    plain = estimates.plug_in
    return (*_by_item(plain), *_by_participant(plain))


def _wanted(estimates: StageEstimates) -> list[Contrast]:
    scores = estimates.scores
    return [
        row
        for label, weights in arm_sets(estimates)
        for row in contrasts(scores.chain, label, weights, scores.design.control)
        if row.kind in SHOWN and row.quantity != "item_mix"
    ]


# ---------------------------------------------------------------- items


def _by_item(estimates: StageEstimates) -> Iterator[InfluenceRow]:
    scores = estimates.scores
    items, control = _items(scores), scores.design.control
    known = control is None or bool(_rows_of(scores, [control])["item"].notna().all())
    wanted = [one for one in _wanted(estimates) if known or one.kind != "effect"]
    if not 1 < len(items) <= MOST_ITEMS:
        return
    whole = linear(estimates, [one.coefficients for one in wanted])
    for item in items:
        left = _without(scores, item)
        size = round(float(scores.answers["count"].sum() + scores.runs["count"].sum()))
        size -= round(float(left.answers["count"].sum() + left.runs["count"].sum()))
        try:
            again = _estimated(estimates, left, item)
        except (EstimandError, EstimationError) as error:
            yield from (
                _row(one, "item", item, Linear(None, notes=(error.reason,)), None, estimates, size) for one in wanted
            )
            continue
        found = linear(again, [one.coefficients for one in wanted])
        for one, before, after in zip(wanted, whole, found, strict=True):
            yield _row(one, "item", item, after, before.estimate, estimates, size)


def _items(scores: StageScores) -> list[str]:
    """Items that the AI arms' answers and runs are of; none where some of them carry none."""
    mine = _rows_of(scores, [label for label in scores.design.labels if label != scores.design.control])
    if bool(mine["item"].isna().any()) or bool(scores.runs["item"].isna().any()):
        return []
    return sorted({*mine["item"].astype(str), *scores.runs["item"].astype(str)})


def _rows_of(scores: StageScores, labels: Sequence[str]) -> pd.DataFrame:
    frame = scores.answers
    return frame[frame["arm"].isin(labels)]


def _without(scores: StageScores, item: str) -> StageScores:
    answers, runs = scores.answers, scores.runs
    return replace(
        scores,
        _answers=answers[answers["item"].astype("string") != item].reset_index(drop=True),
        _runs=runs[runs["item"].astype("string") != item].reset_index(drop=True),
    )


def _estimated(estimates: StageEstimates, scores: StageScores, item: str) -> StageEstimates:
    estimand: Estimand = estimates.estimand
    if isinstance(estimand.item_weights, Mapping):
        rest = {name: weight for name, weight in estimand.item_weights.items() if name != item}
        estimand = replace(estimand, item_weights=rest)
    style = estimates.intervals if estimates.intervals in ("t", "few-items", "bounded") else None
    return estimate_frequentist(
        scores,
        estimand,
        estimates.covariance,
        estimates.small_sample,
        estimates.level,
        estimates.adjustment,
        style,
    )


def _row(
    one: Contrast,
    unit: str,
    left_out: str,
    found: Linear,
    before: float | None,
    estimates: StageEstimates,
    size: int | None,
) -> InfluenceRow:
    ends = found.interval
    change = None if found.estimate is None or before is None else found.estimate - before
    return InfluenceRow(
        arm=one.arm,
        quantity=one.quantity,
        unit=unit,
        left_out=left_out,
        estimate=found.estimate,
        lower=ends.lower if ends else None,
        upper=ends.upper if ends else None,
        change=change,
        level=estimates.level,
        n=size,
        note="; ".join(found.notes),
    )


def carried_by_one(estimates: StageEstimates) -> tuple[ErrorShare, ...]:
    """Stages at which one of five or more items, with under half the rows, holds over half of ten wrong scores."""
    scores, found = estimates.plug_in.scores, list[ErrorShare]()
    for arm in scores.design.arms:
        for stage in scores.chain.stages:
            if stage.source == "benchmark":
                runs = scores.runs
                rows = runs[run_rows(runs, arm.tested)].rename(columns={"score": "value"})
            else:
                frame = scores.answers
                rows = frame[frame["arm"] == arm.rows_of(stage.name)].rename(columns={stage.name: "value"})
            share = _largest(rows[rows["value"].notna() & rows["item"].notna()])
            if share is not None:
                found.append(ErrorShare(arm.label, stage.name, *share))
    return tuple(found)


def _largest(rows: pd.DataFrame) -> tuple[str, int, int] | None:
    wrong = ((1.0 - rows["value"]) * rows["count"]).groupby(rows["item"].astype(str)).sum()
    size = rows["count"].groupby(rows["item"].astype(str)).sum()
    total = float(wrong.sum())
    if len(wrong) < FEWEST_ITEMS or total < FEWEST_WRONG:
        return None
    item = str(wrong.idxmax())
    most = float(wrong[item])
    if most <= MOST_OF * total or float(size[item]) >= MOST_OF * float(size.sum()):
        return None
    return item, round(most), round(total)


# ---------------------------------------------------------------- participants


def _by_participant(estimates: StageEstimates) -> Iterator[InfluenceRow]:
    scores = estimates.scores
    if not scores.participants or estimates.estimand.non_users == "control":
        return
    changes = _changes(estimates)
    if changes.empty:
        return
    wanted = _wanted(estimates)
    whole = linear(estimates, [one.coefficients for one in wanted])
    for one, before in zip(wanted, whole, strict=True):
        if before.estimate is None:
            continue
        columns = [key for key in one.coefficients if key in changes.columns]
        weights = np.array([one.coefficients[key] for key in columns])
        moved = changes[columns].to_numpy() @ weights
        if np.isnan(moved).all() or not moved.size:
            continue
        place = int(np.nanargmax(np.abs(moved)))
        after = Linear(before.estimate + float(moved[place]))
        yield _row(
            one, "participant", f"the most influential of {len(changes):,}", after, before.estimate, estimates, None
        )


def _changes(estimates: StageEstimates) -> pd.DataFrame:
    """What deleting each participant does to each stage mean: a row a participant, a column a moment."""
    scores = estimates.scores
    mix = item_mix(scores, estimates.estimand)
    frame, columns = scores.answers, dict[MomentKey, pd.Series]()
    for key in _trial_moments(scores):
        arm = next((one.rows_of(key.name) for one in scores.design.arms if one.label == key.arm), key.arm)
        rows = frame[(frame["arm"] == arm) & frame[key.name].notna()]
        columns[key] = _deleted(rows, key.name, mix)
    return pd.DataFrame(columns).fillna(0.0) if columns else pd.DataFrame()


def _trial_moments(scores: StageScores) -> Sequence[MomentKey]:
    design, chain = scores.design, scores.chain
    found = [MomentKey(arm.label, name) for arm in design.arms for name in chain.trial_names]
    return found if design.control is None else [*found, MomentKey(design.control, chain.last)]


def _deleted(rows: pd.DataFrame, stage: str, mix: Mapping[str, float] | None) -> "pd.Series[float]":
    """Change of a weighted mean of cell means when a participant's answers go; a cell of one participant stays."""
    cell = pd.Series("", index=rows.index) if mix is None else rows["item"].astype(str)
    share = {"": 1.0} if mix is None else mix
    table = pd.DataFrame(
        {"cell": cell, "who": rows["participant"], "n": rows["count"], "x": rows[stage] * rows["count"]}
    )
    mine = table.groupby(["cell", "who"], observed=True)[["n", "x"]].sum()
    total = table.groupby("cell", observed=True)[["n", "x"]].sum()
    size, right = (total[name].reindex(mine.index.get_level_values("cell")).to_numpy() for name in ("n", "x"))
    left = size - mine["n"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = np.where(left > 0, (right - mine["x"].to_numpy()) / left - right / size, 0.0)
    weight = np.array([share.get(name, 0.0) for name in mine.index.get_level_values("cell")])
    return pd.Series(weight * moved, index=mine.index).groupby("who").sum()
