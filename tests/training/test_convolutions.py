import copy

import pytest
import torch
from torch import Tensor, nn

from edgekd.training.convolutions import OwnConvolutions, _patches, has_small_maps, matrix_convolution


def whole_numbers(*shape: int) -> Tensor:
    """Small whole numbers: bf16 holds them exactly, but not their sums."""
    return torch.randint(-4, 5, shape, generator=torch.Generator().manual_seed(0)).float()


def gradients(convolution: nn.Conv2d, images: Tensor, onto: Tensor) -> tuple[Tensor, Tensor]:
    images = images.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16), OwnConvolutions(matrices=True):
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
        with OwnConvolutions(matrices=True):
            given = convolution(images)
    assert torch.equal(given, plain)
    assert given.grad_fn.name() == plain.grad_fn.name()


def test_forward_is_the_one_of_autocast() -> None:
    convolution, images = nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", torch.bfloat16):
        plain = convolution(images)
        with OwnConvolutions(matrices=True):
            given = convolution(images)
    assert torch.equal(given, plain)
    assert "Depthwise" in given.grad_fn.name()


@pytest.mark.parametrize(
    ("kernel", "padding"), [((3, 3), (1, 1)), ((1, 1), (0, 0)), ((1, 1), (1, 0)), ((3, 2), (0, 1)), ((5, 5), (2, 2))]
)
def test_a_matrix_convolution_is_the_convolution(kernel: tuple[int, int], padding: tuple[int, int]) -> None:
    inputs = whole_numbers(2, 6, 7, 5).double().requires_grad_(), whole_numbers(4, 6, *kernel).double().requires_grad_()
    expected = torch.conv2d(*inputs, padding=padding)
    given = matrix_convolution(*inputs, padding)
    onto = whole_numbers(*expected.shape).double()
    assert torch.equal(given, expected)
    gradients = torch.autograd.grad(given, inputs, onto)
    for gradient, exact in zip(gradients, torch.autograd.grad(expected, inputs, onto), strict=True):
        assert torch.equal(gradient, exact)


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_matrix_convolution_is_one_operation_that_compiling_and_autograd_take(
    layout: torch.memory_format, kernel: int
) -> None:
    images = whole_numbers(2, 4, 5, 6).to(memory_format=layout).requires_grad_()
    weight = whole_numbers(3, 4, kernel, kernel).to(memory_format=layout).requires_grad_()
    # raises where its gradient, its compiled form or what it says of its output's layout differs
    torch.library.opcheck(matrix_convolution, (images, weight, (kernel // 2, kernel // 2)))


def test_many_channels_on_small_maps_are_multiplied_as_matrices() -> None:
    deep, images = nn.Conv2d(64, 64, 3, padding=1, bias=False), torch.randn(2, 64, 4, 4)
    with torch.autocast("cpu", torch.bfloat16), OwnConvolutions(matrices=True):
        output = deep(images)
    assert "matrix_convolution" in output.grad_fn.name()
    with torch.autocast("cpu", torch.bfloat16), OwnConvolutions(matrices=False):
        assert "matrix_convolution" not in deep(images).grad_fn.name()
    torch.testing.assert_close(output.float(), deep(images), rtol=0.02, atol=0.02)
    output.float().sum().backward()
    assert deep.weight.grad is not None
    assert deep.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(
    ("images", "weight", "faster"),
    [
        ((128, 512, 2, 2), (512, 512, 3, 3), True),
        ((128, 256, 4, 4), (256, 256, 1, 1), True),
        ((128, 16, 28, 28), (16, 16, 3, 3), False),
        ((128, 64, 28, 28), (64, 64, 1, 1), False),
    ],
)
def test_large_maps_of_few_channels_are_not(images: tuple[int, ...], weight: tuple[int, ...], *, faster: bool) -> None:
    assert has_small_maps(torch.empty(images, device="meta"), torch.empty(weight, device="meta")) == faster


def test_the_patches_of_single_pixels_are_the_images_themselves() -> None:
    images = torch.randn(2, 8, 4, 4).to(memory_format=torch.channels_last)
    # an operation gets its padding as a list
    assert _patches(images, torch.empty(3, 8, 1, 1), [0, 0]).data_ptr() == images.data_ptr()
