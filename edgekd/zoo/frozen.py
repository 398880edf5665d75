"""Parameters that a model's factory froze, as transfer learning does with a backbone."""

import torch
from torch import nn


def frozen(model: nn.Module) -> int:
    """How many numbers its training wouldn't change."""
    return sum(parameter.numel() for parameter in model.parameters() if not parameter.requires_grad)


def unfreeze(model: nn.Module) -> int:
    """Let all parameters train, in place; how many numbers were frozen."""
    count = 0
    for parameter in model.parameters():
        if not parameter.requires_grad and parameter.is_floating_point():
            parameter.requires_grad_(True)
            count += parameter.numel()
    return count


def frozen_at_random(model: nn.Module, again: nn.Module) -> bool:
    """Whether what is frozen was drawn at random, not loaded.

    Args:
        model: as its factory gives it.
        again: the same of another seed.
    """
    others = dict(again.named_parameters())
    return any(
        not parameter.requires_grad and (name not in others or not torch.equal(parameter, others[name]))
        for name, parameter in model.named_parameters()
    )
