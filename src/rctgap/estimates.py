"""Estimated moments with the uncertainty that belongs to them, handed from estimators to the decomposition."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rctgap.cells import SufficientStatistics
from rctgap.estimands import Estimand, MomentKey
from rctgap.scores import StageScores
from rctgap.variance import CovarianceName, SmallSample

__all__ = ["StageEstimates"]

type Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StageEstimates:
    """Stage means and the other moments of a trial under one estimand.

    Attributes
    ----------
    scores : StageScores
        What was estimated from.
    estimand : Estimand
    statistics : SufficientStatistics
        Moments, their values, and the influence of every unit on them.
    method, estimator : str
        School and estimator, for tables.
    covariance : {"robust", "cluster", "cluster2", "item"}
    small_sample : {"CR1", "CR2", "CR3"}
        Used by `cluster` alone.
    level : float
        Of every interval.
    notes : tuple of str
        What was chosen for the user, and why.
    """

    scores: StageScores
    estimand: Estimand
    statistics: SufficientStatistics
    covariance: CovarianceName
    small_sample: SmallSample
    level: float
    method: str = "frequentist"
    estimator: str = "plug-in"
    notes: tuple[str, ...] = ()

    @property
    def keys(self) -> Mapping[MomentKey, int]:
        """Position of each moment."""
        return {key: position for position, key in enumerate(self.statistics.moments)}

    @property
    def small_sample_name(self) -> str:
        """The small-sample correction as tables print it."""
        if self.covariance == "cluster":
            return self.small_sample
        return "HC1" if self.covariance == "robust" else ""

    def value(self, key: MomentKey) -> float:
        """Estimate of one moment."""
        return float(self.statistics.values[self.keys[key]])

    def row(self, coefficients: Mapping[MomentKey, float]) -> Array:
        """A linear quantity as a row over the moments, shape (J,)."""
        keys = self.keys
        row = np.zeros(len(keys))
        for key, weight in coefficients.items():
            row[keys[key]] = weight
        return row
