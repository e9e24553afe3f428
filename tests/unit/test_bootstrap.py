"""Replicates against trials that are really drawn again: rows repeated in pandas, moments as plain means."""

import math
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest

import rctgap as rg
from rctgap import resampling
from rctgap.bootstrap import layout_of
from rctgap.drawing import collapsed
from rctgap.errors import EstimationError
from rctgap.estimands import MomentKey
from rctgap.estimates import target_key
from rctgap.frequentist import covariance_of
from rctgap.quantities import conditional, linear, shares

STAGES = ("own_query", "conversation", "decision")
ITEMS = tuple(f"s{number}" for number in range(5))
SEED = 11
BOTH = rg.Design("control", ["a1", "a2"])
KINDS = [("participant", "fixed"), ("item", "random"), ("crossed", "random")]


def trial_of(study, people=15, arms=("a1", "a2", "control"), seed=4, lost=0.1, **options):
    """Two answers a person; some own queries are half right; some scores before the last are missing."""
    frame = study.simulated(people=people, arms=arms, items=ITEMS, seed=seed, **options)
    draw = np.random.default_rng(seed)
    half = draw.random(len(frame)) < 0.2
    frame["own_query"] = frame["own_query"].mask(half & frame["own_query"].notna(), 0.5)
    for stage in STAGES[:2]:
        frame[stage] = frame[stage].mask(draw.random(len(frame)) < lost)
    return frame


def runs_of(systems=("a1", "a2"), items=ITEMS, repeats=6, seed=4):
    draw = np.random.default_rng(seed)
    rows = [(system, item, float(draw.random() < 0.8)) for system in systems for item in items for _ in range(repeats)]
    return pd.DataFrame(rows, columns=["system", "item", "benchmark"])


def estimated(study, frame, runs, items, weights="trial", design=BOTH, **options):
    return study.estimated(frame, runs, rg.Estimand(items, weights, **options), design=design)


def laid_out(estimates):
    """The layout, and for each of its blocks what every single unit holds."""
    units = []

    def spy(*given):
        units.append(given)
        return collapsed(*given)

    with patch("rctgap.bootstrap.collapsed", spy):
        return layout_of(estimates), units


def weights_drawn(layout, kind, number):
    """What the spawned generator of a replicate draws."""
    task = resampling._Task(layout, None, kind, "multinomial", studentised=False)
    child = np.random.SeedSequence(SEED).spawn(number + 1)[number]
    return task._drawn(np.random.default_rng(child))


def of_units(block, given, drawn):
    """Weight of every unit: the first of those alike takes what their pattern was drawn."""
    unit, column, value, count, multiplicity, stratum, width = given
    own = np.zeros((multiplicity.size, 2 * width + 1))
    np.add.at(own, (unit, column), value * count)
    np.add.at(own, (unit, width + column), count)
    own[:, -1] = stratum
    held = np.hstack([block.held.toarray(), np.zeros((drawn.size, 1))])
    shown = np.hstack([held[:, block.score], held[:, block.size], block.stratum[:, None]])
    distance = np.abs(own[:, None] - shown[None]).max(axis=2)
    assert distance.min(axis=1) == pytest.approx(0, abs=1e-12)
    pattern = distance.argmin(axis=1)
    assert np.bincount(pattern, multiplicity) == pytest.approx(block.multiplicity)
    weight = np.zeros(multiplicity.size)
    weight[[np.flatnonzero(pattern == one)[0] for one in range(drawn.size)]] = drawn
    return weight.round().astype(int)


def names_of(layout, estimates):
    """Items that are drawn: those of the mix, or all where each stage has its own."""
    mix = estimates.estimand.item_weights
    inside = set(estimates.scores.answers["item"]) if mix == "trial" else set(estimates.statistics.entries.items)
    names = [item for item in estimates.statistics.entries.items if item in inside]
    assert len(names) == layout.items
    return names


def redrawn(estimates, layout, units, kind, number):
    """Answers and runs of one replicate, row by row, each copy of a participant or item with a name of its own."""
    weights, items = weights_drawn(layout, kind, number)
    chosen = dict(zip(names_of(layout, estimates), items.astype(int), strict=True))
    answers, runs = estimates.scores.answers, estimates.scores.runs
    drawn = [of_units(*one) for one in zip(layout.blocks, units, weights, strict=True)]
    if estimates.scores.participants:
        people = answers["participant"].map(dict(zip(pd.factorize(answers["participant"])[1], drawn[0], strict=True)))
    else:
        answers, people = answers.assign(participant=pd.NA, count=drawn[0]), pd.Series(1, index=answers.index)
    frame = copied(answers.assign(times=people), chosen)
    return frame, copied(runs.assign(count=drawn[1], times=1, participant=pd.NA), chosen)


def copied(table, chosen):
    """Each row as often as its participant's and its item's weights say, times its count."""
    rows = []
    for row in table.to_dict("records"):
        for person in range(row["times"]):
            for item in range(chosen.get(row["item"], 1)):
                name = f"{row['item']}#{item}"
                rows += [row | {"participant": f"{row['participant']}#{person}", "item": name}] * int(row["count"])
    return pd.DataFrame(rows, columns=[*table.columns]).drop(columns=["count", "times"])


# Plain means of the repeated rows, item by item where items are weighted.


def values_of(estimates, key, frame, runs):
    """A moment's value on each row; blank where the row does not enter."""
    arm = next((one for one in estimates.scores.design.arms if one.label == key.arm), None)
    if key.name == "benchmark":
        return runs["score"].where(runs["system"] == key.arm), runs["item"]
    if key.name in STAGES:
        return frame[key.name].where(frame["arm"] == (arm.rows_of(key.name) if arm else key.arm)), frame["item"]
    before, after = frame["conversation"], frame["decision"]
    sides = {
        "uptake:hit": before * after,
        "uptake:given": before,
        "self_rescue:hit": (1 - before) * after,
        "self_rescue:given": 1 - before,
    }
    return sides[key.name].where((frame["arm"] == key.arm) & before.notna() & after.notna()), frame["item"]


def mix_of(estimates):
    """Share of each item among the AI arms' answers, or None where each stage keeps its own mix."""
    if estimates.estimand.item_weights == "observed":
        return None
    frame = estimates.scores.answers
    mine = frame[frame["arm"].isin([arm.label for arm in estimates.scores.design.arms])]
    size = mine.groupby("item")["count"].sum()
    return (size / size.sum()).to_dict()


def plain_mean(values, items, mix):
    """Mean of rows, or of the means of item copies weighted like the item, over those that have scores."""
    known = values.notna()
    if mix is None:
        return values[known].mean()
    cells = values[known].groupby(items[known].astype(str)).mean()
    weight = np.array([mix.get(name.partition("#")[0], 0.0) for name in cells.index])
    return float(cells.to_numpy(dtype=float) @ weight / weight.sum()) if weight.sum() else math.nan


def expected(estimates, frame, runs):
    mix = mix_of(estimates)
    return {
        key: plain_mean(*values_of(estimates, key, frame, runs), mix)
        for key in estimates.statistics.moments
        if key.name.partition(":")[0] not in ("mix", "lost", "gained")
    }


def replicates(layout, kind, times=6):
    return resampling.resample(layout, None, kind=kind, times=times, seed=SEED).moments


def compare(estimates, kind, numbers=range(6), reference=expected):
    layout, units = laid_out(estimates)
    found = replicates(layout, kind, max(numbers) + 1)
    for number in numbers:
        means = reference(estimates, *redrawn(estimates, layout, units, kind, number))
        assert len(means) >= 4
        for key, value in means.items():
            assert found[estimates.keys[key], number] == pytest.approx(value, abs=1e-12, nan_ok=True), (number, key)
    return found


@pytest.mark.parametrize("weights", ["observed", "trial"])
@pytest.mark.parametrize(("kind", "items"), KINDS)
def test_a_replicate_is_the_trial_drawn_again(study, kind, items, weights):
    estimates = estimated(study, trial_of(study), runs_of(), items, weights)
    found = compare(estimates, kind)
    assert np.nanstd(found[estimates.keys[MomentKey("a2", "own_query")]]) > 0.005


@pytest.mark.parametrize(("kind", "items"), KINDS)
def test_a_borrowed_stage_is_drawn_with_its_lender(study, kind, items):
    loan = rg.Borrowing("own_query", "a2", "the first message precedes any reply")
    design = rg.Design("control", [rg.Arm("a1", borrowed=(loan,))])
    estimates = estimated(study, trial_of(study), runs_of(("a1",)), items, "observed", design)
    compare(estimates, kind)


@pytest.mark.parametrize("weights", ["observed", "trial"])
def test_counts_without_participants_are_drawn_by_item(study, weights):
    frame = trial_of(study, people=40).drop(columns="participant")
    counted = frame.groupby([*frame.columns], dropna=False).size().rename("count").reset_index()
    assert counted["count"].max() > 3
    estimates = estimated(study, counted, runs_of(), "random", weights)
    compare(estimates, "item")


@pytest.mark.parametrize("kind", ["item", "crossed"])
def test_items_that_only_the_benchmark_has_are_not_drawn_for_the_trials_mix(study, kind):
    runs = runs_of(items=(*ITEMS, "x1", "x2"))
    estimates = estimated(study, trial_of(study), runs, "random", "trial")
    assert "x1" in estimates.statistics.entries.items
    compare(estimates, kind)


def test_under_the_observed_mix_every_item_of_the_benchmark_is_drawn(study):
    estimates = estimated(study, trial_of(study), runs_of(items=(*ITEMS, "x1")), "random", "observed")
    assert layout_of(estimates).items == 6
    compare(estimates, "item")


def test_participants_of_a_crossover_are_drawn_with_all_their_answers(study):
    frame = trial_of(study, people=12)
    number = frame["participant"].str.rpartition("-")[2].astype(int)
    frame["participant"] = frame["participant"].where(number >= 5, "p" + number.astype(str))
    estimates = estimated(
        study, frame, runs_of(), "fixed", "observed", rg.Design("control", ["a1", "a2"], crossover=True)
    )
    layout, _ = laid_out(estimates)
    assert sorted(layout.blocks[0].totals) == [5, 7, 7, 7]
    compare(estimates, "participant")


def test_units_are_drawn_within_arms_and_within_the_strata_of_the_design(study):
    frame = trial_of(study, people=15)
    frame["site"] = np.where(frame["participant"].str.rpartition("-")[2].astype(int) < 6, "north", "south")
    design = rg.Design("control", ["a1", "a2"], strata=("site",))
    estimates = estimated(study, frame, runs_of(), "fixed", "observed", design)
    layout, units = laid_out(estimates)
    assert sorted(layout.blocks[0].totals) == [6, 6, 6, 9, 9, 9]
    for number in range(8):
        again, runs = redrawn(estimates, layout, units, "participant", number)
        people = again.assign(site=again["stratum"].str.strip("\x1f")).groupby(["arm", "site"])["participant"].nunique()
        assert people.xs("north", level="site").tolist() == [6, 6, 6]
        assert people.xs("south", level="site").tolist() == [9, 9, 9]
        assert runs.groupby(["system", "item"]).size().eq(6).all()
    compare(estimates, "participant")


def test_a_trial_without_items_is_drawn_by_participant(study):
    frame = trial_of(study).drop(columns="item")
    estimates = estimated(study, frame, runs_of().drop(columns="item"), "fixed", "observed")
    layout, _ = laid_out(estimates)
    assert layout.items == 0
    found = replicates(layout, "participant", 200)
    drawn = found[estimates.keys[MomentKey("a1", "decision")]]
    assert drawn.mean() == pytest.approx(estimates.value(MomentKey("a1", "decision")), abs=0.03)


# Adjusted means and the control mean of non-users: to first order, predictions and shares held fixed.


def with_age(frame):
    draw = np.random.default_rng(8)
    people = pd.factorize(frame["participant"])[0]
    return frame.assign(age=draw.normal(50, 10, people.max() + 1)[people])


def adjusted_values(answers, arm, stage):
    """Predictions of an arm's least squares for all answers, and what its own residuals add to them."""
    design = np.column_stack([np.ones(len(answers)), answers["covariate:age"]])
    count = answers["count"].to_numpy(dtype=float)
    fitted = ((answers["arm"] == arm) & answers[stage].notna()).to_numpy()
    own, score, size = design[fitted], answers.loc[fitted, stage].to_numpy(dtype=float), count[fitted]
    information = (own * size[:, None]).T @ own
    predicted = design @ np.linalg.solve(information, (own * size[:, None]).T @ score)
    reach = own @ np.linalg.solve(information, np.average(design, axis=0, weights=count))
    people = answers.loc[fitted, "participant"].nunique()
    rest = size.sum() * reach * (score - predicted[fitted]) * math.sqrt((people - 1) / (people - 2))
    return predicted, pd.Series(rest, index=np.flatnonzero(fitted)).reindex(range(len(answers)))


@pytest.mark.parametrize(("kind", "items"), KINDS)
def test_adjusted_means_are_drawn_with_their_predictions(study, kind, items):
    trial = rg.read_trial(with_age(trial_of(study)), benchmark=runs_of(), design=BOTH)
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN, covariates=["age"])
    estimates = rg.estimate_frequentist(scores, rg.Estimand(items))
    assert estimates.estimator == "lin"
    layout, units = laid_out(estimates)
    found = replicates(layout, kind)
    answers = scores.answers
    for arm, stage in (("a1", "conversation"), ("a2", "decision"), ("control", "decision")):
        predicted, rest = adjusted_values(answers, arm, stage)
        marked = replace(estimates, scores=replace(scores, _answers=answers.assign(predicted=predicted, rest=rest)))
        for number in range(6):
            again, _ = redrawn(marked, layout, units, kind, number)
            value = again["predicted"].mean() + again["rest"].mean()
            assert found[estimates.keys[MomentKey(arm, stage)], number] == pytest.approx(value, abs=1e-12)


def with_idle(frame):
    """The first four participants of each AI arm never wrote."""
    idle = frame["arm"].isin(["a1", "a2"]) & (frame["participant"].str.rpartition("-")[2].astype(int) < 4)
    return frame.assign(
        used=(~idle).astype(int), **{stage: frame[stage].mask(idle) for stage in ("own_query", "conversation")}
    )


@pytest.mark.parametrize(("kind", "items"), KINDS)
def test_non_users_take_the_control_mean_of_each_replicate_to_first_order(study, kind, items):
    estimates = estimated(study, with_idle(trial_of(study)), runs_of(), items, "observed", non_users="control")

    def first_order(estimates, frame, runs):
        control = frame.loc[frame["arm"] == "control", "decision"].mean() - estimates.value(
            MomentKey("control", "decision")
        )
        found = {}
        for stage in ("own_query", "conversation"):
            for arm in ("a1", "a2"):
                idle = ~frame["used"] & (frame["arm"] == arm)
                filled = (
                    frame[stage]
                    .where(frame["arm"] == arm)
                    .mask(idle, estimates.value(MomentKey("control", "decision")))
                )
                before = estimates.scores.answers.query("arm == @arm")
                entering = before[before[stage].notna() | ~before["used"]]
                share = np.average(~entering["used"], weights=entering["count"])
                found[MomentKey(arm, stage)] = filled.mean() + share * control
        return found

    compare(estimates, kind, reference=first_order)


# Standard errors of replicates: those of the whole estimator on the redrawn trial.


def gradient(estimates, top, bottom):
    """Slopes of a quantity, or of a ratio of two, in the moments."""
    if not bottom.any():
        return top
    whole = at(estimates, bottom)
    return (top - at(estimates, top) / whole * bottom) / whole


def at(estimates, row):
    return row @ estimates.statistics.values  # noqa: PD011 - a record's field


def error_of(estimates, row, kind):
    found = estimates.statistics
    if kind != "participant":
        return math.sqrt(covariance_of(replace(estimates, covariance="item"), row[None]).variance[0])
    blocks = (found.participants, found.runs)
    quantity = row @ found.loading
    return math.sqrt(sum(one.multiplicity @ (one.scaled["CR0"] @ quantity) ** 2 for one in blocks))


def again_estimated(estimates, frame, runs):
    """The estimator on the redrawn trial, its item copies weighted like their items."""
    mix = mix_of(estimates)
    if mix is not None:
        names = set(frame.loc[frame["arm"] != "control", "item"])
        mix = {name: mix[name.partition("#")[0]] for name in names}
    answers = frame.drop(columns=["stratum", "marginal"]).assign(used=frame["used"].astype(int))
    trial = rg.read_trial(
        answers, benchmark=runs.drop(columns="participant").rename(columns={"score": "benchmark"}), design=BOTH
    )
    estimand = rg.Estimand(estimates.estimand.items, "observed" if mix is None else mix)
    return rg.estimate_frequentist(rg.score_stages(trial, rg.DEFAULT_CHAIN), estimand)


@pytest.mark.parametrize("weights", ["observed", "trial"])
@pytest.mark.parametrize(("kind", "items"), KINDS)
def test_standard_errors_of_replicates_are_those_of_the_redrawn_trial(study, kind, items, weights):
    frame = trial_of(study, people=25)
    if kind == "participant":
        frame["item"] = frame["item"].map(lambda item: ITEMS[int(item[1:]) % 3])
    estimates = estimated(study, frame, runs_of(items=tuple(sorted(frame["item"].unique()))), items, weights)
    drawn = rg.bootstrapped(estimates, kind=kind, interval="studentized", replicates=100, seed=SEED).bootstrap
    layout, units = laid_out(estimates)
    for number in range(3):
        again = again_estimated(estimates, *redrawn(estimates, layout, units, kind, number))
        assert again.statistics.moments == estimates.statistics.moments
        for target, (top, bottom) in enumerate(zip(drawn.targets.top, drawn.targets.bottom, strict=True)):
            error = error_of(again, gradient(again, top, bottom), kind)
            assert drawn.drawn.std_errors[target, number] == pytest.approx(error, abs=1e-12), (number, target)
    assert drawn.targets.is_ratio.sum() == 3 * (5 + 2)


CASES = {
    "plain": {},
    "observed": {"weights": "observed"},
    "more benchmark items": {"runs": runs_of(items=(*ITEMS, "x1", "x2"))},
    "more benchmark items, each mix its own": {"runs": runs_of(items=(*ITEMS, "x1")), "weights": "observed"},
    "control mean for non-users": {"non_users": "control"},
    "named weights": {"weights": dict(zip(ITEMS, (3, 1, 1, 1, 0), strict=True))},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(("kind", "items"), KINDS)
def test_base_errors_are_those_of_the_covariance(study, kind, items, case):
    options = {"runs": runs_of(), "weights": "trial"} | CASES[case]
    frame = trial_of(study)
    frame = with_idle(frame) if "non_users" in options else frame
    estimates = estimated(study, frame, options.pop("runs"), items, **options)
    drawn = rg.bootstrapped(estimates, kind=kind, interval="studentized", replicates=100).bootstrap
    for target, (top, bottom) in enumerate(zip(drawn.targets.top, drawn.targets.bottom, strict=True)):
        error = error_of(estimates, gradient(estimates, top, bottom), kind)
        assert drawn.drawn.base_errors[target] == pytest.approx(error, abs=1e-10)


def test_adjusted_base_errors_are_those_of_the_covariance(study):
    trial = rg.read_trial(with_age(trial_of(study)), benchmark=runs_of(), design=BOTH)
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN, covariates=["age"])
    for kind, items in KINDS:
        estimates = rg.estimate_frequentist(scores, rg.Estimand(items, "trial"))
        drawn = rg.bootstrapped(estimates, kind=kind, interval="studentized", replicates=100).bootstrap
        for target, (top, bottom) in enumerate(zip(drawn.targets.top, drawn.targets.bottom, strict=True)):
            error = error_of(estimates, gradient(estimates, top, bottom), kind)
            assert drawn.drawn.base_errors[target] == pytest.approx(error, abs=1e-10)


# How far replicates spread: 4,000 of them tell a standard deviation to 1.1 %.


def spreads(estimates, kind, weights="multinomial"):
    found = rg.bootstrapped(estimates, kind=kind, interval="percentile", replicates=4000, weights=weights).bootstrap
    values = found.targets.of(found.drawn.moments)
    for target, (top, bottom) in enumerate(zip(found.targets.top, found.targets.bottom, strict=True)):
        if not bottom.any():
            yield top, values[target]


@pytest.mark.parametrize("weights", ["multinomial", "bayesian"])
def test_participants_drawn_again_spread_like_the_cluster_robust_standard_error(study, weights):
    """Under the observed mix and complete scores every mean of answers is linear in the weights."""
    frame = trial_of(study, people=60, lost=0.0)
    estimates = estimated(study, frame, runs_of(), "fixed", "observed")
    moments = estimates.statistics.moments
    checked = 0
    for top, drawn in spreads(estimates, "participant", weights):
        if any(moments[place].name == "benchmark" for place in np.flatnonzero(top)):
            continue  # runs are drawn within items, and this covariance lets their items vary
        # Dirichlet weights of n participants vary n / (n + 1) as much as counts.
        shrink = math.sqrt(60 / 61) if weights == "bayesian" else 1.0
        assert drawn.std() == pytest.approx(shrink * error_of(estimates, top, "participant"), rel=0.05)
        assert drawn.mean() == pytest.approx(at(estimates, top), abs=4 * drawn.std() / math.sqrt(4000))
        checked += 1
    assert checked > 15


def test_standardised_means_spread_like_it_too(study):
    estimates = estimated(study, trial_of(study, people=120, lost=0.0), runs_of(repeats=20), "fixed")
    for top, drawn in spreads(estimates, "participant"):
        assert drawn.std() == pytest.approx(error_of(estimates, top, "participant"), rel=0.08)


def test_items_drawn_again_spread_like_the_item_standard_error_without_its_correction(study):
    """Each item has as many answers, so that means are linear in the weights."""
    frame = trial_of(study, people=20, lost=0.0)
    assert set(frame.groupby(["arm", "item"]).size()) == {8}
    estimates = estimated(study, frame, runs_of(), "random", "trial")
    for top, drawn in spreads(estimates, "item"):
        assert drawn.std() == pytest.approx(math.sqrt(4 / 5) * error_of(estimates, top, "item"), rel=0.05)


def test_both_drawn_again_spread_by_participants_items_and_answers(study):
    """Products of counts vary by (1 - 1/S) P + (1 - 1/G) I + O, with P, I and O the summed squares of residuals."""
    frame = trial_of(study, people=60, lost=0.0)
    estimates = estimated(study, frame, runs_of(), "random", "observed")
    row = estimates.row({MomentKey("a1", "decision"): 1.0})
    spread = next(drawn.std() for top, drawn in spreads(estimates, "crossed") if (top == row).all())
    mine = frame[frame["arm"] == "a1"]
    rest = (mine["decision"] - mine["decision"].mean()) / len(mine)
    people, items = ((rest.groupby(mine[name]).sum() ** 2).sum() for name in ("participant", "item"))
    assert spread**2 == pytest.approx((1 - 1 / 5) * people + (1 - 1 / 60) * items + (rest**2).sum(), rel=0.12)


# Intervals of a decomposition.


def one_target(estimates, row, bottom=None):
    found = estimates.bootstrap
    place = found.places[target_key(row, np.zeros_like(row) if bottom is None else bottom)]
    return found.targets.of(found.drawn.moments)[place], place


def test_percentiles_and_pivots_are_those_of_the_replicates(study):
    estimates = estimated(study, trial_of(study), runs_of(), "fixed")
    gap = {MomentKey("a1", "benchmark"): 1.0, MomentKey("a1", "decision"): -1.0}
    row = estimates.row(gap)
    plain = rg.bootstrapped(estimates, interval="percentile", replicates=300, seed=2)
    draws, _ = one_target(plain, row)
    found = linear(plain, [gap])[0]
    assert (found.interval.lower, found.interval.upper) == pytest.approx(np.percentile(draws, [2.5, 97.5]))
    assert (found.std_error, found.df) == (pytest.approx(draws.std(ddof=1)), None)
    turned = rg.bootstrapped(estimates, interval="studentized", replicates=300, seed=2)
    draws, place = one_target(turned, row)
    value, error = at(estimates, row), error_of(estimates, row, "participant")
    pivots = (draws - value) / turned.bootstrap.drawn.std_errors[place]
    low, high = np.percentile(pivots, [2.5, 97.5])
    found = linear(turned, [gap])[0].interval
    assert (found.lower, found.upper) == pytest.approx((value - high * error, value - low * error))


def test_the_acceleration_is_the_skewness_of_influence_by_the_jackknife(study):
    """Leaving out one participant of a plain mean moves it by his influence, to first order."""
    frame = trial_of(study, people=30, lost=0.0)
    estimates = estimated(study, frame, runs_of(), "fixed", "observed")
    found = rg.bootstrapped(estimates, replicates=100)
    _, place = one_target(found, found.row({MomentKey("a1", "decision"): 1.0}))
    sums = frame[frame["arm"] == "a1"].groupby("participant")["decision"].sum().to_numpy()
    left_out = (sums.sum() - sums) / (2 * (sums.size - 1))
    moved = left_out.mean() - left_out
    expected_value = (moved**3).sum() / (6 * (moved**2).sum() ** 1.5)
    assert found.bootstrap.acceleration[place] == pytest.approx(expected_value, rel=1e-9)


def test_ratios_have_intervals_from_the_same_replicates(study):
    estimates = rg.bootstrapped(
        estimated(study, trial_of(study), runs_of(), "fixed"), interval="percentile", replicates=400
    )
    from rctgap.estimands import conditionals, contrasts  # noqa: PLC0415 - this test alone

    ratio = conditionals("a1", {"a1": 1.0})[0]
    draws, _ = one_target(estimates, *(estimates.row(one.coefficients) for one in (ratio.numerator, ratio.denominator)))
    found = conditional(estimates, ratio)
    assert (found.interval.lower, found.interval.upper) == pytest.approx(np.nanpercentile(draws, [2.5, 97.5]))
    rows = {one.quantity: one.coefficients for one in contrasts(estimates.scores.chain, "a1", {"a1": 1.0}, "control")}
    draws, _ = one_target(estimates, estimates.row(rows["task"]), estimates.row(rows["gap"]))
    share = shares(estimates, [rows["task"]], rows["gap"])[0]
    assert (share.fieller.lower, share.fieller.upper) == pytest.approx(np.percentile(draws, [2.5, 97.5]))
    assert (share.fieller.set_type, share.delta) == ("bounded", None)


def test_what_was_not_drawn_is_said_to_be_so(study):
    estimates = rg.bootstrapped(estimated(study, trial_of(study), runs_of(), "fixed"), replicates=100)
    found = linear(estimates, [{MomentKey("a1", "decision"): 0.3}])[0]
    assert (found.interval, found.std_error, found.notes) == (None, None, ("not resampled",))


def test_replicates_that_lose_a_mean_are_counted(study):
    """One item of five carries all decisions of one arm's conversation, so a third of the replicates lose it."""
    frame = trial_of(study, people=20, lost=0.0)
    frame["conversation"] = frame["conversation"].where((frame["arm"] != "a1") | frame["item"].isin(["s0", "s1"]))
    estimates = estimated(study, frame, runs_of(), "random", "observed")
    drawn = rg.bootstrapped(estimates, interval="percentile", replicates=600)
    found = linear(drawn, [{MomentKey("a1", "conversation"): 1.0}])[0]
    lost = int(found.notes[0].split()[2])
    assert "which are left out" in found.notes[0]
    assert lost == pytest.approx(600 * 0.6**5, abs=4 * math.sqrt(600 * 0.6**5))
    few = rg.bootstrapped(estimates, interval="percentile", replicates=100)
    found = linear(few, [{MomentKey("a1", "conversation"): 1.0}])[0]
    assert (found.interval, found.notes[-1]) == (None, "fewer replicates are left than an interval needs")


def test_a_mean_of_one_item_gets_no_interval_over_items(study):
    frame = trial_of(study, people=20, lost=0.0)
    frame["conversation"] = frame["conversation"].where((frame["arm"] != "a1") | (frame["item"] == "s0"))
    estimates = estimated(study, frame, runs_of(), "random", "observed")
    drawn = rg.bootstrapped(estimates, replicates=400)
    step = {MomentKey("a1", "conversation"): 1.0, MomentKey("a1", "decision"): -1.0}
    for found in linear(drawn, [{MomentKey("a1", "conversation"): 1.0}, step]):
        assert found.interval is None
        assert "one item stands behind conversation" in found.notes[0]


def test_answers_without_an_item_get_no_interval_over_items(study):
    frame = trial_of(study)
    frame["item"] = frame["item"].mask((frame["arm"] == "a1") & (frame.index % 2 == 0))
    drawn = rg.bootstrapped(estimated(study, frame, runs_of(), "random", "observed"), replicates=100)
    mine, other = linear(drawn, [{MomentKey(arm, "decision"): 1.0} for arm in ("a1", "a2")])
    assert (mine.interval, mine.notes) == (None, ("no interval over items: some of its rows carry no item",))
    assert other.interval.kind in ("studentized", "percentile")


@pytest.mark.parametrize("interval", ["percentile", "bca", "studentized"])
def test_a_gap_of_exactly_zero_has_an_interval_and_no_shares(study, interval):
    frame = pd.DataFrame({"participant": [f"p{one}" for one in range(40)], "item": ["s1", "s2"] * 20, "arm": "a1"})
    frame = frame.assign(conversation=[1, 1, 0, 0] * 10, decision=[1, 0, 1, 0] * 10)
    stages = [rg.Stage("conversation"), rg.Stage("decision")]
    estimates = study.estimated(frame, design=rg.Design(ai=["a1"]), stages=stages)
    drawn = rg.bootstrapped(estimates, replicates=200, interval=interval)
    gap = {MomentKey("a1", "conversation"): 1.0, MomentKey("a1", "decision"): -1.0}
    found = linear(drawn, [gap])[0]
    assert found.estimate == 0.0
    assert found.interval.lower < 0 < found.interval.upper
    assert shares(drawn, [gap], gap)[0].estimate is None


@pytest.mark.parametrize(
    ("items", "options", "said"),
    [
        ("random", {"kind": "participant"}, "by participant makes no sense with items random. Use item or crossed"),
        ("fixed", {"kind": "item"}, "by item makes no sense with items fixed. Use participant"),
        ("fixed", {"kind": "crossed"}, "by crossed makes no sense with items fixed"),
        ("fixed", {"kind": "participants"}, "did you mean 'participant'"),
        ("fixed", {"interval": "bcA"}, "did you mean 'bca'"),
        ("fixed", {"replicates": 99}, "too few replicates.*100 or more"),
    ],
)
def test_choices_that_make_no_sense_are_refused_by_name(study, items, options, said):
    with pytest.raises(EstimationError, match=f"(?i){said}"):
        rg.bootstrapped(estimated(study, trial_of(study), runs_of(), items), **options)


@pytest.mark.parametrize(("kind", "items"), [("participant", "fixed"), ("crossed", "random")])
def test_participants_that_are_not_known_cannot_be_drawn(study, kind, items):
    estimates = estimated(study, trial_of(study).drop(columns="participant"), runs_of(), items)
    with pytest.raises(EstimationError, match="the data do not identify them"):
        rg.bootstrapped(estimates, kind=kind)


def test_defaults_and_labels(study):
    fixed, random = (estimated(study, trial_of(study), runs_of(), items) for items in ("fixed", "random"))
    one, two = (rg.bootstrapped(estimates, replicates=100) for estimates in (fixed, random))
    assert [(a.bootstrap.drawn.kind, a.bootstrap.interval) for a in (one, two)] == [
        ("participant", "bca"),
        ("item", "studentized"),
    ]
    assert not any("anticonservative" in note for note in (*one.notes, *two.notes))
    crossed = {"kind": "crossed", "interval": "percentile"}
    for options, said in (
        ({"interval": "percentile"}, "over 5 items: anticonservative"),
        ({"weights": "bayesian"}, "over 5 items: anticonservative"),
        (crossed, "over 5 items, crossed: too wide where items differ little"),
    ):
        labelled = rg.bootstrapped(random, replicates=100, **options)
        assert said in labelled.notes[-1]
