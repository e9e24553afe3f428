"""Writes the report of a result folder, or one report over a folder of results."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rctgap.errors import Fault, OutputError
from rctgap.export import load, load_manifest
from rctgap.report.blocks import Chapter, Picture
from rctgap.report.chapter import NamedResult, chapter, closing, prepared, summary
from rctgap.report.markdown import markdown_page
from rctgap.report.webpage import page
from rctgap.result_folders import RESULT, Index, read_index

__all__ = ["write_report"]


def write_report(folder: Path | str) -> tuple[Path, ...]:
    """Write report.html, report.md and figures/ into a result folder, or into each result of a folder and over all.

    Parameters
    ----------
    folder : path
        A folder that holds result.json, or folders that do.

    Returns
    -------
    tuple of Path
        The files written: first the page and its Markdown, then for each result its own and its figures.

    Raises
    ------
    OutputError
        No result there, or one that is damaged.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> import rctgap as rg
    >>> rows = {"conversation": [1, 1, 0], "decision": [1, 0, 0], "count": [30, 40, 30]}
    >>> frame = pd.DataFrame({"arm": ["a1"] * 3, **rows})
    >>> trial = rg.read_trial(frame, design=rg.Design(ai=["a1"]))
    >>> scores = rg.score_stages(trial, [rg.Stage("conversation"), rg.Stage("decision")])
    >>> estimand = rg.Estimand(items="fixed")
    >>> result = rg.decompose(rg.estimate_frequentist(scores, estimand), estimand)
    >>> [path.name for path in rg.write_report(rg.save(result, tempfile.mkdtemp()))]
    ['report.html', 'report.md', 'ladder.svg', 'forest.svg', 'flows.svg']
    """
    place = Path(folder)
    if (place / RESULT).is_file():
        named = _named(place, place.name)
        return _write_folder(place, named, chapter(named))
    index = _contents(place)
    if not index.results:
        raise OutputError(
            Fault("no result here", "Name a folder that holds result.json, or folders that do", file=str(place))
        )
    results = [_named(place / name, name) for name in index.results]
    summaries = [*(summary(one, number) for number, one in enumerate(results, 1)), closing(results)]
    written = list(_write_pages(place, results, summaries, index))
    for one in results:
        written += _write_folder(place / one.name, one, chapter(one))
    return tuple(written)


def _named(place: Path, name: str) -> NamedResult:
    return prepared(NamedResult(name, load(place), load_manifest(place)))


def _write_folder(place: Path, named: NamedResult, told: Chapter) -> tuple[Path, ...]:
    """The report of one result, with its figures as files."""
    pages = _write_pages(place, [named], [told])
    figures = place / "figures"
    figures.mkdir(exist_ok=True)
    for old in figures.glob("*.svg"):
        old.unlink()
    pictures = [block for section in told.sections for block in section.blocks if isinstance(block, Picture)]
    return (*pages, *(_write(figures / f"{picture.name}.svg", picture.svg) for picture in pictures))


def _write_pages(
    place: Path,
    results: Sequence[NamedResult],
    chapters: Sequence[Chapter],
    index: Index | None = None,
) -> tuple[Path, ...]:
    return (
        _write(place / "report.html", page(results, chapters, index)),
        _write(place / "report.md", markdown_page(results, chapters, index)),
    )


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="\n")
    return path


def _contents(place: Path) -> Index:
    """The folder's index, its results completed by those that it does not name."""
    found = sorted(path.parent.name for path in place.glob(f"*/{RESULT}") if not path.parent.name.startswith("."))
    index = read_index(place)
    listed = [name for name in index.results if name in found]
    return replace(index, results=(*listed, *(name for name in found if name not in listed)))
