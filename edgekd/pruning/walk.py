"""Compares a network's forward pass with that of its pruned copy; the removed channels are marked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.process import UNPRUNED


@dataclass
class Walk:
    """The state of the comparison while the original runs."""

    student: nn.Module
    kept: Mapping[str, tuple[int, ...]]
    """For each narrowed layer, the output channels of the original that the student keeps."""
    paired: bool = False
    """Whether a mark is a difference between two copies of the images; otherwise it is NaN."""
    calls: Mapping[str, Iterator[tuple[Any, Any]]] = field(default_factory=dict)
    """Inputs and outputs of the student's layers, by name."""
    behind: str = ""
    """The most recent narrowed layer."""
    lost: bool = False
    """Whether a layer reads more unmarked channels than the student's layer has: marks were dropped."""
    unheld: str = ""
    """A layer whose input depends on all channels, so that its values can't be compared."""
    now: dict[str, tuple[Tensor, Tensor, tuple[int, Tensor] | None]] = field(default_factory=dict)
    """For each running layer: the student's input and output, and the axis and channels where its input is narrower."""

    def wrong(self, name: str, what: str) -> UnsupportedModelError:
        """The error for a difference at a layer; an empty name means the network's output."""
        layer = repr(name) if name else "the output"
        where = f"between {self.behind!r} and {layer}" if self.behind and self.behind != name else f"at {layer}"
        return UnsupportedModelError(f"channels are mixed up {where}: {layer} {what}", UNPRUNED)

    def marks(self, value: Tensor) -> Tensor:
        """Where a value depends on removed channels."""
        if not self.paired:
            return value.isnan()
        first, second = torch.split(value, len(value) // 2)
        return torch.cat([first != second] * 2)

    def marked(self, output: Tensor, axis: int, kept: Tensor, there: Tensor) -> Tensor:
        """The student's values `there` in the kept channels, and marks in the removed ones."""
        marks = torch.full_like(output, torch.nan)
        if self.paired:
            # of both signs, so that one of them passes a ReLU
            size = (1 + there.abs().amax()) * (1 + torch.rand(output.shape, generator=torch.Generator().manual_seed(0)))
            marks = torch.cat([size[: len(size) // 2], -size[len(size) // 2 :]])
        return marks.index_copy_(axis, kept, there)

    def differing(self, name: str, value: Tensor, there: Tensor) -> int | None:
        """The axis on which the student's tensor is narrower; None if on none."""
        axes = [i for i, (size, other) in enumerate(zip(value.shape, there.shape, strict=False)) if size != other]
        if value.dim() != there.dim() or len(axes) > 1:
            shapes = f"{tuple(there.shape)} in place of {tuple(value.shape)}"
            raise self.wrong(name, f"works on {shapes}, which is not the original with fewer channels")
        return axes[0] if axes else None

    def unmarked(self, name: str, value: Tensor, there: Tensor) -> tuple[int, Tensor] | None:
        """The axis on which the student's tensor is narrower, and the unmarked channels on it; None if on none."""
        axis = self.differing(name, value, there)
        marks = self.marks(value)
        if axis is None:
            if marks.any() and not marks.all():
                raise self.wrong(name, "reads removed channels")
            return None
        kept = (~marks.movedim(axis, 0).flatten(1).any(dim=1)).nonzero().flatten()
        if len(kept) != there.shape[axis]:
            self.lost = len(kept) > there.shape[axis]
            what = f"reads {there.shape[axis]} channels, where {len(kept)} of {value.shape[axis]} were kept"
            raise self.wrong(name, what)
        return axis, kept
