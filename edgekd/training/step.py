"""One training step, on a GPU if there is one, otherwise on the CPU.

It supports GPUs, but has only been run on CPUs.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn

from edgekd.training.forward import Precision, forward
from edgekd.training.mixup import Mix
from edgekd.training.objective import Objective
from edgekd.training.outputs import Outputs
from edgekd.values import Training
from edgekd.values.training import Convolutions, Execution
from edgekd.zoo.forward import own_words

MemoryFormat = Literal["contiguous", "channels_last"]

_MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


class Loss(nn.Module):
    """A model with its objective as one module, from a batch to its loss, for distributed training."""

    def __init__(
        self, model: nn.Module, objective: Objective, precision: Precision, convolutions: Convolutions = "native"
    ) -> None:
        super().__init__()
        self.model, self.objective, self._precision, self._convolutions = model, objective, precision, convolutions

    def forward(self, images: Tensor, teacher: Outputs | None, labels: Tensor, mix: Mix | None = None) -> Tensor:
        """The batch's mean loss, from placed images, labels and the teacher's outputs; mixed images have the labels of
        both.
        """
        taps = self.objective.student_taps
        student = forward(self.model, images, self._precision, taps, self._convolutions)
        loss: Tensor = self.objective(student, teacher, labels)
        if mix is None:
            return loss
        other: Tensor = self.objective(student, teacher, labels[mix.others.to(labels.device)])
        return mix.share * loss + (1 - mix.share) * other


@dataclass(frozen=True)
class Learner:
    """A model on its device, with everything that a step needs."""

    model: nn.Module
    objective: Objective
    loss: nn.Module
    """The `Loss` of model and objective."""
    optimizer: torch.optim.Optimizer
    execution: Execution
    device: torch.device
    zeros: Sequence[tuple[Tensor, Tensor]] = ()
    """Parameters, each with a mask of the weights that stay zero."""
    clip: float | None = None
    """The maximum norm of all gradients; None: no clipping."""


def learner(
    model: nn.Module, objective: Objective, settings: Training, execution: Execution, *, keep_zeros: bool = False
) -> Learner:
    """The model on its training device with its optimiser; `keep_zeros` as in `engine.train`."""
    device = training_device()
    place(model, execution, device)
    objective.to(device)
    return Learner(
        model,
        objective,
        Loss(compiled(model) if execution.compiled else model, objective, execution.precision, execution.convolutions),
        sgd(model, settings, objective),
        execution,
        device,
        pruned_weights(model) if keep_zeros else (),
    )


def training_device() -> torch.device:
    """The GPU if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block, torch's random numbers (for dropout) follow `seed`; then the previous state is restored."""
    device = training_device()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def on_threads(threads: int | None) -> Iterator[None]:
    """Within the block, torch uses that many CPU threads; None changes nothing."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def sgd(model: nn.Module, settings: Training, objective: nn.Module) -> torch.optim.SGD:
    """SGD with Nesterov momentum for the model and the objective's projections, if it has any.

    Biases and the scale and shift of normalisations, which have one axis, have no weight decay: it would constrain the
    function without regularising it.
    """
    parameters = [p for p in (*model.parameters(), *objective.parameters()) if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    nesterov = settings.momentum > 0
    rate = settings.learning_rate or 0.0  # a training sets that of each step
    return torch.optim.SGD(groups, lr=rate, momentum=settings.momentum, nesterov=nesterov, fused=True)


def place(module: nn.Module, execution: Execution, device: torch.device) -> nn.Module:
    """Move a module to the device and into the memory format, in place."""
    return module.to(device=device).to(memory_format=_MEMORY_FORMATS[execution.memory_format])


def place_images(images: Tensor, execution: Execution, device: torch.device) -> Tensor:
    """The images (B, C, H, W) on the device and in the memory format of the model."""
    return images.to(device, non_blocking=True, memory_format=_MEMORY_FORMATS[execution.memory_format])


def compiled(model: nn.Module) -> nn.Module:
    """The model compiled by torch.compile: the same parameters, faster code for batches of one size."""
    # it warns at every start on a machine without a GPU
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    return cast(nn.Module, torch.compile(model, dynamic=False))


def run_step(
    learner: Learner, images: Tensor, labels: Tensor, teacher: Outputs | None, mix: Mix | None = None
) -> Tensor:
    """Learn from one batch of placed, possibly mixed images; returns the loss on the device, without synchronising.

    Raises:
        UnsupportedModelError: the model doesn't return one tensor of logits, or its forward or backward pass fails.
    """
    loss: Tensor = learner.loss(images, teacher, labels.to(learner.device, non_blocking=True), mix)
    learner.optimizer.zero_grad(set_to_none=True)
    with own_words("the network's backward pass fails", "Train it on one batch in PyTorch and fix the error there."):
        loss.backward()  # type: ignore[no-untyped-call]
    if learner.clip is not None:
        nn.utils.clip_grad_norm_((p for group in learner.optimizer.param_groups for p in group["params"]), learner.clip)
    initialise_missing_momentum(learner.optimizer)
    learner.optimizer.step()
    with torch.no_grad():
        for parameter, zero in learner.zeros:
            parameter.masked_fill_(zero, 0)
    return loss.detach()


def initialise_missing_momentum(optimizer: torch.optim.Optimizer) -> None:
    """Give parameters with their first gradient a zero momentum buffer. Layers that are skipped in some steps (G. Huang
    et al., "Deep Networks with Stochastic Depth", 2016, arXiv:1603.09382) have no gradient in them, and fused SGD
    requires a buffer for either all parameters or none.
    """
    if not optimizer.state:
        return
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            state = optimizer.state[parameter] if parameter.grad is not None else None
            if state is not None and state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)


def pruned_weights(model: nn.Module) -> list[tuple[Tensor, Tensor]]:
    """The weights of more than one axis that contain zeros, each with a mask of them."""
    weights = [p for p in model.parameters() if p.ndim > 1]
    return [(p, zero) for p in weights if (zero := p.detach() == 0).any()]
