"""New random weights for a network as it is, narrowed layers and removed blocks included."""

import torch
from torch import nn

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.architectures._base import he_initialised


def draw_anew(model: nn.Module, seed: int) -> None:
    """Give all layers, in place, the weights that edgekd's own networks begin with, whatever the network is: He's, and
    batch norms that do nothing. The global random state doesn't change.

    Raises:
        UnsupportedModelError: it holds tensors that aren't a layer's which can be drawn anew.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, layer in model.named_modules():
            if next(layer.parameters(recurse=False), None) is None:
                continue
            if not hasattr(layer, "reset_parameters"):
                what = f"{name or 'the network'} holds tensors of its own, which can't be drawn anew"
                raise UnsupportedModelError(what, "Keep the weights: no step 'reset', no weights = 'scratch'.")
            layer.reset_parameters()
        he_initialised(model)
