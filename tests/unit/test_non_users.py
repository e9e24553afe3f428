"""Participants who never wrote: the three choices by hand, and the control mean's influence by derivatives."""

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.errors import EstimandError

STAGES = ("own_query", "conversation", "decision")


def trial():
    """AI arm: 30 users and 10 who never wrote; control: 40."""
    draw = np.random.default_rng(11)
    users = pd.DataFrame((draw.random((30, 3)) < (0.8, 0.6, 0.4)).astype(float), columns=STAGES)
    idle = pd.DataFrame({"own_query": np.nan, "conversation": np.nan, "decision": [1.0] * 3 + [0.0] * 7})
    control = pd.DataFrame({"own_query": np.nan, "conversation": np.nan, "decision": [1.0] * 18 + [0.0] * 22})
    users, idle, control = users.assign(used=1), idle.assign(used=0), control.assign(used=1)
    frame = pd.concat([users.assign(arm="a1"), idle.assign(arm="a1"), control.assign(arm="control")], ignore_index=True)
    return frame.assign(item=[f"s{row % 3}" for row in range(len(frame))])


FRAME = trial()
MINE = (FRAME["arm"] == "a1").to_numpy()
USED = MINE & (FRAME["used"] == 1).to_numpy()


def result(study, policy, weights="observed", frame=FRAME, **options):
    estimand = rg.Estimand("fixed", weights, non_users=policy)
    return study.decomposed(frame, study.benchmark(items=("s0", "s1", "s2")), estimand, **options)


def user_mean(name):
    return FRAME.loc[USED, name].mean()


@pytest.mark.parametrize("policy", ["exclude", "zero", "control"])
@pytest.mark.parametrize("name", ["own_query", "conversation"])
def test_task_stages_by_hand(study, policy, name):
    control = 18 / 40
    expected = {
        "exclude": user_mean(name),
        "zero": 0.75 * user_mean(name),
        "control": 0.75 * user_mean(name) + 0.25 * control,
    }
    assert study.stage(result(study, policy), name).estimate == pytest.approx(expected[policy])


@pytest.mark.parametrize("policy", ["exclude", "zero", "control"])
def test_decisions_keep_everyone_and_components_add_up(study, policy):
    found = result(study, policy)
    assert study.stage(found, "decision").estimate == pytest.approx(FRAME.loc[MINE, "decision"].mean())
    assert study.stage(found, "decision").n == 40
    parts = [found.row(name).estimate for name in STAGES]
    assert sum(parts) == pytest.approx(found.row("gap").estimate)
    assert study.faults(found) == []


def test_exclusion_says_that_the_outcome_step_is_unpaired(study):
    excluded, zeroed = (result(study, policy) for policy in ("exclude", "zero"))
    assert "unpaired" in " ".join((*excluded.notes, *excluded.warnings))
    assert "unpaired" not in " ".join((*zeroed.notes, *zeroed.warnings))


def test_excluded_outcome_step_by_hand(study):
    """Robust: influences of users on both stages, of the others on decisions alone."""
    found = result(study, "exclude").row("decision")
    influence = np.zeros(40)
    rows = FRAME[MINE]
    talk, decided = rows["conversation"].to_numpy(), rows["decision"].to_numpy()
    wrote = rows["used"].to_numpy() == 1
    influence[wrote] += (talk[wrote] - talk[wrote].mean()) / wrote.sum()
    influence -= (decided - decided.mean()) / 40
    assert found.std_error**2 == pytest.approx((influence**2).sum() * 40 / 39)


def test_zero_flows_count_those_who_never_wrote(study):
    row = result(study, "zero").row("decision")
    talk = FRAME["conversation"].where(USED, 0.0)[MINE]
    decided = FRAME.loc[MINE, "decision"]
    assert row.lost == pytest.approx((talk > decided).mean())
    assert row.gained == pytest.approx((decided > talk).mean())
    assert row.lost - row.gained == pytest.approx(row.estimate)


def test_zero_flow_counts_match_the_flows(study):
    row = result(study, "zero").row("decision")
    assert row.gained_count == round(row.gained * 40)


def test_excluding_non_users_leaves_the_last_step_unpaired(study):
    row = result(study, "exclude").row("decision")
    assert (row.lost, row.lost_count) == (None, None)
    assert "unpaired: non-users are in the decisions" in row.note


def mean_with_control(weights, values, items, mix):
    """Own query of the arm, non-users at the control mean, as a function of row weights."""

    def average(where, scores):
        if mix is None:
            return np.average(scores[where], weights=weights[where])
        cells = [where & (items == item) for item in mix]
        parts = [np.average(scores[cell], weights=weights[cell]) for cell in cells]
        return float(np.dot(list(mix.values()), parts))

    control = average(~MINE, FRAME["decision"].to_numpy())
    filled = np.where(USED, values, control)
    return average(MINE, filled), control


@pytest.mark.parametrize("weights", ["observed", "uniform"])
@pytest.mark.parametrize("against_control", [False, True])
def test_the_control_means_influence_by_numerical_derivatives(study, weights, against_control):
    values, items = FRAME["own_query"].to_numpy(), FRAME["item"].to_numpy()
    mix = None if weights == "observed" else dict.fromkeys(("s0", "s1", "s2"), 1 / 3)
    step, slopes = 1e-6, np.zeros(len(FRAME))

    def quantity(row_weights):
        own, control = mean_with_control(row_weights, values, items, mix)
        return own - control if against_control else own

    base = quantity(np.ones(len(FRAME)))
    for row in range(len(FRAME)):
        nudged = np.ones(len(FRAME))
        nudged[row] += step
        slopes[row] = (quantity(nudged) - base) / step
    cells = 2 if mix is None else 6
    expected = (slopes**2).sum() * 80 / (80 - cells)
    found = result(study, "control", weights)
    row = found.row("predicted_effect_after_own_query") if against_control else study.stage(found, "own_query")
    assert row.estimate == pytest.approx(base)
    assert row.std_error**2 == pytest.approx(expected, rel=1e-4)


def test_the_control_standard_error_against_simulation(study):
    draw, means, errors = np.random.default_rng(4), [], []
    for _ in range(80):
        used = draw.random(60) < 0.7
        own = np.where(used, (draw.random(60) < 0.8).astype(float), np.nan)
        arm = pd.DataFrame({"arm": "a1", "used": used.astype(int), "conversation": own, "decision": 1.0 * used})
        decided = (draw.random(30) < 0.3).astype(float)
        control = pd.DataFrame({"arm": "control", "used": 1, "conversation": np.nan, "decision": decided})
        found = study.estimated(
            pd.concat([arm, control]),
            estimand=rg.Estimand("fixed", non_users="control"),
            stages=rg.Chain((rg.Stage("conversation"), rg.Stage("decision")), (rg.Transition("decision", "outcome"),)),
        )
        key = rg.MomentKey("a1", "conversation")
        means.append(found.value(key))
        from rctgap.inference import linear  # noqa: PLC0415 - this test alone

        errors.append(linear(found, [{key: 1.0}])[0].std_error)
    assert np.mean(errors) == pytest.approx(np.std(means, ddof=1), rel=0.25)
    assert np.mean(means) == pytest.approx(0.7 * 0.8 + 0.3 * 0.3, abs=0.02)


def test_a_choice_is_required_only_where_someone_never_wrote(study):
    with pytest.raises(EstimandError, match="10 answers come from AI-arm participants who never used"):
        result(study, None)
    everyone = FRAME[~MINE | USED]
    assert study.stage(result(study, None, frame=everyone), "own_query").n == 30


def test_control_needs_a_control_arm(study):
    with pytest.raises(EstimandError, match="needs the control arm's mean"):
        result(study, "control", frame=FRAME[MINE], design=rg.Design(None, ["a1"]))


def test_those_of_the_control_arm_are_never_non_users(study):
    marked = FRAME.assign(used=FRAME["used"].where(MINE, 0))
    assert result(study, "zero", frame=marked).components == result(study, "zero").components


def test_other_route_checks_exclude_and_zero_and_abstains_for_control(study):
    status = {}
    for policy in ("exclude", "zero", "control"):
        checks = rg.run_checks(result(study, policy))
        status[policy] = next(check.status for check in checks if check.check == "other_route")
    assert status == {"exclude": "pass", "zero": "pass", "control": "not_applicable"}


@pytest.mark.parametrize(
    "policy",
    [
        "exclude",
        "zero",
    ],
)
def test_item_mix_is_the_difference_of_gaps_without_a_benchmark(study, policy):
    stages = tuple(rg.Stage(name) for name in STAGES)
    chain = rg.Chain(stages, (rg.Transition("conversation", "task"), rg.Transition("decision", "outcome")))
    frame = FRAME.drop(index=[0, 3, 6, 9])
    own, even = (result(study, policy, weights, frame=frame, stages=chain) for weights in ("observed", "uniform"))
    assert even.row("item_mix").estimate == pytest.approx(own.row("gap").estimate - even.row("gap").estimate)
