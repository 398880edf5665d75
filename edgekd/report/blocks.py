"""What a report consists of, whatever it is written as; `report/formats/` and `report/page/` write it.

Words may have three of Markdown's marks: `code`, **strong** and *emphasis*.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.report.markup import Markup
from edgekd.values import Status


@dataclass(frozen=True)
class Drawn:
    """A cell of a table with a small picture, which shows what its words say."""

    words: str
    picture: Markup


Cell = str | Drawn


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """Rows of cells below their headings; the first cell of each names its row."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Code:
    """Lines to be copied as they are."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Picture:
    """An SVG element that says by itself what it shows, with its numbers as a table."""

    svg: Markup
    caption: str
    numbers: Table
    file: str | None = None
    """Its file beside the report, if it has one."""


@dataclass(frozen=True)
class Linked:
    """A picture's file beside the report, which a page only links to."""

    caption: str
    file: str


@dataclass(frozen=True)
class Details:
    """What only a page has room for, folded away there."""

    title: str
    blocks: Sequence["Block"]


Block = Text | Items | Table | Code | Picture | Linked | Details


@dataclass(frozen=True)
class Section:
    """A part of a report with its heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    sections: Sequence[Section]
    status: Status | None = None
    """The verdict that it begins with, if it is about one."""
