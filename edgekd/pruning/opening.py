"""Opens the network that is to be pruned, plain or pruned before, for the process that prunes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.pruning._base import Method, Subject
from edgekd.pruning.options import method_of
from edgekd.zoo.build import build
from edgekd.zoo.definition import Definition, load_pruned
from edgekd.zoo.weights import load_weights


@dataclass(frozen=True)
class Opened:
    """A network that is ready to be pruned, how, and what it makes of the example."""

    subject: Subject
    output: Tensor  # (1, classes)
    method: Method
    asked: Mapping[str, Any]
    before: Definition | None = None
    """What it is after an earlier pruning."""

    def subject_of(self, request: Mapping[str, Any]) -> Subject:
        """The network with the options and costs that a request has of its own; raises as `method_of`."""
        _, options = method_of(self.asked["method"], {**self.subject.options, **request.get("options", {})})
        return replace(self.subject, options=options, costs=request.get("costs", {}))


def open_network(asked: Mapping[str, Any]) -> Opened:
    """The network that was asked for, with its weights; random ones of a fixed seed if none are given.

    Raises:
        UnsupportedModelError: it is no classifier of these classes, or its outputs aren't finite.
        EdgekdError: the method has no such option, or as `zoo.build`, `zoo.weights` and `zoo.definition` raise.
    """
    method, options = method_of(asked["method"], asked["options"])
    torch.manual_seed(0)
    size = (asked["height"], asked["width"])
    original = build(asked["model"], classes=asked["classes"], channels=asked["channels"], size=size).eval()
    before = _before(asked)
    model = original
    if before is not None:
        model = load_pruned(before, Path(asked["weights"])).eval()
    elif asked["weights"] is not None:
        load_weights(model, Path(asked["weights"]))
    example = torch.randn(1, asked["channels"], asked["height"], asked["width"])
    output = output_of(model, example)
    _require_classifier(output, asked)
    images, labels = _calibration(asked)
    subject = Subject(model, example, asked["block"], original, images, labels, options)
    return Opened(subject, output, method, asked, before)


def output_of(model: nn.Module, example: Tensor) -> Any:
    """What the network gives for the example, in eval mode."""
    with torch.inference_mode():
        return model.eval()(example)


def _before(asked: Mapping[str, Any]) -> Definition | None:
    if asked["structure"] is None:
        return None
    path = Path(asked["structure"])
    before = Definition.read(path)
    of = {key: getattr(before, key) for key in ("model", "classes", "channels")}
    if of != {key: asked[key] for key in of}:
        message = f"{path}: made from {before.model} with {before.classes} classes, not from {asked['model']}"
        raise EdgekdError(message, "Give the model that the structure was made from.")
    return before


def _require_classifier(output: Any, asked: Mapping[str, Any]) -> None:
    if not isinstance(output, Tensor) or output.shape != (1, asked["classes"]):
        given = tuple(output.shape) if isinstance(output, Tensor) else f"a {type(output).__name__}"
        message = f"{asked['model']} gives {given} for one image, not (1, {asked['classes']})"
        raise UnsupportedModelError(message, "Give a classifier whose only output is one row of scores an image.")
    if not output.isfinite().all():
        raise UnsupportedModelError(f"{asked['model']} gives infinities or NaN, unpruned", "Check its weights.")


def _calibration(asked: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Images (N, C, H, W) and labels (N,); none where no file is given."""
    if asked["calibration"] is None:
        shape = (0, asked["channels"], asked["height"], asked["width"])
        return torch.empty(shape), torch.empty(0, dtype=torch.int64)
    stored = safetensors.torch.load_file(asked["calibration"])
    return stored["images"], stored["labels"]
