"""The picture of a report: validation accuracy over latency, with the budget's limits and the artifact that is kept."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from edgekd.values.result import Result, Tried
from edgekd.values.value import Interval

FILE = "variants.svg"
"""Beside the report."""

_LEFT, _TOP, _WIDTH, _HEIGHT, _ROW = 70, 50, 460, 320, 20
_KEY = _TOP + _HEIGHT + 70
_ROOM = 0.08
"""Beyond the outermost points, as a fraction of their spread."""

_TICKS = 5
_STYLE = (
    "text{font:12px sans-serif;fill:#222}.small{font-size:11px;fill:#555}.axis{stroke:#888;fill:none}"
    ".limit{stroke:#c0392b;stroke-dasharray:5 4}.error{stroke:#555}.other{fill:#fff;stroke:#555;stroke-width:2}"
    ".reference{fill:#888}.kept{fill:#1f5fa8}"
)


@dataclass(frozen=True)
class _Scale:
    """From values to places on an axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        return [self.low + (self.high - self.low) * number / (_TICKS - 1) for number in range(_TICKS)]


def picture(result: Result) -> str | None:
    """An SVG document; None where no latency was measured. Every value in it is in `result`."""
    shown = [(tried, tried.ratio) for tried in result.tried if tried.ratio]
    if not shown:
        return None
    drawing = _Drawing(result, shown)
    width, height = _LEFT + _WIDTH + 40, _KEY + _ROW * len(shown)
    sizes = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {sizes} role="img" aria-labelledby="title description">',
            f'<title id="title">{escape(drawing.title)}</title>',
            f'<desc id="description">{escape(drawing.description())}</desc>',
            f"<style>{_STYLE}</style>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
            _text(_LEFT, 28, drawing.title),
            *drawing.axes(),
            *drawing.limits(),
            *drawing.points(),
            *drawing.key(),
            "</svg>\n",
        ]
    )


class _Drawing:
    """The parts of the picture."""

    def __init__(self, result: Result, shown: Sequence[tuple[Tried, Interval]]) -> None:
        self.result, self.shown = result, shown
        self.title = f"Accuracy over latency: {result.recipe.model}"
        self.most, self.least = _limits(result)
        ratios = [bound for _, ratio in shown for bound in (ratio.low, ratio.high)]
        accuracies = [100 * tried.val.top1 for tried, _ in shown]
        self.x = _scale([0.0, *ratios, *self.most], _LEFT, _LEFT + _WIDTH)
        self.y = _scale([*accuracies, *self.least], _TOP + _HEIGHT, _TOP, most=100.0)

    def description(self) -> str:
        """The picture in words."""
        kept = next(tried for tried, _ in self.shown if tried.name == self.result.choice.artifact)
        limits = [f"the latency limit is {ratio:.3g} of the reference's" for ratio in self.most]
        limits += [f"the accuracy limit is {accuracy:.2f} %" for accuracy in self.least]
        points = "; ".join(_words(tried, ratio) for tried, ratio in self.shown)
        return f"{points}. Kept: {kept.name}." + "".join(f" {limit[0].upper()}{limit[1:]}." for limit in limits)

    def axes(self) -> Iterator[str]:
        """Both, with their numbers."""
        bottom = _TOP + _HEIGHT
        yield f'<path class="axis" d="M{_LEFT} {_TOP}V{bottom}H{_LEFT + _WIDTH}"/>'
        for ratio in self.x.ticks():
            yield _text(self.x(ratio), bottom + 18, f"{ratio:.2f}", "middle", small=True)
        for accuracy in self.y.ticks():
            yield _text(_LEFT - 8, self.y(accuracy) + 4, f"{accuracy:.1f} %", "end", small=True)
        yield _text(_LEFT + _WIDTH / 2, bottom + 40, "latency ÷ the reference's (with its 95 % interval)", "middle")
        yield _text(_LEFT, _TOP - 8, "validation accuracy", small=True)

    def limits(self) -> Iterator[str]:
        """The budget's, as dashed lines."""
        bottom, right = _TOP + _HEIGHT, _LEFT + _WIDTH
        for ratio in self.most:
            yield f'<path class="limit" d="M{self.x(ratio)} {_TOP}V{bottom}"/>'
            yield _text(self.x(ratio) + 4, _TOP + 12, f"budget: {ratio:.3g}", small=True)
        for accuracy in self.least:
            yield f'<path class="limit" d="M{_LEFT} {self.y(accuracy)}H{right}"/>'
            yield _text(right, self.y(accuracy) - 5, f"budget: {accuracy:.2f} %", "end", small=True)

    def points(self) -> Iterator[str]:
        """One for each artifact, with its number."""
        for number, (tried, ratio) in enumerate(self.shown, 1):
            x, y = self.x(ratio.estimate), self.y(100 * tried.val.top1)
            yield f"<g><title>{escape(_words(tried, ratio))}</title>"
            yield f'<path class="error" d="M{self.x(ratio.low)} {y}H{self.x(ratio.high)}"/>'
            yield self._mark(tried, x, y)
            yield _text(x + 9, y - 7, str(number)) + "</g>"

    def key(self) -> Iterator[str]:
        """What the numbers stand for."""
        for number, (tried, ratio) in enumerate(self.shown, 1):
            y = _KEY + _ROW * (number - 1)
            yield self._mark(tried, _LEFT - 20, y - 4)
            yield _text(_LEFT - 6, y, f"{number}  {_words(tried, ratio)}{self._role(tried)}")

    def _role(self, tried: Tried) -> str:
        roles = [
            (tried.name == self.result.choice.artifact, "kept"),
            (tried.name == self.result.reference, "reference"),
        ]
        found = " and ".join(role for holds, role in roles if holds)
        return f" ({found})" if found else ""

    def _mark(self, tried: Tried, x: float, y: float) -> str:
        if tried.name == self.result.choice.artifact:
            return f'<path class="kept" d="M{x} {y - 8}l8 8l-8 8l-8 -8z"/>'
        if tried.name == self.result.reference:
            return f'<rect class="reference" x="{x - 5}" y="{y - 5}" width="10" height="10"/>'
        return f'<circle class="other" cx="{x}" cy="{y}" r="5"/>'


def _limits(result: Result) -> tuple[list[float], list[float]]:
    """The greatest latency ratios and the least accuracies in percent that the budget allows."""
    reference = 100 * result.tried[0].val.top1
    stated = [(limit.name, limit.limit) for limit in result.verdict.limits]
    most = [value for name, value in stated if name == "latency.max_ratio"]
    least = [reference - value for name, value in stated if name == "accuracy.max_drop_pp" and value < reference]
    return most, [*least, *(100 * value for name, value in stated if name == "accuracy.min_top1")]


def _scale(values: Sequence[float], start: float, end: float, most: float = math.inf) -> _Scale:
    """The scale of an axis with some room beyond the values, but neither below 0 nor beyond `most`."""
    low, high = min(values), max(values)
    room = _ROOM * (high - low) or 0.5
    return _Scale(max(0.0, low - room), min(high + room, most), start, end)


def _words(tried: Tried, ratio: Interval) -> str:
    return f"{tried.name}: {tried.val.top1:.2%}, {ratio.estimate:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"


def _text(x: float, y: float, words: str, anchor: str = "start", *, small: bool = False) -> str:
    kind = ' class="small"' if small else ""
    return f'<text x="{x:g}" y="{y:g}" text-anchor={quoteattr(anchor)}{kind}>{escape(words)}</text>'
