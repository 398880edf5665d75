"""The curves of a training: what is kept of each epoch, and what is drawn of it."""

from example_report import history, result

from edgekd.report.blocks import Picture
from edgekd.report.pictures import curves
from edgekd.report.training import training
from edgekd.values.training import EpochRecord, TrainingRecord


def test_every_epoch_is_a_point_that_says_what_it_came_to_and_a_row_below():
    drawn = curves.picture("Student", history(3, 940), 0.95)
    assert drawn.numbers.rows[2] == ["3", "0.6667", "94.00%", "0.0333", "kept"]
    assert "epoch 1: validation 74.00%, loss 2, learning rate 0.1<" in drawn.svg
    assert drawn.svg.count("; kept</title>") == 3  # in accuracy, loss and learning rate
    assert "teacher: 95.00 %" in drawn.svg
    assert "kept are the weights after epoch 3, the diamond, with 94.00% of the validation images" in drawn.caption


def test_a_training_that_made_weights_worse_has_no_diamond_and_says_so():
    epochs = tuple(epoch.model_copy(update={"kept": False}) for epoch in history(3, 940))
    drawn = curves.picture("Student", epochs)
    assert "kept are the weights before the training, which are more accurate" in drawn.caption
    assert "diamond" not in drawn.caption
    assert "; kept</title>" not in drawn.svg


def test_one_epoch_and_one_without_a_learning_rate_are_drawn_too():
    drawn = curves.picture("Teacher", (EpochRecord(loss=1.0, validation=0.5, kept=True),))
    assert drawn.numbers.rows == [["1", "1", "50.00%", "–", "kept"]]
    assert ">learning rate<" not in drawn.svg
    assert ">epoch<" in drawn.svg


def test_each_training_has_a_picture_and_a_record_of_an_earlier_version_none():
    found = result()
    captions = [block.caption.split(":")[0] for block in training(found) if isinstance(block, Picture)]
    assert captions == ["Teacher", "Student, training 1 of 2", "Student, training 2 of 2"]
    stored = found.teacher.training.model_dump(exclude={"history"})
    without = found.teacher.model_copy(update={"training": TrainingRecord.model_validate(stored)})
    assert not any(isinstance(block, Picture) for block in training(result(teacher=without, student=without)))
