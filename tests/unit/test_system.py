"""The system of stage equations: equal to the plug-in without covariates, to interacted least squares with them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import rctgap as rg
from rctgap.errors import EstimationError
from rctgap.estimands import contrasts
from rctgap.estimates import arm_sets
from rctgap.frequentist import covariance_of
from rctgap.inference import linear
from rctgap.system import estimate_system

TRIAL = rg.simulate_trial(rg.SimulationPlan(participants=40, arms=("a1", "a2"), items=4, runs=6), seed=4)
STAGES = ("own_query", "conversation", "decision")


def scored(study, frame=None, control="control", arms=("a1", "a2"), covariates=(), stages=rg.DEFAULT_CHAIN):
    data = rg.read_trial(
        TRIAL.answers if frame is None else frame, benchmark=TRIAL.runs, design=rg.Design(control, list(arms))
    )
    return rg.score_stages(data, stages, covariates)


def with_age(seed=3):
    """A covariate of the participant that predicts decisions."""
    frame, draw = TRIAL.answers.copy(), np.random.default_rng(seed)
    right = frame.groupby("participant")["decision"].mean()
    age = right + 0.3 * draw.standard_normal(len(right))
    return frame.assign(age=frame["participant"].map(age).astype(float))


def compare(scores, estimand, small_sample="CR2"):
    """The system and the plug-in: quantities, standard errors, degrees of freedom, ends, covariance."""
    system = estimate_system(scores, estimand, small_sample)
    plain = rg.estimate_frequentist(scores, estimand, "cluster" if scores.participants else "robust", small_sample)
    rows = [
        row
        for label, weights in arm_sets(plain)
        for row in contrasts(scores.chain, label, weights, scores.design.control)
        if row.quantity != "item_mix"
    ]
    found = linear(plain, [row.coefficients for row in rows])
    assert [(one.arm, one.quantity) for one in system.contrasts] == [(row.arm, row.quantity) for row in rows]
    for mine, other in zip(system.contrasts, found, strict=True):
        assert mine.estimate == pytest.approx(other.estimate, abs=1e-10)
        assert mine.std_error == pytest.approx(other.std_error, abs=1e-10)
        assert (mine.df is None) == (other.df is None)
        assert mine.df is None or mine.df == pytest.approx(other.df, rel=1e-8)
        assert (mine.lower, mine.upper) == pytest.approx((other.interval.lower, other.interval.upper), abs=1e-10)
    wanted = covariance_of(plain, np.array([plain.row({key: 1.0}) for key in system.names])).matrix
    np.testing.assert_allclose(system.covariance, wanted, rtol=0, atol=1e-10)
    return system


@pytest.mark.parametrize("item_weights", ["observed", "trial", "uniform", {"s0": 2, "s1": 1, "s3": 1}])
@pytest.mark.parametrize("small_sample", ["CR1", "CR2", "CR3"])
def test_without_covariates_it_is_the_plug_in(study, item_weights, small_sample):
    compare(scored(study), rg.Estimand("fixed", item_weights), small_sample)


@pytest.mark.parametrize("item_weights", ["observed", "uniform"])
def test_without_participants_it_is_the_plug_in_with_hc1(study, item_weights):
    system = compare(scored(study, TRIAL.answers.drop(columns="participant")), rg.Estimand("fixed", item_weights))
    assert system.small_sample == "HC1"
    assert any("not identified" in note for note in system.notes)


def test_patterns_with_counts_are_their_answers(study):
    frame = TRIAL.answers.drop(columns="participant")
    grouped = frame.groupby(list(frame.columns), dropna=False).size().rename("count").reset_index()
    one, other = (estimate_system(scored(study, part), rg.Estimand("fixed", "trial")) for part in (frame, grouped))
    np.testing.assert_allclose(one.covariance, other.covariance, rtol=0, atol=1e-14)
    assert one.answers == other.answers == 160


def test_it_is_the_plug_in_without_control_and_without_benchmark(study):
    stages = [rg.Stage(name) for name in STAGES]
    compare(scored(study, control=None), rg.Estimand("fixed", "trial"))
    compare(scored(study, arms=("a2",), stages=stages), rg.Estimand("fixed", "trial"))


def test_participants_of_several_arms_keep_their_answers_together(study):
    frame = TRIAL.answers.copy()
    frame["participant"] = frame["participant"].str.replace(r"^\w+-", "", regex=True)
    data = rg.read_trial(frame, benchmark=TRIAL.runs, design=rg.Design("control", ["a1", "a2"], crossover=True))
    system = compare(rg.score_stages(data, rg.DEFAULT_CHAIN), rg.Estimand("fixed", "trial"))
    assert system.clusters == 40
    control = system.names.index(rg.MomentKey("control", "decision"))
    assert (system.covariance[control, :control] != 0).any()


def test_linearmodels_own_covariance_is_ours_without_correction(study):
    """80 participants: CR1 of a moment of one arm is CR0 times 40 / 39."""
    system = estimate_system(scored(study), rg.Estimand("fixed", "trial"), "CR1")
    np.testing.assert_allclose(system.clustered * 40 / 39, system.covariance[:6, :6], rtol=0, atol=1e-15)


def test_answers_without_a_stage_are_left_out_and_said(study):
    frame = TRIAL.answers.copy()
    frame.loc[[0, 5], "conversation"] = np.nan
    frame.loc[7, "own_query"] = np.nan
    system = estimate_system(scored(study, frame), rg.Estimand("fixed"))
    assert (system.answers, system.dropped) == (157, 3)
    assert "3 of 160 answers" in system.notes[0]
    kept = compare(scored(study, frame.drop(index=[0, 5, 7])), rg.Estimand("fixed"))
    np.testing.assert_allclose(system.values, kept.values, atol=1e-12)


def test_with_covariates_means_are_those_of_interacted_least_squares(study):
    frame = with_age()
    system = estimate_system(scored(study, frame, covariates=["age"]), rg.Estimand("fixed", "trial"))
    centre = frame["age"].mean()
    mix = frame[frame["arm"] != "control"]["item"].value_counts(normalize=True).sort_index()
    for key, value in zip(system.names, system.values, strict=True):
        if key.name == "benchmark":
            continue
        part = frame[frame["arm"] == key.arm]
        cells = pd.get_dummies(part["item"], dtype=float)[list(mix.index)]
        fit = sm.OLS(part[key.name], cells.assign(age=part["age"] - centre)).fit()
        assert value == pytest.approx(float(fit.params[list(mix.index)] @ mix), abs=1e-12)


def test_with_one_arm_adjustment_changes_nothing(study):
    """The centre is then the arm's own mean, so the plain mean and its variance come back."""
    frame = with_age()
    one, other = (
        estimate_system(scored(study, frame, control=None, arms=("a1",), covariates=names), rg.Estimand("fixed"), "CR1")
        for names in (["age"], [])
    )
    np.testing.assert_allclose(one.values, other.values, atol=1e-12)
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-15)


def test_text_covariates_are_indicators(study):
    frame = with_age()
    frame["old"] = np.where(frame["age"] > 0.5, "yes", "no")
    frame["older"] = (frame["age"] > 0.5).astype(float)
    one, other = (
        estimate_system(scored(study, frame, covariates=[name]), rg.Estimand("fixed")) for name in ("old", "older")
    )
    np.testing.assert_allclose(one.covariance, other.covariance, atol=1e-15)
    assert one.covariates == ("old",)


def test_adjusted_covariance_by_hand(study):
    """CR3 of one arm's decision mean: leave each participant's residual influence by an explicit hat matrix."""
    frame = with_age()
    system = estimate_system(scored(study, frame, covariates=["age"]), rg.Estimand("fixed"), "CR3")
    part = frame[frame["arm"] == "a1"].reset_index(drop=True)
    z = (part["age"] - frame["age"].mean()).to_numpy()
    x = np.column_stack([np.ones(len(part)), z])
    inverse = np.linalg.inv(x.T @ x)
    beta = inverse @ x.T @ part["decision"].to_numpy()
    residual = part["decision"].to_numpy() - x @ beta
    influence = {}
    for person, rows in frame.groupby("participant").groups.items():
        influence[person] = beta[1] * (frame.loc[rows, "age"] - frame["age"].mean()).sum() / len(frame)
    for person, rows in part.groupby("participant").groups.items():
        mine = list(rows)
        hat = x[mine] @ inverse @ x[mine].T
        influence[person] += (inverse @ x[mine].T @ np.linalg.inv(np.eye(len(mine)) - hat) @ residual[mine])[0]
    place = system.names.index(rg.MomentKey("a1", "decision"))
    assert system.covariance[place, place] == pytest.approx(sum(one**2 for one in influence.values()), rel=1e-10)


def test_a_perfect_stage_has_no_interval_here(study):
    frame = TRIAL.answers.copy()
    frame["own_query"] = frame["own_query"].where(frame["own_query"].isna(), 1.0)
    rows = {
        (one.arm, one.quantity): one for one in estimate_system(scored(study, frame), rg.Estimand("fixed")).contrasts
    }
    assert rows["a1", "conversation"].lower is None
    assert "the plug-in has one" in rows["a1", "conversation"].note
    assert rows["a1", "decision"].lower is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"items": "random"}, "items `fixed`"),
        ({"non_users": "exclude"}, "non-users are left out"),
        ({"non_users": "control"}, "non-users are left out"),
    ],
)
def test_what_a_system_cannot_do_is_refused(study, change, words):
    frame = TRIAL.answers.assign(used=1)
    frame.loc[0, "used"] = 0
    options = {"items": "fixed", "non_users": "zero"} | change
    with pytest.raises(EstimationError, match=words):
        estimate_system(scored(study, frame), rg.Estimand(**options))


def test_borrowed_stages_are_refused(study):
    arm = rg.Arm("a1", borrowed=(rg.Borrowing("own_query", "a2", "randomised and masked"),))
    with pytest.raises(EstimationError, match="own_query of arm 'a1' is borrowed"):
        estimate_system(scored(study, arms=(arm,)), rg.Estimand("fixed"))


def test_a_covariate_that_does_not_vary_within_an_arm_is_refused(study):
    frame = TRIAL.answers.assign(site=np.where(TRIAL.answers["arm"] == "a1", 1.0, 0.0))
    with pytest.raises(EstimationError, match="do not vary within an arm"):
        estimate_system(scored(study, frame, covariates=["site"]), rg.Estimand("fixed"))


def test_an_item_without_a_complete_answer_is_named(study):
    frame = TRIAL.answers.copy()
    here = (frame["arm"] == "a2") & (frame["item"] == "s1")
    frame.loc[here & (np.arange(len(frame)) % 2 == 0), "conversation"] = np.nan
    frame.loc[here & (np.arange(len(frame)) % 2 == 1), "own_query"] = np.nan
    with pytest.raises(EstimationError, match="arm 'a2' on item 's1' has a score at every stage"):
        estimate_system(scored(study, frame), rg.Estimand("fixed", "trial"))
