"""Size of the joint Wald test, coverage after covariate adjustment, and intervals under a weak first stage.

Seeded slices, within Monte Carlo error.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.compliers import complier_effects
from rctgap.replication import replicate
from rctgap.system import estimate_system
from rctgap.wald import wald_tests

SEED = 20260522
TRIAL_STAGES = rg.Chain.of([rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")])
FLAT = rg.SimulationPlan(
    chain=TRIAL_STAGES,
    means=dict.fromkeys(TRIAL_STAGES.names, 0.5),
    arms=("a1", "a2", "a3"),
    participants=12,
    items=5,
    item_sd=0.0,
    participant_correlation=0.3,
)


def monte_carlo(level, trials):
    return 4 * math.sqrt(level * (1 - level) / trials)


@dataclass(frozen=True)
class Rejected:
    """Whether each joint test rejects a true hypothesis at 5 %, three stages and three arms all alike."""

    plan: rg.SimulationPlan = field(default_factory=lambda: FLAT)

    def __call__(self, rng):
        drawn = rg.simulate_trial(self.plan, rng)
        data = rg.read_trial(drawn.answers, design=rg.Design("control", list(self.plan.arms)))
        estimates = rg.estimate_frequentist(rg.score_stages(data, TRIAL_STAGES), rg.Estimand("fixed"))
        joint = [one for one in wald_tests(estimates) if one.df_num > 1 and one.arm in ("all", "across arms")]
        return np.array([one.p_value < 0.05 for one in joint])


def test_joint_tests_of_a_dozen_participants_an_arm_keep_their_size():
    trials = 80
    rejected = np.mean(replicate(Rejected(), trials, seed=SEED), axis=0)
    assert rejected.shape == (5,)
    assert (rejected <= 0.05 + monte_carlo(0.05, trials)).all(), rejected


@dataclass(frozen=True)
class Adjusted:
    """Estimates and standard errors of three quantities, with and without a covariate that predicts decisions."""

    people: int = 80

    def __call__(self, rng):
        z = rng.standard_normal(2 * self.people)
        arm = np.repeat(["a1", "control"], self.people)
        draw = rng.random((2, z.size))
        frame = pd.DataFrame({"participant": [f"p{n}" for n in range(z.size)], "arm": arm, "z": z})
        frame["conversation"] = np.where(arm == "a1", (draw[0] < 0.7).astype(float), np.nan)
        frame["decision"] = (draw[1] < 1 / (1 + np.exp(-2.0 * z))).astype(float)
        data = rg.read_trial(frame, design=rg.Design("control", ["a1"]))
        stages = [rg.Stage("conversation"), rg.Stage("decision")]
        wanted = ("predicted_effect", "realized_effect", "gap")
        found = []
        for covariates in (["z"], []):
            system = estimate_system(rg.score_stages(data, stages, covariates), rg.Estimand("fixed"))
            rows = {one.quantity: one for one in system.contrasts if one.arm == "a1"}
            found.append([(rows[name].estimate, rows[name].std_error) for name in wanted])
        return np.array(found)


@pytest.fixture(scope="module")
def adjusted():
    """Shape (trials, adjusted or plain, quantities, estimate or standard error)."""
    return np.array(replicate(Adjusted(), 70, seed=SEED))


def test_adjusted_standard_errors_are_as_large_as_the_estimates_vary(adjusted):
    ratio = adjusted[:, 0, :, 1].mean(axis=0) / adjusted[:, 0, :, 0].std(axis=0, ddof=1)
    assert (np.abs(ratio - 1) < 4 / math.sqrt(2 * len(adjusted))).all(), ratio


def test_adjustment_centres_on_the_truth_and_gains_precision(adjusted):
    estimates = adjusted[:, 0, :, 0]
    wanted = [0.2, 0.0, 0.2]
    error = estimates.std(axis=0) / math.sqrt(len(estimates))
    assert (np.abs(estimates.mean(axis=0) - wanted) < 4 * error).all()
    precise = adjusted[:, 0, :, 1].mean(axis=0) / adjusted[:, 1, :, 1].mean(axis=0)
    assert precise[1] < 0.85
    assert (precise < 1.01).all(), precise


@dataclass(frozen=True)
class WeakFirstStage:
    """Whether the delta interval and the Anderson-Rubin set cover a complier effect of 0 with four users expected.

    Those who would use the system are right without it, and nearly all others wrong, so use and outcome err together.
    """

    people: int = 60
    users: int = 4

    def __call__(self, rng):
        rows = []
        for arm in ("a1", "control"):
            complier = rng.random(self.people) < self.users / self.people
            decision = (rng.random(self.people) < np.where(complier, 0.95, 0.02)).astype(int)
            used = complier & (arm == "a1")
            rows.append(pd.DataFrame({"arm": arm, "used": used.astype(int), "decision": decision}))
        frame = pd.concat(rows).value_counts().reset_index()
        frame["conversation"] = np.where(frame["used"] == 1, 1.0, np.nan)
        if not frame["used"].any() or frame.groupby("arm")["decision"].nunique().min() < 2:
            return np.array([np.nan] * 3)
        data = rg.read_trial(frame, design=rg.Design("control", ["a1"]))
        scores = rg.score_stages(data, [rg.Stage("conversation"), rg.Stage("decision")])
        effect = complier_effects(rg.estimate_frequentist(scores, rg.Estimand("fixed", non_users="zero")))[0]
        inside = effect.set_type == "unbounded" or effect.set_lower <= 0 <= effect.set_upper
        outside = effect.set_type == "exclusive" and not effect.set_lower < 0 < effect.set_upper
        kept = outside if effect.set_type == "exclusive" else inside
        return np.array([effect.lower <= 0 <= effect.upper, kept, effect.f_statistic])


def test_under_a_weak_first_stage_the_anderson_rubin_set_keeps_its_level_and_the_interval_does_not():
    drawn = np.array(replicate(WeakFirstStage(), 150, seed=SEED))
    seen = drawn[~np.isnan(drawn).any(axis=1)]
    assert len(seen) > 130
    wald, robust, strength = seen[:, 0].mean(), seen[:, 1].mean(), np.median(seen[:, 2])
    assert strength < 10
    assert robust >= 0.95 - monte_carlo(0.95, len(seen)) / 2
    assert wald < robust - 0.02, (wald, robust)
