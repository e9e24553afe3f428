"""The authors' row-level score files, reduced to the tables of this folder. Texts in them are not read."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rctgap.documents import nearest
from rctgap.errors import DataError, Fault

__all__ = ["FILES", "differences", "tables_from"]

FIRST_ARM = "saved_results.csv"
RERUN = "gpt4o_first_turn_results.csv"
SCORED = "clean_prescored.csv"
ALONE = "direct_trials_condition.csv"
SCENARIOS = "scenarios.csv"

FILES: Mapping[str, Sequence[str]] = {
    FIRST_ARM: ("id", "scenario_id", "correct"),
    RERUN: ("id", "scenario_id", "correct"),
    SCORED: (
        "id",
        "correct",
        "differential_correct",
        "differential_correct_any",
        "differential_correct_bot",
        "differential_correct_bot_count",
    ),
    ALONE: ("model", "scenario_id", "reverse", "differential_correct"),
    SCENARIOS: ("scenario_id", "condition", "urgency"),
}

BOT_COUNT = "differential_correct_bot_count"
LAST_GPT4O_ROW = 1800
MODELS = {"GPT 4o": "GPT-4o"}
OTHER_MODELS = ("Llama 3 70B", "Command R+")
FLAGS = {
    FIRST_ARM: ("correct",),
    RERUN: ("correct",),
    SCORED: ("correct", "differential_correct", "differential_correct_any", "differential_correct_bot"),
    ALONE: ("reverse", "differential_correct"),
}
TRUE, FALSE = ("true", "1", "1.0"), ("false", "0", "0.0")


def tables_from(folder: Path) -> Mapping[str, pd.DataFrame]:
    """Read the authors' five files and count their patterns.

    Parameters
    ----------
    folder : Path
        Holds `saved_results.csv`, `gpt4o_first_turn_results.csv`, `clean_prescored.csv`,
        `direct_trials_condition.csv` and `scenarios.csv`.

    Returns
    -------
    mapping of str to DataFrame
        `trial.csv`, `benchmark.csv` and `scenarios.csv`, all values text, as in this folder.

    Raises
    ------
    DataError
        Every missing file or column, flag that is not true or false, and identifier that
        does not join.

    Notes
    -----
    Arm 1 (Llama 3 70B) holds the answers whose first messages were scored; control rows have no
    score of a bot; of the others, those before row 1,800 of the scored file are GPT-4o and the
    rest Command R+. The last rule is inferred, and its totals match every printed figure.
    """
    missing = [
        Fault("no such file", f"The folder needs {', '.join(FILES)}", str(folder / name))
        for name in FILES
        if not (folder / name).is_file()
    ]
    if missing:
        raise DataError(*missing)
    raw = _gathered({name: (folder / name, columns) for name, columns in FILES.items()})
    _check_keys(raw, folder)
    _check_flags(raw, folder)
    trial = _trial(raw, folder)
    benchmark = _benchmark(raw[ALONE])
    scenarios = raw[SCENARIOS].drop_duplicates().sort_values("scenario_id", ignore_index=True)
    return {"trial.csv": trial, "benchmark.csv": benchmark, "scenarios.csv": scenarios}


def _gathered(wanted: Mapping[str, tuple[Path, Sequence[str]]]) -> Mapping[str, pd.DataFrame]:
    """Every file read, or the faults of all of them."""
    found: dict[str, pd.DataFrame] = {}
    faults: list[Fault | str] = []
    for name, (path, columns) in wanted.items():
        try:
            found[name] = _read(path, columns)
        except DataError as error:
            faults.extend(error.faults)
    if faults:
        raise DataError(*faults)
    return found


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            records = list(csv.reader(stream, strict=True))
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        what = f"not a readable CSV file in UTF-8 ({type(error).__name__})"
        raise DataError(Fault(what, "Give the authors' file as it is", str(path))) from None
    header, rows = (records[0], records[1:]) if records else ([], [])
    faults = [
        Fault("the column is missing", nearest(name, header), str(path), name) for name in columns if name not in header
    ]
    ragged = [number for number, row in enumerate(rows, 1) if len(row) != len(header)]
    faults += [
        Fault("the row has another length than the header", "Give the authors' file as it is", str(path), row=number)
        for number in ragged[:20]
    ]
    if not rows:
        faults.append(Fault("the file has no rows", "Give the authors' file as it is", str(path)))
    if faults:
        raise DataError(*faults)
    place = [header.index(name) for name in columns]
    frame = pd.DataFrame([[row[one] for one in place] for row in rows], columns=list(columns), dtype=str)
    for name in {"id", "scenario_id"} & set(columns):
        frame[name] = frame[name].str.removesuffix(".0")
    return frame


def _check_keys(raw: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Scenarios and models that the other files or the trial do not know."""
    scenarios = set(raw[SCENARIOS]["scenario_id"])
    wanted = (
        (FIRST_ARM, "scenario_id", scenarios),
        (RERUN, "scenario_id", scenarios),
        (ALONE, "scenario_id", scenarios),
    )
    faults = [
        Fault(
            "this is not known",
            nearest(str(raw[name][column].iloc[int(row)]), known),
            str(folder / name),
            column,
            int(row) + 1,
            str(raw[name][column].iloc[int(row)])[:40],
        )
        for name, column, known in (*wanted, (ALONE, "model", {*MODELS, *MODELS.values(), *OTHER_MODELS}))
        for row in np.flatnonzero(~raw[name][column].isin(known).to_numpy())[:5]
    ]
    if faults:
        raise DataError(*faults)


def _check_flags(raw: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Flags of every file in any of their spellings; all others are named."""
    faults = [
        Fault(
            "not a true or false value",
            "True, False, 1 or 0",
            str(folder / name),
            column,
            int(row) + 1,
            str(raw[name][column].iloc[int(row)])[:20],
        )
        for name, columns in FLAGS.items()
        for column in columns
        for row in np.flatnonzero(_no_flag(raw[name], column).to_numpy())[:5]
    ]
    if faults:
        raise DataError(*faults)


def _no_flag(frame: pd.DataFrame, column: str) -> "pd.Series[bool]":
    """Values that are neither true nor false; the bot's side is blank where there was no bot."""
    wrong = ~frame[column].str.lower().isin([*TRUE, *FALSE])
    if BOT_COUNT in frame.columns and column != "differential_correct":
        wrong &= ~((frame[BOT_COUNT].str.strip() == "") & (frame[column].str.strip() == ""))
    return wrong


def _flag(frame: pd.DataFrame, column: str) -> "pd.Series[str]":
    return frame[column].str.lower().isin(TRUE).map({True: "1", False: "0"})


def _trial(raw: Mapping[str, pd.DataFrame], folder: Path) -> pd.DataFrame:
    scored, first, again = raw[SCORED], raw[FIRST_ARM], raw[RERUN]
    _check_ids(scored, first, again, folder)
    mine = scored["id"].isin(first["id"])
    control = scored["differential_correct_bot_count"].str.strip() == ""
    crossed = np.flatnonzero((mine & control).to_numpy())
    if crossed.size:
        raise DataError(
            Fault(
                "an answer of arm 1 has no score of the bot's side",
                "Check the join of the two files",
                str(folder / SCORED),
                "differential_correct_bot_count",
                int(crossed[0]) + 1,
            )
        )
    early = pd.Series(np.arange(len(scored)) < LAST_GPT4O_ROW, index=scored.index)
    arm = pd.Series(
        np.select([mine, control, early], ["Llama 3 70B", "Control", "GPT-4o"], "Command R+"), index=scored.index
    )
    joined = scored[["id"]].merge(first.assign(own=_flag(first, "correct")), on="id", how="left")
    rerun = scored[["id"]].merge(again.assign(own=_flag(again, "correct")), on="id", how="left")
    talked = ~control
    rows = pd.DataFrame(
        {
            "arm": arm,
            "arm_as_labelled": np.select([mine, control], ["GPT-4o", "Control"], "unused"),
            "scenario_id": joined["scenario_id"].fillna(""),
            "system": arm.where(talked, ""),
            "own_query": joined["own"].fillna(""),
            "own_query_rerun": rerun["own"].fillna(""),
            "conversation": _flag(scored, "differential_correct_bot").where(talked, ""),
            "conversation_any": _flag(scored, "differential_correct_any").where(talked, ""),
            "decision": _flag(scored, "differential_correct"),
            "disposition": _flag(scored, "correct"),
        }
    )
    return _counted(rows)


def _check_ids(scored: pd.DataFrame, first: pd.DataFrame, again: pd.DataFrame, folder: Path) -> None:
    faults = []
    for name, frame in ((SCORED, scored), (FIRST_ARM, first), (RERUN, again)):
        twice = np.flatnonzero(frame["id"].duplicated().to_numpy())
        faults += [
            Fault("the id occurs twice", "One row per answer", str(folder / name), "id", int(row) + 1)
            for row in twice[:5]
        ]
    for name, frame, other, whom in (
        (FIRST_ARM, first, scored, SCORED),
        (RERUN, again, first, FIRST_ARM),
        (FIRST_ARM, first, again, RERUN),
    ):
        lost = np.flatnonzero(~frame["id"].isin(other["id"]).to_numpy())
        faults += [
            Fault(
                f"the id is not in {whom}",
                "The files must hold the same answers",
                str(folder / name),
                "id",
                int(row) + 1,
            )
            for row in lost[:5]
        ]
    if faults:
        raise DataError(*faults)


def _benchmark(alone: pd.DataFrame) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "model": alone["model"].replace(MODELS),
            "scenario_id": alone["scenario_id"],
            "reverse": _flag(alone, "reverse").map({"1": "true", "0": "false"}),
            "correct": _flag(alone, "differential_correct"),
        }
    )
    return _counted(rows)


def _counted(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.groupby(list(rows.columns), sort=True).size().rename("count").reset_index().astype(str)


def differences(found: pd.DataFrame, embedded: pd.DataFrame) -> int:
    """How many patterns occur a different number of times in two tables with a `count` column."""
    keys = [column for column in embedded.columns if column != "count"]
    counted = [frame.set_index(keys)["count"].astype(int) for frame in (found, embedded)]
    both = pd.concat(counted, axis=1, keys=["found", "embedded"]).fillna(0)
    return int((both["found"] != both["embedded"]).sum())
