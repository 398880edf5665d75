"""A training epoch by epoch: validation accuracy, loss and learning rate, and which epoch was kept."""

from collections.abc import Iterator, Sequence

from edgekd.report import svg
from edgekd.report.blocks import Picture, Table
from edgekd.report.markup import Markup
from edgekd.values.training import EpochRecord

_LEFT, _TOP, _WIDTH, _GAP = 64, 24, 620, 28
_HEIGHTS = {"validation accuracy, %": 150, "loss": 80, "learning rate": 46}
_PER_LABEL = 30
"""Height of the upright axis for a number."""
_MOST_DOTS = 100
"""Beyond these epochs the line alone is drawn."""

_Panel = tuple[str, list[float]]


def picture(name: str, epochs: Sequence[EpochRecord], teacher: float | None = None) -> Picture:
    """The curves of one training.

    Args:
        name: whose training it is.
        epochs: one at least, in order.
        teacher: the teacher's validation accuracy, to compare with.
    """
    panels = list(_panels(epochs))
    x = svg.Scale(0.5, len(epochs) + 0.5, _LEFT, _LEFT + _WIDTH, whole=True)
    drawn, top = list[Markup](), _TOP
    for number, panel in enumerate(panels):
        bottom, is_last = top + _HEIGHTS[panel[0]], number == len(panels) - 1
        beside = 100 * teacher if teacher is not None and number == 0 else None
        drawn += _drawn(panel, epochs, x, (bottom, top), teacher=beside, axis="epoch" if is_last else "")
        top = bottom + _GAP
    words = f"{name}: {_described(epochs)}"
    whole = svg.picture(_LEFT + _WIDTH + 16, top + 16, *drawn, words=words)
    return Picture(whole, words, Table(_HEADER, [_row(number, epoch) for number, epoch in enumerate(epochs, 1)]))


def _panels(epochs: Sequence[EpochRecord]) -> Iterator[_Panel]:
    accuracy, loss, rate = _HEIGHTS
    yield accuracy, [100 * epoch.validation for epoch in epochs]
    yield loss, [epoch.loss for epoch in epochs]
    rates = [epoch.learning_rate for epoch in epochs if epoch.learning_rate is not None]
    if len(rates) == len(epochs):
        yield rate, rates


def _drawn(
    panel: _Panel,
    epochs: Sequence[EpochRecord],
    x: svg.Scale,
    ends: tuple[float, float],
    *,
    teacher: float | None,
    axis: str,
) -> Iterator[Markup]:
    """One curve with its axes."""
    name, values = panel
    y = svg.scale([*values, *([teacher] if teacher is not None else [])], *ends, least=0)
    labels, about = ("{:g}" if axis else "", "{:g}"), max(2, round(abs(y.end - y.start) / _PER_LABEL))
    yield svg.axes(x, y, (axis, name), labels=labels, about=about)
    if teacher is not None:
        yield svg.path(f"M{x.start:g} {y(teacher):g}H{x.end:g}", "line-reference dashed")
        yield svg.text(x.end, y(teacher) - 5, f"teacher: {teacher:.2f} %", "end", kind="small")
    points = [(x(number), y(value)) for number, value in enumerate(values, 1)]
    yield svg.polyline(points, "line-kept")
    for number, (epoch, at) in enumerate(zip(epochs, points, strict=True), 1):
        if epoch.kept:
            yield svg.group(svg.diamond(*at, "kept"), told=_told(number, epoch))
        elif len(points) <= _MOST_DOTS:
            yield svg.group(svg.dot(*at, 2.5, "kept"), told=_told(number, epoch))


def _told(number: int, epoch: EpochRecord) -> str:
    _, loss, validation, rate, kept = _row(number, epoch)
    return f"epoch {number}: validation {validation}, loss {loss}, learning rate {rate}{'; kept' if kept else ''}"


def _described(epochs: Sequence[EpochRecord]) -> str:
    best = next((number for number, epoch in enumerate(epochs, 1) if epoch.kept), 0)
    count = f"{len(epochs)} epoch{'s' if len(epochs) != 1 else ''}"
    kept = "the weights before the training, which are more accurate"
    if best:
        right = f"{epochs[best - 1].validation:.2%} of the validation images right"
        kept = f"the weights after epoch {best}, the diamond, with {right}"
    return f"{count}; kept are {kept}. Loss from {epochs[0].loss:.3g} to {epochs[-1].loss:.3g}."


_HEADER = ["epoch", "loss", "validation", "learning rate", ""]


def _row(number: int, epoch: EpochRecord) -> list[str]:
    rate = "–" if epoch.learning_rate is None else f"{epoch.learning_rate:.3g}"
    return [str(number), f"{epoch.loss:.4g}", f"{epoch.validation:.2%}", rate, "kept" if epoch.kept else ""]
