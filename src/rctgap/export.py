"""Result folders: written whole or not at all, in open formats, and read back into an equal result."""

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pydantic
import yaml

from rctgap.cards import BenchmarkCard
from rctgap.checks import checked
from rctgap.errors import Fault, OutputError
from rctgap.results import (
    AssumptionRow,
    AttritionRow,
    CheckResult,
    ComponentRow,
    EffectRow,
    GapDecomposition,
    MarginRow,
    Settings,
    ShareRow,
    StageRow,
    SystemRow,
)
from rctgap.suppression import suppressed

__all__ = [
    "RESULTS_SCHEMA",
    "RESULT_SCHEMA",
    "load",
    "load_manifest",
    "replacing",
    "save",
    "write_index",
    "write_result",
]

RESULT_SCHEMA = "rctgap/result/1"
RESULTS_SCHEMA = "rctgap/results/1"
INDEX = "index.json"

_TABLES: Mapping[str, tuple[str, type]] = {
    "components": ("components.csv", ComponentRow),
    "shares": ("shares.csv", ShareRow),
    "stages": ("stages.csv", StageRow),
    "other_stages": ("stages_other.csv", StageRow),
    "effects": ("effects.csv", EffectRow),
    "checks": ("checks.csv", CheckResult),
    "assumptions": ("assumptions.csv", AssumptionRow),
    "attrition": ("attrition.csv", AttritionRow),
}
_RECORDS: Mapping[str, type] = {
    **{name: kind for name, (_, kind) in _TABLES.items()},
    "margins": MarginRow,
    "systems": SystemRow,
}


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
    card: BenchmarkCard | None = None,
    manifest: Mapping[str, Any] | None = None,
) -> GapDecomposition:
    """Write every file of a result into an empty folder; returns the result as it was written."""
    shown = suppressed(checked(result))
    for name, (file, kind) in _TABLES.items():
        _write_csv(place / file, getattr(shown, name), kind)
    _write_json(place / "result.json", _document(shown))
    if card is not None:
        text = yaml.safe_dump(_plain(card.document), sort_keys=False, allow_unicode=True, width=100)
        (place / "card.yaml").write_text(text, encoding="utf-8")
    if manifest is not None:
        _write_json(place / "manifest.json", dict(manifest))
    return shown


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _document(result: GapDecomposition) -> dict[str, Any]:
    document: dict[str, Any] = {"schema": RESULT_SCHEMA, "final": result.final, "title": result.title}
    document["settings"] = asdict(result.settings)
    for name in _RECORDS:
        document[name] = [asdict(row) for row in getattr(result, name)]
    document["warnings"] = list(result.warnings)
    document["notes"] = list(result.notes)
    return document


def _write_json(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


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
        No result there, or one of another schema or damaged.
    """
    path = Path(folder) / "result.json"
    document = _read_json(path)
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
        records = {name: _records(kind, document[name]) for name, kind in _RECORDS.items()}
        settings = pydantic.TypeAdapter(Settings).validate_python(document["settings"])
        return GapDecomposition(
            title=str(document["title"]),
            settings=settings,
            warnings=tuple(document["warnings"]),
            notes=tuple(document["notes"]),
            **records,  # type: ignore[arg-type]  # one tuple of records per field, by name
        )
    except (pydantic.ValidationError, KeyError, TypeError) as damage:
        raise OutputError(
            Fault(f"the result is damaged: {_brief(damage)}", "Run the analysis again", str(path))
        ) from None


def _records(kind: type, content: Any) -> tuple[Any, ...]:
    return tuple(pydantic.TypeAdapter(list[kind]).validate_python(content))  # type: ignore[valid-type]


def _brief(damage: Exception) -> str:
    return str(damage).splitlines()[0][:120]


def load_manifest(folder: Path | str) -> Mapping[str, Any]:
    """The manifest of a result folder, empty where there is none."""
    path = Path(folder) / "manifest.json"
    return _read_json(path) if path.is_file() else {}


def _read_json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise OutputError(
            Fault("no result here", "Name a folder that rctgap wrote (it holds result.json)", str(path.parent))
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as damage:
        raise OutputError(Fault(f"the file is damaged: {damage}", "Run the analysis again", str(path))) from None
    if not isinstance(content, dict):
        raise OutputError(Fault("the file does not hold a mapping", "Run the analysis again", str(path)))
    return content


def write_index(place: Path, title: str, names: Sequence[str], skipped: Mapping[str, str]) -> None:
    """Mark a folder of several results, and say which were left out and why."""
    _write_json(
        place / INDEX, {"schema": RESULTS_SCHEMA, "title": title, "results": list(names), "skipped": dict(skipped)}
    )


@contextmanager
def replacing(folder: Path | str) -> Iterator[Path]:
    """A fresh folder that takes the place of `folder` when the block ends well, and vanishes otherwise.

    Raises
    ------
    OutputError
        `folder` is a file, or a folder that rctgap did not write.
    """
    target = Path(folder).resolve()
    _refuse_foreign(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise OutputError(Fault(f"cannot write there: {error.strerror}", "Choose another --out", str(folder))) from None
    try:
        place.chmod(0o777 & ~_umask())
        yield place
        _swap(place, target)
    finally:
        shutil.rmtree(place, ignore_errors=True)


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
    marks = ((target / "result.json", RESULT_SCHEMA), (target / INDEX, RESULTS_SCHEMA))
    if not any(path.is_file() and _read_json(path).get("schema") == schema for path, schema in marks):
        raise OutputError(
            Fault(
                "this folder holds something that is not an rctgap result",
                "Choose another --out, or empty it first",
                str(target),
            )
        )
