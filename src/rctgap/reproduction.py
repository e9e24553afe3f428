"""The published case study, from the embedded counts or from the authors' own files, one result folder a chain."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rctgap.analysis import run_analysis
from rctgap.datasets import folder as embedded_folder
from rctgap.datasets.raman2026 import CHAINS
from rctgap.datasets.raman2026.authors_files import FILES, differences, tables_from
from rctgap.documents import sha256
from rctgap.errors import DataError, RctgapError
from rctgap.export import write_result
from rctgap.files import read_table
from rctgap.inputs import read_analysis
from rctgap.records import CheckResult
from rctgap.report import write_report
from rctgap.result_folders import Index, replacing, write_index
from rctgap.results import GapDecomposition
from rctgap.runs import run_manifest
from rctgap.tables import interval, percent

__all__ = ["Reproduction", "reproduce"]

STUDY = "raman2026"
TOLD = ("as-published", "gpt-4o", "llama-3-70b", "command-r-plus")
TITLE = "The case study of Raman et al. (2026), as published and with one system throughout"


@dataclass(frozen=True, slots=True)
class Reproduction:
    """What was written: a result per chain, and the chains that these data do not hold."""

    folder: Path
    results: Mapping[str, GapDecomposition]
    skipped: Mapping[str, str]


def reproduce(
    out: Path, data: Path | None = None, each: Callable[[Sequence[str]], Iterator[str]] = iter
) -> Reproduction:
    """Run every chain of the case study and write one report over all of them.

    Parameters
    ----------
    out : Path
        Folder to write.
    data : Path, optional
        Folder with the authors' files; the embedded counts otherwise.
    each : callable
        Wraps the chain names, to show progress.

    Raises
    ------
    DataError
        The authors' files cannot be used.
    OutputError
        `out` holds something else.
    """
    with replacing(out, "results") as place, _inputs(data) as (source, check, extra):
        results: dict[str, GapDecomposition] = {}
        skipped: dict[str, str] = {}
        for name in each(CHAINS):
            try:
                results[name] = _chain(name, source, place, check, extra)
            except RctgapError as error:
                if data is None:
                    raise
                skipped[name] = error.reason
        if not results:
            raise DataError(*(f"{name}: {reason}" for name, reason in skipped.items()))
        write_index(place, Index(TITLE, _lead(results), tuple(results), skipped))
        write_report(place)
    return Reproduction(Path(out), results, skipped)


def _lead(results: Mapping[str, GapDecomposition]) -> str:
    """What the study's chains say together, from their numbers."""
    parts = [_split_text(name, results[name]) for name in TOLD if name in results]
    swap = next((row for one in results.values() for row in one.margins if row.fits), None)
    found = ""
    if swap is not None:
        labelled = swap.label.rpartition(" = ")[2]
        found = (
            f"Rows that the case study labels {labelled} fit the trial's figures for {swap.fits}: {swap.fit_detail}. "
        )
    return (
        f"{found}Task and outcome components, in points: {'; '.join(parts)}. The intervals speak of these scenarios; "
        "over other scenarios they are wider, and for some stages no interval here is right."
    )


def _split_text(name: str, result: GapDecomposition) -> str:
    task, outcome = (result.row(family) for family in ("task", "outcome"))
    shown = " and ".join(f"{percent(one.estimate)} ({interval(one.lower, one.upper)})" for one in (task, outcome))
    return f"{name} {shown}"


def _chain(
    name: str, source: Path, place: Path, check: CheckResult | None, extra: Sequence[Mapping[str, str]]
) -> GapDecomposition:
    analysis = read_analysis(source / f"{name}.yaml")
    result = run_analysis(analysis)
    if check is not None:
        result = replace(result, checks=(*result.checks, check))

    def manifest(shown: GapDecomposition) -> dict[str, Any]:
        found = run_manifest(analysis, shown)
        return found | {"inputs": [*found["inputs"], *extra]}

    (place / name).mkdir()
    return write_result(result, place / name, manifest=manifest)


@contextmanager
def _inputs(data: Path | None) -> Iterator[tuple[Path, CheckResult | None, Sequence[Mapping[str, str]]]]:
    """A folder with the case study's analyses and tables, the check against the embedded counts, and file hashes."""
    embedded = embedded_folder(STUDY)
    if data is None:
        yield embedded, None, ()
        return
    tables = tables_from(data)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for path in (*embedded.glob("*.yaml"), *embedded.glob("disposition*.csv")):
            shutil.copy(path, folder / path.name)
        for name, frame in tables.items():
            frame.to_csv(folder / name, index=False, lineterminator="\n")
        extra = [{"role": "authors' file", "file": name, "sha256": sha256(data / name)} for name in FILES]
        yield folder, _agreement(folder, embedded), extra


def _agreement(folder: Path, embedded: Path) -> CheckResult:
    names = ("trial.csv", "benchmark.csv", "scenarios.csv")
    counted = {name: _differ(folder / name, embedded / name) for name in names}
    wrong = {name: number for name, number in counted.items() if number}
    if not wrong:
        return CheckResult("embedded_counts", "pass", "", "The files give the embedded counts, pattern by pattern.")
    told = "; ".join(f"{name}: {number} patterns differ" for name, number in wrong.items())
    return CheckResult("embedded_counts", "fail", "", f"The files do not give the embedded counts ({told}).")


def _differ(found: Path, embedded: Path) -> int:
    one, other = read_table(found), read_table(embedded)
    if "count" not in other.columns:
        one, other = one.assign(count="1"), other.assign(count="1")
    return differences(one, other)
