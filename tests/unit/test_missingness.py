"""The table of approaches to missing scores: bounds by enumeration, intervals, and what simulated trials show."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import rctgap as rg
from rctgap.inference import linear
from rctgap.intervals import critical_value, imbens_manski
from rctgap.missing import complete_cases
from rctgap.missingness import APPROACHES, missing_score_rows
from rctgap.patterns import covariate_column
from rctgap.weighting import inverse_probability

BLANK = float("nan")
STAGES = ("own_query", "conversation", "decision")
THREE = [rg.Stage(name) for name in STAGES]


def tiny(used=None):
    """Two AI arms and a control, six scores missing; no cell of arm and item is without a score."""
    rows = [
        ("p1", "s1", "a1", 1, 1, 1),
        ("p1", "s2", "a1", BLANK, 0, 1),
        ("p2", "s1", "a1", 1, BLANK, 0),
        ("p2", "s2", "a1", 0, 1, BLANK),
        ("p3", "s2", "a1", 1, 0, 0),
        ("p4", "s1", "a2", BLANK, BLANK, 0),
        ("p4", "s2", "a2", 0, 0, 1),
        ("p5", "s1", "a2", 1, 0, 1),
        ("p6", "s1", "control", BLANK, BLANK, BLANK),
        ("p6", "s2", "control", BLANK, BLANK, 1),
        ("p7", "s1", "control", BLANK, BLANK, 0),
        ("p8", "s2", "control", BLANK, BLANK, 1),
    ]
    frame = pd.DataFrame(rows, columns=["participant", "item", "arm", *STAGES])
    if used is not None:
        idle = [("p9", "s1", "a1", BLANK, BLANK, 1), ("p9", "s2", "a1", BLANK, BLANK, 0)]
        frame = pd.concat([frame.assign(used=1), pd.DataFrame(idle, columns=[*frame]).assign(used=0)])
    return frame.reset_index(drop=True)


def scored(frame, arms=("a1", "a2"), covariates=()):
    return rg.score_stages(rg.read_trial(frame, design=rg.Design("control", list(arms))), THREE, covariates)


PARTS = {
    "conversation": ("own_query", "conversation"),
    "decision": ("conversation", "decision"),
    "task": ("own_query", "conversation"),
    "outcome": ("conversation", "decision"),
    "gap": ("own_query", "decision"),
    "predicted_effect": ("own_query", "control"),
    "predicted_effect_after_conversation": ("conversation", "control"),
    "realized_effect": ("decision", "control"),
}


def quantities(whole, weights, arms, policy):
    """Every quantity of a trial that misses nothing, from plain means of its rows."""
    arm, item, used = (whole[name].to_numpy() for name in ("arm", "item", "used"))
    mix = {"s1": 0.5, "s2": 0.5}
    if weights == "trial":
        mix = {name: np.mean(item[arm != "control"] == name) for name in mix}

    def mean(rows, score):
        if weights == "observed":
            return score[rows].mean()
        return sum(share * score[rows & (item == name)].mean() for name, share in mix.items())

    control = mean(arm == "control", whole["decision"].to_numpy())
    theta = {}
    for label in ("a1", "a2"):
        mine = arm == label
        theta[label, "decision"] = mean(mine, whole["decision"].to_numpy())
        for stage in STAGES[:2]:
            filler = {"zero": 0.0, "control": control}.get(policy, 0.0)
            score = np.where(used == 1, whole[stage].to_numpy(), filler)
            theta[label, stage] = mean(mine & (used == 1) if policy == "exclude" else mine, score)
    for stage in STAGES:
        theta["all", stage] = sum(arms[label] * theta[label, stage] for label in ("a1", "a2"))
    for label in ("a1", "a2", "all"):
        theta[label, "control"] = control
    return {
        (label, name): theta[label, start] - theta[label, end]
        for label in arms | {"all": 1}
        for name, (start, end) in PARTS.items()
    }


def enumerated(frame, weights="observed", arms=None, policy=None):
    """Smallest and largest value of every quantity over all ways to fill in what is missing."""
    whole = frame if "used" in frame else frame.assign(used=1)
    places = [
        (row, name)
        for row, one in whole.iterrows()
        for name in STAGES
        if math.isnan(one[name]) and (name == "decision" or (one["arm"] != "control" and one["used"]))
    ]
    found = []
    for filling in itertools.product((0.0, 1.0), repeat=len(places)):
        whole = whole.copy()
        for (row, name), value in zip(places, filling, strict=True):
            whole.loc[row, name] = value
        found.append(quantities(whole, weights, arms or {"a1": 0.5, "a2": 0.5}, policy))
    return len(found), {key: (min(one[key] for one in found), max(one[key] for one in found)) for key in found[0]}


def bounds(rows):
    return {(row.arm, row.quantity): (row.bound_lower, row.bound_upper) for row in rows if row.approach == "worst_case"}


def pick(rows, quantity, approach, arm="all"):
    return next(row for row in rows if (row.arm, row.quantity, row.approach) == (arm, quantity, approach))


# ---------------------------------------------------------------- bounds


@pytest.mark.parametrize("weights", ["observed", "trial", "uniform"])
def test_bounds_are_the_extremes_over_all_fillings(weights):
    frame = tiny()
    estimand = rg.Estimand(items="fixed", item_weights=weights)
    count, expected = enumerated(frame, weights)
    found = bounds(missing_score_rows(rg.estimate_frequentist(scored(frame), estimand)))
    assert count == 2**6
    assert found.keys() == expected.keys()
    for key, ends in expected.items():
        assert found[key] == pytest.approx(ends, abs=1e-12), key
    assert all(upper - lower > 0.1 for lower, upper in found.values())


@pytest.mark.parametrize("policy", ["zero", "exclude", "control"])
@pytest.mark.parametrize("weights", ["observed", "uniform"])
def test_bounds_with_non_users_are_the_extremes_too(policy, weights):
    frame = tiny(used=True)
    estimand = rg.Estimand(items="fixed", item_weights=weights, non_users=policy)
    _, expected = enumerated(frame, weights, policy=policy)
    found = bounds(missing_score_rows(rg.estimate_frequentist(scored(frame), estimand)))
    for key, ends in expected.items():
        assert found[key] == pytest.approx(ends, abs=1e-12), key


def test_bounds_of_unequal_arm_weights_are_the_extremes_too():
    frame, estimand = tiny(), rg.Estimand(items="fixed", arm_weights={"a1": 1.0, "a2": 0.0})
    _, expected = enumerated(frame, arms={"a1": 1.0, "a2": 0.0})
    found = bounds(missing_score_rows(rg.estimate_frequentist(scored(frame), estimand)))
    for key, ends in expected.items():
        assert found[key] == pytest.approx(ends, abs=1e-12), key


def test_a_quantity_that_misses_nothing_has_bounds_at_its_estimate():
    frame = tiny()
    frame.loc[frame["arm"] == "a2", STAGES[:2]] = frame.loc[frame["arm"] == "a2", STAGES[:2]].fillna(1)
    rows = missing_score_rows(rg.estimate_frequentist(scored(frame), rg.Estimand(items="fixed")))
    for quantity in ("conversation", "decision", "gap", "task", "outcome"):
        plain, bounded = (pick(rows, quantity, approach, "a2") for approach in ("available", "worst_case"))
        assert bounded.bound_lower == bounded.bound_upper == pytest.approx(plain.estimate)
        assert (bounded.estimate, bounded.std_error) == pytest.approx((plain.estimate, plain.std_error))
        assert (bounded.lower, bounded.upper) == pytest.approx((plain.lower, plain.upper))
    touched = pick(rows, "gap", "worst_case", "a1")
    assert touched.estimate is None
    assert touched.lower < touched.bound_lower < touched.bound_upper < touched.upper


# ---------------------------------------------------------------- the table


def test_nothing_missing_is_an_empty_table():
    frame = tiny()
    frame.loc[frame["arm"] != "control", STAGES] = frame.loc[frame["arm"] != "control", STAGES].fillna(1)
    frame["decision"] = frame["decision"].fillna(0)
    assert missing_score_rows(rg.estimate_frequentist(scored(frame), rg.Estimand(items="fixed"))) == ()


def test_every_quantity_of_every_arm_has_every_approach():
    estimates = rg.estimate_frequentist(scored(tiny()), rg.Estimand(items="fixed"))
    rows = missing_score_rows(estimates)
    quantities = ["conversation", "decision", "task", "outcome", "gap"]
    quantities += ["predicted_effect", "predicted_effect_after_conversation", "realized_effect"]
    expected = [(arm, name, way) for arm in ("a1", "a2", "all") for name in quantities for way in APPROACHES]
    assert [(row.arm, row.quantity, row.approach) for row in rows] == expected
    assert all(row.lower is not None or row.note for row in rows)


def test_available_rows_are_the_estimates_as_they_stand():
    estimates = rg.estimate_frequentist(scored(tiny()), rg.Estimand(items="fixed"))
    row = pick(missing_score_rows(estimates), "conversation", "available", "a1")
    assert row.estimate == pytest.approx(3 / 4 - 2 / 4)
    with pytest.warns(rg.RctgapWarning):
        result = rg.decompose(estimates, estimates.estimand)
    same = result.row("conversation", "a1")
    assert (row.estimate, row.std_error, row.lower, row.upper, row.n) == (
        same.estimate,
        same.std_error,
        same.lower,
        same.upper,
        same.n,
    )


def test_complete_cases_keep_the_item_weights_of_all_answers():
    """Standardised to the trial's mix, three complete answers of item s1 weigh as much as all answers of s1 did."""
    draw = np.random.default_rng(3)
    rows = [("a1", "s1")] * 40 + [("a1", "s2")] * 60 + [("control", "s1")] * 30 + [("control", "s2")] * 30
    frame = pd.DataFrame(rows, columns=["arm", "item"])
    for name in STAGES:
        frame[name] = draw.integers(0, 2, len(frame)).astype(float)
    frame.loc[frame["arm"] == "control", STAGES[:2]] = BLANK
    frame.loc[:24, "own_query"] = BLANK
    estimates = rg.estimate_frequentist(scored(frame, ["a1"]), rg.Estimand(items="fixed", item_weights="trial"))
    row = pick(missing_score_rows(estimates), "gap", "complete_case")
    kept = frame[(frame["arm"] == "a1") & frame["own_query"].notna()]
    by_item = (kept["own_query"] - kept["decision"]).groupby(kept["item"]).mean()
    assert row.estimate == pytest.approx(0.4 * by_item["s1"] + 0.6 * by_item["s2"])


def test_approaches_equal_estimates_from_their_scores():
    scores, estimand = scored(tiny()), rg.Estimand(items="fixed")
    rows = missing_score_rows(rg.estimate_frequentist(scores, estimand, small_sample="CR1"))
    ways = {"complete_case": complete_cases(scores), "inverse_probability": inverse_probability(scores, estimand)}
    for way, other in ways.items():
        found = rg.estimate_frequentist(other, estimand, small_sample="CR1")
        contrast = {rg.MomentKey("a1", "own_query"): 1.0, rg.MomentKey("a1", "decision"): -1.0}
        one, row = linear(found, [contrast])[0], pick(rows, "gap", way, "a1")
        assert (row.estimate, row.std_error, row.n) == (one.estimate, one.std_error, one.n)


def test_an_approach_that_the_data_do_not_allow_says_why_and_the_others_stand():
    frame = tiny()
    extra = pd.DataFrame([("p2", "s3", "a1", BLANK, 1, 1), ("p5", "s3", "a2", 1, 1, 0)], columns=frame.columns)
    estimates = rg.estimate_frequentist(scored(pd.concat([frame, extra])), rg.Estimand(items="fixed"))
    rows = missing_score_rows(estimates)
    row = pick(rows, "gap", "inverse_probability")
    assert (row.estimate, row.lower) == (None, None)
    assert "no answer with item 's3' has a score at own_query in arm a1" in row.note
    assert pick(rows, "gap", "complete_case").estimate is not None
    assert pick(rows, "gap", "worst_case").bound_lower < pick(rows, "gap", "available").estimate


def test_small_chances_are_said_beside_the_quantities_that_rest_on_them():
    rows = [("s1", 1, 1, 1, "a1", 50), ("s2", 1, 0, 1, "a1", 2), ("s2", BLANK, 1, 0, "a1", 98)]
    rows += [("s1", BLANK, BLANK, 1, "control", 30), ("s2", BLANK, BLANK, 0, "control", 30)]
    frame = pd.DataFrame(rows, columns=["item", *STAGES, "arm", "count"])
    found = missing_score_rows(rg.estimate_frequentist(scored(frame, ["a1"]), rg.Estimand(items="fixed")))
    said = {row.quantity for row in found if row.arm == "a1" and "largest weight is 50.0" in row.note}
    assert said == {"conversation", "task", "gap", "predicted_effect"}


def test_a_bound_at_the_edge_keeps_its_own_interval_and_says_so():
    """Every scored conversation is right, so the upper filling has no variance there and MOVER steps in."""
    rows = [(1, 1, 1, "a1", 25), (1, 1, 0, "a1", 15), (0, BLANK, 0, "a1", 8)]
    rows += [(BLANK, BLANK, 1, "control", 20), (BLANK, BLANK, 0, "control", 20)]
    frame = pd.DataFrame(rows, columns=[*STAGES, "arm", "count"])
    estimates = rg.estimate_frequentist(scored(frame, ["a1"]), rg.Estimand(items="fixed"))
    row = pick(missing_score_rows(estimates), "predicted_effect_after_conversation", "worst_case")
    assert (row.bound_lower, row.bound_upper) == pytest.approx((40 / 48 - 0.5, 0.5))
    assert row.lower < row.bound_lower
    assert row.upper > row.bound_upper + 0.05
    assert "each end is that of its own two-sided interval" in row.note


def test_items_at_random_have_every_approach_too():
    estimand = rg.Estimand(items="random", item_weights="uniform")
    rows = missing_score_rows(rg.estimate_frequentist(scored(tiny()), estimand))
    one = {approach: pick(rows, "gap", approach) for approach in APPROACHES}
    assert one["inverse_probability"].std_error > 0
    assert one["worst_case"].lower < one["worst_case"].bound_lower < one["available"].estimate


# ---------------------------------------------------------------- the interval between bounds


@pytest.mark.parametrize("df", [math.inf, 12.0])
def test_the_interval_is_two_sided_where_the_bounds_meet_and_one_sided_where_they_part(df):
    meeting = imbens_manski((0.3, 0.3), (0.1, 0.1), df, 0.95)
    assert meeting.upper == pytest.approx(0.3 + critical_value(0.95, df) * 0.1)
    apart = imbens_manski((0.1, 0.9), (0.01, 0.02), df, 0.95)
    one_sided = stats.norm.isf(0.05) if math.isinf(df) else stats.t.isf(0.05, df)
    assert apart.lower == pytest.approx(0.1 - one_sided * 0.01, abs=1e-6)
    assert apart.upper == pytest.approx(0.9 + one_sided * 0.02, abs=1e-6)


def test_the_critical_value_solves_imbens_and_manski():
    """Their equation (7): Phi(C + width / s) - Phi(-C) = level, s the larger standard error."""
    found = imbens_manski((0.2, 0.25), (0.05, 0.04), math.inf, 0.95)
    critical = (0.2 - found.lower) / 0.05
    assert (found.upper - 0.25) / 0.04 == pytest.approx(critical)
    assert stats.norm.cdf(critical + 0.05 / 0.05) - stats.norm.cdf(-critical) == pytest.approx(0.95)
    assert 1.645 < critical < 1.96


def test_the_interval_covers_the_end_of_a_narrow_set_at_its_level():
    """A number at one bound: missed by C standard errors on its side, or across the width on the other."""
    draw = np.random.default_rng(5)
    width, error = 0.06, 0.05
    lower = draw.normal(0.0, error, 2000)
    ends = [imbens_manski((one, one + width), (error, error), math.inf, 0.9) for one in lower]
    covered = np.mean([one.lower <= 0.0 <= one.upper for one in ends])
    assert covered == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 2000))


# ---------------------------------------------------------------- simulated trials


REPEATS = 200
PEOPLE = 300
TRUTH = 0.6 - 0.45
ESTIMAND = rg.Estimand(items="fixed")


def blank_trial():
    """Scores of a trial of one arm, to be drawn anew for each replicate: reading a trial takes longer than all else."""
    frame = pd.DataFrame({"participant": [f"p{number}" for number in range(PEOPLE)], "arm": "a1", "age": 0.5})
    frame = frame.assign(conversation=1.0, decision=1.0)
    trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    return rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")], ["age"])


def replicate(blank, seed, chance):
    """One answer each; age moves conversation (.8 or .4) and decision (.6 or .3).

    `chance` of a log by age (row) and by whether the conversation is right (column).
    """
    draw = np.random.default_rng(seed)
    old = draw.integers(0, 2, PEOPLE)
    talk = (draw.random(PEOPLE) < np.where(old == 1, 0.4, 0.8)).astype(float)
    decided = (draw.random(PEOPLE) < np.where(old == 1, 0.3, 0.6)).astype(float)
    logged = draw.random(PEOPLE) < np.asarray(chance)[old, talk.astype(int)]
    drawn = {"conversation": np.where(logged, talk, np.nan), "decision": decided, covariate_column("age"): old * 1.0}
    return replace(blank, _answers=blank.answers.assign(**drawn))


COMPONENT = {rg.MomentKey("a1", "conversation"): 1.0, rg.MomentKey("a1", "decision"): -1.0}


def test_weights_are_right_where_logs_are_lost_by_age_and_available_scores_are_not():
    """Expected bias of the available scores: (.95 x .8 + .5 x .4) / 1.45 - .6 = .062."""
    found = {"available": [], "weighted": []}
    blank = blank_trial()
    for seed in range(REPEATS):
        scores = replicate(blank, seed, [[0.95, 0.95], [0.5, 0.5]])
        for name, one in (("available", scores), ("weighted", inverse_probability(scores, ESTIMAND))):
            result = linear(rg.estimate_frequentist(one, ESTIMAND, adjustment="none"), [COMPONENT])[0]
            found[name].append((result.estimate, result.interval.lower <= TRUTH <= result.interval.upper))
    estimates, covered = ({name: np.array(rows)[:, column] for name, rows in found.items()} for column in (0, 1))
    error = estimates["weighted"].std() / math.sqrt(REPEATS)
    assert abs(estimates["weighted"].mean() - TRUTH) < 4 * error
    assert estimates["available"].mean() - TRUTH == pytest.approx(0.062, abs=4 * error)
    assert 0.91 <= covered["weighted"].mean() <= 0.995
    assert covered["available"].mean() < 0.75


def covered_without_logs(right, wrong, seeds):
    """How often two intervals hold the truth, worst-case and by weights, where logs depend on the answer."""
    inside, weighted = [], []
    blank = blank_trial()
    for seed in seeds:
        scores = replicate(blank, seed, [[wrong, right], [wrong, right]])
        rows = missing_score_rows(rg.estimate_frequentist(scores, ESTIMAND))
        bounded, row = (pick(rows, "decision", way) for way in ("worst_case", "inverse_probability"))
        inside.append(bounded.lower <= TRUTH <= bounded.upper)
        weighted.append(row.lower <= TRUTH <= row.upper)
    return np.mean(inside), np.mean(weighted)


def test_the_truth_stays_in_the_worst_case_interval_where_wrong_answers_lose_their_logs():
    """Wrong answers lose half of their logs, right ones 15 %: no weight by age helps, and the bounds hold."""
    inside, weighted = covered_without_logs(0.85, 0.5, range(40))
    assert inside == 1
    assert weighted < 0.5


def test_the_worst_case_interval_keeps_its_level_where_the_worst_case_is_true():
    """All that is missing was wrong, so the truth is the lower bound, the hardest case for the interval."""
    inside, _ = covered_without_logs(1.0, 0.5, range(1000, 1100))
    assert 0.95 - 4 * math.sqrt(0.95 * 0.05 / 100) < inside < 1


def test_bounds_stay_unadjusted_and_say_so():
    """Once an answer's weight depends on its covariates, all missing scores at 0 are not the smallest estimate."""
    scores = replicate(blank_trial(), 1, [[0.95, 0.95], [0.5, 0.5]])
    plain, adjusted = (
        [
            row
            for row in missing_score_rows(rg.estimate_frequentist(scores, ESTIMAND, adjustment=way))
            if row.approach == "worst_case"
        ]
        for way in ("none", "linear")
    )
    assert [(row.bound_lower, row.bound_upper) for row in adjusted] == [
        (row.bound_lower, row.bound_upper) for row in plain
    ]
    assert all("bounds are not adjusted for covariates" in row.note for row in adjusted)
    assert not any("not adjusted" in row.note for row in plain)
