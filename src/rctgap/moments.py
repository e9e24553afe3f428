"""Moments: the means that the data estimate directly, each as rows with values and item weights."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.design import Arm
from rctgap.errors import EstimandError, Fault
from rctgap.estimands import CONDITIONALS, Estimand, MomentKey, flow_keys
from rctgap.patterns import run_rows
from rctgap.scores import StageScores

__all__ = ["Moment", "item_mix", "leaning", "moments_of", "reference_mix"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Block = Literal["answers", "runs"]

ROUNDING = 1e-12
NO_MIX = "no mix to compare with: some AI-arm answers carry no item, or the first stage leans on the control mean"
NO_ITEMS = "its rows carry no item"


@dataclass(frozen=True, slots=True)
class Moment:
    """Rows of one block with a value each, and how their items are weighted (None: each row alike).

    Attributes
    ----------
    rows : ndarray of int, shape (R,)
        Positions in the block's frame.
    values, counts : ndarray, shape (R,)
    items : ndarray of object, shape (R,)
        Item of each row; None where it carries none.
    weights : mapping of item to weight, optional
    centre : mapping of item to weight, optional
        Mix of the mean that residuals are taken from, where it is not `weights`.
    predicted : bool
        Whether `values` are predictions of a working model, for answers whose scores do not enter.
    """

    key: MomentKey
    block: Block
    rows: Codes
    values: Array
    counts: Array
    items: npt.NDArray[np.object_]
    weights: Mapping[str, float] | None = None
    centre: Mapping[str, float] | None = None
    predicted: bool = False

    @property
    def itemless(self) -> bool:
        """Whether some row carries no item."""
        return any(item is None for item in self.items)

    def mean(self) -> float:
        """The weighted mean of the values."""
        if self.weights is None:
            return float(np.average(self.values, weights=self.counts))
        return sum(weight * self._cell_mean(item) for item, weight in self.weights.items())

    def _cell_mean(self, item: str) -> float:
        inside = self.items == item
        return float(np.average(self.values[inside], weights=self.counts[inside]))


def _moment(
    key: MomentKey, block: Block, frame: pd.DataFrame, where: "pd.Series[bool]", values: "pd.Series[float]"
) -> Moment:
    """The rows of a frame that meet a condition and have a value."""
    rows = np.flatnonzero((where & values.notna()).to_numpy())
    part = frame.iloc[rows]
    items = part["item"].astype(object).where(part["item"].notna(), None).to_numpy()
    numbers = np.asarray(values, dtype=np.float64)
    return Moment(key, block, rows.astype(np.intp), numbers[rows], part["count"].to_numpy(dtype=np.float64), items)


def item_mix(scores: StageScores, estimand: Estimand) -> Mapping[str, float] | None:
    """Weights of the items under the estimand; None where each stage keeps its own mix.

    Raises
    ------
    EstimandError
        Standardisation asked for where the AI arms' answers carry no items.
    """
    choice = estimand.item_weights
    if choice == "observed":
        return None
    if isinstance(choice, Mapping):
        return {item: weight for item, weight in choice.items() if weight > 0}
    labels = [arm.label for arm in scores.design.arms]
    frame = scores.answers
    mine = frame[frame["arm"].isin(labels)]
    if bool(mine["item"].isna().any()):
        raise EstimandError(
            Fault(
                "some answers of the AI arms carry no item, so items cannot be weighted",
                "Use item_weights `observed`, or give every answer its item",
                place="estimand.item_weights",
                value=estimand.item_weights_name,
            )
        )
    size = mine.groupby("item", observed=True)["count"].sum()
    if choice == "uniform":
        return {str(item): 1.0 / len(size) for item in size.index}
    return {str(item): float(n) / float(size.sum()) for item, n in size.items()}


def reference_mix(
    scores: StageScores, estimand: Estimand, weights: Mapping[str, float] | None
) -> Mapping[str, float] | None:
    """The mix that the item-mix term compares with: the chosen one, or `trial` where none is chosen."""
    if weights is not None:
        return weights
    try:
        return item_mix(scores, Estimand(items=estimand.items, item_weights="trial"))
    except EstimandError:
        return None


def moments_of(
    scores: StageScores,
    estimand: Estimand,
    weights: Mapping[str, float] | None,
    reference: Mapping[str, float] | None,
    missing: dict[MomentKey, str],
) -> Iterator[Moment]:
    """Every moment that the data give; those that they do not are entered in `missing` with the reason.

    Raises
    ------
    EstimandError
        A cell with positive weight and no observation; `non_users` set to `control` without a control mean.
    """
    chain, design = scores.chain, scores.design
    answers, runs = scores.answers, scores.runs
    control = list(_control_moment(scores, answers, weights, missing))
    yield from control
    filled = _filled(scores, control[0].mean() if control else None) if estimand.non_users == "control" else answers
    for arm in design.arms:
        for stage in chain.names:
            base = _stage_moment(scores, filled, runs, arm, stage)
            yield from _standardised(base, weights, missing)
            if stage in (chain.first, chain.last):
                yield from _mix_moment(base, reference if _mixes(scores, estimand) else None, missing)
        for base in _paired_moments(scores, estimand, answers, arm, missing):
            yield from _standardised(base, weights, missing)


def _mixes(scores: StageScores, estimand: Estimand) -> bool:
    """Whether the gap has a mix term: not where an end leans on the control mean, which has a mix of its own."""
    return estimand.non_users != "control" or scores.chain.stages[0].source == "benchmark"


def _control_moment(
    scores: StageScores, answers: pd.DataFrame, weights: Mapping[str, float] | None, missing: dict[MomentKey, str]
) -> Iterator[Moment]:
    label, last = scores.design.control, scores.chain.last
    if label is not None:
        key = MomentKey(label, last)
        moment = _moment(key, "answers", answers, answers["arm"] == label, answers[last])
        yield from _standardised(moment, weights, missing)


def _filled(scores: StageScores, value: float | None) -> pd.DataFrame:
    """Answers with the task stages of non-users set to the control mean."""
    if value is None:
        raise EstimandError(
            Fault(
                "non_users `control` needs the control arm's mean",
                "Give a control arm with items, or choose `zero` or `exclude`",
                place="estimand.non_users",
            )
        )
    frame = scores.answers
    idle = _idle(scores, frame)
    for stage in scores.trial_stages[:-1]:
        frame[stage.name] = frame[stage.name].where(~idle, value)
    return frame


def _idle(scores: StageScores, frame: pd.DataFrame) -> "pd.Series[bool]":
    return ~frame["used"] & frame["arm"].isin([arm.label for arm in scores.design.arms])


def _stage_moment(scores: StageScores, answers: pd.DataFrame, runs: pd.DataFrame, arm: Arm, stage: str) -> Moment:
    key = MomentKey(arm.label, stage)
    if scores.chain[stage].source == "benchmark":
        return _moment(key, "runs", runs, run_rows(runs, arm.tested), runs["score"])
    return _moment(key, "answers", answers, answers["arm"] == arm.rows_of(stage), answers[stage])


def _paired_moments(
    scores: StageScores, estimand: Estimand, answers: pd.DataFrame, arm: Arm, missing: dict[MomentKey, str]
) -> Iterator[Moment]:
    """What paired steps lose and gain, and the two sides of uptake, from complete pairs."""
    mine = answers["arm"] == arm.label
    for start, to, _ in scores.chain.steps:
        lost, gained = flow_keys(arm.label, to.name)
        ratios = [MomentKey(arm.label, f"{name}:{part}") for name in CONDITIONALS for part in ("hit", "given")]
        keys = [lost, gained, *(ratios if to.name == scores.chain.last else [])]
        reason = _unpaired(scores, arm, start.name, to.name)
        if reason:
            missing.update(dict.fromkeys(keys, reason))
            continue
        before, after = answers[start.name], answers[to.name]
        complete = mine & before.notna() & after.notna()
        functions = {lost: (before - after).clip(lower=0.0), gained: (after - before).clip(lower=0.0)}
        if estimand.non_users == "exclude" and to.name == scores.chain.last and not answers.loc[mine, "used"].all():
            reason = "unpaired: non-users are in the decisions and not in the stage before"
            missing.update(dict.fromkeys(functions, reason))
            functions = {}
        if to.name == scores.chain.last:
            functions |= _conditional(before, after, complete, ratios, missing)
        for key, values in functions.items():
            yield _moment(key, "answers", answers, complete, values)


def _conditional(
    before: "pd.Series[float]",
    after: "pd.Series[float]",
    complete: "pd.Series[bool]",
    keys: list[MomentKey],
    missing: dict[MomentKey, str],
) -> dict[MomentKey, "pd.Series[float]"]:
    whole = before[complete].isin([0.0, 1.0]).all() and after[complete].isin([0.0, 1.0]).all()
    if not whole:
        missing.update(dict.fromkeys(keys, "defined for scores of 0 and 1 only"))
        return {}
    return dict(zip(keys, (before * after, before, (1.0 - before) * after, 1.0 - before), strict=True))


def _unpaired(scores: StageScores, arm: Arm, start: str, to: str) -> str:
    """Why the two stages of a step are not joined on the answer; empty where they are."""
    if scores.chain[start].source == "benchmark":
        return "the benchmark is an independent sample, not paired with answers"
    if not scores.paired:
        return "marginal counts do not tell which answers were right at both stages"
    borrowed = next((name for name in (start, to) if arm.borrows(name)), "")
    if borrowed:
        return f"unpaired: {borrowed} is borrowed from {arm.rows_of(borrowed)}"
    return next((scores.unpaired[arm.label, name] for name in (start, to) if (arm.label, name) in scores.unpaired), "")


def _standardised(
    moment: Moment, weights: Mapping[str, float] | None, missing: dict[MomentKey, str]
) -> Iterator[Moment]:
    """The moment under the item weights, where its rows allow it."""
    if moment.rows.size == 0:
        missing[moment.key] = "no answer has both scores"
    elif weights is None:
        yield moment
    elif moment.itemless:
        missing[moment.key] = f"not standardised: {NO_ITEMS}"
    elif absent := [item for item in weights if item not in set(moment.items)]:
        _refuse_empty_cell(moment.key, absent[0])
        missing[moment.key] = f"item {absent[0]} has weight and no complete pair"
    else:
        yield replace(moment, weights=weights)


def _refuse_empty_cell(key: MomentKey, item: str) -> None:
    if ":" in key.name:
        return
    raise EstimandError(
        Fault(
            f"item {item!r} has weight and no score at {key.name!r} in arm {key.arm!r}",
            "Leave the item out (named weights), or use item_weights `observed`",
            place="estimand.item_weights",
        )
    )


def _mix_moment(base: Moment, reference: Mapping[str, float] | None, missing: dict[MomentKey, str]) -> Iterator[Moment]:
    """The stage at its own mix minus the stage at the reference mix, from arm-by-item cells."""
    key = MomentKey(base.key.arm, f"mix:{base.key.name}")
    if reference is None or base.itemless:
        missing[key] = f"needs items: {NO_ITEMS}" if base.itemless else NO_MIX
    elif not set(reference) <= set(base.items):
        missing[key] = "an item with weight has no score at this stage"
    else:
        own = pd.Series(base.counts).groupby(base.items).sum() / base.counts.sum()
        shift = {str(item): float(share) - reference.get(str(item), 0.0) for item, share in own.items()}
        kept = {item: gap if abs(gap) > ROUNDING else 0.0 for item, gap in shift.items()}
        yield replace(base, key=key, weights=kept, centre=reference)


def leaning(scores: StageScores, estimand: Estimand, moments: Sequence[Moment]) -> Mapping[MomentKey, float]:
    """How much of each moment is the control mean, standing in for non-users."""
    if estimand.non_users != "control":
        return {}
    idle = np.asarray(_idle(scores, scores.answers), dtype=np.float64)
    task = {stage.name for stage in scores.trial_stages[:-1]}
    return {
        one.key: replace(one, values=idle[one.rows]).mean()
        for one in moments
        if one.block == "answers" and one.key.name in task
    }
