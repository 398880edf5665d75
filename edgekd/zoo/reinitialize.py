"""New random weights for a network as it is, narrowed layers and removed blocks included."""

import hashlib

import torch
from torch import nn

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.architectures._base import he_initialised


def another(seed: int) -> int:
    """The seed of a student's random weights.

    Drawn by `seed` itself they could be the ones that its teacher began with. A network that keeps, of those, the ones
    that grew large in the teacher isn't a random one: it is the teacher's winning ticket (Frankle, Carbin, ICLR 2019).
    """
    return int.from_bytes(hashlib.sha256(f"student {seed}".encode()).digest()[:4], "little")


def reinitialize(model: nn.Module, seed: int) -> None:
    """Give all layers, in place, the weights that edgekd's own networks begin with, whatever the network is: He's, and
    batch norms that do nothing. They aren't those of a network that is built with this seed. The global random state
    doesn't change.

    Raises:
        UnsupportedModelError: it holds tensors that aren't a layer's which can be drawn anew.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(another(seed))
        for name, layer in model.named_modules():
            if next(layer.parameters(recurse=False), None) is None:
                continue
            if not hasattr(layer, "reset_parameters"):
                what = f"{name or 'the network'} holds tensors of its own, which can't be drawn anew"
                raise UnsupportedModelError(what, "Keep the weights: no step 'reset', no weights = 'scratch'.")
            layer.reset_parameters()
        he_initialised(model)
