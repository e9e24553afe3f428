"""Trials with known components: any stages and arms, item and participant effects, skewed items, missing scores.

Every mean is exact by construction. An item's mean at a stage is drawn from a population whose mean is the stage's;
an answer's scores are thresholds of latent normal variables (a Gaussian copula), so participants and neighbouring
stages can be correlated as much as wanted without moving a mean.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NoReturn, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize, special, stats

from rctgap.design import Design
from rctgap.documents import nearest
from rctgap.errors import AnalysisError, Fault
from rctgap.estimands import ALL_ARMS, Estimand, MomentKey, contrasts
from rctgap.scores import StageScores
from rctgap.stages import DEFAULT_CHAIN, Chain

__all__ = ["SimulatedTrial", "SimulationPlan", "simulate_trial"]

type Array = npt.NDArray[np.float64]
type Population = Literal["logit-normal", "bad-items"]

CONTROL = "control"
DEFAULT_MEANS: Mapping[str, float] = {"benchmark": 0.9, "own_query": 0.8, "conversation": 0.65, "decision": 0.4}
_NODES, _MASSES = np.polynomial.hermite_e.hermegauss(61)


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What a simulated trial looks like.

    Attributes
    ----------
    chain : Chain
        Stages in order; the control arm has the last alone.
    means : mapping of stage to mean
        Means over the population of items, in every AI arm.
    shifts : mapping of arm to mapping of stage to shift
        What an arm adds to these means.
    control_mean : float, optional
        Mean of the control arm's last stage; None for no control arm.
    arms : sequence of str
        AI arms; each is its own system.
    participants : int
        Participants per arm.
    answers : int
        Answers of each participant, on different items.
    items, runs : int
        Items, and benchmark runs on each item by each system.
    item_sd : float
        Standard deviation of item effects on the logit scale.
    item_correlation : float
        Correlation of an item's effects between stages and arms.
    population : {"logit-normal", "bad-items"}
        How benchmark item means spread. Under `bad-items` each item is bad with chance `bad_share`,
        and the bad ones carry all of the benchmark's errors; other stages stay logit-normal.
    bad_share : float
    participant_correlation, stage_correlation : float
        Latent correlation of two answers of one participant at a stage, and of one answer's
        scores at neighbouring stages.
    item_mix : sequence of float, optional
        Relative chance of each item to be answered; equal by default.
    missing : mapping of stage to float
        Chance that a trial score is missing, independent of everything else.

    Raises
    ------
    AnalysisError
        A number outside its range, named.
    """

    chain: Chain = DEFAULT_CHAIN
    means: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_MEANS))
    shifts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    control_mean: float | None = 0.47
    arms: Sequence[str] = ("a1",)
    participants: int = 300
    answers: int = 2
    items: int = 10
    runs: int = 30
    item_sd: float = 0.8
    item_correlation: float = 0.5
    population: Population = "logit-normal"
    bad_share: float = 0.1
    participant_correlation: float = 0.1
    stage_correlation: float = 0.5
    item_mix: Sequence[float] | None = None
    missing: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_chances()
        self._check_sizes()

    def _check_chances(self) -> None:
        for stage in self.chain.names:
            for arm in self.arms:
                _inside(f"means.{stage} in arm {arm}", self.mean(arm, stage), open_below=True)
        if self.control_mean is not None:
            _inside("control_mean", self.control_mean, open_below=True)
        for name in ("item_correlation", "participant_correlation", "stage_correlation"):
            _inside(name, getattr(self, name))
        for stage, chance in self.missing.items():
            _inside(f"missing.{stage}", chance)
        if self.population not in get_args(Population.__value__):
            _refuse("population", self.population, nearest(self.population, get_args(Population.__value__)))
        errors = max(1 - self.mean(arm, self.chain.first) for arm in self.arms)
        if self.population == "bad-items" and not errors < self.bad_share < 1:
            _refuse("bad_share", self.bad_share, f"Above the benchmark's share of errors, {errors:.3g}, and below 1")

    def _check_sizes(self) -> None:
        for name in ("participants", "answers", "items", "runs"):
            if getattr(self, name) < 1:
                _refuse(name, getattr(self, name), "1 or more")
        if self.answers > self.items:
            _refuse("answers", self.answers, f"At most the number of items, {self.items}: each answer is on another")
        if self.item_mix is not None and (len(self.item_mix) != self.items or min(self.item_mix) <= 0):
            _refuse("item_mix", self.item_mix, f"{self.items} positive numbers")

    def mean(self, arm: str, stage: str) -> float:
        """Population mean of a stage in an AI arm."""
        if stage not in self.means:
            _refuse(f"means.{stage}", None, "Give a mean for every stage")
        return self.means[stage] + self.shifts.get(arm, {}).get(stage, 0.0)


def _inside(name: str, value: float, *, open_below: bool = False) -> None:
    if not (0 < value < 1 if open_below else 0 <= value < 1):
        _refuse(name, value, f"{'Above' if open_below else 'At least'} 0 and below 1")


def _refuse(name: str, value: object, allowed: str) -> NoReturn:
    raise AnalysisError(
        Fault("this cannot be simulated", allowed, place=name, value=None if value is None else str(value))
    )


@dataclass(frozen=True, slots=True)
class SimulatedTrial:
    """A trial and its truth.

    Attributes
    ----------
    answers, runs : DataFrame
        As `read_trial` takes them without a dictionary: columns named by role and stage.
    item_means : DataFrame
        True mean of each item: columns arm, stage, item, mean; the control arm's last stage included.
    """

    plan: SimulationPlan
    answers: pd.DataFrame
    runs: pd.DataFrame
    item_means: pd.DataFrame

    def truth(self, estimand: Estimand) -> Mapping[tuple[str, str], float]:
        """True value of every linear quantity, keyed by (arm, quantity) as in components.csv.

        With items random they are the population's. With items fixed they are those of these
        items at the estimand's weights: under `observed`, answers at each arm's own mix and runs
        at their equal one. `all` weighs the arms equally.
        """
        stage = self.means(estimand)
        control = None if self.plan.control_mean is None else CONTROL
        arms = list(self.plan.arms)
        sets = [*((arm, {arm: 1.0}) for arm in arms), (ALL_ARMS, dict.fromkeys(arms, 1.0 / len(arms)))]
        return {
            (label, row.quantity): sum(weight * stage[key] for key, weight in row.coefficients.items())
            for label, weights in sets
            for row in contrasts(self.plan.chain, label, weights, control)
            if row.quantity != "item_mix"
        }

    def means(self, estimand: Estimand) -> Mapping[MomentKey, float]:
        """True stage means of every arm, of which the quantities of `truth` are made."""
        return self._population() if estimand.items == "random" else self._of_these_items(estimand)

    def scores(self) -> StageScores:
        """The trial as stage scores, without the reading and validation that data from outside need."""
        plan = self.plan
        control = None if plan.control_mean is None else CONTROL
        answers = self.answers.assign(stratum="", used=True, marginal="", count=1.0)
        runs = self.runs.rename(columns={plan.chain.first: "score"}).assign(count=1.0)
        if not len(runs):
            runs = pd.DataFrame({"system": [], "item": [], "score": [], "count": []})
        return StageScores(
            plan.chain,
            Design(control, list(plan.arms)),
            {(arm, stage): (arm,) for arm in plan.arms for stage in plan.chain.names},
            paired=True,
            participants=True,
            attrition=(),
            _answers=answers,
            _runs=runs.groupby(["system", "item", "score"])["count"].sum().reset_index(),
        )

    def _population(self) -> dict[MomentKey, float]:
        plan = self.plan
        found = {MomentKey(arm, stage): plan.mean(arm, stage) for arm in plan.arms for stage in plan.chain.names}
        if plan.control_mean is not None:
            found[MomentKey(CONTROL, plan.chain.last)] = plan.control_mean
        return found

    def _of_these_items(self, estimand: Estimand) -> dict[MomentKey, float]:
        return {
            MomentKey(str(arm), str(stage)): self._weighted(part, self._mix(estimand, str(arm), str(stage)))
            for (arm, stage), part in self.item_means.groupby(["arm", "stage"])
        }

    @staticmethod
    def _weighted(part: pd.DataFrame, mix: Mapping[str, float]) -> float:
        weights = [mix.get(item, 0.0) for item in part["item"]]
        return float(np.average(part["mean"], weights=weights))

    def _mix(self, estimand: Estimand, arm: str, stage: str) -> Mapping[str, float]:
        """Weight of each item behind a stage of an arm."""
        items = self.item_means["item"].unique()
        if isinstance(estimand.item_weights, Mapping):
            return estimand.item_weights
        scored = self.answers
        benchmark = self.plan.chain[stage].source == "benchmark"
        if estimand.item_weights == "uniform" or (estimand.item_weights == "observed" and benchmark):
            return dict.fromkeys(items, 1.0)
        if estimand.item_weights == "trial":
            rows = scored[scored["arm"] != CONTROL]
        else:
            rows = scored[(scored["arm"] == arm) & scored[stage].notna()]
        return {str(item): float(n) for item, n in rows["item"].value_counts().items()}


def simulate_trial(plan: SimulationPlan, seed: int | np.random.Generator) -> SimulatedTrial:
    """Draw a trial.

    Parameters
    ----------
    plan : SimulationPlan
    seed : int or Generator

    Returns
    -------
    SimulatedTrial

    Examples
    --------
    >>> from rctgap.estimands import Estimand
    >>> from rctgap.simulate import SimulationPlan, simulate_trial
    >>> trial = simulate_trial(SimulationPlan(participants=50), seed=1)
    >>> len(trial.answers), len(trial.runs)
    (200, 300)
    >>> round(trial.truth(Estimand(items="random"))["a1", "gap"], 3)
    0.5
    """
    rng = np.random.default_rng(seed)
    means = _item_means(plan, rng)
    labels = [*plan.arms, *([] if plan.control_mean is None else [CONTROL])]
    answers = pd.concat([_answers(plan, label, means, rng) for label in labels], ignore_index=True)
    runs = (
        pd.concat([_runs(plan, arm, means, rng) for arm in plan.arms], ignore_index=True)
        if _alone(plan)
        else pd.DataFrame()
    )
    rows = [(arm, stage, f"s{item}", value) for (arm, stage), part in means.items() for item, value in enumerate(part)]
    return SimulatedTrial(plan, answers, runs, pd.DataFrame(rows, columns=["arm", "stage", "item", "mean"]))


def _alone(plan: SimulationPlan) -> bool:
    return plan.chain.stages[0].source == "benchmark"


def _item_means(plan: SimulationPlan, rng: np.random.Generator) -> dict[tuple[str, str], Array]:
    """Each item's mean at each stage of each arm; effects share a part, so that hard items are hard throughout."""
    wanted = {(arm, stage): plan.mean(arm, stage) for arm in plan.arms for stage in plan.chain.names}
    if plan.control_mean is not None:
        wanted[CONTROL, plan.chain.last] = plan.control_mean
    shared = rng.standard_normal(plan.items)
    bad = rng.random(plan.items) < plan.bad_share
    found = {}
    for (arm, stage), mean in wanted.items():
        own = rng.standard_normal(plan.items)
        effect = np.sqrt(plan.item_correlation) * shared + np.sqrt(1 - plan.item_correlation) * own
        skewed = plan.population == "bad-items" and plan.chain[stage].source == "benchmark"
        if skewed:
            found[arm, stage] = np.where(bad, 1 - (1 - mean) / plan.bad_share, 1.0)
        else:
            found[arm, stage] = special.expit(_centre(mean, plan.item_sd) + plan.item_sd * effect)
    return found


def _centre(mean: float, sd: float) -> float:
    """The logit at which a normal effect of this spread leaves the mean where it is wanted."""
    masses = _MASSES / _MASSES.sum()
    return float(optimize.brentq(lambda eta: masses @ special.expit(eta + sd * _NODES) - mean, -60, 60, xtol=1e-13))


def _answers(
    plan: SimulationPlan, arm: str, means: Mapping[tuple[str, str], Array], rng: np.random.Generator
) -> pd.DataFrame:
    people, each = plan.participants, plan.answers
    person = np.repeat(np.arange(people), each)
    item = _chosen(plan, rng)
    stages = [stage.name for stage in plan.chain.stages if stage.source != "benchmark"]
    latent = _latent(plan, len(stages), person, rng)
    frame = pd.DataFrame(
        {"participant": [f"{arm}-{number}" for number in person], "item": [f"s{one}" for one in item], "arm": arm}
    )
    for position, stage in enumerate(stages):
        if (arm, stage) in means:
            score = (latent[position] < stats.norm.ppf(means[arm, stage][item])).astype(np.float64)
            lost = rng.random(score.size) < plan.missing.get(stage, 0.0)
            frame[stage] = np.where(lost, np.nan, score)
        else:
            frame[stage] = np.nan
    return frame


def _chosen(plan: SimulationPlan, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Items of each participant, without repeats, by the exponential trick for weighted draws."""
    weights = np.ones(plan.items) if plan.item_mix is None else np.asarray(plan.item_mix, dtype=np.float64)
    keys = rng.exponential(size=(plan.participants, plan.items)) / weights
    return np.argsort(keys, axis=1)[:, : plan.answers].ravel()


def _latent(plan: SimulationPlan, stages: int, person: npt.NDArray[np.intp], rng: np.random.Generator) -> Array:
    """Standard normal scores, shape (stages, answers): participant part, and an autoregressive answer part."""
    between, step = plan.participant_correlation, plan.stage_correlation
    people = np.empty((stages, plan.participants))
    noise = np.empty((stages, person.size))
    for position in range(stages):
        fresh_people, fresh = rng.standard_normal(plan.participants), rng.standard_normal(person.size)
        people[position] = (
            fresh_people if position == 0 else step * people[position - 1] + np.sqrt(1 - step**2) * fresh_people
        )
        noise[position] = fresh if position == 0 else step * noise[position - 1] + np.sqrt(1 - step**2) * fresh
    return np.asarray(np.sqrt(between) * people[:, person] + np.sqrt(1 - between) * noise, dtype=np.float64)


def _runs(
    plan: SimulationPlan, arm: str, means: Mapping[tuple[str, str], Array], rng: np.random.Generator
) -> pd.DataFrame:
    first = plan.chain.first
    right = rng.binomial(plan.runs, means[arm, first])
    score = np.concatenate([np.repeat([1, 0], [n, plan.runs - n]) for n in right])
    return pd.DataFrame(
        {"system": arm, "item": np.repeat([f"s{one}" for one in range(plan.items)], plan.runs), first: score}
    )
