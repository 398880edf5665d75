import pytest

from edgekd.report.cells import code, interval, table
from edgekd.values import Interval


def test_a_table_has_a_rule_below_its_headings():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("value", "text"),
    [(Interval(estimate=0.5, low=0.4, high=0.6125), "0.500 [0.400, 0.613]"), (None, "not measured")],
)
def test_a_ratio_is_never_shown_without_its_interval(value, text):
    assert interval(value) in (text, text.replace("0.613", "0.612"))


@pytest.mark.parametrize(
    ("name", "shown"), [("café", "`café`"), ("a|b", "`a|b`"), ("tick`", "`tick'`"), ("two\nlines", "`two lines`")]
)
def test_no_name_of_a_class_breaks_the_table(name, shown):
    assert code(name) == shown
    assert table([shown], []).count(" | ") == 0
