"""Figures of a result: the accuracy ladder, the forest of components, the flow of answers.

Each figure has a pure `prepare_*` function that picks numbers out of a result, and a function
that draws them. Nothing is shown on a screen and no global state of matplotlib is left changed.
"""

from rctgap.plots.flows import Flow, FlowFigure, flows, prepare_flows
from rctgap.plots.forest import ForestEntry, ForestFigure, ForestRow, forest, prepare_forest
from rctgap.plots.ladder import Effect, LadderFigure, Level, Step, ladder, prepare_ladder
from rctgap.plots.vector import svg

__all__ = [
    "Effect",
    "Flow",
    "FlowFigure",
    "ForestEntry",
    "ForestFigure",
    "ForestRow",
    "LadderFigure",
    "Level",
    "Step",
    "flows",
    "forest",
    "ladder",
    "prepare_flows",
    "prepare_forest",
    "prepare_ladder",
    "svg",
]
