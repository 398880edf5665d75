"""The widths of a network's layers before and after pruning, as a picture with its table."""

from edgekd.report.blocks import Picture
from edgekd.report.pictures.widths import picture
from edgekd.report.planned import planned
from edgekd.values import Plan, Proposal, Structure
from edgekd.values.network import LayerWidth

WIDTHS = (
    LayerWidth(layer="stem", before=32, after=32),
    LayerWidth(layer="block.<b>conv", before=64, after=24),
    LayerWidth(layer="gone.conv", before=64, after=0),
)


def test_each_layer_is_a_column_and_a_row():
    drawn = picture(WIDTHS)
    assert drawn.numbers.rows[1] == ["`block.<b>conv`", "64", "24", "38%"]
    assert "<title>block.&lt;b&gt;conv: 64 → 24</title>" in drawn.svg
    assert "<title>gone.conv: 64 → gone with its block</title>" in drawn.svg
    assert drawn.svg.count('class="fallback"') == 1
    assert "the 3 convolutions and linear layers. Narrower" in drawn.caption
    assert "taken out): 1. Gone with their blocks (hatched): 1." in drawn.caption


def test_a_network_that_is_whole_or_of_an_earlier_version_has_none():
    assert picture(()) is None
    assert picture(WIDTHS[:1]) is None


def test_it_stands_below_the_plan():
    plan = Plan(proposal=Proposal(structure=Structure(), what="some"), feasible=True, why="it was measured")
    assert isinstance(planned(plan, None, WIDTHS)[-1], Picture)
