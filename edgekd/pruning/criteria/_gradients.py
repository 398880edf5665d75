"""Gradients of the cross-entropy on the images of a criterion's subject."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from edgekd.errors import EdgekdError
from edgekd.pruning.criteria._base import Subject

_BATCH = 16
"""Images a gradient: few enough for the memory that a child process is given."""


def minibatches(subject: Subject, name: str) -> Iterator[int]:
    """The model's parameters have the gradients of one minibatch after another; yields how many
    minibatches there are. At the end the parameters have none.

    Args:
        subject: its model is in eval mode.
        name: the criterion's.

    Raises:
        EdgekdError: there are no images.
    """
    if not len(subject.images):
        hint = 'Provide training data, or set the criterion to "bn_scale" or "l2".'
        raise EdgekdError(f'prune.criterion: "{name}" needs training images, and there are none', hint)
    batches = list(zip(torch.split(subject.images, _BATCH), torch.split(subject.labels, _BATCH), strict=True))
    for images, labels in batches:
        subject.model.zero_grad()
        with torch.enable_grad():
            F.cross_entropy(subject.model(images), labels).backward()  # type: ignore[no-untyped-call]
        yield len(batches)
    subject.model.zero_grad()
