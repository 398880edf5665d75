"""What a network costs, by counting: parameters and multiply-accumulates. Neither predicts its latency."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(model: nn.Module) -> int:
    """The number of parameters; shared ones count once, buffers don't."""
    return sum(p.numel() for p in model.parameters())


def nonzero(model: nn.Module) -> int:
    """The number of parameters that aren't zero, counted as `parameters` counts."""
    return sum(int(p.count_nonzero()) for p in model.parameters())


def macs(model: nn.Module, shape: tuple[int, int, int]) -> int:
    """Multiply-accumulates of convolutions and matrix products for one image of `shape` (channels, height, width)."""
    like = next(model.parameters())
    training = {layer: layer.training for layer in model.modules()}
    counter = FlopCounterMode(display=False)
    model.eval()
    try:
        with torch.inference_mode(), counter:
            model(torch.zeros(1, *shape, dtype=like.dtype, device=like.device))
    finally:
        for layer, was_training in training.items():
            layer.training = was_training
    return int(counter.get_total_flops() // 2)
