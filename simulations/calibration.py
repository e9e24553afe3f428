"""Simulation-based calibration of the hierarchical model: `make simulations` writes calibration_ranks_*.csv.

Parameters are drawn from the priors, a small trial from the parameters, and the trial is fitted: the rank of a true
value among 99 nearly independent draws of its posterior is then uniform, whatever the quantity, if generator, model and
sampler agree (Talts et al. 2018, arXiv:1804.06788). `simuk` runs it; the model is compiled once for all trials.

The generator below was written from the model's description and shares no code with the model: a participant has one
standard normal effect, which each stage multiplies by its own standard deviation; an item has a logit at each stage,
correlated between stages; the score of a stage enters the next one's logit as a slope times its distance from one half;
effects of arms sum to zero; a scorer that errs reads conversations, and what follows goes by the true score. It also
gives the log likelihood of the data, by its own quadrature, as a quantity to rank:
ranks of parameters alone are uniform even for draws that never saw the data (Modrak et al. 2023,
doi 10.1214/23-BA1404).

Every trial has its own spawned generator. Rows are appended to results/simulations as they come, and a run that was
stopped goes on where it was. No trial is dropped. Run with `python -P`, as bayesian_coverage.py says.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import simuk
import xarray as xr
from scipy import special, stats

import rctgap as rg
from rctgap.error_rates import ErrorRates
from rctgap.estimands import MomentKey, contrasts
from rctgap.model_data import ModelData, model_data
from rctgap.model_moments import moment_draws
from rctgap.models.design import coefficients, contrasts_to_zero
from rctgap.models.hierarchical import Variant
from rctgap.models.parameters import Parameters, parameters_of, prior_draws
from rctgap.models.priors import Priors
from rctgap.models.sampling import OneModel
from rctgap.stages import DEFAULT_CHAIN

type Array = npt.NDArray[np.float64]

HERE = Path(__file__).parent
ROWS = HERE.parent / "results" / "simulations"
SEED = 20261124
TRIALS = 200
TUNE, DRAWS, THIN = 300, 297, 3
RANKS = DRAWS // THIN + 1
ITEMS, RUNS, ANSWERS, PARTICIPANTS = 6, 5, 2, 60
CONTROL = "control"
ALONE, TRIAL_STAGES, LAST = "benchmark", ("own_query", "conversation", "decision"), "decision"
PLACES = (ALONE, *TRIAL_STAGES, f"control_{LAST}")
WANTED = ("own_query", "conversation", "decision", "task", "gap", "predicted_effect", "realized_effect")
PAIRS = ((0, 1), (1, 2), (2, 3), (3, 4))
READ = "conversation"
COMMITTED = Priors(item_sd=1.5)  # what the committed ranks were drawn under
LABELLED = ErrorRates("a scorer that errs", hits=18, misses=2, correct_rejections=16, false_alarms=4)


@dataclass(frozen=True)
class Study:
    """A variant of the model, and the trials that it is calibrated on.

    Attributes
    ----------
    arms : tuple of str
    tied : bool
        Whether participants have effects; else all answers count as independent.
    correlated : bool
        Whether item effects are correlated between stages.
    levels : tuple of float
        Scores that a decision can have.
    fractional : bool
        Whether own_query scores are fractions.
    misread : bool
        Whether conversations are read by a scorer that errs, with labelled cases.
    priors : Priors
    """

    arms: tuple[str, ...] = ("a1",)
    tied: bool = True
    correlated: bool = True
    levels: tuple[float, ...] = (0.0, 1.0)
    fractional: bool = False
    misread: bool = False
    priors: Priors = COMMITTED

    @property
    def labels(self) -> tuple[str, ...]:
        """Every arm, the control arm last."""
        return (*self.arms, CONTROL)


# Fractions under the default priors often lie closer to 0 or 1 than a double can say, so theirs are narrower.
NARROW = Priors(stage_mean_sd=1.0, item_sd=0.7, carry_sd=1.0, precision_centre=8.0, precision_log_sd=0.4)
STUDIES: Mapping[str, Study] = {
    "participants": Study(),
    "counts": Study(tied=False),
    "uncorrelated": Study(tied=False, correlated=False),
    "two_arms": Study(arms=("a1", "a2")),
    "ordinal": Study(tied=False, levels=(0.0, 0.5, 1.0)),
    "fractional": Study(tied=False, fractional=True, priors=NARROW),
    "misread": Study(tied=False, misread=True),
}


@dataclass(frozen=True)
class Plan:
    """Who answers what: arm, participant and item of each answer; the same in every trial of a study."""

    arm: npt.NDArray[np.intp]
    person: npt.NDArray[np.intp]
    item: npt.NDArray[np.intp]

    @classmethod
    def of(cls, study: Study) -> "Plan":
        """Two items each, all items about as often in every arm."""
        each = PARTICIPANTS // len(study.labels)
        number = np.arange(PARTICIPANTS) % each
        first = number % ITEMS
        second = (first + 1 + number // ITEMS % (ITEMS - 1)) % ITEMS
        person = np.repeat(np.arange(PARTICIPANTS), ANSWERS)
        return cls(person // each, person, np.stack([first, second], axis=1).ravel())


@dataclass(frozen=True)
class Truth:
    """n sets of parameters, as the description of the model names them.

    Attributes
    ----------
    logit : ndarray, shape (n, S, 5)
        Of each item at the benchmark, the three stages of an answer, and decisions of the control arm.
    population : ndarray, shape (n, 5)
    chol : ndarray, shape (n, 5, 5)
    arm : ndarray, shape (n, arms, 4)
        Effects at the benchmark and at the three stages.
    carry : ndarray, shape (n, 2)
        Slopes of own_query in conversation, and of conversation in decision.
    person : ndarray, shape (n, 4)
        Standard deviations of the participant effect at the stages and in the control arm.
    cuts : ndarray, shape (n, 2, L - 1)
        Thresholds of decisions, and of those in the control arm.
    precision : ndarray, shape (n,)
    rates : ndarray, shape (n, 2)
        Sensitivity and specificity of the scorer that errs.
    """

    logit: Array
    population: Array
    chol: Array
    arm: Array
    carry: Array
    person: Array
    cuts: Array
    precision: Array
    rates: Array

    @classmethod
    def of(cls, study: Study, names: Sequence[str], draws: Parameters) -> "Truth":
        """The package's parameters, found by the names of its coefficients."""
        size, arms = draws.size, len(study.arms)
        named = dict(zip(names, draws.coefficient.T, strict=True))
        effects = np.zeros((size, arms, 4))
        for place, stage in enumerate(PLACES[:4]):
            for contrast in range(arms - 1):
                row = contrasts_to_zero(arms)[:, contrast]
                effects[:, :, place] += named[f"{stage}: arm contrast {contrast + 1}"][:, None] * row
        carry = np.stack([named["conversation: previous score"], named["decision: previous score"]], axis=1)
        zero = np.zeros((size, 1))
        gaps = [draws.shape.get(name, np.zeros((size, 0))) for name in PLACES[3:]]
        cuts = np.stack([np.concatenate([zero, np.cumsum(one, axis=1)], axis=1) for one in gaps], axis=1)
        return cls(
            draws.items,
            draws.population,
            draws.chol,
            effects,
            carry,
            draws.spread if study.tied else np.zeros((size, 4)),
            cuts,
            draws.shape.get("own_query", np.ones(size)),
            np.concatenate([draws.sensitivity, draws.specificity], axis=1) if study.misread else np.ones((size, 2)),
        )


@dataclass(frozen=True)
class Answered:
    """A trial: right benchmark runs by item and arm, scores of each answer by stage (NaN where a stage is not met)."""

    right: Array
    scores: Array


def generate(study: Study, plan: Plan, truth: Truth, rng: np.random.Generator) -> Answered:
    """One trial from the first set of parameters, with true scores."""
    right = np.stack(
        [
            rng.binomial(RUNS, special.expit(truth.logit[0, :, 0] + truth.arm[0, arm, 0]))
            for arm in range(len(study.arms))
        ],
        axis=1,
    )
    effect = rng.standard_normal(plan.person.max() + 1)[plan.person]
    scores = np.full((plan.item.size, 3), np.nan)
    control = plan.arm == len(study.arms)
    treated = ~control
    arm, item = plan.arm[treated], plan.item[treated]
    before = np.full(arm.size, 0.5)
    for place in range(3):
        eta = truth.logit[0, item, place + 1] + truth.arm[0, arm, place + 1] + truth.person[0, place] * effect[treated]
        if place:
            eta = eta + truth.carry[0, place - 1] * (before - 0.5)
        before = _score(study, truth, place, eta, rng)
        scores[treated, place] = before
    eta = truth.logit[0, plan.item[control], 4] + truth.person[0, 3] * effect[control]
    scores[control, 2] = _score(study, truth, 3, eta, rng)
    return Answered(right.astype(np.float64), scores)


def read(study: Study, truth: Truth, trial: Answered, rng: np.random.Generator) -> Answered:
    """The trial as its scorer sees it."""
    if not study.misread:
        return trial
    scores = trial.scores.copy()
    true = scores[:, 1]
    sensitivity, specificity = truth.rates[0]
    said = rng.random(true.size) < np.where(true == 1, sensitivity, 1 - specificity)
    scores[:, 1] = np.where(np.isnan(true), np.nan, said)
    return Answered(trial.right, scores)


def _score(study: Study, truth: Truth, place: int, eta: Array, rng: np.random.Generator) -> Array:
    """Scores at a logit; place 0 to 2 are the stages, 3 is the control arm."""
    if study.fractional and place == 0:
        mean, precision = special.expit(eta), truth.precision[0]
        return np.clip(rng.beta(mean * precision, (1 - mean) * precision), 1e-12, 1 - 1e-12)
    if place < 2:  # noqa: PLR2004 - the decision and its control
        return (rng.random(eta.size) < special.expit(eta)).astype(np.float64)
    cuts = truth.cuts[0, place - 2]
    reached = rng.random(eta.size)[:, None] < special.expit(eta[:, None] - cuts)
    return np.asarray(study.levels)[reached.sum(axis=1)]


def log_likelihood(study: Study, plan: Plan, truth: Truth, data: Answered) -> Array:
    """Log likelihood of a trial at each set of parameters, participants integrated over 31 nodes, shape (n,)."""
    rate = truth.logit[:, :, None, 0] + truth.arm[:, None, :, 0]
    total = (data.right * special.log_expit(rate) + (RUNS - data.right) * special.log_expit(-rate)).sum(axis=(1, 2))
    nodes, masses = np.polynomial.hermite_e.hermegauss(31 if study.tied else 1)
    treated, control = plan.arm < len(study.arms), plan.arm == len(study.arms)
    told = np.zeros((truth.carry.shape[0], plan.item.size, nodes.size))

    def step(place: int, rows: Array, score: Array, before: Array | None = None) -> Array:
        """Log chance of the scores of a stage after those of the stage before."""
        eta = truth.logit[:, plan.item[rows], place + 1]
        if place < 3:  # noqa: PLR2004 - the control arm
            eta = eta + truth.arm[:, plan.arm[rows], place + 1]
        if before is not None:
            eta = eta + truth.carry[:, [place - 1]] * (before - 0.5)
        across = eta[:, :, None] + truth.person[:, place, None, None] * nodes
        return _log_chance(study, truth, place, across, score)

    own, seen, decided = data.scores[treated].T
    ways = [
        step(1, treated, true, own) + step(2, treated, decided, true) + chance[:, :, None]
        for true, chance in _true_scores(study, truth, seen)
    ]
    told[:, treated] = step(0, treated, own) + special.logsumexp(ways, axis=0)
    told[:, control] = step(3, control, data.scores[control, 2])
    by_person = told.reshape(told.shape[0], -1, ANSWERS if study.tied else 1, nodes.size).sum(axis=2)
    return total + special.logsumexp(by_person + np.log(masses / masses.sum()), axis=2).sum(axis=1)


def _true_scores(study: Study, truth: Truth, seen: Array) -> list[tuple[Array, Array]]:
    """What the true scores may be, and the log chance of what was seen of each, shape (n, answers)."""
    if not study.misread:
        return [(seen, np.zeros((truth.rates.shape[0], seen.size)))]
    sensitivity, specificity = truth.rates.T[:, :, None]
    right = np.where(seen == 1, sensitivity, 1 - sensitivity)
    wrong = np.where(seen == 1, 1 - specificity, specificity)
    return [(np.full(seen.size, true), np.log(chance)) for true, chance in ((1.0, right), (0.0, wrong))]


def _log_chance(study: Study, truth: Truth, place: int, eta: Array, score: Array) -> Array:
    if study.fractional and place == 0:
        mean, precision = special.expit(eta), truth.precision[:, None, None]
        return stats.beta.logpdf(score[:, None], mean * precision, (1 - mean) * precision)
    if place < 2:  # noqa: PLR2004
        return np.where(score[:, None] == 1, special.log_expit(eta), special.log_expit(-eta))
    cuts = truth.cuts[:, place - 2]
    level = np.searchsorted(np.asarray(study.levels), score)
    beyond = special.expit(eta[..., None] - cuts[:, None, None, :])
    edges = np.concatenate([np.ones((*eta.shape, 1)), beyond, np.zeros((*eta.shape, 1))], axis=-1)
    chance = np.take_along_axis(-np.diff(edges, axis=-1), level[None, :, None, None], axis=-1)[..., 0]
    return np.log(np.clip(chance, 1e-300, None))


def stage_scores(study: Study, plan: Plan, data: Answered) -> rg.StageScores:
    """A generated trial as the package takes it."""
    labels = study.labels
    frame = pd.DataFrame(
        {
            "arm": [labels[one] for one in plan.arm],
            "participant": [f"p{one}" for one in plan.person],
            "item": [f"s{one}" for one in plan.item],
            **{stage: data.scores[:, place] for place, stage in enumerate(TRIAL_STAGES)},
            "stratum": "",
            "used": True,
            "marginal": "",
            "count": 1.0,
        }
    )
    told = [
        (label, f"s{item}", score, float(count))
        for arm, label in enumerate(study.arms)
        for item in range(ITEMS)
        for score, count in ((1.0, data.right[item, arm]), (0.0, RUNS - data.right[item, arm]))
        if count
    ]
    return rg.StageScores(
        DEFAULT_CHAIN,
        rg.Design(CONTROL, list(study.arms)),
        {(arm, stage): (arm,) for arm in study.arms for stage in DEFAULT_CHAIN.names},
        paired=True,
        participants=True,
        attrition=(),
        scales={LAST: "ordinal", "own_query": "bounded"},
        error_rates={READ: LABELLED} if study.misread else {},
        _answers=frame,
        _runs=pd.DataFrame(told, columns=["system", "item", "score", "count"]),
    )


def prepared(study: Study, scores: rg.StageScores) -> ModelData:
    """The data of the model, its decisions on every level that they can have, seen or not."""
    data = model_data(scores)
    held = data.structure if study.tied else data.structure.untied()
    if len(study.levels) == 2:  # noqa: PLR2004 - binary decisions always have both
        return replace(data, structure=held)
    final = [place for place, one in enumerate(held.responses) if one.name in PLACES[3:]]
    responses = tuple(
        replace(one, scale="ordinal", levels=study.levels) if place in final else one
        for place, one in enumerate(held.responses)
    )
    level = np.where(
        np.isin(held.terms.response, final), np.searchsorted(study.levels, held.terms.score), held.terms.level
    )
    return replace(data, structure=replace(held, responses=responses, terms=replace(held.terms, level=level)))


@dataclass(slots=True)
class Fitted:
    """What a study fits its trials with."""

    study: Study
    plan: Plan = field(init=False)
    names: tuple[str, ...] = ()
    model: OneModel | None = None

    def __post_init__(self) -> None:
        self.plan = Plan.of(self.study)

    def compiled(self, data: ModelData) -> OneModel:
        """The model, compiled when it is first asked for."""
        if self.model is None:
            self.model = OneModel(data.structure, self.study.priors, Variant(correlated=self.study.correlated))
        return self.model

    def truth(self, data: ModelData, draws: Parameters) -> Truth:
        """Parameters by their description."""
        names = [one.name for one in coefficients(data.structure, self.study.priors)]
        return Truth.of(self.study, names, draws)

    def template(self) -> ModelData:
        """A trial of the study's shape, whatever its scores."""
        rng = np.random.default_rng(0)
        right = rng.integers(0, RUNS + 1, (ITEMS, len(self.study.arms))).astype(np.float64)
        scores = rng.choice(self.study.levels, (self.plan.item.size, 3))
        scores[:, :2] = rng.random((self.plan.item.size, 2)) if self.study.fractional else scores[:, :2] > 0
        scores[:, 1] = scores[:, 1] > 0.5  # noqa: PLR2004
        scores[self.plan.arm == len(self.study.arms), :2] = np.nan
        return prepared(self.study, stage_scores(self.study, self.plan, Answered(right, scores)))

    def drawn(self, seed: np.random.SeedSequence) -> tuple[Parameters, Answered, int]:
        """True parameters from the priors, a trial from them, and a seed for its fit."""
        rng = np.random.default_rng(seed)
        data = self.template()
        parameters = prior_draws(data.structure, self.study.priors, 1, rng)
        if not self.study.correlated:
            parameters = _without_correlation(parameters)
        truth = self.truth(data, parameters)
        trial = read(self.study, truth, generate(self.study, self.plan, truth, rng), rng)
        return parameters, trial, int(rng.integers(2**31))

    def quantities(self, trial: Answered, draws: Parameters) -> dict[str, Array]:
        """Everything that is ranked, each of shape (n,)."""
        scores = stage_scores(self.study, self.plan, trial)
        data = prepared(self.study, scores)
        truth = self.truth(data, draws)
        found = {"log likelihood": log_likelihood(self.study, self.plan, truth, trial)} | self._parameters(truth)
        for items in ("fixed", "random"):
            plain = rg.estimate_frequentist(scores, rg.Estimand(items=items, item_weights="uniform"))
            table, _ = moment_draws(data, draws, plain, SEED)
            for name, row in reported(self.study).items():
                found[f"{name}, items {items}"] = sum(weight * table[:, plain.keys[key]] for key, weight in row.items())
        return found

    def _parameters(self, truth: Truth) -> dict[str, Array]:
        covariance = truth.chol @ np.swapaxes(truth.chol, 1, 2)
        sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        found = {f"population: {name}": truth.population[:, place] for place, name in enumerate(PLACES)}
        found |= {f"item sd: {name}": sd[:, place] for place, name in enumerate(PLACES)}
        found |= {f"first item: {name}": truth.logit[:, 0, place] for place, name in enumerate(PLACES)}
        if self.study.correlated:
            for one, two in PAIRS:
                found[f"correlation: {PLACES[one]}, {PLACES[two]}"] = covariance[:, one, two] / sd[:, one] / sd[:, two]
        found |= {f"carry: {name}": truth.carry[:, place] for place, name in enumerate(TRIAL_STAGES[1:])}
        if self.study.tied:
            found |= {f"participant sd: {name}": truth.person[:, place] for place, name in enumerate(PLACES[1:])}
        if len(self.study.arms) > 1:
            found |= {f"arm effect: {name}": truth.arm[:, 0, place] for place, name in enumerate(PLACES[:4])}
        if len(self.study.levels) > 2:  # noqa: PLR2004
            found |= {f"threshold: {name}": truth.cuts[:, place, -1] for place, name in enumerate(PLACES[3:])}
        if self.study.fractional:
            found["precision: own_query"] = truth.precision
        if self.study.misread:
            found |= {"sensitivity": truth.rates[:, 0], "specificity": truth.rates[:, 1]}
        return found


def _without_correlation(draws: Parameters) -> Parameters:
    """The same standardised item effects with independent stages."""
    inverse = np.linalg.inv(draws.chol)
    standard = (draws.items - draws.population[:, None, :]) @ np.swapaxes(inverse, 1, 2)
    sd = np.sqrt((draws.chol**2).sum(axis=2))
    return replace(
        draws, chol=sd[:, :, None] * np.eye(sd.shape[1]), items=draws.population[:, None, :] + standard * sd[:, None, :]
    )


def reported(study: Study) -> dict[str, Mapping[MomentKey, float]]:
    """Stage means of the first arm and of the control arm, and the quantities of the first arm and of all."""
    found: dict[str, Mapping[MomentKey, float]] = {
        f"mean of {stage}": {MomentKey(study.arms[0], stage): 1.0} for stage in DEFAULT_CHAIN.names
    }
    found["control mean"] = {MomentKey(CONTROL, LAST): 1.0}
    sets = {"": {study.arms[0]: 1.0}}
    if len(study.arms) > 1:
        sets["all arms: "] = dict.fromkeys(study.arms, 1 / len(study.arms))
    for label, weights in sets.items():
        for one in contrasts(DEFAULT_CHAIN, study.arms[0], weights, CONTROL):
            if one.quantity in WANTED:
                found[f"{label}{one.quantity}"] = one.coefficients
    return found


class Calibration(simuk.SBC):
    """simuk's loop and ranks, with the model compiled once and trials from the generator above."""

    def __init__(self, fitted: Fitted, trials: Sequence[int], path: Path) -> None:
        super().__init__(
            fitted.compiled(fitted.template()).model,
            num_simulations=len(trials),
            seed=SEED,
            simulator=generate,
            keep_fits=False,
            progress_bar=False,
        )
        self.fitted, self.trials, self.path = fitted, trials, path
        self.told: dict[str, Any] = {}
        self.names: list[str] = []

    def _get_prior_predictive_samples(self) -> tuple[xr.Dataset, xr.Dataset]:
        seeds = np.random.SeedSequence(SEED).spawn(max(self.trials) + 1)
        size = len(self.trials)
        trials = np.empty(size, dtype=np.intp)  # simuk takes them in this order of its own
        trials[np.random.default_rng(self.seed).choice(size, size=size, replace=False)] = self.trials
        drawn = [self.fitted.drawn(seeds[one]) for one in trials]
        true = [self.fitted.quantities(trial, parameters) for parameters, trial, _ in drawn]
        self.names = list(true[0])
        values = np.array([[one[name][0] for name in self.names] for one in true])
        predictive = {
            "trial": ("sample", trials),
            "seed": ("sample", np.array([seed for *_, seed in drawn])),
            "right": (("sample", "place", "arm"), np.stack([trial.right for _, trial, _ in drawn])),
            "scores": (("sample", "answer", "stage"), np.stack([trial.scores for _, trial, _ in drawn])),
        }
        return _ranked(values), xr.Dataset(predictive)

    def _get_posterior_samples(self, replicated_data: Mapping[str, Any]) -> xr.Dataset:
        trial = Answered(replicated_data["right"], replicated_data["scores"])
        data = prepared(self.fitted.study, stage_scores(self.fitted.study, self.fitted.plan, trial))
        chains = self.fitted.compiled(data).sample(
            data.structure, draws=DRAWS, tune=TUNE, seed=int(replicated_data["seed"])
        )
        flat = {name: one.reshape(-1, *one.shape[2:]) for name, one in chains.draws.items()}
        draws = parameters_of(data.structure, flat, DRAWS).rows(slice(0, None, THIN))
        self.told = {"trial": int(replicated_data["trial"]), "divergent": int(chains.stats["diverging"].sum())}
        return _ranked(np.stack(list(self.fitted.quantities(trial, draws).values()), axis=1))

    def _compute_single_rank(self, simulation_idx: int, posterior: xr.Dataset, transform: Any) -> None:
        super()._compute_single_rank(simulation_idx, posterior, transform)
        row = self.told | dict(zip(self.names, map(int, self.simulations["value"][-1]), strict=True))
        pd.DataFrame([row]).to_csv(self.path, mode="a", header=not self.path.exists(), index=False)


def _ranked(values: Array) -> xr.Dataset:
    """All quantities as one variable, which simuk ranks at once."""
    return xr.Dataset({"value": (("sample", "quantity"), values)})


def run(name: str, trials: Sequence[int], folder: Path) -> pd.DataFrame:
    """Ranks of a study's trials; those already in its file are not fitted again."""
    path = folder / f"calibration_ranks_{name}.csv"
    done = set(pd.read_csv(path)["trial"]) if path.exists() else set()
    left = [one for one in trials if one not in done]
    if left:
        study = Calibration(Fitted(STUDIES[name]), left, path)
        study.run_simulations()
        if study._simulations_complete < len(left):  # noqa: SLF001 - simuk logs an error and returns
            raise RuntimeError(f"{name}: only {study._simulations_complete} of {len(left)} trials were fitted")  # noqa: SLF001
    found = pd.read_csv(path)
    return found[found["trial"].isin(trials)].sort_values("trial").reset_index(drop=True)


def _whole(name: str, trials: int, folder: Path) -> pd.DataFrame:
    found = run(name, range(trials), folder)
    print(name, flush=True)
    return found


def main() -> None:
    """Rank every study's trials and write its table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", nargs="+", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of the rows as they come")
    asked = parser.parse_args()
    asked.rows.mkdir(parents=True, exist_ok=True)
    one = partial(_whole, trials=asked.trials, folder=asked.rows)
    if len(asked.studies) == 1:
        tables = [one(asked.studies[0])]
    else:
        with ProcessPoolExecutor(asked.workers) as executor:
            tables = list(executor.map(one, asked.studies))
    for name, table in zip(asked.studies, tables, strict=True):
        table.to_csv(HERE / f"calibration_ranks_{name}.csv", index=False)


if __name__ == "__main__":
    main()
