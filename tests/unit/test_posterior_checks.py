"""The gates of a posterior: convergence of every reported quantity, agreement with the plug-in."""

from dataclasses import replace

import numpy as np
import pytest

import rctgap as rg
from rctgap.checks.agreement import agreement
from rctgap.checks.convergence import convergence
from rctgap.estimates import Sampling
from rctgap.rows import component_rows

FIXED = rg.Estimand("fixed")
CHAINS = Sampling("pymc", (("pymc", "6.4.0"),), 4, 1000, 1000, 1, False, 0.9, 0, 0.9, 0)


@pytest.fixture(scope="module")
def result(study):
    scores = study.scored(study.simulated(people=50, seed=3), study.benchmark())
    return rg.decompose(rg.estimate_bayesian(scores, FIXED, model="bootstrap", draws=2000, seed=1), FIXED)


@pytest.fixture(scope="module")
def sampled(result):
    """The same rows as if chains had drawn them, and converged."""
    rows = tuple(
        row if row.std_dev is None else replace(row, r_hat=1.001, ess_bulk=2500.0, ess_tail=1800.0)
        for row in result.posterior
    )
    return replace(result, posterior=rows, sampling=CHAINS)


def with_row(result, quantity, arm="a1", kind="component", **changes):
    def changed(row):
        wanted = (row.arm, row.kind, row.quantity) == (arm, kind, quantity)
        return replace(row, **changes) if wanted and row.items == "fixed" and row.item_weights == "observed" else row

    return replace(result, posterior=tuple(changed(row) for row in result.posterior))


def test_independent_draws_have_nothing_to_converge(result):
    found = convergence(result)
    assert (found.status, found.detail) == ("not_applicable", "The posterior's draws are independent.")
    assert result.final


def test_a_frequentist_result_has_no_chains(study):
    plain = study.decomposed(study.simulated(), study.benchmark())
    assert convergence(plain).status == agreement(plain).status == "not_applicable"


def test_chains_that_converged_pass(sampled):
    found = convergence(sampled)
    assert found.status == "pass"
    assert (
        "4 chains of 1000 draws (pymc): no divergence; highest R-hat 1.001, smallest effective size 1800"
        in found.detail
    )


FAULTS = {
    "R-hat": ({"r_hat": 1.02}, {}, "R-hat above 1.01: own_query in a1 (items fixed, observed mix) 1.020."),
    "bulk": (
        {"ess_bulk": 399.0},
        {},
        "bulk effective size below 400: own_query in a1 (items fixed, observed mix) 399.",
    ),
    "tail": (
        {"ess_tail": 120.0},
        {},
        "tail effective size below 400: own_query in a1 (items fixed, observed mix) 120.",
    ),
    "no R-hat": ({"r_hat": None}, {}, "too few draws to tell (own_query in a1 (items fixed, observed mix))."),
    "divergences": ({}, {"divergences": 2}, "2 divergences."),
    "energy": ({}, {"min_ebfmi": 0.29}, "E-BFMI 0.29, below 0.3."),
}


@pytest.mark.parametrize("case", FAULTS)
def test_one_fault_fails_and_is_named(case, sampled):
    row, sampler, message = FAULTS[case]
    broken = with_row(replace(sampled, sampling=replace(CHAINS, **sampler)), "own_query", **row)
    found = convergence(broken)
    assert (found.status, found.detail) == ("fail", f"4 chains of 1000 draws (pymc): {message}")


def test_values_at_the_gates_pass(sampled):
    edge = with_row(replace(sampled, sampling=replace(CHAINS, min_ebfmi=0.3)), "own_query", r_hat=1.01)
    edge = with_row(edge, "gap", kind="gap", ess_bulk=400.0, ess_tail=400.0)
    assert convergence(edge).status == "pass"


def test_the_worst_are_named_and_the_others_counted(sampled):
    broken = sampled
    for size, name in enumerate(("own_query", "conversation", "decision", "benchmark")):
        broken = with_row(broken, name, kind="stage", ess_bulk=50.0 + size)
    detail = convergence(broken).detail
    assert "stage own_query in a1 (items fixed, observed mix) 50, stage conversation" in detail
    assert "52 and 1 more" in detail


def test_a_failed_check_forbids_final_unless_consented(sampled):
    broken = with_row(sampled, "own_query", r_hat=1.2)
    broken = replace(
        broken, checks=(*(one for one in broken.checks if one.check != "convergence"), convergence(broken))
    )
    assert (broken.final, broken.forbidden_by) == (False, ("convergence",))
    consented = replace(broken, settings=replace(broken.settings, allow_unconverged=True))
    assert consented.final
    assert "consents to this (--allow-unconverged)" in convergence(consented).detail


def test_the_bootstrap_agrees_with_the_plug_in(result):
    found = agreement(result)
    assert found.status == "pass"
    assert "12 quantities: largest difference" in found.detail
    assert "The rule: the means differ by at most 0.25 posterior standard deviations or 1 point" in found.detail


def test_a_shifted_mean_is_named(result):
    row = next(row for row in result.posterior if (row.arm, row.kind, row.items) == ("a1", "gap", "fixed"))
    shift = 0.26 * row.std_dev
    assert shift > 0.01
    found = agreement(with_row(result, "gap", kind="gap", mean=row.mean + shift))
    assert found.status == "warning"
    assert "(gap in a1, observed mix)" in found.detail
    assert "beyond tolerance: gap in a1." in found.detail
    assert agreement(with_row(result, "gap", kind="gap", mean=row.mean + 0.15 * row.std_dev)).status == "pass"


@pytest.mark.parametrize(("factor", "status"), [(0.74, "warning"), (0.76, "pass"), (1.32, "pass"), (1.34, "warning")])
def test_a_spread_beyond_the_ratio_is_a_warning(result, factor, status):
    """The ratio is that of the posterior's standard deviation to the plug-in's standard error."""
    plain = rg.estimate_frequentist(result.bayesian.scores, FIXED)
    error = next(row for row in component_rows(plain) if (row.arm, row.quantity) == ("a1", "outcome")).std_error
    assert agreement(with_row(result, "outcome", kind="family", std_dev=factor * error)).status == status


def test_a_warning_forbids_nothing(result):
    far = with_row(result, "gap", kind="gap", mean=0.9)
    far = replace(far, checks=(agreement(far),))
    assert far.final


def test_without_fixed_items_nothing_is_compared(study):
    scores = study.scored(study.simulated(people=50, seed=3), study.benchmark())
    random = rg.Estimand("random")
    result = rg.decompose(rg.estimate_bayesian(scores, random, model="bootstrap", draws=300), random)
    assert agreement(result).status == "not_applicable"
    assert np.isfinite([row.mean for row in result.posterior if row.mean is not None]).all()
