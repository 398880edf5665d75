import numpy as np
import pytest
import torch

from edgekd.distill.losses import dist
from edgekd.distill.losses.dist import dist_loss, pearson_distance
from edgekd.errors import EdgekdError
from edgekd.schema import Recovery

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


def test_recipe_gives_the_weights() -> None:
    student, teacher = torch.from_numpy(STUDENT), torch.from_numpy(TEACHER)
    hard = torch.nn.functional.cross_entropy(student, LABELS).item()
    usual = dist.build(Recovery())(student, teacher, LABELS)
    assert usual.item() == pytest.approx(0.1 * hard + 0.9 * sum(relations(4)), abs=1e-6)
    inter, intra = relations(1)
    settings = Recovery(temperature=1, ce_weight=1, kd_weight=2, options={"beta": 3, "gamma": 0.5})
    assert dist.build(settings)(student, teacher, LABELS).item() == pytest.approx(
        hard + 2 * (3 * inter + 0.5 * intra), abs=1e-6
    )


def test_an_option_of_another_loss_is_refused() -> None:
    with pytest.raises(EdgekdError, match="the loss 'dist' has no 'alpha'") as e:
        dist.build(Recovery(loss="dist", options={"alpha": 2}))
    assert "beta, gamma" in e.value.hint
