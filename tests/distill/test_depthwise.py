import copy

import pytest
import torch
from torch import Tensor, nn

from edgekd.distill.depthwise import DepthwiseBackwardInFp32


def whole_numbers(*shape: int) -> Tensor:
    """Small whole numbers: bf16 holds them exactly, but not their sums."""
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(0)).float()


def gradients(convolution: nn.Conv2d, images: Tensor, onto: Tensor) -> tuple[Tensor, Tensor]:
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16), DepthwiseBackwardInFp32():
        output = convolution(images)
    (output.float() * onto).sum().backward()
    assert images.grad is not None
    assert convolution.weight.grad is not None
    return images.grad, convolution.weight.grad


@pytest.mark.parametrize("stride", [1, 2])
def test_weight_gradient_is_exact_to_fp32(stride: int) -> None:
    convolution = nn.Conv2d(8, 8, 3, stride, padding=1, groups=8, bias=False)
    convolution.weight.data = whole_numbers(8, 1, 3, 3)
    images, onto = whole_numbers(4, 8, 11, 9), whole_numbers(4, 8, -(-11 // stride), -(-9 // stride))
    exact = copy.deepcopy(convolution).double()
    exact_images = images.double().requires_grad_()
    (exact(exact_images) * onto).sum().backward()
    for_images, for_weight = gradients(convolution, images, onto)
    assert torch.equal(for_weight.double(), exact.weight.grad)
    torch.testing.assert_close(for_images.double(), exact_images.grad, rtol=2**-8, atol=0)


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, groups=2),
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 8, 3, padding="same", groups=8, bias=False),
    ],
    ids=["dense", "grouped", "with bias", "padding by name"],
)
def test_other_convolutions_are_left_alone(convolution: nn.Conv2d) -> None:
    images = torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        plain = convolution(images)
        with DepthwiseBackwardInFp32():
            given = convolution(images)
    assert torch.equal(given, plain)
    assert given.grad_fn.name() == plain.grad_fn.name()


def test_forward_is_the_one_of_autocast() -> None:
    convolution, images = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        plain = convolution(images)
        with DepthwiseBackwardInFp32():
            given = convolution(images)
    assert torch.equal(given, plain)
    assert "Depthwise" in given.grad_fn.name()
