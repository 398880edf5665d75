"""Markdown: report.md."""

from collections.abc import Iterator, Sequence

from edgekd.report.blocks import Block, Cell, Code, Document, Drawn, Items, Linked, Picture, Table, Text
from edgekd.report.cells import table
from edgekd.report.content import document
from edgekd.report.formats._base import Report

SUFFIX = "md"


def text(report: Report) -> str:
    """The whole report."""
    return of_document(document(report))


def of_document(found: Document) -> str:
    """Any report."""
    parts = [f"# {found.title}: {found.status}" if found.status else f"# {found.title}"]
    for section in found.sections:
        if blocks := list(written(section.blocks)):
            parts += [f"## {section.title}", *blocks]
    return "\n\n".join(parts) + "\n"


def written(blocks: Sequence[Block]) -> Iterator[str]:
    """Each block in Markdown; of pictures those that have a file, and nothing that only a page has room for."""
    for block in blocks:
        match block:
            case Text(words):
                yield words
            case Items(items):
                yield "\n".join(f"- {' '.join(item.split())}" for item in items)
            case Table(header, rows):
                yield table(header, [[_words(cell) for cell in row] for row in rows])
            case Code(lines, language):
                yield f"```{language}\n{lines}\n```"
            case Picture(caption=caption, file=str(file)) | Linked(caption, file):
                yield f"![{caption}]({file})"


def _words(cell: Cell) -> str:
    return cell.words if isinstance(cell, Drawn) else cell
