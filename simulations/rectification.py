"""Coverage of nominal 95 % intervals where an automatic scorer errs: writes simulations/rectification.csv.

A trial has three AI arms of 100 participants with two answers each, and two stages that an automatic scorer scores.
Its sensitivity and specificity either differ by arm and stage or are the same everywhere. Answers are drawn for human
labels by stage, arm and automatic score, as `labelling_plan` draws them. Means by arm and stage, and what is lost from
one stage to the next, are judged by the truth of the simulation.

The methods: the automatic scores taken as true; the labelled answers alone; pseudo-scores with lambda 0, tuned, and
tuned with centres; Rogan and Gladen's correction with rates from 150 right and 150 wrong answers of all arms and stages
together, whose assumption holds only where the errors are the same everywhere. Every replicate has a spawned generator
of its own.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from rctgap.error_rates import ErrorRates
from rctgap.intervals import critical_value
from rctgap.labelling import labelling_plan, strata_of
from rctgap.rectification import ArmMean, LabelledScores, arm_means, labelled_mean, pseudo_scores
from rctgap.replication import replicate
from rctgap.rogan_gladen import corrected_means

HERE = Path(__file__).parent
SEED = 20261203
LEVEL = 0.95
ARMS = ("a1", "a2", "a3")
STAGES = ("own_query", "conversation")
PARTICIPANTS = 100  # per arm
ANSWERS = 2
CORRELATION = 0.3  # of the latent scores of one participant
RATED = 150  # right and as many wrong answers, labelled elsewhere, for Rogan and Gladen's rates
TRUTH = np.array([[0.80, 0.60], [0.70, 0.50], [0.85, 0.75]])  # arm by stage

type Array = npt.NDArray[np.float64]
type Found = tuple[str, str, float, float, float]


@dataclass(frozen=True)
class Cell:
    """One condition, and how many answers are labelled over all arms and stages."""

    condition: str
    labels: int


# sensitivity and specificity by arm and stage
CONDITIONS: Mapping[str, tuple[Array, Array]] = {
    "errors differ by arm and stage": (
        np.array([[0.80, 0.95], [0.95, 0.75], [0.85, 0.90]]),
        np.array([[0.95, 0.70], [0.60, 0.95], [0.90, 0.40]]),
    ),
    "same errors everywhere": (np.full((3, 2), 0.80), np.full((3, 2), 0.85)),
}
GRID = tuple(Cell(condition, labels) for condition in CONDITIONS for labels in (180, 480, 900))


@dataclass(frozen=True)
class Answers:
    """Answers of one trial: arm and participant (n,), true and automatic scores by stage (n, 2), shared error rates."""

    arm: npt.NDArray[np.str_]
    participant: npt.NDArray[np.intp]
    right: Array
    automatic: Array
    rates: ErrorRates


def drawn(cell: Cell, rng: np.random.Generator) -> Answers:
    """A trial; scores of one participant share a latent normal, so that their means are TRUTH exactly."""
    se, sp = CONDITIONS[cell.condition]
    people = len(ARMS) * PARTICIPANTS
    participant = np.repeat(np.arange(people), ANSWERS)
    place = np.repeat(np.arange(len(ARMS)), PARTICIPANTS * ANSWERS)
    shared = rng.standard_normal(people)[participant][:, None]
    latent = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * rng.standard_normal((participant.size, 2))
    right = (latent < stats.norm.ppf(TRUTH)[place]).astype(np.float64)
    called = np.where(right == 1, se[place], 1 - sp[place])
    automatic = (rng.random(right.shape) < called).astype(np.float64)
    hits = rng.binomial(RATED, np.average(se, weights=TRUTH))
    false = rng.binomial(RATED, np.average(1 - sp, weights=1 - TRUTH))
    rates = ErrorRates("scorer", hits, RATED - hits, RATED - false, false)
    return Answers(np.array(ARMS)[place], participant, right, automatic, rates)


def labelled(answers: Answers, labels: int, seed: int) -> tuple[Array, Array]:
    """Human labels (NaN where not drawn) and label probabilities, by answer and stage (n, 2)."""
    stage = pd.Series(np.tile(STAGES, answers.arm.size))
    automatic = pd.Series(answers.automatic.ravel())
    plan = labelling_plan(strata_of(stage, pd.Series(np.repeat(answers.arm, 2)), automatic), labels, seed)
    shape = answers.right.shape
    human = np.where(plan.drawn.to_numpy().reshape(shape), answers.right, np.nan)
    return human, plan.probability.to_numpy().reshape(shape)


@dataclass(frozen=True)
class Trial:
    """One simulated trial: for each method and quantity its error, whether the truth is covered, and the width."""

    cell: Cell

    def __call__(self, rng: np.random.Generator) -> list[Found]:
        """One list of findings."""
        answers = drawn(self.cell, rng)
        human, probability = labelled(answers, self.cell.labels, int(rng.integers(2**31)))
        scores = [
            LabelledScores(answers.automatic[:, k], human[:, k], probability[:, k], answers.arm, answers.participant)
            for k in range(2)
        ]
        replaced = {
            "automatic scores alone": [one.automatic for one in scores],
            "lambda 0": [pseudo_scores(one, 0.0).scores for one in scores],
            "rectified": [pseudo_scores(one).scores for one in scores],
            "rectified, centred": [pseudo_scores(one, centred=True).scores for one in scores],
        }
        found = [row for method, (own, later) in replaced.items() for row in rows(method, answers, own, later)]
        for k, stage in enumerate(STAGES):
            found += judged("labelled answers alone", stage, labelled_mean(scores[k], LEVEL), TRUTH[:, k])
        return [*found, *rogan_gladen(answers)]


def rows(method: str, answers: Answers, own: Array, later: Array) -> Iterator[Found]:
    """Stage means and what is lost between the stages, as a paired difference."""
    weight = np.ones(own.size)
    for quantity, values, truth in (
        (STAGES[0], own, TRUTH[:, 0]),
        (STAGES[1], later, TRUTH[:, 1]),
        ("lost between", own - later, TRUTH[:, 0] - TRUTH[:, 1]),
    ):
        yield from judged(method, quantity, arm_means(values, answers.arm, answers.participant, weight, LEVEL), truth)


def judged(method: str, quantity: str, means: tuple[ArmMean, ...], truth: Array) -> Iterator[Found]:
    """Whether each arm's interval covers."""
    for mean, value in zip(means, truth, strict=True):
        ends = mean.interval
        covered = float(ends.lower <= value <= ends.upper)
        yield method, f"{quantity} of {mean.arm}", mean.estimate - value, covered, ends.upper - ends.lower


def rogan_gladen(answers: Answers) -> Iterator[Found]:
    """Both stages of each arm corrected at once; they share the scorer's rates."""
    for place, arm in enumerate(ARMS):
        mine = answers.arm == arm
        scores = answers.automatic[mine]
        sums = scores.reshape(PARTICIPANTS, ANSWERS, 2).mean(axis=1)
        joint = np.cov(sums.T) / PARTICIPANTS
        found = corrected_means(scores.mean(axis=0), joint, [answers.rates] * 2, STAGES)
        rotate = np.array([[1.0, 0], [0, 1], [1, -1]])
        errors = rotate @ (found.means - TRUTH[place])
        half = critical_value(LEVEL, PARTICIPANTS - 1) * np.sqrt(np.diag(rotate @ found.covariance @ rotate.T))
        for quantity, error, one in zip((*STAGES, "lost between"), errors, half, strict=True):
            yield "Rogan-Gladen", f"{quantity} of {arm}", float(error), float(abs(error) <= one), float(2 * one)


def study(cells: tuple[Cell, ...], trials: int, workers: int) -> pd.DataFrame:
    """Bias, coverage and mean width by cell, method and quantity, with Monte Carlo errors."""
    parts = []
    with ProcessPoolExecutor(workers) as executor:
        for place, cell in enumerate(GRID):
            if cell not in cells:
                continue
            seed = np.random.SeedSequence([SEED, place])
            found = replicate(Trial(cell), trials, seed, executor=executor if workers > 1 else None)
            parts.append(summary(cell, [row for one in found for row in one], trials))
            print(cell, flush=True)
    return pd.concat(parts, ignore_index=True)


def summary(cell: Cell, found: list[Found], trials: int) -> pd.DataFrame:
    """One row per method and quantity."""
    frame = pd.DataFrame(found, columns=["method", "quantity", "bias", "covered", "width"])
    grouped = frame.groupby(["method", "quantity"], sort=False)
    table = grouped.agg(bias=("bias", "mean"), coverage=("covered", "mean"), width=("width", "mean")).reset_index()
    table["mc_error"] = np.sqrt(table["coverage"] * (1 - table["coverage"]) / trials)
    table = table.assign(condition=cell.condition, labels=cell.labels, trials=trials)
    order = ["condition", "labels", "trials", "method", "quantity", "bias", "coverage", "mc_error", "width"]
    return table[order].round(4)


def main() -> None:
    """Run the grid and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    asked = parser.parse_args()
    study(GRID, asked.trials, asked.workers).to_csv(HERE / "rectification.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
