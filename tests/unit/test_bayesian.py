"""The Bayesian bootstrap and what is read off posterior draws: held against plain numpy and the plug-in."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats

import rctgap as rg
from rctgap.bayesian import BayesianPlan, check_plan, under
from rctgap.criticism import power_scaling
from rctgap.decomposition import decompose
from rctgap.errors import EstimationError
from rctgap.estimands import MomentKey, conditionals
from rctgap.estimates import Posterior
from rctgap.intervals import equal_tailed, highest_density, simultaneous_bands
from rctgap.posterior_quantities import draws_of
from rctgap.posterior_rows import posterior_rows
from rctgap.quantities import conditional, linear, shares, simultaneous
from rctgap.rows import component_rows, effect_rows, share_rows, stage_rows

TWO = [rg.Stage("conversation"), rg.Stage("decision")]


def counts(rows=((1, 1, 30), (1, 0, 40), (0, 0, 30)), control=((1, 25), (0, 25))):
    """One arm by pattern, and a control arm by decision."""
    frame = pd.DataFrame([("a1", *row) for row in rows], columns=["arm", "conversation", "decision", "count"])
    beside = pd.DataFrame([("control", None, *row) for row in control], columns=frame.columns)
    return pd.concat([frame, beside], ignore_index=True).astype({"conversation": "Float64"})


def scored(frame=None, design=None):
    trial = rg.read_trial(counts() if frame is None else frame, design=design or rg.Design("control", ["a1"]))
    return rg.score_stages(trial, TWO)


FIXED = rg.Estimand("fixed")
MARGINS = (("conversation", 1.0, 60), ("conversation", 0.0, 40), ("decision", 1.0, 30), ("decision", 0.0, 70))


@pytest.fixture(scope="module")
def simple():
    return rg.estimate_bayesian(scored(), FIXED, model="bootstrap", draws=4000, seed=3)


@pytest.fixture(scope="module")
def trial(study):
    """Three arms with items, participants, runs, and some missing scores."""
    frame = study.simulated(people=60, arms=("a1", "a2", "control"), items=tuple(f"s{n}" for n in range(5)), seed=7)
    frame.loc[frame.index[:9], "conversation"] = np.nan
    runs = study.benchmark(("a1", "a2"), tuple(f"s{n}" for n in range(5)), repeats=10, right=8)
    return study.scored(frame, runs, rg.Design("control", ["a1", "a2"]))


def rows_of(estimates):
    return {(row.arm, row.quantity): row for row in component_rows(estimates)}


# ---------------------------------------------------------------- the Bayesian bootstrap


def test_the_weights_of_an_arm_are_dirichlet(simple):
    """100 answers of three patterns: the decision mean is Beta(30, 70), the conversation mean Beta(70, 30)."""
    for stage, right in (("decision", 30), ("conversation", 70)):
        draws = draws_of(simple, {MomentKey("a1", stage): 1.0})
        assert draws.shape == (1, 4000)
        assert draws.mean() == pytest.approx(right / 100, abs=0.003)
        assert draws.std() == pytest.approx(math.sqrt(0.3 * 0.7 / 101), rel=0.05)


def test_arms_are_drawn_apart_and_stages_of_an_answer_together(simple):
    conversation, decision, control = (
        draws_of(simple, {MomentKey(arm, stage): 1.0})[0]
        for arm, stage in (("a1", "conversation"), ("a1", "decision"), ("control", "decision"))
    )
    assert abs(np.corrcoef(decision, control)[0, 1]) < 0.05
    # Dirichlet(30, 40, 30): P1 and P1 + P2 correlate by sqrt(30 * 30 / (70 * 70))
    assert np.corrcoef(conversation, decision)[0, 1] == pytest.approx(3 / 7, abs=0.05)


@pytest.mark.parametrize("weights", ["observed", "trial"])
def test_items_fixed_agrees_with_the_plug_in(trial, weights):
    estimand = rg.Estimand("fixed", weights)
    posterior = rows_of(rg.estimate_bayesian(trial, estimand, model="bootstrap", draws=4000, seed=1))
    plain = rows_of(rg.estimate_frequentist(trial, estimand, "cluster", "CR1"))
    assert posterior.keys() == plain.keys()
    for key, row in posterior.items():
        other = plain[key]
        assert (row.n, row.clusters) == (other.n, other.clusters)
        assert (row.estimate is None) == (other.estimate is None)
        if row.estimate is not None:
            assert row.estimate == pytest.approx(other.estimate, abs=0.01), key
            assert (row.std_error is None) == (other.std_error is None)
        if row.std_error is not None:
            assert row.std_error == pytest.approx(other.std_error, rel=0.15), key
        assert (row.lost is None) == (other.lost is None)
        if row.lost is not None:
            assert (row.lost, row.gained) == pytest.approx((other.lost, other.gained), abs=0.01)
            assert (row.lost_count, row.gained_count) == (other.lost_count, other.gained_count)


def test_the_mix_term_is_drawn_as_a_difference_of_two_means(study):
    """Two items asked 1:3, means in the draws q1 and q2; the reference is uniform."""
    items = ["s1"] * 20 + ["s2"] * 60
    answers = np.arange(80) % 4 < np.where(np.array(items) == "s1", 3, 1)
    frame = pd.DataFrame({"participant": [f"p{n}" for n in range(80)], "item": items, "arm": "a1"})
    frame = frame.assign(conversation=1.0 - answers, decision=answers.astype(float))
    estimates = rg.estimate_bayesian(
        study.scored(frame, design=rg.Design(ai=["a1"]), stages=TWO),
        rg.Estimand("fixed", "uniform"),
        model="bootstrap",
        draws=3000,
    )
    mix = draws_of(estimates, {MomentKey("a1", "mix:decision"): 1.0})
    # own mix .25 / .75 minus uniform: -.25 (q1 - q2), q1 near .75, q2 near .25
    assert mix.mean() == pytest.approx(-0.25 * 0.5, abs=0.005)
    one, two = 0.75 * 0.25 / 21, 0.25 * 0.75 / 61
    assert mix.std() == pytest.approx(0.25 * math.sqrt(one + two), rel=0.1)


def test_with_items_random_items_are_drawn_too(trial):
    fixed, random = (
        rg.estimate_bayesian(trial, rg.Estimand(items, "trial"), model="bootstrap", draws=1500)
        for items in ("fixed", "random")
    )
    spread = {one.estimand.items: rows_of(one)["all", "gap"].std_error for one in (fixed, random)}
    assert spread["random"] > 1.1 * spread["fixed"]
    assert any("Bayesian bootstrap over 5 items, fewer than 30" in note for note in random.notes)
    assert not any("fewer than 30" in note for note in fixed.notes)


def test_the_seed_decides_every_draw(trial):
    one, same, other = (
        rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=200, seed=seed).posterior.draws
        for seed in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_the_same_posterior_under_another_estimand(trial):
    estimates = rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=300, seed=5, interval="hdi", level=0.9)
    asked = rg.Estimand("random", "trial")
    again, made = (
        under(estimates, asked),
        rg.estimate_bayesian(trial, asked, model="bootstrap", draws=300, seed=5, interval="hdi", level=0.9),
    )
    assert np.array_equal(again.posterior.draws, made.posterior.draws)
    assert (again.estimand, again.level, again.notes) == (asked, 0.9, made.notes)


def test_only_a_posterior_can_be_restated(trial):
    with pytest.raises(EstimationError, match="no posterior to restate"):
        under(rg.estimate_frequentist(trial, FIXED), rg.Estimand("fixed", "trial"))


def test_a_mean_of_one_has_no_interval_and_says_so():
    frame = counts(((1, 1, 40), (1, 0, 60)))
    estimates = rg.estimate_bayesian(scored(frame), FIXED, model="bootstrap", draws=500)
    stage = next(row for row in stage_rows(estimates) if row.stage == "conversation")
    assert (stage.estimate, stage.lower, stage.std_error) == (1.0, None, None)
    assert "nothing to reweight" in stage.note
    row = rows_of(estimates)["a1", "decision"]
    assert row.lower is not None
    assert "its uncertainty is left out" in row.note
    drawn = {(one.kind, one.quantity): one for one in posterior_rows(estimates, margin=0.05)}
    assert drawn["stage", "conversation"].mean == 1.0
    assert drawn["stage", "conversation"].lower is None


def test_what_the_plug_in_lacks_a_posterior_lacks_for_the_same_reason():
    rows = [("a1", 1.0, None, 30), ("a1", 0.0, None, 20), ("a1", None, 1.0, 15), ("a1", None, 0.0, 35)]
    frame = pd.DataFrame(rows, columns=["arm", "conversation", "decision", "count"])
    found = rows_of(rg.estimate_bayesian(scored(frame, rg.Design(ai=["a1"])), FIXED, model="bootstrap", draws=200))
    assert found["a1", "decision"].estimate == pytest.approx(0.3, abs=0.02)
    assert "no flows: no answer has both scores" in found["a1", "decision"].note
    assert (found["a1", "uptake"].estimate, found["a1", "uptake"].note) == (None, "no answer has both scores")


PLANS = {
    "model": (BayesianPlan(model="bootstrp"), "bayesian.model, value 'bootstrp'.*bootstrap"),
    "interval": (BayesianPlan(interval="hpd"), "bayesian.interval.*hdi"),
    "level": (BayesianPlan(level=1.0), "bayesian.level"),
    "draws": (BayesianPlan(draws=20), "bayesian.draws, value '20'.*100 or more"),
    "tune": (BayesianPlan("bootstrap", tune=500), "bayesian.tune: the Bayesian bootstrap has no such setting"),
    "chains": (BayesianPlan("bootstrap", chains=2), "bayesian.chains"),
    "priors": (BayesianPlan("bootstrap", priors={"item_sd": 1.0}), "bayesian.priors"),
    "sampler": (BayesianPlan("bootstrap", sampler="pymc"), "bayesian.sampler"),
    "compare": (BayesianPlan("bootstrap", compare=True), "bayesian.compare"),
}


@pytest.mark.parametrize("case", PLANS)
def test_a_senseless_setting_is_refused_before_anything_is_drawn(case):
    plan, message = PLANS[case]
    with pytest.raises(EstimationError, match=message):
        check_plan(plan)


def test_marginal_counts_give_no_interval_of_a_paired_step(study):
    """Counts of the stages apart: draws would take the two stages of one answer as independent."""
    rows = [("a1", stage, value, count) for stage, value, count in MARGINS]
    frame = pd.DataFrame(rows, columns=["arm", "stage", "value", "count"])
    wide = pd.DataFrame({"arm": frame["arm"], "count": frame["count"]})
    for stage in ("conversation", "decision"):
        wide[stage] = frame["value"].where(frame["stage"] == stage).astype("Float64")
    scores = replace(scored(wide, rg.Design(ai=["a1"])), paired=False)
    estimates = rg.estimate_bayesian(scores, FIXED, model="bootstrap", draws=200)
    row = rows_of(estimates)["a1", "decision"]
    assert row.estimate == pytest.approx(0.3, abs=0.03)
    assert (row.lower, row.std_error, row.simultaneous_lower) == (None, None, None)
    assert "marginal counts do not tell" in row.note
    drawn = {(one.arm, one.kind, one.quantity): one for one in posterior_rows(estimates, margin=0.05)}
    one = drawn["a1", "component", "decision"]
    assert (one.mean, one.prob_positive, one.median) == (row.estimate, None, None)
    assert drawn["a1", "stage", "decision"].lower is not None


# ---------------------------------------------------------------- from draws to quantities


def drawn(simple, draws, **options):
    """The simple trial with these draws of the moments, one column each: conversation, decision, control decision."""
    keys = [MomentKey("a1", "conversation"), MomentKey("a1", "decision"), MomentKey("control", "decision")]
    whole = np.full((*draws.shape[:-1], len(simple.statistics.moments)), np.nan)
    for place, key in enumerate(keys):
        whole[..., simple.keys[key]] = draws[..., place]
    missing = {key: "left out of this test" for key in simple.statistics.moments if key not in keys}
    return replace(simple, posterior=Posterior(whole, **({"interval": "equal_tailed", "missing": missing} | options)))


@pytest.fixture(scope="module")
def made(simple):
    draw = np.random.default_rng(4)
    return drawn(simple, np.clip(draw.normal([0.7, 0.3, 0.5], [0.04, 0.05, 0.06], (4, 500, 3)), 0.01, 0.99))


def column(made, arm, stage):
    return made.posterior.draws[..., made.keys[MomentKey(arm, stage)]]


def test_a_component_is_the_mean_and_spread_of_its_draws(made):
    draws = (column(made, "a1", "conversation") - column(made, "a1", "decision")).ravel()
    row = rows_of(made)["a1", "decision"]
    assert row.estimate == pytest.approx(draws.mean(), abs=1e-12)
    assert row.std_error == pytest.approx(draws.std(ddof=1), rel=1e-12)
    assert (row.lower, row.upper) == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=1e-12)
    assert (row.interval, row.df, row.covariance, row.small_sample) == ("equal_tailed", None, "", "")
    assert (row.method, row.estimator) == ("bayesian", "bayesian bootstrap")


def test_components_add_up_to_the_gap_exactly(trial):
    for row in (found := rows_of(rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=300))).values():
        if row.quantity == "gap":
            steps = sum(found[row.arm, step].estimate for step in ("own_query", "conversation", "decision"))
            assert steps == pytest.approx(row.estimate, abs=1e-12)
            assert found[row.arm, "decision"].lost - found[row.arm, "decision"].gained == pytest.approx(
                found[row.arm, "decision"].estimate, abs=0.05
            )


def test_the_highest_density_interval_is_arviz_own(made):
    draws = column(made, "a1", "decision") ** 2
    ends = highest_density(draws.ravel(), 0.9)
    assert [ends.lower, ends.upper] == pytest.approx(list(array_stats.hdi(draws.ravel(), 0.9)), abs=1e-12)
    assert equal_tailed(draws.ravel(), 0.9).kind == "equal_tailed"
    other = replace(made, posterior=replace(made.posterior, interval="hdi"))
    row = rows_of(other)["a1", "decision"]
    gap = (column(made, "a1", "conversation") - column(made, "a1", "decision")).ravel()
    assert row.interval == "hdi"
    assert [row.lower, row.upper] == pytest.approx(list(array_stats.hdi(gap, 0.95)), abs=1e-12)


def test_shares_are_ratios_in_every_draw_and_add_up(made):
    part, whole = (
        {MomentKey("a1", "conversation"): 1.0},
        {MomentKey("a1", "conversation"): 1.0, MomentKey("a1", "decision"): 1.0},
    )
    one = shares(made, [part], whole)[0]
    top, both = column(made, "a1", "conversation"), column(made, "a1", "conversation") + column(made, "a1", "decision")
    assert one.estimate == pytest.approx(top.mean() / both.mean(), rel=1e-12)
    assert (one.fieller.lower, one.fieller.upper) == pytest.approx(tuple(np.quantile(top / both, [0.025, 0.975])))
    rows = {row.quantity: row for row in share_rows(made) if row.arm == "a1"}
    assert (rows["decision"].estimate, rows["decision"].method, rows["decision"].set_type) == (
        1.0,
        "posterior",
        "",
    ) or (rows["decision"].note)


def test_a_gap_that_may_be_zero_leaves_shares_open(made):
    near = drawn(made, np.random.default_rng(1).normal([0.5, 0.49, 0.5], 0.02, (1, 800, 3)))
    for row in share_rows(near):
        assert (row.estimate, row.lower, row.upper, row.set_type) == (None, None, None, "unbounded")
        assert "contains 0" in row.note


def test_bands_hold_all_quantities_at_once_and_are_no_wider_than_need_be(made):
    draws = np.random.default_rng(2).gamma(2.0, size=(3, 5000))
    bands = simultaneous_bands(draws, 0.9)
    inside = [all(band.lower <= value <= band.upper for band, value in zip(bands, one, strict=True)) for one in draws.T]
    assert np.mean(inside) == pytest.approx(0.9, abs=0.002)
    for band, own in zip(bands, draws, strict=True):
        assert (own < band.lower).sum() == (own > band.upper).sum()
        assert band.lower < equal_tailed(own, 0.9).lower


def test_simultaneous_bands_stand_beside_components(trial):
    estimates = rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=1000)
    for row in component_rows(estimates):
        if row.kind == "component":
            assert row.simultaneous_lower < row.lower < row.upper < row.simultaneous_upper


def test_no_band_where_a_step_has_no_draws(made):
    gap = {MomentKey("a1", "conversation"): 1.0, MomentKey("a1", "decision"): -1.0}
    assert simultaneous(made, [gap, {MomentKey("a1", "lost:decision"): 1.0}]) == (None, None)


def test_uptake_is_a_ratio_in_every_draw(simple):
    row = rows_of(simple)["a1", "uptake"]
    hit, given = (draws_of(simple, {MomentKey("a1", f"uptake:{part}"): 1.0}) for part in ("hit", "given"))
    assert row.estimate == pytest.approx((hit / given).mean(), abs=1e-12)
    assert row.estimate == pytest.approx(3 / 7, abs=0.01)
    assert row.n == 70
    # nobody decided right after a wrong conversation: no draw says otherwise
    assert (rows_of(simple)["a1", "self_rescue"].lower, rows_of(simple)["a1", "self_rescue"].estimate) == (None, 0.0)


def test_a_condition_that_no_answer_meets_in_some_draw_has_no_ratio(simple):
    ratio = conditionals("a1", {"a1": 1.0})[0]
    draws = simple.posterior.draws.copy()
    draws[0, 7, simple.keys[MomentKey("a1", "uptake:given")]] = 0.0
    found = conditional(replace(simple, posterior=replace(simple.posterior, draws=draws)), ratio)
    assert (found.estimate, found.notes) == (None, ("in some draws no answer meets the condition",))


def test_effects_on_other_scales_come_from_the_draws(made):
    treated, control = column(made, "a1", "decision").ravel(), column(made, "control", "decision").ravel()
    rows = {row.quantity: row for row in effect_rows(made) if row.arm == "a1"}
    logs = {
        "risk_ratio": np.log(treated) - np.log(control),
        "odds_ratio": np.log(treated / (1 - treated)) - np.log(control / (1 - control)),
    }
    for name, logged in logs.items():
        assert rows[name].estimate == pytest.approx(math.exp(logged.mean()), rel=1e-12)
        ends = np.exp(np.quantile(logged, [0.025, 0.975]))
        assert (rows[name].lower, rows[name].upper) == pytest.approx(tuple(ends), rel=1e-12)


def test_a_proportion_of_zero_has_no_ratio(made):
    whole = made.posterior.draws.copy()
    whole[0, 0, made.keys[MomentKey("control", "decision")]] = 0.0
    rows = list(effect_rows(replace(made, posterior=replace(made.posterior, draws=whole))))
    assert all(row.estimate is None and "0 or 1" in row.note for row in rows)


def test_a_moment_that_the_model_does_not_give_is_said(made):
    flow = linear(made, [{MomentKey("a1", "lost:decision"): 1.0}])[0]
    assert (flow.estimate, flow.notes) == (None, ("left out of this test",))
    silent = replace(made, posterior=replace(made.posterior, missing={}))
    assert linear(silent, [{MomentKey("a1", "lost:decision"): 1.0}])[0].notes == ("the model does not give it",)


# ---------------------------------------------------------------- rows of the posterior


def test_posterior_rows_say_what_the_draws_say(made):
    rows = {(row.arm, row.kind, row.quantity): row for row in posterior_rows(made, margin=0.35)}
    draws = column(made, "a1", "conversation") - column(made, "a1", "decision")
    row = rows["a1", "component", "decision"]
    assert (row.mean, row.median) == pytest.approx((draws.mean(), np.median(draws)), abs=1e-12)
    assert row.prob_positive == (draws > 0).mean()
    assert (row.margin, row.prob_within_margin) == (0.35, (np.abs(draws) < 0.35).mean())
    assert (row.prior_lower, row.prior_sensitivity, row.likelihood_sensitivity) == (None, None, None)
    assert row.r_hat == pytest.approx(array_stats.rhat(draws))
    assert row.ess_bulk == pytest.approx(array_stats.ess(draws))
    assert row.ess_tail == pytest.approx(array_stats.ess(draws, method="tail", prob=(0.05, 0.95)))
    effect = column(made, "a1", "decision") - column(made, "control", "decision")
    assert rows["a1", "effect", "realized_effect"].prob_positive == (effect > 0).mean()
    assert rows["a1", "effect", "realized_effect"].margin is None
    assert rows["control", "stage", "decision"].mean == pytest.approx(column(made, "control", "decision").mean())


def test_task_minus_outcome_is_a_quantity_of_its_own(trial):
    estimates = rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=700)
    for arm in ("a1", "a2", "all"):
        rows = {(row.kind, row.quantity): row for row in posterior_rows(estimates, margin=0.05) if row.arm == arm}
        found = rows["difference", "task_minus_outcome"]
        assert found.mean == pytest.approx(rows["family", "task"].mean - rows["family", "outcome"].mean, abs=1e-12)
        assert found.kind == "difference"
    assert all((row.r_hat, row.ess_bulk, row.ess_tail) == (None, None, None) for row in rows.values())


def test_the_prior_stands_beside_the_posterior(made):
    prior = np.random.default_rng(3).uniform(0, 1, (2000, made.posterior.draws.shape[-1]))
    other = replace(made, posterior=replace(made.posterior, prior=prior))
    rows = {(row.arm, row.kind, row.quantity): row for row in posterior_rows(other, margin=0.05)}
    gap = prior[:, made.keys[MomentKey("a1", "conversation")]] - prior[:, made.keys[MomentKey("a1", "decision")]]
    row = rows["a1", "gap", "gap"]
    assert (row.prior_lower, row.prior_upper) == pytest.approx(tuple(np.quantile(gap, [0.025, 0.975])), abs=1e-12)


def test_every_quantity_is_power_scaled_by_the_same_weights(made):
    logs = np.random.default_rng(5).normal(size=(2, 4, 500))
    other = replace(made, posterior=replace(made.posterior, log_prior=logs[0], log_likelihood=logs[1]))
    rows = {(row.arm, row.quantity, row.kind): row for row in posterior_rows(other, margin=0.05)}
    gap = MomentKey("a1", "conversation"), MomentKey("a1", "decision")
    draws = draws_of(other, {gap[0]: 1.0, gap[1]: -1.0})
    row = rows["a1", "gap", "gap"]
    assert (row.prior_sensitivity, row.likelihood_sensitivity) == power_scaling(draws, *logs)
    assert all(row.prior_sensitivity is not None for row in rows.values() if row.std_dev is not None)


# ---------------------------------------------------------------- a decomposition


def keys(result):
    return [row.key for row in (*result.components, *result.alternatives)]


@pytest.fixture(scope="module")
def bayesian(trial):
    return decompose(rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=400, seed=2), FIXED, margin=0.1)


def test_a_posterior_decomposes_with_companions_of_its_own_kind(bayesian):
    assert len(keys(bayesian)) == len(set(keys(bayesian)))
    assert {row.estimator for row in bayesian.components} == {"bayesian bootstrap"}
    assert {(row.items, row.item_weights) for row in bayesian.components} == {
        (items, weights) for items in ("fixed", "random") for weights in ("observed", "trial")
    }
    assert {row.interval for row in bayesian.components} <= {"equal_tailed", ""}
    chosen = bayesian.settings
    assert (chosen.method, chosen.estimator, chosen.covariance) == ("bayesian", "bayesian bootstrap", "")
    assert chosen.small_sample == ""
    assert len(bayesian.main()) * 4 == len(bayesian.components)
    assert (bayesian.tests, bayesian.missing, bayesian.alternatives) == ((), (), ())
    assert {row.margin for row in bayesian.posterior if row.kind == "component"} == {0.1}
    assert bayesian.sampling.sampler == "dirichlet weights"


def test_no_number_of_a_posterior_is_unexplained(bayesian, study):
    assert study.faults(bayesian) == []


def test_caveats_of_a_posterior_are_not_those_of_t(bayesian):
    assert not any("t)" in text or "symmetric" in text for text in bayesian.warnings)
    assert any("over 5 items, fewer than 30" in note for note in bayesian.notes)
    assert not any("60 to 72" in note for note in bayesian.notes)


@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")
def test_a_posterior_stands_beside_frequentist_estimates(trial, bayesian):
    plain = rg.estimate_frequentist(trial, FIXED)
    alone = decompose(plain, FIXED)
    both = decompose(
        plain, FIXED, beside=[rg.estimate_bayesian(trial, FIXED, model="bootstrap", draws=400, seed=2)], margin=0.1
    )
    assert len(keys(both)) == len(set(keys(both)))
    assert both.components == alone.components
    assert [row for row in both.alternatives if row.method == "bayesian"] == list(bayesian.components)
    assert [row for row in both.other_stages if row.method == "bayesian"] == [*bayesian.stages, *bayesian.other_stages]
    assert [row for row in both.shares if row.method == "posterior"] == list(bayesian.shares)
    assert (both.posterior, both.sampling) == (bayesian.posterior, bayesian.sampling)
    assert (both.tests, both.missing, both.stages) == (alone.tests, alone.missing, alone.stages)
    assert (both.settings.method, both.bayesian.method) == ("frequentist", "bayesian")


def test_covariates_are_left_aside_and_that_is_said(study):
    frame = study.simulated(people=30).assign(age=lambda one: 20 + np.arange(len(one)) % 50)
    data = rg.read_trial(frame, benchmark=study.benchmark(), design=rg.Design("control", ["a1"]))
    adjusted = rg.score_stages(data, rg.DEFAULT_CHAIN, ["age"])
    plain = rg.score_stages(data, rg.DEFAULT_CHAIN)
    one, other = (rg.estimate_bayesian(scores, FIXED, model="bootstrap", draws=150) for scores in (adjusted, plain))
    assert np.array_equal(one.posterior.draws, other.posterior.draws)
    assert any("not adjusted for covariates" in note for note in one.notes)


def test_non_users_are_as_the_estimand_says(study):
    frame = study.simulated(people=40).assign(used=1)
    idle = (frame["arm"] == "a1") & (frame.index < 20)
    frame.loc[idle, ["own_query", "conversation"]] = np.nan
    frame.loc[idle, "used"] = 0
    scores = study.scored(frame, study.benchmark())
    means = {}
    for choice in ("zero", "control", "exclude"):
        estimates = rg.estimate_bayesian(scores, rg.Estimand("fixed", non_users=choice), model="bootstrap", draws=2000)
        plain = rg.estimate_frequentist(scores, rg.Estimand("fixed", non_users=choice))
        means[choice] = estimates.value(MomentKey("a1", "conversation"))
        assert means[choice] == pytest.approx(plain.value(MomentKey("a1", "conversation")), abs=0.01)
    assert all(abs(one - other) > 0.02 for one, other in pairwise(sorted(means.values())))


FREQUENTIST_ONLY = {
    "Wald tests": rg.wald_tests,
    "complier effects": rg.complier_effects,
    "approaches to missing scores": rg.missing_score_rows,
    "bootstrap intervals": rg.bootstrapped,
    "wild bootstrap tests": lambda estimates: rg.wild_cluster_bootstrap(estimates, [], seed=1),
    "randomisation tests": lambda estimates: rg.randomisation_inference(estimates, [], replicates=99, seed=1),
}


@pytest.mark.parametrize("purpose", FREQUENTIST_ONLY)
def test_what_needs_a_sampling_distribution_refuses_a_posterior(purpose, simple):
    with pytest.raises(EstimationError, match=f"{purpose} need a sampling distribution"):
        FREQUENTIST_ONLY[purpose](simple)
