"""The hierarchical model's likelihood against the same model written plainly: rows in, adaptive quadrature."""

import math
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pandas as pd
import pymc as pm
import pytensor
import pytensor.tensor as pt
import pytest
from scipy import integrate, special, stats

import rctgap as rg
from rctgap.error_rates import ErrorRates
from rctgap.model_data import model_data
from rctgap.models import answers, hierarchical, units
from rctgap.models.design import contrasts_to_zero
from rctgap.models.hierarchical import Variant, build
from rctgap.models.priors import Priors
from rctgap.models.structure import Structure

HALVES = (0.0, 0.5, 1.0)


# ---------------------------------------------------------------- the model, compiled


class Compiled:
    """Likelihood and log posterior of a trial's model, at given values of the parameters."""

    def __init__(self, scores, variant=None):
        self.structure = model_data(scores).structure
        self.model = build(self.structure, Priors(), variant)
        self.free = {one.name: one for one in self.model.free_RVs}
        self.log_likelihood = pytensor.function(
            list(self.free.values()), self.model["likelihood"], mode="FAST_COMPILE", on_unused_input="ignore"
        )

    def random(self, seed):
        """Values in the range of real trials."""
        rng, found = np.random.default_rng(seed), {}
        for name, one in self.free.items():
            shape = tuple(int(size) for size in one.shape.eval())
            if name == "item_correlation":
                half = rng.normal(size=(shape[0], shape[0] + 2))
                spread = half @ half.T
                scale = np.sqrt(np.diag(spread))
                found[name] = np.linalg.cholesky(spread / np.outer(scale, scale))
            elif name in {"item_sd", "participant_sd"} or ":" in name:
                found[name] = rng.uniform(0.4, 1.6, shape)
            elif name in {"sensitivity", "specificity"}:
                found[name] = rng.uniform(0.6, 0.95, shape)
            else:
                found[name] = rng.normal(0.0, 0.8, shape)
        return found

    def at(self, values):
        return float(self.log_likelihood(*(values[name] for name in self.free)))


@pytest.fixture
def exact(monkeypatch):
    """Enough nodes that what is left is the likelihood itself."""
    monkeypatch.setattr(Structure, "grid", property(fine))


def fine(structure):
    """A grid that leaves no error."""
    points = np.linspace(-9, 9, 361) if structure.tied else np.zeros(1)
    masses = stats.norm.pdf(points)
    return points, masses / masses.sum()


# ---------------------------------------------------------------- the model, plainly


@dataclass
class Plain:
    """Answers and runs as lists of rows; every probability in turn."""

    scores: rg.StageScores
    compiled: Compiled
    values: dict

    def __post_init__(self):
        coords = self.compiled.model.coords
        self.single = len(set(self.compiled.structure.items)) == 1
        self.groups = {one.name: one.groups for one in self.compiled.structure.responses}
        self.coefficient = dict(zip(coords["regressor"], self.values.get("coefficient", ()), strict=True))
        self.spread = dict(zip(coords["tied"], self.values.get("participant_sd", ()), strict=True))
        self.logit = {}
        if coords["itemised"]:
            chol = np.diag(self.values["item_sd"]) @ self.values.get("item_correlation", np.eye(1))
            population = self.values["stage_logit"] * self._stretch()
            for row, item in enumerate(coords["item"]):
                effect = population + chol @ self.values["item_standard"][row]
                self.logit |= {(name, item): effect[place] for place, name in enumerate(coords["itemised"])}
        chain = self.scores.chain
        self.known = {name: self._known(name) for name in chain.names}
        self.levels = {name: sorted({float(value) for value in found}) for name, found in self.known.items()}
        self.whole = {name: set(found) <= {0.0, 1.0} for name, found in self.levels.items()}
        self.levels |= {name: [0.0, 1.0] for name, whole in self.whole.items() if whole}
        self.scale = {
            name: "binary" if self.whole[name] else self.scores.scales.get(name, "bounded") for name in chain.names
        }

    def _stretch(self):
        """Conditional over marginal logits: sqrt(1 + c^2 (item + participant variance)), c = 16 sqrt(3) / (15 pi)."""
        found = []
        for name, sd in zip(self.compiled.model.coords["itemised"], self.values["item_sd"], strict=True):
            one = next(one for one in self.compiled.structure.responses if one.name == name)
            variance = 0.0 if one.scale == "unbounded" else sd**2 + self.spread.get(name, 0.0) ** 2
            found.append(math.sqrt(1 + (16 * math.sqrt(3) / (15 * math.pi)) ** 2 * variance))
        return np.array(found)

    def _known(self, name):
        benchmark = self.scores.chain[name].source == "benchmark"
        frame = self.scores.runs if benchmark else self.scores.answers
        column = frame["score" if benchmark else name]
        return np.repeat(column.dropna(), frame.loc[column.notna(), "count"].astype(int)).to_numpy()

    def inside(self, name, value):
        """Bounded scores at an edge are moved inside."""
        found = self.known[name]
        if self.scale[name] != "bounded" or not {0.0, 1.0} & set(found):
            return value
        return (value * (found.size - 1) + 0.5) / found.size

    def linear(self, response, group, item, state, previous, person):
        if item is None or self.single:
            eta = self.coefficient[f"{response}: mean of {group}"]
        else:
            basis = contrasts_to_zero(len(self.groups[response]))[self.groups[response].index(group)]
            eta = self.logit[response, item] + sum(
                weight * self.coefficient[f"{response}: arm contrast {place + 1}"] for place, weight in enumerate(basis)
            )
        if state == "previous":
            eta += self.coefficient[f"{response}: previous score"] * (previous - 0.5)
        return eta + self.coefficient.get(f"{response}: {state}", 0.0) + self.spread.get(response, 0.0) * person

    def chance(self, response, stage, eta, score):
        scale = "binary" if response == "used" else self.scale[stage]
        if scale == "binary":
            return special.expit(eta) if score == 1 else special.expit(-eta)
        if scale == "ordinal":
            cuts = np.concatenate([[0.0], np.cumsum(self.values[f"gaps:{response}"])])
            at_least = [1.0, *special.expit(eta - cuts), 0.0]
            level = self.levels[stage].index(score)
            return at_least[level] - at_least[level + 1]
        if scale == "bounded":
            mean, precision = special.expit(eta), self.values[f"precision:{response}"]
            return stats.beta.pdf(self.inside(stage, score), mean * precision, (1 - mean) * precision)
        return stats.norm.pdf(score, 0.5 + eta / 4, self.values[f"residual:{response}"])

    def truths(self, stage, score):
        """What the true score may have been, each with the chance of what was read of it."""
        if math.isnan(score):
            return [(level, 1.0) for level in self.levels[stage]]
        if stage not in self.scores.error_rates:
            return [(score, 1.0)]
        scorer = self.compiled.model.coords["scorer"].index(self.scores.error_rates[stage].scorer)
        hit, rejected = (self.values[name][scorer] for name in ("sensitivity", "specificity"))
        return [(0.0, 1 - rejected if score == 1 else rejected), (1.0, hit if score == 1 else 1 - hit)]

    def alone(self, response, stage, eta, score):
        """A score that nothing follows."""
        return sum(read * self.chance(response, stage, eta, true) for true, read in self.truths(stage, score))

    def segment(self, arm, item, names, given, person):
        """Sum over everything that the true scores could have been."""
        finite = [name for name in names if self.scale[name] in {"binary", "ordinal"}]
        cut = next((place for place, name in enumerate(names) if math.isnan(given[name]) and name not in finite), None)
        names = names[:cut]
        total = 0.0
        for filled in product(*(self.truths(one, given[one]) for one in names)):
            chance, previous, state = 1.0, None, "start"
            for name, (score, read) in zip(names, filled, strict=True):
                chance *= read * self.chance(name, name, self.linear(name, arm, item, state, previous, person), score)
                previous, state = self.inside(name, score), "previous"
            total += chance
        return total

    def answer(self, row, person):
        chain, design = self.scores.chain, self.scores.design
        item, arm, last = named(row["item"]), row["arm"], chain.last
        if arm == design.control:
            score = row[last]
            eta = self.linear(f"control_{last}", arm, item, "start", None, person)
            return 1.0 if math.isnan(score) else self.alone(f"control_{last}", last, eta, score)
        chance = 1.0
        if "used" in self.groups and arm in self.groups["used"]:
            chance *= self.chance("used", None, self.linear("used", arm, None, "start", None, person), row["used"])
        if not row["used"]:
            eta = self.linear(last, arm, item, "non_user", None, person)
            return chance if math.isnan(row[last]) else chance * self.alone(last, last, eta, row[last])
        for names in self.own_segments(arm):
            chance *= self.segment(arm, item, names, row, person)
        return chance

    def own_segments(self, arm):
        """Stages that some analysed arm takes from these rows, joined where one answer's scores follow each other."""
        design = self.scores.design
        names = [one for one in self.scores.chain.names if self.scores.chain[one].source != "benchmark"]
        used = [one for one in names if any(other.rows_of(one) == arm for other in design.arms)]
        if not self.scores.paired:
            return [[one] for one in used]
        parts = []
        for name in used:
            if parts and names.index(parts[-1][-1]) + 1 == names.index(name):
                parts[-1].append(name)
            else:
                parts.append([name])
        return parts

    def log_likelihood(self):
        total = 0.0
        for _, run in self.scores.runs.iterrows():
            first = self.scores.chain.first
            eta = self.linear(first, run["system"], named(run["item"]), "start", None, 0.0)
            total += run["count"] * math.log(self.alone(first, first, eta, run["score"]))
        rows = [row for _, row in self.scores.answers.iterrows()]
        if not self.spread:
            return total + sum(row["count"] * math.log(self.answer(row, 0.0)) for row in rows)
        people = {}
        for row in rows:
            people.setdefault(row["participant"], []).append(row)
        return total + sum(math.log(self.person(rows)) for rows in people.values())

    def person(self, rows):
        def joint(effect):
            return stats.norm.pdf(effect) * math.prod(self.answer(row, effect) ** row["count"] for row in rows)

        return integrate.quad(joint, -9, 9, epsabs=0, epsrel=1e-9, limit=200, points=[-3, 0, 3])[0]


def named(item):
    return None if pd.isna(item) else str(item)


# ---------------------------------------------------------------- trials


def two_arms(study, **options):
    """Two AI arms with systems of their own and a control arm; two answers each."""
    frame = study.simulated(people=options.pop("people", 5), arms=("a1", "a2", "control"), **options)
    return frame, study.benchmark(systems=("a1", "a2")), rg.Design("control", ["a1", "a2"])


def binary(study):
    return study.scored(*two_arms(study))


def missing(study):
    """Every pattern of blanks: at the start, in the middle, at the end, everywhere."""
    frame, runs, design = two_arms(study, people=8)
    rng = np.random.default_rng(5)
    for name in ("own_query", "conversation", "decision"):
        frame.loc[rng.random(len(frame)) < 0.4, name] = np.nan
    patterns = frame[frame["arm"] != "control"][["own_query", "conversation", "decision"]].isna()
    assert len(patterns.drop_duplicates()) == 8
    return study.scored(frame, runs, design)


def graded(study, scale, names, levels=None, *, blanks=0.0):
    """Scores between 0 and 1 at some stages."""
    frame, runs, design = two_arms(study)
    rng = np.random.default_rng(6)
    for name in names:
        drawn = rng.choice(levels, len(frame)) if levels else np.round(rng.random(len(frame)), 2)
        frame[name] = np.where(frame[name].isna(), np.nan, drawn)
    frame.loc[(frame["arm"] != "control") & (rng.random(len(frame)) < blanks), "conversation"] = np.nan
    return replace(study.scored(frame, runs, design), scales=dict.fromkeys(names, scale))


def ordinal(study):
    """An early ordinal stage is what the next one's slope is multiplied by, and blanks run over its levels."""
    return graded(study, "ordinal", ("conversation", "decision"), HALVES, blanks=0.3)


def bounded(study):
    """Two scores at the edges, and blanks that no sum can run over."""
    scores = graded(study, "bounded", ("conversation", "decision"), blanks=0.3)
    frame = scores.answers
    frame.loc[frame.index[:2], "decision"] = [0.0, 1.0]
    return replace(scores, _answers=frame)


def unbounded(study):
    return graded(study, "unbounded", ("own_query", "decision"))


def non_users(study):
    frame, runs, design = two_arms(study, people=8)
    idle = (frame["arm"] == "a1") & frame["participant"].str.fullmatch(r"a1-[0-3]")
    frame.loc[idle, ["own_query", "conversation"]] = np.nan
    frame.loc[idle & (frame["item"] == "s1"), "decision"] = np.nan
    return study.scored(frame.assign(used=(~idle).astype(int)), runs, design)


def itemless(study):
    """One arm's rows name no item, another's do in part."""
    frame, runs, design = two_arms(study)
    nowhere = (frame["arm"] == "a2") | frame["participant"].isin(["a1-0", "control-1"])
    return study.scored(frame.assign(item=frame["item"].where(~nowhere)), runs, design)


def no_items(study):
    frame, runs, design = two_arms(study)
    return study.scored(frame.drop(columns="item"), runs.drop(columns="item"), design)


def one_item(study):
    frame, runs, design = two_arms(study, items=("s1",))
    return study.scored(frame, runs[runs["item"] == "s1"], design)


def borrowed(study):
    """a2's conversations follow no score of their own, a1's do."""
    frame, runs, _ = two_arms(study)
    loan = rg.Borrowing("own_query", "a1", "the first message precedes any reply")
    return study.scored(frame, runs, rg.Design("control", ["a1", rg.Arm("a2", borrowed=(loan,))]))


def crossover(study):
    """Everybody answers in two arms."""
    frame, runs, _ = two_arms(study)
    frame["participant"] = frame["participant"].str.replace("control", "a1")
    return study.scored(frame, runs, rg.Design("control", ["a1", "a2"], crossover=True))


def counts(study):
    """Nobody is identified."""
    frame, runs, design = two_arms(study, people=20)
    return study.scored(frame.drop(columns="participant"), runs, design)


def margins(study):
    """Counts of each stage alone: nothing is joined."""
    frame, runs, design = two_arms(study, people=20)
    scores = study.scored(frame.drop(columns="participant"), runs, design)
    frame = scores.answers
    names = ["own_query", "conversation", "decision"]
    alone = [frame.assign(**{other: np.nan for other in names if other != name}) for name in names]
    kept = pd.concat(alone, ignore_index=True).dropna(subset=names, how="all").reset_index(drop=True)
    return replace(scores, paired=False, _answers=kept)


def no_benchmark(study):
    frame, _, design = two_arms(study)
    stages = [rg.Stage(name) for name in ("own_query", "conversation", "decision")]
    return study.scored(frame, None, rg.Design(None, design.ai), stages=stages)


def misread(scores, *stages):
    """Scores of some stages come from scorers that err; the first two stages share one."""
    shared, other = ErrorRates("distance", 45, 5, 80, 20), ErrorRates("judge", 30, 3, 40, 2)
    return replace(scores, error_rates={name: other if name == "decision" else shared for name in stages})


def misread_all(study):
    """Every stage, with blanks, control arm and benchmark."""
    return misread(missing(study), "benchmark", "own_query", "conversation", "decision")


def misread_within(study):
    """One stage in the middle of the chain."""
    return misread(binary(study), "conversation")


def misread_non_users(study):
    return misread(non_users(study), "own_query", "decision")


def misread_counts(study):
    return misread(counts(study), "benchmark", "conversation", "decision")


def misread_margins(study):
    return misread(margins(study), "own_query", "conversation")


def misread_ordinal(study):
    """A stage that is misread before ordered scores: only the way of summed logarithms."""
    return misread(ordinal(study), "own_query")


def misread_borrowed(study):
    return misread(borrowed(study), "own_query", "decision")


TRIALS = [
    binary,
    missing,
    ordinal,
    bounded,
    unbounded,
    non_users,
    itemless,
    no_items,
    one_item,
    borrowed,
    crossover,
    counts,
    margins,
    no_benchmark,
    misread_all,
    misread_within,
    misread_non_users,
    misread_counts,
    misread_margins,
    misread_ordinal,
    misread_borrowed,
]
MULTIPLIED = [binary, missing, non_users, borrowed, counts, margins, no_benchmark, misread_all, misread_counts]


# ---------------------------------------------------------------- comparisons


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("trial", TRIALS)
def test_the_likelihood_is_that_of_the_rows(study, trial):
    scores = trial(study)
    compiled = Compiled(scores)
    values = compiled.random(1)
    assert compiled.at(values) == pytest.approx(Plain(scores, compiled, values).log_likelihood(), abs=1e-7)


@pytest.mark.usefixtures("exact")
def test_without_participants_each_answer_is_from_another_person(study):
    scores = binary(study)
    compiled = Compiled(scores, Variant(participants=False))
    values = compiled.random(3)
    assert "participant_sd" not in values
    assert compiled.at(values) == pytest.approx(Plain(scores, compiled, values).log_likelihood(), abs=1e-8)


def test_a_second_trial_of_the_same_shape_is_fitted_by_setting_its_data(study):
    first, second = (study.scored(*two_arms(study, people=40, items=("s1", "s2"), seed=seed)) for seed in (0, 1))
    compiled, other = Compiled(first), Compiled(second)
    values = other.random(4)
    before = compiled.at(values)
    with compiled.model:
        pm.set_data(hierarchical.data_of(other.structure, Priors()))
    assert compiled.at(values) == pytest.approx(other.at(values), abs=1e-9)
    assert compiled.at(values) != pytest.approx(before, abs=1.0)


@pytest.mark.usefixtures("exact")
def test_alike_participants_count_as_often_as_they_occur(study):
    """Three copies of everybody, benchmark included: three times the log likelihood."""
    frame, runs, design = two_arms(study)
    again = [frame.assign(participant=frame["participant"] + f"-{copy}") for copy in range(3)]
    once, thrice = (
        Compiled(study.scored(one, more, design))
        for one, more in ((frame, runs), (pd.concat(again), pd.concat([runs] * 3)))
    )
    values = once.random(5)
    assert thrice.structure.people.shape == once.structure.people.shape
    assert thrice.at(values) == pytest.approx(3 * once.at(values), rel=1e-12)


@pytest.mark.parametrize("trial", MULTIPLIED)
def test_multiplied_probabilities_and_summed_logarithms_are_one_likelihood(study, trial, monkeypatch):
    """In value and in every slope; the second is the way of participants with many scores."""
    structure, found = model_data(trial(study)).structure, {}
    for few in (answers.FEW, 0):
        monkeypatch.setattr(answers, "FEW", few)
        model = build(structure, Priors())
        slopes = model.logp_dlogp_function(ravel_inputs=True, mode="FAST_COMPILE")
        slopes.set_extra_values({})
        start = np.concatenate([np.ravel(one) for one in model.initial_point().values()])
        at = start + np.random.default_rng(9).normal(size=start.size)
        found[few] = np.concatenate([np.ravel(one) for one in slopes._pytensor_function(at)])
        assert answers._multiplies(structure) == (few > 0)
    np.testing.assert_allclose(found[0], found[16], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("trial", [binary, counts])
def test_a_likelihood_too_small_for_a_number_is_a_floor_and_not_a_hole(study, trial):
    compiled = Compiled(trial(study))
    values = {name: one * (3e3 if name == "coefficient" else 1.0) for name, one in compiled.random(1).items()}
    assert -np.inf < compiled.at(values) < -500


# ---------------------------------------------------------------- quadrature


@pytest.mark.parametrize(("each", "points"), [(2, 15), (10, 27)])
def test_the_grid_is_enough_for_few_and_for_many_answers_each(each, points, monkeypatch):
    plan = rg.SimulationPlan(participants=100, answers=each, participant_correlation=0.6)
    scores = rg.simulate_trial(plan, seed=1).scores()
    compiled = Compiled(scores)
    assert compiled.structure.grid[0].size == points
    monkeypatch.setattr(Structure, "grid", property(fine))
    exact = Compiled(scores)
    values = {name: value if "item_" in name else 0 * value for name, value in compiled.random(6).items()}
    values["item_standard"] *= 0
    for spread in (0.3, 1.0, 2.0):
        chosen = values | {"participant_sd": np.full(values["participant_sd"].size, spread)}
        assert compiled.at(chosen) == pytest.approx(exact.at(chosen), abs=200 * 2e-4)


def test_the_grid_integrates_a_standard_normal():
    points, masses = model_data(rg.simulate_trial(rg.SimulationPlan(participants=5), seed=1).scores()).structure.grid
    assert masses.sum() == pytest.approx(1.0)
    assert [masses @ points**power for power in (1, 2, 4)] == pytest.approx([0.0, 1.0, 3.0], abs=5e-3)


# ---------------------------------------------------------------- the sampler's units


def test_item_effects_come_back_from_the_units_of_the_data_with_their_volume():
    """The log determinant by finite differences of the way back."""
    rng = np.random.default_rng(7)
    items, width = 3, 2
    chol = np.array([[0.9, 0.0], [0.4, 0.6]])
    given = [rng.normal(size=width), chol, rng.normal(size=(items, width)), rng.uniform(0, 9, (items, width))]
    transform = units._InUnitsOfTheData()
    value = pt.matrix()
    inputs = [pt.as_tensor_variable(one) for one in given]
    forward = pytensor.function([value], transform.forward(value, *inputs), mode="FAST_COMPILE")
    backward = pytensor.function([value], transform.backward(value, *inputs), mode="FAST_COMPILE")
    volume = pytensor.function(
        [value], transform.log_jac_det(value, *inputs), mode="FAST_COMPILE", on_unused_input="ignore"
    )
    distance = rng.normal(size=(items, width))
    np.testing.assert_allclose(forward(backward(distance)), distance, atol=1e-12)
    steps = np.eye(items * width).reshape(-1, items, width) * 1e-5
    slopes = [(backward(distance + step) - backward(distance - step)).ravel() / 2e-5 for step in steps]
    assert np.linalg.slogdet(np.array(slopes))[1] == pytest.approx(float(volume(distance)), abs=1e-7)


def test_coefficients_come_back_from_the_units_of_the_first_guess_with_their_volume():
    rng = np.random.default_rng(8)
    guess, root = rng.normal(size=3), np.tril(rng.uniform(0.2, 1.5, (3, 3)))
    transform = units._InUnitsOfTheGuess()
    value, inputs = pt.vector(), [pt.as_tensor_variable(one) for one in (np.ones(3), guess, root)]
    forward, backward, volume = (
        pytensor.function([value], way(value, *inputs), mode="FAST_COMPILE", on_unused_input="ignore")
        for way in (transform.forward, transform.backward, transform.log_jac_det)
    )
    at = rng.normal(size=3)
    np.testing.assert_allclose(backward(at), guess + root @ at, atol=1e-12)
    np.testing.assert_allclose(forward(backward(at)), at, atol=1e-12)
    assert np.linalg.slogdet(root)[1] == pytest.approx(float(volume(at)), abs=1e-12)


def test_contrasts_between_arms_are_orthonormal_and_sum_to_zero():
    basis = contrasts_to_zero(4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-12)


def test_chains_start_where_the_data_put_items_and_coefficients(study):
    """Half a unit of log density away in each direction, however many rows there are."""
    frame = study.simulated(people=60, seed=4).drop(columns="participant")
    scores = study.scored(frame.assign(count=500), study.benchmark())
    model = build(model_data(scores).structure, Priors())
    start = model.initial_point()
    density = model.compile_logp(mode="FAST_COMPILE")
    names = [name for name in start if name.endswith("_unit__")]
    assert names == ["coefficient_unit__", "stage_logit_unit__", "item_standard_unit__"]
    assert all(np.abs(start[name]).max() < 1e-9 for name in names)
    for name in ("coefficient_unit__", "item_standard_unit__"):
        for place in range(0, start[name].size, 3):
            ends = []
            for step in (-1, 1):
                moved = {key: value.copy() for key, value in start.items()}
                moved[name].flat[place] += step
                ends.append(float(density(moved) - density(start)))
            assert np.mean(ends) == pytest.approx(-0.5, abs=0.1)
