"""Coverage of the default intervals on simulated trials with known truth: a seeded slice, within Monte Carlo error."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

import rctgap as rg
from rctgap.estimands import contrasts
from rctgap.inference import linear
from rctgap.replication import replicate

TRIALS = 120
MONTE_CARLO = 4 * math.sqrt(0.95 * 0.05 / TRIALS)
BENIGN = rg.SimulationPlan(
    participants=150, means={"benchmark": 0.8, "own_query": 0.7, "conversation": 0.6, "decision": 0.4}
)
QUANTITIES = ("own_query", "conversation", "decision", "task", "gap", "predicted_effect", "realized_effect")


@dataclass(frozen=True)
class Covered:
    """Whether each quantity's interval covers the truth of its estimand, and of the population of items."""

    plan: rg.SimulationPlan
    estimand: rg.Estimand

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        drawn = rg.simulate_trial(self.plan, rng)
        trial = rg.read_trial(drawn.answers, benchmark=drawn.runs, design=rg.Design("control", ["a1"]))
        scores = rg.score_stages(trial, self.plan.chain)
        estimates = rg.estimate_frequentist(scores, self.estimand)
        rows = {row.quantity: row for row in contrasts(self.plan.chain, "a1", {"a1": 1.0}, "control")}
        found = linear(estimates, [rows[name].coefficients for name in QUANTITIES])
        truths = [drawn.truth(one) for one in (self.estimand, rg.Estimand(items="random"))]
        return np.array(
            [
                [one.interval.lower <= truth["a1", name] <= one.interval.upper for truth in truths]
                for name, one in zip(QUANTITIES, found, strict=True)
            ]
        )


def coverage(estimand):
    return np.mean(replicate(Covered(BENIGN, estimand), TRIALS, seed=20260522), axis=0)


@pytest.fixture(scope="module")
def fixed():
    return coverage(rg.Estimand(items="fixed", item_weights="trial"))


def test_items_fixed_cover_the_truth_of_these_items(fixed):
    assert (np.abs(fixed[:, 0] - 0.95) <= MONTE_CARLO).all(), dict(zip(QUANTITIES, fixed[:, 0], strict=True))


def test_items_fixed_do_not_cover_the_truth_of_the_population(fixed):
    assert (fixed[:, 1] < 0.9).all(), dict(zip(QUANTITIES, fixed[:, 1], strict=True))


def test_items_random_cover_the_truth_of_the_population():
    found = coverage(rg.Estimand(items="random", item_weights="uniform"))[:, 1]
    assert (np.abs(found - 0.95) <= MONTE_CARLO).all(), dict(zip(QUANTITIES, found, strict=True))
