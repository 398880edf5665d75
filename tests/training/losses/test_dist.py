import numpy as np
import pytest
import torch

from edgekd.training.losses import dist
from edgekd.training.losses._base import Example
from edgekd.training.losses.dist import dist_loss, pearson_distance
from edgekd.training.outputs import Outputs

RANDOM = np.random.default_rng(0)
STUDENT, TEACHER = RANDOM.normal(scale=3, size=(2, 6, 5))
LABELS = torch.tensor([0, 1, 2, 3, 4, 0])


def probabilities(logits: np.ndarray, temperature: float) -> np.ndarray:
    powers = np.exp(logits / temperature)
    return powers / powers.sum(1, keepdims=True)


def relations(temperature: float) -> tuple[float, float]:
    student, teacher = probabilities(STUDENT, temperature), probabilities(TEACHER, temperature)
    inter = [1 - np.corrcoef(student[i], teacher[i])[0, 1] for i in range(6)]
    intra = [1 - np.corrcoef(student[:, c], teacher[:, c])[0, 1] for c in range(5)]
    return temperature**2 * float(np.mean(inter)), temperature**2 * float(np.mean(intra))


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("beta", "gamma"), [(1.0, 1.0), (2.0, 0.0), (0.0, 0.5)])
def test_is_the_weighted_sum_of_the_two_distances(temperature: float, beta: float, gamma: float) -> None:
    inter, intra = relations(temperature)
    expected = beta * inter + gamma * intra
    student, teacher = torch.from_numpy(STUDENT), torch.from_numpy(TEACHER)
    settings = {"temperature": temperature, "beta": beta, "gamma": gamma}
    assert dist_loss(student, teacher, **settings).item() == pytest.approx(expected, abs=1e-6)
    # fp32 rounds what T² and the weights then enlarge
    rounding = 1e-6 * (beta + gamma) * max(1, temperature**2 / 4)
    assert dist_loss(student.float(), teacher.float(), **settings).item() == pytest.approx(expected, abs=rounding)


def test_distance_changes_with_neither_scale_nor_offset() -> None:
    student, teacher = torch.from_numpy(STUDENT), torch.from_numpy(TEACHER)
    for dim, sizes in ((1, (6, 1)), (0, (1, 5))):
        scale, offset = torch.from_numpy(RANDOM.uniform(0.1, 9, sizes)), torch.from_numpy(RANDOM.normal(size=sizes))
        moved = pearson_distance(student * scale + offset, teacher, dim)
        assert moved.item() == pytest.approx(pearson_distance(student, teacher, dim).item(), abs=1e-9)


def test_distance_goes_from_zero_to_two() -> None:
    values = torch.from_numpy(STUDENT)
    assert pearson_distance(values, values, 1).item() == pytest.approx(0, abs=1e-9)
    assert pearson_distance(values, -values, 1).item() == pytest.approx(2, abs=1e-9)


def test_is_zero_for_a_student_that_equals_its_teacher_but_for_an_offset_of_each_image() -> None:
    teacher = torch.from_numpy(TEACHER)
    offset = torch.arange(6.0).unsqueeze(1)
    assert dist_loss(teacher + offset, teacher, temperature=4, beta=1, gamma=1).item() == pytest.approx(0, abs=1e-9)


def test_one_image_has_no_relation_to_others() -> None:
    student = torch.from_numpy(STUDENT[:1]).requires_grad_()
    value = dist_loss(student, torch.from_numpy(TEACHER[:1]), temperature=1, beta=0, gamma=1)
    value.backward()
    assert value.item() == 1
    assert student.grad is not None
    assert student.grad.abs().max() == 0


def test_gradient_is_that_of_the_value() -> None:
    student, teacher = torch.from_numpy(STUDENT).clone().requires_grad_(), torch.from_numpy(TEACHER)
    for beta, gamma in ((1, 0), (0, 1)):
        assert torch.autograd.gradcheck(
            lambda z, b=beta, g=gamma: dist_loss(z, teacher, temperature=2, beta=b, gamma=g), (student,)
        )


def test_options_are_those_of_the_formula() -> None:
    student, teacher = Outputs(torch.from_numpy(STUDENT)), Outputs(torch.from_numpy(TEACHER))
    example = Example(student, teacher)
    usual = dist.build(dist.OPTIONS, example)(student, teacher, LABELS)
    assert usual.item() == pytest.approx(sum(relations(4)), abs=1e-6)
    inter, intra = relations(1)
    loss = dist.build({"temperature": 1, "beta": 3, "gamma": 0.5}, example)
    assert loss(student, teacher, LABELS).item() == pytest.approx(3 * inter + 0.5 * intra, abs=1e-6)
