"""The published scorer on the authors' own texts, row for row, where somebody has them; and on invented ones here."""

import os
from pathlib import Path

import pandas as pd
import pytest

from rctgap.scorers.edit_distance import EditDistance
from rctgap.scorers.keys import gold_key
from rctgap.scorers.protocol import Case
from rctgap.scorers.whole_word import WholeWord

AUTHORS = Path(os.environ.get("RCTGAP_RAMAN2026") or "not-given")
KEYS = {"1": "['Gallstones', 'UTI']", "2": "['Covid', 'Migraine']"}
TEXTS = {
    ("1", "This is routine."): True,
    ("1", "Galstones perhaps"): True,
    ("1", "a headache"): False,
    ("2", "I can provide advice"): True,
    ("2", "a sprain"): False,
}


def scores(folder, file, text, flag, where=None, scorer=None):
    """What the scorer says of each row, and what the file says."""
    keys = pd.read_csv(folder / "scenarios.csv", dtype="string").set_index("scenario_id")["full_differential"]
    rows = pd.read_csv(folder / file, dtype="string")
    rows = rows if where is None else rows[rows["model"] == where]
    made = {scenario: gold_key(cell) for scenario, cell in keys.items()}
    cases = [
        Case((said,), made[scenario]) for scenario, said in zip(rows["scenario_id"], rows[text].fillna(""), strict=True)
    ]
    found = [one.value == 1.0 for one in (scorer or EditDistance()).score(cases)]
    return found, [one in {"True", "true", "1", "1.0"} for one in rows[flag]]


@pytest.mark.skipif(
    not AUTHORS.is_dir(), reason="the authors' files are not here (set RCTGAP_RAMAN2026 to their folder)"
)
@pytest.mark.parametrize(
    ("file", "text", "flag", "where", "right"),
    [
        ("saved_results.csv", "conditions_text", "correct", None, 497),
        ("gpt4o_first_turn_results.csv", "conditions_text", "correct", None, 501),
        ("direct_trials_condition.csv", "conditions", "differential_correct", "GPT 4o", 568),
        ("direct_trials_condition.csv", "conditions", "differential_correct", "Llama 3 70B", 595),
    ],
)
def test_the_published_scores_come_out_row_for_row(file, text, flag, where, right):
    found, published = scores(AUTHORS, file, text, flag, where)
    assert found == published
    assert (len(found), sum(found)) == (600, right)


def test_the_same_on_invented_texts_with_the_same_traps(tmp_path):
    pd.DataFrame({"scenario_id": list(KEYS), "full_differential": list(KEYS.values())}).to_csv(
        tmp_path / "scenarios.csv", index=False
    )
    rows = [{"scenario_id": item, "conditions_text": text, "correct": right} for (item, text), right in TEXTS.items()]
    pd.DataFrame(rows).to_csv(tmp_path / "saved_results.csv", index=False)
    found, published = scores(tmp_path, "saved_results.csv", "conditions_text", "correct")
    assert found == published == list(TEXTS.values())
    strict, _ = scores(tmp_path, "saved_results.csv", "conditions_text", "correct", scorer=WholeWord())
    assert sum(strict) == 0
