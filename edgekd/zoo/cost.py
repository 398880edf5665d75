"""What a network costs, by counting: parameters and multiply-accumulates. Neither predicts its latency."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from edgekd.zoo.forward import run


def parameters(model: nn.Module) -> int:
    """The number of parameters; shared ones count once, buffers don't."""
    return sum(p.numel() for p in model.parameters())


def nonzero(model: nn.Module) -> int:
    """The number of parameters that aren't zero, counted as `parameters` counts."""
    return sum(int(p.count_nonzero()) for p in model.parameters())


def macs(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of convolutions and matrix products for one image of `shape` (channels, height, width).

    Raises:
        UnsupportedModelError: the model's forward fails.
    """
    like = next(model.parameters())
    training = {layer: layer.training for layer in model.modules()}
    # the counter asks for the gradient of what a layer reads, and parametrised layers read parameters
    learning = [p for p in model.parameters() if p.requires_grad]
    counter = FlopCounterMode(display=False)
    model.eval().requires_grad_(False)
    try:
        with torch.inference_mode(), counter:
            run(model, torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    finally:
        for layer, was_training in training.items():
            layer.training = was_training
        for parameter in learning:
            parameter.requires_grad_(True)
    return int(counter.get_total_flops() // 2)
