"""The table of what each step brought."""

from types import SimpleNamespace

from edgekd.report.brought import brought_rows
from edgekd.values import Accuracy
from edgekd.values.result import Brought


def accuracy(correct):
    return Accuracy(correct=correct, images=1000, dataset="digits", split="val")


def result(*brought, student=None):
    file = SimpleNamespace(
        name="student-int8", val=accuracy(870), artifact=SimpleNamespace(variant=SimpleNamespace(name="int8"))
    )
    return SimpleNamespace(
        brought=brought,
        recipe=SimpleNamespace(student=student),
        teacher=SimpleNamespace(accuracy=accuracy(900)),
        tried=[file],
        choice=SimpleNamespace(artifact="student-int8"),
    )


STEPS = (
    Brought(step="prune", what="half", accuracy=accuracy(500)),
    Brought(step="repair", what="least squares", accuracy=accuracy(450), kept=False, note="the loss rose"),
    Brought(step="distil", what="6 epochs", accuracy=accuracy(880)),
)


def test_points_are_those_since_the_last_step_that_was_kept():
    assert brought_rows(result(*STEPS)) == [
        ["–", "the original network", "90.00% (n = 1,000)", "–"],
        ["prune", "half", "50.00% (n = 1,000)", "-40.00"],
        ["repair", "least squares; not kept: the loss rose", "45.00% (n = 1,000)", "-5.00"],
        ["distil", "6 epochs", "88.00% (n = 1,000)", "+38.00"],
        ["file", "int8", "87.00% (n = 1,000)", "-1.00"],
    ]


def test_a_student_of_its_own_does_not_begin_as_the_original():
    assert brought_rows(result(*STEPS, student="resnet8"))[0] == ["prune", "half", "50.00% (n = 1,000)", "–"]


def test_there_is_no_table_without_steps():
    assert brought_rows(result()) == []
