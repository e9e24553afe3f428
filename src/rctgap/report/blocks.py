"""What a report is made of: sections of paragraphs, lists, tables, notices and pictures, with no layout in them."""

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "Block",
    "Bullets",
    "Chapter",
    "Link",
    "Notice",
    "Paragraph",
    "Picture",
    "Reference",
    "References",
    "Section",
    "Table",
]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `lead` for the sentence that a reader should take away."""

    text: str
    lead: bool = False
    kind: Literal["paragraph"] = "paragraph"


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list."""

    items: tuple[str, ...]
    kind: Literal["bullets"] = "bullets"


@dataclass(frozen=True, slots=True)
class Notice:
    """A titled box: `final` is what forbids calling a result final, `limits` what to read it with."""

    title: str
    items: tuple[str, ...]
    tone: Literal["final", "limits"] = "limits"
    kind: Literal["notice"] = "notice"


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first `heads` columns name the row, `numbers` are columns of figures, `wide` ones of prose."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    heads: int = 1
    numbers: frozenset[int] = frozenset()
    wide: frozenset[int] = frozenset()
    kind: Literal["table"] = "table"


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure as SVG text, and the name of its file."""

    name: str
    title: str
    svg: str
    kind: Literal["picture"] = "picture"


@dataclass(frozen=True, slots=True)
class Reference:
    """A work cited, by DOI or arXiv number."""

    text: str
    label: str
    address: str


@dataclass(frozen=True, slots=True)
class References:
    """Works cited."""

    items: tuple[Reference, ...]
    kind: Literal["references"] = "references"


@dataclass(frozen=True, slots=True)
class Link:
    """A file of the same result folder."""

    text: str
    path: str
    kind: Literal["link"] = "link"


type Block = Paragraph | Bullets | Notice | Table | Picture | References | Link


@dataclass(frozen=True, slots=True)
class Section:
    """A headed part of a chapter; an empty title stands for the opening."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Chapter:
    """One result's part of a report."""

    anchor: str
    title: str
    sections: tuple[Section, ...]
