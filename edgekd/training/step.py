"""One training step: what learns, from which batch, and how."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd.training.device import compiled, place, training_device
from edgekd.training.forward import Precision, forward
from edgekd.training.mixup import Mix
from edgekd.training.objective import Objective
from edgekd.training.outputs import Outputs
from edgekd.values import Training
from edgekd.values.training import Convolutions, Execution
from edgekd.zoo.forward import own_words


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
    """The model on its training device with its optimiser; `keep_zeros` as in `setup.Setup`."""
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
    # each step is given its rate
    return torch.optim.SGD(groups, lr=0.0, momentum=settings.momentum, nesterov=nesterov, fused=True)


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step learns from."""

    images: Tensor
    """(B, C, H, W), placed, and mixed if they are to be."""
    labels: Tensor
    """(B,) of the images before they were mixed."""
    teacher: Outputs | None = None
    """For these images; None without a teacher."""
    mix: Mix | None = None
    """How the images were mixed."""


def run_step(learner: Learner, batch: Batch, rate: float) -> Tensor:
    """Learn from one batch at a learning rate; returns the loss on the device, without synchronising.

    Raises:
        UnsupportedModelError: the model doesn't return one tensor of logits, or its forward or backward pass fails.
    """
    for group in learner.optimizer.param_groups:
        group["lr"] = rate
    labels = batch.labels.to(learner.device, non_blocking=True)
    loss: Tensor = learner.loss(batch.images, batch.teacher, labels, batch.mix)
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
