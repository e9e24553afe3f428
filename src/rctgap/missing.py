"""Answers without a score: what an estimate makes of them.

The default uses each stage's own scored answers. The alternatives are other stage scores, from which every estimator,
covariance and contrast follows as before: complete answers alone, or missing scores at the values that make a
quantity as small or as large as can be. `weighting` has the third, inverse-probability weights.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from rctgap.errors import EstimationError, Fault
from rctgap.estimands import MomentKey
from rctgap.scores import StageScores, due, stages_in_use
from rctgap.trial import AttritionStep

__all__ = [
    "End",
    "complete_cases",
    "extreme_values",
    "filled",
    "missing_scores",
    "refuse_marginal",
    "with_non_users",
    "worst_case",
]

type End = Literal["lower", "upper"]


def with_non_users(scores: StageScores, policy: str | None) -> StageScores:
    """Apply `zero` or `exclude` to the task stages of answers whose participant never wrote."""
    if policy not in ("zero", "exclude"):
        return scores
    frame = scores.answers
    names = [stage.name for stage in scores.trial_stages if stage.name != scores.chain.last]
    labels = [arm.label for arm in scores.design.arms]
    idle = ~frame["used"] & frame["arm"].isin(labels)
    frame.loc[idle, names] = 0.0 if policy == "zero" else np.nan
    return replace(scores, _answers=frame)


def missing_scores(scores: StageScores) -> Mapping[tuple[str, str], int]:
    """How many answers lack a score that they should have, by arm and stage; those that lack none are left out.

    At the task stages of a participant who never wrote nothing is missing: the choice for non-users says what they
    are. Marginal counts do not tell how many are missing.
    """
    if not scores.paired:
        return {}
    frame = scores.answers
    found = {}
    for arm, stage in stages_in_use(scores.chain, scores.design):
        lacking = due(frame, arm, everyone=stage == scores.chain.last) & frame[stage].isna()
        if bool(lacking.any()):
            found[arm, stage] = int(frame.loc[lacking, "count"].sum())
    return found


def refuse_marginal(scores: StageScores, what: str) -> None:
    """Marginal counts say nothing of the answers that are not among them."""
    if not scores.paired:
        raise EstimationError(
            Fault(
                f"{what} cannot be done from marginal counts, which do not tell which answers lack a score",
                "Give the scores answer by answer, or as patterns with a count",
                place="missing",
            )
        )


def complete_cases(scores: StageScores) -> StageScores:
    """Leave out every answer that lacks a score at a stage its arm is used for.

    An answer of an AI arm stays if each of its trial stages is scored, one of the control arm if its last stage is.
    For an answer whose participant never wrote only the last stage counts. A stage that an arm borrows is not asked
    of its own answers, and an arm that only lends is asked only for what it lends. The benchmark stays as it is.

    Returns
    -------
    StageScores
        With a step of attrition for each arm that lost answers.

    Raises
    ------
    EstimationError
        Marginal counts, or an arm without one complete answer at some stage.

    Notes
    -----
    Unbiased where scores go missing at random with respect to all stages; the mean of a complete stage moves as well.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.missing import complete_cases
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 0, None], "decision": [1, 0, 1], "count": [30, 40, 10]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = complete_cases(rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")]))
    >>> int(scores.answers["count"].sum())
    70
    >>> scores.attrition[-1].reason
    'not complete: no score at conversation'
    """
    refuse_marginal(scores, "an analysis of complete answers")
    frame, last = scores.answers, scores.chain.last
    wanted = stages_in_use(scores.chain, scores.design)
    lacking = {
        (arm, stage): due(frame, arm, everyone=stage == last) & frame[stage].isna()
        for arm, stage in missing_scores(scores)
    }
    kept = pd.Series(data=True, index=frame.index)
    for incomplete in lacking.values():
        kept &= ~incomplete
    for arm, stage in wanted:
        asked = due(frame, arm, everyone=stage == last)
        if bool(asked.any()) and not bool((asked & kept).any()):
            raise EstimationError(
                Fault(
                    f"no answer of arm {arm!r} that should have a score at {stage!r} is complete",
                    "Use the scored answers of each stage, or leave a stage out of the chain",
                    place="missing",
                    value="complete_case",
                )
            )
    steps = []
    for arm in dict.fromkeys(arm for arm, _ in lacking):
        mine = frame["arm"] == arm
        stages = " or ".join(stage for other, stage in lacking if other == arm)
        entered, left = (int(frame.loc[rows, "count"].sum()) for rows in (mine, mine & kept))
        steps.append(AttritionStep("complete_case", arm, entered, left, f"not complete: no score at {stages}"))
    whole = frame[kept].reset_index(drop=True)
    return replace(scores, attrition=(*scores.attrition, *steps), _answers=whole)


def extreme_values(
    scores: StageScores, coefficients: Mapping[MomentKey, float], end: End
) -> Mapping[tuple[str, str], float]:
    """The value, 0 or 1, at which missing scores make a contrast of stage means as small or as large as can be.

    Parameters
    ----------
    scores : StageScores
    coefficients : mapping of (arm, stage) to float
        As in `Contrast.coefficients`; arms that share lent rows are added up.
    end : {"lower", "upper"}

    Returns
    -------
    mapping of (arm, stage) to float
        By the arm whose rows carry the stage; only stages that miss scores and carry weight.

    Raises
    ------
    EstimationError
        A coefficient of anything but a stage mean.
    """
    arms = {arm.label: arm for arm in scores.design.arms}
    weight: dict[tuple[str, str], float] = {}
    for key, value in coefficients.items():
        if key.name not in scores.chain.names:
            raise EstimationError(
                Fault(
                    "bounds are for contrasts of stage means",
                    f"Use coefficients of the stages {', '.join(scores.chain.names)}",
                    place="missing",
                    value=key.name,
                )
            )
        rows = (arms[key.arm].rows_of(key.name) if key.arm in arms else key.arm, key.name)
        weight[rows] = weight.get(rows, 0.0) + value
    high = 1.0 if end == "upper" else 0.0
    return {
        rows: high if weight[rows] > 0 else 1.0 - high for rows in missing_scores(scores) if weight.get(rows, 0.0) != 0
    }


def filled(scores: StageScores, values: Mapping[tuple[str, str], float]) -> StageScores:
    """Missing scores set to a value, by the arm whose rows carry the stage."""
    frame = scores.answers
    for (arm, stage), value in values.items():
        lacking = due(frame, arm, everyone=stage == scores.chain.last) & frame[stage].isna()
        frame.loc[lacking, stage] = value
    return replace(scores, _answers=frame)


def worst_case(scores: StageScores, coefficients: Mapping[MomentKey, float], end: End) -> StageScores:
    """Fill missing scores so that a contrast of stage means is as small or as large as can be.

    Parameters
    ----------
    scores : StageScores
    coefficients : mapping of (arm, stage) to float
        As in `Contrast.coefficients`: a missing score at a stage with a positive coefficient becomes 0 for the lower
        end and 1 for the upper one, and the other way round.
    end : {"lower", "upper"}

    Returns
    -------
    StageScores
        Stages without weight keep their missing scores.

    Raises
    ------
    EstimationError
        Marginal counts, or a coefficient of anything but a stage mean.

    Notes
    -----
    Scores lie in [0, 1], so no assumption is made on why they are missing. Under `non_users="control"` the control
    mean also stands in for non-users; `missingness` tries both ends of it.

    References
    ----------
    Manski (1990), American Economic Review 80(2); Horowitz and Manski (2000), doi 10.1080/01621459.2000.10473902.

    Examples
    --------
    >>> import pandas as pd
    >>> import rctgap as rg
    >>> from rctgap.missing import worst_case
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 0, None], "decision": [1, 0, 1], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> component = {rg.MomentKey("a1", "conversation"): 1.0, rg.MomentKey("a1", "decision"): -1.0}
    >>> for end in ("lower", "upper"):
    ...     estimates = rg.estimate_frequentist(worst_case(scores, component, end), rg.Estimand(items="fixed"))
    ...     print(round(sum(weight * estimates.value(key) for key, weight in component.items()), 3))
    -0.3
    0.0
    """
    refuse_marginal(scores, "worst-case bounds")
    return filled(scores, extreme_values(scores, coefficients, end))
