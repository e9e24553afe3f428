"""From draws of the hierarchical model to draws of the moments that every estimand is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.stats import qmc

from rctgap.design import Arm
from rctgap.estimands import CONDITIONALS, MomentKey, NonUsers, flow_keys
from rctgap.estimates import StageEstimates
from rctgap.model_data import USED, ModelData
from rctgap.models.means import Pair, Step, average, walk
from rctgap.models.parameters import Parameters, Predictor

__all__ = ["MIX_OF_POPULATION", "moment_draws"]

type Array = npt.NDArray[np.float64]
type ByItem = Mapping[str, Array]

NEW_ITEMS = 512
BATCH = 100
MIX_OF_POPULATION = "items are drawn from a population, which has one mix"
NO_ITEMS = "its rows carry no item"


@dataclass(frozen=True, slots=True)
class _Items:
    """Items to average over: these, or new ones of the population.

    Attributes
    ----------
    logits : ndarray, shape (n, S', D)
    effect : ndarray, shape (S' + 1, Q)
        Standardised participant effects at which answers are looked at.
    masses : ndarray, shape (Q,)
    """

    logits: Array
    effect: Array
    masses: Array


def moment_draws(
    data: ModelData, draws: Parameters, plain: StageEstimates, seed: int
) -> tuple[Array, Mapping[MomentKey, str]]:
    """Draws of every moment under an estimand, and why some have none.

    Participants are averaged out: over the model's own grid for items fixed. For items random, 512 new
    items and participants are drawn from the population within each draw, the same quasi-random points in all of them.

    Parameters
    ----------
    data : ModelData
    draws : Parameters
        n draws.
    plain : StageEstimates
        The plug-in under the estimand: its moments, and the items behind each.
    seed : int

    Returns
    -------
    ndarray, shape (n, J)
        Over the plug-in's moments; NaN where the model gives none.
    mapping of MomentKey to str
    """
    random = plain.estimand.items == "random"
    missing = _missing(plain) if random else {}
    points = _population_points(data, seed) if random else None
    weights = None if random else _item_weights(data, plain)
    found = [
        _batch(
            data, draws.rows(slice(start, start + BATCH)), plain, points, weights, np.random.default_rng([seed, start])
        )
        for start in range(0, draws.size, BATCH)
    ]
    table = np.concatenate(found)
    for key in missing:
        table[:, plain.keys[key]] = np.nan
    return table, missing


def _missing(plain: StageEstimates) -> dict[MomentKey, str]:
    """Moments of these items' mix, and those that rest on rows without items, say nothing of a population."""
    found: dict[MomentKey, str] = {}
    for key, place in plain.keys.items():
        row = np.eye(len(plain.keys))[place]
        if key.name.startswith("mix:"):
            found[key] = MIX_OF_POPULATION
        elif plain.statistics.lacks_items(row):
            found[key] = NO_ITEMS
    return found


def _population_points(data: ModelData, seed: int) -> Array:
    """Standard normal points, shape (new items, D + 1): item effects, and a participant's."""
    width = len(data.structure.itemised) + 1
    drawn = qmc.Sobol(width, rng=np.random.default_rng([seed, 7])).random(NEW_ITEMS)
    return np.asarray(stats.norm.ppf(np.clip(drawn, 1e-9, 1 - 1e-9)))


def _item_weights(data: ModelData, plain: StageEstimates) -> Array:
    """Weight of each item, and last of rows that name none, in each moment, shape (J, S + 1)."""
    found = plain.statistics
    entries = found.entries
    place = {item: position for position, item in enumerate(data.structure.items)}
    own = np.array([place[item] for item in entries.items] + [len(place)], dtype=np.intp)
    item = own[entries.item]
    share = entries.count / entries.sizes[entries.column]
    cell = share * found.weights[entries.column]
    moment = found.part_of[found.part[entries.column]]
    table = np.zeros((len(found.moments), len(place) + 1))
    np.add.at(table, (moment, item), cell)
    return table


def _batch(
    data: ModelData,
    draws: Parameters,
    plain: StageEstimates,
    points: Array | None,
    weights: Array | None,
    rng: np.random.Generator,
) -> Array:
    """Moments of some draws, shape (n, J)."""
    items = _these(data, draws) if points is None else _new(draws, points)
    predictor = Predictor.of(data.structure)
    chain, design = plain.scores.chain, plain.scores.design
    table = np.full((draws.size, len(plain.keys)), np.nan)
    found: dict[MomentKey, Array] = {}
    control = None
    if data.control:
        place = data.place(data.control)
        (step,) = walk(predictor, draws, [(place, 0)], items.logits, items.effect, rng)
        found[MomentKey(design.control or "", chain.last)] = average(step.mean, items.masses)
    walked = {label: _arm(data, predictor, draws, items, label, plain, rng) for label in data.segments}
    for arm in design.arms:
        by_item = _stages(data, predictor, draws, items, walked, arm, plain, rng)
        found |= {MomentKey(arm.label, name): values for name, values in by_item.items()}
    for key, position in plain.keys.items():
        values = found.get(key)
        if values is None:
            continue
        if weights is None:
            table[:, position] = values[:, :-1].mean(axis=1)
        else:
            used = weights[position] != 0
            table[:, position] = values[:, used] @ weights[position][used]
        if key == MomentKey(design.control or "", chain.last):
            control = table[:, position]
    if plain.estimand.non_users == "control" and control is not None:
        table += _leaning(plain, walked, items, weights, control)
    return table


def _these(data: ModelData, draws: Parameters) -> _Items:
    points, masses = data.structure.grid
    effect = np.broadcast_to(points, (len(data.structure.items) + 1, points.size))
    return _Items(draws.items, effect, masses)


def _new(draws: Parameters, points: Array) -> _Items:
    """New items of the population, each met by a new participant."""
    logits = draws.population[:, None, :] + points[:, :-1] @ np.swapaxes(draws.chol, 1, 2)
    return _Items(logits, np.append(points[:, -1], 0.0)[:, None], np.ones(1))


@dataclass(frozen=True, slots=True)
class _Walked:
    """What an arm's own rows give: users' steps by stage, the chance to have used, and non-users' decisions."""

    steps: Mapping[str, Step]
    used: Array | None
    idle: Array | None


def _arm(
    data: ModelData,
    predictor: Predictor,
    draws: Parameters,
    items: _Items,
    label: str,
    plain: StageEstimates,
    rng: np.random.Generator,
) -> _Walked:
    steps: dict[str, Step] = {}
    for names in data.segments[label]:
        path = [(data.place(name), data.group(name, label)) for name in names]
        steps |= dict(zip(names, walk(predictor, draws, path, items.logits, items.effect, rng), strict=True))
    if label not in data.idle:
        return _Walked(steps, None, None)
    use = [(data.place(USED), data.group(USED, label))]
    (used,) = walk(predictor, draws, use, items.logits, items.effect, rng)
    last = plain.scores.chain.last
    if last not in steps or "non_user" not in data.structure.responses[data.place(last)].states:
        return _Walked(steps, used.mean, None)
    path = [(data.place(last), data.group(last, label))]
    (idle,) = walk(predictor, draws, path, items.logits, items.effect, rng, "non_user")
    return _Walked(steps, used.mean, idle.mean)


def _stages(
    data: ModelData,
    predictor: Predictor,
    draws: Parameters,
    items: _Items,
    walked: Mapping[str, _Walked],
    arm: Arm,
    plain: StageEstimates,
    rng: np.random.Generator,
) -> ByItem:
    """Moments of one analysed arm by item, each of shape (n, S' + 1)."""
    chain, policy = plain.scores.chain, plain.estimand.non_users
    found: dict[str, Array] = {}
    if data.benchmark:
        path = [(data.place(data.benchmark), data.group(data.benchmark, arm.tested))]
        (alone,) = walk(predictor, draws, path, items.logits, items.effect, rng)
        found[data.benchmark] = average(alone.mean, items.masses)
    for name in [one for one in chain.names if one != data.benchmark]:
        mine = walked[arm.rows_of(name)]
        found[name] = _stage(mine, name, items.masses, policy, last=name == chain.last)
    mine = walked[arm.label]
    for before, after in zip(chain.names, chain.names[1:], strict=False):
        step = mine.steps.get(after)
        if step is None or step.pair is None or arm.borrows(before) or arm.borrows(after):
            continue
        found |= _pairs(
            arm.label, mine, step.pair, step.mean, after, items.masses, policy, before, last=after == chain.last
        )
    return found | {f"mix:{name}": found[name] for name in (chain.first, chain.last)}


def _stage(mine: _Walked, name: str, masses: Array, policy: NonUsers | None, *, last: bool) -> Array:
    """Mean of a stage by item, with non-users as the estimand has them; those at the control mean come later."""
    step = mine.steps[name]
    if mine.used is None:
        return average(step.mean, masses)
    if last and mine.idle is not None:
        return average(mine.used * step.mean + (1 - mine.used) * mine.idle, masses)
    if policy == "zero" and not last:
        return average(mine.used * step.mean, masses)
    return _among_users(mine.used, step.mean, masses)


def _among_users(used: Array, values: Array, masses: Array) -> Array:
    """Means over those who use the system, who differ from the others where participants have effects.

    Whether the system is used does not depend on the item: where each item has a participant of its own, users are
    weighed against those at the other items.
    """
    return average(used * values, masses) / _share_of_users(used, masses)[:, None]


def _share_of_users(used: Array, masses: Array) -> Array:
    """Over all items, shape (n,)."""
    share = average(used, masses)
    items = share[:, :-1] if share.shape[1] > 1 else share
    return np.asarray(items.mean(axis=1))


def _pairs(
    label: str,
    mine: _Walked,
    pair: Pair,
    end: Array,
    after: str,
    masses: Array,
    policy: NonUsers | None,
    before: str,
    *,
    last: bool,
) -> ByItem:
    """What a paired step loses and gains, and the two sides of uptake and self-rescue."""
    lost, gained = (key.name for key in flow_keys(label, after))
    start = mine.steps[before].mean
    whole = {lost: pair.lost, gained: pair.gained}
    if last:
        whole |= dict(zip(_RATIOS, (pair.both, start, end - pair.both, 1 - start), strict=True))
    if mine.used is None:
        return {name: average(values, masses) for name, values in whole.items()}
    if policy != "zero":
        return {name: _among_users(mine.used, values, masses) for name, values in whole.items()}
    rescued = np.zeros_like(start) if mine.idle is None or not last else mine.idle
    idle = {gained: rescued, _RATIOS[2]: rescued, _RATIOS[3]: np.ones_like(start)}
    return {
        name: average(mine.used * values + (1 - mine.used) * idle.get(name, np.zeros_like(start)), masses)
        for name, values in whole.items()
    }


_RATIOS = tuple(f"{name}:{side}" for name in CONDITIONALS for side in ("hit", "given"))


def _leaning(
    plain: StageEstimates,
    walked: Mapping[str, _Walked],
    items: _Items,
    weights: Array | None,
    control: Array,
) -> Array:
    """What non-users at the control mean change in the task stages, shape (n, J)."""
    chain = plain.scores.chain
    task = [stage.name for stage in plain.scores.trial_stages if stage.name != chain.last]
    change = np.zeros((control.size, len(plain.keys)))
    for arm in plain.scores.design.arms:
        for name in task:
            mine = walked[arm.rows_of(name)]
            if mine.used is not None:
                key = MomentKey(arm.label, name)
                place = plain.keys[key]
                users = _stage(mine, name, items.masses, "control", last=False)
                mean = users[:, :-1].mean(axis=1) if weights is None else users @ weights[place]
                change[:, place] = (1 - _share_of_users(mine.used, items.masses)) * (control - mean)
    return change
