"""A hint without a projection, for a student that was pruned from its teacher: each of its channels is compared with
the teacher's channel that it was.

edgekd's own. The hint is that of `fitnet`, without a regressor that is discarded after training. There is no weight in
the literature; the user chooses one.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.errors import EdgekdError
from edgekd.training.losses._base import Example
from edgekd.training.losses._features import same_size, stage_pairs
from edgekd.training.outputs import Outputs

NEEDS: Literal["features"] = "features"
OPTIONS: Mapping[str, float] = {}


def kept_channels_loss(student: Tensor, teacher: Tensor, kept: Tensor) -> Tensor:
    """The mean squared difference between the student's features (B, C_s, H, W) and the channels `kept` (C_s,) int64 of
    the teacher's (B, C_t, H, W), which are constant; in at least fp32.

    If the sizes differ, the larger one is average-pooled to the smaller one's.
    """
    return F.mse_loss(*same_size(student, teacher.detach().index_select(1, kept)))


class KeptChannels(nn.Module):
    """The mean of `kept_channels_loss` over the stages whose channels are known.

    Args:
        kept: for each stage, the teacher's channels that the student kept; None omits the stage; at least one is known.
        device: the device of the features.
    """

    def __init__(self, kept: Sequence[tuple[int, ...] | None], device: torch.device) -> None:
        super().__init__()
        self.channels = tuple(None if of_stage is None else len(of_stage) for of_stage in kept)
        for stage, of_stage in enumerate(kept):
            if of_stage is not None:
                self.register_buffer(f"kept{stage}", torch.tensor(of_stage, device=device))

    def forward(self, student: Outputs, teacher: Outputs | None, labels: Tensor) -> Tensor:
        """The loss of a batch.

        Raises:
            EdgekdError: there is no teacher, or it has other classes.
        """
        pairs = stage_pairs("kept_channels", student, teacher)
        known = [stage for stage, channels in enumerate(self.channels) if channels is not None]
        losses = [kept_channels_loss(*pairs[stage], self.get_buffer(f"kept{stage}")) for stage in known]
        return torch.stack(losses).mean()

    def __repr__(self) -> str:
        return f"KeptChannels(channels={list(self.channels)})"


def build(options: Mapping[str, float], example: Example) -> KeptChannels:
    """The loss has no options.

    Raises:
        EdgekdError: no stage of the student has channels that are known to be the teacher's.
    """
    pairs = stage_pairs("kept_channels", example.student, example.teacher)
    same_stages = example.teacher is not None and len(example.student.stages) == len(example.teacher.stages)
    if same_stages and len(example.kept) == len(pairs):
        kept = [_kept(of_stage, *pair) for of_stage, pair in zip(example.kept, pairs, strict=True)]
        if any(of_stage is not None for of_stage in kept):
            return KeptChannels(kept, example.student.logits.device)
    what = "the loss 'kept_channels': no stage of the student is known to have kept channels of this teacher"
    raise EdgekdError(what, "Use it only if the student was pruned from the teacher; otherwise use 'fitnet'.")


def _kept(stated: tuple[int, ...] | None, ours: Tensor, theirs: Tensor) -> tuple[int, ...] | None:
    """The teacher's channels that the student has at a stage; None if unknown.

    `stated` belongs to the stage's last narrowed layer; it doesn't fit if the stage's channels aren't those of that
    layer, as in a dense block.
    """
    width, original = ours.shape[1], theirs.shape[1]
    if stated is not None and len(stated) == width and max(stated) < original:
        return stated
    # a stage of unchanged width has all of the teacher's channels
    return tuple(range(original)) if width == original else None
