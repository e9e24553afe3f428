"""The report as one HTML page that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rctgap.report.blocks import Chapter
from rctgap.report.chapter import NamedResult, chapter, prepared
from rctgap.report.comparison import comparison
from rctgap.result_folders import Index
from rctgap.tables import plain

__all__ = ["heading", "page", "render_html"]

TITLE = "Gap decomposition"


def render_html(results: Sequence[NamedResult], index: Index | None = None) -> str:
    """Render results as one self-contained page.

    Parameters
    ----------
    results : sequence of NamedResult
        One or several; several are first laid side by side.
    index : Index, optional
        The title and lead of the page, and results that could not be made. Without one the page
        is titled as its one result.

    Returns
    -------
    str
        A page with its style and figures in it, without scripts or outside references.
    """
    shown = [prepared(one) for one in results]
    return page(shown, [chapter(one, number) for number, one in enumerate(shown, 1)], index)


def page(shown: Sequence[NamedResult], chapters: Sequence[Chapter], index: Index | None = None) -> str:
    """Lay prepared chapters out as a page."""
    several = len(chapters) > 1
    over = index or Index()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=heading(chapters, over),
            lead=over.lead,
            chapters=chapters,
            comparison=comparison(shown) if several else (),
            several=several,
            skipped=tuple(over.skipped.items()),
        )
    )


def heading(chapters: Sequence[Chapter], index: Index) -> str:
    """The title of a page: the index's, else that of its one chapter."""
    return index.title or (chapters[0].title if len(chapters) == 1 else TITLE)


def _environment() -> Environment:
    folder = Path(__file__).parent / "templates"
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_cleaned,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = _drawn
    return environment


def _cleaned(value: object) -> object:
    """Text without control characters; what is markup already stays."""
    return plain(value) if type(value) is str else value


def _drawn(svg: str) -> Markup:
    """An SVG of our own making, whose text was escaped when it was written."""
    return Markup(svg)  # noqa: S704
