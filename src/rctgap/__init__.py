"""Why a model that aces a benchmark does not help its users: gap decomposition from randomised trials.

Names are loaded when first used, so that ``import rctgap`` and ``rctgap --help`` are quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "Arm": "design",
    "BenchmarkCard": "cards",
    "Borrowing": "design",
    "Chain": "stages",
    "Conversation": "conversations",
    "DEFAULT_CHAIN": "stages",
    "DeploymentEvidence": "card_evidence",
    "Design": "design",
    "Dictionary": "dictionary",
    "Estimand": "estimands",
    "Exclusion": "design",
    "GapDecomposition": "results",
    "LogForm": "logs.reading",
    "MomentKey": "estimands",
    "PoolingPrior": "pooling",
    "RctgapError": "errors",
    "RctgapWarning": "errors",
    "SimulatedTrial": "simulate",
    "SimulationPlan": "simulate",
    "Stage": "stages",
    "StageEstimates": "estimates",
    "StageScores": "scores",
    "Transition": "stages",
    "TrialData": "trial",
    "bootstrapped": "bootstrap",
    "codebook": "codebooks",
    "compare": "synthesis",
    "complete_cases": "missing",
    "complier_effects": "compliers",
    "decompose": "decomposition",
    "estimate_bayesian": "bayesian",
    "estimate_frequentist": "frequentist",
    "estimate_system": "system",
    "evidence_of": "deployment_evidence",
    "inverse_probability": "weighting",
    "labelling_plan": "labelling",
    "load": "export",
    "missing_score_rows": "missingness",
    "randomisation_inference": "inference_by_design",
    "read_analysis": "inputs",
    "read_card": "cards",
    "read_conversations": "logs.reading",
    "read_dictionary": "dictionary",
    "read_inputs": "inputs",
    "read_posterior": "posterior_file",
    "read_trial": "trial",
    "run_analysis": "analysis",
    "run_checks": "checks",
    "save": "export",
    "score_analysis": "inputs",
    "score_stages": "scores",
    "simulate_trial": "simulate",
    "staged_evaluation": "evaluation",
    "wald_tests": "wald",
    "wild_cluster_bootstrap": "inference_by_design",
    "with_evidence": "card_writing",
    "turn_table": "conversations",
    "write_report": "report",
    "write_synthesis": "synthesis",
}

__all__ = ["__version__", *sorted(_WHERE)]  # noqa: PLE0604 - names of the table above

if TYPE_CHECKING:
    from rctgap.analysis import run_analysis
    from rctgap.bayesian import estimate_bayesian
    from rctgap.bootstrap import bootstrapped
    from rctgap.card_evidence import DeploymentEvidence
    from rctgap.card_writing import with_evidence
    from rctgap.cards import BenchmarkCard, read_card
    from rctgap.checks import run_checks
    from rctgap.codebooks import codebook
    from rctgap.compliers import complier_effects
    from rctgap.conversations import Conversation, turn_table
    from rctgap.decomposition import decompose
    from rctgap.deployment_evidence import evidence_of
    from rctgap.design import Arm, Borrowing, Design, Exclusion
    from rctgap.dictionary import Dictionary, read_dictionary
    from rctgap.errors import RctgapError, RctgapWarning
    from rctgap.estimands import Estimand, MomentKey
    from rctgap.estimates import StageEstimates
    from rctgap.evaluation import staged_evaluation
    from rctgap.export import load, save
    from rctgap.frequentist import estimate_frequentist
    from rctgap.inference_by_design import randomisation_inference, wild_cluster_bootstrap
    from rctgap.inputs import read_analysis, read_inputs, score_analysis
    from rctgap.labelling import labelling_plan
    from rctgap.logs.reading import LogForm, read_conversations
    from rctgap.missing import complete_cases
    from rctgap.missingness import missing_score_rows
    from rctgap.pooling import PoolingPrior
    from rctgap.posterior_file import read_posterior
    from rctgap.report import write_report
    from rctgap.results import GapDecomposition
    from rctgap.scores import StageScores, score_stages
    from rctgap.simulate import SimulatedTrial, SimulationPlan, simulate_trial
    from rctgap.stages import DEFAULT_CHAIN, Chain, Stage, Transition
    from rctgap.synthesis import compare, write_synthesis
    from rctgap.system import estimate_system
    from rctgap.trial import TrialData, read_trial
    from rctgap.wald import wald_tests
    from rctgap.weighting import inverse_probability


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'rctgap' has no attribute {name!r}")
    return getattr(import_module(f"rctgap.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
