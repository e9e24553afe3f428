"""Complier effects: what the AI did for those who use it when it is offered, with assignment as the instrument."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from linearmodels.iv import IV2SLS

from rctgap.cells import sufficient_statistics
from rctgap.errors import EstimationError, Fault
from rctgap.estimands import ALL_ARMS, MomentKey
from rctgap.estimates import Linear, StageEstimates, arm_sets
from rctgap.frequentist import covariance_of
from rctgap.inference import linear
from rctgap.intervals import ShareSet, critical_value, fieller, finite, symmetric
from rctgap.moments import item_mix
from rctgap.records import EffectRow
from rctgap.stages import Chain, Stage, Transition

__all__ = ["ComplierEffect", "complier_effects", "complier_rows"]

type Array = npt.NDArray[np.float64]
type SetType = Literal["bounded", "unbounded", "exclusive", ""]

USE = "system_use"
EDGE = 1e-12
WEAK = 10.0
ASSUMED = (
    "exclusion: assignment changes the outcome only through use of the system",
    "one-sided: nobody in the control arm used the system, so there are no defiers and no always-users",
)
EVERYONE = "nobody is recorded as not having used the system: the complier effect is the effect of the offer"
AT_EDGE = "no interval: a stage mean of 0 or 1, or too few units, leaves the variance unknown"


@dataclass(frozen=True, slots=True)
class ComplierEffect:
    """The effect of using the system on those who use it when it is offered; what cannot be given is None.

    Attributes
    ----------
    arm : str
        An AI arm, or `all`.
    estimate : float
        Two-stage least squares: the realized effect over the share who used the system.
    std_error, df, lower, upper, level, interval
        Delta method under the estimates' own covariance; `interval` is t or normal. Trust it where the first stage is
        strong.
    set_lower, set_upper, set_type
        Anderson-Rubin set at the same level, valid however weak the first stage: `bounded` is [set_lower, set_upper],
        `exclusive` is everything outside (set_lower, set_upper), `unbounded` is the whole line.
    realized_effect : float
        Of assignment, over everyone.
    first_stage, first_stage_std_error : float
        Share of the AI arm's answers whose participant used the system; the control arm's share is 0.
    f_statistic : float, optional
        Squared t of the first stage. With one instrument it is also the effective F of Montiel Olea and Pflueger.
    std_error_2sls : float
        The clustered standard error that linearmodels reports, without a small-sample correction and with residuals
        from the means of the pooled AI arms and the control arm, for comparison.
    n, clusters : int
        Answers, and independent units.
    notes : tuple of str
        The assumptions, and what else to know.
    """

    arm: str
    estimate: float
    std_error: float | None
    df: float | None
    lower: float | None
    upper: float | None
    level: float
    interval: str
    set_lower: float | None
    set_upper: float | None
    set_type: SetType
    realized_effect: float
    first_stage: float
    first_stage_std_error: float | None
    f_statistic: float | None
    std_error_2sls: float
    n: int
    clusters: int
    notes: tuple[str, ...]


def complier_effects(estimates: StageEstimates) -> tuple[ComplierEffect, ...]:
    """Estimate complier effects of each AI arm and of `all` by instrumental variables.

    Parameters
    ----------
    estimates : StageEstimates
        From scores whose answers say whether their participant used the system (role `used`).

    Returns
    -------
    tuple of ComplierEffect
        Empty without a control arm.

    Raises
    ------
    EstimationError
        An arm where nobody used the system.

    Notes
    -----
    The instrument is assignment to the AI arm against control, the treatment is use, the outcome the last stage.
    Weights make the two-stage least squares estimate the ratio of the item-standardised means. It is the average effect
    on compliers, those who use the system if and only if it is offered, if (1) arms were randomised, (2) assignment
    changes the outcome only through use (exclusion), and (3) nobody uses the system because it was not offered
    (monotonicity). Use is one-sided here: control participants are taken never to have used it, so (3) holds and
    compliers are the users of the AI arm. Exclusion fails if, for instance, being offered a system that one does not
    open changes how one answers.

    The Anderson-Rubin set holds the effects ``b`` for which ``realized effect - b first stage`` does not differ from
    0; that is Fieller's set. Its covariance factors and degrees of freedom are those of the realized effect, so it
    contains 0 exactly where the realized effect's own interval does. Where use means any use at all, the effect of
    intensive use is not identified.

    References
    ----------
    Imbens and Angrist (1994), doi 10.2307/2951620; Angrist, Imbens and Rubin (1996),
    doi 10.1080/01621459.1996.10476902; Anderson and Rubin (1949), doi 10.1214/aoms/1177730090; Montiel Olea and
    Pflueger (2013), doi 10.1080/00401706.2013.806694.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.compliers import complier_effects
    >>> rows = [("a1", 1, 1, 45), ("a1", 1, 0, 30), ("a1", 0, 1, 10), ("a1", 0, 0, 15)]
    >>> rows += [("control", 0, 1, 40), ("control", 0, 0, 60)]
    >>> frame = pd.DataFrame(rows, columns=["arm", "used", "decision", "count"])
    >>> frame["conversation"] = frame["decision"].where(frame["used"] == 1)
    >>> trial = rg.read_trial(frame, design=rg.Design("control", ["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimates = rg.estimate_frequentist(scores, rg.Estimand("fixed", non_users="exclude"))
    >>> effect = complier_effects(estimates)[0]
    >>> effect.first_stage, round(effect.realized_effect, 2), round(effect.estimate, 2)
    (0.75, 0.15, 0.2)
    """
    estimates.require_frequentist("complier effects")
    control = estimates.scores.design.control
    if control is None:
        return ()
    joint = _use_and_outcome(estimates)
    _refuse_unused(joint)
    return tuple(_effect(joint, label, weights, control) for label, weights in arm_sets(estimates))


def _use_and_outcome(estimates: StageEstimates) -> StageEstimates:
    """The same estimates for a chain of two stages, use and outcome, so that their covariance is joint.

    Use counts on the answers whose outcome is known, as two-stage least squares has it.
    """
    scores, last = estimates.scores, estimates.scores.chain[estimates.scores.chain.last]
    answers = scores.answers
    offered = answers["arm"].isin([arm.label for arm in scores.design.arms]) & answers[last.name].notna()
    answers[USE] = answers["used"].astype("float64").where(offered)
    chain = Chain((Stage(USE), last), (Transition(last.name, "outcome"),))
    narrowed = replace(scores, chain=chain, paired=True, _answers=answers)
    estimand = replace(estimates.estimand, non_users="zero")
    return replace(estimates, scores=narrowed, estimand=estimand, statistics=sufficient_statistics(narrowed, estimand))


def _refuse_unused(joint: StageEstimates) -> None:
    idle = [arm.label for arm in joint.scores.design.arms if joint.value(MomentKey(arm.label, USE)) <= EDGE]
    if idle:
        raise EstimationError(
            Fault(
                "nobody in this arm used the system, so there are no compliers",
                "Check the column of role `used`, or leave the arm out",
                place="used",
                value=idle[0],
            )
        )


def _effect(joint: StageEstimates, label: str, weights: Mapping[str, float], control: str) -> ComplierEffect:
    last = joint.scores.chain.last
    use = {MomentKey(arm, USE): weight for arm, weight in weights.items() if weight}
    effect = {MomentKey(arm, last): weight for arm, weight in weights.items() if weight} | {
        MomentKey(control, last): -1.0
    }
    realized, first = linear(joint, [effect, use])
    share = float(first.estimate or 0.0)
    estimate, clustered = _two_stage(joint, weights, control)
    everyone = share > 1 - EDGE
    residual = effect if everyone else effect | {key: -estimate * weight for key, weight in use.items()}
    slope = linear(joint, [{key: weight / share for key, weight in residual.items()}])[0]
    reason = _untestable(realized, slope)
    wald = None if reason else symmetric(estimate, float(slope.std_error or 0.0), _df(slope), joint.level)
    region = None if reason else _anderson_rubin(joint, effect, use, realized)
    strength = None if everyone or not first.std_error else (share / first.std_error) ** 2
    return ComplierEffect(
        label,
        estimate,
        slope.std_error if wald else None,
        slope.df if wald else None,
        wald.lower if wald else None,
        wald.upper if wald else None,
        joint.level,
        wald.kind if wald else "",
        region.lower if region else None,
        region.upper if region else None,
        region.set_type if region else "",
        float(realized.estimate or 0.0),
        share,
        first.std_error,
        strength,
        clustered,
        realized.n,
        realized.clusters,
        tuple(note for note in (*ASSUMED, _remark(share, strength), reason) if note),
    )


def _two_stage(joint: StageEstimates, weights: Mapping[str, float], control: str) -> tuple[float, float]:
    """Two-stage least squares and its clustered standard error, rows weighted as the estimand says."""
    frame, weight = _weighted_rows(joint, {**weights, control: 1.0})
    offered = (frame["arm"] != control).to_numpy(dtype=np.float64)
    people = pd.factorize(frame["participant"])[0] if joint.scores.participants else np.arange(len(frame))
    fit = IV2SLS(
        frame[joint.scores.chain.last].to_numpy(dtype=np.float64),
        np.ones((len(frame), 1)),
        frame[USE].fillna(0.0).to_numpy(dtype=np.float64),
        offered,
        weights=weight,
    ).fit(cov_type="clustered", clusters=people)
    return float(fit.params.iloc[1]), math.sqrt(max(float(fit.cov.to_numpy()[1, 1]), 0.0))


def _weighted_rows(joint: StageEstimates, arms: Mapping[str, float]) -> tuple[pd.DataFrame, Array]:
    """Answers with an outcome, one row each, and weights under which an arm's plain mean is its standardised one."""
    answers, mix = joint.scores.answers, item_mix(joint.scores, joint.estimand)
    kept = answers[answers["arm"].isin([arm for arm, weight in arms.items() if weight])]
    kept = kept[kept[joint.scores.chain.last].notna()]
    kept = kept if mix is None else kept[kept["item"].isin(mix)]
    frame = kept.loc[kept.index.repeat(kept["count"].astype("int64"))].reset_index(drop=True)
    cells = ["arm"] if mix is None else ["arm", "item"]
    size = frame.groupby(cells)["count"].transform("size")
    share = frame["arm"].map(arms) * (1.0 if mix is None else frame["item"].map(dict(mix)))
    return frame, (share / size).to_numpy(dtype=np.float64)


def _untestable(realized: Linear, slope: Linear) -> str:
    """Why no interval can be given; empty where one can."""
    if realized.interval is None or slope.std_error is None:
        return "; ".join(dict.fromkeys((*realized.notes, *slope.notes))) or AT_EDGE
    return "" if realized.interval.kind in ("t", "normal") and slope.std_error > EDGE else AT_EDGE


def _anderson_rubin(
    joint: StageEstimates, effect: Mapping[MomentKey, float], use: Mapping[MomentKey, float], realized: Linear
) -> ShareSet:
    rows = np.array([joint.row(effect), joint.row(use)])
    together = covariance_of(joint, rows).joint(0, [0, 1])
    share = sum(weight * joint.value(key) for key, weight in use.items())
    return fieller(float(realized.estimate or 0.0), share, together, critical_value(joint.level, _df(realized)))


def _df(result: Linear) -> float:
    return math.inf if result.df is None else result.df


def _remark(share: float, strength: float | None) -> str:
    if share > 1 - EDGE:
        return EVERYONE
    if strength is not None and strength < WEAK:
        return f"weak first stage (F = {strength:.1f}, below 10): read the Anderson-Rubin set, not the interval"
    return ""


def complier_rows(estimates: StageEstimates) -> Iterator[EffectRow]:
    """Complier effects as rows of effects.csv: the Anderson-Rubin set, and the first stage in the note."""
    chosen = estimates.estimand
    for one in complier_effects(estimates):
        strength = "" if one.f_statistic is None else f", F {one.f_statistic:.1f}"
        notes = [
            f"share who used the system {one.first_stage:.3f}{strength}",
            *one.notes,
            *_cautions(estimates, one.arm),
        ]
        if one.set_type == "exclusive":
            notes.insert(0, "the set is all values up to `lower` and from `upper` on")
        if one.set_type == "unbounded":
            notes.insert(0, "the first stage is too weak to bound the effect")
        yield EffectRow(
            one.arm,
            "complier_effect",
            one.estimate,
            finite(one.set_lower),
            finite(one.set_upper),
            one.level,
            chosen.items,
            chosen.item_weights_name,
            "; ".join(notes),
        )


def _cautions(estimates: StageEstimates, arm: str) -> Iterator[str]:
    """What the effect leaves out: covariates, and people without an outcome."""
    if estimates.adjustment != "none":
        yield "not adjusted for covariates"
    scores, answers = estimates.scores, estimates.scores.answers
    labels = [one.label for one in scores.design.arms] if arm == ALL_ARMS else [arm]
    unknown = answers["arm"].isin(labels) & answers[scores.chain.last].isna()
    if bool((unknown & ~answers["used"]).any()):
        yield "answers without an outcome are left out, some of people who never used the system: the share is too high"
