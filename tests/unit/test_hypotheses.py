"""Rows of tests hold what the tests found, for every quantity and arm that has one."""

import numpy as np
import pytest
from scipy import stats

import rctgap as rg
from rctgap.errors import EstimationError
from rctgap.estimands import contrasts
from rctgap.estimates import arm_sets
from rctgap.hypotheses import randomisation_rows, wald_rows, wild_rows
from rctgap.inference_by_design import randomisation_inference, wild_cluster_bootstrap
from rctgap.quantities import linear
from rctgap.wald import wald_tests

DESIGN = rg.Design("control", ["a1", "a2"])


def estimated(study, items="fixed", weights="observed", design=DESIGN, **options):
    frame = study.simulated(people=25, arms=("a1", "a2", "control"), seed=6, rates=(0.8, 0.6, 0.3))
    if design.control is None:
        frame = frame[frame["arm"] != "control"]
    runs = study.benchmark(("a1", "a2"), repeats=6, right=5)
    return study.estimated(frame, runs, rg.Estimand(items, weights), design=design, **options)


def names(estimates):
    """Arm and quantity of every row that has a mean to test."""
    return [
        (label, row)
        for label, weights in arm_sets(estimates)
        for row in contrasts(rg.DEFAULT_CHAIN, label, weights, estimates.scores.design.control)
        if row.quantity != "item_mix"
    ]


def test_wald_rows_are_the_wald_tests(study):
    estimates = estimated(study)
    rows, found = list(wald_rows(estimates)), wald_tests(estimates)
    assert len(rows) == len(found) > 5
    for row, one in zip(rows, found, strict=True):
        assert (row.arm, row.hypothesis, row.method) == (one.arm, one.hypothesis, "wald")
        assert (row.statistic, row.df_num, row.df_denom) == (one.statistic, one.df_num, one.df_denom)
        assert (row.reference, row.p_value, row.note, row.level) == (one.reference, one.p_value, one.note, 0.95)
        assert (row.lower, row.upper, row.replicates) == (None, None, None)


def test_a_single_hypothesis_by_wald_is_the_t_test(study):
    estimates = estimated(study, level=0.9)
    step = next(one for label, one in names(estimates) if (label, one.quantity) == ("a1", "decision"))
    one = linear(estimates, [step.coefficients])[0]
    row = next(row for row in wald_rows(estimates) if row.arm == "a1" and row.hypothesis.startswith("decision"))
    assert (row.reference, row.level) == ("t", 0.9)
    assert row.statistic == pytest.approx(one.estimate / one.std_error)
    assert row.p_value == pytest.approx(2 * stats.t.sf(abs(one.estimate / one.std_error), one.df))


@pytest.mark.parametrize("weights", ["rademacher", "webb"])
def test_wild_rows_are_the_wild_bootstraps_of_every_quantity(study, weights):
    estimates = estimated(study)
    rows = list(wild_rows(estimates, weights=weights, replicates=199, seed=4))
    wanted = names(estimates)
    assert [(row.arm, row.hypothesis) for row in rows] == [(label, f"{one.quantity} = 0") for label, one in wanted]
    assert len(rows) == 3 * 10
    found = wild_cluster_bootstrap(
        estimates, [one.coefficients for _, one in wanted], weights=weights, replicates=199, seed=4
    )
    for row, one in zip(rows, found, strict=True):
        least = 0.0 if one.enumerated else 1 / 200
        shown = (one.statistic, max(one.p_value, least), one.lower, one.upper)
        assert (row.statistic, row.p_value, row.lower, row.upper) == shown
        assert (row.method, row.replicates) == (f"wild cluster bootstrap, {weights}", one.replicates)
        assert row.reference.startswith(f"{one.clusters} clusters")
        assert (row.df_num, row.df_denom) == (None, None)


def test_wild_rows_agree_with_t_where_clusters_are_many(study):
    estimates = estimated(study, weights="trial")
    rows = {(row.arm, row.hypothesis): row for row in wild_rows(estimates, replicates=999, seed=4)}
    for label, one in names(estimates):
        row, plain = rows[label, f"{one.quantity} = 0"], linear(estimates, [one.coefficients])[0]
        expected = 2 * stats.t.sf(abs(plain.estimate / plain.std_error), plain.df)
        assert row.p_value == pytest.approx(expected, abs=0.05), (label, one.quantity)
        assert row.lower < plain.estimate < row.upper
        assert (row.p_value > 0.05) == (row.lower < 0 < row.upper)


def test_items_random_enumerates_the_signs_of_few_items(study):
    rows = list(wild_rows(estimated(study, "random"), replicates=99, seed=4))
    gap = next(row for row in rows if (row.arm, row.hypothesis) == ("a1", "gap = 0"))
    assert (gap.reference, gap.replicates) == ("3 clusters, enumerated", 8)


def test_without_a_control_arm_there_are_no_effects_to_test(study):
    estimates = estimated(study, design=rg.Design(None, ["a1", "a2"]))
    hypotheses = {row.hypothesis for row in wild_rows(estimates, replicates=99, seed=4)}
    assert hypotheses == {f"{name} = 0" for name in ("own_query", "conversation", "decision", "task", "outcome", "gap")}


@pytest.mark.parametrize("studentised", [True, False])
def test_randomisation_rows_are_the_tests_of_every_arm(study, studentised):
    estimates = estimated(study)
    rows = list(randomisation_rows(estimates, studentised=studentised, replicates=499, seed=4))
    found = randomisation_inference(estimates, arm_sets(estimates), studentised=studentised, replicates=499, seed=4)
    assert [row.arm for row in rows] == ["a1", "a2", "all"]
    for row in rows:
        one = found[row.arm]
        least = 0.0 if one.enumerated else 1 / 200
        shown = (one.statistic, max(one.p_value, least), one.lower, one.upper)
        assert (row.statistic, row.p_value, row.lower, row.upper) == shown
        assert (row.method == "randomisation, studentised") is studentised
        assert row.reference == f"{one.units} units"
        assert row.replicates == one.replicates


def test_randomisation_p_values_by_permutation(study):
    """Participants' sums, shuffled between an arm and control; scores of 0 and 1 tie often."""
    estimates = estimated(study)
    sums = estimates.scores.answers.assign(sum=lambda one: one["decision"] * one["count"])
    sums = sums.groupby(["arm", "participant"])["sum"].sum()
    draw = np.random.default_rng(9)
    rows = {row.arm: row for row in randomisation_rows(estimates, studentised=False, replicates=1999, seed=4)}
    for arm in ("a1", "a2"):
        values = sums.loc[[arm, "control"]].to_numpy()
        shuffled = np.array([draw.permutation(values) for _ in range(4000)])
        effects = (shuffled[:, :25].mean(axis=1) - shuffled[:, 25:].mean(axis=1)) / 2
        effect = (values[:25].mean() - values[25:].mean()) / 2
        expected = (np.abs(effects) >= abs(effect) - 1e-12).mean()
        assert rows[arm].p_value == pytest.approx(expected, abs=0.05)
        assert rows[arm].lower < effect < rows[arm].upper


def test_randomisation_of_a_crossover_is_refused(study):
    estimates = estimated(study, design=rg.Design("control", ["a1", "a2"], crossover=True))
    with pytest.raises(EstimationError, match="participants of a crossover design take several arms"):
        list(randomisation_rows(estimates, replicates=99, seed=4))


def test_the_seed_decides(study):
    estimates = estimated(study)

    def p_values(seed):
        both = [
            *wild_rows(estimates, replicates=99, seed=seed),
            *randomisation_rows(estimates, replicates=99, seed=seed),
        ]
        return np.array([row.p_value for row in both])

    assert (p_values(1) == p_values(1)).all()
    assert (p_values(1) != p_values(2)).any()
