"""One run of a network on a batch, for training, distillation and evaluation."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.training.convolutions import OwnConvolutions
from edgekd.training.outputs import Outputs
from edgekd.training.taps import Taps, tapped
from edgekd.values.training import Convolutions
from edgekd.zoo.forward import run

Precision = Literal["fp32", "bf16"]


def teacher_outputs(teacher: nn.Module, images: Tensor, precision: Precision, taps: Taps | None = None) -> Outputs:
    """The teacher's outputs for placed images, as constants that a loss may use."""
    if taps is not None:
        with torch.no_grad():
            return forward(teacher, images, precision, taps)
    with torch.inference_mode():
        output = logits(teacher, images, precision)
    # autograd can't save an inference tensor for the backward pass
    return Outputs(output.clone())


def forward(
    model: nn.Module,
    images: Tensor,
    precision: Precision,
    taps: Taps | None,
    convolutions: Convolutions = "native",
) -> Outputs:
    """The model's outputs for placed images, with the features at the taps if there are any; raises as `logits`."""
    if taps is None:
        return Outputs(logits(model, images, precision, convolutions))
    with tapped(model, taps) as with_features:
        return with_features(logits(model, images, precision, convolutions))


def logits(model: nn.Module, images: Tensor, precision: Precision, convolutions: Convolutions = "native") -> Tensor:
    """The model's output (B, classes) for placed images, in the given precision; `convolutions` matters only if
    gradients are computed in bf16 on a CPU.

    Raises:
        UnsupportedModelError: the model doesn't return one tensor of that shape, or its forward fails.
    """
    with _arithmetic(precision, convolutions, images.device.type):
        output = run(model, images)
    if not isinstance(output, Tensor) or output.ndim != 2:
        given = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        hint = "edgekd trains classifiers whose output is one tensor (batch, classes)."
        raise UnsupportedModelError(f"the model's output is {given}, not logits", hint)
    return output


@contextmanager
def _arithmetic(precision: Precision, convolutions: Convolutions, device: str) -> Iterator[None]:
    with ExitStack() as stack:
        if precision == "bf16":
            stack.enter_context(torch.autocast(device, torch.bfloat16))
            if convolutions != "native" and device == "cpu" and torch.is_grad_enabled():
                stack.enter_context(OwnConvolutions(matrices=convolutions == "matrices"))
        yield
