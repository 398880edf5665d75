import math
from itertools import product

import numpy as np
import pytest
import torch

from edgekd.training.losses import rkd
from edgekd.training.losses._base import Example
from edgekd.training.losses.rkd import rkd_loss
from edgekd.training.outputs import Outputs

RANDOM = np.random.default_rng(0)
STUDENT, TEACHER = RANDOM.normal(size=(5, 3)) * 2, RANDOM.normal(size=(5, 7)) + 1
LABELS = torch.zeros(5)


def huber(difference: float) -> float:
    return difference**2 / 2 if abs(difference) <= 1 else abs(difference) - 0.5


def distances(points: np.ndarray) -> dict[tuple[int, int], float]:
    found = {(i, j): math.dist(points[i], points[j]) for i, j in product(range(len(points)), repeat=2)}
    mean = sum(found.values()) / sum(i != j for i, j in found)
    return {pair: distance / mean for pair, distance in found.items()}


def cosine(points: np.ndarray, i: int, j: int, k: int) -> float:
    """Of the angle at j between i and k."""
    one, other = points[i] - points[j], points[k] - points[j]
    if j in (i, k):
        return 0.0
    return float(one @ other) / math.hypot(*one) / math.hypot(*other)


def of_distances(student: np.ndarray, teacher: np.ndarray) -> float:
    ours, theirs = distances(student), distances(teacher)
    return sum(huber(ours[pair] - theirs[pair]) for pair in ours) / len(ours)


def of_angles(student: np.ndarray, teacher: np.ndarray) -> float:
    triples = list(product(range(len(student)), repeat=3))
    return sum(huber(cosine(student, *t) - cosine(teacher, *t)) for t in triples) / len(triples)


def loss(student: np.ndarray, teacher: np.ndarray, distance: float, angle: float, dtype: torch.dtype) -> float:
    ours, theirs = (torch.from_numpy(v).to(dtype) for v in (student, teacher))
    return rkd_loss(ours, theirs, distance=distance, angle=angle).item()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("distance", "angle"), [(1.0, 0.0), (0.0, 1.0), (0.5, 2.0)])
def test_is_the_weighted_sum_of_the_two_differences(distance: float, angle: float, dtype: torch.dtype) -> None:
    expected = distance * of_distances(STUDENT, TEACHER) + angle * of_angles(STUDENT, TEACHER)
    assert expected > 1e-3
    assert loss(STUDENT, TEACHER, distance, angle, dtype) == pytest.approx(expected, abs=1e-6)


def test_large_differences_count_linearly() -> None:
    apart, even = np.array([[0.0]] * 7 + [[1.0]]), np.arange(8.0)[:, None]
    furthest = max(abs(a - b) for a, b in zip(distances(apart).values(), distances(even).values(), strict=True))
    assert furthest > 1
    assert loss(apart, even, 1, 0, torch.float64) == pytest.approx(of_distances(apart, even), abs=1e-6)


def test_is_zero_for_the_same_figure_wherever_and_however_large() -> None:
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(7, 7)))
    for student in (TEACHER, 30 * TEACHER @ rotation + 5):
        assert loss(student, TEACHER, 25, 50, torch.float64) == pytest.approx(0, abs=1e-9)


def test_two_images_have_one_distance_and_no_angle() -> None:
    assert loss(STUDENT[:2], TEACHER[:2], 1, 1, torch.float64) == pytest.approx(0, abs=1e-9)


def test_gradient_is_that_of_the_value() -> None:
    teacher = torch.from_numpy(TEACHER)
    student = torch.from_numpy(STUDENT).requires_grad_()
    for distance, angle in ((1, 0), (0, 1)):
        assert torch.autograd.gradcheck(
            lambda points, d=distance, a=angle: rkd_loss(points, teacher, distance=d, angle=a), (student,)
        )


def test_images_with_the_same_embedding_have_a_bounded_gradient() -> None:
    student = torch.from_numpy(STUDENT).float()
    twice = torch.cat([student, student[:1], student[:1] * (1 + 1e-7)]).requires_grad_()
    teacher = torch.from_numpy(RANDOM.normal(size=(7, 4))).float()
    rkd_loss(twice, teacher, distance=25, angle=50).backward()
    assert twice.grad is not None
    assert twice.grad.abs().max() < 100
    assert twice.grad.abs().max() > 0


def test_embeddings_that_no_linear_layer_reads_are_the_last_stage_s_mean() -> None:
    features = torch.from_numpy(RANDOM.normal(size=(5, 3, 2, 2)))
    logits = torch.zeros(5, 10)
    student, teacher = (
        Outputs(logits, (torch.zeros(5, 1, 4, 4), features)),
        Outputs(logits, (), torch.from_numpy(TEACHER)),
    )
    value = rkd.build(rkd.OPTIONS, Example(student, teacher))(student, teacher, LABELS)
    means = features.numpy().mean((2, 3))
    expected = 25 * of_distances(means, TEACHER) + 50 * of_angles(means, TEACHER)
    assert value.item() == pytest.approx(expected, abs=1e-6)
    embedded = Outputs(logits, student.stages, torch.from_numpy(TEACHER))
    assert rkd.build(rkd.OPTIONS, Example(embedded, teacher))(embedded, teacher, LABELS).item() == 0
