"""Shared by the losses on features: which stages are compared, at which size, and in which precision."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import EdgekdError
from edgekd.training.losses._base import at_least_fp32, required_teacher
from edgekd.training.outputs import Outputs

NO_FEATURES_HINT = "Use a loss on logits, such as 'kd'."


def stage_pairs(loss: str, student: Outputs, teacher: Outputs | None) -> tuple[tuple[Tensor, Tensor], ...]:
    """Pairs of the student's stages and the teacher's, which are constants, from the first to the last.

    edgekd's choice: stages are paired from the last one backwards; surplus first stages are left out.

    Raises:
        EdgekdError: there is no teacher, it has other classes, or one of the two has no stages.
    """
    constant = required_teacher(loss, student, teacher)
    for whose, outputs in (("student", student), ("teacher", constant)):
        if not outputs.stages:
            what = f"the loss {loss!r} compares features (batch, channels, height, width); the {whose} has none"
            raise EdgekdError(what, NO_FEATURES_HINT)
    return tuple(zip(student.stages[::-1], constant.stages[::-1], strict=False))[::-1]


def same_size(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Two maps (B, C, H, W) in at least fp32, average-pooled to the smaller height and width of the two."""
    height, width = min(one.shape[2], other.shape[2]), min(one.shape[3], other.shape[3])
    return _averaged(at_least_fp32(one), height, width), _averaged(at_least_fp32(other), height, width)


def _averaged(maps: Tensor, height: int, width: int) -> Tensor:
    if maps.shape[2:] == (height, width):
        return maps
    if maps.shape[2] % height == 0 and maps.shape[3] % width == 0:
        # equals adaptive pooling, whose gradient isn't deterministic on a GPU
        return F.avg_pool2d(maps, (maps.shape[2] // height, maps.shape[3] // width))
    return F.adaptive_avg_pool2d(maps, (height, width))


def full_precision(values: Tensor) -> torch.autocast:
    """Within the block, products of such values aren't rounded to bf16, even under autocast."""
    return torch.autocast(values.device.type, enabled=False)


def projection(ours: Tensor, theirs: Tensor) -> nn.Conv2d:
    """A new 1×1 convolution from the channels of one map (B, C, H, W) to those of another, on the first's device."""
    # initialised on the CPU: a GPU has other random numbers for the same seed
    return nn.Conv2d(ours.shape[1], theirs.shape[1], 1, device="cpu").to(ours.device)
