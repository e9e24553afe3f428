"""Answers without a score: what an estimate makes of them."""

from dataclasses import replace

import numpy as np

from rctgap.scores import StageScores

__all__ = ["with_non_users"]


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
