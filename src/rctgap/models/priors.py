"""Priors of the hierarchical model: visible numbers, each with its distribution and what it means."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from rctgap.documents import nearest
from rctgap.errors import AnalysisError, Fault

__all__ = ["Priors"]


def _prior(default: float, distribution: str, meaning: str) -> Any:
    return field(default=default, metadata={"distribution": distribution, "meaning": meaning})


@dataclass(frozen=True, slots=True)
class Priors:
    """What is believed before the data, on the logit scale unless said; every number may be overridden.

    Attributes
    ----------
    stage_mean_sd, item_sd, item_correlation, arm_sd, carry_sd, state_sd, participant_sd, threshold_gap : float
        See `describe`.
    precision_centre, precision_log_sd : float
        Of fractional scores of a bounded type.
    residual_sd : float
        Of fractional scores of an unbounded type, on the scale of the scores.
    error_rate : float
        Of the sensitivity and the specificity of scorers that err.

    Raises
    ------
    AnalysisError
        A value that is not a positive finite number.

    Examples
    --------
    >>> from rctgap.models.priors import Priors
    >>> Priors.of({"item_sd": 1.0}).item_sd
    1.0
    >>> [row for row in Priors().describe() if row[0] == "item_sd"][0][2:4]
    (2.5, 'half-normal(0, item_sd)')
    """

    stage_mean_sd: float = _prior(
        2.0,
        "normal(0, stage_mean_sd)",
        "logit of a stage's mean over the population of items and participants, at a previous score of one half: "
        "2 puts 95 % of it between 2 and 98 %, close to uniform",
    )
    item_sd: float = _prior(
        2.5,
        "half-normal(0, item_sd)",
        "spread of item difficulty at one stage: at 1, items of a 50 % stage range from 12 to 88 %; "
        "at 2.5, from 1 to 99 %",
    )
    item_correlation: float = _prior(
        2.0,
        "LKJ(item_correlation)",
        "correlation of item difficulty between stages: 1 is uniform, larger values lean towards none",
    )
    arm_sd: float = _prior(
        1.0,
        "normal(0, arm_sd), summing to zero",
        "differences between arms at one stage: at 1, two arms differ by up to some 50 points",
    )
    carry_sd: float = _prior(
        2.0,
        "normal(0, carry_sd)",
        "log odds ratio of a right answer where the previous stage was right rather than wrong",
    )
    state_sd: float = _prior(
        1.5,
        "normal(0, state_sd)",
        "shift of the logit for answers without a previous score: unpaired stages, and decisions of non-users",
    )
    participant_sd: float = _prior(
        1.0,
        "half-normal(0, participant_sd)",
        "spread between participants at one stage, where they answer more than once",
    )
    threshold_gap: float = _prior(
        2.0, "half-normal(0, threshold_gap)", "distance between neighbouring thresholds of an ordinal score"
    )
    precision_centre: float = _prior(
        5.0,
        "log-normal(log precision_centre, precision_log_sd)",
        "precision of a fractional score between 0 and 1 (beta): 5 spreads single scores like five yes-or-no questions",
    )
    precision_log_sd: float = _prior(1.0, "see precision_centre", "uncertainty of the log of that precision")
    residual_sd: float = _prior(
        0.5, "half-normal(0, residual_sd)", "spread of single scores of an unbounded type around their mean"
    )
    error_rate: float = _prior(
        1.0,
        "beta(error_rate + cases scored rightly, error_rate + cases scored wrongly), sensitivity + specificity over 1",
        "sensitivity and specificity of a scorer that errs, before and with its labelled cases: 1 is uniform",
    )

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not number or value <= 0:
                raise AnalysisError(
                    Fault(
                        "a prior that is not a positive number",
                        f"Give a positive number (default {one.default})",
                        place=f"bayesian.priors.{one.name}",
                        value=str(value),
                    )
                )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> "Priors":
        """The defaults with the given values in their place.

        Raises
        ------
        AnalysisError
            A name that is no prior, with the nearest that is; a value that is not a positive number.
        """
        known = [one.name for one in fields(cls)]
        unknown = next((name for name in given if name not in known), None)
        if unknown is not None:
            raise AnalysisError(Fault("this is no prior", nearest(unknown, known), place=f"bayesian.priors.{unknown}"))
        return cls(**given)

    def describe(self) -> tuple[tuple[str, float, float, str, str], ...]:
        """Name, value, default, distribution and meaning of each."""
        return tuple(
            (
                one.name,
                float(getattr(self, one.name)),
                float(one.default),  # type: ignore[arg-type]
                one.metadata["distribution"],
                one.metadata["meaning"],
            )
            for one in fields(self)
        )
