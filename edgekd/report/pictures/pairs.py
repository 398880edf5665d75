"""Rows of two points on one axis: what something was before, and what it came to."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgekd.report import svg
from edgekd.report.markup import Markup

_LEFT, _WIDTH, _TOP, _ROW, _BELOW = 280, 400, 8, 22, 44
_MOST_LETTERS = 44
"""Of a name, as many as there is room for; the rest is in the table and in what is shown on pointing."""


@dataclass(frozen=True)
class Pair:
    """A row."""

    name: str
    before: float
    after: float | None
    """None: there is only one point."""
    told: str
    """Shown when one points at it."""
    marked: bool = True
    """Whether it stands out."""


def drawn(pairs: Sequence[Pair], axis: str, words: str) -> Markup:
    """The picture of at least one row; a hollow point for what was before, a filled one for what came after.

    Args:
        pairs: the rows, from above.
        axis: what the points are, with their unit.
        words: what it shows.
    """
    values = [value for pair in pairs for value in (pair.before, pair.after) if value is not None]
    bottom = _TOP + _ROW * len(pairs)
    x = svg.scale(values, _LEFT, _LEFT + _WIDTH, least=0)
    rows = (_row(pair, x, _TOP + _ROW * (number + 0.5)) for number, pair in enumerate(pairs))
    return svg.picture(_LEFT + _WIDTH + 20, bottom + _BELOW, *_grid(x, bottom, axis), *rows, words=words)


def _grid(x: svg.Scale, bottom: float, axis: str) -> Iterator[Markup]:
    for value in x.ticks():
        yield svg.path(f"M{x(value):g} {_TOP}V{bottom}", "grid")
        yield svg.text(x(value), bottom + 15, f"{value:g}", "middle", kind="small")
    yield svg.text((x.start + x.end) / 2, bottom + 34, axis, "middle", kind="small")


def _row(pair: Pair, x: svg.Scale, y: float) -> Markup:
    kind = "kept" if pair.marked else "reference"
    parts = [
        svg.text(x.start - 12, y + 4, svg.short(pair.name, _MOST_LETTERS), "end", kind=None if pair.marked else "small")
    ]
    if pair.after is not None:
        parts.append(svg.path(f"M{x(pair.before):g} {y:g}H{x(pair.after):g}", f"line-{kind}"))
    parts.append(svg.dot(x(pair.before), y, 4, f"open-{kind}"))
    if pair.after is not None:
        parts.append(svg.dot(x(pair.after), y, 4.5, kind))
    return svg.group(*parts, told=pair.told)
