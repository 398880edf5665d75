"""Least squares of one layer: the weights by which it gives wanted outputs from what it reads, at sampled positions.

A position is one pixel of a convolution's output in one image, or one row that a linear layer reads.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Layer = nn.Conv2d | nn.Linear

_LEAST, MOST, _PER_WEIGHT = 2_000, 10_000, 50
"""Positions: for every weight of one output so many, within bounds. Of all bounds tried on MobileNetV1 the loss hardly
depended on more, and the time did.
"""
_NUMBERS = 8_000_000
"""That a layer reads at all its positions, at most: 32 MB. What is solved, in fp64, isn't more numbers."""
_RIDGE = 1e-3
"""Added to the diagonal, as a fraction of its mean: some thousand positions don't determine all weights of a layer."""
_ROUNDING = 1e-5
"""As a fraction of the outputs' variance."""


def sampled(layer: Layer, count: int, generator: torch.Generator, at_most: int = MOST) -> Tensor:
    """The positions, rising, that a layer is fitted at: of `count` ones, all or some thousand."""
    weights = layer.weight[0].numel()
    inputs = weights * (layer.groups if isinstance(layer, nn.Conv2d) else 1)
    most = max(1, min(at_most, max(_LEAST, _PER_WEIGHT * weights), _NUMBERS // inputs))
    if count <= most:
        return torch.arange(count)
    return torch.randint(count, (most,), generator=generator).sort().values


def read_at(layer: Layer, read: Tensor, size: tuple[int, ...], positions: Tensor) -> Tensor:
    """What the weights of one output are multiplied by: (positions, weights).

    Args:
        layer: the layer.
        read: its input.
        size: height and width of its output, if it is a convolution.
        positions: where.
    """
    if isinstance(layer, nn.Linear):
        return read.flatten(0, -2)[positions]
    image, y, x = _pixel(positions, size)
    mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
    padded = F.pad(read, layer._reversed_padding_repeated_twice, mode=mode)
    rows, columns = (
        (start * stride)[:, None] + torch.arange(kernel) * dilation
        for start, stride, kernel, dilation in zip((y, x), layer.stride, layer.kernel_size, layer.dilation, strict=True)
    )
    found = padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (positions, height, width, inputs)
    return found.permute(0, 3, 1, 2).flatten(1)


def given_at(layer: Layer, given: Tensor, positions: Tensor) -> Tensor:
    """What a layer gives there: (positions, outputs)."""
    if isinstance(layer, nn.Linear):
        return given.flatten(0, -2)[positions]
    image, y, x = _pixel(positions, tuple(given.shape[2:]))
    return given[image, :, y, x]


def fit(layer: Layer, read: Tensor, wanted: Tensor, *, shifted: bool) -> bool:
    """Fit a layer's weights and bias to what is wanted, in place, each group of a convolution by itself. What the
    images don't determine stays as it is, and so does a layer that gives what is wanted already, up to rounding.

    Args:
        layer: the layer.
        read: as `read_at` gives it.
        wanted: outputs, as `given_at` gives them.
        shifted: whether a batch norm takes away whatever constant the layer's outputs have.

    Returns:
        Whether what was found is finite; else the weights stay as they were.
    """
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    weight = layer.weight.detach().view(groups, len(layer.weight) // groups, -1)  # (groups, outputs, weights)
    x, y = (side.view(len(side), groups, -1).transpose(0, 1) for side in (read, wanted))  # (groups, positions, …)
    bias = 0 if layer.bias is None else layer.bias.detach().view(groups, 1, -1)
    error = y - x @ weight.mT - bias
    if error.square().mean() <= _ROUNDING * wanted.var(unbiased=False):
        return True
    if shifted or layer.bias is not None:
        x, error = x - (mean := x.mean(1, keepdim=True)), error - (shift := error.mean(1, keepdim=True))
    change = _ridge(x, error)
    if not change.isfinite().all():
        return False
    with torch.no_grad():
        layer.weight += change.mT.reshape(layer.weight.shape)
        if layer.bias is not None:
            layer.bias += (shift - mean @ change).flatten()
    return True


def _ridge(x: Tensor, y: Tensor) -> Tensor:
    """The least squares of x @ w = y, drawn to zero: (groups, inputs, outputs). Not finite where there is none."""
    dual = x.shape[1] < x.shape[2]  # the same by a smaller matrix
    # sums of products may be rounded, as far less than the ridge; solving would multiply that
    products = (x @ x.mT if dual else x.mT @ x).double()
    diagonal = products.diagonal(dim1=1, dim2=2)
    diagonal += _RIDGE / x.shape[2] * diagonal.sum(1, keepdim=True)
    factor, failed = torch.linalg.cholesky_ex(products)
    if failed.any():
        return torch.full((len(x), x.shape[2], y.shape[2]), torch.nan, dtype=x.dtype)
    solved = torch.cholesky_solve((y if dual else x.mT @ y).double(), factor).to(x.dtype)
    return x.mT @ solved if dual else solved


def _pixel(positions: Tensor, size: tuple[int, ...]) -> tuple[Tensor, Tensor, Tensor]:
    """Image, row and column."""
    height, width = size
    return positions // (height * width), positions // width % height, positions % width
