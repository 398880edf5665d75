"""Alternatives to PyTorch's bf16 convolutions (oneDNN's) for training under bf16 autocast on a CPU.

The backward pass of a depthwise convolution can be several times slower in bf16 than in fp32. On some CPUs a dense
convolution with many channels on a small map takes up to six times as long as the equivalent matrix product; on others
the product is slower. So these alternatives are timed with the other ways of execution (`execution.py`);
`tools/bench/convolutions.py` compares single layers.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _Depthwise(torch.autograd.Function):
    """Forward in bf16, backward in fp32, which also makes the gradient more exact."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, geometry: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.geometry = geometry
        output: Tensor = torch.ops.aten.conv2d(images, weight.to(images.dtype), None, *geometry, images.shape[1])
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        for_images, for_weight, _ = torch.ops.aten.convolution_backward(
            gradients[0].float(),
            images.float(),
            weight.float(),
            None,
            *ctx.geometry,
            False,
            (0, 0),
            images.shape[1],
            (ctx.needs_input_grad[0], ctx.needs_input_grad[1], False),
        )
        return for_images if for_images is None else for_images.to(images.dtype), for_weight, None


@custom_op("edgekd::matrix_convolution", mutates_args=())
def matrix_convolution(images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    """A dense convolution of stride 1 as a matrix product of patches (one row per output pixel) and weights.

    Channels are last in both, so each patch consists of contiguous pieces of memory. For torch.compile it is a single
    operation: otherwise the compiler copies its parts to other layouts and back.

    Args:
        images: (B, C, H, W)
        weight: (outputs, C, kernel height, kernel width)
        padding: padding of height and width
    """
    patches = _patches(images, weight, padding)
    output = patches.flatten(0, 2) @ _matrix(weight, images.dtype).t()
    return output.view(*patches.shape[:3], -1).permute(0, 3, 1, 2)


@custom_op("edgekd::matrix_convolution_for_images", mutates_args=())
def _for_images(gradient: Tensor, images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    patches = _rows(gradient) @ _matrix(weight, images.dtype)
    return _images_of(patches, images, weight, padding)


@custom_op("edgekd::matrix_convolution_for_weight", mutates_args=())
def _for_weight(gradient: Tensor, images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    found = _rows(gradient).t() @ _patches(images, weight, padding).flatten(0, 2)
    outputs, channels, height, width = weight.shape
    return found.view(outputs, height, width, channels).permute(0, 3, 1, 2).to(weight.dtype)


@matrix_convolution.register_fake
def _(images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    height, width = (images.shape[i + 2] + 2 * padding[i] - weight.shape[i + 2] + 1 for i in range(2))
    return images.new_empty(images.shape[0], height, width, weight.shape[0]).permute(0, 3, 1, 2)


@_for_images.register_fake
def _(gradient: Tensor, images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    return torch.empty_like(images, memory_format=torch.channels_last)


@_for_weight.register_fake
def _(gradient: Tensor, images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    return torch.empty_like(weight, memory_format=torch.channels_last)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    images, weight, ctx.padding = inputs
    ctx.save_for_backward(images, weight)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    inputs = (gradient, *ctx.saved_tensors, ctx.padding)
    for_images, for_weight = ctx.needs_input_grad[:2]
    return _for_images(*inputs) if for_images else None, _for_weight(*inputs) if for_weight else None, None


matrix_convolution.register_autograd(_backward, setup_context=_keep)


def _rows(images: Tensor) -> Tensor:
    """(B x H x W, channels)."""
    return images.permute(0, 2, 3, 1).flatten(0, 2)


def _matrix(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """(outputs, kernel height x kernel width x channels)."""
    return weight.to(dtype).permute(0, 2, 3, 1).flatten(1)


def _patches(images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    """The patch of each output pixel, (B, output height, output width, kernel height x kernel width x channels)."""
    rows = images.permute(0, 2, 3, 1)
    if weight.shape[2:] == (1, 1) and not any(padding):
        return rows
    padded = functional.pad(rows, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    return torch.cat([padded[place] for place in _places(padded.shape, weight)], dim=-1)


def _images_of(patches: Tensor, images: Tensor, weight: Tensor, padding: Sequence[int]) -> Tensor:
    """The gradient of the images from that of their patches: for each pixel the sum over its patches."""
    batch, channels, height, width = images.shape
    if weight.shape[2:] == (1, 1) and not any(padding):
        return patches.view(batch, height, width, channels).permute(0, 3, 1, 2)
    padded = patches.new_zeros(batch, height + 2 * padding[0], width + 2 * padding[1], channels, dtype=torch.float32)
    places = _places(padded.shape, weight)
    seen = patches.view(*padded[places[0]].shape[:3], len(places), channels)
    for number, place in enumerate(places):
        padded[place] += seen[:, :, :, number]
    inner = padded[:, padding[0] : padding[0] + height, padding[1] : padding[1] + width]
    return inner.to(images.dtype).permute(0, 3, 1, 2)


def _places(padded: Sequence[int], weight: Tensor) -> list[tuple[slice, ...]]:
    """For each kernel position, the slices of the padded images (B, H, W, C) that the output pixels read."""
    height, width = weight.shape[2:]
    down, right = padded[1] - height + 1, padded[2] - width + 1
    return [(slice(None), slice(i, i + down), slice(j, j + right)) for i in range(height) for j in range(width)]


class OwnConvolutions(TorchFunctionMode):
    """Within the block, depthwise 2-d convolutions without bias run their backward pass in fp32.

    Args:
        matrices: whether dense convolutions with many channels on small maps run as matrix products.
    """

    def __init__(self, *, matrices: bool) -> None:
        super().__init__()
        self._matrices = matrices

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Replaces only the call made by `torch.nn.Conv2d`."""
        if func is torch.conv2d and len(args) == 7 and not kwargs and _is_plain(*args):
            images, weight, _, stride, padding, dilation, groups = args
            if groups > 1 and groups == images.shape[1]:
                return _Depthwise.apply(images.bfloat16(), weight, (stride, padding, dilation))
            dense = groups == 1 and stride == dilation == (1, 1)
            if self._matrices and dense and has_small_maps(images, weight):
                return matrix_convolution(images.bfloat16(), weight, padding)
        return func(*args, **(kwargs or {}))


def _is_plain(images: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, *rest: Any) -> bool:
    return bias is None and isinstance(padding, tuple) and images.ndim == 4


def has_small_maps(images: Tensor, weight: Tensor) -> bool:
    """Whether a dense convolution has few pixels for its channels: oneDNN's time grows with the number of weights, that
    of copying patches with the number of pixels.

    edgekd's choice: at this constant neither was clearly faster on a Xeon with AMX. Other CPUs differ, which is why the
    alternative is timed as a whole.
    """
    outputs, channels, height, width = weight.shape
    pixels = images.shape[0] * images.shape[2] * images.shape[3]
    return pixels * height * width * (channels + outputs) <= 145 * channels * outputs
