"""A whole run: analysis in, result folder with its report out."""

from pathlib import Path
from typing import Any

from rctgap.analysis import Method, Progress, run_analysis, seed_of
from rctgap.export import write_result
from rctgap.inputs import Analysis, document_of, input_files
from rctgap.manifest import manifest_of
from rctgap.report import write_report
from rctgap.result_folders import replacing
from rctgap.results import GapDecomposition

__all__ = ["run_manifest", "run_to_folder", "write_run"]


def run_to_folder(
    analysis: Analysis,
    folder: Path,
    *,
    method: Method = "frequentist",
    allow_unconverged: bool = False,
    progress: Progress = iter,
) -> GapDecomposition:
    """Run an analysis and write its result folder and report; nothing is written if anything fails."""
    with replacing(folder) as place:
        result = write_run(analysis, place, method=method, allow_unconverged=allow_unconverged, progress=progress)
        write_report(place)
    return result


def write_run(
    analysis: Analysis,
    place: Path,
    *,
    method: Method = "frequentist",
    allow_unconverged: bool = False,
    progress: Progress = iter,
) -> GapDecomposition:
    """Run an analysis and write its files, without the report, into an empty folder."""
    result = run_analysis(analysis, method=method, allow_unconverged=allow_unconverged, progress=progress)
    return write_result(result, place, manifest=lambda shown: run_manifest(analysis, shown))


def run_manifest(analysis: Analysis, result: GapDecomposition) -> dict[str, Any]:
    """The manifest of an analysis that was run from files."""
    inputs = dict(input_files(analysis))
    return manifest_of(result, inputs, analysis=document_of(analysis), seed=seed_of(analysis))
