"""One step of training: the path that every training image takes, on a GPU if there is one, else on the CPU.

The GPU path is written but has only been run on CPUs.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.distill.depthwise import DepthwiseBackwardInFp32
from edgekd.distill.losses._base import Loss
from edgekd.errors import UnsupportedModelError
from edgekd.results import Execution
from edgekd.schema import Training

Precision = Literal["fp32", "bf16"]
MemoryFormat = Literal["contiguous", "channels_last"]

_MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Learner:
    """A model on its device with all that a step needs."""

    model: nn.Module
    teacher: nn.Module | None
    loss: Loss
    optimizer: torch.optim.Optimizer
    execution: Execution
    device: torch.device


def training_device() -> torch.device:
    """The GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this context torch's random numbers (dropout's) follow `seed`; outside they go on as if it hadn't been."""
    device = training_device()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def on_threads(threads: int | None) -> Iterator[None]:
    """Within this context torch computes on that many threads of the CPU; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sgd(model: nn.Module, settings: Training) -> torch.optim.SGD:
    """SGD with Nesterov momentum; no weight decay on biases and on normalisation's scale and shift, which have one
    axis: decaying those constrains the function without regularising it.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    nesterov = settings.momentum > 0
    return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=nesterov, fused=True)


def place(module: nn.Module, execution: Execution, device: torch.device) -> nn.Module:
    """Move a module to the device and into the memory format, in place."""
    return module.to(device=device).to(memory_format=_MEMORY_FORMATS[execution.memory_format])


def place_images(images: Tensor, execution: Execution, device: torch.device) -> Tensor:
    """The images (B, C, H, W) where and how `place` put the model."""
    return images.to(device, non_blocking=True, memory_format=_MEMORY_FORMATS[execution.memory_format])


def run_step(learner: Learner, images: Tensor, labels: Tensor) -> Tensor:
    """Learn from one batch; returns its loss, on the device and not waited for.

    Raises:
        UnsupportedModelError: the model doesn't give one tensor of logits.
    """
    execution = learner.execution
    images = place_images(images, execution, learner.device)
    labels = labels.to(learner.device, non_blocking=True)
    taught = None if learner.teacher is None else teach(learner.teacher, images, execution.teacher_precision)
    loss = learner.loss(logits(learner.model, images, execution.precision), taught, labels)
    learner.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    learner.optimizer.step()
    return loss.detach()


def teach(teacher: nn.Module, images: Tensor, precision: Precision) -> Tensor:
    """The teacher's logits (B, classes) for placed images, as a constant that a loss may use."""
    with torch.inference_mode():
        output = logits(teacher, images, precision)
    # autograd can't keep an inference tensor for the backward pass
    return output.clone()


def logits(model: nn.Module, images: Tensor, precision: Precision) -> Tensor:
    """The model's output (B, classes) for placed images, in the given precision.

    Raises:
        UnsupportedModelError: the model doesn't give one tensor of that shape.
    """
    with _arithmetic(precision, images.device.type):
        output = model(images)
    if not isinstance(output, Tensor) or output.ndim != 2:
        given = f"a tensor of shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        hint = "edgekd trains classifiers whose output is one tensor (batch, classes)."
        raise UnsupportedModelError(f"the model's output is {given}, not its logits", hint)
    return output


@contextmanager
def _arithmetic(precision: Precision, device: str) -> Iterator[None]:
    with ExitStack() as stack:
        if precision == "bf16":
            stack.enter_context(torch.autocast(device, torch.bfloat16))
            if device == "cpu" and torch.is_grad_enabled():
                stack.enter_context(DepthwiseBackwardInFp32())
        yield
