"""What an artifact makes of each class, from its answers and the reference's."""

import numpy as np

from edgekd.deploy.outputs import NO_CLASS
from edgekd.pipeline.tested import by_class
from edgekd.values.classes import ByClass


def test_answers_are_counted_by_class_beside_the_references():
    true = np.array([0, 0, 0, 0, 1, 1, 2])
    reference = np.array([0, 0, 1, 0, 1, 0, 2])
    given = np.array([0, 2, 0, 2, 1, 1, 2])
    assert by_class(given, reference, true, 4) == ByClass(
        images=(4, 2, 1, 0),
        correct=(2, 2, 1, 0),
        lost=(2, 0, 0, 0),
        gained=(1, 1, 0, 0),
        taken_for=(2, None, None, None),
    )


def test_an_image_without_a_class_is_wrong_and_taken_for_none():
    true, given = np.array([0, 0, 1]), np.array([0, NO_CLASS, NO_CLASS])
    found = by_class(given, true, true, 2)
    assert (found.correct, found.lost, found.taken_for) == ((1, 0), (1, 1), (None, None))
