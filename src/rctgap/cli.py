"""The command line: thin commands, heavy imports deferred until one runs."""

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rctgap import __version__
from rctgap.cli_cards import card
from rctgap.cli_shared import PATH, plain_errors
from rctgap.errors import AnalysisError, Fault

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

    from rctgap.analysis import Method
    from rctgap.reproduction import Reproduction
    from rctgap.results import GapDecomposition

__all__ = ["main"]

NOT_FINAL = 3
METHODS = ("frequentist", "bayesian", "both")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rctgap")
def main() -> None:
    """Why a model that aces a benchmark does not help its users.

    Splits the gap between benchmark accuracy and trial outcome into task and outcome components,
    each with an interval and tied to the assumptions of a BenchmarkCard.
    """


@main.command()
@click.argument("study", type=click.Choice(["raman2026"]))
@click.option("--data", type=PATH, help="Folder with the authors' own files; the embedded counts otherwise.")
@click.option("--out", type=PATH, help="Result folder. [default: results/STUDY]")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def reproduce(study: str, data: Path | None, out: Path | None, quiet: bool) -> None:
    """Re-compute a published case study, one result folder a chain and one report over all."""
    with plain_errors():
        from rctgap.reproduction import reproduce as run  # noqa: PLC0415 - heavy

        done = run(out or Path("results") / study, data, lambda names: _progress(names, quiet, "Chains"))
        if not quiet:
            click.echo(_reproduction_text(done))
    sys.exit(max(_exit_code(result, name) for name, result in done.results.items()))


def _progress[T](parts: Iterable[T], quiet: bool, label: str) -> Iterator[T]:
    hidden = quiet or not sys.stderr.isatty()
    with click.progressbar(parts, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield from bar


def _reproduction_text(done: "Reproduction") -> str:
    from rctgap.printing import comparison_text  # noqa: PLC0415 - heavy

    first = next(iter(done.results.values()))
    parts = [str(first), comparison_text(done.results)]
    parts.extend(f"Left out: {name}: {reason}" for name, reason in done.skipped.items())
    parts.append(f"Report: {done.folder / 'report.html'}")
    return "\n\n".join(parts)


@main.command()
@click.argument("analysis", type=PATH)
@click.option("--allow-outside", is_flag=True, help="Let the analysis name files outside its own folder.")
def validate(analysis: Path, allow_outside: bool) -> None:
    """Check dictionary, data, design, links and card; every fault at once."""
    with plain_errors():
        from rctgap.analysis import run_analysis, with_few_replicates  # noqa: PLC0415 - heavy
        from rctgap.inputs import read_analysis  # noqa: PLC0415 - heavy
        from rctgap.printing import attrition_text  # noqa: PLC0415 - heavy

        result = run_analysis(with_few_replicates(read_analysis(analysis, allow_outside=allow_outside)))
        click.echo(f"{analysis}: no fault found.")
        click.echo(attrition_text(result))
        for check in result.checks:
            click.echo(f"{check.check}: {check.status}. {check.detail}")


@main.command()
@click.argument("analysis", type=PATH)
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True)
@click.option("--out", type=PATH, help="Result folder. [default: results/TITLE]")
@click.option("--allow-outside", is_flag=True, help="Let the analysis name files outside its own folder.")
@click.option("--allow-unconverged", is_flag=True, help="Call a posterior final whose chains did not converge.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def decompose(
    analysis: Path, method: "Method", out: Path | None, allow_outside: bool, allow_unconverged: bool, quiet: bool
) -> None:
    """Estimate and split the gap; write a result folder with its report."""
    result, folder = _run(analysis, method, out, allow_outside, allow_unconverged, quiet)
    if not quiet:
        click.echo(result)
        click.echo(f"\nReport: {folder / 'report.html'}")
    sys.exit(_exit_code(result, folder.name))


@main.command()
@click.argument("analysis", type=PATH)
@click.option("--method", type=click.Choice(METHODS), default=METHODS[0], show_default=True)
@click.option("--out", type=PATH, help="Result folder. [default: results/TITLE]")
@click.option("--allow-outside", is_flag=True, help="Let the analysis name files outside its own folder.")
@click.option("--allow-unconverged", is_flag=True, help="Call a posterior final whose chains did not converge.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def stage(
    analysis: Path, method: "Method", out: Path | None, allow_outside: bool, allow_unconverged: bool, quiet: bool
) -> None:
    """Test the card's assumptions in order, with what each stage predicts and which study comes next.

    Stages that do not exist yet are left out of the analysis: what is there gives a prediction, and the card the list
    of assumptions that are still untested.
    """
    result, folder = _run(analysis, method, out, allow_outside, allow_unconverged, quiet)
    if not quiet:
        from rctgap.printing import staged_text  # noqa: PLC0415 - heavy

        click.echo(staged_text(result))
        click.echo(f"\nReport: {folder / 'report.html'}")
    sys.exit(_exit_code(result, folder.name))


def _run(
    analysis: Path, method: "Method", out: Path | None, allow_outside: bool, allow_unconverged: bool, quiet: bool
) -> "tuple[GapDecomposition, Path]":
    """Run an analysis into its result folder."""
    with plain_errors():
        from rctgap.inputs import read_analysis  # noqa: PLC0415 - heavy
        from rctgap.runs import run_to_folder  # noqa: PLC0415 - heavy

        read = read_analysis(analysis, allow_outside=allow_outside)
        folder = out or Path("results") / _slug(read.title)
        result = run_to_folder(
            read,
            folder,
            method=method,
            allow_unconverged=allow_unconverged,
            progress=iter if quiet else lambda parts: _progress(parts, quiet, "Replicates"),
        )
    return result, folder


def _exit_code(result: "GapDecomposition", name: str) -> int:
    if result.final:
        return 0
    click.echo(f"{name} is not final; checks that forbid it: {', '.join(result.forbidden_by)}.", err=True)
    return NOT_FINAL


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:60] or "result"


def _processes(count: int) -> "AbstractContextManager[Executor | None]":
    from concurrent.futures import ProcessPoolExecutor  # noqa: PLC0415 - heavy
    from multiprocessing import get_context  # noqa: PLC0415 - heavy

    return nullcontext() if count == 1 else ProcessPoolExecutor(count, mp_context=get_context("spawn"))


@main.command()
@click.argument("analysis", type=PATH)
@click.option("--out", type=PATH, help="A .csv or .parquet file. [default: beside ANALYSIS, NAME-scores.csv]")
@click.option("--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that score.")
@click.option("--explain", is_flag=True, help="Say what the published rule finds where whole_word finds nothing; slow.")
@click.option("--sample", type=click.IntRange(1), help="Also draw so many cases, as a blinded sheet to label.")
@click.option("--sheet", type=PATH, help="The sheet's file. [default: beside ANALYSIS, NAME-labels.csv]")
@click.option("--allow-outside", is_flag=True, help="Let the analysis name files outside its own folder.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def score(
    analysis: Path,
    out: Path | None,
    workers: int,
    explain: bool,
    sample: int | None,
    sheet: Path | None,
    allow_outside: bool,
    quiet: bool,
) -> None:
    """Score conversation logs and text columns; write one row per answer and stage, without any text.

    A sheet for labelling holds the texts of the cases drawn, and nothing of arm, participant or score: treat it as you
    treat the logs. Filled in, it is named under data.labels.
    """
    with plain_errors():
        from rctgap.inputs import read_analysis, score_analysis  # noqa: PLC0415 - heavy
        from rctgap.labelling import refuse_sheet  # noqa: PLC0415 - heavy
        from rctgap.scored_table import refuse_place, scores_text, write_scores  # noqa: PLC0415 - heavy

        place = (sheet or analysis.with_name(f"{analysis.stem}-labels.csv")) if sample else None
        path = out or analysis.with_name(f"{analysis.stem}-scores.csv")
        refuse_place(path)
        if place is not None:
            refuse_sheet(place, path)
        with _processes(workers) as executor:
            read = read_analysis(analysis, allow_outside=allow_outside)
            scored = score_analysis(read, executor, sheet=place, sample=sample or 0, explain=explain)
        write_scores(scored, path)
        if not quiet:
            click.echo(scores_text(scored))
            click.echo(f"\nScores: {path}")
            if place is not None:
                click.echo(f"Sheet to label: {place} (it holds texts), with its key beside it. Then: data.labels.")


@main.command()
@click.argument("folder", type=PATH)
def report(folder: Path) -> None:
    """Rebuild the report of a result folder, or of a folder of them."""
    with plain_errors():
        from rctgap.report import write_report  # noqa: PLC0415 - heavy

        for path in write_report(folder):
            click.echo(path)


@main.command()
@click.option("--out", type=PATH, required=True, help="New folder.")
@click.option("--seed", type=int, required=True, help="Same seed, same trial.")
@click.option("--arms", type=click.IntRange(1, 20), default=1, show_default=True, help="AI arms, beside a control arm.")
@click.option("--participants", type=int, default=300, show_default=True, help="Participants per arm.")
@click.option("--answers", type=int, default=2, show_default=True, help="Answers per participant, on different items.")
@click.option("--items", type=int, default=10, show_default=True)
@click.option("--runs", type=int, default=30, show_default=True, help="Benchmark runs per item and system.")
@click.option("--mean", "means", multiple=True, metavar="STAGE=P", help="Population mean of a stage; repeat.")
@click.option("--control-mean", type=float, default=0.47, show_default=True)
@click.option("--item-sd", type=float, default=0.8, show_default=True, help="Of item effects on the logit scale.")
@click.option("--population", default="logit-normal", show_default=True, help="logit-normal, or bad-items.")
@click.option("--missing", multiple=True, metavar="STAGE=P", help="Chance that a score is missing; repeat.")
def simulate(out: Path, seed: int, arms: int, means: tuple[str, ...], missing: tuple[str, ...], **sizes: Any) -> None:
    """Write a trial with known components: data, dictionary, analysis and truth.csv."""
    with plain_errors():
        from rctgap.simulate import DEFAULT_MEANS, SimulationPlan  # noqa: PLC0415 - heavy
        from rctgap.simulated_folder import write_simulation  # noqa: PLC0415 - heavy

        labels = [f"a{number}" for number in range(1, arms + 1)]
        plan = SimulationPlan(
            means={**DEFAULT_MEANS, **_chances("--mean", means, DEFAULT_MEANS)},
            missing=_chances("--missing", missing, [name for name in DEFAULT_MEANS if name != "benchmark"]),
            arms=labels,
            **sizes,
        )
        write_simulation(plan, seed, out)
        click.echo(f"Wrote {out}: trial.csv, runs.csv, dictionary.yaml, analysis.yaml, truth.csv, simulation.json.")
        click.echo(f"Next: rctgap decompose {out / 'analysis.yaml'}")


def _chances(option: str, given: Sequence[str], known: Iterable[str]) -> dict[str, float]:
    """STAGE=P settings as numbers."""
    from rctgap.documents import nearest  # noqa: PLC0415 - heavy

    names, found = list(known), {}
    for text in given:
        stage, _, number = text.partition("=")
        if stage not in names:
            raise AnalysisError(Fault("this is no stage", nearest(stage, names), place=option, value=text))
        try:
            found[stage] = float(number)
        except ValueError:
            raise AnalysisError(
                Fault("no number follows the stage", "For example decision=0.4", place=option, value=text)
            ) from None
    return found


@main.command()
@click.argument("folders", metavar="DIR...", nargs=-1, required=True, type=PATH)
@click.option("--out", type=PATH, help="Write synthesis.csv, synthesis.json and a report there.")
@click.option("--arm", default="all", show_default=True, help="Which arm of each result; all is the mean over AI arms.")
@click.option("--side-by-side", is_flag=True, help="Show without pooling.")
@click.option("--no-effects", is_flag=True, help="Leave effects unpooled, which need a control arm in every trial.")
@click.option("--level", type=float, default=0.95, show_default=True, help="Of the intervals.")
@click.option("--margin", type=float, default=0.05, show_default=True, help="For the chance of a mean under it.")
@click.option("--mu-sd", type=float, default=0.5, show_default=True, help="Bayesian: mean ~ Normal(0, this).")
@click.option("--tau-scale", type=float, default=0.1, show_default=True, help="Bayesian: tau ~ half-normal(this).")
@click.option("--allow-not-final", is_flag=True, help="Take results that a check forbids calling final.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def compare(
    folders: tuple[Path, ...],
    out: Path | None,
    arm: str,
    side_by_side: bool,
    no_effects: bool,
    level: float,
    margin: float,
    mu_sd: float,
    tau_scale: float,
    allow_not_final: bool,
    quiet: bool,
) -> None:
    """Lay results of several trials side by side, and pool them.

    DIR is a result folder, or a folder of several. Results are pooled where they have one estimand and share no trial:
    random effects with Hartung-Knapp intervals, and a Bayesian hierarchical model.
    """
    with plain_errors():
        from rctgap.pooling import PoolingPrior  # noqa: PLC0415 - heavy
        from rctgap.synthesis import compare as run  # noqa: PLC0415 - heavy
        from rctgap.synthesis import write_synthesis  # noqa: PLC0415 - heavy
        from rctgap.synthesis_text import synthesis_text  # noqa: PLC0415 - heavy

        found = run(
            folders,
            arm=arm,
            level=level,
            margin=margin,
            prior=PoolingPrior(mu_sd, tau_scale),
            side_by_side=side_by_side,
            effects=not no_effects,
            allow_not_final=allow_not_final,
        )
        folder = None if out is None else write_synthesis(found, out)
        if not quiet:
            click.echo(synthesis_text(found))
        if folder is not None and not quiet:
            click.echo(f"\nReport: {folder / 'report.html'}")


main.add_command(card)
