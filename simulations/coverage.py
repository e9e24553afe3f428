"""Coverage of nominal 95 % intervals on a grid of simulated trials: `make simulations` writes simulations/coverage.csv.

A trial has one AI arm and a control arm, its items weighted by the trial's mix (each stage at its own mix where a cell
is empty, and then there is no result for items fixed). Items fixed are judged by the truth of the trial's own items,
items random by that of the population. Every method sees the same trials; resampling methods see the first of them.
"""

import argparse
import itertools
import math
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import rctgap as rg
from rctgap import over_items, quantities
from rctgap.bootstrap import bootstrapped
from rctgap.errors import EstimandError
from rctgap.estimands import contrasts
from rctgap.estimates import IntervalStyle, StageEstimates
from rctgap.inference_by_design import wild_cluster_bootstrap
from rctgap.replication import in_batches

HERE = Path(__file__).parent
SEED = 20261122
LEVEL = 0.95
ARM = {"a1": 1.0}
WANTED = ("own_query", "conversation", "decision", "task", "gap", "predicted_effect", "realized_effect")
TESTED = ("own_query", "gap", "realized_effect")
SHARED = ("own_query", "decision", "task")
MIDDLE = {"benchmark": 0.8, "own_query": 0.7, "conversation": 0.6, "decision": 0.4}
EDGES = {"benchmark": 0.98, "own_query": 0.94, "conversation": 0.9, "decision": 0.06}
PUBLISHED = {"benchmark": 0.947, "own_query": 0.83, "conversation": 0.64, "decision": 0.34}


@dataclass(frozen=True)
class Cell:
    """One cell of the grid; `participants` are those of both arms together."""

    condition: str
    items: int
    participants: int

    def plan(self) -> rg.SimulationPlan:
        """How its trials are drawn."""
        means, control, sd, uneven, skewed = CONDITIONS[self.condition]
        half = self.items // 2
        return rg.SimulationPlan(
            means=means,
            control_mean=control,
            participants=self.participants // 2,
            items=self.items,
            item_sd=sd,
            item_mix=[6.0] * half + [1.0] * (self.items - half) if uneven else None,
            population="bad-items" if skewed else "logit-normal",
        )


# means, control mean, item sd (logit), whether half of the items are answered six times as often, whether one item
# in ten carries the benchmark's errors
CONDITIONS: Mapping[str, tuple[Mapping[str, float], float, float, bool, bool]] = {
    "small item effects": (MIDDLE, 0.47, 0.4, False, False),
    "moderate item effects": (MIDDLE, 0.47, 0.8, False, False),
    "large item effects": (MIDDLE, 0.47, 1.6, False, False),
    "uneven mix": (MIDDLE, 0.47, 0.8, True, False),
    "near 0 and 1": (EDGES, 0.08, 0.8, False, False),
    "near 0 and 1, large item effects, uneven mix": (EDGES, 0.08, 1.6, True, False),
    "one bad item in ten": (PUBLISHED, 0.47, 0.8, False, True),
}
GRID = tuple(Cell(*one) for one in itertools.product(CONDITIONS, (6, 10, 20, 50), (100, 400, 1300)))

type Found = tuple[str, str, str, float, float]


@dataclass(frozen=True)
class Trial:
    """One simulated trial: for each method and quantity, whether the truth is covered, and the width."""

    cell: Cell
    group: str

    def __call__(self, generators: list[np.random.Generator]) -> list[list[Found]]:
        """One list of findings per trial."""
        return [list(self._one(rng)) for rng in generators]

    def _one(self, rng: np.random.Generator) -> Iterator[Found]:
        drawn = rg.simulate_trial(self.cell.plan(), rng)
        random = rg.Estimand(items="random", item_weights="trial")
        fixed = replace(random, items="fixed")
        over_items, these_items = METHODS[self.group]
        try:
            estimates = rg.estimate_frequentist(drawn.scores(), random)
        except EstimandError:
            random = replace(random, item_weights="observed")
            yield from (("fixed", "refused: a cell is empty", name, math.nan, math.nan) for name in WANTED)
            yield from over_items(rg.estimate_frequentist(drawn.scores(), random), _of_arm(drawn, random), rng)
            return
        yield from over_items(estimates, _of_arm(drawn, random), rng)
        yield from these_items(
            replace(estimates, estimand=fixed, covariance="cluster", intervals="t"), _of_arm(drawn, fixed), rng
        )


def _of_arm(drawn: rg.SimulatedTrial, estimand: rg.Estimand) -> dict[str, float]:
    """True quantities and stage means of the AI arm."""
    found = {name: value for (arm, name), value in drawn.truth(estimand).items() if arm == "a1"}
    stages = {f"mean of {key.name}": value for key, value in drawn.means(estimand).items() if key.arm == "a1"}
    return found | stages


def analytic_random(estimates: StageEstimates, truth: Mapping[str, float], _: np.random.Generator) -> Iterator[Found]:
    """Intervals over items from formulas."""
    naive = replace(estimates, estimand=replace(estimates.estimand, items="fixed"), covariance="cluster", intervals="t")
    yield from linear(naive, truth, "random", "items ignored (CR2 by participant)")
    yield from by_item(estimates, truth)
    plain = replace(estimates, intervals="t")
    yield from linear(replace(plain, covariance="item"), truth, "random", "item, t(S-1)")
    yield from linear(plain, truth, "random", "cluster2, t(S-1)", shares=True)
    yield from linear(replace(estimates, intervals="few-items"), truth, "random", "few-items", shares=True)
    yield from linear(replace(estimates, intervals="bounded"), truth, "random", "bounded", shares=True)


def by_item(estimates: StageEstimates, truth: Mapping[str, float]) -> Iterator[Found]:
    """The corrections of the cluster-robust variance by item, with normal and t references."""
    table = over_items.item_table(estimates)
    rows = np.array([estimates.row(one) for one in _rows(estimates).values()])
    values = rows @ estimates.statistics.values  # noqa: PD011 - a record's field
    df, count = table.degrees_of_freedom(rows), table.weights.shape[0]
    plain = np.diag(table.covariance(rows, 0.0)) * count / (count - 1)
    for method, variance, reference in (
        ("CR1 by item, normal", plain, np.full(df.shape, np.inf)),
        ("CR2 by item, Satterthwaite", np.diag(table.covariance(rows)), df),
        ("CR3 by item, t(S-1)", np.diag(table.covariance(rows, 1.0)), np.full(df.shape, count - 1.0)),
        ("CR3 by item, Satterthwaite", np.diag(table.covariance(rows, 1.0)), df),
    ):
        half = stats.t.ppf((1 + LEVEL) / 2, reference) * np.sqrt(variance)
        for name, value, width in zip(_rows(estimates), values, half, strict=True):
            yield "random", method, name, float(abs(value - truth[name]) <= width), float(2 * width)


def analytic_fixed(estimates: StageEstimates, truth: Mapping[str, float], _: np.random.Generator) -> Iterator[Found]:
    """Intervals for these items from formulas."""
    yield from linear(replace(estimates, covariance="robust"), truth, "fixed", "HC1, normal (participants ignored)")
    for name in ("CR1", "CR2", "CR3"):
        reference = "Satterthwaite" if name == "CR2" else "t(G-1)"
        corrected = replace(estimates, small_sample=name)
        yield from linear(corrected, truth, "fixed", f"{name} by participant, {reference}", shares=name == "CR2")


REPLICATES = 399


def resampled_random(
    estimates: StageEstimates, truth: Mapping[str, float], rng: np.random.Generator
) -> Iterator[Found]:
    """Intervals over items from replicates."""
    for kind in ("item", "crossed"):
        yield from bootstraps(estimates, truth, "random", kind, rng)
    seed = int(rng.integers(2**31))
    bayes = bootstrapped(
        estimates, kind="item", interval="percentile", weights="bayesian", replicates=REPLICATES, seed=seed
    )
    yield from linear(bayes, truth, "random", "Bayesian bootstrap by item")


def resampled_fixed(estimates: StageEstimates, truth: Mapping[str, float], rng: np.random.Generator) -> Iterator[Found]:
    """Intervals for these items from replicates."""
    yield from bootstraps(estimates, truth, "fixed", "participant", rng)


def bootstraps(
    estimates: StageEstimates, truth: Mapping[str, float], items: str, kind: str, rng: np.random.Generator
) -> Iterator[Found]:
    """Three readings of the same replicates."""
    drawn = bootstrapped(
        estimates, kind=kind, interval="studentized", replicates=REPLICATES, seed=int(rng.integers(2**31))
    )
    for interval in ("percentile", "bca", "studentized"):
        read = replace(drawn, bootstrap=replace(drawn.bootstrap, interval=interval))
        yield from linear(read, truth, items, f"bootstrap by {kind}, {interval}", shares=interval == "percentile")


def wild_random(estimates: StageEstimates, truth: Mapping[str, float], rng: np.random.Generator) -> Iterator[Found]:
    """Wild bootstraps with items as clusters, all sign vectors where there are few."""
    for weights in ("rademacher", "webb"):
        yield from wild(estimates, truth, "random", weights, 1024, rng)


def wild_fixed(estimates: StageEstimates, truth: Mapping[str, float], rng: np.random.Generator) -> Iterator[Found]:
    """Wild bootstrap with participants and runs as clusters."""
    yield from wild(estimates, truth, "fixed", "rademacher", REPLICATES, rng)


def wild(
    estimates: StageEstimates,
    truth: Mapping[str, float],
    items: str,
    weights: str,
    replicates: int,
    rng: np.random.Generator,
) -> Iterator[Found]:
    """Intervals by inversion."""
    rows = {name: row for name, row in _rows(estimates).items() if name in TESTED}
    seed = int(rng.integers(2**31))
    found = wild_cluster_bootstrap(estimates, list(rows.values()), weights=weights, replicates=replicates, seed=seed)
    for name, one in zip(rows, found, strict=True):
        method = f"wild cluster bootstrap, {weights}"
        if one.lower is None:
            yield items, method, name, math.nan, math.nan
        else:
            width = one.upper - one.lower
            covered = float(one.lower <= truth[name] <= one.upper)
            yield items, method, name, covered, width if math.isfinite(width) else math.nan


def _rows(estimates: StageEstimates) -> dict[str, Mapping[object, float]]:
    chain = estimates.scores.chain
    return {one.quantity: one.coefficients for one in contrasts(chain, "a1", ARM, "control") if one.quantity in WANTED}


def linear(
    estimates: StageEstimates, truth: Mapping[str, float], items: str, method: str, *, shares: bool = False
) -> Iterator[Found]:
    """Whether a method's intervals cover, for every quantity that it is asked for."""
    rows = _rows(estimates)
    for name, one in zip(rows, quantities.linear(estimates, list(rows.values())), strict=True):
        if one.interval is None:
            yield items, method, name, math.nan, math.nan
        else:
            lower, upper = one.interval.lower, one.interval.upper
            yield items, method, name, float(lower <= truth[name] <= upper), upper - lower
    if shares:
        found = quantities.shares(estimates, [rows[name] for name in SHARED], rows["gap"])
        for name, share in zip(SHARED, found, strict=True):
            yield items, method, f"share of {name}", _share_covers(share, truth[name] / truth["gap"]), math.nan


def _share_covers(share: object, value: float) -> float:
    one = share.fieller
    if one is None:
        return math.nan
    if one.set_type == "unbounded":
        return 1.0
    inside = one.lower <= value <= one.upper
    return float(inside if one.set_type == "bounded" else not inside)


def stages_random(estimates: StageEstimates, truth: Mapping[str, float], _: np.random.Generator) -> Iterator[Found]:
    """Means of the AI arm's stages, over items."""
    yield from means(estimates, truth, "random", "cluster2, t(S-1)", "t")
    yield from means(estimates, truth, "random", "few-items", "few-items")
    yield from means(estimates, truth, "random", "bounded", "bounded")


def stages_fixed(estimates: StageEstimates, truth: Mapping[str, float], _: np.random.Generator) -> Iterator[Found]:
    """Means of the AI arm's stages, for these items."""
    yield from means(estimates, truth, "fixed", "CR2 by participant, Satterthwaite", "t")


def means(
    estimates: StageEstimates, truth: Mapping[str, float], items: str, method: str, intervals: IntervalStyle
) -> Iterator[Found]:
    """Whether the intervals of stage means cover; each true mean is the decision's plus what was lost on the way."""
    chain = estimates.scores.chain
    rows = [{rg.MomentKey("a1", stage): 1.0} for stage in chain.names]
    found = quantities.linear(replace(estimates, intervals=intervals), rows)
    for stage, one in zip(chain.names, found, strict=True):
        value = truth[f"mean of {stage}"]
        if one.interval is None:
            yield items, method, f"mean of {stage}", math.nan, math.nan
        else:
            lower, upper = one.interval.lower, one.interval.upper
            yield items, method, f"mean of {stage}", float(lower <= value <= upper), upper - lower


METHODS = {
    "stages": (stages_random, stages_fixed),
    "analytic": (analytic_random, analytic_fixed),
    "resampled": (resampled_random, resampled_fixed),
    "wild": (wild_random, wild_fixed),
}


def study(cells: tuple[Cell, ...], group: str, trials: int, workers: int) -> pd.DataFrame:
    """Coverage and mean width by cell, method and quantity, with Monte Carlo errors."""
    parts = []
    with ProcessPoolExecutor(workers) as executor:
        for place, cell in enumerate(GRID):
            if cell not in cells:
                continue
            seed = np.random.SeedSequence([SEED, place])
            found = in_batches(Trial(cell, group), trials, seed, executor=executor)
            parts.append(summary(cell, [row for one in found for row in one], trials))
            print(cell, flush=True)
    return pd.concat(parts, ignore_index=True)


def summary(cell: Cell, rows: list[Found], trials: int) -> pd.DataFrame:
    """One row per method and quantity; trials without an interval are counted, and do not count as covered."""
    frame = pd.DataFrame(rows, columns=["truth", "method", "quantity", "covered", "width"])
    grouped = frame.groupby(["truth", "method", "quantity"], sort=False)
    table = grouped.agg(given=("covered", "count"), coverage=("covered", "mean"), width=("width", "mean")).reset_index()
    table["mc_error"] = np.sqrt(table["coverage"] * (1 - table["coverage"]) / table["given"].clip(lower=1))
    cells = pd.DataFrame([[cell.condition, cell.items, cell.participants, trials]] * len(table))
    cells.columns = ["condition", "items", "participants", "trials"]
    columns = ["truth", "method", "quantity", "given", "coverage", "mc_error", "width"]
    return pd.concat([cells, table[columns].round(4)], axis=1)


def main() -> None:
    """Run a group of methods over the grid and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", choices=list(METHODS), required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--cells", type=int, default=len(GRID), help="only the first cells, to try")
    asked = parser.parse_args()
    table = study(GRID[: asked.cells], asked.group, asked.trials, asked.workers)
    table.to_csv(HERE / f"coverage_{asked.group}.csv", index=False)


if __name__ == "__main__":
    main()
