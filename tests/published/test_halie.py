"""HALIE question answering, from the raw file to the report, against counts made straight from that file."""

import importlib.util
import os
from pathlib import Path

import pandas as pd
import pytest

import rctgap as rg
from rctgap.inputs import read_analysis, read_inputs

ROOT = Path(__file__).parents[2]
RAW = "event_blocks.csv"
FOLDER = Path(os.environ.get("RCTGAP_HALIE") or ROOT.parent / "shared" / "data" / "halie")
ARMS = ("Davinci", "InstructBabbage", "InstructDavinci", "Jumbo")

pytestmark = pytest.mark.skipif(not (FOLDER / RAW).is_file(), reason=f"no {RAW} (set RCTGAP_HALIE to its folder)")


@pytest.fixture(scope="module")
def raw():
    return pd.read_csv(FOLDER / RAW)


@pytest.fixture(scope="module")
def halie():
    """analyses/halie/run.py."""
    found = importlib.util.spec_from_file_location("halie_run", ROOT / "analyses" / "halie" / "run.py")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def place(halie, tmp_path_factory):
    """The result folder that it leaves."""
    here = tmp_path_factory.mktemp("halie")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setenv("RCTGAP_HALIE", str(FOLDER))
        halie.main()
    return here / "results" / "halie"


@pytest.fixture(scope="module")
def result(place):
    return rg.load(place)


def test_decisions_and_effects_are_those_of_the_file(raw, result):
    helped = raw[raw["question_type"] == "lm"].groupby("model")["user_correct"].mean()
    alone = raw.loc[raw["question_type"] == "ctrl", "user_correct"].mean()
    stages = {(row.arm, row.stage): row.estimate for row in result.stages}
    for arm in ARMS:
        assert stages[arm, "decision"] == pytest.approx(helped[arm])
        assert result.row("realized_effect", arm).estimate == pytest.approx(helped[arm] - alone)
    assert stages["control", "decision"] == pytest.approx(alone)


def test_who_never_queried_and_who_was_only_checked_are_accounted_for(raw, halie, tmp_path):
    """232 answers without use of the model, and 7 that say they used it and whose queries are not in the log."""
    scores = read_inputs(read_analysis(halie.lay_out(FOLDER / RAW, tmp_path))).measured.scores
    asked = raw[raw["question_type"] == "lm"]
    steps = {(row.step, row.arm, row.reason): row.n_in - row.n_out for row in scores.attrition}
    for arm in ARMS:
        mine = asked[asked["model"] == arm]
        assert steps["logs", arm, "empty log: never wrote to the system"] == (mine["user_queries"] == "[]").sum()
    assert scores.non_users() == (asked["lm_used"] == 0).sum() == 232
    lost = sum(count for (_, _, reason), count in steps.items() if reason == "no score at stage own_query")
    assert lost == ((asked["lm_used"] == 1) & (asked["user_queries"] == "[]")).sum() == 7
    checked = sum(count for (step, _, _), count in steps.items() if step == "exclude")
    assert checked == (raw["question_type"] == "attn").sum() == 331


def test_every_conversation_of_somebody_who_wrote_is_scored_and_said_to_be_automatic(result):
    for stage in ("own_query", "conversation"):
        texts = [row.n for row in result.scoring if (row.stage, row.quantity) == (stage, "texts")]
        assert sum(texts) == 1416
    assert result.settings.uncorrected == ("own_query", "conversation")
    means = [row.estimate for row in result.scoring if (row.stage, row.quantity) == ("own_query", "mean score")]
    assert all(0.02 < mean < 0.6 for mean in means)


def test_no_word_of_the_logs_is_in_the_result(raw, place):
    """Long queries and replies, of which a piece would give the whole away."""
    said = raw["lm_responses"][raw["lm_responses"].str.len() > 60].str.slice(2, 45).unique()
    asked = raw["user_queries"][raw["user_queries"].str.len() > 60].str.slice(2, 45).unique()
    written = "\n".join(
        path.read_text("utf-8") for path in place.rglob("*") if path.suffix in {".csv", ".json", ".html", ".md"}
    )
    assert len(said) > 500
    assert not [text for text in [*said, *asked] if text in written]


def test_the_multiverse_has_every_combination(result):
    numbers = {row.specification for row in result.specifications}
    assert numbers == set(range(1, 11))
    main = {row.quantity: row.estimate for row in result.specifications if row.specification == 1 and row.arm == "all"}
    assert main["conversation"] == result.row("conversation").estimate
