import pytest

from edgekd.report.training import learned, loss, training
from edgekd.values.losses import HALF_AND_HALF
from edgekd.values.race import RaceRecord, TrainedBy
from tests.report.example_report import result

RACE = RaceRecord(pilots=(), winner=None, seconds=1.0)


@pytest.mark.parametrize(
    ("by", "says"),
    [
        ({"losses": HALF_AND_HALF}, "0.5 × cross entropy + 0.5 × T² × KL(teacher ‖ student) (temperature = 4), at a"),
        (
            {"losses": {"ce": {}, "kd": {"weight": 0.0}}},
            "The student was trained on the labels alone, at a learning rate of 0.05.",
        ),
        ({"losses": {"dkd": {"beta": 2.0}, "at": {"weight": 9.0}}}, "1 × `dkd` (beta = 2) + 9 × `at`, at a"),
        (
            {"losses": HALF_AND_HALF, "mixup": 0.2, "race": RACE},
            "(temperature = 4), as pilots chose, at a learning rate of 0.05; teacher and student get",
        ),
        ({"losses": HALF_AND_HALF, "mixup": 0.2}, "the same augmented images, mixed in pairs (mixup)."),
    ],
)
def test_it_says_what_the_student_minimised(by, says):
    assert says in loss(TrainedBy(learning_rate=0.05, **by))


def test_it_says_what_was_minimised_in_each_training_and_nothing_of_one_that_was_not():
    labels, half = (TrainedBy(losses=losses, learning_rate=0.1) for losses in ({"ce": {}}, HALF_AND_HALF))
    both = learned([half, labels])
    assert (
        both.index("Training 1: Distillation: 0.5 ×")
        < both.index("Training 2: The student was trained")
        < both.index("epoch was selected")
    )
    assert learned([labels]).startswith("The student was trained on the labels alone, at a learning rate of 0.1. The")
    wasted = labels.model_copy(update={"kept": False})
    assert "less accurate: the weights before it were kept. The epoch was selected" in learned([wasted])
    assert learned([]) == "The test set was read once, at the end."


def test_epochs_of_which_none_was_kept_are_told_as_such():
    example = result()
    record = example.student.training.model_copy(update={"best_epoch": 0})
    student = example.student.model_copy(update={"training": record})
    table, *_ = training(example.model_copy(update={"student": student}))
    assert f"{record.epochs} (none kept)" in table.rows[1]
