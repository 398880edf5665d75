"""Opens the network that is to be pruned, plain or pruned before, for the process that prunes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning.child.protocol import Opening
from edgekd.pruning.criteria._base import NoOptions, Subject
from edgekd.pruning.losses import Trials
from edgekd.pruning.space import Scores
from edgekd.seeds import draw_from
from edgekd.values import Value
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import load_weights


@dataclass(frozen=True, eq=False)
class Opened:
    """A network that is ready to be pruned, and what it makes of the example."""

    asked: Opening
    model: nn.Module
    """In eval mode."""
    example: Tensor  # (1, C, H, W)
    output: Tensor  # (1, classes)
    images: Tensor
    """Training images (N, C, H, W); N may be 0."""
    labels: Tensor  # (N,) int64
    before: Definition | None = None
    """What it is after an earlier pruning."""

    @cached_property
    def _trials(self) -> dict[tuple[str, int], Trials]:
        return {}

    def trials(self, scores: Scores, images: int) -> Trials:
        """What tells the losses of its structures, kept for the next request."""
        key = scores.model_dump_json(), images
        if key not in self._trials:
            self._trials.clear()  # each keeps activations
            self._trials[key] = Trials(self.subject(NoOptions()), scores, images)
        return self._trials[key]

    def subject(self, options: Value, saved_ms: Mapping[str, float] | None = None) -> Subject:
        """What a criterion with these options judges."""
        return Subject(self.model, self.example, self.images, self.labels, options, saved_ms or {})


def open_network(asked: Opening) -> Opened:
    """The network that was asked for, with its weights; random ones of a fixed seed if none are given.

    Raises:
        UnsupportedModelError: it is no classifier of these classes, or its outputs aren't finite.
        EdgekdError: as `zoo.build`, `zoo.weights` and `zoo.definition` raise.
    """
    draw_from(0)
    before = _before(asked)
    if before is not None and asked.weights is not None:
        model = load_pruned(before, asked.weights).eval()
    else:
        size = (asked.height, asked.width)
        model = build(asked.model, classes=asked.classes, channels=asked.channels, size=size).eval()
        if asked.weights is not None:
            load_weights(model, asked.weights)
    example = torch.randn(1, asked.channels, asked.height, asked.width)
    output = output_of(model, example)
    _require_classifier(output, asked)
    images, labels = _images(asked)
    return Opened(asked, model, example, output, images, labels, before)


def output_of(model: nn.Module, example: Tensor) -> Any:
    """What the network gives for the example, in eval mode."""
    with torch.inference_mode():
        return model.eval()(example)


def _before(asked: Opening) -> Definition | None:
    if asked.definition is None:
        return None
    before = Definition.read(asked.definition)
    of = (before.model, before.classes, before.channels)
    if of != (asked.model, asked.classes, asked.channels):
        message = f"{asked.definition}: made from {before.model} with {before.classes} classes, not from {asked.model}"
        raise EdgekdError(message, "Specify the model from which the structure was made.")
    return before


def _require_classifier(output: Any, asked: Opening) -> None:
    if not isinstance(output, Tensor) or output.shape != (1, asked.classes):
        given = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        message = f"{asked.model} gives {given} for one image, not (1, {asked.classes})"
        raise UnsupportedModelError(message, "Use a classifier whose only output is one row of scores per image.")
    if not output.isfinite().all():
        raise UnsupportedModelError(f"{asked.model} gives infinities or NaN, unpruned", "Check its weights.")


def _images(asked: Opening) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and labels (N,); none where no file is given."""
    if asked.images is None:
        return torch.empty(0, asked.channels, asked.height, asked.width), torch.empty(0, dtype=torch.int64)
    stored = safetensors.torch.load_file(asked.images)
    return stored["images"], stored["labels"]
