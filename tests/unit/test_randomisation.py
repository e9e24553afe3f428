"""Randomisation tests: assignments counted by hand, the level under both nulls, and designs that they do not fit."""

import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

import rctgap as rg
from rctgap import randomisation
from rctgap.estimates import arm_sets
from rctgap.inference_by_design import WORKING_MODEL, randomisation_inference
from rctgap.randomisation import Outcomes, assignments, randomisation_test, redraw

NO_STRATA = np.zeros(6, dtype=np.intp)
HALVES = np.array([1, 1, 1, 0, 0, 0], dtype=np.int8)


def outcomes(scores, arm_weights=(-1.0, 1.0)):
    """One score a unit, one item."""
    ones = sp.csr_array(np.ones((len(scores), 1)))
    return Outcomes(sp.csr_array(np.asarray(scores)[:, None]), ones, np.ones(1), np.array(arm_weights))


def test_assignments_are_counted_and_listed_within_strata():
    arm = np.array([0, 1, 1, 2, 0, 0, 1], dtype=np.int8)
    stratum = np.array([0, 0, 0, 0, 1, 1, 1])
    assert assignments(arm, stratum) == 12 * 3
    listed = randomisation._all_assignments(arm, stratum)
    assert len(np.unique(listed, axis=0)) == 36
    assert (np.sort(listed[:, :4], axis=1) == [0, 1, 1, 2]).all()
    assert (np.sort(listed[:, 4:], axis=1) == [0, 0, 1]).all()


def test_re_drawn_arms_keep_their_numbers_in_every_stratum_and_are_even_over_units():
    arm = np.array([0, 1, 1, 2, 0, 0, 1, 1], dtype=np.int8)
    stratum = np.array([1, 0, 1, 0, 1, 0, 1, 0])
    drawn = redraw(arm, stratum, 4000, seed=7)
    for place in (0, 1):
        inside = np.flatnonzero(stratum == place)
        assert (np.sort(drawn[:, inside], axis=1) == np.sort(arm[inside])).all()
        share = np.mean(arm[inside] == 1)
        error = 4 * math.sqrt(share * (1 - share) / 4000)
        np.testing.assert_allclose((drawn[:, inside] == 1).mean(axis=0), share, atol=error)


def test_assignments_are_distinct_and_do_not_depend_on_workers():
    arm, stratum = np.repeat([0, 1], 30).astype(np.int8), np.zeros(60, dtype=np.intp)
    alone = redraw(arm, stratum, 300, seed=5)
    assert len(np.unique(alone, axis=0)) == 300
    for pool in (ThreadPoolExecutor(1), ThreadPoolExecutor(2), ProcessPoolExecutor(2)):
        with pool as executor:
            np.testing.assert_array_equal(redraw(arm, stratum, 300, 5, executor), alone)


@pytest.mark.parametrize("studentised", [True, False])
def test_complete_separation_is_the_most_extreme_of_twenty(studentised):
    found = randomisation_test(
        outcomes([0.9, 0.8, 0.75, 0.3, 0.2, 0.05]), HALVES, NO_STRATA, seed=1, studentised=studentised
    )
    assert found.enumerated
    assert found.replicates == 20
    # The assignment that happened and its mirror image.
    assert found.p_value == pytest.approx(2 / 20)
    # Nothing is rejected at 5 % out of 20 assignments.
    assert (found.lower, found.upper) == (-math.inf, math.inf)
    assert "unbounded: with 20 assignments" in found.note


def test_p_is_the_share_of_assignments_written_out_by_hand():
    # Treated 1, 0, 1; control 0, 0, 1: the difference is 1/3. A treated sum of 1 or 2 gives 1/3, of 3 or 0 gives 1.
    # All assignments are at least as far: the 20 treated sums of three from {1, 1, 1, 0, 0, 0} are never a tie.
    scores = [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    plain = randomisation_test(outcomes(scores), HALVES, NO_STRATA, seed=1, studentised=False)
    assert plain.p_value == 1.0
    # Shifted by 1 the treated are 0, -1, 0 against 0, 0, 1: -2/3. Sums of three from {0, -1, 0, 0, 0, 1} at least as
    # far: the treated hold -1 and not 1 (6 ways), or 1 and not -1 (6 ways).
    assert plain.test.p_value(1.0) == pytest.approx(12 / 20)


def test_the_monte_carlo_test_counts_the_assignment_that_happened():
    scores = np.concatenate([np.linspace(2.0, 3.0, 12), np.linspace(0.0, 1.0, 12)])
    arm = np.repeat([1, 0], 12).astype(np.int8)
    found = randomisation_test(outcomes(scores), arm, np.zeros(24, dtype=np.intp), seed=1, replicates=99)
    assert not found.enumerated
    assert found.p_value == 1 / 100


def test_monte_carlo_approaches_the_enumeration():
    scores = np.random.default_rng(4).random(12)
    arm, stratum = np.tile([0, 1], 6).astype(np.int8), np.repeat([0, 1], 6)
    whole = randomisation_test(outcomes(scores), arm, stratum, seed=1)
    drawn = randomisation_test(outcomes(scores), arm, stratum, seed=1, replicates=399)
    assert (whole.enumerated, drawn.enumerated) == (True, False)
    assert whole.p_value == pytest.approx(drawn.p_value, abs=4 * math.sqrt(0.25 / 399))


@pytest.mark.parametrize("studentised", [True, False])
def test_the_ends_are_where_p_falls_to_alpha(studentised):
    scores = np.random.default_rng(6).random(30)
    arm = np.tile([0, 0, 1], 10).astype(np.int8)
    stratum = np.zeros(30, dtype=np.intp)
    found = randomisation_test(outcomes(scores), arm, stratum, seed=2, replicates=799, studentised=studentised)
    assert found.lower < found.estimate < found.upper
    for end, outwards in ((found.lower, -1), (found.upper, 1)):
        assert found.test.p_value(end - outwards * 1e-9) > 0.05
        assert max(found.test.p_value(end + outwards * step) for step in (1e-9, 0.1, 1, 10, 1e4)) <= 0.05 + 1e-12


def test_the_interval_moves_with_a_constant_effect():
    scores = np.random.default_rng(8).random(40)
    arm, stratum = np.tile([0, 1], 20).astype(np.int8), np.zeros(40, dtype=np.intp)
    base = randomisation_test(outcomes(scores), arm, stratum, seed=2, replicates=499)
    moved = randomisation_test(outcomes(scores + 0.3 * arm), arm, stratum, seed=2, replicates=499)
    assert (moved.lower - base.lower, moved.upper - base.upper) == pytest.approx((0.3, 0.3), abs=1e-9)


def rejections(draw, arm, times, seed, *, studentised):
    rng, stratum = np.random.default_rng(seed), np.zeros(len(arm), dtype=np.intp)
    p = [
        randomisation_test(outcomes(draw(rng)), arm, stratum, seed=rng.integers(2**32), replicates=199, level=0.9,
                           studentised=studentised).p_value
        for _ in range(times)
    ]  # fmt: skip
    return np.mean(np.array(p) <= 0.05)


@pytest.mark.parametrize("studentised", [True, False])
def test_under_the_sharp_null_one_test_in_twenty_rejects(studentised):
    arm = np.repeat([1, 0], [8, 16]).astype(np.int8)
    found = rejections(lambda rng: rng.exponential(size=24), arm, 400, 20260522, studentised=studentised)
    assert found == pytest.approx(0.05, abs=4 * math.sqrt(0.05 * 0.95 / 400))


def test_without_an_average_effect_only_the_studentised_test_keeps_its_level():
    arm = np.repeat([1, 0], [20, 60]).astype(np.int8)

    def uneven(rng):
        return rng.normal(size=80) * np.where(arm == 1, 3.0, 0.5)

    assert rejections(uneven, arm, 300, 1, studentised=True) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 300)
    assert rejections(uneven, arm, 300, 1, studentised=False) > 0.15


def test_no_variation_has_no_studentised_test_and_no_replicates_are_refused():
    found = randomisation_test(outcomes([1.0, 1, 1, 0, 0, 0]), HALVES, NO_STRATA, seed=1)
    assert (found.p_value, found.lower) == (None, None)
    assert "do not vary" in found.note
    with pytest.raises(rg.RctgapError, match="needs assignments"):
        randomisation_test(outcomes([1.0, 1, 1, 0, 0, 0]), HALVES, NO_STRATA, seed=1, replicates=0)


# ------------------------------------------------------------------ from estimates


def effects(study, frame, design=None, weights="observed", **options):
    estimates = study.estimated(
        frame,
        None,
        rg.Estimand(items="fixed", item_weights=weights),
        design=design or rg.Design("control", ["a1"]),
        stages=[rg.Stage("conversation"), rg.Stage("decision")],
    )
    return randomisation_inference(estimates, arm_sets(estimates), **{"replicates": 199, "seed": 1, **options})


def test_the_estimate_is_the_realized_effect_of_each_arm_and_of_all(study):
    frame = study.simulated(people=15, arms=("a1", "a2", "control"))
    found = effects(study, frame, rg.Design("control", ["a1", "a2"]))
    mean = frame.groupby("arm")["decision"].mean()
    assert found["a1"].estimate == pytest.approx(mean["a1"] - mean["control"])
    assert found["all"].estimate == pytest.approx((mean["a1"] + mean["a2"]) / 2 - mean["control"])
    assert (found["a1"].units, found["all"].units) == (30, 45)
    assert WORKING_MODEL in found["a1"].note


@pytest.mark.parametrize("weights", ["uniform", "trial", {"s1": 0.7, "s3": 0.3}])
def test_the_estimate_follows_the_item_weights(study, weights):
    frame = study.simulated(people=15)
    found = effects(study, frame, weights=weights)["a1"]
    cell = frame.pivot_table("decision", "arm", "item")
    share = frame[frame["arm"] == "a1"]["item"].value_counts(normalize=True)
    mix = {"uniform": pd.Series(1 / 3, cell.columns), "trial": share}.get(str(weights), pd.Series(weights))
    assert found.estimate == pytest.approx(float(((cell.loc["a1"] - cell.loc["control"]) * mix).sum()))


def test_counted_answers_are_units_of_their_own_where_answers_were_randomised(study):
    rows = [("a1", 1, 6.0), ("a1", 0, 2.0), ("control", 1, 3.0), ("control", 0, 5.0)]
    frame = pd.DataFrame(rows, columns=["arm", "decision", "count"]).assign(conversation=1.0)
    found = effects(study, frame, rg.Design("control", ["a1"], unit="observation"), replicates=20_000)["a1"]
    assert (found.units, found.enumerated, found.replicates) == (16, True, math.comb(16, 8))
    # Nine of 16 answers are right: the treated hold k of them with hypergeometric chance, and |2k - 9| >= 3 is as far.
    chance = [math.comb(9, k) * math.comb(7, 8 - k) / math.comb(16, 8) for k in range(1, 9)]
    assert found.p_value == pytest.approx(
        sum(p for k, p in zip(range(1, 9), chance, strict=True) if abs(2 * k - 9) >= 3)
    )


def test_participants_with_answers_without_a_score_are_re_drawn_and_this_is_said(study):
    frame = study.simulated(people=10)
    frame.loc[[0, 1, 5], "decision"] = np.nan
    found = effects(study, frame)["a1"]
    assert found.units == 20
    assert "3 answers without a score are taken to be missing whatever the arm" in found.note


def test_strata_are_kept(study):
    frame = study.simulated(people=4)
    frame["site"] = np.where(frame["participant"].str[-1].isin(["0", "1"]), "x", "y")
    found = effects(study, frame, rg.Design("control", ["a1"], strata=("site",)))["a1"]
    assert (found.enumerated, found.replicates) == (True, math.comb(4, 2) ** 2)


def test_results_do_not_depend_on_workers(study):
    frame = study.simulated(people=12)
    alone = effects(study, frame)
    with ThreadPoolExecutor(2) as executor:
        assert effects(study, frame, executor=executor) == alone


@pytest.mark.parametrize(
    ("design", "change", "message"),
    [
        (rg.Design(None, ["a1"]), {}, "needs a control arm"),
        (rg.Design("control", ["a1"], crossover=True), {}, "crossover"),
        (rg.Design("control", ["a1"]), {"participant": None}, "the data do not identify them"),
        (rg.Design("control", ["a1"], strata=("item",)), {}, "several strata or arms"),
    ],
)
def test_a_design_that_was_not_randomised_so_is_refused(study, design, change, message):
    frame = study.simulated(people=6).assign(**change)
    if "participant" in change:
        frame = frame.drop(columns="participant")
    with pytest.raises(rg.RctgapError, match=message):
        effects(study, frame, design)
