import numpy as np
import pytest
import torch

from edgekd.training.losses import at
from edgekd.training.losses._base import Example
from edgekd.training.losses.at import attention_loss
from edgekd.training.outputs import Outputs

RANDOM = np.random.default_rng(0)
STUDENT, TEACHER = RANDOM.normal(size=(3, 2, 4, 4)), RANDOM.normal(size=(3, 5, 4, 4))


def attention(image: np.ndarray, size: int) -> np.ndarray:
    """An image (C, H, W)'s sum of squares at every position of a grid of that size, as a vector of length 1."""
    squares = sum(channel**2 for channel in image)
    block = squares.shape[0] // size
    grid = [
        squares[i * block : (i + 1) * block, j * block : (j + 1) * block].mean()
        for i in range(size)
        for j in range(size)
    ]
    return np.array(grid) / np.sqrt(sum(v**2 for v in grid))


def reference(student: np.ndarray, teacher: np.ndarray) -> float:
    size = min(student.shape[2], teacher.shape[2])
    differences = [attention(s, size) - attention(t, size) for s, t in zip(student, teacher, strict=True)]
    return float(np.mean(np.square(differences)))


@pytest.mark.parametrize(
    ("student", "teacher"),
    [
        (STUDENT, TEACHER),
        (STUDENT[:1], TEACHER[:1]),
        (STUDENT[:, :, :2, :2], TEACHER),
        (STUDENT, TEACHER[:, :, :2, :2]),
    ],
    ids=["equal sizes", "one image", "a smaller student", "a smaller teacher"],
)
def test_is_the_mean_squared_difference_of_the_attention(student: np.ndarray, teacher: np.ndarray) -> None:
    expected = reference(student, teacher)
    assert expected > 1e-3
    ours, theirs = torch.from_numpy(student), torch.from_numpy(teacher)
    assert attention_loss(ours, theirs).item() == pytest.approx(expected, abs=1e-6)
    assert attention_loss(ours.float(), theirs.float()).item() == pytest.approx(expected, abs=1e-6)


def test_is_zero_where_student_and_teacher_look_at_the_same_places() -> None:
    teacher = torch.from_numpy(TEACHER)
    assert attention_loss(teacher, teacher).item() == 0
    # neither the scale, nor a sign, nor which channel it is matters
    assert attention_loss(-7 * teacher.flip(1), teacher).item() == pytest.approx(0, abs=1e-12)


def test_looking_elsewhere_costs_two_over_the_positions() -> None:
    student, teacher = torch.zeros(2, 1, 1, 4, 4)
    student[..., 0, 0], teacher[..., 3, 3] = 5, 2
    assert attention_loss(student, teacher).item() == pytest.approx(2 / 16, abs=1e-6)


def test_gradient_is_that_of_the_value() -> None:
    for size in (4, 2):
        teacher = torch.from_numpy(TEACHER[:2, :, :size, :size])
        student = torch.from_numpy(STUDENT[:2]).requires_grad_()
        assert torch.autograd.gradcheck(lambda features, t=teacher: attention_loss(features, t), (student,))


def test_sums_over_the_stages() -> None:
    logits, labels = torch.zeros(3, 10), torch.zeros(3)
    student = Outputs(logits, (torch.from_numpy(STUDENT), torch.from_numpy(STUDENT[:, :, :2, :2])))
    teacher = Outputs(logits, (torch.from_numpy(TEACHER), torch.from_numpy(TEACHER[:, :, 2:, 2:])))
    value = at.build(at.OPTIONS, Example(student, teacher))(student, teacher, labels)
    parts = [reference(STUDENT, TEACHER), reference(STUDENT[:, :, :2, :2], TEACHER[:, :, 2:, 2:])]
    assert value.item() == pytest.approx(sum(parts), abs=1e-6)
