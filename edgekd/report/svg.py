"""SVG: scales, marks and axes. Their colours are those of `page/picture.css`, by class."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.report.markup import Markup, joined, tag

_ROOM = 0.06
"""Beyond the outermost values, as a fraction of their spread."""

_STYLE = Path(__file__).with_name("page") / "picture.css"


@dataclass(frozen=True)
class Scale:
    """From values to places on an axis."""

    low: float
    high: float
    start: float
    end: float
    whole: bool = False
    """Whether only whole numbers are marked."""

    def __call__(self, value: float) -> float:
        """Where a value is; one beyond the ends is at the end."""
        kept = min(max(value, self.low), self.high)
        return round(self.start + (kept - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values on it, about so many."""
        rough = max((self.high - self.low) / about, float(self.whole))
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


def scale(
    values: Sequence[float], start: float, end: float, *, least: float = -math.inf, most: float = math.inf
) -> Scale:
    """The scale of an axis that has these values, with some room beyond them, but not beyond `least` and `most`."""
    low, high = min(values), max(values)
    room = _ROOM * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(max(least, low - room), min(high + room, most), start, end)


def picture(width: float, height: float, *parts: str, words: str) -> Markup:
    """An SVG element that grows with the page; `words` say what it shows."""
    sizes = {"viewBox": f"0 0 {width:g} {height:g}", "style": f"max-width:{width:g}px"}
    return tag("svg", *parts, class_="picture", role="img", aria_label=words, **sizes)


def file(drawn: Markup, title: str) -> str:
    """The document of a picture that stands alone, on white."""
    style = tag("style", Markup(_STYLE.read_text(encoding="utf-8")))
    ground = tag("rect", width="100%", height="100%", fill="#fff")
    start, rest = drawn.split(">", 1)
    return f'{start} xmlns="http://www.w3.org/2000/svg">{tag("title", title)}{style}{ground}{rest}\n'


def text(x: float, y: float, words: str, anchor: str = "start", *, kind: str | None = None) -> Markup:
    """Words that begin, end or have their middle at `x`."""
    return tag("text", words, x=x, y=y, text_anchor=None if anchor == "start" else anchor, class_=kind)


def short(words: str, most: int) -> str:
    """Words that have room for so many letters; what is cut off must be said elsewhere."""
    return words if len(words) <= most else f"{words[: most - 1]}…"


def path(drawn: str, kind: str) -> Markup:
    """A line or a shape."""
    return tag("path", d=drawn, class_=kind)


def polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through points."""
    return path("M" + "L".join(f"{x:g} {y:g}" for x, y in points), kind)


def rect(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """A rectangle."""
    return tag("rect", x=x, y=y, width=max(0.0, width), height=max(0.0, height), class_=kind)


def dot(x: float, y: float, radius: float, kind: str) -> Markup:
    """A filled circle."""
    return tag("circle", cx=x, cy=y, r=radius, class_=kind)


def diamond(x: float, y: float, kind: str) -> Markup:
    """A filled square that stands on a corner."""
    return path(f"M{x:g} {y - 8:g}l8 8l-8 8l-8 -8z", kind)


def group(*parts: str, told: str | None = None, series: str | None = None) -> Markup:
    """Marks that belong together; `told` is shown when one points at them, and a page can hide a series."""
    return tag("g", *([tag("title", told)] if told else []), *parts, data_series=series)


def axes(
    x: Scale, y: Scale, names: tuple[str, str], *, labels: tuple[str, str] = ("{:g}", "{:g}"), about: int = 5
) -> Markup:
    """Both axes with their names, and numbers in these formats, about so many of the upright one."""
    return joined(*_across(x, y, names[0], labels[0]), *_up(x, y, names[1], labels[1], about))


def _across(x: Scale, y: Scale, name: str, label: str) -> Iterator[Markup]:
    yield path(f"M{x.start:g} {y.end:g}V{y.start:g}H{x.end:g}", "axis")
    for value in x.ticks() if label else ():
        yield text(x(value), y.start + 17, label.format(value), "middle", kind="small")
    if name:
        yield text((x.start + x.end) / 2, y.start + 36, name, "middle", kind="small")


def _up(x: Scale, y: Scale, name: str, label: str, about: int) -> Iterator[Markup]:
    for value in y.ticks(about) if label else ():
        yield path(f"M{x.start:g} {y(value):g}H{x.end:g}", "grid")
        yield text(x.start - 7, y(value) + 4, label.format(value), "end", kind="small")
    yield text(x.start, y.end - 8, name, kind="small")


def bar(parts: Sequence[tuple[float, float, str]], marks: Sequence[tuple[float, str]] = ()) -> Markup:
    """A small picture for a cell: pieces (from, to, kind) and upright lines (at, kind) of a scale from 0 to 1."""
    pieces = [rect(100 * start, 2, 100 * (end - start), 8, kind) for start, end, kind in parts]
    lines = [path(f"M{100 * at:.1f} 0V12", kind) for at, kind in marks]
    return cell(*pieces, *lines, height=12, kind="bar")


def cell(*parts: str, height: float, kind: str) -> Markup:
    """A picture 100 wide that is stretched to its cell, and shows what the cell's words say."""
    sizes = {"viewBox": f"0 0 100 {height:g}", "preserveAspectRatio": "none"}
    return tag("svg", *parts, class_=kind, aria_hidden="true", **sizes)
