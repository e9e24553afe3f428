"""Arms and systems meet through the aliases that the dictionary declares (contract, sections 3 and 4)."""

import pandas as pd
import pytest

import rctgap as rg

DICTIONARY = {
    "schema": "rctgap/dictionary/1",
    "tables": {
        "trial": {
            "fields": [
                {
                    "name": "group",
                    "type": "string",
                    "role": "arm",
                    "levels": [
                        {"value": 1, "label": "llama3", "aliases": ["Llama 3 70B"]},
                        {"value": 2, "label": "gpt", "aliases": ["GPT-4o"]},
                        {"value": 3, "label": "control"},
                    ],
                },
                {"name": "own_query", "type": "integer", "role": "score", "stage": "own_query"},
                {"name": "conversation", "type": "integer", "role": "score", "stage": "conversation"},
                {"name": "decision", "type": "integer", "role": "score", "stage": "decision"},
                {"name": "count", "type": "integer", "role": "count"},
            ]
        },
        "benchmark": {
            "fields": [
                {"name": "model", "type": "string", "role": "system"},
                {"name": "benchmark", "type": "integer", "role": "score", "stage": "benchmark"},
                {"name": "count", "type": "integer", "role": "count"},
            ]
        },
    },
}
ROWS = [
    [1, 1, 1, 1, 30],
    [1, 1, 1, 0, 30],
    [1, 0, 0, 0, 40],
    [2, None, 1, 1, 20],
    [2, None, 0, 0, 20],
    [2, None, 1, 0, 10],
    [3, None, None, 1, 47],
    [3, None, None, 0, 53],
]
TRIAL = pd.DataFrame(ROWS, columns=["group", "own_query", "conversation", "decision", "count"]).astype("Int64")
RUNS = pd.DataFrame(
    [["Llama 3 70B", 1, 95], ["Llama 3 70B", 0, 5], ["GPT-4o", 1, 90], ["GPT-4o", 0, 10]],
    columns=["model", "benchmark", "count"],
)


def decomposed(control, ai, **estimand):
    trial = rg.read_trial(TRIAL, benchmark=RUNS, dictionary=DICTIONARY, design=rg.Design(control, ai))
    scores = rg.score_stages(trial, rg.DEFAULT_CHAIN)
    chosen = rg.Estimand(items="fixed", **estimand)
    return rg.decompose(rg.estimate_frequentist(scores, chosen), chosen)


@pytest.mark.parametrize("control", ["control", 3, "3"])
@pytest.mark.parametrize("arm", ["llama3", "Llama 3 70B", 1])
@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")
def test_any_spelling_of_an_arm_is_its_label(arm, control):
    result = decomposed(control, [arm])
    assert result.settings.arms == ("llama3",)
    assert result.row("gap", "llama3").estimate == pytest.approx(0.95 - 0.3)
    assert result.row("realized_effect", "llama3").estimate == pytest.approx(0.3 - 0.47)
    assert next(one.status for one in result.checks if one.check == "same_system") == "pass"


@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")
def test_a_system_is_shown_as_the_design_names_it():
    result = decomposed("control", [rg.Arm("llama3", system="Llama 3 70B")])
    assert {row.system for row in result.stages if row.arm == "llama3"} == {"Llama 3 70B"}


@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")
def test_loans_and_weights_are_spelt_as_freely():
    borrower = rg.Arm("GPT-4o", borrowed=(rg.Borrowing("own_query", "Llama 3 70B", "written before any reply"),))
    result = decomposed("control", ["llama3", borrower], arm_weights={"Llama 3 70B": 3, "2": 1})
    gaps = [result.row("gap", arm).estimate for arm in ("llama3", "gpt")]
    assert result.row("gap").estimate == pytest.approx((3 * gaps[0] + gaps[1]) / 4)
    assert result.row("own_query", "gpt").estimate == pytest.approx(0.9 - 0.6)


@pytest.mark.filterwarnings("ignore::rctgap.errors.RctgapWarning")
def test_a_stage_may_name_its_one_system_in_any_spelling():
    runs = RUNS[RUNS["model"] == "GPT-4o"].drop(columns="model")
    fields = [one for one in DICTIONARY["tables"]["benchmark"]["fields"] if one["name"] != "model"]
    tables = DICTIONARY["tables"] | {"benchmark": {"fields": fields}}
    trial = rg.read_trial(
        TRIAL, benchmark=runs, dictionary=DICTIONARY | {"tables": tables}, design=rg.Design("control", ["gpt"])
    )
    stages = [rg.Stage("benchmark", "benchmark", system="GPT-4o"), rg.Stage("conversation"), rg.Stage("decision")]
    scores = rg.score_stages(trial, stages)
    estimand = rg.Estimand(items="fixed")
    result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    assert next(one.status for one in result.checks if one.check == "same_system") == "pass"
    assert result.row("gap", "gpt").estimate == pytest.approx(0.9 - 0.4)


def test_a_confidential_system_column_is_refused_though_no_stage_names_it():
    tables = {"trial": {"fields": [*DICTIONARY["tables"]["trial"]["fields"]]}}
    tables["trial"]["fields"].append({"name": "who", "type": "string", "role": "system", "sensitive": True})
    trial = rg.read_trial(
        TRIAL.assign(who="secret"), dictionary=DICTIONARY | {"tables": tables}, design=rg.Design("control", ["llama3"])
    )
    with pytest.raises(rg.RctgapError, match="confidential") as refused:
        rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    assert "secret" not in str(refused.value)
