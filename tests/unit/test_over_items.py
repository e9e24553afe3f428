"""Intervals over items, recomputed from item means in pandas."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap.betting import betting_interval
from rctgap.errors import EstimationError
from rctgap.estimands import MomentKey, contrasts
from rctgap.estimates import arm_sets
from rctgap.few_items import combined, item_population
from rctgap.frequentist import covariance_of
from rctgap.intervals import critical_value, fieller
from rctgap.over_items import item_table, limits_of
from rctgap.quantities import linear, shares

STAGES = ("benchmark", "own_query", "conversation", "decision")
ARMS = ("a1", "a2")
MEANS = {"benchmark": 0.75, "own_query": 0.65, "conversation": 0.5, "decision": 0.35}
DESIGN = rg.Design("control", ARMS)


def trial_of(means=None, seed=3, items=10, **options):
    plan = {"means": MEANS | (means or {}), "arms": ARMS, "participants": 80, "items": items, "runs": 12}
    drawn = rg.simulate_trial(rg.SimulationPlan(**(plan | options)), seed=seed)
    return drawn.answers, drawn.runs


def estimated(study, frame, runs, weights="trial", intervals="few-items", covariance="item", design=DESIGN):
    return study.estimated(
        frame, runs, rg.Estimand("random", weights), design=design, intervals=intervals, covariance=covariance
    )


@pytest.fixture(scope="module")
def calm(study):
    """No stage near the edge, ten items, none of which carries most of the variation."""
    frame, runs = trial_of(seed=4)
    estimates = estimated(study, frame, runs)
    assert dict(limits_of(estimates, item_table(estimates))) == {}
    return frame, runs, estimates


@pytest.fixture(scope="module")
def edgy(study):
    frame, runs = trial_of({"benchmark": 0.96})
    return frame, runs, estimated(study, frame, runs)


def quantities(arm="all"):
    weights = dict.fromkeys(ARMS, 1 / 2) if arm == "all" else {arm: 1.0}
    return {one.quantity: one.coefficients for one in contrasts(rg.DEFAULT_CHAIN, arm, weights, "control")}


def by_item(frame, runs, key):
    """Sums and numbers of scores by item, in the order of their names."""
    table, arm, column = (runs, "system", "benchmark") if key.name == "benchmark" else (frame, "arm", key.name)
    scores = table[table[arm] == key.arm].groupby("item")[column]
    names = sorted(frame["item"].unique())
    return scores.sum().reindex(names).to_numpy(dtype=float), scores.count().reindex(names).to_numpy(dtype=float)


def mix_of(frame):
    share = frame.loc[frame["arm"] != "control", "item"].value_counts(normalize=True).sort_index()
    return share.to_numpy()


def adjusted(frame, runs, key):
    """Weighted distances of item means from the stage mean, over the root of one minus the weight."""
    sums, sizes = by_item(frame, runs, key)
    weight = mix_of(frame)
    return weight * (sums / sizes - weight @ (sums / sizes)) / np.sqrt(1 - weight)


def cr2(frame, runs, *rows):
    parts = np.array([sum(c * adjusted(frame, runs, key) for key, c in row.items()) for row in rows])
    return parts @ parts.T


def satterthwaite(frame, row):
    weight = mix_of(frame)
    maker = np.diag(weight / np.sqrt(1 - weight)) @ (np.eye(weight.size) - weight[None, :])
    product = sum(c**2 for c in row.values()) * maker @ maker.T
    return np.trace(product) ** 2 / np.trace(product @ product)


@pytest.mark.parametrize("arm", ["a1", "a2", "all"])
def test_where_nothing_limits_it_few_items_is_t_with_cr2(calm, arm):
    frame, runs, estimates = calm
    for name in ("own_query", "decision", "task", "gap", "realized_effect"):
        row = quantities(arm)[name]
        found = linear(estimates, [row])[0]
        error, df = math.sqrt(cr2(frame, runs, row)[0, 0]), satterthwaite(frame, row)
        assert (found.std_error, found.df) == pytest.approx((error, df), rel=1e-10)
        half = critical_value(0.95, df) * error
        assert (found.interval.lower, found.interval.upper) == pytest.approx(
            (found.estimate - half, found.estimate + half)
        )
        assert (found.interval.kind, found.notes) == ("t", ())


def test_participants_add_what_items_do_not_hold(study, calm):
    frame, runs, _ = calm
    estimates = estimated(study, frame, runs, covariance="cluster2")
    added = 0
    for row in quantities("a1").values():
        if any(key.name.startswith("mix:") for key in row):
            continue
        plain = covariance_of(estimates, estimates.row(row)[None])
        beyond = plain.variance[0] - plain.parts[0].factor[0] * plain.parts[0].matrix[0, 0]
        found = linear(estimates, [row])[0]
        assert found.std_error**2 == pytest.approx(cr2(frame, runs, row)[0, 0] + beyond)
        assert beyond >= 0
        added += beyond > 1e-8
    assert added > 0


@pytest.mark.parametrize("arm", ["a1", "all"])
def test_near_the_edge_it_is_the_wider_of_t_and_population(edgy, arm):
    frame, runs, estimates = edgy
    widened = 0
    for name in ("own_query", "gap", "task", "predicted_effect"):
        row = quantities(arm)[name]
        found = linear(estimates, [row])[0]
        tables = {key: by_item(frame, runs, key) for key in row}
        parts = [item_population(*tables[key], 0.95) for key in row]
        correlation = np.corrcoef([sums / sizes for sums, sizes in tables.values()])
        lower, upper = combined(np.array([list(row.values())]), parts, correlation)
        half = critical_value(0.95, satterthwaite(frame, row)) * math.sqrt(cr2(frame, runs, row)[0, 0])
        ends = min(found.estimate - half, lower[0]), max(found.estimate + half, upper[0])
        assert (found.interval.lower, found.interval.upper) == pytest.approx(ends)
        assert found.interval.kind == "population"
        assert found.notes == ("widened: the mean of benchmark is near the edge",)
        widened += lower[0] < found.estimate - half or upper[0] > found.estimate + half
    assert widened > 0


def test_what_no_stage_near_the_edge_enters_stays_t(edgy):
    _, _, estimates = edgy
    for name in ("conversation", "decision", "realized_effect"):
        found = linear(estimates, [quantities("a1")[name]])[0]
        assert (found.interval.kind, found.notes) == ("t", ())


def test_an_uneven_mix_is_said_to_be_worth_fewer_items(study, calm):
    frame, runs, _ = calm
    weights = {f"s{item}": 6.0 if item < 2 else 1.0 for item in range(10)}
    found = linear(estimated(study, frame, runs, weights), [quantities("a1")["gap"]])[0]
    assert found.notes == ("widened: its items are worth 5.0 equally weighted ones",)  # 20^2 / (2 x 36 + 8)


def test_one_item_that_carries_the_variation_is_said_to(study, calm):
    frame, runs, _ = calm
    bad = runs["item"] == "s4"
    right = (np.arange(len(runs)) % 4 > 0).astype(float)
    runs = runs.assign(benchmark=np.where(bad, 0.0, right))
    found = linear(estimated(study, frame, runs), [quantities("a1")["gap"]])[0]
    assert found.notes == ("widened: one item carries most of the variation of benchmark",)


def even_runs(items=10):
    rows = [(arm, f"s{item}", float(run < 3)) for arm in ARMS for item in range(items) for run in range(4)]
    return pd.DataFrame(rows, columns=["system", "item", "benchmark"])


def test_items_that_do_not_vary_keep_the_plug_ins_interval(study, calm):
    frame, _, _ = calm
    estimates = estimated(study, frame, even_runs())
    row = {MomentKey("a1", "benchmark"): 1.0}
    found, plain = (linear(replace(estimates, intervals=style), [row])[0] for style in ("few-items", "t"))
    assert found == plain
    assert (found.interval.kind, found.interval.upper - found.interval.lower > 0.3) == ("wilson", True)


def test_no_row_of_a_decomposition_has_an_interval_without_width(study, calm):
    frame, _, _ = calm
    result = study.decomposed(
        frame, even_runs(), rg.Estimand("random", "trial"), design=DESIGN, intervals="few-items", covariance="item"
    )
    assert study.faults(result) == []


# Shares.


@pytest.mark.parametrize("arm", ["a1", "a2", "all"])
def test_without_a_limit_shares_are_fiellers(calm, arm):
    frame, runs, estimates = calm
    rows = quantities(arm)
    names = ["own_query", "conversation", "decision", "task", "outcome"]
    found = shares(estimates, [rows[name] for name in names], rows["gap"])
    whole = linear(estimates, [rows["gap"]])[0]
    for name, share in zip(names, found, strict=True):
        part = linear(estimates, [rows[name]])[0]
        joint = cr2(frame, runs, rows[name], rows["gap"])
        exact = fieller(part.estimate, whole.estimate, joint, critical_value(0.95, whole.df))
        assert share.fieller.set_type == exact.set_type == "bounded"
        assert (share.fieller.lower, share.fieller.upper) == pytest.approx((exact.lower, exact.upper), abs=1e-8)
        assert share.fieller.lower < share.estimate < share.fieller.upper
        assert share.estimate == pytest.approx(part.estimate / whole.estimate)
        assert share.delta.lower < share.estimate < share.delta.upper


def test_near_the_edge_shares_hold_fiellers_and_more(edgy):
    frame, runs, estimates = edgy
    rows = quantities("all")
    whole = linear(estimates, [rows["gap"]])[0]
    wider = 0.0
    for name in ("own_query", "task"):
        share = shares(estimates, [rows[name]], rows["gap"])[0]
        part = linear(estimates, [rows[name]])[0]
        exact = fieller(
            part.estimate, whole.estimate, cr2(frame, runs, rows[name], rows["gap"]), critical_value(0.95, whole.df)
        )
        assert share.fieller.lower <= exact.lower + 1e-9 < share.estimate < exact.upper - 1e-9 <= share.fieller.upper
        wider += exact.lower - share.fieller.lower + share.fieller.upper - exact.upper
    assert wider > 0.001


@pytest.mark.parametrize("intervals", ["few-items", "bounded"])
def test_a_gap_that_may_be_zero_leaves_shares_open(study, intervals):
    frame, runs = trial_of({"benchmark": 0.4, "own_query": 0.6, "conversation": 0.4, "decision": 0.38}, seed=4)
    estimates = estimated(study, frame, runs, intervals=intervals)
    rows = quantities("a1")
    whole = linear(estimates, [rows["gap"]])[0].interval
    assert whole.lower < 0 < whole.upper
    found = shares(estimates, [rows["conversation"]], rows["gap"])[0]
    assert (found.estimate, found.delta) == (None, None)
    assert found.fieller.set_type in ("unbounded", "exclusive")
    assert "not clearly away from zero" in found.notes[0]


def test_a_part_that_rests_on_one_item_has_no_share(study, calm):
    frame, runs, _ = calm
    frame = frame.assign(own_query=frame["own_query"].where((frame["arm"] != "a1") | (frame["item"] == "s1")))
    estimates = estimated(study, frame, runs, "observed")
    rows = quantities("a1")
    part, whole = linear(estimates, [rows["own_query"], rows["gap"]])
    assert (part.interval, whole.interval.kind) == (None, "t")
    assert "one item stands behind own_query" in part.notes[0]
    found = shares(estimates, [rows["own_query"], rows["decision"]], rows["gap"])
    assert (found[0].estimate, found[0].fieller) == (None, None)
    assert found[1].fieller.set_type == "bounded"


# Bounded: betting on each item's own difference.


def item_values(frame, runs, row):
    return sum(c * np.divide(*by_item(frame, runs, key)) for key, c in row.items())


@pytest.mark.parametrize("arm", ["a1", "all"])
def test_bounded_bets_on_item_differences_within_their_range(study, calm, arm):
    frame, runs, _ = calm
    estimates = estimated(study, frame, runs, intervals="bounded")
    for name in ("own_query", "gap", "task", "realized_effect"):
        row = quantities(arm)[name]
        found = linear(estimates, [row])[0]
        values = item_values(frame, runs, row)
        assert (found.interval.lower, found.interval.upper) == pytest.approx(
            betting_interval(values, 0.95, -1.0, 1.0), abs=1e-9
        )
        assert -1 <= found.interval.lower < values.mean() < found.interval.upper <= 1
        assert (found.interval.kind, found.std_error, found.df, found.clusters) == ("betting", None, None, 10)
        narrow = linear(replace(estimates, intervals="few-items"), [row])[0].interval
        assert found.interval.upper - found.interval.lower > narrow.upper - narrow.lower


def test_bounded_leaves_out_items_without_a_stage_and_counts_them(study, calm):
    frame, runs, _ = calm
    frame = frame.assign(
        conversation=frame["conversation"].mask((frame["arm"] == "a1") & frame["item"].isin(["s1", "s2"]))
    )
    found = linear(estimated(study, frame, runs, "observed", "bounded"), [quantities("a1")["decision"]])[0]
    assert found.notes == ("2 items without all of its stages are left out",)
    assert found.clusters == 8


@pytest.mark.parametrize("item_mix", [None, (9, 9, 1, 1, 1, 1, 1, 1, 1, 1)])
def test_bounded_shares_hold_the_ratio_of_item_means(study, item_mix):
    """Items count alike in the bets, whatever the mix that the estimate has."""
    frame, runs = trial_of({"benchmark": 0.9, "decision": 0.1}, items=10, item_sd=0.3, item_mix=item_mix)
    estimates = estimated(study, frame, runs, intervals="bounded")
    rows = quantities("a1")
    for name in ("own_query", "conversation", "decision", "task"):
        found = shares(estimates, [rows[name]], rows["gap"])[0]
        over, under = (item_values(frame, runs, rows[one]).mean() for one in (name, "gap"))
        assert found.fieller.set_type == "bounded"
        assert found.fieller.lower < over / under < found.fieller.upper
        for end in (found.fieller.lower, found.fieller.upper):
            row = {key: rows[name].get(key, 0.0) - end * value for key, value in rows["gap"].items()}
            row |= {key: value for key, value in rows[name].items() if key not in row}
            low, high = sum(min(c, 0) for c in row.values()), sum(max(c, 0) for c in row.values())
            ends = betting_interval(item_values(frame, runs, row), 0.95, low, high)
            assert min(abs(one) for one in ends) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("intervals", ["few-items", "bounded", "t"])
def test_rows_without_an_item_get_no_interval_over_items(study, calm, intervals):
    frame, runs, _ = calm
    frame = frame.assign(item=frame["item"].mask((frame["arm"] == "a1") & (frame.index % 3 == 0)))
    estimates = estimated(study, frame, runs, "observed", intervals)
    rows = quantities("a1")
    found = linear(estimates, [rows["decision"]])[0]
    assert (found.interval, found.notes) == (None, ("no interval over items: some of its rows carry no item",))
    share = shares(estimates, [rows["decision"]], rows["gap"])[0]
    assert (share.estimate, share.fieller) == (None, None)


def test_the_term_of_item_mix_is_left_as_it_is(calm):
    _, _, estimates = calm
    row = quantities("a1")["item_mix"]
    styles = {style: linear(replace(estimates, intervals=style), [row])[0] for style in ("t", "few-items", "bounded")}
    assert styles["few-items"] == styles["t"]
    assert styles["t"].interval is not None
    assert (styles["bounded"].estimate, styles["bounded"].interval) == (styles["t"].estimate, None)
    assert styles["bounded"].notes == ("no bounded interval for this quantity",)


@pytest.mark.parametrize("intervals", ["few-items", "bounded", "t"])
def test_one_item_is_refused(study, intervals):
    frame, runs = trial_of(items=1, answers=1)
    with pytest.raises(EstimationError, match="there is one item"):
        estimated(study, frame, runs, intervals=intervals)


@pytest.mark.parametrize("intervals", ["few-items", "bounded"])
def test_items_fixed_are_refused(study, calm, intervals):
    frame, runs, _ = calm
    with pytest.raises(
        EstimationError, match=f"'{intervals}' make no sense with items 'fixed'. With items fixed use t"
    ):
        study.estimated(frame, runs, rg.Estimand("fixed"), design=DESIGN, intervals=intervals)


def test_few_items_is_the_default_over_items(study, calm):
    frame, runs, estimates = calm
    found = study.estimated(frame, runs, rg.Estimand("random", "trial"), design=DESIGN)
    assert (found.intervals, found.estimator_name) == ("few-items", "plug-in, few-items")
    assert [label for label, _ in arm_sets(estimates)] == ["a1", "a2", "all"]
