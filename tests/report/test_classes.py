"""The classes that the chosen artifact has right less often than the original."""

import pytest
from example_report import HOSTILE

from edgekd.report.blocks import Details, Table
from edgekd.report.classes import lost_share, section
from edgekd.report.page import marked
from edgekd.values.classes import ByClass


def by_class(*rows):
    """Of rows (images, correct, lost, gained, taken for)."""
    names = ("images", "correct", "lost", "gained", "taken_for")
    return ByClass(**dict(zip(names, zip(*rows, strict=True), strict=True)))


FOUND = by_class((2, 1, 1, 0, 1), (100, 70, 22, 2, 2), (100, 95, 0, 5, 0), (0, 0, 0, 0, None), (50, 48, 1, 0, 0))


def test_those_that_surely_lost_come_first_with_their_numbers_and_the_others_not_at_all():
    found = section(FOUND, ["few", HOSTILE, "better", "absent", "fair"])
    table = next(block for block in found.blocks if isinstance(block, Table))
    name, images, before, after, lost, wrong = table.rows[0]
    assert "<img" not in marked(name)
    assert (images, before, after.words, wrong) == ("100", "90.0%", "70.0%", "`better`")
    assert lost == "-20.0 [-28.6, -10.6]"
    assert [row[0] for row in table.rows[1:]] == ["`fair`", "`few`"]
    assert "Of 4 classes, 3 have fewer" in found.blocks[0].words
    assert "1 of them clearly: their interval excludes 0" in found.blocks[0].words


@pytest.mark.parametrize(("lost", "gained", "low", "high"), [(20, 0, 0.114, 0.278), (0, 0, -0.027, 0.027)])
def test_the_interval_is_that_of_the_paired_difference(lost, gained, low, high):
    """By hand: 21/102 - 1/102 ± 1.96 √((22/102 - (20/102)²)/102), and ± 1.96 √(2/102/102)."""
    share = lost_share(lost, gained, 100)
    assert (round(share.low, 3), round(share.high, 3)) == (low, high)


def test_of_many_that_lost_the_worst_are_shown_and_the_others_folded_away():
    found = section(by_class(*((50, 30 + n, 20 - n, 0, 0) for n in range(15))), [f"c{n}" for n in range(15)])
    (table,) = (block for block in found.blocks if isinstance(block, Table))
    (more,) = (block for block in found.blocks if isinstance(block, Details))
    assert [len(table.rows), len(more.blocks[0].rows)] == [10, 5]


def test_nothing_is_said_of_an_earlier_version_and_little_where_none_lost():
    assert section(None, ["a"]) is None
    assert "No class has fewer" in section(by_class((9, 9, 0, 1, None)), ["a"]).blocks[0].words
