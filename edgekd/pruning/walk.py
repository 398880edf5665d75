"""A network's pass beside that of its pruned copy, with the channels marked that the copy lacks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.process import UNPRUNED


@dataclass
class Walk:
    """How far the original's pass has come beside the student's."""

    student: nn.Module
    kept: Mapping[str, tuple[int, ...]]
    """The output channels of the original's layers that the student's have, where they are fewer."""
    paired: bool = False
    """Whether marks are what differs between two copies of the images; else they are NaN."""
    calls: Mapping[str, Iterator[tuple[Any, Any]]] = field(default_factory=dict)
    """What went into the student's layers and came out, by their names."""
    behind: str = ""
    """The last layer that was narrowed."""
    lost: bool = False
    """Whether a layer reads more unmarked channels than the student's has."""
    unheld: str = ""
    """A layer whose input depends on all channels, so that its values aren't held."""
    now: dict[str, tuple[Tensor, Tensor, tuple[int, Tensor] | None]] = field(default_factory=dict)
    """Of each layer that is being run: the student's input and output, and where its own input is narrower."""

    def wrong(self, name: str, what: str) -> UnsupportedModelError:
        """The error that says where the student computes something else; no name stands for the output."""
        layer = repr(name) if name else "the output"
        where = f"between {self.behind!r} and {layer}" if self.behind and self.behind != name else f"at {layer}"
        return UnsupportedModelError(f"channels get mixed up {where}: {layer} {what}", UNPRUNED)

    def marks(self, value: Tensor) -> Tensor:
        """Where a value depends on channels that were taken."""
        if not self.paired:
            return value.isnan()
        first, second = torch.split(value, len(value) // 2)
        return torch.cat([first != second] * 2)

    def marked(self, output: Tensor, axis: int, kept: Tensor, there: Tensor) -> Tensor:
        """The student's values `there` in the place of the channels that were kept, and marks in that of the rest."""
        marks = torch.full_like(output, torch.nan)
        if self.paired:
            # of either sign, so that a ReLU leaves one of them
            size = (1 + there.abs().amax()) * (1 + torch.rand(output.shape, generator=torch.Generator().manual_seed(0)))
            marks = torch.cat([size[: len(size) // 2], -size[len(size) // 2 :]])
        return marks.index_copy_(axis, kept, there)

    def differing(self, name: str, value: Tensor, there: Tensor) -> int | None:
        """The axis on which the student's tensor is narrower; None if on none."""
        axes = [i for i, (size, other) in enumerate(zip(value.shape, there.shape, strict=False)) if size != other]
        if value.dim() != there.dim() or len(axes) > 1:
            shapes = f"{tuple(there.shape)} in place of {tuple(value.shape)}"
            raise self.wrong(name, f"works on {shapes}, which isn't the same with fewer channels")
        return axes[0] if axes else None

    def unmarked(self, name: str, value: Tensor, there: Tensor) -> tuple[int, Tensor] | None:
        """The axis on which the student's tensor is narrower, and where there are no marks on it; None if on none."""
        axis = self.differing(name, value, there)
        marks = self.marks(value)
        if axis is None:
            if marks.any() and not marks.all():
                raise self.wrong(name, "reads channels that were taken")
            return None
        kept = (~marks.movedim(axis, 0).flatten(1).any(dim=1)).nonzero().flatten()
        if len(kept) != there.shape[axis]:
            self.lost = len(kept) > there.shape[axis]
            what = f"reads {there.shape[axis]} channels, where {len(kept)} of {value.shape[axis]} were kept"
            raise self.wrong(name, what)
        return axis, kept
