"""The exponential moving average of a network's weights and buffers over the steps of a training.

B. T. Polyak, A. B. Juditsky, "Acceleration of Stochastic Approximation by Averaging", 1992; in this form the evaluated
weights of C. Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", arXiv:1512.00567, section 8.
At a high learning rate the average is better than the weights of the last step, so trainings that end at different
rates can be compared by it.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

_SHARE = 1 / 20
"""Of the training's steps: how far back the average reaches."""


@dataclass(frozen=True, eq=False)
class Average:
    """The averaged copy of a model."""

    model: nn.Module
    horizon: float
    """Steps; each weight of the average decays by the factor e after so many."""

    @torch.no_grad()
    def follow(self, model: nn.Module, step: int) -> None:
        """Take in the model's state after step 0, 1, ….

        Until the horizon it is the mean of all states so far, so that the first weights don't linger.
        """
        share = max(1 / (step + 1), 1 / self.horizon)
        ours, theirs = list(_tensors(self.model)), list(_tensors(model))
        if share == 1:  # nothing of what was there before, even where it isn't finite
            torch._foreach_copy_(ours, theirs)
            return
        pairs = list(zip(ours, theirs, strict=True))
        real = [(own, other) for own, other in pairs if own.is_floating_point()]
        torch._foreach_lerp_([own for own, _ in real], [other for _, other in real], share)
        for own, other in pairs:  # counters
            if not own.is_floating_point():
                own.copy_(other)


def averaged(model: nn.Module, steps: int) -> Average:
    """The average of a model that trains for so many steps, before the first one."""
    return Average(copy.deepcopy(model).requires_grad_(False), max(1.0, _SHARE * steps))


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    yield from (parameter.detach() for parameter in model.parameters())
    yield from model.buffers()
