import math

import pytest
import torch

from edgekd.training.losses import dkd
from edgekd.training.losses._base import Example
from edgekd.training.losses.dkd import dkd_loss
from edgekd.training.losses.kd import kd_loss
from edgekd.training.outputs import Outputs

STUDENT = [[1.0, -2.0, 0.5, 0.0], [0.1, 0.2, -3.0, 1.0]]
TEACHER = [[3.0, -1.0, 0.0, 1.5], [-0.5, 4.0, 1.0, -2.0]]
LABELS = [0, 3]


def divergence(teacher: list[float], student: list[float]) -> float:
    return sum(p * math.log(p / q) for p, q in zip(teacher, student, strict=True))


def parts(logits: list[float], label: int, temperature: float) -> tuple[list[float], list[float]]:
    powers = [math.exp(z / temperature) for z in logits]
    target = powers.pop(label)
    rest = sum(powers)
    return [target / (target + rest), rest / (target + rest)], [p / rest for p in powers]


def reference(temperature: float, alpha: float, beta: float) -> float:
    total = 0.0
    for student, teacher, label in zip(STUDENT, TEACHER, LABELS, strict=True):
        (binary, others), (taught, taught_others) = (
            parts(student, label, temperature),
            parts(teacher, label, temperature),
        )
        total += alpha * divergence(taught, binary) + beta * divergence(taught_others, others)
    return temperature**2 * total / len(LABELS)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 8.0), (0.5, 0.0), (0.0, 2.0)])
def test_is_the_weighted_sum_of_the_two_divergences(temperature: float, alpha: float, beta: float) -> None:
    student, teacher, labels = torch.tensor(STUDENT), torch.tensor(TEACHER), torch.tensor(LABELS)
    expected = reference(temperature, alpha, beta)
    settings = {"temperature": temperature, "alpha": alpha, "beta": beta}
    assert dkd_loss(student.double(), teacher.double(), labels, **settings).item() == pytest.approx(expected, abs=1e-6)
    # fp32 rounds what T² and the weights then enlarge
    rounding = 1e-6 * max(1, alpha + beta) * max(1, temperature**2 / 4)
    assert dkd_loss(student, teacher, labels, **settings).item() == pytest.approx(expected, abs=rounding)


def test_is_plain_distillation_where_beta_is_the_probability_of_the_other_classes() -> None:
    random = torch.Generator().manual_seed(0)
    for label in range(5):
        student, teacher = torch.randn(2, 1, 5, generator=random, dtype=torch.float64).mul(3)
        others = 1 - (teacher / 4).softmax(1)[0, label].item()
        decoupled = dkd_loss(student, teacher, torch.tensor([label]), temperature=4, alpha=1, beta=others)
        assert decoupled.item() == pytest.approx(kd_loss(student, teacher, 4).item(), abs=1e-9)


def test_with_two_classes_is_the_target_part_alone() -> None:
    student, teacher, labels = torch.randn(6, 2), torch.randn(6, 2), torch.tensor([0, 1, 1, 0, 1, 0])
    decoupled = dkd_loss(student, teacher, labels, temperature=3, alpha=1, beta=8)
    assert decoupled.item() == pytest.approx(kd_loss(student, teacher, 3).item(), abs=1e-5)


def test_is_zero_for_a_student_that_equals_its_teacher() -> None:
    logits, labels = torch.randn(8, 10, dtype=torch.float64), torch.arange(8)
    assert dkd_loss(logits, logits + 5, labels, temperature=4, alpha=1, beta=8).item() == pytest.approx(0, abs=1e-9)


def test_keeps_its_precision_for_a_teacher_that_is_sure() -> None:
    # the others' probability is e^-60: 1 - p would be 0 in any precision
    student, teacher = torch.tensor([[0.0, 0.0, 0.0]]), torch.tensor([[60.0, 0.0, 2.0]])
    sure = dkd_loss(student, teacher, torch.tensor([0]), temperature=1, alpha=1, beta=0)
    assert sure.item() == pytest.approx(math.log(3), abs=1e-6)
    p = 1 / (1 + math.exp(2))
    others = dkd_loss(student, teacher, torch.tensor([0]), temperature=1, alpha=0, beta=1)
    assert others.item() == pytest.approx(divergence([p, 1 - p], [0.5, 0.5]), abs=1e-6)


def test_gradient_is_that_of_the_value() -> None:
    student = torch.tensor(STUDENT, dtype=torch.float64, requires_grad=True)
    teacher, labels = torch.tensor(TEACHER, dtype=torch.float64), torch.tensor(LABELS)
    for alpha, beta in ((1, 0), (0, 1)):
        assert torch.autograd.gradcheck(
            lambda z, a=alpha, b=beta: dkd_loss(z, teacher, labels, temperature=4, alpha=a, beta=b), (student,)
        )


def test_options_are_those_of_the_formula() -> None:
    student, teacher = (Outputs(logits) for logits in torch.tensor([STUDENT, TEACHER], dtype=torch.float64))
    labels, example = torch.tensor(LABELS), Example(student, teacher)
    usual = dkd.build(dkd.OPTIONS, example)(student, teacher, labels)
    assert usual.item() == pytest.approx(reference(4, 1, 8), abs=1e-6)
    loss = dkd.build({"temperature": 2, "alpha": 3, "beta": 0.5}, example)
    assert loss(student, teacher, labels).item() == pytest.approx(reference(2, 3, 0.5), abs=1e-6)
