"""How wide each layer was and is: a column each, in the network's order."""

from collections.abc import Iterator, Sequence

from edgekd.report import svg
from edgekd.report.blocks import Picture, Table
from edgekd.report.cells import code
from edgekd.report.markup import Markup
from edgekd.values.network import LayerWidth

_LEFT, _TOP, _WIDTH, _HEIGHT = 64, 24, 620, 160
_WIDEST = 28
"""Of a column."""
_GAP = 0.2
"""Between columns, as a fraction of their distance."""
_HEADER = ["layer", "channels before", "after", "left"]


def picture(widths: Sequence[LayerWidth]) -> Picture | None:
    """Blue is what is left of a layer, grey what was taken out of it, hatched what went with its block; None where
    nothing was pruned.
    """
    if all(one.after == one.before for one in widths):
        return None
    step = min(_WIDTH / len(widths), _WIDEST)
    x = svg.Scale(0.5, len(widths) + 0.5, _LEFT, _LEFT + step * len(widths), whole=True)
    y = svg.scale([0.0, *(float(one.before) for one in widths)], _TOP + _HEIGHT, _TOP, least=0)
    words = _described(widths)
    drawn = svg.picture(
        _LEFT + _WIDTH + 16,
        _TOP + _HEIGHT + 44,
        svg.axes(x, y, ("", "channels")),
        svg.text(_LEFT, _TOP + _HEIGHT + 36, "layers, in the network's order", kind="small"),
        *_columns(widths, x, y, (1 - _GAP) * step),
        words=words,
    )
    return Picture(drawn, words, Table(_HEADER, [_row(one) for one in widths]))


def _columns(widths: Sequence[LayerWidth], x: svg.Scale, y: svg.Scale, wide: float) -> Iterator[Markup]:
    for number, one in enumerate(widths, 1):
        left, top = x(number) - wide / 2, y(one.after)
        gone = svg.rect(left, y(one.before), wide, top - y(one.before), "taken" if one.after else "fallback")
        kept = svg.rect(left, top, wide, y.start - top, "kept")
        yield svg.group(gone, kept, told=f"{one.layer}: {one.before} → {one.after or 'gone with its block'}")


def _described(widths: Sequence[LayerWidth]) -> str:
    narrower = sum(0 < one.after < one.before for one in widths)
    gone = sum(one.after == 0 for one in widths)
    went = f" Gone with their blocks (hatched): {gone}." if gone else ""
    return (
        f"Output channels of the {len(widths)} convolutions and linear layers. Narrower than before (grey is what was "
        f"taken out): {narrower}.{went}"
    )


def _row(one: LayerWidth) -> list[str]:
    return [code(one.layer), str(one.before), str(one.after), f"{one.after / one.before:.0%}"]
