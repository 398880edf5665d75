"""Validation accuracy over latency, with the budget's limits and the artifact that is kept."""

from collections.abc import Iterator, Sequence

from edgekd.report import svg
from edgekd.report.blocks import Picture, Table
from edgekd.report.cells import interval
from edgekd.report.markup import Markup, joined
from edgekd.values.result import Result, Tried
from edgekd.values.value import Interval

FILE = "variants.svg"
"""Beside the report."""

_LEFT, _TOP, _WIDTH, _HEIGHT, _ROW = 64, 34, 480, 300, 20
_MOST_LETTERS = 36
"""Of a name in the key."""
_KEY = _TOP + _HEIGHT + 64
_CAPTION = "Validation accuracy over latency, with the limits of the budget"

_Shown = Sequence[tuple[Tried, Interval]]


def title(result: Result) -> str:
    """Of the picture."""
    return f"Accuracy over latency: {result.recipe.model}"


def picture(result: Result) -> Picture | None:
    """None where no latency was measured."""
    shown = [(tried, tried.ratio) for tried in result.tried if tried.ratio]
    if not shown:
        return None
    most, least = _limits(result)
    x = svg.scale(
        [0.0, *(bound for _, ratio in shown for bound in (ratio.low, ratio.high)), *most],
        _LEFT,
        _LEFT + _WIDTH,
        least=0,
    )
    y = svg.scale([*(100 * tried.val.top1 for tried, _ in shown), *least], _TOP + _HEIGHT, _TOP, least=0, most=100)
    drawn = svg.picture(
        _LEFT + _WIDTH + 16,
        _KEY + _ROW * len(shown),
        svg.axes(x, y, ("latency ÷ the reference's (with its 95 % interval)", "validation accuracy, %")),
        *_drawn_limits(x, y, most, least),
        *(_point(result, number, one, x, y) for number, one in enumerate(shown, 1)),
        *(_key(result, number, one) for number, one in enumerate(shown, 1)),
        words=f"{title(result)}. {_described(result, shown, most, least)}",
    )
    rows = [[tried.name, f"{tried.val.top1:.2%}", interval(ratio), _role(result, tried)] for tried, ratio in shown]
    return Picture(drawn, _CAPTION, Table(["file", "validation", "latency ÷ reference (95 %)", ""], rows), FILE)


def _described(result: Result, shown: _Shown, most: Sequence[float], least: Sequence[float]) -> str:
    limits = [f"The latency limit is {ratio:.3g} of the reference's." for ratio in most]
    limits += [f"The accuracy limit is {accuracy:.2f} %." for accuracy in least]
    points = "; ".join(_words(tried, ratio) for tried, ratio in shown)
    return " ".join([f"{points}. Kept: {result.choice.artifact}.", *limits])


def _drawn_limits(x: svg.Scale, y: svg.Scale, most: Sequence[float], least: Sequence[float]) -> Iterator[Markup]:
    for ratio in most:
        yield svg.path(f"M{x(ratio):g} {y.end}V{y.start}", "limit")
        # at the foot: what is nearest to the limit, and accurate, is at the top
        yield svg.text(x(ratio) + 4, y.start - 6, f"budget: {ratio:.3g}", kind="limit")
    for accuracy in least:
        yield svg.path(f"M{x.start} {y(accuracy):g}H{x.end}", "limit")
        yield svg.text(x.end, y(accuracy) - 5, f"budget: {accuracy:.2f} %", "end", kind="limit")


def _point(result: Result, number: int, one: tuple[Tried, Interval], x: svg.Scale, y: svg.Scale) -> Markup:
    tried, ratio = one
    at = x(ratio.estimate), y(100 * tried.val.top1)
    error = svg.path(f"M{x(ratio.low):g} {at[1]:g}H{x(ratio.high):g}", "error")
    label = svg.text(at[0] + 9, at[1] - 7, str(number))
    return svg.group(error, _mark(result, tried, *at), label, told=_words(tried, ratio), series=tried.name)


def _key(result: Result, number: int, one: tuple[Tried, Interval]) -> Markup:
    """What a number stands for."""
    y, role = _KEY + _ROW * (number - 1), _role(result, one[0])
    tried, ratio = one
    figures = f"{tried.val.top1:.2%}, {interval(ratio)}{f' ({role})' if role else ''}"
    words = f"{number}  {svg.short(tried.name, _MOST_LETTERS)}: {figures}"
    return joined(_mark(result, one[0], 16, y - 4), svg.text(30, y, words))


def _mark(result: Result, tried: Tried, x: float, y: float) -> Markup:
    if tried.name == result.choice.artifact:
        return svg.diamond(x, y, "kept")
    if tried.name == result.reference:
        return svg.rect(x - 5, y - 5, 10, 10, "reference")
    return svg.dot(x, y, 5, "other")


def _role(result: Result, tried: Tried) -> str:
    roles = {"kept": result.choice.artifact, "reference": result.reference}
    return " and ".join(role for role, name in roles.items() if name == tried.name)


def _limits(result: Result) -> tuple[list[float], list[float]]:
    """The greatest latency ratios and the least accuracies in percent that the budget allows."""
    reference = 100 * result.tried[0].val.top1
    stated = [(limit.name, limit.limit) for limit in result.verdict.limits]
    most = [value for name, value in stated if name == "latency.max_ratio"]
    least = [reference - value for name, value in stated if name == "accuracy.max_drop_pp" and value < reference]
    return most, [*least, *(100 * value for name, value in stated if name == "accuracy.min_top1")]


def _words(tried: Tried, ratio: Interval) -> str:
    return f"{tried.name}: {tried.val.top1:.2%}, {interval(ratio)}"
