"""Coverage of nominal 95 % intervals of a mean over trials: writes simulations/pooling.csv.

Trials have true values drawn from Normal(0.15, tau), or all the same, and estimates with standard errors of 2 to 5
points, known as pooling takes them. A method is judged by the mean of the distribution of true values, by the true
value of one more trial (prediction) and by tau, the posterior of which never holds a tau of exactly 0. Beside Hartung
and Knapp's interval with the ad hoc correction stand the plain normal interval of the same tau, and the hierarchical
model under its default priors: tau of 15 points lies beyond what its half-normal(0.1) finds likely. Every replicate has
a spawned generator of its own.
"""

import argparse
import math
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rctgap.intervals import critical_value
from rctgap.pooling import hierarchical, random_effects
from rctgap.replication import replicate

HERE = Path(__file__).parent
SEED = 20261123
LEVEL = 0.95
MEAN = 0.15
ERRORS = (0.02, 0.05)

type Found = tuple[str, str, float, float, float]


@dataclass(frozen=True)
class Cell:
    """How many trials, and how much their true values differ."""

    trials: int
    tau: float


GRID = tuple(Cell(trials, tau) for trials in (2, 3, 5, 10) for tau in (0.0, 0.05, 0.15))


@dataclass(frozen=True)
class Synthesised:
    """One synthesis: for each method and quantity the error, whether the truth is covered, and the width."""

    cell: Cell

    def __call__(self, rng: np.random.Generator) -> list[Found]:
        """One list of findings."""
        errors = rng.uniform(*ERRORS, self.cell.trials)
        *true, another = MEAN + self.cell.tau * rng.standard_normal(self.cell.trials + 1)
        return list(judged(np.array(true) + errors * rng.standard_normal(self.cell.trials), errors, another, self.cell))


def judged(y: np.ndarray, s: np.ndarray, another: float, cell: Cell) -> Iterator[Found]:
    """Every interval of one synthesis against the truth."""
    one, other = random_effects(y, s, LEVEL), hierarchical(y, s, LEVEL)
    plain = critical_value(LEVEL, math.inf) / math.sqrt((1 / (s**2 + one.tau**2)).sum())
    yield of("normal", "mean", one.estimate, (one.estimate - plain, one.estimate + plain), MEAN)
    for method, found in (("Hartung-Knapp", one), ("hierarchical", other)):
        yield of(method, "mean", found.estimate, (found.lower, found.upper), MEAN)
        if found.prediction_lower is not None and found.prediction_upper is not None:
            ends = (found.prediction_lower, found.prediction_upper)
            yield of(method, "new trial", found.estimate, ends, another)
    # An empty Q-profile interval covers nothing.
    ends = (math.inf, -math.inf) if one.tau_lower is None or one.tau_upper is None else (one.tau_lower, one.tau_upper)
    yield of("Hartung-Knapp", "tau", one.tau, ends, cell.tau)
    if cell.tau > 0:
        yield of("hierarchical", "tau", other.tau, (other.tau_lower, other.tau_upper), cell.tau)


def of(method: str, quantity: str, estimate: float, ends: tuple[float, float], truth: float) -> Found:
    """One finding."""
    width = max(ends[1] - ends[0], 0.0)
    return method, quantity, estimate - truth, float(ends[0] <= truth <= ends[1]), width


def study(cells: tuple[Cell, ...], replicates: int, workers: int) -> pd.DataFrame:
    """Bias, coverage and median width by cell, method and quantity, with Monte Carlo errors."""
    parts = []
    with ProcessPoolExecutor(workers) as executor:
        for place, cell in enumerate(GRID):
            if cell not in cells:
                continue
            seed = np.random.SeedSequence([SEED, place])
            found = replicate(Synthesised(cell), replicates, seed, executor=executor if workers > 1 else None)
            parts.append(summary(cell, [row for one in found for row in one], replicates))
            print(cell, flush=True)
    return pd.concat(parts, ignore_index=True)


def summary(cell: Cell, found: list[Found], replicates: int) -> pd.DataFrame:
    """One row per method and quantity."""
    frame = pd.DataFrame(found, columns=["method", "quantity", "bias", "covered", "width"])
    grouped = frame.groupby(["method", "quantity"], sort=False)
    table = grouped.agg(bias=("bias", "mean"), coverage=("covered", "mean"), width=("width", "median")).reset_index()
    table["mc_error"] = np.sqrt(table["coverage"] * (1 - table["coverage"]) / replicates)
    table = table.assign(trials=cell.trials, tau=cell.tau, replicates=replicates)
    order = ["trials", "tau", "replicates", "method", "quantity", "bias", "coverage", "mc_error", "width"]
    return table[order].round(4)


def main() -> None:
    """Run the grid and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    study(GRID, asked.replicates, asked.workers).to_csv(HERE / "pooling.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
