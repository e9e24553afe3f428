"""A simulated trial as a folder that `rctgap decompose` takes: data, dictionary, analysis, and the truth."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from rctgap.estimands import Estimand
from rctgap.result_folders import replacing
from rctgap.simulate import CONTROL, SimulatedTrial, SimulationPlan, simulate_trial

__all__ = ["write_simulation"]


def write_simulation(plan: SimulationPlan, seed: int, folder: Path) -> SimulatedTrial:
    """Draw a trial and write it with its truth into a new or empty folder.

    Raises
    ------
    OutputError
        The folder holds something.
    """
    drawn = simulate_trial(plan, seed)
    with replacing(folder, "study") as place:
        drawn.answers.to_csv(place / "trial.csv", index=False, lineterminator="\n")
        if not drawn.runs.empty:
            drawn.runs.to_csv(place / "runs.csv", index=False, lineterminator="\n")
        _truth(drawn).to_csv(place / "truth.csv", index=False, lineterminator="\n")
        _write_yaml(place / "dictionary.yaml", _dictionary(drawn))
        _write_yaml(place / "analysis.yaml", _analysis(drawn, seed))
        settings = {name: value for name, value in asdict(plan).items() if name != "chain"}
        text = json.dumps({"schema": "rctgap/simulation/1", "seed": seed, "plan": settings}, indent=1, default=dict)
        (place / "simulation.json").write_text(text + "\n", encoding="utf-8")
    return drawn


def _write_yaml(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _truth(drawn: SimulatedTrial) -> pd.DataFrame:
    """The true value of every quantity under each estimand."""
    asked = [Estimand("random"), *(Estimand("fixed", weights) for weights in ("observed", "trial", "uniform"))]
    rows = [
        (arm, quantity, one.items, "" if one.items == "random" else one.item_weights_name, value)
        for one in asked
        for (arm, quantity), value in drawn.truth(one).items()
    ]
    return pd.DataFrame(rows, columns=["arm", "quantity", "items", "item_weights", "value"])


def _dictionary(drawn: SimulatedTrial) -> dict[str, Any]:
    chain = drawn.plan.chain
    labels = [*drawn.plan.arms, *([] if drawn.plan.control_mean is None else [CONTROL])]
    key = [
        {"name": "participant", "type": "string", "role": "participant"},
        {"name": "item", "type": "string", "role": "item"},
        {"name": "arm", "type": "string", "role": "arm", "levels": [{"value": label} for label in labels]},
    ]
    scores = [_score(stage.name, "number") for stage in chain.stages if stage.source != "benchmark"]
    tables: dict[str, Any] = {"trial": {"missingValues": [""], "fields": [*key, *scores]}}
    if not drawn.runs.empty:
        system = {"name": "system", "type": "string", "role": "system"}
        tables["benchmark"] = {"fields": [system, key[1], _score(chain.first, "integer")]}
    return {"schema": "rctgap/dictionary/1", "tables": tables}


def _score(stage: str, kind: str) -> dict[str, Any]:
    return {"name": stage, "type": kind, "role": "score", "stage": stage, "constraints": {"minimum": 0, "maximum": 1}}


def _analysis(drawn: SimulatedTrial, seed: int) -> dict[str, Any]:
    plan = drawn.plan
    data = {"trial": "trial.csv"} | ({} if drawn.runs.empty else {"benchmark": "runs.csv"})
    return {
        "schema": "rctgap/analysis/1",
        "title": "Simulated trial",
        "dictionary": "dictionary.yaml",
        "data": data,
        "arms": {"control": None if plan.control_mean is None else CONTROL, "ai": list(plan.arms)},
        "stages": [{"name": stage.name, "from": stage.source} for stage in plan.chain.stages],
        "transitions": [
            {"to": step.to, "family": step.family, "assumptions": list(step.assumptions)}
            for step in plan.chain.transitions
        ],
        "estimand": {"items": "fixed", "item_weights": "trial"},
        "suppress_below": 0,
        "seed": seed,
    }
