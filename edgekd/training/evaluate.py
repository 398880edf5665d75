"""A PyTorch model's outputs and top-1 accuracy."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt
from torch import Tensor, nn

from edgekd.data.dataset import Images
from edgekd.training.device import place_images
from edgekd.training.forward import logits
from edgekd.values import PositiveInt, Value
from edgekd.values.defaults import images_at_once
from edgekd.values.training import Execution


class Score(Value):
    """How many images of a split were classified correctly."""

    correct: NonNegativeInt
    images: PositiveInt

    @property
    def top1(self) -> float:
        """The fraction of correct images."""
        return self.correct / self.images


class Judged(Score):
    """A score with what it takes to compare it with another one on the same images."""

    loss: float
    """Mean cross-entropy; infinite where an output isn't finite."""
    right: str
    """Which images were classified correctly: a bit each, from the first image's, in hexadecimal bytes."""

    def beats(self, other: "Judged") -> bool:
        """Whether it is better by more than one standard error of the paired difference: the square root of the number
        of images that only one of the two has right (Q. McNemar, Psychometrika 12, 1947).
        """
        ours, theirs = (int(each.right, 16) for each in (self, other))
        gained, lost = (ours & ~theirs).bit_count(), (theirs & ~ours).bit_count()
        return gained - lost > math.sqrt(gained + lost)


def evaluate(
    model: nn.Module, images: Images, *, batch_size: int | None = None, execution: Execution | None = None
) -> Score:
    """Count the images that the model classifies correctly, on its current device; in fp32 by default.

    The model runs in evaluation mode; its previous mode is restored afterwards.
    """
    hits = [_right(given, labels) for given, labels in _answers(model, images, batch_size, execution)]
    return Score(correct=int(torch.cat(hits).sum().item()), images=len(images))


def judge(model: nn.Module, images: Images, execution: Execution) -> Judged:
    """As `evaluate`, with the loss and which images are right."""
    hits, losses = [], []
    for given, labels in _answers(model, images, None, execution):
        hits.append(_right(given, labels))
        losses.append(nn.functional.cross_entropy(given.double(), labels, reduction="sum"))
    right = torch.cat(hits).cpu().numpy()
    loss = torch.stack(losses).sum().item() / len(images)
    return Judged(
        correct=int(right.sum()),
        images=len(images),
        loss=loss if np.isfinite(loss) else float("inf"),
        right=np.packbits(right).tobytes().hex(),
    )


def _right(given: Tensor, labels: Tensor) -> Tensor:
    """Which images (N,) are classified correctly; none of which not all logits are finite."""
    return (given.argmax(dim=1) == labels) & given.isfinite().all(dim=1)


def _answers(
    model: nn.Module, images: Images, batch_size: int | None, execution: Execution | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """The logits and labels of each batch, on the model's device."""
    execution = execution or Execution()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    model.eval()
    try:
        for batch, labels in images.batches(batch_size or images_at_once(images.shape, 512)):
            with torch.inference_mode():
                given = logits(model, place_images(batch, execution, device), execution.precision)
            yield given, labels.to(device)
    finally:
        model.train(training)


def outputs(model: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's logits (N, classes) in evaluation mode, on the CPU, of images (N, C, H, W); raises as `logits`."""
    model.eval()
    size = images_at_once(images.shape, 64)
    with torch.inference_mode():
        parts = [logits(model, part, "fp32") for part in torch.split(torch.from_numpy(images), size)]
    return np.asarray(torch.cat(parts).numpy())
