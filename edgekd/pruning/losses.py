"""What a structure makes of a network's loss before any training: some training images repair it (see `repair`), and
the cross-entropy of others judges it.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.apply import apply
from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.graph import Group
from edgekd.pruning.repair import refitted
from edgekd.pruning.space import Scores
from edgekd.values import Structure
from edgekd.values.defaults import images_at_once
from edgekd.zoo.recalibration import images_for

_AT_ONCE = 64
_NEAR = 4
"""Layers that are fitted for each group or block that changes: those behind it regain most, and each costs time."""


class _Known:
    """A criterion whose scores of the unpruned network are known; satisfies `ChannelCriterion`."""

    SCORES: Literal["channels"] = "channels"
    NEEDS_IMAGES = False
    NEEDS_LATENCY = False
    Options = NoOptions

    def __init__(self, known: Scores) -> None:
        self._known = known

    def scores(self, subject: Subject, groups: Sequence[Group]) -> tuple[Tensor, ...]:
        """Those of the groups."""
        return tuple(torch.tensor(self._known.channels[group.root]) for group in groups)


def losses(subject: Subject, structures: Sequence[Structure], scores: Scores, images: int) -> tuple[float | None, ...]:
    """The mean cross-entropy of the network with each structure; None where it can't be pruned so, or isn't finite.

    Args:
        subject: the network, with training images.
        structures: of channels and blocks.
        scores: of the network's channels.
        images: how many of the subject's, the last ones; half of them repair it, the other half tell the loss.
    """
    return tuple(_loss(subject, structure, scores, images // 2) for structure in structures)


def _loss(subject: Subject, structure: Structure, scores: Scores, half: int) -> float | None:
    try:
        pruned = apply(subject, structure, _Known(scores))
    except UnsupportedModelError:
        return None
    # the first ones may have been judged by
    half = min(half, len(subject.images) // 2, images_for(subject.model, subject.example, half))
    images, labels = subject.images[-2 * half :], subject.labels[-2 * half :]
    size = images_at_once(tuple(images.shape), _AT_ONCE)
    if not structure.is_whole:
        changes = len(structure.widths) + len(structure.removed)
        refitted(pruned.model, subject.model, pruned.kept, images[:half], most=_NEAR * changes)
    loss = _cross_entropy(pruned.model, images[half:], labels[half:], size)
    return loss if loss is not None and loss < float("inf") else None


def _cross_entropy(model: nn.Module, images: Tensor, labels: Tensor, size: int) -> float | None:
    total = 0.0
    with torch.inference_mode():
        for some, own in zip(torch.split(images, size), torch.split(labels, size), strict=True):
            total += float(F.cross_entropy(model.eval()(some), own, reduction="sum"))
    return total / len(images) if len(images) else None
