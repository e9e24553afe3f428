"""Sufficient statistics: every moment as a weighted sum of cell means, and what each unit holds in each cell."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from rctgap.errors import EstimandError, Fault
from rctgap.estimands import Estimand, MomentKey, flow_keys
from rctgap.scores import StageScores, run_rows
from rctgap.trial import Arm
from rctgap.variance import Cells, Units

__all__ = ["SufficientStatistics", "item_mix", "sufficient_statistics"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]
type Block = Literal["answers", "runs"]

NO_ITEMS = "its rows carry no item"


@dataclass(frozen=True, slots=True)
class SufficientStatistics:
    """All that an estimator of means needs, in arrays.

    Attributes
    ----------
    moments : tuple of MomentKey
        J moments, the order of `values` and of the rows of `loading`.
    values : ndarray, shape (J,)
    means : ndarray, shape (C,)
        Cell means.
    loading : ndarray, shape (J, C)
        Weight of each cell in each moment's influence.
    cells : Cells
        C cells.
    answers, runs : Units
        Answer patterns and benchmark runs, residuals from the cell means.
    participants : Units or None
        Participants, residuals from the cell means; None where they are not identified.
    by_item : Units or None
        Items, residuals from each moment's own weighted mean; likewise `item_answers`,
        `item_participants`, the other clusterings of the same residuals.
    itemless : ndarray of bool, shape (C,)
        Cells with rows that carry no item, which cannot enter an inference about items.
    missing : mapping of MomentKey to str
        Moments that these data do not give, and why.
    """

    moments: tuple[MomentKey, ...]
    values: Array
    means: Array
    loading: Array
    cells: Cells
    answers: Units
    runs: Units
    participants: Units | None
    by_item: Units | None
    item_answers: Units
    item_participants: Units | None
    itemless: npt.NDArray[np.bool_]
    missing: Mapping[MomentKey, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Moment:
    """Rows of one block with a value each, and how their items are weighted (None: not at all)."""

    key: MomentKey
    block: Block
    rows: Codes
    values: Array
    weights: Mapping[str, float] | None
    centre: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class _Columns:
    """The long table: one line per moment and row, with the cell that it falls into."""

    moment: Codes
    row: Codes
    column: Codes
    value: Array
    block: npt.NDArray[np.bool_]


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
    if isinstance(choice, Mapping):
        return {item: weight for item, weight in choice.items() if weight > 0}
    if choice == "uniform":
        return {str(item): 1.0 / len(size) for item in size.index}
    return {str(item): float(n) / float(size.sum()) for item, n in size.items()}


def sufficient_statistics(scores: StageScores, estimand: Estimand) -> SufficientStatistics:
    """Reduce stage scores to cells and units under an estimand.

    Raises
    ------
    EstimandError
        A cell with positive weight and no observation, named; or weights that need items
        where the answers carry none.
    """
    answers, runs = scores.answers, scores.runs
    weights = item_mix(scores, estimand)
    reference = _reference_mix(scores, estimand, weights)
    missing: dict[MomentKey, str] = {}
    moments = list(_moments(scores, answers, runs, weights, reference, missing))
    plugged = _plugged_control(scores, estimand, moments, weights)
    return _assemble(scores, answers, runs, moments, missing, plugged)


def _reference_mix(
    scores: StageScores, estimand: Estimand, weights: Mapping[str, float] | None
) -> Mapping[str, float] | None:
    """The mix that the item-mix term compares with: the chosen one, or `trial` where none is chosen."""
    if weights is not None:
        return weights
    try:
        return item_mix(scores, Estimand(items=estimand.items, item_weights="trial"))
    except EstimandError:
        return None


def _moments(
    scores: StageScores,
    answers: pd.DataFrame,
    runs: pd.DataFrame,
    weights: Mapping[str, float] | None,
    reference: Mapping[str, float] | None,
    missing: dict[MomentKey, str],
) -> Iterator[_Moment]:
    chain, design = scores.chain, scores.design
    for arm in design.arms:
        for stage in chain.names:
            base = _stage_rows(scores, answers, runs, arm, stage)
            yield from _with_items(base, weights, answers, runs, missing)
            if stage in (chain.first, chain.last):
                yield from _mix_moment(base, reference, answers, runs, missing)
        for base in _paired_moments(scores, answers, arm, missing):
            yield from _with_items(base, weights, answers, runs, missing)
    if design.control is not None:
        rows, values = _observed(answers, answers["arm"] == design.control, answers[chain.last])
        control = _Moment(MomentKey(design.control, chain.last), "answers", rows, values, None)
        yield from _with_items(control, weights, answers, runs, missing)


def _observed(frame: pd.DataFrame, where: "pd.Series[bool]", values: "pd.Series[float]") -> tuple[Codes, Array]:
    rows = np.flatnonzero((where & values.notna()).to_numpy())
    return rows, values.to_numpy(dtype=np.float64)[rows]


def _stage_rows(scores: StageScores, answers: pd.DataFrame, runs: pd.DataFrame, arm: Arm, stage: str) -> _Moment:
    key = MomentKey(arm.label, stage)
    if scores.chain[stage].source == "benchmark":
        rows, values = _observed(runs, run_rows(runs, arm.tested), runs["score"])
        return _Moment(key, "runs", rows, values, None)
    rows, values = _observed(answers, answers["arm"] == arm.rows_of(stage), answers[stage])
    return _Moment(key, "answers", rows, values, None)


def _paired_moments(
    scores: StageScores, answers: pd.DataFrame, arm: Arm, missing: dict[MomentKey, str]
) -> Iterator[_Moment]:
    """What paired steps lose and gain, and the two sides of uptake, from complete pairs."""
    mine = answers["arm"] == arm.label
    for start, to, _ in scores.chain.steps:
        lost, gained = flow_keys(arm.label, to.name)
        ratios = [MomentKey(arm.label, f"{name}:{part}") for name in ("uptake", "self_rescue") for part in ("hit", "given")]
        keys = [lost, gained, *(ratios if to.name == scores.chain.last else [])]
        reason = _unpaired(scores, arm, start.name, to.name)
        if reason:
            missing.update(dict.fromkeys(keys, reason))
            continue
        before, after = answers[start.name], answers[to.name]
        complete = mine & before.notna() & after.notna()
        functions = {lost: (before - after).clip(lower=0.0), gained: (after - before).clip(lower=0.0)}
        if to.name == scores.chain.last:
            functions |= _conditional(arm, before, after, complete, ratios, missing)
        for key, values in functions.items():
            rows, found = _observed(answers, complete, values)
            yield _Moment(key, "answers", rows, found, None)


def _conditional(
    arm: Arm,
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
    return ""


def _block_items(moment: _Moment, answers: pd.DataFrame, runs: pd.DataFrame) -> "pd.Series[str]":
    frame = answers if moment.block == "answers" else runs
    return frame["item"].iloc[moment.rows]


def _with_items(
    moment: _Moment,
    weights: Mapping[str, float] | None,
    answers: pd.DataFrame,
    runs: pd.DataFrame,
    missing: dict[MomentKey, str],
) -> Iterator[_Moment]:
    if moment.rows.size == 0:
        missing[moment.key] = "no answer has both scores"
    elif weights is None:
        yield moment
    elif bool(_block_items(moment, answers, runs).isna().any()):
        missing[moment.key] = f"not standardised: {NO_ITEMS}"
    else:
        yield _weighted(moment, weights, answers, runs)


def _weighted(moment: _Moment, weights: Mapping[str, float], answers: pd.DataFrame, runs: pd.DataFrame) -> _Moment:
    present = set(_block_items(moment, answers, runs))
    for item in weights:
        if item not in present:
            raise EstimandError(
                Fault(
                    f"item {item!r} has weight and no score at {moment.key.name!r} in arm {moment.key.arm!r}",
                    "Leave the item out (named weights), or use item_weights `observed`",
                    place="estimand.item_weights",
                )
            )
    return _Moment(moment.key, moment.block, moment.rows, moment.values, weights)


def _mix_moment(
    base: _Moment,
    reference: Mapping[str, float] | None,
    answers: pd.DataFrame,
    runs: pd.DataFrame,
    missing: dict[MomentKey, str],
) -> Iterator[_Moment]:
    """The stage at its own mix minus the stage at the reference mix, from arm-by-item cells."""
    key = MomentKey(base.key.arm, f"mix:{base.key.name}")
    items = _block_items(base, answers, runs)
    if reference is None or bool(items.isna().any()):
        missing[key] = f"needs items: {NO_ITEMS}"
        return
    if not set(reference) <= set(items):
        missing[key] = "an item with weight has no score at this stage"
        return
    frame = answers if base.block == "answers" else runs
    size = frame["count"].iloc[base.rows].groupby(items.to_numpy()).sum()
    own = {str(item): float(n) / float(size.sum()) for item, n in size.items()}
    shift = {item: own[item] - reference.get(item, 0.0) for item in own}
    yield _Moment(key, base.block, base.rows, base.values, shift, reference)


@dataclass(frozen=True, slots=True)
class _Plugged:
    """Task-stage scores of non-users set to the control mean: which moments, and the share of weight they hold."""

    value: float
    shares: Mapping[MomentKey, float]


def _plugged_control(
    scores: StageScores, estimand: Estimand, moments: list[_Moment], weights: Mapping[str, float] | None
) -> _Plugged | None:
    """Replace blanks of non-users by the control mean, in place of their rows; returns how much each moment leans on it."""
    if estimand.non_users != "control":
        return None
    control = next((m for m in moments if m.key == MomentKey(scores.design.control or "", scores.chain.last)), None)
    if control is None:
        raise EstimandError(
            Fault("non_users `control` needs the control arm's mean", "Give a control arm with items, or choose `zero` or `exclude`", place="estimand.non_users")
        )
    answers = scores.answers
    value = _mean(control, answers, weights)
    names = [stage.name for stage in scores.trial_stages if stage.name != scores.chain.last]
    idle = (~answers["used"]).to_numpy()
    shares: dict[MomentKey, float] = {}
    for position, moment in enumerate(moments):
        arm = next((arm for arm in scores.design.arms if arm.label == moment.key.arm), None)
        if arm is None or moment.key.name not in names or arm.borrows(moment.key.name):
            continue
        added = np.flatnonzero((answers["arm"] == arm.label).to_numpy() & idle)
        rows = np.concatenate([np.setdiff1d(moment.rows, added), added])
        kept = answers[moment.key.name].to_numpy(dtype=np.float64)[rows]
        filled = np.where(idle[rows], value, kept)
        moments[position] = _Moment(moment.key, moment.block, rows, filled, moment.weights)
        indicator = _Moment(moment.key, moment.block, rows, idle[rows].astype(np.float64), moment.weights)
        shares[moment.key] = _mean(indicator, answers, weights)
    return _Plugged(value, shares)


def _mean(moment: _Moment, frame: pd.DataFrame, weights: Mapping[str, float] | None) -> float:
    count = frame["count"].to_numpy(dtype=np.float64)[moment.rows]
    if weights is None:
        return float(np.average(moment.values, weights=count))
    items = frame["item"].iloc[moment.rows].to_numpy()
    return float(
        sum(
            weight * np.average(moment.values[items == item], weights=count[items == item])
            for item, weight in weights.items()
        )
    )


def _assemble(
    scores: StageScores,
    answers: pd.DataFrame,
    runs: pd.DataFrame,
    moments: list[_Moment],
    missing: dict[MomentKey, str],
    plugged: _Plugged | None,
) -> SufficientStatistics:
    frames = {"answers": answers, "runs": runs}
    long: list[tuple[Codes, Codes, Codes, Array]] = []
    loads: list[tuple[int, int, float]] = []
    groups: list[str] = []
    centre_weights: list[float] = []
    offset = 0
    for index, moment in enumerate(moments):
        frame = frames[moment.block]
        names, codes = _local_cells(moment, frame)
        inside = codes >= 0
        long.append(
            (
                np.full(int(inside.sum()), index, dtype=np.intp),
                moment.rows[inside],
                codes[inside] + offset,
                moment.values[inside],
            )
        )
        for position, name in enumerate(names):
            weight = 1.0 if moment.weights is None else moment.weights[name]
            centre = weight if moment.centre is None else moment.centre.get(name, 0.0)
            loads.append((index, offset + position, weight))
            centre_weights.append(centre)
            groups.append(_group(scores, moment, name))
        offset += len(names)
    return _tabulate(scores, frames, moments, missing, plugged, long, loads, groups, np.array(centre_weights))


def _local_cells(moment: _Moment, frame: pd.DataFrame) -> tuple[list[str], Codes]:
    if moment.weights is None:
        return [""], np.zeros(moment.rows.size, dtype=np.intp)
    names = sorted(moment.weights)
    lookup = {name: code for code, name in enumerate(names)}
    items = frame["item"].iloc[moment.rows]
    return names, items.map(lookup).fillna(-1).to_numpy(dtype=np.intp)


def _group(scores: StageScores, moment: _Moment, item: str) -> str:
    """The arm-by-item cell of the design that the rows come from."""
    arm = next((one for one in scores.design.arms if one.label == moment.key.arm), None)
    if moment.block == "runs":
        return f"runs\x1f{arm.tested if arm else ''}\x1f{item}"
    stage = moment.key.name.rpartition(":")[2]
    rows_of = arm.rows_of(stage) if arm and stage in scores.chain.names else moment.key.arm
    return f"answers\x1f{rows_of}\x1f{item}"


def _tabulate(
    scores: StageScores,
    frames: Mapping[str, pd.DataFrame],
    moments: list[_Moment],
    missing: dict[MomentKey, str],
    plugged: _Plugged | None,
    long: list[tuple[Codes, Codes, Codes, Array]],
    loads: list[tuple[int, int, float]],
    groups: list[str],
    centre_weights: Array,
) -> SufficientStatistics:
    width = len(groups)
    moment, row, column, value = (np.concatenate(part) for part in zip(*long, strict=True))
    is_run = np.array([one.block == "runs" for one in moments])[moment]
    count = np.empty(row.size)
    for name, where in (("answers", ~is_run), ("runs", is_run)):
        count[where] = frames[name]["count"].to_numpy(dtype=np.float64)[row[where]]
    size = np.bincount(column, count, width)
    mean = np.bincount(column, count * value, width) / size
    loading = sp.coo_array(
        ([w for _, _, w in loads], ([j for j, _, _ in loads], [c for _, c, _ in loads])), (len(moments), width)
    ).toarray()
    values = loading @ mean
    own = np.array([j for j, _, _ in loads])
    centre = np.bincount(own, centre_weights * mean, len(moments))[own]
    if plugged is not None:
        loading = _lean_on_control(scores, moments, loading, plugged)
    table = _Long(row, column, value, count, is_run, width)
    people, items = frames["answers"]["participant"], [frames[name]["item"] for name in ("answers", "runs")]
    answers, runs = table.rows(mean, frames)
    free_answers, free_runs = table.rows(centre, frames)
    itemless = table.itemless(items)
    return SufficientStatistics(
        tuple(one.key for one in moments),
        values,
        mean,
        loading,
        Cells(size, np.unique(groups, return_inverse=True)[1]),
        answers,
        runs,
        table.participants(mean, people) if scores.participants else None,
        table.items(centre, items) if not itemless.all() else None,
        free_runs.stacked_on(free_answers),
        free_runs.stacked_on(table.participants(centre, people)) if scores.participants else None,
        itemless,
        missing,
    )


def _lean_on_control(scores: StageScores, moments: list[_Moment], loading: Array, plugged: _Plugged) -> Array:
    keys = [one.key for one in moments]
    control = loading[keys.index(MomentKey(scores.design.control or "", scores.chain.last))]
    extra = np.array([plugged.shares.get(key, 0.0) for key in keys])
    return loading + extra[:, None] * control


@dataclass(frozen=True, slots=True)
class _Long:
    """Scores in long form: one entry per moment and row."""

    row: Codes
    column: Codes
    value: Array
    count: Array
    is_run: npt.NDArray[np.bool_]
    width: int

    def units(self, label: Codes, centre: Array, where: npt.NDArray[np.bool_], weight: Array, multiplicity: Array) -> Units:
        """Residual sums and sizes of the labelled units, from the entries `where`."""
        column = self.column[where]
        weights = weight[where]
        shape = (multiplicity.size, self.width)
        place = (label[where], column)
        residuals = sp.coo_array((weights * (self.value[where] - centre[column]), place), shape).tocsr()
        sizes = sp.coo_array((weights, place), shape).tocsr()
        return Units(residuals, sizes, multiplicity)

    def rows(self, centre: Array, frames: Mapping[str, pd.DataFrame]) -> tuple[Units, Units]:
        """Each pattern a unit that stands for `count` alike ones: answers, then runs."""
        ones = np.ones_like(self.value)
        found = [
            self.units(self.row, centre, where, ones, frames[name]["count"].to_numpy(dtype=np.float64))
            for name, where in (("answers", ~self.is_run), ("runs", self.is_run))
        ]
        return found[0], found[1]

    def participants(self, centre: Array, people: "pd.Series[str]") -> Units:
        """Each participant a unit."""
        codes, names = pd.factorize(people)
        label = codes[np.where(self.is_run, 0, self.row)] if len(codes) else self.row
        return self.units(label, centre, ~self.is_run, self.count, np.ones(len(names)))

    def items(self, centre: Array, items: "Iterable[pd.Series[str]]") -> Units:
        """Each item a unit, over answers and runs; entries without an item are left out."""
        label, size = self._item_codes(items)
        return self.units(label, centre, label >= 0, self.count, np.ones(size))

    def itemless(self, items: "Iterable[pd.Series[str]]") -> npt.NDArray[np.bool_]:
        """Cells with an entry that carries no item."""
        label, _ = self._item_codes(items)
        return np.bincount(self.column, label < 0, self.width) > 0

    def _item_codes(self, items: "Iterable[pd.Series[str]]") -> tuple[Codes, int]:
        both = list(items)
        codes, names = pd.factorize(pd.concat(both, ignore_index=True))
        return codes[np.where(self.is_run, self.row + len(both[0]), self.row)], len(names)
