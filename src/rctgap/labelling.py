"""Which cases people label, the blinded sheet they fill in, and reading it back."""

import csv
import string
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from rctgap.errors import AnalysisError, DataError, Fault, OutputError, RctgapWarning
from rctgap.files import read_table

__all__ = [
    "CASE_COLUMNS",
    "LABEL_COLUMNS",
    "SHEET_COLUMNS",
    "LabellingPlan",
    "key_beside",
    "labelling_plan",
    "neutral",
    "one_label_each",
    "read_sheet",
    "refuse_sheet",
    "restored",
    "strata_of",
    "write_sheet",
]

type Counts = npt.NDArray[np.intp]

CASE_COLUMNS = ("case", "stage", "digest", "instruction", "question", "key", "text")
SHEET_COLUMNS = ("id", "instruction", "question", "key", "text", "label", "rater")
KEY_COLUMNS = ("id", "case", "stage", "digest", "stratum", "probability")
LABEL_COLUMNS = ("case", "stage", "digest", "label", "label_probability", "rater")

CELL_LIMIT = 32_767  # characters that the common spreadsheets keep of a cell
SHOWN = 12
FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class LabellingPlan:
    """Which cases are drawn for labelling, and how probable that was for every one.

    Attributes
    ----------
    probability : Series
        By case, above 0 for all: the stratum's number of draws over its number of cases.
    drawn : Series of bool
        By case.
    stratum : Series of int
        By case: the row of its stratum in `strata`.
    strata : DataFrame
        One row per stratum: `stratum`, `cases`, `drawn`, `probability`.
    """

    probability: "pd.Series[float]" = field(repr=False)
    drawn: "pd.Series[bool]" = field(repr=False)
    stratum: "pd.Series[int]" = field(repr=False)
    strata: pd.DataFrame


def strata_of(stage: "pd.Series[str]", arm: "pd.Series[str]", automatic: "pd.Series[float]") -> "pd.Series[str]":
    """Stage, arm and automatic score of each case as one text; scores between 0 and 1 make one stratum.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.labelling import strata_of
    >>> strata_of(pd.Series(["own_query"]), pd.Series(["a1"]), pd.Series([0.4])).tolist()
    ['own_query, a1, scored in part']
    """
    said = np.select([automatic == 1, automatic == 0], ["scored right", "scored wrong"], "scored in part")
    return stage.astype("str") + ", " + arm.astype("str") + ", " + pd.Series(said, index=automatic.index)


def labelling_plan(strata: "pd.Series[str]", size: int, seed: int, smallest: int = 2) -> LabellingPlan:
    """Draw cases for labelling: every stratum is given the same number, as far as it has that many cases.

    Parameters
    ----------
    strata : Series
        The stratum of each case, by a case's own name in the index; as `strata_of` makes them, so that cases that the
        scorer calls right and wrong are both seen in every stage and arm.
    size : int
        How many cases are drawn in all, exactly.
    seed : int
        Each stratum has its own child of it.
    smallest : int
        Fewest draws from a stratum that has as many cases, at least 1.

    Returns
    -------
    LabellingPlan

    Raises
    ------
    AnalysisError
        More draws than cases, or too few for every stratum to have `smallest`.
    DataError
        No case, a case without a stratum, or one named twice.

    Notes
    -----
    Within a stratum of N_s cases n_s are drawn without replacement, so that each is drawn with probability n_s / N_s
    exactly. What a stratum cannot use of its equal share goes to the others.

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.labelling import labelling_plan
    >>> plan = labelling_plan(pd.Series(["right"] * 3 + ["wrong"] * 20), size=10, seed=1)
    >>> plan.strata.to_dict("records")[1]
    {'stratum': 'wrong', 'cases': 20, 'drawn': 7, 'probability': 0.35}
    >>> int(plan.drawn.sum())
    10
    """
    _refuse_unusable(strata)
    names, place = np.unique(strata.astype("str").to_numpy(dtype=np.str_), return_inverse=True)
    cases = np.bincount(place)
    draws = _allocation(cases, size, smallest)
    drawn = np.zeros(len(strata), dtype=np.bool_)
    for stratum, child in enumerate(np.random.SeedSequence(seed).spawn(len(names))):
        chosen = np.random.default_rng(child).choice(cases[stratum], draws[stratum], replace=False)
        drawn[np.flatnonzero(place == stratum)[chosen]] = True
    share = draws / cases
    table = pd.DataFrame({"stratum": names.astype(object), "cases": cases, "drawn": draws, "probability": share})
    probability, marked, codes = (pd.Series(one, strata.index) for one in (share[place], drawn, place))
    return LabellingPlan(probability, marked, codes, table)


def _refuse_unusable(strata: "pd.Series[str]") -> None:
    if strata.empty:
        raise DataError(Fault("there is no case to draw", "Give the stratum of at least one case"))
    if strata.isna().any():
        row = int(np.flatnonzero(strata.isna())[0]) + 1
        raise DataError(Fault("the case has no stratum", "Give every case one", place="strata", row=row))
    if strata.index.has_duplicates:
        row = int(np.flatnonzero(strata.index.duplicated())[0]) + 1
        raise DataError(Fault("the case is there twice", "Give every case once", place="strata", row=row))


def _allocation(
    cases: "np.ndarray[tuple[int], np.dtype[np.intp]]", size: int, smallest: int
) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """Draws per stratum: as equal as the strata allow; the largest take what does not divide evenly."""
    least = int(np.minimum(cases, max(smallest, 1)).sum())
    if not least <= size <= cases.sum():
        what = f"{size} cases are to be drawn from {cases.sum()} cases in {cases.size} strata"
        raise AnalysisError(
            Fault(what, f"Draw at least {least} and at most {cases.sum()}", place="size", value=str(size))
        )
    draws = np.zeros_like(cases)
    left = size
    for done, stratum in enumerate(np.argsort(cases, kind="stable")):
        draws[stratum] = min(cases[stratum], left // (cases.size - done))
        left -= draws[stratum]
    return draws


def key_beside(sheet: Path) -> Path:
    """Where the key of a sheet is kept: `labels.csv` has `labels.key.csv`."""
    return sheet.with_suffix(".key.csv")


def neutral(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula; `restored` undoes it.

    Examples
    --------
    >>> from rctgap.labelling import neutral, restored
    >>> neutral("=1+1"), restored(neutral("=1+1"))
    ("'=1+1", '=1+1')
    """
    bare = cell.lstrip(" \n\u00a0")
    return "'" + cell if bare.startswith((*FORMULA, "'")) else cell


def restored(cell: str) -> str:
    """What `neutral` was given."""
    return cell.removeprefix("'")


def refuse_sheet(path: Path, *others: Path) -> None:
    """Refuse a place for a sheet and its key: labels are not written over, nor over another file of the same command.

    Raises
    ------
    OutputError
        A file that is there already, no such folder, or one of `others`.
    """
    if not path.parent.is_dir():
        raise OutputError(Fault("there is no such folder", "Make it first, or give another name", str(path.parent)))
    for file in (path, key_beside(path)):
        if file.exists():
            raise OutputError(Fault("the file is there already", "Give another name, or move it away", str(file)))
        if any(file.resolve() == one.resolve() for one in others):
            raise OutputError(Fault("the sheet and the scores have one name", "Give another name", str(file)))


def write_sheet(path: Path, cases: pd.DataFrame, plan: LabellingPlan, seed: int) -> None:
    """Write the drawn cases as a blinded sheet for people to fill in, and its key beside it.

    Parameters
    ----------
    path : Path
        A .csv file that is not there yet; the key goes to `key_beside(path)`.
    cases : DataFrame
        With the plan's index and the columns `CASE_COLUMNS`: the case's key and stage, then what the rater sees.
    plan : LabellingPlan
    seed : int
        Of the random order.

    Raises
    ------
    OutputError
        A file is there already: labels are not written over.
    DataError
        A column is missing, the index is not the plan's, or a drawn text is too long for a spreadsheet's cell.

    Notes
    -----
    The sheet has no arm, participant, stage or automatic score, and ids and order tell nothing of them. A label is 0,
    1 or a number between. Characters that a text file cannot hold are replaced. The key holds no text but a digest of
    each, by which labels are tied to the texts they are of; keep it from the raters.
    """
    key = key_beside(path)
    refuse_sheet(path)
    _refuse_cases(cases, plan)
    rng = np.random.default_rng(seed)
    drawn = cases.assign(probability=plan.probability, stratum=plan.stratum)[plan.drawn]
    mixed = drawn.iloc[rng.permutation(len(drawn))]
    batch = "".join(rng.choice(list(string.ascii_uppercase), 4))
    mixed = mixed.assign(id=[f"{batch}-{number:05d}" for number in range(1, len(mixed) + 1)], label="", rater="")
    _write(path, mixed, SHEET_COLUMNS)
    _write(key, mixed, KEY_COLUMNS)


def _refuse_cases(cases: pd.DataFrame, plan: LabellingPlan) -> None:
    lacking = [name for name in CASE_COLUMNS if name not in cases]
    if lacking:
        raise DataError(Fault(f"the cases have no column {', '.join(lacking)}", f"Needed: {', '.join(CASE_COLUMNS)}"))
    if not cases.index.equals(plan.drawn.index):
        raise DataError(Fault("the cases are not those of the plan", "Give them with the index the plan was made from"))
    mend = f"A cell holds {CELL_LIMIT:,} characters: narrow the stage's scope, or leave the answer out (`exclude`)"
    long = (cases["text"].str.len() >= CELL_LIMIT).to_numpy() & plan.drawn.to_numpy()
    faults = [
        Fault(f"the text at stage {stage} is too long for a spreadsheet", mend, place="text", value=case)
        for case, stage in cases.loc[long, ["case", "stage"]].itertuples(index=False)
    ]
    if faults:
        raise DataError(*faults)


def _write(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    rows = [[neutral(_writable(str(cell))) for cell in row] for row in frame[list(columns)].to_numpy(dtype=object)]
    try:
        with path.open("x", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)
            writer.writerows([columns, *rows])
    except OSError as fault:
        raise OutputError(
            Fault(f"the file cannot be written: {fault.strerror}", "Check folder and rights", str(path))
        ) from None


def _writable(text: str) -> str:
    """The text without what UTF-8 files cannot hold: NUL bytes and halves of surrogate pairs."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def read_sheet(sheets: Path | Sequence[Path], key: Path, *, allow_blank: bool = False) -> pd.DataFrame:
    """Labels of one rater or several, tied to their cases again.

    Parameters
    ----------
    sheets : Path or sequence of Path
        One filled-in sheet, or one for each rater. A rater is who the column `rater` names, else the file's name.
    key : Path
        The key that was written with the sheet.
    allow_blank : bool
        Go on where drawn cases have no label from anyone, with a warning. They are then taken to be missing at
        random within their stratum, whose probability becomes the share of its cases that are labelled.

    Returns
    -------
    DataFrame
        The columns `LABEL_COLUMNS`, one row for each case and rater, in the key's order; labels between 0 and 1.

    Raises
    ------
    DataError
        A column is missing, an id is unknown or labelled twice by one rater, a label is no number between 0 and 1, or
        (without `allow_blank`) a drawn case has no label.
    """
    files = [sheets] if isinstance(sheets, Path) else list(sheets)
    known = _key(key)
    rows = pd.concat([_labels(file, known) for file in files], ignore_index=True)
    twice = rows.duplicated(["id", "rater"])
    if twice.any():
        mend = "Keep one row of each id for each rater"
        where = rows.loc[twice, ["file", "row", "id"]].itertuples(index=False)
        raise DataError(*(Fault("the case is labelled twice", mend, file, "id", row, one) for file, row, one in where))
    bare = known.index[~known.index.isin(rows["id"])]
    probability = known["probability"]
    if len(bare):
        if not allow_blank:
            mend = "Label every case; a share between 0 and 1 is a label too"
            file = str(files[0])
            raise DataError(*(Fault("the drawn case has no label", mend, file, "label", value=one) for one in bare))
        warnings.warn(_blanks_told(len(bare), len(known)), RctgapWarning, stacklevel=2)
        probability = probability * (~known.index.isin(bare)).astype(float)
        probability = probability.groupby(known["stratum"]).transform("mean")
    tied = rows.join(known[["case", "stage", "digest"]], on="id").assign(label_probability=rows["id"].map(probability))
    order = known.index.get_indexer(pd.Index(rows["id"]))
    return tied.iloc[np.argsort(order, kind="stable")][list(LABEL_COLUMNS)].reset_index(drop=True)


def _blanks_told(blank: int, drawn: int) -> str:
    return (
        f"{blank} of {drawn} drawn cases have no label: their probability to be labelled is no longer known. They are "
        "taken to be missing at random within their stratum."
    )


def one_label_each(labels: pd.DataFrame) -> pd.DataFrame:
    """One row per case and stage: the mean of its raters' labels, and how many there are (`raters`).

    Examples
    --------
    >>> import pandas as pd
    >>> from rctgap.labelling import LABEL_COLUMNS, one_label_each
    >>> rows = [("c1", "own_query", "", 1.0, 0.5, "A"), ("c1", "own_query", "", 0.0, 0.5, "B")]
    >>> one_label_each(pd.DataFrame(rows, columns=LABEL_COLUMNS)).values.tolist()
    [['c1', 'own_query', 0.5, 0.5, 2]]
    """
    grouped = labels.groupby(["case", "stage"], sort=False)
    return grouped.agg(
        label=("label", "mean"), label_probability=("label_probability", "first"), raters=("rater", "size")
    ).reset_index()


def _key(path: Path) -> pd.DataFrame:
    """Case, stage, stratum and probability of each id."""
    frame = _read(path, KEY_COLUMNS)
    probability = pd.to_numeric(frame["probability"], errors="coerce").astype("float64")
    mend = "Keep the key as it was written"
    bad = [("probability", row) for row in np.flatnonzero(~((probability > 0) & (probability <= 1)))]
    bad += [("id", row) for row in np.flatnonzero(frame["id"].duplicated())]
    if bad:
        raise DataError(
            *(Fault(f"the {place} is not as written", mend, str(path), place, int(row) + 1) for place, row in bad)
        )
    return frame.assign(probability=probability).set_index("id")


def _labels(path: Path, known: pd.DataFrame) -> pd.DataFrame:
    """Labelled rows of one sheet: id, label, rater, and where they stand."""
    frame = _read(path, ("id", "label"))
    label = frame["label"].str.strip()
    number = pd.to_numeric(label, errors="coerce").astype("float64")
    faults = list(_sheet_faults(path, frame["id"], label, number, known))
    if faults:
        raise DataError(*faults)
    rater = frame["rater"].str.strip() if "rater" in frame else pd.Series("", frame.index)
    told = pd.DataFrame({"id": frame["id"], "label": number, "rater": rater.mask(rater == "", path.stem)})
    return told.assign(file=str(path), row=np.arange(1, len(frame) + 1))[(label != "").to_numpy()]


def _sheet_faults(
    path: Path, ids: "pd.Series[str]", label: "pd.Series[str]", number: "pd.Series[float]", known: pd.DataFrame
) -> Iterator[Fault]:
    for row in np.flatnonzero(~ids.isin(known.index)):
        mend = "Keep the ids as they were written, and read the sheet with its own key"
        yield Fault("the id is not in the key", mend, str(path), "id", int(row) + 1, _short(ids.iloc[row]))
    for row in np.flatnonzero((label != "") & ~((number >= 0) & (number <= 1))):
        mend = "Give 0, 1 or a number between"
        yield Fault("the label cannot be used", mend, str(path), "label", int(row) + 1, _short(label.iloc[row]))


def _short(cell: str) -> str | None:
    """A cell for a message; nothing where it may be a text."""
    return cell if len(cell) <= SHOWN and " " not in cell else None


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    frame = read_table(path).map(restored)
    lacking = [name for name in columns if name not in frame]
    if lacking:
        raise DataError(Fault(f"there is no column {', '.join(lacking)}", f"Needed: {', '.join(columns)}", str(path)))
    return frame
