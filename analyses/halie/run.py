"""HALIE question answering, from the raw file to the report; RCTGAP_HALIE names the folder of event_blocks.csv.

The data are not part of this repository (stanford-crfm/halie, Apache-2.0). Each participant answered some questions
with a model at hand and some without; the model was randomised between participants.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pandas as pd

from rctgap.inputs import read_analysis
from rctgap.runs import run_to_folder

HERE = Path(__file__).parent
RAW = "event_blocks.csv"
CHOICES = ["choice_a", "choice_b", "choice_c", "choice_d", "answer"]


def lay_out(raw: Path, work: Path) -> Path:
    """Put the tables that analysis.yaml names into a folder; returns the analysis."""
    frame = pd.read_csv(raw, dtype="string", keep_default_na=False)
    arm = frame["model"].where(frame["question_type"] == "lm", "control")
    named = {"worker_id": "participant", "question_id": "question", "question_type": "block"}
    trial = frame.rename(columns=named).assign(arm=arm)
    trial[[*named.values(), "arm", "lm_used", "user_correct"]].to_csv(work / "trial.csv", index=False)
    questions = frame.rename(columns=named).drop_duplicates("question")
    questions[["question", *CHOICES]].to_csv(work / "questions.csv", index=False)
    for source in (raw, HERE / "analysis.yaml", HERE / "card.yaml"):
        shutil.copy(source, work)
    shutil.copy(HERE.parents[1] / "data_dictionaries" / "halie" / "dictionary.yaml", work)
    return work / "analysis.yaml"


def main() -> None:
    """Run the analysis and leave its report in results/halie."""
    folder = os.environ.get("RCTGAP_HALIE", "")
    raw = Path(folder) / RAW
    if not folder or not raw.is_file():
        print(f"Set RCTGAP_HALIE to the folder that holds {RAW} of stanford-crfm/halie.", file=sys.stderr)
        raise SystemExit(2)
    out = Path("results") / "halie"
    with tempfile.TemporaryDirectory() as work:
        result = run_to_folder(read_analysis(lay_out(raw, Path(work))), out)
    print(f"{result}\n\nReport: {out / 'report.html'}")


if __name__ == "__main__":
    main()
