"""A figure as SVG text that can stand in a page: named, described, and the same bytes every time."""

import re
import warnings
from html import escape
from io import StringIO

from matplotlib.figure import Figure

from rctgap.plots.style import settled

__all__ = ["svg"]

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_DROPPED = re.compile(
    r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>|<\?xml.*?\?>|<!DOCTYPE.*?>", re.DOTALL
)
_TAG = re.compile(r"<[^>]*>")
_NAMED = re.compile(r'\b(id|xlink:href)="(#?)([^"]*)"|url\(#([^)]*)\)')


def svg(figure: Figure, prefix: str = "figure") -> str:
    """Write a figure as SVG for a page.

    Parameters
    ----------
    figure : Figure
        One of this package's; its label holds the title and, on further lines, the description.
    prefix : str
        Put before every id, so that several figures fit in one page.

    Returns
    -------
    str
        One `svg` element with `role="img"`, a `title` and a `desc`, its text kept as text.
    """
    title, _, description = str(figure.get_label()).partition("\n")
    stream = StringIO()
    with settled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        figure.savefig(stream, format="svg", metadata=_NO_METADATA)
    body = _TAG.sub(lambda tag: _prefixed(tag[0], prefix), _DROPPED.sub("", stream.getvalue())).strip()
    names = (
        f'role="img" aria-labelledby="{prefix}-title {prefix}-desc" style="stroke-linejoin:round;stroke-linecap:butt"'
    )
    opening, _, rest = body.partition(">")
    told = f'<title id="{prefix}-title">{escape(title)}</title>\n<desc id="{prefix}-desc">{escape(description)}</desc>'
    return f"{opening} {names}>\n{told}{rest}\n"


def _prefixed(tag: str, prefix: str) -> str:
    """A tag whose ids, and references to them, carry the prefix."""

    def renamed(found: re.Match[str]) -> str:
        attribute, mark, name, target = found.groups()
        if target is not None:
            return f"url(#{prefix}-{target})"
        if attribute == "xlink:href" and not mark:
            return found[0]
        return f'{attribute}="{mark}{prefix}-{name}"'

    return _NAMED.sub(renamed, tag)
