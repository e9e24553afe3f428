"""The report as one HTML page that needs nothing else."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from rctgap.report.blocks import Chapter
from rctgap.report.chapter import NamedResult, chapter, prepared
from rctgap.report.comparison import comparison
from rctgap.tables import plain

__all__ = ["page", "render_html"]

TITLE = "Gap decomposition"


def render_html(results: Sequence[NamedResult], *, title: str = "", skipped: Sequence[tuple[str, str]] = ()) -> str:
    """Render results as one self-contained page.

    Parameters
    ----------
    results : sequence of NamedResult
        One or several; several are first laid side by side.
    title : str
        The page's title; the result's own where there is one result and none is given.
    skipped : sequence of (str, str)
        Results that could not be made, and why.

    Returns
    -------
    str
        A page with its style and figures in it, without scripts or outside references.
    """
    shown = [prepared(one) for one in results]
    chapters = [chapter(one, number) for number, one in enumerate(shown, 1)]
    return page(shown, chapters, title=title, skipped=skipped)


def page(
    shown: Sequence[NamedResult],
    chapters: Sequence[Chapter],
    *,
    title: str = "",
    skipped: Sequence[tuple[str, str]] = (),
) -> str:
    """Lay prepared chapters out as a page."""
    several = len(chapters) > 1
    heading = title or (chapters[0].title if len(chapters) == 1 else TITLE)
    template = _environment().get_template("page.html.j2")
    beside = comparison(shown) if several else ()
    return template.render(title=heading, chapters=chapters, comparison=beside, several=several, skipped=tuple(skipped))


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
