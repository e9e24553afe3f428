"""The bootstrap of a whole decomposition: from stage estimates to replicates of every moment."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.cells import SufficientStatistics
from rctgap.documents import nearest
from rctgap.drawing import Block, Weights, collapsed
from rctgap.errors import EstimationError, Fault
from rctgap.estimands import MomentKey, conditionals, contrasts
from rctgap.estimates import Bootstrap, BootstrapInterval, StageEstimates, arm_sets, target_key
from rctgap.replication import DEFAULT_SEED
from rctgap.resampled import FEWEST, STILL
from rctgap.resampling import KINDS, Draw, Kind, Layout, Targets, resample
from rctgap.scores import StageScores

__all__ = ["bootstrapped", "layout_of"]

type Array = npt.NDArray[np.float64]
type Codes = npt.NDArray[np.intp]

INTERVALS = ("percentile", "bca", "studentized")
FIXED_BY_DESIGN = ("mix:", "lost:", "gained:")
MIX = "mix:"
ENOUGH_ITEMS = 30


def layout_of(estimates: StageEstimates, *, every: bool = False) -> Layout:
    """Columns and patterns of the moments that intervals are made for, or of `every` moment.

    Flows and terms of the item mix are among the latter alone. A mix term is the mean at the stage's own mix minus
    that at the reference mix, both given the numbers of answers per item.
    """
    found, scores = estimates.statistics, estimates.scores
    left_out = () if every else FIXED_BY_DESIGN
    wanted = np.array([not key.name.startswith(left_out) for key in found.moments])[found.part_of]
    entries = found.entries
    kept = wanted[found.part[entries.column]]
    pair = entries.column[kept] * (len(entries.items) + 1) + entries.item[kept] + 1
    columns, column = np.unique(pair, return_inverse=True)
    cell, item = np.divmod(columns, len(entries.items) + 1)
    known = np.unique(item[item > 0])
    blocks = tuple(
        _block(found, scores, np.flatnonzero(kept), column.astype(np.intp), columns.size, runs=runs)
        for runs in (False, True)
        if bool((entries.is_run[kept] == runs).any())
    )
    layout = Layout(
        blocks,
        found.part[cell],
        np.where(item > 0, np.searchsorted(known, item), -1),
        np.where(found.standardised[found.part[cell]], found.weights[cell], 1.0),
        found.standardised,
        found.part_of,
        found.leaning,
        found.values,
        known.size,
        np.ones(found.part_of.size),
    )
    return _mix_as_two_means(layout, found, found.cells.size[cell]) if every else layout


def _mix_as_two_means(layout: Layout, found: SufficientStatistics, size: Array) -> Layout:
    """Each term of the item mix, whose weights add up to 0, as two means whose weights add up to 1."""
    is_mix = np.array([key.name.startswith(MIX) for key in found.moments])[found.part_of]
    mine = np.flatnonzero(is_mix[layout.part])
    if not mine.size:
        return layout
    total = np.bincount(layout.part, size, is_mix.size)
    own = size[mine] / total[layout.part[mine]]
    parts, place = np.unique(layout.part[mine], return_inverse=True)
    weight = layout.weight.copy()
    weight[mine] = own
    return replace(
        layout,
        blocks=tuple(
            replace(one, score=np.append(one.score, one.score[mine]), size=np.append(one.size, one.size[mine]))
            for one in layout.blocks
        ),
        part=np.append(layout.part, is_mix.size + place),
        item=np.append(layout.item, layout.item[mine]),
        weight=np.append(weight, own - layout.weight[mine]),
        standardised=np.append(layout.standardised, np.ones(parts.size, dtype=np.bool_)),
        part_of=np.append(layout.part_of, layout.part_of[parts]),
        sign=np.append(layout.sign, -np.ones(parts.size)),
    )


def _block(
    found: SufficientStatistics, scores: StageScores, kept: Codes, column: Codes, width: int, *, runs: bool
) -> Block:
    mine = found.entries.is_run[kept] == runs
    place, column = kept[mine], column[mine]
    row, value, count = found.entries.row[place], found.entries.value[place], found.entries.count[place]
    frame = scores.runs if runs else scores.answers
    if runs or not scores.participants:
        stratum = _codes(frame, ["system", "item"] if runs else ["arm", "stratum"])
        return collapsed(row, column, value, np.ones_like(value), frame["count"].to_numpy(np.float64), stratum, width)
    person = np.asarray(pd.factorize(frame["participant"])[0], dtype=np.intp)
    people = int(person.max()) + 1
    return collapsed(person[row], column, value, count, np.ones(people), _strata_of(frame, person), width)


def _strata_of(frame: pd.DataFrame, person: Codes) -> Codes:
    """Stratum of each participant: the arms they answered in, within the randomisation strata."""
    pairs = pd.DataFrame({"person": person, "stratum": _codes(frame, ["arm", "stratum"])}).drop_duplicates()
    crossed = pairs["person"].duplicated(keep=False)
    labels = pairs["stratum"].astype("string")
    joined = labels[crossed].groupby(pairs.loc[crossed, "person"]).agg(lambda one: "+".join(sorted(one)))
    whole = pd.concat([pd.Series(labels[~crossed].to_numpy(), pairs.loc[~crossed, "person"]), joined]).sort_index()
    return np.asarray(pd.factorize(whole)[0], dtype=np.intp)


def _codes(frame: pd.DataFrame, names: Sequence[str]) -> Codes:
    return np.asarray(frame.groupby(list(names), dropna=False, sort=True, observed=True).ngroup(), dtype=np.intp)


def bootstrapped(
    estimates: StageEstimates,
    *,
    kind: Kind | None = None,
    interval: BootstrapInterval | None = None,
    replicates: int = 10_000,
    weights: Weights = "multinomial",
    seed: int = DEFAULT_SEED,
    executor: Executor | None = None,
    progress: Callable[[Iterable[list[Draw]]], Iterable[list[Draw]]] = iter,
) -> StageEstimates:
    """The same estimates with intervals from the bootstrap, for every quantity of a decomposition.

    Parameters
    ----------
    estimates : StageEstimates
    kind : {"participant", "item", "crossed"}, optional
        What is drawn again: participants within arm and stratum (and runs within item), items with all their
        answers and runs, or both. By default participants for items fixed, items for items random.
    interval : {"percentile", "bca", "studentized"}, optional
        By default `bca` for items fixed, `studentized` for items random.
    replicates : int
    weights : {"multinomial", "bayesian"}
        Draws with replacement, or Dirichlet weights.
    seed : int
        Each replicate has its own spawned generator: workers never change a number.
    executor : concurrent.futures.Executor, optional
    progress : callable
        Wraps the batches of replicates as they come.

    Returns
    -------
    StageEstimates
        With intervals `bootstrap`; hand it to `decompose`.

    Raises
    ------
    EstimationError
        A kind that does not fit the estimand, or needs participants or items that the data lack.

    References
    ----------
    Efron (1987), doi 10.1080/01621459.1987.10478410; Owen and Eckles (2012), doi 10.1214/12-AOAS547.

    Examples
    --------
    >>> import rctgap as rg
    >>> means = {"benchmark": 0.8, "own_query": 0.7, "conversation": 0.6, "decision": 0.4}
    >>> trial = rg.simulate_trial(rg.SimulationPlan(participants=60, means=means), seed=1)
    >>> data = rg.read_trial(trial.answers, benchmark=trial.runs, design=rg.Design("control", ["a1"]))
    >>> scores = rg.score_stages(data, trial.plan.chain)
    >>> estimates = rg.estimate_frequentist(scores, rg.Estimand(items="fixed"))
    >>> result = rg.decompose(rg.bootstrapped(estimates, replicates=200), estimates.estimand)
    >>> result.row("gap").interval
    'bca'
    """
    estimates.require_frequentist("bootstrap intervals")
    random = estimates.estimand.items == "random"
    chosen: Kind = kind or ("item" if random else "participant")
    how: BootstrapInterval = interval or ("studentized" if random else "bca")
    _refuse_senseless(estimates, chosen, how, replicates)
    targets, places = _targets(estimates)
    drawn = resample(
        layout_of(estimates),
        targets,
        kind=chosen,
        times=replicates,
        seed=seed,
        weights=weights,
        studentised=how == "studentized",
        executor=executor,
        progress=progress,
    )
    acceleration = _acceleration(estimates, targets, by_item=chosen != "participant")
    found = Bootstrap(how, replicates, seed, drawn, targets, places, acceleration)
    notes = (*estimates.notes, *_labels(estimates, found))
    return replace(estimates, intervals="bootstrap", bootstrap=found, notes=notes)


def _refuse_senseless(estimates: StageEstimates, kind: str, interval: str, replicates: int) -> None:
    random, scores = estimates.estimand.items == "random", estimates.scores
    fits = ("item", "crossed") if random else ("participant",)
    known = {"kind": (kind, KINDS), "interval": (interval, INTERVALS)}
    for place, (value, words) in known.items():
        if value not in words:
            fault = Fault("not a known choice", nearest(value, words), place=f"bootstrap.{place}", value=value)
            raise EstimationError(fault)
    if kind not in fits:
        what = f"a bootstrap by {kind} makes no sense with items {estimates.estimand.items}"
        raise EstimationError(Fault(what, f"Use {' or '.join(fits)}", place="bootstrap.kind", value=kind))
    if kind != "item" and not scores.participants:
        what = "participants are to be drawn again, and the data do not identify them"
        todo = "Give a column the role `participant`" + (", or choose kind `item`" if random else "")
        raise EstimationError(Fault(what, todo, place="bootstrap.kind", value=kind))
    if replicates < FEWEST:
        what = "too few replicates for an interval"
        raise EstimationError(Fault(what, f"{FEWEST} or more", place="bootstrap.replicates", value=str(replicates)))


def _labels(estimates: StageEstimates, found: Bootstrap) -> tuple[str, ...]:
    drawn, count = found.drawn, len(estimates.statistics.entries.items)
    how = f"Bootstrap by {drawn.kind}, {found.replicates} replicates, {drawn.weights} weights, seed {found.seed}."
    plain = found.interval != "studentized" or drawn.weights == "bayesian"
    if drawn.kind == "participant" or not plain or count >= ENOUGH_ITEMS:
        return (how,)
    which = f"{found.interval.capitalize()} intervals over {count} items"
    if drawn.kind == "crossed":
        return (how, f"{which}, crossed: too wide where items differ little, too narrow where they differ much.")
    return (how, f"{which}: anticonservative; at six and ten items they covered 77 to 89 % for a nominal 95 %.")


def _targets(estimates: StageEstimates) -> tuple[Targets, dict[tuple[bytes, bytes], int]]:
    """Every quantity of a decomposition as a row or a ratio of rows over the moments, and where to find it."""
    none = np.zeros(len(estimates.statistics.moments))
    pairs: list[tuple[Array, Array]] = []
    chain, control = estimates.scores.chain, estimates.scores.design.control
    for label, weights in arm_sets(estimates):
        rows = [one for one in contrasts(chain, label, weights, control) if _given(estimates, one.coefficients)]
        kept = {row.quantity: estimates.row(row.coefficients) for row in rows if row.quantity != "item_mix"}
        pairs += [(row, none) for row in kept.values()]
        if "gap" in kept:
            parts = [kept[row.quantity] for row in rows if row.kind in ("component", "family")]
            pairs += [(part, kept["gap"]) for part in parts]
        for stage in chain.names:
            one = {MomentKey(arm, stage): weight for arm, weight in weights.items() if weight}
            pairs += [(estimates.row(one), none)] if _given(estimates, one) else []
        for ratio in conditionals(label, weights):
            both = ratio.numerator.coefficients, ratio.denominator.coefficients
            if all(_given(estimates, one) for one in both):
                pairs.append((estimates.row(both[0]), estimates.row(both[1])))
    if control is not None:
        pairs.append((estimates.row({MomentKey(control, chain.last): 1.0}), none))
    places = {target_key(top, bottom): place for place, (top, bottom) in enumerate(pairs)}
    top, bottom = (np.array(one) for one in zip(*pairs, strict=True))
    return Targets(top, bottom, bottom.any(axis=1)), places


def _given(estimates: StageEstimates, coefficients: Mapping[MomentKey, float]) -> bool:
    return not any(key in estimates.statistics.missing for key in coefficients)


def _acceleration(estimates: StageEstimates, targets: Targets, *, by_item: bool) -> Array:
    """Skewness of the influence values over six, shape (Q,)."""
    found = estimates.statistics
    moments = np.asarray(found.values)[:, None]
    by_top, by_bottom = targets.slopes(moments)
    loaded = [rows @ found.loading for rows in (targets.top, targets.bottom)]
    blocks = [found.by_item] if by_item else [found.participants, found.runs]
    square, cube = np.zeros(targets.top.shape[0]), np.zeros(targets.top.shape[0])
    for units in blocks:
        if units is not None:
            top, bottom = (units.scaled["CR0"] @ one.T for one in loaded)
            influence = top * by_top[:, 0] + bottom * by_bottom[:, 0]
            square += units.multiplicity @ influence**2
            cube += units.multiplicity @ influence**3
    seen = square > STILL**2
    return np.where(seen, cube / (6 * np.where(seen, square, 1.0) ** 1.5), 0.0)
