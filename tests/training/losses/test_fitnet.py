import numpy as np
import pytest
import torch

from edgekd.errors import EdgekdError
from edgekd.training.losses import fitnet
from edgekd.training.losses._base import Example
from edgekd.training.losses.fitnet import hint_loss
from edgekd.training.outputs import Outputs

RANDOM = np.random.default_rng(0)
GUIDED, HINT = RANDOM.normal(size=(3, 2, 4, 4)), RANDOM.normal(size=(3, 5, 4, 4))
WEIGHT, BIAS = RANDOM.normal(size=(5, 2)), RANDOM.normal(size=5)


def reference(guided: np.ndarray, hint: np.ndarray) -> float:
    """Position by position: the regressor is a linear map of the channels."""
    total = 0.0
    for image in range(len(guided)):
        for row in range(guided.shape[2]):
            for column in range(guided.shape[3]):
                predicted = WEIGHT @ guided[image, :, row, column] + BIAS
                total += ((predicted - hint[image, :, row, column]) ** 2).sum()
    return total / hint.size


def loss(guided: np.ndarray, hint: np.ndarray, dtype: torch.dtype = torch.float64) -> float:
    values = (torch.from_numpy(v).to(dtype) for v in (guided, hint, WEIGHT.reshape(5, 2, 1, 1), BIAS))
    return hint_loss(*values).item()


def quartered(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(*maps.shape[:2], maps.shape[2] // 2, 2, maps.shape[3] // 2, 2).mean((3, 5))


def test_is_the_mean_squared_error_of_the_regressor() -> None:
    assert loss(GUIDED, HINT) == pytest.approx(reference(GUIDED, HINT), abs=1e-6)
    assert loss(GUIDED, HINT, torch.float32) == pytest.approx(reference(GUIDED, HINT), abs=2e-6)
    assert loss(GUIDED[:1], HINT[:1]) == pytest.approx(reference(GUIDED[:1], HINT[:1]), abs=1e-6)


def test_larger_of_two_sizes_is_averaged() -> None:
    assert loss(GUIDED, HINT[:, :, :2, :2]) == pytest.approx(reference(quartered(GUIDED), HINT[:, :, :2, :2]), abs=1e-6)
    assert loss(GUIDED[:, :, :2, :2], HINT) == pytest.approx(reference(GUIDED[:, :, :2, :2], quartered(HINT)), abs=1e-6)


def test_is_zero_where_the_regressor_hits_the_hint() -> None:
    hint = np.einsum("oc,bchw->bohw", WEIGHT, GUIDED) + BIAS[:, None, None]
    assert loss(GUIDED, hint) == pytest.approx(0, abs=1e-12)


def test_gradient_is_that_of_the_value() -> None:
    hint = torch.from_numpy(HINT[:2, :, :2, :2])
    learned = [torch.from_numpy(v).requires_grad_() for v in (GUIDED[:2], WEIGHT.reshape(5, 2, 1, 1), BIAS)]
    assert torch.autograd.gradcheck(lambda guided, weight, bias: hint_loss(guided, hint, weight, bias), learned)


def seen(*channels: int) -> Outputs:
    return Outputs(torch.zeros(2, 10), tuple(torch.randn(2, c, 8 >> i, 8 >> i) for i, c in enumerate(channels)))


@pytest.mark.parametrize(
    ("student", "teacher", "stage", "channels"),
    [
        ((2, 3, 4), (5, 6, 7), 0, (3, 6)),
        ((2, 3, 4), (5, 6, 7), 1, (2, 5)),
        ((2, 3, 4), (5, 6, 7), 3, (4, 7)),
        ((3, 4), (5, 6, 7), 1, (3, 6)),
        ((3, 4), (5, 6, 7), 0, (4, 7)),
        ((4,), (5, 6, 7), 0, (4, 7)),
    ],
)
def test_hint_is_the_middle_stage_or_the_one_that_is_requested(
    student: tuple[int, ...], teacher: tuple[int, ...], stage: float, channels: tuple[int, int]
) -> None:
    ours, theirs = seen(*student), seen(*teacher)
    hint = fitnet.build({"stage": float(stage)}, Example(ours, theirs))
    assert (hint.regressor.in_channels, hint.regressor.out_channels) == channels
    by_channels = {stage.shape[1]: stage for stage in (*ours.stages, *theirs.stages)}
    expected = hint_loss(by_channels[channels[0]], by_channels[channels[1]], hint.regressor.weight, hint.regressor.bias)
    assert hint(ours, theirs, torch.zeros(2)) == expected


@pytest.mark.parametrize("stage", [4.0, 1.5])
def test_stage_that_is_not_there_is_refused(stage: float) -> None:
    with pytest.raises(EdgekdError, match=f"stage = {stage:g}: student and teacher have 3 stages in common") as e:
        fitnet.build({"stage": stage}, Example(seen(2, 3, 4), seen(5, 6, 7)))
    assert "up to 3" in e.value.hint


def test_regressor_learns_the_teachers_features() -> None:
    student, teacher = seen(2, 3, 4), seen(5, 6, 7)
    hint = fitnet.build(fitnet.OPTIONS, Example(student, teacher))
    values = []
    for _ in range(50):
        hint.zero_grad()
        value = hint(student, teacher, torch.zeros(2))
        value.backward()
        values.append(value.item())
        with torch.no_grad():
            for weights in hint.parameters():
                weights -= 0.5 * weights.grad
    assert values[-1] < 0.9 * values[0]
