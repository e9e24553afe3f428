"""The report in Markdown: the same sections, for readers and programs that prefer plain text."""

from collections.abc import Sequence
from urllib.parse import quote

from rctgap.report.blocks import Block, Bullets, Chapter, Link, Notice, Paragraph, Picture, References, Table
from rctgap.report.chapter import NamedResult, chapter, prepared
from rctgap.report.comparison import comparison
from rctgap.report.webpage import heading
from rctgap.result_folders import Index
from rctgap.tables import markdown_table, plain

__all__ = ["markdown_page", "render_markdown"]

_SPECIAL = "\\`*[]|"


def render_markdown(results: Sequence[NamedResult], index: Index | None = None) -> str:
    """Render results as Markdown; figures are linked to, as files under `figures/`, where there is one result.

    Parameters
    ----------
    results : sequence of NamedResult
    index : Index, optional
        The title and lead of the page, and results that could not be made.

    Returns
    -------
    str
    """
    shown = [prepared(one) for one in results]
    return markdown_page(shown, [chapter(one, number) for number, one in enumerate(shown, 1)], index)


def markdown_page(shown: Sequence[NamedResult], chapters: Sequence[Chapter], index: Index | None = None) -> str:
    """Lay prepared chapters out as Markdown."""
    several = len(chapters) > 1
    over = index or Index()
    parts = [f"# {_escaped(heading(chapters, over))}"]
    if several:
        parts += [f"**{_escaped(over.lead)}**"] if over.lead else []
        parts += ["## Side by side", *(_block(block, pictures=False) for block in comparison(shown))]
        parts += [f"{_escaped(name)} was left out: {_escaped(reason)}" for name, reason in over.skipped.items()]
    for one in chapters:
        parts += _chapter(one, several=several)
    return "\n\n".join(part for part in parts if part) + "\n"


def _chapter(one: Chapter, *, several: bool) -> list[str]:
    parts = [f"## {_escaped(one.title)}"] if several else []
    mark = "###" if several else "##"
    for section in one.sections:
        parts += [f"{mark} {section.title}"] if section.title else []
        parts += [_block(block, pictures=not several) for block in section.blocks]
    return parts


def _block(block: Block, *, pictures: bool) -> str:  # noqa: PLR0911 - one return a kind of block
    match block:
        case Paragraph(text=text, lead=lead):
            return f"**{_escaped(text)}**" if lead else _escaped(text)
        case Bullets(items=items):
            return _list(items)
        case Notice(title=title, items=items):
            return f"**{_escaped(title)}**\n\n{_list(items)}"
        case References(items=items):
            return "\n".join(f"- {_escaped(item.text)}: [{item.label}]({item.address})" for item in items)
        case Picture(name=name, title=title):
            return f"![{_escaped(title)}](figures/{name}.svg)" if pictures else ""
        case Link(text=text, path=path):
            return f"[{_escaped(text)}]({quote(path)})"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    return f"{_escaped(table.caption)}\n\n{markdown_table(table.header, table.rows)}"


def _list(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {_escaped(item)}" for item in items)


def _escaped(text: str) -> str:
    """Text on one line in which nothing is markup; an underscore between letters is none."""
    clean = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    marked = "".join(f"\\{one}" if one in _SPECIAL else one for one in clean)
    marked = " ".join(_underscored(word) for word in marked.split(" "))
    return f"\\{marked}" if marked[:1] in "#-+" and marked else marked


def _underscored(word: str) -> str:
    inner = word.strip("_")
    head, tail = len(word) - len(word.lstrip("_")), len(word) - len(word.rstrip("_"))
    return word if inner == word or not inner else "\\_" * head + inner + "\\_" * tail
