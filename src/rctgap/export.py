"""Result folders: written whole or not at all, in open formats, and read back into an equal result."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any, TypedDict

import pydantic

from rctgap.card_writing import card_of_result
from rctgap.checks import checked
from rctgap.deployment_evidence import evidence_of
from rctgap.errors import Fault, OutputError
from rctgap.estimates import Sampling
from rctgap.manifest import manifest_of
from rctgap.posterior_file import POSTERIOR, posterior_tree, read_tree, write_tree
from rctgap.records import Settings
from rctgap.result_folders import RESULT, RESULT_SCHEMA, replacing
from rctgap.result_tables import OF_A_POSTERIOR, ONLY_WITH_ROWS, RECORDS, TABLES
from rctgap.results import GapDecomposition
from rctgap.strict_json import brief, read_json, write_json
from rctgap.suppression import suppressed

__all__ = ["load", "load_manifest", "save", "write_result"]


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
    write_json(place / RESULT, _document(shown, None if tree is None else write_tree(tree, place / POSTERIOR)))
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
    path = Path(folder) / RESULT
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
        _sound(result)
    except (pydantic.ValidationError, KeyError, TypeError, ValueError) as damage:
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


def _sound(result: GapDecomposition) -> None:
    """Intervals with their ends in order and no standard error below 0; ValueError names the row."""
    for name in RECORDS:
        for number, row in enumerate(getattr(result, name)):
            error, lower, upper = (getattr(row, one, None) for one in ("std_error", "lower", "upper"))
            if error is not None and error < 0:
                raise ValueError(f"{name}[{number}].std_error is {error:g}, below 0")
            if lower is not None and upper is not None and lower > upper:
                raise ValueError(f"{name}[{number}] has its lower end {lower:g} above its upper end {upper:g}")


def _records(kind: type, content: Any) -> tuple[Any, ...]:
    return tuple(pydantic.TypeAdapter(list[kind]).validate_python(content))  # type: ignore[valid-type]


class _Input(TypedDict):
    role: str
    file: str
    sha256: str


class _Analysis(TypedDict, total=False):
    data: dict[str, Any]
    estimand: dict[str, Any]


class _Manifest(TypedDict, total=False):
    """What readers of a manifest rely on; whatever else it holds is theirs to look for."""

    inputs: list[_Input]
    versions: dict[str, Any]
    analysis: _Analysis


def load_manifest(folder: Path | str) -> Mapping[str, Any]:
    """The manifest of a result folder, empty where there is none.

    Raises
    ------
    OutputError
        It is damaged.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        return {}
    content = read_json(path)
    try:
        pydantic.TypeAdapter(_Manifest).validate_python(content)
    except pydantic.ValidationError as damage:
        first = damage.errors()[0]
        place, value = ".".join(map(str, first["loc"])), str(first["input"])[:40]
        what = f"the manifest is damaged: {first['msg']}"
        raise OutputError(Fault(what, "Run the analysis again", str(path), place, value=value)) from None
    return content
