"""Wald tests: one quantity by t, several by Hotelling's T^2, and what has no test."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rctgap as rg
from rctgap.estimands import contrasts
from rctgap.frequentist import covariance_of
from rctgap.inference import linear
from rctgap.variance import Covariance, Part
from rctgap.wald import wald_test, wald_tests

STAGES = [rg.Stage("own_query"), rg.Stage("conversation"), rg.Stage("decision")]
TRIAL = rg.simulate_trial(rg.SimulationPlan(participants=40, arms=("a1", "a2"), items=6, runs=6), seed=4)


def estimated(items="fixed", stages=rg.DEFAULT_CHAIN, arms=("a1", "a2"), control="control", frame=None, **options):
    answers = TRIAL.answers if frame is None else frame
    data = rg.read_trial(answers, benchmark=TRIAL.runs, design=rg.Design(control, list(arms)))
    return rg.estimate_frequentist(rg.score_stages(data, stages), rg.Estimand(items, "trial"), **options)


def by_name(estimates):
    return {(one.arm, one.hypothesis): one for one in wald_tests(estimates)}


def test_hypotheses_of_a_trial_with_two_arms():
    found = list(by_name(estimated()))
    alone = ["own_query = 0", "conversation = 0", "decision = 0", "components = 0", "task = outcome"]
    across = ["own_query equal", "conversation equal", "decision equal", "components equal", "realized_effect equal"]
    wanted = [(arm, name) for arm in ("a1", "a2", "all") for name in alone]
    assert found == wanted + [("across arms", name) for name in across]


def test_one_arm_or_no_control_leaves_out_what_cannot_be_compared():
    assert "across arms" not in {arm for arm, _ in by_name(estimated(arms=("a1",)))}
    assert ("across arms", "realized_effect equal") not in by_name(estimated(control=None))


@pytest.mark.parametrize(
    ("items", "options"),
    [
        ("fixed", {"covariance": "cluster", "small_sample": "CR1"}),
        ("fixed", {"covariance": "cluster", "small_sample": "CR2"}),
        ("fixed", {"covariance": "cluster", "small_sample": "CR3"}),
        ("fixed", {"covariance": "robust"}),
        ("random", {"covariance": "item"}),
        ("random", {"covariance": "cluster2"}),
    ],
)
def test_a_single_quantity_is_tested_by_the_t_of_its_interval(items, options):
    estimates = estimated(items, **options)
    for label in ("a1", "a2"):
        rows = contrasts(estimates.scores.chain, label, {label: 1.0}, "control")
        parts = [row for row in rows if row.kind == "component"]
        for row, result in zip(parts, linear(estimates, [row.coefficients for row in parts]), strict=True):
            test = by_name(estimates)[label, f"{row.quantity} = 0"]
            assert test.statistic == pytest.approx(result.estimate / result.std_error)
            assert (test.df_denom is None) == (result.df is None)
            assert result.df is None or test.df_denom == pytest.approx(result.df)
            assert (test.p_value < 0.05) == (not result.interval.lower <= 0 <= result.interval.upper)
            reference = stats.norm() if result.df is None else stats.t(result.df)
            assert test.p_value == pytest.approx(2 * reference.sf(abs(test.statistic)))


def test_hotelling_of_one_answer_each_is_the_textbook_one():
    """Participants answering once, one arm, items as they come: T^2 of the two differences at n - 1."""
    draw = np.random.default_rng(8)
    scores = draw.random((25, 3)).round(2)
    frame = pd.DataFrame(scores, columns=["own_query", "conversation", "decision"])
    frame = frame.assign(arm="a1", participant=[f"p{n}" for n in range(25)])
    data = rg.read_trial(frame, design=rg.Design(None, ["a1"]))
    estimates = rg.estimate_frequentist(rg.score_stages(data, STAGES), rg.Estimand("fixed"))
    steps = -np.diff(scores, axis=1)
    squared = 25 * steps.mean(axis=0) @ np.linalg.solve(np.cov(steps.T), steps.mean(axis=0))
    test = by_name(estimates)["a1", "components = 0"]
    assert (test.reference, test.df_num) == ("Hotelling", 2)
    assert test.df_denom == pytest.approx(23)
    assert test.statistic == pytest.approx(squared * 23 / (24 * 2))
    assert test.p_value == pytest.approx(stats.f.sf(squared * 23 / 48, 2, 23))


def test_with_benchmark_runs_the_smallest_degrees_of_freedom_are_used_and_said():
    estimates = estimated()
    found = by_name(estimates)
    single = [found["a1", f"{name} = 0"].df_denom for name in ("own_query", "conversation", "decision")]
    joint = found["a1", "components = 0"]
    assert joint.df_denom == pytest.approx(min(single) - 2)
    assert "smallest" in joint.note


def test_items_random_have_hotelling_at_the_number_of_items():
    test = by_name(estimated("random", covariance="item"))["a1", "components = 0"]
    assert (test.df_num, test.df_denom) == (3, 3)


def test_robust_tests_are_chi_squared():
    estimates = estimated(covariance="robust")
    test = by_name(estimates)["across arms", "components equal"]
    rows = [contrasts(estimates.scores.chain, arm, {arm: 1.0}, None)[:3] for arm in ("a2", "a1")]
    row = np.array([estimates.row(one.plus(two, -1.0)) for one, two in zip(*rows, strict=True)])
    value = row @ [estimates.value(key) for key in estimates.keys]
    wald = value @ np.linalg.solve(covariance_of(estimates, row).matrix, value)
    assert (test.reference, test.df_denom) == ("chi2", None)
    assert test.p_value == pytest.approx(stats.chi2.sf(wald, 3))


def test_more_quantities_than_items_can_bear_have_no_test():
    frame = TRIAL.answers[TRIAL.answers["item"].isin(["s0", "s1", "s2"])]
    test = by_name(estimated("random", frame=frame, covariance="item"))["a1", "components = 0"]
    assert test.p_value is None
    assert test.note == "no test: the joint covariance is singular"


def test_too_few_clusters_for_the_quantities_have_no_test():
    """Three participants leave two degrees of freedom, and two quantities need more than one."""
    rows = [("p0", 1.0, 0.4, 0.2), ("p1", 0.7, 0.8, 0.3), ("p2", 0.9, 0.3, 0.8)]
    frame = pd.DataFrame(rows, columns=["participant", "own_query", "conversation", "decision"]).assign(arm="a1")
    data = rg.read_trial(frame, design=rg.Design(None, ["a1"]))
    estimates = rg.estimate_frequentist(rg.score_stages(data, STAGES), rg.Estimand("fixed"))
    found = by_name(estimates)["a1", "components = 0"]
    assert found.df_denom == pytest.approx(1)
    three = [{rg.MomentKey("a1", stage.name): 1.0} for stage in STAGES]
    test = wald_test(estimates, "all = 0", "a1", three)
    assert test.p_value is None
    assert "no test" in test.note


def test_a_perfect_stage_has_no_test():
    frame = TRIAL.answers.copy()
    frame["own_query"] = frame["own_query"].where(frame["own_query"].isna(), 1.0)
    found = by_name(estimated(frame=frame))
    for name in ("own_query = 0", "conversation = 0", "components = 0"):
        assert found["a1", name].p_value is None
        assert "0 or 1" in found["a1", name].note
    assert found["a1", "decision = 0"].p_value is not None


def test_dependent_quantities_have_no_joint_test():
    estimates = estimated()
    rows = contrasts(estimates.scores.chain, "a1", {"a1": 1.0}, "control")
    parts = [row.coefficients for row in rows if row.quantity in ("own_query", "conversation", "task")]
    test = wald_test(estimates, "x", "a1", parts)
    assert (test.p_value, test.note) == (None, "no test: the joint covariance is singular")


def test_the_joint_covariance_keeps_each_quantitys_factor():
    matrix = np.array([[4.0, 1.0], [1.0, 9.0]])
    covariance = Covariance((Part(matrix, np.array([1.0, 4.0])),), np.ones(2), np.ones(2), np.zeros(2, dtype=bool))
    np.testing.assert_allclose(covariance.matrix, [[4, 2], [2, 36]])
    np.testing.assert_allclose(np.diag(covariance.matrix), covariance.variance)


def test_a_two_way_covariance_falls_below_the_item_part_in_no_direction():
    """Extra parts of eigenvalues 3 and -1 along (1, 1) and (1, -1): the second is left out."""
    parts = (Part(np.diag([2.0, 2.0]), np.ones(2)), Part(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2)))
    covariance = Covariance(parts, np.ones(2), np.ones(2), np.zeros(2, dtype=bool))
    np.testing.assert_allclose(covariance.matrix, [[3.5, 1.5], [1.5, 3.5]])
