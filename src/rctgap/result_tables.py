"""Which records of a result go into which file."""

from collections.abc import Mapping

from rctgap.check_records import BiasRow, InfluenceRow, OrderRow, OutcomeRow
from rctgap.records import (
    AssumptionRow,
    AttritionRow,
    CheckResult,
    ComponentRow,
    EffectRow,
    FitRow,
    HypothesisRow,
    MarginRow,
    MissingRow,
    PosteriorRow,
    PredictiveRow,
    PriorRow,
    ShareRow,
    StageRow,
    SystemRow,
)
from rctgap.scoring_records import ScoringRow, SpecificationRow
from rctgap.staged_records import PredictionRow, StagedRow

__all__ = ["OF_A_POSTERIOR", "ONLY_WITH_ROWS", "RECORDS", "TABLES"]

TABLES: Mapping[str, tuple[str, type]] = {
    "components": ("components.csv", ComponentRow),
    "shares": ("shares.csv", ShareRow),
    "stages": ("stages.csv", StageRow),
    "other_stages": ("stages_other.csv", StageRow),
    "effects": ("effects.csv", EffectRow),
    "tests": ("tests.csv", HypothesisRow),
    "missing": ("missing.csv", MissingRow),
    "specifications": ("specifications.csv", SpecificationRow),
    "scoring": ("scoring.csv", ScoringRow),
    "staged": ("staged.csv", StagedRow),
    "predictions": ("predictions.csv", PredictionRow),
    "influence": ("leave_one_out.csv", InfluenceRow),
    "orders": ("orders.csv", OrderRow),
    "outcomes": ("outcomes.csv", OutcomeRow),
    "bias": ("bias_curve.csv", BiasRow),
    "posterior": ("posterior.csv", PosteriorRow),
    "priors": ("priors.csv", PriorRow),
    "predictive": ("predictive.csv", PredictiveRow),
    "fits": ("fits.csv", FitRow),
    "checks": ("checks.csv", CheckResult),
    "assumptions": ("assumptions.csv", AssumptionRow),
    "attrition": ("attrition.csv", AttritionRow),
}

OF_A_POSTERIOR = ("posterior", "priors", "predictive", "fits")
ONLY_WITH_ROWS = ("specifications", "scoring", "influence", "orders", "outcomes", "bias")
RECORDS: Mapping[str, type] = {
    **{name: kind for name, (_, kind) in TABLES.items()},
    "alternatives": ComponentRow,
    "margins": MarginRow,
    "systems": SystemRow,
}
