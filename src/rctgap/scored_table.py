"""Scores of texts as a table to keep and as a summary to read; positions and gold terms, never a word of the texts."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pyarrow import parquet

from rctgap.errors import Fault, OutputError
from rctgap.labelling import neutral
from rctgap.scoring import ScoredText, ScoredTrial
from rctgap.tables import BLANK, percent, text_table

__all__ = ["COLUMNS", "refuse_place", "score_frame", "scores_text", "write_scores"]

COLUMNS = (
    "table", "row", "arm", "item", "conversation", "stage", "score", "note", "terms", "spans", "negated",
    "scorer", "version", "scope",
)  # fmt: skip
OF_OTHERS = ("arm", "item", "conversation", "terms")
LONGEST_HEADER = 1000


def score_frame(scored: ScoredTrial) -> pd.DataFrame:
    """One row per answer or run and scored stage.

    Parameters
    ----------
    scored : ScoredTrial

    Returns
    -------
    DataFrame
        With the columns `COLUMNS`: `row` counts from 1 below the header of the table's file, `terms` are the gold terms
        found (;-joined), `spans` where (text:start-end), `negated` how many of them are denied.
    """
    made = {plan.stage: dict(plan.instrument) for plan in scored.plans}
    rows = [
        (
            one.table,
            one.row,
            one.arm,
            one.item,
            one.conversation,
            one.stage,
            one.score.value,
            one.score.note,
            ";".join(dict.fromkeys(found.term for found in one.score.evidence)),
            ";".join(f"{found.text}:{found.start}-{found.end}" for found in one.score.evidence),
            sum(found.negated for found in one.score.evidence),
            made[one.stage]["scorer"],
            made[one.stage].get("version", ""),
            made[one.stage].get("scope", made[one.stage].get("text", "")),
        )
        for one in scored.texts
    ]
    return pd.DataFrame.from_records(rows, columns=list(COLUMNS))


def refuse_place(path: Path) -> None:
    """Refuse a place for scores before anything is scored: only older scores are written over.

    Raises
    ------
    OutputError
        Another suffix, no such folder, or a file that does not hold scores.
    """
    suffix = path.suffix.lower()
    if suffix not in {".csv", ".parquet"}:
        raise OutputError(Fault(f"the suffix {suffix!r} is not known", "Allowed: .csv, .parquet", str(path)))
    if not path.parent.is_dir():
        raise OutputError(Fault("there is no such folder", "Make it first, or choose another --out", str(path.parent)))
    if path.exists() and _header(path) != COLUMNS:
        what = "the file there does not hold scores, and would be written over"
        raise OutputError(Fault(what, "Choose another --out, or remove it first", str(path)))


def _header(path: Path) -> tuple[str, ...]:
    """Column names of a table; none where it cannot be read."""
    try:
        if path.suffix.lower() == ".parquet":
            return tuple(parquet.read_schema(path).names)
        with path.open(encoding="utf-8") as stream:
            return tuple(stream.readline(LONGEST_HEADER).strip().split(","))
    except (OSError, ValueError):
        return ()


def write_scores(scored: ScoredTrial, path: Path) -> None:
    """Write `score_frame` as .csv or .parquet; no spreadsheet takes a cell of the .csv for a formula.

    Raises
    ------
    OutputError
        As `refuse_place`, or a place that cannot be written.
    """
    refuse_place(path)
    frame = score_frame(scored)
    try:
        if path.suffix.lower() == ".csv":
            frame.assign(**{name: frame[name].map(neutral) for name in OF_OTHERS}).to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
    except OSError as error:
        what = f"cannot write there: {error.strerror or error}"
        raise OutputError(Fault(what, "Choose another --out", str(path))) from None


def scores_text(scored: ScoredTrial) -> str:
    """What was scored, by stage and arm, with what the scorers had to say; then logs and answers without a partner."""
    parts = [
        text_table(
            ["stage", "arm", "scorer", "texts", "scored", "mean %", "denied", "notes"], _rows(scored), left=(0, 1, 2, 7)
        )
    ]
    steps = [one for one in scored.trial.attrition if one.step == "logs"]
    if steps:
        rows = [[one.arm or BLANK, str(one.n_in), str(one.n_out), one.reason] for one in steps]
        parts.append(text_table(["arm", "in", "out", "logs"], rows, left=(0, 3)))
    return "\n\n".join(parts)


def _rows(scored: ScoredTrial) -> list[list[str]]:
    groups: dict[tuple[str, str], list[ScoredText]] = {}
    for one in scored.texts:
        groups.setdefault((one.stage, one.arm), []).append(one)
    scorers = {plan.stage: dict(plan.instrument)["scorer"] for plan in scored.plans}
    return [_row(stage, arm, scorers[stage], texts) for (stage, arm), texts in groups.items()]


def _row(stage: str, arm: str, scorer: str, texts: Sequence[ScoredText]) -> list[str]:
    values = [one.score.value for one in texts if one.score.value is not None]
    notes = Counter(one.score.note for one in texts if one.score.note)
    denied = sum(any(found.negated for found in one.score.evidence) for one in texts)
    said = "; ".join(f"{note} {count}" for note, count in notes.most_common(3))
    mean = percent(sum(values) / len(values)) if values else BLANK
    return [stage, arm or BLANK, scorer, str(len(texts)), str(len(values)), mean, str(denied), said]
