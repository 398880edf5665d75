"""Mirrored: whether training may flip images, where neither the user nor the data set says so.

A flip changes what some images mean: an arrow to the left, the letter b. A given teacher knows: it is shown the
validation images and their mirror images.
"""

import math
from dataclasses import replace

import torch
from torch import nn

from edgekd import catalog
from edgekd.data.dataset import Images, fingerprinted
from edgekd.data.sources._base import SOURCES
from edgekd.pipeline.job import Job
from edgekd.recipe import images_at_once
from edgekd.training.forward import logits
from edgekd.values.network import Network
from edgekd.values.result import Mirrored
from edgekd.zoo import networks

_LEAST_IMAGES = 100
"""Fewer don't show that one class of many changes."""
_ROUNDING = 1e-12
_KNOWS = 0.5
"""Of the way from guessing to no mistake: with less, the teacher can't judge what an image means."""


def with_flip_decided(job: Job, network: Network) -> Job:
    """The job with flips in its augmentation if the given teacher, classifies mirrored validation
    images as well as the originals: not worse by more than one standard error of the paired difference.
    """
    stated = job.recipe.data
    # a user's own factory has said what it wants
    own = stated.source.partition(":")[0].replace("-", "_") not in catalog.names(SOURCES)
    if network.origin != "given" or stated.flip is not None or own or job.data.augmentation.flip:
        return job
    assert network.accuracy is not None
    guessing = 1 / len(job.data.classes)
    if len(job.data.val) < _LEAST_IMAGES or network.accuracy.top1 - guessing < _KNOWS * (1 - guessing):
        why = "too few validation images, or too few of them right, to tell whether the classes survive it"
        job.progress.note(f"training doesn't flip images: {why} ([data] flip decides otherwise)")
        return job
    inputs = {"network": network.key(), "data": job.images}
    found, _, _ = job.run.stage("mirrored", inputs, Mirrored, lambda _: compared(networks.load(network), job.data.val))
    job.progress.note(f"{found.told()} ([data] flip decides otherwise)")
    decided = replace(job, mirrored=found)
    if not found.as_well:
        return decided
    flipping = replace(job.data, augmentation=replace(job.data.augmentation, flip=True))
    return replace(decided, data=fingerprinted(flipping))


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
