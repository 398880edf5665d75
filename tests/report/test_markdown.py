import pytest

from edgekd.report.markdown import code, interval, learned, loss, table
from edgekd.schema import Interval, Recipe, Recovery, Step


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


def test_it_says_what_was_minimised_in_each_training_and_nothing_of_one_that_was_not():
    recipe = Recipe(model="resnet8", data="digits", target="x86-cpu", budget="half-latency")
    both = learned(recipe, [Step(do="distil"), Step(do="finetune")])
    assert both.index("0.1 × cross entropy + 0.9") < both.index("labels alone") < both.index("epochs were chosen")
    assert learned(recipe, [Step(do="finetune")]).startswith("The student learned from the labels alone. The epochs")
    assert learned(recipe, []) == "The test set was read once, at the end."


@pytest.mark.parametrize(
    ("name", "shown"), [("café", "`café`"), ("a|b", r"`a\|b`"), ("tick`", "`tick'`"), ("two\nlines", "`two lines`")]
)
def test_no_name_of_a_class_breaks_the_table(name, shown):
    assert code(name) == shown
