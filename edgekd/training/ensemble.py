"""An ensemble of teachers: S. You, C. Xu, C. Xu, D. Tao, "Learning from Multiple Teacher Networks", KDD 2017, average
the teachers' outputs; edgekd averages logits, because the losses use logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError


class Ensemble(nn.Module):
    """The weighted mean of its members' logits.

    Args:
        members: networks with the same classes.
        weights: one weight per member, with a positive sum; equal by default.

    Raises:
        EdgekdError: there is no member, or the weights are invalid.
    """

    def __init__(self, members: Sequence[nn.Module], weights: Sequence[float] | None = None) -> None:
        super().__init__()
        weights = [1.0] * len(members) if weights is None else list(weights)
        if not members or len(weights) != len(members) or min(weights) < 0 or sum(weights) <= 0:
            what = f"an ensemble of {len(members)} teachers with the weights {weights}"
            raise EdgekdError(what, "Give each teacher a weight; none below 0, not all 0.")
        self.members = nn.ModuleList(members)
        self._shares = tuple(weight / sum(weights) for weight in weights)
        # so that a digest of the teacher depends on them
        self.register_buffer("shares", torch.tensor(self._shares))

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to logits (B, classes)."""
        total: Tensor = self._shares[0] * self.members[0](images)
        for share, member in zip(self._shares[1:], list(self.members)[1:], strict=True):
            total = total + share * member(images)
        return total
