"""The same numbers by routes that share no code with ours: paired t, McNemar, regression, two-by-two tables."""

import math
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.contingency_tables import Table2x2

import rctgap as rg

PAIR = rg.Chain(
    (rg.Stage("conversation"), rg.Stage("decision")), (rg.Transition("decision", "outcome", ("outcome.x",)),)
)
NAMES = {"a1": 1.0, "control": 0.0}


def result_of(frame, estimand=None, control="control", **options):
    chosen = estimand or rg.Estimand("fixed")
    scores = rg.score_stages(rg.read_trial(frame, design=rg.Design(control, ["a1"])), PAIR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rg.RctgapWarning)
        return rg.decompose(rg.estimate_frequentist(scores, chosen, **options), chosen)


def answers(seed=9, people=(25, 31), clustered=True):
    """Participants with one to four answers, alike within a person."""
    draw, rows = np.random.default_rng(seed), []
    for arm, number in zip(("a1", "control"), people, strict=True):
        for person in range(number):
            bias = draw.normal(0, 1)
            for turn in range(draw.integers(1, 5) if clustered else 1):
                talk, decided = (float(draw.normal() + bias > 0) for _ in range(2))
                rows.append((f"{arm}{person}", f"s{turn}", arm, talk, decided))
    frame = pd.DataFrame(rows, columns=["participant", "item", "arm", "conversation", "decision"])
    return frame.assign(conversation=frame["conversation"].where(frame["arm"] == "a1"))


def test_a_paired_component_is_a_paired_t_test():
    frame = answers(clustered=False)
    mine = frame[frame["arm"] == "a1"]
    expected = stats.ttest_rel(mine["conversation"], mine["decision"])
    row = result_of(frame).row("decision")
    interval = expected.confidence_interval(0.95)
    assert (row.lower, row.upper) == pytest.approx((interval.low, interval.high), rel=1e-10)
    assert row.df == pytest.approx(expected.df)
    assert row.estimate / row.std_error == pytest.approx(expected.statistic)


def test_a_paired_component_has_the_mcnemar_standard_error():
    frame = answers(clustered=False).drop(columns="participant")
    mine = frame[frame["arm"] == "a1"]
    n, lost = len(mine), int((mine["conversation"] > mine["decision"]).sum())
    gained = int((mine["decision"] > mine["conversation"]).sum())
    wald = ((lost + gained) - (lost - gained) ** 2 / n) / n**2
    row = result_of(frame).row("decision")
    assert row.std_error**2 == pytest.approx(wald * n / (n - 1))
    assert (row.lost_count, row.gained_count) == (lost, gained)


@pytest.mark.parametrize("small_sample", ["CR1"])
def test_realized_effect_is_ols_with_a_cluster_robust_covariance(small_sample):
    frame = answers()
    frame["treated"] = frame["arm"].map(NAMES)
    fit = smf.ols("decision ~ treated", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["participant"], "use_correction": False}
    )
    row = result_of(frame, small_sample=small_sample).row("realized_effect")
    clusters = frame["participant"].nunique()
    assert row.estimate == pytest.approx(fit.params["treated"])
    assert row.std_error == pytest.approx(fit.bse["treated"] * math.sqrt(clusters / (clusters - 1)))
    assert (row.df, row.clusters, row.n) == (clusters - 1, clusters, len(frame))


def test_realized_effect_is_ols_with_hc1():
    frame = answers().drop(columns="participant")
    frame["treated"] = frame["arm"].map(NAMES)
    fit = smf.ols("decision ~ treated", frame).fit(cov_type="HC1")
    row = result_of(frame).row("realized_effect")
    assert row.estimate == pytest.approx(fit.params["treated"])
    assert row.std_error == pytest.approx(fit.bse["treated"])
    assert (row.lower, row.upper) == pytest.approx(tuple(fit.conf_int().loc["treated"]))


def test_realized_effect_of_single_answers_is_welch():
    """CR2 with clusters of one is HC2, the unequal-variance standard error."""
    frame = answers(clustered=False)
    ai, control = (frame.loc[frame["arm"] == arm, "decision"] for arm in ("a1", "control"))
    expected = stats.ttest_ind(ai, control, equal_var=False)
    row = result_of(frame).row("realized_effect")
    assert row.estimate / row.std_error == pytest.approx(expected.statistic)


def test_a_standardised_effect_is_a_saturated_regression():
    frame = answers(people=(40, 40))
    frame = frame[frame["item"].isin(["s0", "s1", "s2"])].assign(treated=frame["arm"].map(NAMES))
    weights = {"s0": 0.5, "s1": 0.2, "s2": 0.3}
    fit = smf.ols("decision ~ 0 + C(item) + C(item):treated", frame).fit(
        cov_type="cluster", cov_kwds={"groups": frame["participant"], "use_correction": False}
    )
    named = [f"C(item)[{item}]:treated" for item in weights]
    test = fit.t_test(np.array([[weights.get(name[8:10], 0.0) if name in named else 0.0 for name in fit.params.index]]))
    row = result_of(frame, rg.Estimand("fixed", weights), small_sample="CR1").row("realized_effect")
    clusters = frame["participant"].nunique()
    assert row.estimate == pytest.approx(test.effect.item())
    assert row.std_error == pytest.approx(test.sd.item() * math.sqrt(clusters / (clusters - 1)))


@pytest.mark.parametrize("quantity", ["risk_ratio", "odds_ratio"])
def test_ratios_are_those_of_a_two_by_two_table(quantity):
    """HC1 multiplies the log variance by N / (N - 2)."""
    rows = [("a1", 1.0, 34), ("a1", 0.0, 66), ("control", 1.0, 47), ("control", 0.0, 73)]
    frame = pd.DataFrame(rows, columns=["arm", "decision", "count"])
    frame["conversation"] = frame["decision"].where(frame["arm"] == "a1")
    table = Table2x2(np.array([[34, 66], [47, 73]]))
    point = table.riskratio if quantity == "risk_ratio" else table.oddsratio
    error = table.log_riskratio_se if quantity == "risk_ratio" else table.log_oddsratio_se
    row = next(one for one in result_of(frame).effects if (one.arm, one.quantity) == ("all", quantity))
    assert row.estimate == pytest.approx(point)
    half = stats.norm.ppf(0.975) * error * math.sqrt(220 / 218)
    assert (row.lower, row.upper) == pytest.approx((point * math.exp(-half), point * math.exp(half)))


def test_a_ratio_at_the_boundary_is_left_empty_with_its_reason():
    rows = [("a1", 0.0, 100), ("control", 1.0, 47), ("control", 0.0, 73)]
    frame = pd.DataFrame(rows, columns=["arm", "decision", "count"]).assign(conversation=1.0)
    for row in result_of(frame).effects:
        assert (row.estimate, row.lower, row.upper) == (None, None, None)
        assert row.note


def test_items_random_is_a_t_interval_of_item_means():
    """Equal items, no participants: the plain t interval of the items' mean differences."""
    draw = np.random.default_rng(2)
    rows = [
        (f"s{item}", "a1", float(draw.random() < 0.3 + item / 20), float(draw.random() < 0.5 - item / 30))
        for item in range(8)
        for _ in range(12)
    ]
    frame = pd.DataFrame(rows, columns=["item", "arm", "conversation", "decision"])
    found = result_of(frame, rg.Estimand("random"), control=None)
    key = ("all", "decision", "plug-in")
    row = next(one for one in found.alternatives if (one.arm, one.quantity, one.estimator) == key)
    cells = frame.groupby("item")[["conversation", "decision"]].mean()
    expected = stats.ttest_rel(cells["conversation"], cells["decision"]).confidence_interval(0.95)
    assert (row.lower, row.upper) == pytest.approx((expected.low, expected.high))
    assert row.df == 7
