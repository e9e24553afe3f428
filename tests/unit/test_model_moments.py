"""Moments of the hierarchical model at given parameters, held against answers simulated one by one."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import special

import rctgap as rg
from rctgap.estimands import MomentKey, contrasts
from rctgap.model_data import USED, model_data
from rctgap.model_moments import moment_draws
from rctgap.models.design import coefficients, contrasts_to_zero
from rctgap.models.parameters import prior_draws
from rctgap.models.priors import Priors
from rctgap.models.replicates import replicated

MANY = 300_000
STAGES = ("own_query", "conversation", "decision")
PRIORS = Priors(stage_mean_sd=0.7, item_sd=0.6, state_sd=1.0, arm_sd=0.5)


class World:
    """The model as it is described, answer by answer, at one draw of its parameters."""

    def __init__(self, data, one, seed=0):
        self.data, self.one, self.rng = data, one, np.random.default_rng(seed)
        self.structure = data.structure
        found = coefficients(self.structure, Priors())
        self.value = {(c.kind, c.response, c.place): one.coefficient[0, k] for k, c in enumerate(found)}

    def score(self, name, label, item, person, previous=None, state="start"):
        """Scores on items (positions, -1 for none named; or rows of logits) by persons with standard effects."""
        place = next(k for k, one in enumerate(self.structure.responses) if one.name == name)
        response = self.structure.responses[place]
        group = response.groups.index(label)
        eta = np.zeros(person.size)
        named = np.ones(person.size, dtype=bool) if item.ndim == 2 else item >= 0
        if response.items:
            arms = contrasts_to_zero(len(response.groups))[group]
            arm = sum(w * self.value["arm", place, k] for k, w in enumerate(arms))
            if item.ndim == 2:
                eta += item[:, self.structure.itemised.index(place)] + arm
            elif place in self.structure.itemised:
                logits = self.one.items[0][:, self.structure.itemised.index(place)]
                eta += np.where(named, logits[item] + arm, 0.0)
            else:
                eta += np.where(named, self.value["mean", place, 0] + arm, 0.0)
        if not named.all() or not response.items:
            bare = ~named if response.items else np.ones_like(named)
            eta += np.where(bare, self.value["margin", place, group], 0.0)
        if place in self.structure.tied:
            eta += self.one.spread[0, self.structure.tied.index(place)] * person
        if previous is not None:
            eta += self.value["carry", place, 0] * (previous - 0.5)
        else:
            eta += self.value.get((state, place, 0), 0.0)
        return self.noisy(response, eta)

    def noisy(self, response, eta):
        if response.scale == "binary":
            return (self.rng.random(eta.size) < special.expit(eta)).astype(float)
        shape = self.one.shape[response.name][0]
        if response.scale == "ordinal":
            cuts = np.cumsum([0.0, *shape])
            return np.array(response.levels)[((eta + self.rng.logistic(size=eta.size))[:, None] > cuts).sum(axis=1)]
        if response.scale == "bounded":
            mean = special.expit(eta)
            return self.rng.beta(mean * shape, (1 - mean) * shape)
        return self.rng.normal(0.5 + eta / 4, shape)

    def mix(self, weights):
        """Items of many answers; weights of items by name, `None` for rows that name none."""
        places = [self.structure.items.index(item) if item else -1 for item in weights]
        return self.rng.choice(places, MANY, p=list(weights.values()))

    def population(self):
        noise = self.rng.standard_normal((MANY, self.one.chol.shape[1]))
        return self.one.population[0] + noise @ self.one.chol[0].T

    def control(self, item):
        return self.score(self.data.control, "control", item, self.rng.standard_normal(MANY)).mean()

    def arm(self, label, item, policy=None, control=None):
        """Expectations of everything an arm's own rows give."""
        person, scores, keep = self.rng.standard_normal(MANY), {}, np.ones(MANY, dtype=bool)
        for segment in self.data.segments[label]:
            previous = None
            for name in segment:
                previous = scores[name] = self.score(name, label, item, person, previous)
        last = list(scores)[-1]
        if label in self.data.idle:
            used = self.score(USED, label, np.full(MANY, -1), person) == 1
            idle = self.score(last, label, item, person, state="non_user")
            filling = {"zero": 0.0, "control": control, "exclude": np.nan}[policy]
            found = {name: np.where(used, one, idle if name == last else filling) for name, one in scores.items()}
            keep = used if policy != "zero" else keep
        else:
            found = scores
        out = {name: np.nanmean(one) for name, one in found.items()}
        for before, after in zip(scores, list(scores)[1:], strict=False):
            one, two = found[before][keep], found[after][keep]
            out[f"lost:{after}"] = np.clip(one - two, 0, None).mean()
            out[f"gained:{after}"] = np.clip(two - one, 0, None).mean()
        one = found[list(scores)[-2]][keep]
        out |= {"uptake:hit": (one * two).mean(), "uptake:given": one.mean()}
        return out | {"self_rescue:hit": ((1 - one) * two).mean(), "self_rescue:given": 1 - one.mean()}


def at_one_draw(scores, estimand, seed, times=1, spread=0.9):
    """The model's moments at one draw from the prior, and the world at that draw."""
    plain = rg.estimate_frequentist(scores, estimand, adjustment="none")
    data = model_data(plain.scores)
    drawn = prior_draws(data.structure, PRIORS, 1, np.random.default_rng(seed))
    drawn = replace(drawn, spread=np.full_like(drawn.spread, spread))
    table, missing = moment_draws(data, drawn.rows(np.zeros(times, dtype=np.intp)), plain, 1)
    moments = {key: table[:, place].mean() for key, place in plain.keys.items() if key not in missing}
    return moments, World(data, drawn), plain


def differing(moments, arm, expected, tolerance):
    """Moments of an arm that are not as simulated."""
    names = {key.name for key in moments if key.arm == arm and not key.name.startswith("mix:")} - {"benchmark"}
    assert names, "nothing to compare"
    both = {name: (round(moments[MomentKey(arm, name)], 4), round(float(expected[name]), 4)) for name in names}
    return {name: pair for name, pair in both.items() if abs(pair[0] - pair[1]) > tolerance}


def idle_some(frame, share=0.3, seed=5):
    """Part of the AI arms' answers come from participants who never used the system."""
    people = frame.loc[frame["arm"] != "control", "participant"].unique()
    chosen = np.random.default_rng(seed).choice(people, round(share * len(people)), replace=False)
    idle = frame["participant"].isin(chosen)
    frame = frame.assign(used=~idle)
    frame.loc[idle, ["own_query", "conversation"]] = np.nan
    return frame


@pytest.fixture(scope="module")
def frame(study):
    found = study.simulated(people=15, arms=("a1", "a2", "control"), seed=3)
    return found.drop(found[(found["item"] == "s1") & (found["arm"] == "a1")].index[:6]).reset_index(drop=True)


def scored(study, frame, **options):
    return study.scored(frame, study.benchmark(("a1", "a2")), rg.Design("control", ["a1", "a2"]), **options)


EVEN = dict.fromkeys(("s1", "s2", "s3"), 1 / 3)


@pytest.mark.parametrize(("weights", "mix"), [("uniform", EVEN), ({"s1": 1, "s3": 3}, {"s1": 0.25, "s3": 0.75})])
def test_binary_chains_at_item_weights(study, frame, weights, mix):
    moments, world, _ = at_one_draw(scored(study, frame), rg.Estimand("fixed", weights), seed=1)
    for arm in ("a1", "a2"):
        assert differing(moments, arm, world.arm(arm, world.mix(mix)), 0.004) == {}
    assert moments[MomentKey("control", "decision")] == pytest.approx(world.control(world.mix(mix)), abs=0.004)


def test_a_benchmark_mean_is_the_average_of_its_items(study, frame):
    moments, world, _ = at_one_draw(scored(study, frame), rg.Estimand("fixed", {"s1": 1, "s3": 3}), seed=1)
    one = world.structure.responses[0]
    arms = contrasts_to_zero(2) @ [world.value["arm", 0, 0]]
    chance = special.expit(world.one.items[0, :, 0][:, None] + arms)
    weights = np.array([0.25, 0.0, 0.75])
    for group, system in enumerate(one.groups):
        assert moments[MomentKey(system, "benchmark")] == pytest.approx(weights @ chance[:, group])


def test_observed_weights_are_each_arms_own_mix_with_rows_that_name_no_item(study, frame):
    bare = frame.assign(item=frame["item"].where(np.arange(len(frame)) % 4 > 0, None))
    moments, world, _ = at_one_draw(scored(study, bare), rg.Estimand("fixed"), seed=2)
    for arm in ("a1", "a2"):
        mine = bare.loc[bare["arm"] == arm, "item"].fillna("").value_counts(normalize=True).to_dict()
        assert differing(moments, arm, world.arm(arm, world.mix(mine)), 0.004) == {}


def test_a_single_item_has_a_mean_of_its_own(study):
    frame = study.simulated(people=10, items=("s1",), answers=2)
    scores = study.scored(frame, study.benchmark(items=("s1",)))
    moments, world, _ = at_one_draw(scores, rg.Estimand("fixed"), seed=4)
    assert differing(moments, "a1", world.arm("a1", world.mix({"s1": 1.0})), 0.004) == {}
    margins = [one.response for one in coefficients(world.structure, Priors()) if one.kind == "margin"]
    assert set(margins) == {0, 1, 2, 3, 4}


def test_items_random_are_an_average_over_new_items_and_participants(study, frame):
    moments, world, plain = at_one_draw(scored(study, frame), rg.Estimand("random"), seed=5)
    for arm in ("a1", "a2"):
        assert differing(moments, arm, world.arm(arm, world.population()), 0.012) == {}
    assert not any(key.name.startswith("mix:") for key in moments)
    assert any(key.name.startswith("mix:") for key in plain.keys)


@pytest.mark.parametrize("scale", ["bounded", "unbounded"])
def test_fractional_scores_are_followed_along_the_chain(study, frame, scale):
    given = frame["own_query"].where(frame["own_query"].isna(), np.linspace(0.05, 0.95, len(frame)))
    scores = replace(scored(study, frame.assign(own_query=given)), scales={"own_query": scale})
    moments, world, _ = at_one_draw(scores, rg.Estimand("fixed", "uniform"), seed=6, times=300)
    assert differing(moments, "a1", world.arm("a1", world.mix(EVEN)), 0.005) == {}


def test_ordinal_scores_are_valued_by_their_levels(study, frame):
    levels = np.array([0.0, 0.2, 0.7, 1.0])[np.arange(len(frame)) % 4]
    scores = replace(scored(study, frame.assign(decision=levels)), scales={"decision": "ordinal"})
    moments, world, _ = at_one_draw(scores, rg.Estimand("fixed", "uniform"), seed=7)
    assert differing(moments, "a2", world.arm("a2", world.mix(EVEN)), 0.004) == {}
    assert moments[MomentKey("control", "decision")] == pytest.approx(world.control(world.mix(EVEN)), abs=0.004)


@pytest.mark.parametrize("items", ["fixed", "random"])
@pytest.mark.parametrize("policy", ["zero", "exclude", "control"])
def test_non_users_enter_as_the_estimand_has_them(study, frame, policy, items):
    """Participants differ much, so that users are not like the others: an average over all of them would show."""
    estimand = rg.Estimand(items, "uniform", non_users=policy)
    moments, world, _ = at_one_draw(scored(study, idle_some(frame)), estimand, seed=8, spread=1.5)
    item = world.mix(EVEN) if items == "fixed" else world.population()
    control = moments[MomentKey("control", "decision")]
    assert control == pytest.approx(world.control(item), abs=0.015)
    for arm in ("a1", "a2"):
        found = differing(moments, arm, world.arm(arm, item, policy, control), 0.006 if items == "fixed" else 0.015)
        assert found == {}


def test_users_are_not_like_the_average_participant(study, frame):
    """Otherwise the test above would hold without any weighing of users."""
    scores = scored(study, idle_some(frame))
    estimand = rg.Estimand("random", non_users="exclude")
    _, world, _ = at_one_draw(scores, estimand, seed=8, spread=1.5)
    item, person = world.population(), world.rng.standard_normal(MANY)
    query = world.score("own_query", "a1", item, person)
    used = world.score(USED, "a1", np.full(MANY, -1), person) == 1
    assert query[used].mean() - query.mean() > 0.03


def test_without_a_known_decision_non_users_are_left_out_of_the_decisions(study, frame):
    gone = idle_some(frame)
    gone.loc[~gone["used"], "decision"] = np.nan
    estimand = rg.Estimand("fixed", "uniform", non_users="exclude")
    moments, world, _ = at_one_draw(scored(study, gone), estimand, seed=9)
    item, person = world.mix(EVEN), world.rng.standard_normal(MANY)
    used = world.score(USED, "a1", np.full(MANY, -1), person) == 1
    talk = world.score("conversation", "a1", item, person, world.score("own_query", "a1", item, person))
    decision = world.score("decision", "a1", item, person, talk)
    assert moments[MomentKey("a1", "decision")] == pytest.approx(decision[used].mean(), abs=0.005)


def test_a_borrowed_stage_is_the_lenders_and_the_chain_starts_after_it(study):
    frame = study.simulated(people=15, arms=("a1", "lender", "control"), seed=3)
    loan = rg.Borrowing("own_query", "lender", "the first message precedes any reply")
    scores = study.scored(frame, study.benchmark(), rg.Design("control", [rg.Arm("a1", borrowed=(loan,))]))
    moments, world, _ = at_one_draw(scores, rg.Estimand("fixed", "uniform"), seed=10)
    expected = world.arm("a1", world.mix(EVEN))
    person = world.rng.standard_normal(MANY)
    expected["own_query"] = world.score("own_query", "lender", world.mix(EVEN), person).mean()
    assert differing(moments, "a1", expected, 0.004) == {}
    assert MomentKey("a1", "lost:conversation") not in moments


def test_components_add_up_to_the_gap_in_every_draw(study, frame):
    scores = scored(study, idle_some(frame))
    plain = rg.estimate_frequentist(scores, rg.Estimand("fixed", non_users="control"), adjustment="none")
    data = model_data(plain.scores)
    drawn = prior_draws(data.structure, Priors(), 250, np.random.default_rng(0))
    table, _ = moment_draws(data, drawn, plain, 1)
    rows = {one.quantity: plain.row(one.coefficients) for one in contrasts(scores.chain, "a1", {"a1": 1.0}, "control")}
    parts = sum(table @ rows[name] for name in STAGES)
    np.testing.assert_allclose(parts, table @ rows["gap"], atol=1e-12)
    np.testing.assert_allclose(table @ (rows["predicted_effect"] - rows["realized_effect"]), parts, atol=1e-12)


def test_a_draw_does_not_depend_on_the_draws_around_it(study, frame):
    plain = rg.estimate_frequentist(scored(study, frame), rg.Estimand("random"), adjustment="none")
    data = model_data(plain.scores)
    drawn = prior_draws(data.structure, Priors(), 130, np.random.default_rng(0))
    whole, _ = moment_draws(data, drawn, plain, 1)
    tail, _ = moment_draws(data, drawn.rows(slice(100, None)), plain, 1)
    np.testing.assert_array_equal(whole[100:], tail)


@pytest.mark.parametrize("answers", [1, 2])
def test_replicated_cell_means_are_the_moments_of_the_cell(study, frame, answers):
    """Fixed items at one item's weight are one cell; participants' answers and counts of nobody go different ways."""
    kept = frame if answers == 2 else frame.drop(columns="participant")
    scores = scored(study, kept)
    data = model_data(scores)
    one = prior_draws(data.structure, PRIORS, 1, np.random.default_rng(11)).rows(np.zeros(4000, dtype=np.intp))
    made = replicated(data.structure, one, np.random.default_rng(1))
    plain = rg.estimate_frequentist(scores, rg.Estimand("fixed", {"s2": 1}), adjustment="none")
    table, _ = moment_draws(data, one.rows(slice(0, 1)), plain, 1)
    compared = 0
    for place, group, item, means in zip(made.response, made.group, made.item, made.means.T, strict=True):
        response = data.structure.responses[place]
        if data.structure.items[item] == "s2":
            stage = "decision" if response.name == data.control else response.name
            expected = table[0, plain.keys[MomentKey(response.groups[group], stage)]]
            assert abs(means.mean() - expected) < 4.5 * means.std() / np.sqrt(means.size)
            compared += 1
    assert compared == 9


def test_observed_cell_means_are_those_of_the_frame(study, frame):
    made_of = model_data(scored(study, frame))
    drawn = prior_draws(made_of.structure, PRIORS, 2, np.random.default_rng(1))
    made = replicated(made_of.structure, drawn, np.random.default_rng(1))
    for place, group, item, size, mean in zip(
        made.response, made.group, made.item, made.size, made.observed, strict=True
    ):
        one = made_of.structure.responses[place]
        stage = "decision" if one.name == made_of.control else one.name
        if stage != "benchmark":
            cell = frame[(frame["arm"] == one.groups[group]) & (frame["item"] == made_of.structure.items[item])]
            assert (size, mean) == (len(cell), pytest.approx(cell[stage].mean()))


def test_answers_of_one_participant_vary_together_in_replicates(study):
    """With eight answers each and a participant sd of 2 the mean of an arm varies far more than of independent ones."""
    items = tuple(f"s{one}" for one in range(8))
    frame = study.simulated(people=30, items=items, answers=8)
    scores = study.scored(frame, study.benchmark(items=items))
    data = model_data(scores)
    drawn = prior_draws(data.structure, PRIORS, 1, np.random.default_rng(2)).rows(np.zeros(600, dtype=np.intp))
    spread = np.full_like(drawn.spread, 2.0)
    still = replace(drawn, items=np.zeros_like(drawn.items), coefficient=np.zeros_like(drawn.coefficient))
    place = data.place("own_query")

    def variance(parameters):
        made = replicated(data.structure, parameters, np.random.default_rng(3))
        inside = made.response == place
        return (made.means[:, inside] @ made.size[inside] / made.size[inside].sum()).var()

    effects = np.random.default_rng(4).standard_normal(400_000)
    chance = special.expit(2.0 * effects)
    between, total = chance.var(), 0.25
    expected = (between * 8 + (total - between)) / (30 * 8)
    assert variance(replace(still, spread=spread)) == pytest.approx(expected, rel=0.25)
    assert variance(replace(still, spread=0 * spread)) == pytest.approx(0.25 / 240, rel=0.25)


def test_stages_that_the_frame_lacks_have_no_cells(study):
    """A frame with counts of one pattern: nothing is drawn for cells that hold no score."""
    rows = pd.DataFrame({"arm": "a1", "conversation": [1, 0, None], "decision": [1, 0, 1], "count": [5, 6, 7]})
    trial = rg.read_trial(rows, design=rg.Design(ai=["a1"]))
    data = model_data(rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")]))
    drawn = prior_draws(data.structure, PRIORS, 3, np.random.default_rng(1))
    made = replicated(data.structure, drawn, np.random.default_rng(1))
    assert made.size.tolist() == [11, 18]
    np.testing.assert_allclose(made.observed, [5 / 11, 12 / 18])
