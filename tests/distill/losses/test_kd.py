import math

import pytest
import torch

from edgekd.distill.losses import kd
from edgekd.distill.losses.kd import kd_loss
from edgekd.errors import EdgekdError
from edgekd.schema import Recovery

STUDENT = [[1.0, -2.0, 0.5], [0.1, 0.2, -3.0]]
TEACHER = [[3.0, -1.0, 0.0], [-0.5, 4.0, 1.0]]


def softmax(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(z / temperature) for z in row]
    return [p / sum(powers) for p in powers]


def divergence(temperature: float) -> float:
    total = 0.0
    for student, teacher in zip(STUDENT, TEACHER, strict=True):
        q, p = softmax(student, temperature), softmax(teacher, temperature)
        total += sum(pi * math.log(pi / qi) for pi, qi in zip(p, q, strict=True))
    return temperature**2 * total / len(STUDENT)


@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_is_the_scaled_divergence_of_the_softened_outputs(temperature: float) -> None:
    student, teacher = torch.tensor(STUDENT), torch.tensor(TEACHER)
    expected = divergence(temperature)
    assert kd_loss(student.double(), teacher.double(), temperature).item() == pytest.approx(expected, abs=1e-6)
    # fp32 rounds what T² then enlarges
    rounding = 1e-6 * max(1, temperature**2 / 16)
    assert kd_loss(student, teacher, temperature).item() == pytest.approx(expected, abs=rounding)


def test_adds_the_two_losses_by_their_weights() -> None:
    labels = [2, 0]
    hard = -sum(math.log(softmax(row, 1)[label]) for row, label in zip(STUDENT, labels, strict=True)) / 2
    loss = kd.build(Recovery(temperature=3, ce_weight=0.25, kd_weight=2))
    value = loss(torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(labels))
    assert value.item() == pytest.approx(0.25 * hard + 2 * divergence(3), abs=1e-6)


def test_is_zero_for_a_student_that_equals_its_teacher() -> None:
    logits = torch.randn(8, 10)
    assert kd_loss(logits, logits + 5, 4.0).item() == pytest.approx(0, abs=1e-6)


def test_without_a_teacher_says_so() -> None:
    with pytest.raises(EdgekdError, match="needs a teacher"):
        kd.build(Recovery())(torch.randn(2, 3), None, torch.tensor([0, 1]))


def test_teacher_of_other_classes_is_an_error() -> None:
    with pytest.raises(EdgekdError, match="4 classes, the student 3"):
        kd.build(Recovery())(torch.randn(2, 3), torch.randn(2, 4), torch.tensor([0, 1]))
