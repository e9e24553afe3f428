"""Other measures of the last stage beside its own, on the same answers: accuracy, realized effect, agreement."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rctgap.chance_agreement import cohen_kappa
from rctgap.check_records import OutcomeRow
from rctgap.design import Arm, Design
from rctgap.documents import nearest
from rctgap.equivalence import verdict
from rctgap.errors import DataError, EstimandError, EstimationError, Fault
from rctgap.estimands import ALL_ARMS, Estimand, MomentKey
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import estimate_frequentist
from rctgap.moments import item_mix
from rctgap.patterns import marginal_stages
from rctgap.quantities import linear
from rctgap.results import GapDecomposition
from rctgap.scores import StageScores, score_stages
from rctgap.staged_records import Verdict
from rctgap.stages import Chain, Stage, Transition
from rctgap.tables import interval, points
from rctgap.trial import TrialData

__all__ = ["DIFFERENCE", "MARGIN", "OutcomeVerdict", "margin_of", "outcome_rows", "outcome_verdict", "refuse_outcomes"]

type Coefficients = Mapping[MomentKey, float]

MARGIN = 0.05
ALPHA = 0.05
DIFFERENCE = "difference"
OWN, OTHER = "own_measure", "other_measure"
MOST_VALUES = 20
SLIGHT = 0.2
MARGINAL = "marginal counts do not tell the two measures of one answer"
NOT_MEASURED = "no answer of the arm has both measures"


class OutcomeVerdict(NamedTuple):
    """Whether what is found depends on the measure of the last stage; figures in proportions."""

    verdict: Verdict
    estimate: float
    lower: float
    upper: float
    level: float
    margin: float
    evidence: str
    unrelated: bool = False


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One row to be estimated."""

    arm: str
    quantity: str
    outcome: str
    other: str
    coefficients: Coefficients


def refuse_outcomes(trial: TrialData, chain: Chain, outcomes: Mapping[str, str]) -> None:
    """Refuse other measures of the last stage that the trial does not hold.

    Raises
    ------
    DataError
        A column that is missing, confidential or the last stage's own, a value that is no score, or a name that a
        result's table needs for itself.
    """
    for name, column in outcomes.items():
        _refuse(trial, chain, name, column)
        if not marginal_stages(trial.table, chain):
            score_stages(replace(trial, design=_everyone(trial, column)), _two(chain[chain.last], column))


def outcome_rows(result: GapDecomposition) -> tuple[OutcomeRow, ...]:
    """Accuracy, realized effect and agreement by the last stage's own measure and by each other one.

    Parameters
    ----------
    result : GapDecomposition
        With estimates, and a context that names other measures.

    Returns
    -------
    tuple of OutcomeRow
        From answers that have both measures, unadjusted, with the estimand and covariance of the main result. The
        difference of the realized effects, without a control arm that of the accuracies, stands there a second time
        at the level of its verdict, 1 - 2 alpha.

    Raises
    ------
    DataError
        As `refuse_outcomes`.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.check_context import CheckContext
    >>> from rctgap.outcome_measures import outcome_rows
    >>> rows = {"conversation": [1, 1, 0], "decision": [1, 0, 0], "level": [1, 1, 0], "count": [30, 40, 30]}
    >>> trial = rg.read_trial(pd.DataFrame({"arm": "a1", **rows}), design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> named = replace(result, context=CheckContext(trial, {"level": "level"}))
    >>> [(row.outcome, round(row.estimate, 2)) for row in outcome_rows(named) if row.arm == "a1"][:3]
    [('decision', 0.3), ('level', 0.7), ('difference', -0.4)]
    """
    estimates, context = result.estimates, result.context
    if estimates is None or context is None:
        return ()
    plain, found = estimates.plug_in, list[OutcomeRow]()
    for name, column in context.outcomes.items():
        _refuse(context.trial, plain.scores.chain, name, column)
        found.extend(_rows(plain, context.trial, name, column, _verdict_level(result)))
    return tuple(found)


def _refuse(trial: TrialData, chain: Chain, name: str, column: str) -> None:
    file, place = trial.sources.get("trial", "trial"), f"outcomes.{name}"
    known = [str(one) for one in trial.answers.columns]
    field = next((one for one in trial.table.fields if one.name == column), None)
    if name in (chain.last, DIFFERENCE):
        what, allowed = "this name is taken by the result's tables", "Call the other measure something else"
    elif column not in known:
        what, allowed = "no column of the trial holds this measure", nearest(column, known)
    elif field is not None and (field.withheld or field.role == "participant"):
        what, allowed = "the column is confidential, and a measure is shown", "Name a score column"
    elif column == chain[chain.last].column:
        what, allowed = "this is the last stage's own measure", "Name another column"
    else:
        return
    raise DataError(Fault(what, allowed, file, place, value=column))


def _everyone(trial: TrialData, column: str) -> Design:
    """The design with every arm that has the column alike, the control arm too."""
    frame, arm = trial.answers, trial.column("arm") or "arm"
    there = {str(label) for label in frame.loc[frame[column].notna(), arm].dropna().unique()}
    arms = [Arm(one.label, one.system) for one in trial.design.arms if one.label in there]
    control = trial.design.control
    arms += [Arm(control)] if control is not None and control in there else []
    return replace(trial.design, control=None, ai=tuple(arms) or trial.design.arms)


def _two(last: Stage, column: str) -> Chain:
    """Both measures as the stages of one chain; rectified scores are right on average alone, so they are not used."""
    own = replace(last, name=OWN, score=last.column, scoring="automatic" if last.scoring == "rectified" else "given")
    return Chain((own, Stage(OTHER, score=column)), (Transition(OTHER, "outcome"),))


def _both(plain: StageEstimates, trial: TrialData, column: str) -> StageScores | None:
    """Answers that have both measures; None where no arm has any."""
    chain = plain.scores.chain
    frame, arm = trial.answers, trial.column("arm") or "arm"
    complete = frame[frame[chain[chain.last].column].notna() & frame[column].notna()]
    if not complete[arm].isin(trial.design.labels).any():
        return None
    joint = replace(trial, _answers=complete.reset_index(drop=True))
    scores = score_stages(replace(joint, design=_everyone(joint, column)), _two(chain[chain.last], column))
    return replace(scores, unpaired={}, _answers=scores.answers.assign(used=True))


def _rows(
    plain: StageEstimates, trial: TrialData, name: str, column: str, verdict_level: float
) -> Iterator[OutcomeRow]:
    last = plain.scores.chain.last
    if not plain.scores.paired:
        yield _blank(_Wanted(ALL_ARMS, "accuracy", DIFFERENCE, name, {}), plain.level, MARGINAL)
        return
    scores = _both(plain, trial, column)
    if scores is None:
        yield _blank(_Wanted(ALL_ARMS, "accuracy", DIFFERENCE, name, {}), plain.level, NOT_MEASURED)
        return
    wanted, told = list(_wanted(plain, name)), _told(plain)
    measured = {arm.label for arm in scores.design.arms}
    there = [one for one in wanted if all(key.arm in measured for key in one.coefficients)]
    for one, found in zip(there, _estimated(plain, scores, there, plain.level), strict=True):
        yield _row(one, found, plain.level, told)
    yield from (_blank(one, plain.level, NOT_MEASURED) for one in wanted if one not in there)
    quantity = "accuracy" if plain.scores.design.control is None else "realized_effect"
    judged = [one for one in there if one.quantity == quantity and one.outcome == DIFFERENCE]
    if verdict_level != plain.level:
        for one, found in zip(judged, _estimated(plain, scores, judged, verdict_level), strict=True):
            yield _row(one, found, verdict_level, told)
    for label in _in_order(plain, measured):
        yield _kappa(scores, label, last, name, plain.level)


def _in_order(plain: StageEstimates, measured: set[str]) -> list[str]:
    """Arms that have both measures, AI arms before control."""
    labels = [arm.label for arm in plain.scores.design.arms] + [plain.scores.design.control or ""]
    return [label for label in labels if label in measured]


def _told(plain: StageEstimates) -> tuple[str, ...]:
    chain = plain.scores.chain
    parts = ["not adjusted for covariates"] if plain.estimator != "plug-in" else []
    parts += ["automatic scores as they came"] if chain[chain.last].scoring == "rectified" else []
    return tuple(parts)


def _wanted(plain: StageEstimates, name: str) -> Iterator[_Wanted]:
    """Accuracies and effects by both measures, and their differences."""
    last, control = plain.scores.chain.last, plain.scores.design.control
    sets = [(label, {arm: w for arm, w in weights.items() if w}) for label, weights in arm_sets(plain)]
    for label, weights in [*sets, *([(control, {control: 1.0})] if control is not None else [])]:
        yield from _three(label, "accuracy", (last, name), weights)
    if control is not None:
        for label, weights in sets:
            yield from _three(label, "realized_effect", (last, name), {**weights, control: -1.0})


def _three(arm: str, quantity: str, names: tuple[str, str], weights: Mapping[str, float]) -> Iterator[_Wanted]:
    """A quantity by the own measure, by the other, and the first minus the second."""
    own = {MomentKey(label, OWN): weight for label, weight in weights.items()}
    other = {MomentKey(label, OTHER): weight for label, weight in weights.items()}
    yield _Wanted(arm, quantity, names[0], "", own)
    yield _Wanted(arm, quantity, names[1], "", other)
    yield _Wanted(arm, quantity, DIFFERENCE, names[1], own | {key: -weight for key, weight in other.items()})


def _estimated(plain: StageEstimates, scores: StageScores, wanted: list[_Wanted], level: float) -> tuple[Linear, ...]:
    """All rows from one joint estimate of both measures in all arms; why not, where there is none."""
    mix = item_mix(plain.scores, plain.estimand)
    estimand = Estimand(plain.estimand.items, "observed" if mix is None else mix)
    style = plain.intervals if plain.intervals in ("t", "few-items", "bounded") else None
    try:
        found = estimate_frequentist(
            scores, estimand, plain.covariance, plain.small_sample, level, adjustment="none", intervals=style
        )
    except (EstimandError, EstimationError) as error:
        return tuple(Linear(None, notes=(error.reason,)) for _ in wanted)
    return linear(found, [one.coefficients for one in wanted])


def _row(one: _Wanted, found: Linear, level: float, told: tuple[str, ...]) -> OutcomeRow:
    ends = found.interval
    return OutcomeRow(
        one.arm,
        one.quantity,
        one.outcome,
        one.other,
        found.estimate,
        found.std_error,
        ends.lower if ends else None,
        ends.upper if ends else None,
        level,
        found.n,
        "; ".join((*found.notes, *told)),
    )


def _blank(one: _Wanted, level: float, note: str) -> OutcomeRow:
    return OutcomeRow(one.arm, one.quantity, one.outcome, one.other, None, None, None, None, level, None, note)


def _kappa(scores: StageScores, label: str, last: str, name: str, level: float) -> OutcomeRow:
    """Agreement of the two measures beyond chance."""
    frame = scores.answers
    frame = frame[frame["arm"] == label]
    values = frame[[OWN, OTHER]].to_numpy(dtype=np.float64)
    one = _Wanted(label, "agreement", last, name, {})
    if np.unique(values).size > MOST_VALUES:
        return _blank(one, level, f"kappa is for a few levels, and the scores have over {MOST_VALUES}")
    times = frame["count"].to_numpy(dtype=np.int64)
    first, second = (np.repeat(values[:, column], times) for column in (0, 1))
    people = np.repeat(frame["participant"].astype(str).to_numpy(dtype=str), times)
    whole = bool(np.isin(values, (0.0, 1.0)).all())
    found = cohen_kappa(
        first,
        second,
        people if scores.participants else np.arange(first.size),
        scheme="none" if whole else "linear",
        level=level,
    )
    kind = "kappa" if whole else "kappa, linear weights"
    ends = found.interval
    return OutcomeRow(
        label,
        "agreement",
        last,
        name,
        None if np.isnan(found.estimate) else found.estimate,
        None if np.isnan(found.std_error) else found.std_error,
        ends.lower if ends else None,
        ends.upper if ends else None,
        level,
        found.cases,
        "; ".join(part for part in (kind, found.note) if part),
    )


def margin_of(result: GapDecomposition, transition: str) -> float:
    """The margin that a staged evaluation holds a transition against; 5 points where there is none."""
    return next((row.margin for row in result.staged if row.transition == transition), MARGIN)


def _verdict_level(result: GapDecomposition) -> float:
    return round(1 - 2 * next((row.alpha for row in result.staged), ALPHA), 12)


def outcome_verdict(result: GapDecomposition) -> OutcomeVerdict | None:
    """Whether realized effects by other measures of the last stage differ by less than the margin.

    Parameters
    ----------
    result : GapDecomposition
        With the rows of `outcome_rows`.

    Returns
    -------
    OutcomeVerdict or None
        Of all AI arms together, or of one arm in which it is violated, and of the measure that differs most clearly;
        without a control arm, of accuracies. `holds` where the 1 - 2 alpha interval of the difference lies inside the
        margin, unless the two measures hardly agree on single answers in some arm (the interval of kappa lies wholly
        below 0.2); `violated` where the difference lies wholly beyond. None without another measure or an interval.

    References
    ----------
    Landis and Koch (1977), doi 10.2307/2529310, for what is slight agreement.
    """
    margin, level = margin_of(result, result.settings.stages[-1]), _verdict_level(result)
    judged = [
        row for row in result.outcomes if row.outcome == DIFFERENCE and row.level == level and row.lower is not None
    ]
    effects = [row for row in judged if row.quantity == "realized_effect"] or judged
    whole = [_judged(result, row, margin) for row in effects if row.arm == ALL_ARMS]
    parts = [_judged(result, row, margin) for row in effects if row.arm in result.settings.arms]
    order = ("violated", "inconclusive", "holds")

    def clearest(one: OutcomeVerdict) -> tuple[int, float]:
        return order.index(one.verdict), -abs(one.estimate)

    best, apart = min(whole, key=clearest, default=None), min(parts, key=clearest, default=None)
    alone = best is not None and best.verdict != "violated" and apart is not None and apart.verdict == "violated"
    return apart if alone else best


def _unrelated(result: GapDecomposition, other: str) -> list[str]:
    """Arms in which the interval of kappa lies below slight agreement: equal effects then are of different things."""
    return [
        row.arm
        for row in result.outcomes
        if (row.quantity, row.other) == ("agreement", other) and row.upper is not None and row.upper < SLIGHT
    ]


def _judged(result: GapDecomposition, row: OutcomeRow, margin: float) -> OutcomeVerdict:
    value, lower, upper = (float(one or 0.0) for one in (row.estimate, row.lower, row.upper))
    last = result.settings.stages[-1]
    own, other = (
        next(
            (one for one in result.outcomes if (one.arm, one.quantity, one.outcome) == (row.arm, row.quantity, name)),
            None,
        )
        for name in (last, row.other)
    )
    beside = f"{points(own.estimate)} by {last}, {points(other.estimate)} by {row.other}" if own and other else ""
    what = "realized effect" if row.quantity == "realized_effect" else "accuracy"
    what += "" if row.arm == ALL_ARMS else f" of arm {row.arm}"
    reached, unrelated = verdict(lower, upper, margin), _unrelated(result, row.other)
    reached = "inconclusive" if reached == "holds" and unrelated else reached
    evidence = (
        f"{what} on the same answers: {beside}; difference {points(value)} points "
        f"({interval(lower, upper)} at {100 * row.level:g} %) against a margin of {100 * margin:g}: {reached}"
    )
    if unrelated:
        evidence += f"; on single answers the two hardly agree (kappa below {SLIGHT:g}) in {', '.join(unrelated)}"
    return OutcomeVerdict(reached, value, lower, upper, row.level, margin, evidence, bool(unrelated))
