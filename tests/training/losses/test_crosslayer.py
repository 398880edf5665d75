import numpy as np
import pytest
import torch
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.training.losses import crosslayer
from edgekd.training.losses._base import Example
from edgekd.training.losses.crosslayer import crosslayer_loss, flow
from edgekd.training.outputs import Outputs

RANDOM = np.random.default_rng(0)
CHANNELS = (2, 3, 4)
Maps = list[np.ndarray]
STUDENT, TEACHER = ([RANDOM.normal(size=(3, c, 8 >> i, 8 >> i)) for i, c in enumerate(CHANNELS)] for _ in range(2))

# of fewer positions than channels, where the flows aren't made
DEEP_STUDENT, DEEP_TEACHER = (
    [RANDOM.normal(size=(3, c, size, size)) for c, size in ((6, 2), (7, 2), (9, 1))] for _ in range(2)
)
BOTH = pytest.mark.parametrize(
    ("student", "teacher"), [(STUDENT, TEACHER), (DEEP_STUDENT, DEEP_TEACHER)], ids=["large maps", "small maps"]
)


def smaller(maps: np.ndarray, size: int) -> np.ndarray:
    block = maps.shape[2] // size
    return maps.reshape(*maps.shape[:2], size, block, size, block).mean((3, 5))


def flow_reference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Channel by channel: the mean over the positions of the product of the two maps."""
    size = min(one.shape[2], other.shape[2])
    one, other = smaller(one, size), smaller(other, size)
    return np.array([[[(a * b).mean() for b in theirs] for a in ours] for ours, theirs in zip(one, other, strict=True)])


def reference(student: list[np.ndarray], teacher: list[np.ndarray]) -> float:
    losses = []
    for j in range(len(student)):
        for i in range(j):
            ours, theirs = flow_reference(student[i], student[j]), flow_reference(teacher[i], teacher[j])
            ours, theirs = (m / np.sqrt((m**2).sum((1, 2), keepdims=True)) for m in (ours, theirs))
            losses.append(((ours - theirs) ** 2).sum((1, 2)).mean())
    return float(np.mean(losses))


def tensors(stages: list[np.ndarray], dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [torch.from_numpy(stage).to(dtype) for stage in stages]


def test_flow_is_the_mean_product_of_every_two_channels() -> None:
    for i, j in ((0, 1), (0, 2), (2, 1), (1, 1)):
        given = flow(*tensors([STUDENT[i], STUDENT[j]]))
        assert given.shape == (3, CHANNELS[i], CHANNELS[j])
        np.testing.assert_allclose(given.numpy(), flow_reference(STUDENT[i], STUDENT[j]), atol=1e-9)


@BOTH
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("stages", [2, 3])
def test_is_the_squared_distance_of_the_flows_between_all_stages(
    student: Maps, teacher: Maps, stages: int, dtype: torch.dtype
) -> None:
    expected = reference(student[:stages], teacher[:stages])
    assert expected > 1e-3
    value = crosslayer_loss(tensors(student[:stages], dtype), tensors(teacher[:stages], dtype))
    assert value.item() == pytest.approx(expected, abs=1e-6)


def test_one_image_and_unequal_sizes() -> None:
    teacher = [smaller(stage, stage.shape[2] // 2)[:1] for stage in TEACHER]
    student = [stage[:1] for stage in STUDENT]
    value = crosslayer_loss(tensors(student), tensors(teacher))
    assert value.item() == pytest.approx(reference(student, teacher), abs=1e-6)


def test_is_zero_for_equal_features_wherever_in_the_image_they_are() -> None:
    assert crosslayer_loss(tensors(TEACHER), tensors(TEACHER)).item() == 0
    assert crosslayer_loss(tensors(DEEP_TEACHER), tensors(DEEP_TEACHER)).item() == pytest.approx(0, abs=1e-12)
    elsewhere = [stage.flip(3) for stage in tensors(TEACHER)]
    assert crosslayer_loss(elsewhere, tensors(TEACHER)).item() == pytest.approx(0, abs=1e-12)


@BOTH
def test_gradient_is_that_of_the_value(student: Maps, teacher: Maps) -> None:
    constants = tensors([stage[:1] for stage in teacher])
    learning = tuple(stage.requires_grad_() for stage in tensors([stage[:1] for stage in student]))
    assert torch.autograd.gradcheck(lambda *stages: crosslayer_loss(stages, constants), learning)


@BOTH
def test_features_of_zero_give_a_gradient_that_is_finite(student: Maps, teacher: Maps) -> None:
    nothing = [torch.zeros_like(stage).requires_grad_() for stage in tensors(student)]
    value = crosslayer_loss(nothing, tensors(teacher))
    assert value.item() == pytest.approx(1)
    value.backward()
    assert all(stage.grad is not None and stage.grad.isfinite().all() for stage in nothing)


def test_projects_only_stages_with_other_channels() -> None:
    logits, labels = torch.zeros(3, 10), torch.zeros(3)
    teacher = Outputs(logits, tuple(tensors(TEACHER, torch.float32)))
    narrow = RANDOM.normal(size=(3, 1, 4, 4))
    student = Outputs(logits, tuple(tensors([STUDENT[0], narrow, STUDENT[2]], torch.float32)))
    loss = crosslayer.build(crosslayer.OPTIONS, Example(student, teacher))
    first, second, third = loss.projections
    assert isinstance(first, nn.Identity)
    assert isinstance(second, nn.Conv2d)
    assert isinstance(third, nn.Identity)
    weight, bias = second.weight.detach().numpy()[:, :, 0, 0], second.bias.detach().numpy()
    projected = np.einsum("oc,bchw->bohw", weight, narrow) + bias[:, None, None]
    expected = reference([STUDENT[0], projected, STUDENT[2]], TEACHER)
    assert loss(student, teacher, labels).item() == pytest.approx(expected, abs=1e-6)
    assert repr(loss) == "CrossLayer(channels=[2→2, 1→3, 4→4])"


def test_one_stage_in_common_is_refused() -> None:
    logits = torch.zeros(3, 10)
    student, teacher = Outputs(logits, (torch.zeros(3, 2, 4, 4),)), Outputs(logits, tuple(tensors(TEACHER)))
    with pytest.raises(EdgekdError, match="at least two stages"):
        crosslayer.build(crosslayer.OPTIONS, Example(student, teacher))
