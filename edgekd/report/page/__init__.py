"""A report as one HTML file: it asks for nothing else, can be read without JavaScript, and can be printed."""

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import edgekd
from edgekd.report.blocks import (
    Block,
    Cell,
    Code,
    Details,
    Document,
    Drawn,
    Items,
    Linked,
    Picture,
    Section,
    Table,
    Text,
)
from edgekd.report.markup import Markup, joined, tag
from edgekd.visible import visible

_HERE = Path(__file__).parent
_MARKS = re.compile(r"`([^`]+)`|\*\*(.+?)\*\*|\*(\w[^*]*)\*")
_STATUSES = ("pass", "fail", "inconclusive", "invalid", "not measured")
_NUMBER = re.compile(r"[-+−–≤≥]? ?\d[\d,]*(\.\d+)?( ± [\d.]+)?\D{0,8}(\[.*\]|\(.*\)|, [≤≥].*)?")
_LONG = 30
"""Characters of a row's name that get a wider column: beside many numbers each would be a line for each word."""
_NO_NUMBERS = ("–", "", "not measured", "not reported", "failed")
"""What stands in a column of numbers where there is none."""
_HATCH = (
    '<svg width="0" height="0" class="defs" aria-hidden="true"><pattern id="hatch" width="5" height="5" '
    'patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect width="2.5" height="5"/></pattern></svg>'
)


def page(document: Document) -> str:
    """The whole file."""
    styles = [_read(name) for name in ("picture.css", "page.css")]
    script = _read("page.js")
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", _title(document)),
        *(tag("style", Markup(style)) for style in styles),
    ]
    body = [Markup(_HATCH), _header(document), tag("main", *map(_section, document.sections)), _footer()]
    found = tag("html", tag("head", *head), tag("body", *body, tag("script", Markup(script))), lang="en")
    return visible(f"<!DOCTYPE html>\n{found}\n")


def _title(document: Document) -> str:
    return f"{document.title}: {document.status}" if document.status else document.title


def _policy(script: str) -> str:
    """Nothing may be loaded, and no script may run but this one, whatever is in the page."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = ["default-src 'none'", "style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'"]
    return "; ".join([*rules, "base-uri 'none'", "form-action 'none'"])


def _header(document: Document) -> Markup:
    links = [tag("a", section.title, href=f"#{_id(section.title)}") for section in document.sections]
    badge = [_badge(document.status)] if document.status else []
    return tag("header", tag("h1", document.title, " ", *badge), tag("nav", *links, aria_label="Sections"))


def _footer() -> Markup:
    return tag("footer", f"Written by edgekd {edgekd.__version__}. Nothing in this page was loaded from elsewhere.")


def _section(section: Section) -> Markup:
    name = _id(section.title)
    return tag("section", tag("h2", section.title, id=name), *map(_block, section.blocks), aria_labelledby=name)


def _id(title: str) -> str:
    return re.sub(r"\W+", "-", title.lower()).strip("-")


def _block(block: Block) -> Markup:
    match block:
        case Text(words):
            found = tag("p", marked(words))
        case Items(items):
            found = tag("ul", *(tag("li", marked(item)) for item in items))
        case Table():
            found = _table(block)
        case Code(lines):
            found = tag("pre", tag("code", lines), tabindex="0")
        case Picture():
            found = _picture(block)
        case Linked(caption, file):
            found = tag("p", tag("a", caption, href=quote(file)))
        case Details(title, blocks):
            found = tag("details", tag("summary", title), *map(_block, blocks))
    return found


def _picture(picture: Picture) -> Markup:
    numbers = tag("details", tag("summary", "The numbers"), _table(picture.numbers))
    drawn = tag("div", picture.svg, class_="wide", tabindex="0", role="group", aria_label="Picture")
    return tag("figure", drawn, tag("figcaption", marked(picture.caption)), numbers)


def _table(table: Table) -> Markup:
    numeric = [_is_numeric([row[column] for row in table.rows]) for column in range(len(table.header))]
    head = tag(
        "tr",
        *(
            tag("th", name, scope="col", class_="n" if n else None)
            for name, n in zip(table.header, numeric, strict=True)
        ),
    )
    rows = (tag("tr", *_cells(row, numeric)) for row in table.rows)
    whole = tag("table", tag("thead", head), tag("tbody", *rows))
    return tag(
        "div", whole, class_="wide", tabindex="0", role="group", aria_label=f"Table: {table.header[0] or 'rows'}"
    )


def _cells(row: Sequence[Cell], numeric: Sequence[bool]) -> Iterator[Markup]:
    for number, (cell, is_number) in enumerate(zip(row, numeric, strict=True)):
        kind = "n" if is_number else None
        inside = _cell(cell)
        if number:
            yield tag("td", inside, class_=kind)
        else:
            long = "long" if isinstance(cell, str) and len(cell) > _LONG else kind
            yield tag("th", inside, scope="row", class_=long)


def _cell(cell: Cell) -> Markup:
    if isinstance(cell, Drawn):
        return joined(cell.picture, tag("span", marked(cell.words), class_="words"))
    return _badge(cell) if cell in _STATUSES else marked(cell)


def _badge(status: str) -> Markup:
    return tag("span", status, class_=f"status {status.replace(' ', '-')}")


def _is_numeric(cells: Sequence[Cell]) -> bool:
    """Whether a column is of numbers, which are lined up on the right."""
    words = [cell for cell in cells if isinstance(cell, str)]
    stated = [word for word in words if word not in _NO_NUMBERS]
    return bool(stated) and len(words) == len(cells) and all(_NUMBER.fullmatch(word) for word in stated)


def marked(words: str) -> Markup:
    """Words with their marks as HTML."""
    parts: list[str] = []
    last = 0
    for found in _MARKS.finditer(words):
        code, strong, emphasis = found.groups()
        inside = tag("code", code) if code else tag("strong", marked(strong)) if strong else tag("em", emphasis)
        parts += [words[last : found.start()], inside]
        last = found.end()
    return joined(*parts, words[last:])


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
