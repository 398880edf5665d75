"""The pattern 2:4 for the sparse tensor cores of NVIDIA GPUs: of every four consecutive input channels of one output
channel, at one position of the kernel, the two smallest weights go (Mishra et al., "Accelerating Sparse Deep Neural
Networks", 2021, arXiv 2104.08378; TensorRT's documentation, "Sparsity": weights [K, C, R, S] in fours along C).

Its fraction is 0.5. Layers whose input channels aren't a multiple of 4 stay dense, as do transposed convolutions.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.single_weights import weight_of

SCORES: Literal["weights"] = "weights"
FRACTIONS: tuple[float, ...] = (0.5,)
NEEDS_IMAGES = False
NEEDS_LATENCY = False
Options = NoOptions


def scores(subject: Subject, layers: Sequence[nn.Module]) -> tuple[Tensor, ...]:
    """0 for the two smallest of every four, 1 for the others, infinity where there are no fours."""
    return tuple(map(_of_layer, layers))


def _of_layer(layer: nn.Module) -> Tensor:
    weight = weight_of(layer)
    if getattr(layer, "transposed", False) or weight.shape[1] % 4:
        return torch.full(weight.shape, torch.inf)
    return (~two_smallest(weight)).float()


def two_smallest(weight: Tensor) -> Tensor:
    """Where a weight (out, in, ...) has the two smallest of every four inputs: a mask of its shape.

    Of equal ones the first go. `in` is a multiple of 4.
    """
    fours = weight.abs().reshape(len(weight), -1, 4, *weight.shape[2:])  # (out, in / 4, 4, ...)
    smallest = fours.argsort(dim=2, stable=True)[:, :, :2]
    return torch.zeros_like(fours, dtype=torch.bool).scatter_(2, smallest, True).flatten(1, 2)
