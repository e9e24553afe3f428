"""Folders of results: which kind stands where, several under one index, and a new one swapped in whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import pydantic

from rctgap.errors import Fault, OutputError
from rctgap.posterior_file import POSTERIOR
from rctgap.result_tables import TABLES
from rctgap.strict_json import brief, read_json, write_json

__all__ = [
    "RESULT",
    "RESULTS_SCHEMA",
    "RESULT_SCHEMA",
    "SYNTHESIS",
    "SYNTHESIS_SCHEMA",
    "Index",
    "Kind",
    "read_index",
    "replacing",
    "results_in",
    "write_index",
]

type Kind = Literal["result", "results", "synthesis", "study"]

RESULT_SCHEMA = "rctgap/result/1"
RESULTS_SCHEMA = "rctgap/results/1"
SYNTHESIS_SCHEMA = "rctgap/synthesis/1"
INDEX = "index.json"
RESULT = "result.json"
SYNTHESIS = "synthesis.json"
WORDS: Mapping[Kind, str] = {
    "result": "the result of one analysis",
    "results": "the results of several analyses",
    "synthesis": "a synthesis of several trials",
    "study": "the files of a study",
}

REPORTS = ("report.html", "report.md")
OWN_FILES = frozenset(
    {RESULT, "manifest.json", "card.yaml", POSTERIOR, "figures", *REPORTS, *(file for file, _ in TABLES.values())}
)
OF_A_SYNTHESIS = frozenset({SYNTHESIS, "synthesis.csv", "figures", *REPORTS})


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
    if (folder / RESULT).is_file():
        return (folder,)
    found = sorted(path.parent for path in folder.glob(f"*/{RESULT}") if not path.parent.name.startswith("."))
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
def replacing(folder: Path | str, writes: Kind = "result") -> Iterator[Path]:
    """A fresh folder that takes the place of `folder` when the block ends well, and vanishes otherwise.

    Parameters
    ----------
    folder : path
    writes : {"result", "results", "synthesis", "study"}
        What the block writes. Only a folder of the same kind is replaced: a synthesis never takes the place of one of
        its own results.

    Raises
    ------
    OutputError
        `folder` is a file, a folder that rctgap did not write, or one of another kind.
    """
    target = Path(folder).resolve()
    made: list[Path] = []
    try:
        _refuse_foreign(target, writes)
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


def _refuse_foreign(target: Path, writes: Kind) -> None:
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
    held = _kind(target)
    if held != writes:
        raise OutputError(
            Fault(
                f"this folder holds {WORDS[held]}, and {WORDS[writes]} would take its place",
                "Choose another --out, or remove the folder first",
                str(target),
            )
        )


def _kind(target: Path) -> Kind:
    """Of a folder that rctgap wrote."""
    if (target / INDEX).is_file():
        return "results"
    return "synthesis" if (target / SYNTHESIS).is_file() else "result"


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
        (RESULT, RESULT_SCHEMA, OWN_FILES),
    ):
        if mark in names:
            damaged = "" if _is_result(target / mark, schema) else f"{mark}, damaged or of another schema"
            return damaged or next((name for name in names if name not in own), "")
    return names[0] if names else ""
