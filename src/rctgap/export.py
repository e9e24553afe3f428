"""Result folders: written whole or not at all, in open formats, and read back into an equal result."""

import csv
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pydantic

from rctgap.card_writing import card_of_result
from rctgap.checks import checked
from rctgap.deployment_evidence import evidence_of
from rctgap.errors import Fault, OutputError
from rctgap.estimates import Sampling
from rctgap.manifest import manifest_of
from rctgap.posterior_file import POSTERIOR, posterior_tree, read_tree, write_tree
from rctgap.records import Settings
from rctgap.result_tables import OF_A_POSTERIOR, ONLY_WITH_ROWS, RECORDS, TABLES
from rctgap.results import GapDecomposition
from rctgap.strict_json import brief, read_json, write_json
from rctgap.suppression import suppressed

__all__ = [
    "RESULTS_SCHEMA",
    "RESULT_SCHEMA",
    "SYNTHESIS",
    "SYNTHESIS_SCHEMA",
    "Index",
    "load",
    "load_manifest",
    "read_index",
    "replacing",
    "results_in",
    "save",
    "write_index",
    "write_result",
]

RESULT_SCHEMA = "rctgap/result/1"
RESULTS_SCHEMA = "rctgap/results/1"
SYNTHESIS_SCHEMA = "rctgap/synthesis/1"
INDEX = "index.json"
SYNTHESIS = "synthesis.json"

REPORTS = ("report.html", "report.md")
OWN_FILES = frozenset(
    {
        "result.json",
        "manifest.json",
        "card.yaml",
        POSTERIOR,
        "figures",
        *REPORTS,
        *(file for file, _ in TABLES.values()),
    }
)
OF_A_SYNTHESIS = frozenset({SYNTHESIS, "synthesis.csv", "figures", *REPORTS})


def save(result: GapDecomposition, folder: Path | str) -> Path:
    """Write a result folder, replacing an older result as a whole.

    Parameters
    ----------
    result : GapDecomposition
        Its checks are run if they have not been; cells under its suppression threshold are hidden.
    folder : path
        A new folder, or one that holds an rctgap result.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    OutputError
        The folder holds something else, or cannot be written.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> import rctgap as rg
    >>> frame = pd.DataFrame({"arm": "a1", "conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> folder = rg.save(result, tempfile.mkdtemp())
    >>> rg.load(folder).row("decision").estimate == result.row("decision").estimate
    True
    """
    with replacing(folder) as place:
        write_result(result, place)
    return Path(folder)


def write_result(
    result: GapDecomposition,
    place: Path,
    *,
    manifest: Callable[[GapDecomposition], Mapping[str, Any]] = manifest_of,
) -> GapDecomposition:
    """Write every file of a result into an empty folder; returns the result as it was written.

    The manifest is made from that one too: what is hidden stays hidden in its warnings.
    """
    shown = suppressed(checked(result))
    left_out = () if shown.posterior else OF_A_POSTERIOR
    for name, (file, kind) in ((one, made) for one, made in TABLES.items() if one not in left_out):
        rows = (*shown.components, *shown.alternatives) if name == "components" else getattr(shown, name)
        if rows or name not in ONLY_WITH_ROWS:
            _write_csv(place / file, rows, kind)
    tree = posterior_tree(shown)
    write_json(place / "result.json", _document(shown, None if tree is None else write_tree(tree, place / POSTERIOR)))
    made = dict(manifest(shown))
    if result.card is not None:
        text = card_of_result(result.card, evidence_of(shown, made))
        (place / "card.yaml").write_text(text, encoding="utf-8", newline="")
    write_json(place / "manifest.json", made)
    return shown


def _document(result: GapDecomposition, posterior: str | None) -> dict[str, Any]:
    document: dict[str, Any] = {"schema": RESULT_SCHEMA, "final": result.final, "title": result.title}
    document["settings"] = asdict(result.settings)
    for name in RECORDS:
        document[name] = [asdict(row) for row in getattr(result, name)]
    document["warnings"] = list(result.warnings)
    document["notes"] = list(result.notes)
    document["next_steps"] = list(result.next_steps)
    document["sampling"] = None if result.sampling is None else asdict(result.sampling)
    document["posterior_sha256"] = posterior
    return document


def _write_csv(path: Path, rows: Sequence[Any], kind: type) -> None:
    names = [one.name for one in fields(kind)]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(["" if getattr(row, name) is None else getattr(row, name) for name in names] for row in rows)


def load(folder: Path | str) -> GapDecomposition:
    """Read a result folder back into a result equal to the one saved.

    Raises
    ------
    OutputError
        No result there, or one of another schema or damaged, or without its posterior.nc.
    """
    path = Path(folder) / "result.json"
    document = read_json(path)
    if document.get("schema") != RESULT_SCHEMA:
        raise OutputError(
            Fault(
                "not a result of this schema",
                f"Expected {RESULT_SCHEMA}",
                str(path),
                "schema",
                value=str(document.get("schema")),
            )
        )
    try:
        records = {name: _records(kind, document[name]) for name, kind in RECORDS.items()}
        settings = pydantic.TypeAdapter(Settings).validate_python(document["settings"])
        texts = pydantic.TypeAdapter(dict[str, tuple[str, ...]]).validate_python(
            {name: document[name] for name in ("warnings", "notes", "next_steps")}
        )
        sampling = pydantic.TypeAdapter(Sampling | None).validate_python(document["sampling"])
        known = pydantic.TypeAdapter(str | None).validate_python(document["posterior_sha256"])
        result = GapDecomposition(title=str(document["title"]), settings=settings, **texts, **records)  # type: ignore[arg-type]
        result = replace(result, sampling=sampling)
        _complete(result)
    except (pydantic.ValidationError, KeyError, TypeError) as damage:
        raise OutputError(
            Fault(f"the result is damaged: {brief(damage)}", "Run the analysis again", str(path))
        ) from None
    return result if known is None else replace(result, draws=read_tree(Path(folder) / POSTERIOR, known))


def _complete(result: GapDecomposition) -> None:
    """A gap and every stage for each arm, without which nothing can be shown; KeyError names what lacks."""
    stages = {(row.arm, row.stage) for row in result.stages}
    for arm in (*result.settings.arms, "all"):
        result.row("gap", arm)
        for stage in result.settings.stages:
            if (arm, stage) not in stages:
                raise KeyError((arm, stage))


def _records(kind: type, content: Any) -> tuple[Any, ...]:
    return tuple(pydantic.TypeAdapter(list[kind]).validate_python(content))  # type: ignore[valid-type]


def load_manifest(folder: Path | str) -> Mapping[str, Any]:
    """The manifest of a result folder, empty where there is none."""
    path = Path(folder) / "manifest.json"
    return read_json(path) if path.is_file() else {}


@dataclass(frozen=True, slots=True)
class Index:
    """What stands over several results: a title, a lead, their order, and which were left out and why."""

    title: str = ""
    lead: str = ""
    results: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)


def results_in(folder: Path) -> tuple[Path, ...]:
    """A result folder itself, or the results in it: those that its index lists, then the others by name.

    Raises
    ------
    OutputError
        It holds no result.
    """
    if (folder / "result.json").is_file():
        return (folder,)
    found = sorted(path.parent for path in folder.glob("*/result.json") if not path.parent.name.startswith("."))
    listed = [folder / name for name in read_index(folder).results]
    places = (*listed, *(place for place in found if place not in listed))
    if not places:
        advice = "Name a folder that rctgap wrote (it holds result.json)"
        raise OutputError(Fault("no result here", advice, str(folder)))
    return places


def write_index(place: Path, index: Index) -> None:
    """Mark a folder of several results."""
    write_json(place / INDEX, {"schema": RESULTS_SCHEMA, **asdict(index)})


def read_index(place: Path) -> Index:
    """The index of a folder of results, empty where there is none.

    Raises
    ------
    OutputError
        It is damaged.
    """
    path = place / INDEX
    if not path.is_file():
        return Index()
    content = {name: value for name, value in read_json(path).items() if name != "schema"}
    try:
        return pydantic.TypeAdapter(Index).validate_python(content)
    except pydantic.ValidationError as damage:
        raise OutputError(Fault(f"the index is damaged: {brief(damage)}", "Run again", str(path))) from None


@contextmanager
def replacing(folder: Path | str) -> Iterator[Path]:
    """A fresh folder that takes the place of `folder` when the block ends well, and vanishes otherwise.

    Raises
    ------
    OutputError
        `folder` is a file, or a folder that rctgap did not write.
    """
    target = Path(folder).resolve()
    made: list[Path] = []
    try:
        _refuse_foreign(target)
        made = [parent for parent in target.parents if not parent.exists()]
        target.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=".rctgap-", dir=target.parent))
    except OSError as error:
        raise OutputError(Fault(f"cannot write there: {error.strerror}", "Choose another --out", str(folder))) from None
    try:
        place.chmod(0o777 & ~_umask())
        yield place
        _swap(place, target)
    finally:
        shutil.rmtree(place, ignore_errors=True)
        _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Take back folders that were made for nothing, innermost first."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _swap(place: Path, target: Path) -> None:
    if not target.exists():
        place.rename(target)
        return
    old = place.with_name(place.name + ".old")
    target.rename(old)
    try:
        place.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old)


def _refuse_foreign(target: Path) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(Fault("this is a file", "Name a folder", str(target)))
    if not any(target.iterdir()):
        return
    other = _not_ours(target)
    if other:
        raise OutputError(
            Fault(
                f"this folder holds something that is not an rctgap result ({other})",
                "Choose another --out, or empty it first",
                str(target),
            )
        )


def _listed(target: Path) -> tuple[str, ...] | None:
    try:
        return read_index(target).results
    except OutputError:
        return None


def _is_result(path: Path, schema: str = RESULT_SCHEMA) -> bool:
    try:
        return read_json(path).get("schema") == schema
    except OutputError:
        return False


def _not_ours(target: Path) -> str:
    """The first thing in a folder that rctgap did not write there; empty where all is a result."""
    names = sorted(path.name for path in target.iterdir())
    if INDEX in names:
        listed = _listed(target)
        if listed is None:
            return f"{INDEX}, damaged"
        strange = next((name for name in names if name not in {INDEX, *REPORTS, *listed}), "")
        return strange or next(
            (f"{one}/{found}" for one in listed if one in names and (found := _not_ours(target / one))), ""
        )
    for mark, schema, own in (
        (SYNTHESIS, SYNTHESIS_SCHEMA, OF_A_SYNTHESIS),
        ("result.json", RESULT_SCHEMA, OWN_FILES),
    ):
        if mark in names:
            damaged = "" if _is_result(target / mark, schema) else f"{mark}, damaged or of another schema"
            return damaged or next((name for name in names if name not in own), "")
    return names[0] if names else ""
