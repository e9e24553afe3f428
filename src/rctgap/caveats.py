"""Known limits of the intervals, said where they bite."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from rctgap.estimands import MomentKey
from rctgap.estimates import StageEstimates
from rctgap.moments import item_mix

__all__ = ["coverage_limits", "standing_notes"]

FEW_ITEMS = 8.0
FEW_ERRORS = 10
NEAR_EDGE = 0.1
ONE_ITEM_CARRIES = 0.6


def coverage_limits(estimates: StageEstimates, others: Sequence[StageEstimates] = ()) -> tuple[str, ...]:
    """Warnings on intervals that simulation has shown to cover less than their level.

    Covers the estimates asked for and the item-random ones shown beside them.
    """
    random = next((one for one in (estimates, *others) if one.estimand.items == "random"), None)
    beside = "Items random" if random is estimates else "Items random, shown beside"
    found = [*_lent_mix(estimates), *_excluded(estimates), *_few_errors(estimates), *_single_cells(estimates)]
    if random is not None:
        found.extend(f"{beside}: {text}" for text in _item_limits(random))
    return tuple(dict.fromkeys(found))


def _item_limits(estimates: StageEstimates) -> Iterable[str]:
    found = estimates.statistics
    if found.by_item is None:
        return
    level = f"{100 * estimates.level:.0f} %"
    size = _effective_items(estimates)
    count = found.by_item.multiplicity.size
    if count < FEW_ITEMS:
        yield f"there are {count} items: the simulations behind these intervals start at ten; read them with care."
    elif round(size, 1) < FEW_ITEMS:
        yield (
            f"the item mix is worth {size:.1f} equally weighted items. At a 6:1 mix of ten items "
            f"simulated {level} intervals covered 83 to 90 %; read them as too narrow."
        )
    for key in _stage_keys(estimates):
        who = f"{key.name} in arm {key.arm}"
        value = estimates.value(key)
        if min(value, 1 - value) < NEAR_EDGE:
            yield (
                f"the mean of {who} is {100 * value:.1f} %, near the edge. There simulated {level} "
                "intervals over ten items covered 80 to 91 %; no interval over items offered here is right for it."
            )
        share, item_count = _heaviest_item(estimates, key)
        if share > ONE_ITEM_CARRIES and item_count > 2:  # noqa: PLR2004 - one of two items is always heavier
            yield (
                f"one item carries {100 * share:.0f} % of the item variation of {who}. Where one item in "
                f"ten carries all errors, simulated {level} intervals covered 65 %."
            )


def _stage_keys(estimates: StageEstimates) -> list[MomentKey]:
    return [key for key in _means(estimates) if not _itemless(estimates, key)]


def _itemless(estimates: StageEstimates, key: MomentKey) -> bool:
    return estimates.statistics.lacks_items(estimates.row({key: 1.0}))


def _effective_items(estimates: StageEstimates) -> float:
    """1 / sum of squared item weights of the arms' last stage, the smallest over arms."""
    sizes = []
    for arm in estimates.scores.design.arms:
        key = MomentKey(arm.label, estimates.scores.chain.last)
        if key in estimates.keys and not _itemless(estimates, key):
            weights = _item_weights(estimates, key)
            sizes.append(1.0 / float((weights**2).sum()))
    return min(sizes, default=np.inf)


def _item_weights(estimates: StageEstimates, key: MomentKey) -> npt.NDArray[np.float64]:
    found = estimates.statistics
    loading = found.loading[estimates.keys[key]] / found.cells.size
    units = found.by_item
    assert units is not None  # noqa: S101 - callers ask only where items are known
    weights: npt.NDArray[np.float64] = np.asarray(units.sizes @ loading, dtype=np.float64)
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _heaviest_item(estimates: StageEstimates, key: MomentKey) -> tuple[float, int]:
    """The largest item's share of the summed squared item influences, and the number of items."""
    found = estimates.statistics
    units = found.by_item
    assert units is not None  # noqa: S101 - callers ask only where items are known
    loading = found.loading[estimates.keys[key]] / found.cells.size
    squared = np.asarray(units.residuals @ loading) ** 2
    total = float(squared.sum())
    present = int((np.asarray(units.sizes @ (loading != 0).astype(float)) > 0).sum())
    return (float(squared.max()) / total if total > 0 else 0.0), present


def _excluded(estimates: StageEstimates) -> Iterable[str]:
    if estimates.estimand.non_users == "exclude" and estimates.scores.non_users():
        yield (
            "Non-users are left out of the task stages and kept in the decisions: the outcome step compares different "
            "people and is unpaired."
        )


def _few_errors(estimates: StageEstimates) -> Iterable[str]:
    """Stage means whose symmetric interval rests on few right or few wrong answers."""
    for key in _means(estimates):
        columns = np.flatnonzero(estimates.statistics.loading[estimates.keys[key]])
        sizes, means = estimates.statistics.cells.size[columns], estimates.statistics.means[columns]
        right, wrong = float(sizes @ means), float(sizes @ (1 - means))
        if 0 < min(right, wrong) < FEW_ERRORS and 0 < estimates.value(key) < 1:
            side = "right" if right < wrong else "wrong"
            yield (
                f"{key.name} in arm {key.arm} rests on fewer than {FEW_ERRORS} {side} answers: a symmetric interval "
                "around it is rough and may leave [0, 100] %."
            )


def _means(estimates: StageEstimates) -> list[MomentKey]:
    stages = set(estimates.scores.chain.names)
    return [key for key in estimates.statistics.moments if key.name in stages]


def _single_cells(estimates: StageEstimates) -> Iterable[str]:
    found = estimates.statistics
    if estimates.covariance != "cluster" or found.participants is None:
        return
    used = (found.loading[[estimates.keys[key] for key in _means(estimates)]] != 0).any(axis=0)
    filled: set[int] = set()
    for units in (found.participants, found.runs):
        columns = units.sizes.indices
        filled |= set(columns[units.sizes.data == found.cells.size[columns]].tolist())
    alone = sum(bool(used[column]) for column in filled)
    if alone:
        yield (
            f"{alone} cells of arm, item and stage are filled by one participant or run: {estimates.small_sample} sees "
            "no variation in them, so intervals that use them are too narrow."
        )


def standing_notes(estimates: StageEstimates) -> tuple[str, ...]:
    """What is true of every result of this kind and easily forgotten."""
    notes = ["The order of the stages is a scientific claim; another order would split the gap otherwise."]
    if estimates.estimand.items == "fixed":
        notes.append(
            "Items fixed: intervals speak of these items only; in simulation they covered the truth of the population "
            "of such items 60 to 72 % of the time."
        )
    if _uneven_answers(estimates):
        notes.append("Means weight answers, not participants, and participants gave different numbers of answers.")
    if not isinstance(estimates.estimand.item_weights, str):
        shown = ", ".join(f"{item} {weight:.3g}" for item, weight in estimates.estimand.item_weights.items())
        notes.append(f"Item weights: {shown}.")
    unused = _items_without_weight(estimates)
    if unused:
        notes.append(f"Benchmark items that the item weights leave out: {', '.join(unused)}.")
    if any(arm.borrowed for arm in estimates.scores.design.arms):
        notes.extend(_borrowing(estimates))
    return tuple(notes)


def _items_without_weight(estimates: StageEstimates) -> list[str]:
    mix = item_mix(estimates.scores, estimates.estimand)
    known = estimates.scores.runs["item"].dropna().astype(str).unique()
    return [] if mix is None else sorted(item for item in known if item not in mix)


def _uneven_answers(estimates: StageEstimates) -> bool:
    frame = estimates.scores.answers
    if not estimates.scores.participants:
        return False
    return bool(frame.groupby("participant", observed=True)["count"].sum().nunique() > 1)


def _borrowing(estimates: StageEstimates) -> Iterable[str]:
    for arm in estimates.scores.design.arms:
        for loan in arm.borrowed:
            reason = loan.because.strip().rstrip(".")
            yield f"{loan.stage} of arm {arm.label} is borrowed from arm {loan.arm}: {reason}."


def _lent_mix(estimates: StageEstimates) -> Iterable[str]:
    """A borrowed stage at its observed mix keeps the lender's items."""
    if estimates.estimand.item_weights != "observed":
        return
    for arm in estimates.scores.design.arms:
        for loan in arm.borrowed:
            yield (
                f"{loan.stage} of arm {arm.label} is borrowed from arm {loan.arm} at that arm's item mix; where the "
                "mixes differ, the steps next to it contain the difference."
            )
