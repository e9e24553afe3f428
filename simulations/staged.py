"""Errors and power of staged evaluation: writes simulations/staged.csv.

Trials of one AI arm with two answers a participant and three transitions, tested in order against a margin of 5
points at alpha 5 %. In the conditions on errors, components lie at the margin, all of them or one, and any `holds`
said of one that does is false. "Lost only": the benchmark is 98 % right and nobody who is wrong at a stage is right
at the next, so that few answers change and all one way. In those on power, all components are equal and smaller.
Items fixed: items do not differ, so that these items' truth is the population's. Items random: item effects of
standard deviation 0.4 on the logit scale, judged by the population. Every replicate has a spawned generator of its
own.
"""

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

import rctgap as rg
from rctgap.estimands import ALL_ARMS
from rctgap.replication import replicate
from rctgap.staged import StagedPlan, staged_rows

HERE = Path(__file__).parent
SEED = 20261123
PLAN = StagedPlan(margin=0.05, alpha=0.05)
STEPS = ("own_query", "conversation", "decision")
FIRST, FEW_ERRORS = 0.8, 0.98
ALIKE, DEFAULT_CORRELATION = 0.9999, rg.SimulationPlan().stage_correlation
ERRORS = {
    "all at the margin": (0.05, 0.05, 0.05),
    "all at the margin, gained": (-0.05, -0.05, -0.05),
    "first at the margin": (0.05, 0.0, 0.0),
    "second at the margin": (0.0, 0.05, 0.0),
    "last at the margin": (0.0, 0.0, 0.05),
}
ONE_WAY = {
    "all at the margin, lost only": (0.05, 0.05, 0.05),
    "second at the margin, lost only": (0.0, 0.05, 0.0),
}
POWER = {f"all at {points:g} points": (points / 100,) * 3 for points in (0, 1, 2, 3, 4)}
FIXED, RANDOM = (200, 500, 1000, 2000), ((40, 500), (80, 1000))


@dataclass(frozen=True)
class Cell:
    """One condition: the true components, whether items are fixed or random, and sizes."""

    condition: str
    items: str
    item_count: int
    participants: int

    @property
    def components(self) -> tuple[float, ...]:
        """True components, in order."""
        return (ERRORS | POWER | ONE_WAY)[self.condition]

    def plan(self) -> rg.SimulationPlan:
        """How its trials are drawn."""
        one_way = self.condition in ONE_WAY
        first = FEW_ERRORS if one_way else FIRST
        means = dict(zip(("benchmark", *STEPS), first - np.cumsum((0.0, *self.components)), strict=True))
        return rg.SimulationPlan(
            means={name: float(value) for name, value in means.items()},
            participants=self.participants,
            items=self.item_count,
            runs=1200 // self.item_count,
            item_sd=0.4 if self.items == "random" else 0.0,
            stage_correlation=ALIKE if one_way else DEFAULT_CORRELATION,
            control_mean=None,
        )


GRID = (
    *(Cell(condition, "fixed", 10, size) for condition in (*ERRORS, *POWER) for size in FIXED),
    *(Cell(condition, "random", *size) for condition in ("all at the margin", *POWER) for size in RANDOM),
    *(Cell(condition, "fixed", 10, size) for condition in ONE_WAY for size in (100, *FIXED)),
)


@dataclass(frozen=True)
class Trial:
    """One simulated trial: the verdict on each step, whether it is inside alone, and the standard errors."""

    cell: Cell

    def __call__(self, rng: np.random.Generator) -> list[tuple[str, float]]:
        """Verdict and standard error of each step, in order."""
        scores = rg.simulate_trial(self.cell.plan(), rng).scores()
        estimates = rg.estimate_frequentist(scores, rg.Estimand(items=self.cell.items))
        return [
            (row.verdict, float(row.std_error or 0.0)) for row in staged_rows(estimates, PLAN) if row.arm == ALL_ARMS
        ]


def summary(cell: Cell, found: Sequence[list[tuple[str, float]]]) -> pd.DataFrame:
    """One row per step and one for any: shares of each verdict, and the standard error in margins."""
    at_margin = np.abs(np.array(cell.components)) >= PLAN.margin - 1e-12
    verdicts = np.array([[verdict for verdict, _ in one] for one in found])
    errors = np.array([[error for _, error in one] for one in found])
    holds, violated = verdicts == "holds", verdicts == "violated"
    rows = [
        {
            "step": step,
            "component": cell.components[place],
            "std_error_in_margins": errors[:, place].mean() / PLAN.margin,
            "holds": holds[:, place].mean(),
            "violated": violated[:, place].mean(),
        }
        for place, step in enumerate(STEPS)
    ]
    rows.append(
        {
            "step": "any",
            "component": np.nan,
            "std_error_in_margins": errors.mean(axis=0).max() / PLAN.margin,
            "holds": holds.any(axis=1).mean(),
            "violated": violated.any(axis=1).mean(),
            "false_holds": holds[:, at_margin].any(axis=1).mean() if at_margin.any() else np.nan,
        }
    )
    frame = pd.DataFrame(rows).assign(trials=len(found))
    for name in ("condition", "items", "item_count", "participants"):
        frame.insert(0, name, getattr(cell, name))
    return frame[[*reversed(["participants", "item_count", "items", "condition"]), *frame.columns[4:]]]


def study(cells: Sequence[Cell], trials: int, powers: int, workers: int) -> pd.DataFrame:
    """Every cell's rows."""
    parts = []
    with ProcessPoolExecutor(workers) as executor:
        for place, cell in enumerate(GRID):
            if cell in cells:
                times = trials if cell.condition in ERRORS | ONE_WAY else powers
                seed = np.random.SeedSequence([SEED, place])
                found = replicate(Trial(cell), times, seed, executor=executor if workers > 1 else None)
                parts.append(summary(cell, found))
                print(cell, flush=True)
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Run the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000, help="of each cell on errors")
    parser.add_argument("--powers", type=int, default=500, help="of each cell on power")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    table = study(GRID, asked.trials, asked.powers, asked.workers)
    table.to_csv(HERE / "staged.csv", index=False, float_format="%.5g", lineterminator="\n")


if __name__ == "__main__":
    main()
