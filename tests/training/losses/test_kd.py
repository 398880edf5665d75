import math

import pytest
import torch

from edgekd.training.losses import kd
from edgekd.training.losses._base import Example
from edgekd.training.losses.kd import kd_loss
from edgekd.training.outputs import Outputs

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


def test_options_are_those_of_the_formula() -> None:
    student, teacher = Outputs(torch.tensor(STUDENT)), Outputs(torch.tensor(TEACHER))
    for options in (kd.OPTIONS, {"temperature": 3.0}):
        loss = kd.build(options, Example(student, teacher))
        expected = divergence(options["temperature"])
        assert loss(student, teacher, torch.tensor([2, 0])).item() == pytest.approx(expected, abs=1e-6)
    assert kd.OPTIONS == {"temperature": 4.0}


def test_is_zero_for_a_student_that_equals_its_teacher() -> None:
    logits = torch.randn(8, 10)
    assert kd_loss(logits, logits + 5, 4.0).item() == pytest.approx(0, abs=1e-6)
