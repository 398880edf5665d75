import pytest

from edgekd.report.training import learned, loss
from edgekd.values import Recovery


@pytest.mark.parametrize(
    ("recover", "says"),
    [
        (Recovery(), "0.1 × cross entropy + 0.9 × T² × KL(teacher ‖ student) (temperature = 4);"),
        (Recovery(losses={"ce": {}, "kd": {"weight": 0.0}}), "The student was trained on the labels alone."),
        (Recovery(losses={"dkd": {"beta": 2.0}, "at": {"weight": 9.0}}), "1 × `dkd` (beta = 2) + 9 × `at`; teacher"),
    ],
)
def test_it_says_what_the_student_minimised(recover, says):
    assert says in loss(recover)


def test_it_says_what_was_minimised_in_each_training_and_nothing_of_one_that_was_not():
    labels = Recovery(losses={"ce": {}})
    both = learned([Recovery(), labels])
    assert (
        both.index("Training 1: Distillation: 0.1 ×")
        < both.index("Training 2: The student was trained")
        < both.index("epoch was selected")
    )
    assert learned([labels]).startswith("The student was trained on the labels alone. The epoch")
    assert learned([]) == "The test set was read once, at the end."
