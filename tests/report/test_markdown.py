import pytest

from edgekd.report.markdown import code, interval, loss, table
from edgekd.schema import Interval, Recovery


def test_a_table_has_a_rule_below_its_headings():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


@pytest.mark.parametrize(
    ("value", "text"),
    [(Interval(estimate=0.5, low=0.4, high=0.6125), "0.500 [0.400, 0.613]"), (None, "not measured")],
)
def test_a_ratio_is_never_shown_without_its_interval(value, text):
    assert interval(value) in (text, text.replace("0.613", "0.612"))


@pytest.mark.parametrize(
    ("recover", "says"),
    [
        (Recovery(), "0.1 × cross entropy + 0.9 × T² × KL(teacher ‖ student) (temperature = 4);"),
        (Recovery(losses={"ce": {}, "kd": {"weight": 0.0}}), "The student learned from the labels alone."),
        (Recovery(losses={"dkd": {"beta": 2.0}, "at": {"weight": 9.0}}), "1 × `dkd` (beta = 2) + 9 × `at`; both"),
    ],
)
def test_it_says_what_the_student_minimised(recover, says):
    assert says in loss(recover)


@pytest.mark.parametrize(
    ("name", "shown"), [("café", "`café`"), ("a|b", r"`a\|b`"), ("tick`", "`tick'`"), ("two\nlines", "`two lines`")]
)
def test_no_name_of_a_class_breaks_the_table(name, shown):
    assert code(name) == shown
