"""The system estimator: stages of the AI arms as seemingly unrelated regressions, control and benchmark beside them."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from linearmodels.system import SUR

from rctgap.errors import EstimationError, Fault
from rctgap.estimands import Contrast, Estimand, Kind, MomentKey, contrasts
from rctgap.estimates import StageEstimates, arm_sets
from rctgap.frequentist import covariance_of, estimate_frequentist
from rctgap.intervals import symmetric
from rctgap.scores import StageScores
from rctgap.system_blocks import Block, block_of, degrees_of_freedom
from rctgap.system_data import Regressors, SystemData, refuse_unequal_rows, regressors, system_data
from rctgap.variance import CovarianceName, SmallSample

__all__ = ["SystemContrast", "SystemEstimates", "estimate_system"]

type Array = npt.NDArray[np.float64]
type Flags = npt.NDArray[np.bool_]

EDGE = 1e-12


@dataclass(frozen=True, slots=True)
class SystemContrast:
    """One linear quantity of the system; what cannot be given is None and `note` says why."""

    arm: str
    quantity: str
    kind: Kind
    estimate: float
    std_error: float | None
    df: float | None
    lower: float | None
    upper: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class SystemEstimates:
    """Stage means of a system of equations.

    Attributes
    ----------
    names : tuple of MomentKey
        The J means: trial stages of each AI arm, the control arm's last stage, the benchmark of each AI arm.
    values : ndarray, shape (J,)
    covariance : ndarray, shape (J, J)
        By participant (by answer where they are not identified) for the trial, by run for the benchmark.
    clustered : ndarray, shape (T, T)
        The covariance that linearmodels reports for the T trial stages of the AI arms (CR0, the covariates' centre
        taken as known), for comparison.
    contrasts : tuple of SystemContrast
        Components, families, the gap and effects, for each arm and `all`.
    answers, dropped : int
        Complete answers of the AI arms, and those left out because a stage has no score.
    clusters : int
        Participants behind them, or answers.
    covariates : tuple of str
    small_sample : {"CR1", "CR2", "CR3", "HC1"}
    level : float
    notes : tuple of str
    """

    names: tuple[MomentKey, ...]
    values: Array
    covariance: Array
    clustered: Array
    contrasts: tuple[SystemContrast, ...]
    answers: int
    dropped: int
    clusters: int
    covariates: tuple[str, ...]
    small_sample: str
    level: float
    notes: tuple[str, ...]


def estimate_system(
    scores: StageScores, estimand: Estimand, small_sample: SmallSample = "CR2", level: float = 0.95
) -> SystemEstimates:
    """Estimate the stages of all AI arms jointly, one equation a stage.

    Parameters
    ----------
    scores : StageScores
        With covariates, each equation has them centred and interacted with the arm.
    estimand : Estimand
        Items fixed.
    small_sample : {"CR1", "CR2", "CR3"}
        Correction of the covariance by participant; without participants it is HC1.
    level : float

    Returns
    -------
    SystemEstimates

    Raises
    ------
    EstimationError
        Items random; stages that are not of the same answers (borrowed, marginal counts, non-users excluded or set to
        the control mean); an arm or item without a complete answer; collinear covariates.

    Notes
    -----
    Stage `k` of answer `i` in arm `a` on item `s` follows ``X_k(i) = mu_kas + (z_i - mean z)' b_ka + e_ki``, one
    `mu_ka` for each arm under item weights `observed`. The stage mean is ``sum_s pi_s mu_kas``. Equations need equal
    rows: answers with every trial stage. All have the same regressors, so generalised least squares is least squares
    equation by equation, and without covariates or missing scores every mean is the plug-in's. The centre is the mean
    over all answers of the AI arms and the control arm; participants' influence on it is part of the covariance, or
    adjusted stage means would look too precise. Degrees of freedom are Satterthwaite's under CR2, from the regressions
    alone, G - 1 under CR1 and CR3, and Welch's with the benchmark.

    References
    ----------
    Zellner (1962), doi 10.1080/01621459.1962.10480664; Lin (2013), doi 10.1214/12-AOAS583; Bell and McCaffrey (2002),
    Survey Methodology 28(2).

    Examples
    --------
    >>> import rctgap as rg
    >>> from rctgap.system import estimate_system
    >>> trial = rg.simulate_trial(rg.SimulationPlan(participants=100), seed=2)
    >>> data = rg.read_trial(trial.answers, benchmark=trial.runs, design=rg.Design("control", ["a1"]))
    >>> system = estimate_system(rg.score_stages(data, rg.DEFAULT_CHAIN), rg.Estimand(items="fixed"))
    >>> [(one.quantity, round(one.estimate, 3)) for one in system.contrasts[:3]]
    [('own_query', 0.023), ('conversation', 0.205), ('decision', 0.2)]
    """
    _refuse_random(estimand)
    covariance: CovarianceName = "cluster" if scores.participants else "robust"
    plain = estimate_frequentist(scores, estimand, covariance, small_sample, level, "none")
    refuse_unequal_rows(plain.scores, estimand)
    data = system_data(plain)
    system = _System(plain, data, *_stage_equations(plain, data), _control_equation(plain, data))
    return SystemEstimates(
        system.names,
        np.array([system.value(key) for key in system.names]),
        system.covariance,
        system.clustered,
        tuple(_contrast(system, row) for row in _rows(plain)),
        int(data.complete[data.treated].sum()),
        int((~data.complete[data.treated]).sum()),
        np.unique(data.clusters[data.complete & data.treated]).size,
        plain.scores.covariates,
        plain.small_sample_name,
        level,
        tuple(_notes(plain, data)),
    )


def _refuse_random(estimand: Estimand) -> None:
    if estimand.items != "fixed":
        what, allowed = "the system estimator clusters by participant", "Choose items `fixed`, or the plug-in estimator"
        raise EstimationError(Fault(what, allowed, place="estimand.items", value=estimand.items))


def _stage_equations(plain: StageEstimates, data: SystemData) -> tuple[Block, Array]:
    """The block of the AI arms' trial stages, and the covariance of its means as linearmodels reports it."""
    arms, stages = [arm.label for arm in plain.scores.design.arms], [one.name for one in plain.scores.trial_stages]
    rows, x = data.part(arms), regressors(data, arms)
    y = data.frame.loc[rows, stages].to_numpy(dtype=np.float64)
    equations = {name: {"dependent": y[:, k], "exog": x.matrix} for k, name in enumerate(stages)}
    fit = SUR(equations).fit(cov_type="clustered", clusters=data.clusters[rows])  # type: ignore[arg-type]  # annotated as bool
    coefficients = fit.params.to_numpy().reshape(len(stages), -1).T
    spread = fit.cov.to_numpy().reshape(len(stages), x.matrix.shape[1], len(stages), -1)
    clustered = np.einsum("ap,kplq,bq->akbl", x.targets, spread, x.targets)
    size = len(arms) * len(stages)
    return _block(plain, data, rows, x, y, coefficients), clustered.reshape(size, size)


def _control_equation(plain: StageEstimates, data: SystemData) -> Block | None:
    """The block of the control arm's last stage, by least squares."""
    control = plain.scores.design.control
    if control is None:
        return None
    rows, x = data.part([control]), regressors(data, [control])
    y = data.frame.loc[rows, [plain.scores.chain.last]].to_numpy(dtype=np.float64)
    return _block(plain, data, rows, x, y, np.linalg.lstsq(x.matrix, y)[0])


def _block(plain: StageEstimates, data: SystemData, rows: Flags, x: Regressors, y: Array, coefficients: Array) -> Block:
    """Influence on the means of the regressions' coefficients, and of the covariates' centre."""
    size = int(data.clusters.max()) + 1
    correction = plain.small_sample if plain.covariance == "cluster" else "CR1"
    found = block_of(
        x.matrix,
        y - x.matrix @ coefficients,
        x.targets @ coefficients,
        x.targets,
        data.clusters[rows],
        size,
        correction,
    )
    centre = np.zeros((size, data.covariates.shape[1]))
    np.add.at(centre, data.clusters, data.covariates / len(data.covariates))
    return replace(found, influence=found.influence + np.einsum("gc,acp,pk->gak", centre, x.slopes, coefficients))


@dataclass(frozen=True)
class _System:
    """The blocks, and the covariance of what is made of them."""

    plain: StageEstimates
    data: SystemData
    stages: Block
    clustered: Array
    control: Block | None

    @cached_property
    def arms(self) -> list[str]:
        return [arm.label for arm in self.plain.scores.design.arms]

    @cached_property
    def trial_names(self) -> list[MomentKey]:
        scores = self.plain.scores
        found = [MomentKey(arm, stage.name) for arm in self.arms for stage in scores.trial_stages]
        return found if scores.design.control is None else [*found, MomentKey(scores.design.control, scores.chain.last)]

    @cached_property
    def names(self) -> tuple[MomentKey, ...]:
        first = self.plain.scores.chain.stages[0]
        runs = [MomentKey(arm, first.name) for arm in self.arms] if first.source == "benchmark" else []
        return (*self.trial_names, *runs)

    @cached_property
    def blocks(self) -> list[Block]:
        return [self.stages] if self.control is None else [self.stages, self.control]

    @cached_property
    def means(self) -> Mapping[MomentKey, float]:
        values = np.concatenate([block.values.ravel() for block in self.blocks])
        return {key: float(value) for key, value in zip(self.trial_names, values, strict=True)}

    @cached_property
    def influence(self) -> Array:
        """Influence of clusters on the trial's means, shape (G, T)."""
        return np.concatenate([block.influence.reshape(len(block.influence), -1) for block in self.blocks], axis=1)

    def value(self, key: MomentKey) -> float:
        return self.means[key] if key in self.means else self.plain.value(key)

    def row(self, coefficients: Mapping[MomentKey, float]) -> Array:
        """A quantity's weights on the trial's means, shape (T,)."""
        return np.array([coefficients.get(key, 0.0) for key in self.trial_names])

    def entering(self, row: Array) -> tuple[int, float]:
        """How many clusters enter, and the factor of the variance."""
        arms = sorted({key.arm for key, weight in zip(self.trial_names, row, strict=True) if weight})
        if not arms:
            return 0, 0.0
        rows = self.data.part(arms)
        count = np.unique(self.data.clusters[rows]).size
        if self.plain.covariance == "robust":
            cells = len(arms) * (len(self.data.weights or (None,)) + self.data.covariates.shape[1])
            return count, count / (count - cells) if count > cells else math.nan
        factor = count / (count - 1) if self.plain.small_sample == "CR1" and count > 1 else 1.0
        return count, factor if count > 1 else math.nan

    def df(self, row: Array, count: int) -> float:
        if self.plain.covariance == "robust":
            return math.inf
        if self.plain.small_sample != "CR2":
            return float(count - 1)
        parts = np.split(row, np.cumsum([block.values.size for block in self.blocks])[:-1])
        return degrees_of_freedom(
            self.blocks, [part.reshape(block.values.shape) for part, block in zip(parts, self.blocks, strict=True)]
        )

    @cached_property
    def covariance(self) -> Array:
        root = np.sqrt([self.entering(row)[1] for row in np.eye(len(self.trial_names))])
        scaled = self.influence * root
        found = np.zeros((len(self.names), len(self.names)))
        found[: root.size, : root.size] = scaled.T @ scaled
        runs = [self.plain.row({key: 1.0}) for key in self.names[root.size :]]
        if runs:
            found[root.size :, root.size :] = covariance_of(self.plain, np.array(runs)).matrix
        return found


def _rows(plain: StageEstimates) -> Iterator[Contrast]:
    chain, control = plain.scores.chain, plain.scores.design.control
    for label, weights in arm_sets(plain):
        yield from (row for row in contrasts(chain, label, weights, control) if row.quantity != "item_mix")


def _contrast(system: _System, contrast: Contrast) -> SystemContrast:
    trial = system.row(contrast.coefficients)
    runs = {key: weight for key, weight in contrast.coefficients.items() if key not in system.means}
    value = sum(weight * system.value(key) for key, weight in contrast.coefficients.items())
    count, factor = system.entering(trial)
    part = factor * float(np.sum((system.influence @ trial) ** 2)) if count else 0.0
    df = system.df(trial, count) if count else math.inf
    if runs:
        alone = covariance_of(system.plain, system.plain.row(runs)[None, :])
        part, df = _added(part, df, float(alone.variance[0]), float(alone.df[0]))
    edge = any(min(abs(mean), abs(1 - mean)) < EDGE for mean in map(system.value, contrast.coefficients))
    if edge or not part > EDGE:
        note = "no interval: a stage mean of 0 or 1, or too few units to show variation; the plug-in has one"
        return SystemContrast(contrast.arm, contrast.quantity, contrast.kind, value, None, None, None, None, note)
    std_error = math.sqrt(part)
    interval = symmetric(value, std_error, df, system.plain.level)
    shown = None if math.isinf(df) else df
    return SystemContrast(
        contrast.arm, contrast.quantity, contrast.kind, value, std_error, shown, interval.lower, interval.upper
    )


def _added(trial: float, trial_df: float, runs: float, runs_df: float) -> tuple[float, float]:
    """Sum of two independent variances, with Welch's degrees of freedom."""
    total = trial + runs
    if trial == 0 or runs == 0 or math.isinf(trial_df):
        return total, runs_df if trial == 0 else trial_df
    return total, total**2 / (trial**2 / trial_df + runs**2 / runs_df)


def _notes(plain: StageEstimates, data: SystemData) -> Iterator[str]:
    dropped = int((~data.complete & data.treated).sum())
    if dropped:
        yield (
            f"{dropped} of {int(data.treated.sum())} answers of the AI arms lack a score at some stage and are left "
            "out: equations need equal rows. The plug-in uses every score that there is."
        )
    if plain.scores.covariates:
        yield f"Adjusted for {', '.join(plain.scores.covariates)}, centred and interacted with the arm."
    if plain.covariance == "robust":
        yield "Participants are not identified: answers of one person count as independent."
