import pytest

from edgekd.pipeline.doubts import Answers, said


def about(train, sure, val, classes, *, images=500, origin="given"):
    return said(Answers(500, train, sure), Answers(images, val, sure), 1 / classes, origin)


@pytest.mark.parametrize(
    ("train", "sure", "val", "classes"),
    [
        (0.99, 0.98, 0.97, 10),
        (0.999, 0.95, 0.70, 100),  # what CIFAR-100 is learned by heart like
        (0.79, 0.75, 0.76, 1000),
        (0.75, 0.85, 0.74, 10),  # not quite the images that it was trained on
        (0.60, 0.62, 0.61, 2),
    ],
)
def test_a_teacher_as_good_as_its_training_images_suggest_is_not_doubted(train, sure, val, classes):
    assert about(train, sure, val, classes) == []


def test_a_handful_of_validation_images_says_nothing():
    assert about(0.99, 0.98, 0.42, 10, images=500)
    assert about(0.99, 0.98, 0.4, 10, images=10) == []


@pytest.mark.parametrize(
    ("train", "sure", "val", "classes", "says"),
    [
        (0.12, 0.9, 0.11, 10, "hardly better than guessing"),
        (0.0, 0.9, 0.0, 4, "hardly better than guessing"),
        (0.52, 0.9, 0.51, 2, "hardly better than guessing"),
        (0.03, 0.5, 0.02, 1000, "hardly better than guessing"),
        (0.674, 0.987, 0.726, 10, "right on only 67.4% of 500 training images, though 98.7% sure"),
        (0.65, 0.9, 0.64, 2, "though 90.0% sure"),
        (0.30, 0.6, 0.31, 1000, "right on only 30.0%"),
        (0.99, 0.98, 0.42, 10, "99.0% of 500 training images, but on only 42.0% of 500 validation images"),
    ],
)
def test_one_that_is_far_below_is_whatever_the_number_of_classes(train, sure, val, classes, says):
    found = about(train, sure, val, classes)
    assert len(found) == 1
    assert says in found[0]


def test_one_that_was_trained_here_is_not_said_to_be_fed_wrongly():
    assert about(0.6, 0.9, 0.59, 10, origin="trained") == []
    (found,) = about(0.12, 0.9, 0.11, 10, origin="trained")
    assert "hardly better than guessing" in found
    assert "--teacher-epochs" in found
    assert "normalised" not in found
    assert "99.0% of 500 training images, but on only 42.0%" in about(0.99, 0.98, 0.42, 10, origin="trained")[0]
