"""Complier effects by hand, under every covariance, and what is refused or said."""

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.compliers import complier_effects
from rctgap.errors import EstimationError
from rctgap.estimates import arm_sets
from rctgap.inference import linear

STAGES = [rg.Stage("conversation"), rg.Stage("decision")]
COLUMNS = ["arm", "used", "decision", "count"]
BY_HAND = [
    ("a1", 1, 1, 48),
    ("a1", 1, 0, 32),
    ("a1", 0, 1, 6),
    ("a1", 0, 0, 14),
    ("control", 0, 1, 80),
    ("control", 0, 0, 120),
]


def trial(seed=2, share=0.6, arms=("a1", "a2"), items=5):
    plan = rg.SimulationPlan(participants=40, arms=arms, items=items)
    frame, draw = rg.simulate_trial(plan, seed).answers, np.random.default_rng(seed)
    people = frame["participant"].unique()
    users = dict(zip(people, draw.random(len(people)) < share, strict=True))
    used = frame["participant"].map(users) & (frame["arm"] != "control")
    frame.loc[~used, ["own_query", "conversation"]] = np.nan
    return frame.assign(used=used.astype(int))


def effects(frame, control="control", arms=("a1", "a2"), estimand=None, **options):
    scores = rg.score_stages(rg.read_trial(frame, design=rg.Design(control, list(arms))), STAGES)
    estimates = rg.estimate_frequentist(scores, estimand or rg.Estimand("fixed", non_users="exclude"), **options)
    return {one.arm: one for one in complier_effects(estimates)}


def counts(rows=BY_HAND):
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.assign(conversation=np.where(frame["used"] == 1, frame["decision"], np.nan))


def test_by_hand():
    """Offered 54 %, control 40 %, used by 80 %; HC1 with N of both arms for the effect, of one arm for the share."""
    effect = effects(counts(), arms=("a1",))["a1"]
    assert effect.realized_effect == pytest.approx(0.14)
    assert effect.first_stage == pytest.approx(0.8)
    assert effect.estimate == pytest.approx(0.175)
    residuals = [
        (48, 1 - 0.54 - 0.175 * 0.2),
        (32, -0.54 - 0.175 * 0.2),
        (6, 1 - 0.54 + 0.175 * 0.8),
        (14, -0.54 + 0.175 * 0.8),
    ]
    variance = sum(n * e**2 for n, e in residuals) / 100**2 + 200 * 0.4 * 0.6 / 200**2
    assert effect.std_error == pytest.approx(np.sqrt(variance * 300 / 298) / 0.8)
    assert effect.f_statistic == pytest.approx(0.8**2 / (0.8 * 0.2 / 99))
    assert (effect.n, effect.interval, effect.df) == (300, "normal", None)


@pytest.mark.parametrize(
    ("estimand", "options"),
    [
        (rg.Estimand("fixed", "observed", non_users="exclude"), {"covariance": "cluster", "small_sample": "CR1"}),
        (rg.Estimand("fixed", "trial", non_users="zero"), {"covariance": "cluster", "small_sample": "CR2"}),
        (rg.Estimand("fixed", "uniform", non_users="control"), {"covariance": "robust"}),
        (rg.Estimand("random", "trial", {"a1": 1, "a2": 3}, non_users="zero"), {"covariance": "cluster2"}),
        (rg.Estimand("random", "uniform", "observed", non_users="zero"), {"covariance": "item"}),
    ],
    ids=["CR1", "CR2", "robust", "cluster2", "item"],
)
def test_the_estimate_is_the_realized_effect_over_the_share_of_users(estimand, options):
    frame = trial()
    found = effects(frame, estimand=estimand, **options)
    scores = rg.score_stages(rg.read_trial(frame, design=rg.Design("control", ["a1", "a2"])), STAGES)
    estimates = rg.estimate_frequentist(scores, estimand, **options)
    for arm, effect in found.items():
        weights = dict(arm_sets(estimates))[arm]
        coefficients = {rg.MomentKey(one, "decision"): weight for one, weight in weights.items()}
        row = linear(estimates, [coefficients | {rg.MomentKey("control", "decision"): -1.0}])[0]
        assert effect.realized_effect == pytest.approx(row.estimate, abs=1e-12)
        assert effect.estimate == pytest.approx(row.estimate / effect.first_stage, abs=1e-10)
        assert effect.set_type == "bounded"
        assert (effect.set_lower <= 0 <= effect.set_upper) == (row.interval.lower <= 0 <= row.interval.upper)
        assert effect.set_lower < effect.estimate < effect.set_upper
        assert effect.lower < effect.estimate < effect.upper


def test_the_share_of_users_is_standardised_too():
    frame = trial()
    mine = frame[frame["arm"] == "a1"]
    wanted = mine.groupby("item")["used"].mean().mean()
    estimand = rg.Estimand("fixed", "uniform", non_users="zero")
    assert effects(frame, estimand=estimand)["a1"].first_stage == pytest.approx(wanted, abs=1e-12)


def test_all_arms_weigh_as_the_estimand_says():
    frame = trial()
    found = effects(frame, estimand=rg.Estimand("fixed", "observed", {"a1": 1, "a2": 3}, non_users="zero"))
    one, two, whole = (found[name] for name in ("a1", "a2", "all"))
    wanted = (0.25 * one.realized_effect + 0.75 * two.realized_effect) / (
        0.25 * one.first_stage + 0.75 * two.first_stage
    )
    assert whole.estimate == pytest.approx(wanted, abs=1e-10)


def test_linearmodels_standard_error_is_ours_without_the_correction():
    """80 participants in an arm and control: CR1 has the factor 80 / 79."""
    effect = effects(trial(), covariance="cluster", small_sample="CR1")["a1"]
    assert effect.std_error_2sls * np.sqrt(80 / 79) == pytest.approx(effect.std_error, rel=1e-10)


def test_outcomes_that_are_missing_leave_the_first_stage_as_well():
    frame = trial()
    frame.loc[frame.index[:6], "decision"] = np.nan
    kept = frame[frame["decision"].notna()]
    left, right = (effects(part)["a1"] for part in (frame, kept))
    assert left.first_stage == pytest.approx(right.first_stage)
    assert (left.estimate, left.set_lower) == pytest.approx((right.estimate, right.set_lower))


def test_where_everybody_used_it_the_effect_is_the_realized_one():
    frame = trial(share=1.1)
    effect = effects(frame, estimand=rg.Estimand("fixed"))["a1"]
    assert effect.estimate == pytest.approx(effect.realized_effect)
    assert (effect.set_lower, effect.set_upper) == pytest.approx((effect.lower, effect.upper))
    assert effect.f_statistic is None
    assert any("nobody is recorded as not having used" in note for note in effect.notes)


def test_where_nobody_used_it_the_arm_is_named():
    frame = trial()
    frame.loc[frame["arm"] == "a2", "used"] = 0
    with pytest.raises(EstimationError, match="'a2': nobody in this arm used the system"):
        effects(frame, estimand=rg.Estimand("fixed", non_users="zero"))


def test_without_a_control_arm_there_is_none():
    assert effects(trial(), control=None) == {}


def test_assumptions_and_weak_first_stages_are_said():
    frame = trial(seed=5, share=0.1)
    effect = effects(frame, estimand=rg.Estimand("fixed", non_users="zero"))["a1"]
    assert effect.f_statistic < 10
    for words in ("exclusion", "one-sided", "weak first stage"):
        assert any(words in note for note in effect.notes)
    assert not any("weak" in note for note in effects(trial())["a1"].notes)


def test_a_stage_mean_at_the_boundary_has_no_interval():
    frame = trial()
    frame.loc[frame["arm"] == "control", "decision"] = 0.0
    effect = effects(frame)["a1"]
    assert (effect.std_error, effect.lower, effect.set_lower, effect.set_type) == (None, None, None, "")
    assert any("0 or 1" in note for note in effect.notes)


def test_what_control_rows_say_of_use_is_set_aside():
    frame = trial()
    marked = frame.assign(used=frame["used"].where(frame["arm"] != "control", 1))
    assert effects(frame)["a1"] == effects(marked)["a1"]


def test_the_set_excludes_an_effect_where_the_test_of_it_rejects():
    """The ends are where the contrast of realized effect and b times use is exactly significant."""
    frame = trial()
    found = effects(frame, covariance="cluster", small_sample="CR1")["a1"]
    for b in (found.set_lower, found.set_upper):
        shifted = frame.assign(decision=frame["decision"] - b * frame["used"])
        low, high = shifted["decision"].min(), shifted["decision"].max()
        scaled = shifted.assign(decision=(shifted["decision"] - low) / (high - low))
        scores = rg.score_stages(rg.read_trial(scaled, design=rg.Design("control", ["a1", "a2"])), STAGES)
        estimates = rg.estimate_frequentist(scores, rg.Estimand("fixed", non_users="zero"), "cluster", "CR1")
        effect = {rg.MomentKey("a1", "decision"): 1.0, rg.MomentKey("control", "decision"): -1.0}
        interval = linear(estimates, [effect])[0].interval
        assert min(abs(interval.lower), abs(interval.upper)) < 1e-10
