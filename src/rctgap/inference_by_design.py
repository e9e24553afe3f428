"""Inference that resamples a trial as its design does: wild cluster bootstrap-t, and randomisation tests of effects."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp

from rctgap.errors import EstimationError, Fault
from rctgap.estimands import MomentKey
from rctgap.estimates import Linear, StageEstimates
from rctgap.frequentist import units_of
from rctgap.inference import linear
from rctgap.moments import item_mix
from rctgap.randomisation import Outcomes, RandomisationResult, randomisation_test
from rctgap.wild import Clusters, WildResult, WildWeights, cells_as_locations, wild_bootstrap

__all__ = ["randomisation_inference", "wild_cluster_bootstrap"]

type Array = npt.NDArray[np.float64]

ROUNDING = 1e-9
EDGE_NOTE = "a stage mean of 0 or 1 has nothing to resample, so its uncertainty is left out"
MIX_NOTE = "no test: with items random a term of item mix has no mean to impose the null on"
WORKING_MODEL = "scores are 0 or 1, so one constant effect on all of them is a working model"


def wild_cluster_bootstrap(
    estimates: StageEstimates,
    quantities: Sequence[Mapping[MomentKey, float]],
    *,
    weights: WildWeights = "rademacher",
    replicates: int = 9999,
    seed: int | np.random.SeedSequence,
    executor: Executor | None = None,
) -> tuple[WildResult, ...]:
    """Wild cluster bootstrap-t with the null imposed, and intervals by inversion, for linear quantities.

    Parameters
    ----------
    estimates : StageEstimates
    quantities : sequence of mapping of MomentKey to coefficient
        For example the `coefficients` of a `Contrast`.
    weights : {"rademacher", "webb"}
    replicates : int
        Draws. Where a quantity has no more sign vectors than this, all are enumerated.
    seed : int or SeedSequence
    executor : concurrent.futures.Executor, optional

    Returns
    -------
    tuple of WildResult
        One for each quantity; where there is no test, its `note` says why.

    Raises
    ------
    EstimationError
        Unknown weights, no replicate, or counts that are not whole.

    Notes
    -----
    Clusters are participants (answers, under covariance `robust`) and each benchmark run by itself with items fixed,
    and items with items random: there the bootstrap corresponds to covariance `item`, whichever was chosen. With items
    fixed the restricted mean of each cell is least squares'; with items random that of each moment is weighted least
    squares', a score's weight being its weight in the moment times the moment's number of scores.

    References
    ----------
    Cameron, Gelbach and Miller (2008), doi 10.1162/rest.90.3.414; Webb (2023), doi 10.1111/caje.12661; Roodman,
    Nielsen, MacKinnon and Webb (2019), doi 10.1177/1536867X19830877.

    Examples
    --------
    >>> import rctgap as rg
    >>> from rctgap.inference_by_design import wild_cluster_bootstrap
    >>> drawn = rg.simulate_trial(rg.SimulationPlan(participants=40), seed=1)
    >>> trial = rg.read_trial(drawn.answers, benchmark=drawn.runs, design=rg.Design("control", ["a1"]))
    >>> scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    >>> estimates = rg.estimate_frequentist(scores, rg.Estimand(items="random"))
    >>> gap = {rg.MomentKey("a1", "benchmark"): 1.0, rg.MomentKey("a1", "decision"): -1.0}
    >>> result = wild_cluster_bootstrap(estimates, [gap], seed=1)[0]
    >>> result.clusters, result.enumerated, result.replicates
    (10, True, 1024)
    """
    estimates.require_frequentist("wild bootstrap tests")
    found = linear(estimates, quantities)
    rows = np.array([_row(estimates, one) for one in quantities]).reshape(len(found), len(estimates.statistics.moments))
    clusters, rows, imposable = _problem(estimates, rows)
    testable = [q for q, one in enumerate(found) if one.interval is not None and imposable[q]]
    results = wild_bootstrap(
        clusters,
        rows[testable],
        np.array([found[q].estimate for q in testable], dtype=np.float64),
        weights=weights,
        replicates=replicates,
        seed=seed,
        level=estimates.level,
        executor=executor,
    )
    tested = {q: _with_edge(one, found[q]) for q, one in zip(testable, results, strict=True)}
    return tuple(tested.get(q) or _untested(estimates, one, weights) for q, one in enumerate(found))


def _row(estimates: StageEstimates, coefficients: Mapping[MomentKey, float]) -> Array:
    """Coefficients over the moments; zeros where a moment is missing, for `linear` says why."""
    absent = estimates.statistics.missing
    return estimates.row({} if any(key in absent for key in coefficients) else coefficients)


def _problem(estimates: StageEstimates, rows: Array) -> tuple[Clusters, Array, npt.NDArray[np.bool_]]:
    """Clusters over J locations, the quantities' coefficients (Q, J), and where a null can be imposed on them (Q,)."""
    found, units = estimates.statistics, units_of(estimates)
    if estimates.estimand.items == "fixed":
        return cells_as_locations(*units), rows @ found.loading, np.ones(len(rows), dtype=np.bool_)
    locations = _Locations.of(found.loading)
    quantities = rows @ locations.of_moments
    no_mean = np.abs(locations.loading.sum(axis=1) - 1.0) > ROUNDING
    imposable = ~((quantities != 0) & no_mean).any(axis=1)
    return cells_as_locations(*units, loading=locations.loading), quantities, imposable


@dataclass(frozen=True, slots=True)
class _Locations:
    """Moments as locations; what a moment takes from the control mean for its non-users belongs to the control's.

    Attributes
    ----------
    loading : ndarray, shape (J, C)
        Weight of each cell in its own moment.
    of_moments : ndarray, shape (J, J)
        Each moment's coefficients over the locations.
    """

    loading: Array
    of_moments: Array

    @classmethod
    def of(cls, loading: Array) -> "_Locations":
        filled = loading != 0
        alone = filled & (filled.sum(axis=0) == 1)
        owner = np.where(alone.any(axis=0), alone.argmax(axis=0), 0)
        # Only the control's cells, of the first moment, enter other moments too.
        own = np.where(np.arange(len(loading))[:, None] == owner, loading, 0.0)
        place = (own != 0).argmax(axis=1)
        scale = own[np.arange(len(own)), place]
        shares = np.divide(loading[:, place], scale, out=np.zeros((len(own), len(own))), where=scale != 0)
        return cls(own, shares)


def _with_edge(result: WildResult, plain: Linear) -> WildResult:
    if plain.interval is None or plain.interval.kind in ("t", "normal") or result.p_value is None:
        return result
    return replace(result, note="; ".join(note for note in (result.note, EDGE_NOTE) if note))


def _untested(estimates: StageEstimates, plain: Linear, weights: WildWeights) -> WildResult:
    note = "; ".join(plain.notes) if plain.interval is None else MIX_NOTE
    return WildResult(
        plain.estimate, None, None, None, None, estimates.level, plain.clusters, 0, enumerated=False, weights=weights,
        note=note,
    )  # fmt: skip


def randomisation_inference(
    estimates: StageEstimates,
    arm_sets: Sequence[tuple[str, Mapping[str, float]]],
    *,
    studentised: bool = True,
    replicates: int = 9999,
    seed: int | np.random.SeedSequence,
    executor: Executor | None = None,
) -> dict[str, RandomisationResult]:
    """Randomisation tests of the realized effect: arms' labels re-drawn within strata, as the design drew them.

    Parameters
    ----------
    estimates : StageEstimates
    arm_sets : sequence of (label, mapping of arm to weight)
        The effects: one AI arm of weight 1, or several at their weights, against control. Labels of the arms with
        weight and of control are re-drawn among their own participants; other arms stay as they are.
    studentised : bool
        Divide by the cluster-robust standard error of each assignment.
    replicates : int
        Assignments to draw. Where there are no more than this, all are enumerated.
    seed : int or SeedSequence
    executor : concurrent.futures.Executor, optional

    Returns
    -------
    dict of label to RandomisationResult

    Raises
    ------
    EstimationError
        No control arm, a crossover design, participants who are not identified where they were randomised, or one who
        stands in two strata.

    Notes
    -----
    The test is about these participants and these items. It takes answers without a score to be missing whatever the
    arm: their participants are re-drawn with the others. Arms keep their numbers of units in every stratum; blocks are
    kept where they are named among the strata.

    References
    ----------
    Wu and Ding (2021), doi 10.1080/01621459.2020.1750415.

    Examples
    --------
    >>> import rctgap as rg
    >>> from rctgap.inference_by_design import randomisation_inference
    >>> drawn = rg.simulate_trial(rg.SimulationPlan(participants=40), seed=1)
    >>> trial = rg.read_trial(drawn.answers, benchmark=drawn.runs, design=rg.Design("control", ["a1"]))
    >>> scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    >>> estimates = rg.estimate_frequentist(scores, rg.Estimand(items="fixed"))
    >>> result = randomisation_inference(estimates, [("a1", {"a1": 1.0})], replicates=999, seed=1)["a1"]
    >>> result.units, result.enumerated, result.lower < result.estimate < result.upper
    (80, False, True)
    """
    estimates.require_frequentist("randomisation tests")
    control = _refuse_unfit(estimates)
    return {
        label: _effect(estimates, control, weights, studentised, replicates, seed, executor)
        for label, weights in arm_sets
    }


def _refuse_unfit(estimates: StageEstimates) -> str:
    """The control arm, where re-drawing arms is this trial's design."""
    design = estimates.scores.design
    if design.crossover:
        raise EstimationError(
            Fault(
                "participants of a crossover design take several arms, so their arms are not re-drawn between them",
                "Use the cluster-robust interval or the wild bootstrap",
                place="design.crossover",
            )
        )
    if design.unit == "participant" and not estimates.scores.participants:
        raise EstimationError(
            Fault(
                "participants were randomised, and the data do not identify them",
                "Give a column the role `participant`, or state `unit: observation` if answers were randomised",
                place="design.unit",
                value=design.unit,
            )
        )
    if design.control is None:
        raise EstimationError(
            Fault("a randomised effect needs a control arm", "Name the control arm", place="arms.control")
        )
    return design.control


def _effect(
    estimates: StageEstimates,
    control: str,
    weights: Mapping[str, float],
    studentised: bool,
    replicates: int,
    seed: int | np.random.SeedSequence,
    executor: Executor | None,
) -> RandomisationResult:
    labels = [control, *(arm for arm, weight in weights.items() if weight)]
    answers = _answers(estimates, labels)
    unit, people = pd.factorize(answers["unit"])
    outcomes = _outcomes(estimates, answers, np.asarray(unit, dtype=np.intp), len(people))
    each = answers.drop_duplicates("unit")
    arm = pd.Index(labels).get_indexer(pd.Index(each["arm"])).astype(np.int8)
    result = randomisation_test(
        replace(outcomes, arm_weights=np.array([-1.0, *(weights[arm] for arm in labels[1:])])),
        arm,
        np.asarray(pd.factorize(each["stratum"])[0], dtype=np.intp),
        studentised=studentised,
        replicates=replicates,
        seed=seed,
        level=estimates.level,
        executor=executor,
    )
    values = answers["score"].dropna()
    binary = bool(values.isin([0.0, 1.0]).all()) and result.p_value is not None
    notes = [result.note, WORKING_MODEL if binary else "", _unscored(answers)]
    return replace(result, note="; ".join(note for note in notes if note))


def _unscored(answers: pd.DataFrame) -> str:
    lost = answers["score"].isna()
    count = round(float(answers.loc[lost, "count"].sum()))
    return f"{count} answers without a score are taken to be missing whatever the arm" if count else ""


def _answers(estimates: StageEstimates, labels: Sequence[str]) -> pd.DataFrame:
    """Last-stage answers of these arms: unit, arm, stratum, item, score, count."""
    scores = estimates.scores
    frame = scores.answers
    last = scores.chain.last
    frame = frame[frame["arm"].isin(labels) & frame["marginal"].isin(["", last])].reset_index(drop=True)
    if scores.design.unit == "observation":
        frame = frame.loc[np.repeat(frame.index, frame["count"].round().astype(int))].assign(count=1.0)
        frame = frame.reset_index(drop=True).assign(unit=lambda one: one.index)
    else:
        frame = frame.assign(unit=frame["participant"])
        _refuse_several_strata(frame)
    return frame.rename(columns={last: "score"})[["unit", "arm", "stratum", "item", "score", "count"]]


def _refuse_several_strata(frame: pd.DataFrame) -> None:
    places = frame[["unit", "arm", "stratum"]].drop_duplicates()
    several = int((places.groupby("unit", observed=True).size() > 1).sum())
    if several:
        raise EstimationError(
            Fault(
                f"answers of {several} participant(s) are in several strata or arms (a blank stratum is one too)",
                "Participants were randomised: name strata that are properties of theirs, or state `unit: observation`",
                place="design.strata",
            )
        )


def _outcomes(estimates: StageEstimates, answers: pd.DataFrame, unit: npt.NDArray[np.intp], units: int) -> Outcomes:
    """Scores of units by item; under observed weights one item stands for all."""
    weights = item_mix(estimates.scores, estimates.estimand)
    names = sorted(weights) if weights is not None else [""]
    item = np.zeros(len(answers), dtype=np.intp)
    if weights is not None:
        item = np.asarray(pd.Index(names).get_indexer(pd.Index(answers["item"].astype(object))), dtype=np.intp)
    kept = (item >= 0) & answers["score"].notna().to_numpy()
    count, score = (answers[name].to_numpy(dtype=np.float64)[kept] for name in ("count", "score"))
    place, shape = (unit[kept], item[kept]), (units, len(names))
    pi = np.array([1.0] if weights is None else [weights[name] for name in names])
    return Outcomes(
        sp.coo_array((count * score, place), shape).tocsr(),
        sp.coo_array((count, place), shape).tocsr(),
        pi,
        np.empty(0),
    )
