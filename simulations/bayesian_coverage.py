"""Coverage of the hierarchical model's 95 % intervals at fixed truths: `make simulations` writes coverage_bayesian.csv.

Trials as in `coverage.py` (one AI arm, a control arm, two answers each, 30 benchmark runs an item), but participants
do not differ: the model is fitted to counts, without participants, and what it conditions on is then true of them.
Item effects are normal on the logit scale as in the model, except where one benchmark item in ten is bad; neighbouring
scores of an answer are correlated normals cut at thresholds, which is close to, but not, the chain of logistic
regressions that is fitted. Items fixed are judged by the truth of the trial's own items at the trial's mix, items
random by that of the population. The frequentist intervals see the same trials, participants included, as any
analysis of them would.

Every trial has its own spawned generator, so the number of workers changes no number. Rows are appended to
results/simulations as they come, and a run that was stopped goes on where it was. Run with `python -P`: the folder of
this file must not be on the path, for `coverage.py` in it has the name of a package that numba looks for.
"""

import argparse
import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

import rctgap as rg
from rctgap import quantities
from rctgap.criticism import convergence
from rctgap.errors import EstimandError
from rctgap.estimands import MomentKey, contrasts
from rctgap.estimates import StageEstimates
from rctgap.model_data import ModelData, model_data
from rctgap.model_moments import moment_draws
from rctgap.models.parameters import parameters_of
from rctgap.models.priors import Priors
from rctgap.models.sampling import OneModel

HERE = Path(__file__).parent
ROWS = HERE.parent / "results" / "simulations"
SEED = 20261123
LEVEL = 0.95
TUNE, DRAWS = 400, 600
ARM, CONTROL = "a1", "control"
WANTED = ("own_query", "conversation", "decision", "task", "outcome", "gap", "predicted_effect", "realized_effect")
DEFAULT = {"benchmark": 0.9, "own_query": 0.8, "conversation": 0.65, "decision": 0.4}
MIDDLE = {"benchmark": 0.8, "own_query": 0.7, "conversation": 0.6, "decision": 0.4}
EDGES = {"benchmark": 0.98, "own_query": 0.94, "conversation": 0.9, "decision": 0.06}
PUBLISHED = {"benchmark": 0.947, "own_query": 0.83, "conversation": 0.64, "decision": 0.34}
KEPT = 3


@dataclass(frozen=True)
class Condition:
    """How trials are drawn, whatever their size."""

    means: Mapping[str, float]
    control: float = 0.47
    item_sd: float = 0.8
    uneven: bool = False
    skewed: bool = False


CONDITIONS: Mapping[str, Condition] = {
    "default means": Condition(DEFAULT),
    "near 0 and 1, large item effects": Condition(EDGES, 0.08, 1.6),
    "uneven mix": Condition(MIDDLE, uneven=True),
    "one bad item in ten": Condition(PUBLISHED, skewed=True),
}


@dataclass(frozen=True)
class Cell:
    """One cell of the study; `participants` are those of both arms together."""

    condition: str
    items: int
    participants: int
    trials: int

    @property
    def label(self) -> str:
        """Name of its file of rows."""
        words = f"{self.condition} {self.items} items {self.participants} participants".replace(",", "").split()
        return "-".join(words)

    def plan(self) -> rg.SimulationPlan:
        """How its trials are drawn."""
        one, half = CONDITIONS[self.condition], self.items // 2
        return rg.SimulationPlan(
            means=one.means,
            control_mean=one.control,
            participants=self.participants // 2,
            items=self.items,
            item_sd=one.item_sd,
            item_mix=[6.0] * half + [1.0] * (self.items - half) if one.uneven else None,
            population="bad-items" if one.skewed else "logit-normal",
            participant_correlation=0.0,
        )


GRID = (
    Cell("default means", 6, 100, 300),
    Cell("default means", 10, 100, 300),
    Cell("default means", 10, 400, 250),
    Cell("default means", 20, 400, 150),
    Cell("near 0 and 1, large item effects", 10, 400, 150),
    Cell("near 0 and 1, large item effects", 20, 400, 60),
    Cell("uneven mix", 10, 400, 150),
    Cell("one bad item in ten", 10, 400, 150),
)

COLUMNS = ("trial", "truth", "method", "quantity", "target", "estimate", "lower", "upper")
BAYESIAN = "hierarchical"


@dataclass(slots=True)
class Compiled:
    """Models compiled in this process, one a number of items."""

    models: dict[int, OneModel] = field(default_factory=dict)

    def of(self, items: int, data: ModelData) -> OneModel:
        """The model of trials with so many items."""
        if items not in self.models:
            self.models[items] = OneModel(data.structure, Priors())
        return self.models[items]


COMPILED = Compiled()


def trial_rows(cell: Cell, number: int, seed: np.random.SeedSequence) -> pd.DataFrame:
    """Every interval of one trial, with the quantity it is for."""
    rng = np.random.default_rng(seed)
    drawn = rg.simulate_trial(cell.plan(), rng)
    scores = drawn.scores()
    whole = model_data(scores)
    data = replace(whole, structure=whole.structure.untied())
    started = time.perf_counter()
    chains = COMPILED.of(cell.items, data).sample(data.structure, draws=DRAWS, tune=TUNE, seed=int(rng.integers(2**31)))
    seconds = time.perf_counter() - started
    flat = {name: one.reshape(-1, *one.shape[2:]) for name, one in chains.draws.items()}
    parameters = parameters_of(data.structure, flat, DRAWS)
    sizes: list[float] = []
    found: list[tuple[object, ...]] = []
    for items in ("random", "fixed"):
        estimates = _plain(scores, items)
        if estimates is None:
            found.extend((items, "refused: a cell is empty", name, *[math.nan] * 4) for name in WANTED)
            continue
        truth = _truth(drawn, estimates.estimand)
        rows = _rows(estimates)
        table, _ = moment_draws(data, parameters, estimates, int(rng.integers(2**31)))
        for name, row in rows.items():
            draws = sum(weight * table[:, estimates.keys[key]] for key, weight in row.items())
            lower, upper = np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
            found.append((items, BAYESIAN, name, truth[name], draws.mean(), lower, upper))
            sizes.append(convergence(draws[None]).ess_bulk or math.nan)
        for method, one in _frequentist(estimates):
            for name, told in zip(rows, quantities.linear(one, list(rows.values())), strict=True):
                ends = (told.interval.lower, told.interval.upper) if told.interval else (math.nan, math.nan)
                found.append((items, method, name, truth[name], told.estimate, *ends))
    frame = pd.DataFrame([(number, *one) for one in found], columns=list(COLUMNS))
    fit = {"divergent": int(chains.stats["diverging"].sum()), "ess": min(sizes), "seconds": round(seconds, 2)}
    return frame.assign(**fit)


def _plain(scores: rg.StageScores, items: str) -> StageEstimates | None:
    """The plug-in at the trial's mix; each stage at its own where a cell is empty, and then none for items fixed."""
    wanted = rg.Estimand(items=items, item_weights="trial")
    try:
        return rg.estimate_frequentist(scores, wanted)
    except EstimandError:
        if items == "fixed":
            return None
        return rg.estimate_frequentist(scores, replace(wanted, item_weights="observed"))


def _frequentist(estimates: StageEstimates) -> Iterator[tuple[str, StageEstimates]]:
    """The intervals to compare with."""
    if estimates.estimand.items == "fixed":
        yield "CR2 by participant, t", replace(estimates, intervals="t")
    else:
        yield "cluster2, t(S-1)", replace(estimates, intervals="t")
        yield "few-items", replace(estimates, intervals="few-items")


def _rows(estimates: StageEstimates) -> dict[str, Mapping[MomentKey, float]]:
    chain = estimates.scores.chain
    found = {one.quantity: one.coefficients for one in contrasts(chain, ARM, {ARM: 1.0}, CONTROL)}
    means = {f"mean of {stage}": {MomentKey(ARM, stage): 1.0} for stage in chain.names}
    return {name: found[name] for name in WANTED} | means


def _truth(drawn: rg.SimulatedTrial, estimand: rg.Estimand) -> dict[str, float]:
    found = {name: value for (arm, name), value in drawn.truth(estimand).items() if arm == ARM}
    return found | {f"mean of {key.name}": value for key, value in drawn.means(estimand).items() if key.arm == ARM}


def run(cell: Cell, trials: int, folder: Path) -> pd.DataFrame:
    """The rows of a cell's trials; those already in its file are not fitted again."""
    path = folder / f"{cell.label}.csv"
    seeds = np.random.SeedSequence([SEED, GRID.index(cell)]).spawn(trials)
    done = set(pd.read_csv(path)["trial"]) if path.exists() else set()
    for number, seed in enumerate(seeds):
        if number not in done:
            rows = trial_rows(cell, number, seed)
            rows.to_csv(path, mode="a", header=not path.exists(), index=False, float_format="%.5f")
    found = pd.read_csv(path)
    return found[found["trial"] < trials].sort_values("trial", kind="stable")


def summary(cell: Cell, rows: pd.DataFrame) -> pd.DataFrame:
    """One row per method and quantity; trials without an interval are counted, and do not count as covered."""
    given = rows["lower"].notna()
    inside = ((rows["lower"] <= rows["target"]) & (rows["target"] <= rows["upper"])).astype(float)
    rows = rows.assign(
        covered=inside.where(given),
        width=(rows["upper"] - rows["lower"]).where(given),
        error=rows["estimate"] - rows["target"],
        squared=(rows["estimate"] - rows["target"]) ** 2,
    )
    grouped = rows.groupby(["truth", "method", "quantity"], sort=False)
    table = grouped.agg(
        given=("covered", "count"),
        coverage=("covered", "mean"),
        width=("width", "mean"),
        bias=("error", "mean"),
        rmse=("squared", "mean"),
    ).reset_index()
    table["rmse"] = np.sqrt(table["rmse"])
    table.insert(5, "mc_error", np.sqrt(table["coverage"] * (1 - table["coverage"]) / table["given"].clip(lower=1)))
    table.insert(8, "bias_mc_error", grouped["error"].std().to_numpy() / np.sqrt(table["given"].clip(lower=1)))
    return _labelled(cell, rows["trial"].nunique(), table.round(4))


def fits(cell: Cell, rows: pd.DataFrame) -> pd.DataFrame:
    """What the sampler said in a cell: divergences, effective sample sizes, time."""
    one = rows.drop_duplicates("trial")
    table = pd.DataFrame(
        {
            "with_divergences": [int((one["divergent"] > 0).sum())],
            "divergences": [int(one["divergent"].sum())],
            "median_lowest_ess": [round(float(one["ess"].median()))],
            "lowest_ess": [round(float(one["ess"].min()))],
            "median_seconds": [round(float(one["seconds"].median()), 1)],
        }
    )
    return _labelled(cell, len(one), table)


def _labelled(cell: Cell, trials: int, table: pd.DataFrame) -> pd.DataFrame:
    cells = pd.DataFrame([[cell.condition, cell.items, cell.participants, trials]] * len(table))
    cells.columns = ["condition", "items", "participants", "trials"]
    return pd.concat([cells, table.reset_index(drop=True)], axis=1)


def _asked(cell: Cell, folder: Path) -> pd.DataFrame:
    found = run(cell, cell.trials, folder)
    print(cell, flush=True)
    return found


def write(pairs: list[tuple[Cell, pd.DataFrame]]) -> None:
    """The tables of all cells, and the rows of their first trials."""
    pd.concat([summary(*pair) for pair in pairs]).to_csv(HERE / "coverage_bayesian.csv", index=False)
    pd.concat([fits(*pair) for pair in pairs]).to_csv(HERE / "coverage_bayesian_fits.csv", index=False)
    first = [_labelled(cell, cell.trials, rows[rows["trial"] < KEPT]) for cell, rows in pairs]
    kept = pd.concat(first).drop(columns=["seconds", "trials"])
    kept.to_csv(HERE / "coverage_bayesian_first.csv", index=False, float_format="%.5f")


def main() -> None:
    """Fit every cell and write the tables; with --cells, fit only those and write none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--cells", type=int, nargs="+", help="fit these cells alone and write no table")
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of the trials' own rows")
    asked = parser.parse_args()
    asked.rows.mkdir(parents=True, exist_ok=True)
    one = partial(_asked, folder=asked.rows)
    cells = GRID if asked.cells is None else tuple(GRID[place] for place in asked.cells)
    if asked.cells is not None:
        for cell in cells:
            one(cell)
        return
    with ProcessPoolExecutor(asked.workers) as executor:
        found = list(executor.map(one, cells))
    write(list(zip(cells, found, strict=True)))


if __name__ == "__main__":
    main()
