"""A PyTorch model's outputs and top-1 accuracy."""

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import NonNegativeInt
from torch import nn

from edgekd.data.dataset import Images
from edgekd.training.forward import logits
from edgekd.training.step import place_images
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


def evaluate(
    model: nn.Module, images: Images, *, batch_size: int | None = None, execution: Execution | None = None
) -> Score:
    """Count the images that the model classifies correctly, on its current device; in fp32 by default.

    The model runs in evaluation mode; its previous mode is restored afterwards.
    """
    execution = execution or Execution()
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    correct = torch.zeros((), dtype=torch.int64, device=device)
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch, labels in images.batches(batch_size or images_at_once(images.shape, 512)):
                output = logits(model, place_images(batch, execution, device), execution.precision)
                correct += (output.argmax(dim=1) == labels.to(device)).sum()
    finally:
        model.train(training)
    return Score(correct=int(correct.item()), images=len(images))


def outputs(model: nn.Module, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """The model's logits (N, classes) in evaluation mode, on the CPU, of images (N, C, H, W); raises as `logits`."""
    model.eval()
    size = images_at_once(images.shape, 64)
    with torch.inference_mode():
        parts = [logits(model, part, "fp32") for part in torch.split(torch.from_numpy(images), size)]
    return np.asarray(torch.cat(parts).numpy())
