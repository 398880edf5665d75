"""Doubts about a teacher, from its outputs for training and validation images."""

import math
from dataclasses import dataclass

import numpy as np
from torch import nn

from edgekd.data.dataset import Dataset, Images
from edgekd.data.fixed_images import labelled
from edgekd.run import Run, Workspace
from edgekd.training.evaluate import outputs
from edgekd.values.network import Network
from edgekd.values.result import Doubts
from edgekd.zoo import networks

_IMAGES = 500
_HARDLY = 0.05
"""Fraction of the range from chance level to perfect accuracy; below, it is as good as guessing."""
_AS_SURE = 0.75
"""Fraction of the range from chance level to its confidence. On its training images, a network's accuracy is about
equal to its confidence, which the cross entropy rewards (C. Guo et al., arXiv 1706.04599). If it is much lower, the
images or labels differ from those of its training. The fraction is edgekd's choice.
"""
_BY_HEART = 0.5
"""Fraction of the range from chance level to its training accuracy; below, the splits seem to differ."""
_REMEDIES = {
    "given": "check its weights, the order of its classes, and how its images are normalised and coloured",
    "trained": "train it for longer (--teacher-epochs), and check that its images are labelled rightly",
}
"""By the network's origin."""


@dataclass(frozen=True)
class Answers:
    """A network's accuracy and mean confidence on some images of a split."""

    images: int
    top1: float
    confidence: float


@dataclass(frozen=True)
class _Questioned:
    network: Network
    data: Dataset
    origin: str


def doubts(run: Run, network: Network, data: Dataset) -> tuple[str, ...]:
    """Doubts about a teacher, one sentence each; none if it is as good as its training images suggest."""
    return run.stage("doubts", _Questioned(network, data, network.origin), _questioned).said


def _questioned(inputs: _Questioned, at: Workspace) -> Doubts:
    model = networks.load(inputs.network)
    train, val = (_answers(model, images) for images in (inputs.data.train, inputs.data.val))
    return Doubts(said=tuple(said(train, val, 1 / len(inputs.data.classes), inputs.origin)))


def said(train: Answers, val: Answers, guessing: float, origin: str) -> list[str]:
    """Doubts about a network, "given" or "trained" here, from its answers on both splits.

    For one that was trained here, preprocessing and order of the classes are known. Its accuracy may be below its
    confidence only because it was trained for few epochs, or with mixup.
    """
    found = []
    # two standard errors, so that few images are not significant
    noise = 2 * math.sqrt(val.top1 * (1 - val.top1) / val.images)
    if val.top1 - guessing < _HARDLY * (1 - guessing):
        found.append(f"hardly better than guessing, so there is little to learn from it: {_REMEDIES[origin]}")
    elif origin == "given" and train.top1 - guessing < _AS_SURE * (train.confidence - guessing):
        found.append(
            f"right on only {train.top1:.1%} of {train.images} training images, though {train.confidence:.1%} sure "
            f"of its answers: {_REMEDIES[origin]}"
        )
    knows = train.top1 - guessing
    if knows > _HARDLY * (1 - guessing) and val.top1 + noise - guessing < _BY_HEART * knows:
        found.append(
            f"right on {train.top1:.1%} of {train.images} training images, but on only {val.top1:.1%} of {val.images} "
            "validation images: check that both hold the same classes, labelled alike"
        )
    return found


def _answers(model: nn.Module, images: Images) -> Answers:
    some, labels = labelled(images, _IMAGES)
    logits = outputs(model, some).astype(np.float64)
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return Answers(
        images=len(labels),
        top1=float(np.mean(logits.argmax(1) == labels)),
        confidence=float(np.mean(odds.max(1) / odds.sum(1))),
    )
