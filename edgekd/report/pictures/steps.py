"""The staircase of a channel group: the network's latency with this group alone at each width."""

from edgekd.report import svg
from edgekd.report.blocks import Drawn
from edgekd.report.markup import Markup
from edgekd.values.plan import Staircase


def drawn(stairs: Staircase) -> Drawn:
    """As words, the chosen width in bold, with the staircase as a small picture."""
    words = " · ".join(
        f"**{width}: {latency:.3f}**" if width == stairs.chosen else f"{width}: {latency:.3f}"
        for width, latency in stairs.latencies.items()
    )
    return Drawn(words, _picture(stairs))


def _picture(stairs: Staircase) -> Markup:
    steps = sorted(stairs.latencies.items())
    x = svg.Scale(0.0, float(stairs.width), 0.0, 100.0)
    y = svg.scale([latency for _, latency in steps], 38, 2)
    line, before = [], 0
    for width, latency in steps:
        line += [(x(before), y(latency)), (x(width), y(latency))]
        before = width
    chosen = svg.path(f"M{x(stairs.chosen):g} 0V40", "at-limit")
    return svg.cell(svg.polyline(line, "stairs"), chosen, height=40, kind="stair")
