"""Which classes the chosen artifact has right less often than the original."""

import math
from collections.abc import Sequence

from edgekd.report import svg
from edgekd.report.blocks import Block, Cell, Details, Drawn, Section, Table, Text
from edgekd.report.cells import code
from edgekd.values import Interval
from edgekd.values.classes import ByClass

_SHOWN, _FOLDED = 10, 100
_HEADER = ["class", "n", "original", "kept", "difference in points (95 %)", "most often taken for"]
_Z = 1.959964
"""The normal distribution's quantile at 97.5 %."""


def section(found: ByClass | None, names: Sequence[str]) -> Section | None:
    """Those that lost most, by what they lost at least; None where nothing was kept of the classes.

    Args:
        found: of the chosen artifact.
        names: the classes, in their order.
    """
    if found is None or len(found.images) != len(names):
        return None
    losses = {at: lost_share(found.lost[at], found.gained[at], n) for at, n in enumerate(found.images) if n}
    worse = [at for at, share in losses.items() if share.estimate > 0]
    ordered = sorted(worse, key=lambda at: (-losses[at].low, at))
    if not ordered:
        return Section("Classes", [Text("No class has fewer test images right than with the original.")])
    rows = [_row(found, names, at, losses[at]) for at in ordered]
    blocks: list[Block] = [Text(_told(len(ordered), losses)), Table(_HEADER, rows[:_SHOWN])]
    if more := rows[_SHOWN:_FOLDED]:
        blocks.append(Details(f"{len(more)} more classes that lost", [Table(_HEADER, more)]))
    return Section("Classes", blocks)


def lost_share(lost: int, gained: int, images: int) -> Interval:
    """The share of a class's images that was lost, less the gained ones, with its interval at 95 %.

    The adjusted Wald interval for paired proportions: D. G. Bonett, R. M. Price, Journal of Educational and Behavioral
    Statistics 37(4), 2012.
    """
    more, less = (lost + 1) / (images + 2), (gained + 1) / (images + 2)
    middle = more - less
    half = _Z * math.sqrt((more + less - middle**2) / (images + 2))
    return Interval(estimate=(lost - gained) / images, low=max(-1.0, middle - half), high=min(1.0, middle + half))


def _told(worse: int, losses: dict[int, Interval]) -> str:
    clear = sum(share.low > 0 for share in losses.values())
    return (
        f"Of {len(losses)} classes, {worse} have fewer test images right than with the original, {clear} of them "
        "clearly: their interval excludes 0. Each interval is of its class alone, so of many classes about one in 40 "
        "does so by chance. Those that lost most come first, by what they lost at least."
    )


def _row(found: ByClass, names: Sequence[str], at: int, share: Interval) -> list[Cell]:
    images, after = found.images[at], found.correct[at]
    before, wrong = after + found.lost[at] - found.gained[at], found.taken_for[at]
    bounds = f"[{-100 * share.high:+.1f}, {-100 * share.low:+.1f}]"
    lost = svg.bar([(0.0, after / images, "kept"), (after / images, before / images, "taken")])
    return [
        code(names[at]),
        f"{images:,}",
        f"{before / images:.1%}",
        Drawn(f"{after / images:.1%}", lost),
        f"{-100 * share.estimate:+.1f} {bounds}",
        code(names[wrong]) if wrong is not None else "–",
    ]
