"""What a network computes for a batch of images, as far as a loss may ask for it."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Outputs:
    """A network's logits for a batch, and its features where a loss needs them; see `taps`."""

    logits: Tensor
    """(B, classes)."""
    stages: tuple[Tensor, ...] = ()
    """The last features (B, C, H, W) of every resolution, from the first to the last."""
    embedding: Tensor | None = None
    """What the last linear layer reads, (B, F)."""

    def detached(self) -> "Outputs":
        """The same as constants that autograd may keep."""
        embedding = None if self.embedding is None else self.embedding.detach()
        return Outputs(self.logits.detach(), tuple(stage.detach() for stage in self.stages), embedding)
