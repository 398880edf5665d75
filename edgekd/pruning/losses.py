"""What a structure makes of a network's loss before any training: some training images repair it (see `repair`), and
the cross-entropy of others judges it.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.apply import apply
from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.graph import Group
from edgekd.pruning.recorded import NOTHING, Beginning, Recorded, described, parts, replayed
from edgekd.pruning.repair import refitted, targets_of
from edgekd.pruning.space import Scores
from edgekd.values import Structure
from edgekd.values.defaults import images_at_once
from edgekd.zoo.recalibration import images_for

_AT_ONCE = 64
_POSITIONS = 2_500
"""A layer is fitted at: structures are compared, and a student is repaired by more."""
_NEAR = 4
"""Layers that are fitted for each group or block that changes: those behind it regain most, and each costs time."""

_SHORTENED = 4
"""Networks without blocks that are kept."""


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


class Trials:
    """The losses of one network's structures. What all of them need is found once, and what lies before the first
    change of a structure isn't computed: the original's layers give the same there, with the norms that they have.

    Args:
        subject: the network, with training images.
        scores: of the network's channels.
        images: how many of the subject's, the last ones; half of them repair it, the other half tell the loss.
    """

    def __init__(self, subject: Subject, scores: Scores, images: int) -> None:
        self._subject, self._criterion = subject, _Known(scores)
        # the first ones may have been judged by
        most = min(images // 2, len(subject.images) // 2)
        half = min(most, images_for(subject.model, subject.example, most))
        own, self._labels = subject.images[-2 * half :], subject.labels[-2 * half :][half:]
        self._repairing, self._judging = own[:half], own[half:]
        self._targets = targets_of(subject.model, self._repairing, _POSITIONS) if half else None
        self._whole = self._original() if half else NOTHING
        self._shortened: dict[tuple[str, ...], Subject] = {}

    def loss(self, structure: Structure) -> float | None:
        """The mean cross-entropy of the network with this structure of channels and blocks; None where it can't be
        pruned so, or isn't finite.
        """
        try:
            pruned = apply(self._without(structure.removed), structure, self._criterion)
        except UnsupportedModelError:
            return None
        model = pruned.model
        if structure.is_whole or not len(self._repairing):
            return _finite(self._cross_entropy(model, {}))
        same = self._whole.like(model)
        refitted(
            model,
            self._subject.model,
            pruned.kept,
            self._repairing,
            most=_NEAR * (len(structure.widths) + len(structure.removed)),
            targets=self._targets,
            running=replayed(model, {name: self._whole.repairing[name] for name in same}),
        )
        return _finite(self._cross_entropy(model, {name: self._whole.judging[name] for name in same}))

    def _without(self, removed: tuple[str, ...]) -> Subject:
        """The network without blocks, which many structures have in common; its channel groups are found once."""
        if not removed:
            return self._subject
        if removed not in self._shortened:
            while len(self._shortened) >= _SHORTENED:
                del self._shortened[next(iter(self._shortened))]
            shorter = apply(self._subject, Structure(removed=removed), self._criterion).model
            self._shortened[removed] = replace(self._subject, model=shorter)
        return self._shortened[removed]

    def _original(self) -> Beginning:
        """What the parts of the unpruned network give; nothing of it is repaired."""
        model = copy.deepcopy(self._subject.model).eval()  # of its own, so that hooks never meet
        names = parts(model)
        repairing, judging = (Recorded(names, len(each)) for each in (self._repairing, self._judging))
        with torch.no_grad():
            for some in torch.split(self._repairing, _AT_ONCE):
                with repairing.of(model):
                    model(some)
        self._cross_entropy(model, {}, judging)
        return Beginning(described(model, names), repairing.first(), judging.first())

    def _cross_entropy(
        self, model: nn.Module, outputs: Mapping[str, Tensor], recorded: Recorded | None = None
    ) -> float | None:
        """The mean for the images that judge, of which these parts gave these outputs; None if there are none."""
        images, labels, total, start = self._judging, self._labels, 0.0, 0
        size = images_at_once(tuple(images.shape), _AT_ONCE)
        with torch.no_grad():
            for some, own in zip(torch.split(images, size), torch.split(labels, size), strict=True):
                known = {name: output[start : start + len(some)] for name, output in outputs.items()}
                with replayed(model, known), recorded.of(model) if recorded else nullcontext():
                    total += float(F.cross_entropy(model.eval()(some), own, reduction="sum"))
                start += len(some)
        return total / len(images) if len(images) else None


def _finite(loss: float | None) -> float | None:
    return loss if loss is not None and math.isfinite(loss) else None
