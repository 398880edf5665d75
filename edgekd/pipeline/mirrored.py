"""Decides whether training may flip images if neither the user nor the data set states it.

A flip changes the meaning of some images: an arrow to the left, the letter b. A given teacher decides: it classifies
the validation images and their mirror images.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from edgekd import catalog
from edgekd.data.dataset import Dataset, Images, fingerprinted
from edgekd.data.sources._base import SOURCES
from edgekd.run import Run, Workspace
from edgekd.training.forward import logits
from edgekd.values import Data
from edgekd.values.defaults import images_at_once
from edgekd.values.network import Network
from edgekd.values.result import Mirrored
from edgekd.zoo import networks

_LEAST_IMAGES = 100
"""With fewer, a change in one of many classes is not detected."""
_ROUNDING = 1e-12
_KNOWS = 0.5
"""Fraction of the range from chance level to perfect accuracy; below, the teacher can't judge."""


@dataclass(frozen=True)
class _Shown:
    network: Network
    data: Dataset


def with_flip_decided(run: Run, stated: Data, data: Dataset, teacher: Network) -> tuple[Dataset, Mirrored | None]:
    """The data with flips in its augmentation if the given teacher classifies mirrored validation images as well as the
    originals: not worse by more than one standard error of the paired difference. And what it classified, if it was
    asked.

    Args:
        run: keeps what was found.
        stated: the recipe's [data].
        data: the images.
        teacher: evaluated on the validation images.
    """
    # a user's own factory has said what it wants
    own = stated.source.partition(":")[0].replace("-", "_") not in catalog.names(SOURCES)
    if teacher.origin != "given" or stated.flip is not None or own or data.augmentation.flip:
        return data, None
    if not _can_judge(teacher, data):
        why = "too few validation images, or too few correct ones, to decide whether flips keep the classes"
        run.progress.note(f"training doesn't flip images: {why} ([data] flip decides otherwise)")
        return data, None
    found = run.stage("mirrored", _Shown(teacher, data), _compared)
    run.progress.note(f"{found.told()} ([data] flip decides otherwise)")
    if not found.as_well:
        return data, found
    return fingerprinted(replace(data, augmentation=replace(data.augmentation, flip=True))), found


def _can_judge(teacher: Network, data: Dataset) -> bool:
    assert teacher.accuracy is not None
    guessing = 1 / len(data.classes)
    return len(data.val) >= _LEAST_IMAGES and teacher.accuracy.top1 - guessing >= _KNOWS * (1 - guessing)


def _compared(inputs: _Shown, at: Workspace) -> Mirrored:
    return compared(networks.load(inputs.network), inputs.data.val)


def compared(model: nn.Module, images: Images) -> Mirrored:
    """How many images the model, on the CPU and in evaluation mode, gets right, and how many mirrored."""
    correct = mirrored = changed = 0
    with torch.inference_mode():
        for batch, labels in images.batches(images_at_once(images.shape, 256)):
            plain, other = (logits(model, x, "fp32").argmax(1) == labels for x in (batch, batch.flip(3)))
            correct += int(plain.sum())
            mirrored += int(other.sum())
            changed += int((plain != other).sum())
    count = len(images)
    # the difference of each pair is -1, 0 or 1, so its square is 1 where one of the two alone is right
    difference = (mirrored - correct) / count
    error = math.sqrt((changed / count - difference**2) / max(1, count - 1))
    return Mirrored(images=count, correct=correct, mirrored=mirrored, as_well=difference >= -error - _ROUNDING)
