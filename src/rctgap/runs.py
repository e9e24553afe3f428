"""A whole run: analysis in, result folder with its report out."""

from pathlib import Path

from rctgap.analysis import Analysis, read_inputs, run_analysis
from rctgap.export import replacing, write_result
from rctgap.manifest import manifest_of
from rctgap.report import write_report
from rctgap.results import GapDecomposition

__all__ = ["run_to_folder", "write_run"]


def run_to_folder(analysis: Analysis, folder: Path) -> GapDecomposition:
    """Run an analysis and write its result folder and report; nothing is written if anything fails."""
    with replacing(folder) as place:
        result = write_run(analysis, place)
        write_report(place)
    return result


def write_run(analysis: Analysis, place: Path) -> GapDecomposition:
    """Run an analysis and write its files, without the report, into an empty folder."""
    inputs = read_inputs(analysis)
    result = run_analysis(analysis, inputs=inputs)
    return write_result(result, place, card=inputs.card, manifest=manifest_of(analysis, result))
