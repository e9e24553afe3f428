"""Figures of a result: accuracy ladder, forest of components, flow of answers; of a posterior, what it says and fits.

Each figure has a pure `prepare_*` function that picks numbers out of a result, and a function
that draws them. Nothing is shown on a screen and no global state of matplotlib is left changed.
"""

from rctgap.plots.bias_curve import BiasCurve, BiasFigure, bias_curve, prepare_bias_curve
from rctgap.plots.flows import Flow, FlowFigure, flows, prepare_flows
from rctgap.plots.forest import ForestEntry, ForestFigure, ForestRow, forest, prepare_forest
from rctgap.plots.ladder import Effect, LadderFigure, Level, Step, ladder, prepare_ladder
from rctgap.plots.posterior import PosteriorFigure, PosteriorMark, posterior, prepare_posterior
from rctgap.plots.predictive import (
    Predicted,
    PredictiveFigure,
    StagePredictions,
    predictive,
    predictive_arms,
    prepare_predictive,
)
from rctgap.plots.schools import both_schools, prepare_schools, schools
from rctgap.plots.specifications import Curve, SpecificationFigure, prepare_specifications, specifications
from rctgap.plots.staged import prepare_staged, staged
from rctgap.plots.vector import svg

__all__ = [
    "BiasCurve",
    "BiasFigure",
    "Curve",
    "Effect",
    "Flow",
    "FlowFigure",
    "ForestEntry",
    "ForestFigure",
    "ForestRow",
    "LadderFigure",
    "Level",
    "PosteriorFigure",
    "PosteriorMark",
    "Predicted",
    "PredictiveFigure",
    "SpecificationFigure",
    "StagePredictions",
    "Step",
    "bias_curve",
    "both_schools",
    "flows",
    "forest",
    "ladder",
    "posterior",
    "predictive",
    "predictive_arms",
    "prepare_bias_curve",
    "prepare_flows",
    "prepare_forest",
    "prepare_ladder",
    "prepare_posterior",
    "prepare_predictive",
    "prepare_schools",
    "prepare_specifications",
    "prepare_staged",
    "schools",
    "specifications",
    "staged",
    "svg",
]
