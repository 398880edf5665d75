"""Making single weights of convolutions and linear layers zero.

The layers keep their widths, so a dense runtime computes as much as before: what gets smaller is the file that is sent.
Batch norms and biases stay.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from edgekd.errors import UnsupportedModelError
from edgekd.pruning.process import UNPRUNED


def layers_of_weights(model: nn.Module) -> list[nn.Module]:
    """The convolutions and linear layers; of those that share a weight, one.

    Raises:
        UnsupportedModelError: the weight of one is computed, so that zeros in it wouldn't stay.
    """
    filters = (nn.modules.conv._ConvNd, nn.Linear)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, filters)}
    for name, layer in layers.items():
        if "weight" not in layer._parameters:
            what = f"single weights can't be pruned: the weight of {name!r} is computed from other tensors"
            hint = "torch.nn.utils.parametrize.remove_parametrizations and remove_weight_norm make plain weights."
            raise UnsupportedModelError(what, f"{hint} {UNPRUNED}")
    return list({id(layer.weight): layer for layer in layers.values()}.values())


def weight_of(layer: nn.Module) -> Tensor:
    """The layer's weight, without its history."""
    return cast(Tensor, layer.weight).detach()


def zero_least(layers: Sequence[nn.Module], scores: Sequence[Tensor], fraction: float) -> None:
    """Make `fraction` of the weights zero, in place, those of the least scores; of equal ones the first.

    Those that score infinity stay, and don't count.
    """
    ranked = torch.cat([score.flatten() for score in scores])
    count = round(fraction * int(ranked.isfinite().sum()))
    is_gone = torch.zeros(len(ranked), dtype=torch.bool)
    is_gone[ranked.argsort(stable=True)[:count]] = True
    for layer, part in zip(layers, torch.split(is_gone, [score.numel() for score in scores]), strict=True):
        weight = weight_of(layer)
        weight[part.view_as(weight)] = 0
