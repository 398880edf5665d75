"""New random weights for a network as it is, narrowed layers and removed blocks included."""

import hashlib

import torch
from torch import nn

from edgekd.errors import UnsupportedModelError
from edgekd.zoo.architectures._base import he_initialised


def another(seed: int) -> int:
    """The seed of a student's random weights.

    With `seed` itself they could be the teacher's initial weights. A network that keeps those of them that grew large
    in the teacher isn't a random one: it is the teacher's winning ticket (Frankle, Carbin, ICLR 2019).
    """
    return int.from_bytes(hashlib.sha256(f"student {seed}".encode()).digest()[:4], "little")


def reinitialize(model: nn.Module, seed: int) -> None:
    """Initialise all layers of any network in place like edgekd's own networks: He's initialisation, and batch norms
    that are the identity. The weights differ from those of a network that is built with this seed. The global random
    state doesn't change.

    Raises:
        UnsupportedModelError: it has tensors outside of layers that can be reinitialised.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(another(seed))
        for name, layer in model.named_modules():
            if next(layer.parameters(recurse=False), None) is None:
                continue
            if not hasattr(layer, "reset_parameters"):
                what = f"{name or 'the network'} has tensors of its own, which can't be reinitialised"
                raise UnsupportedModelError(what, "Keep the weights: no step 'reset', no weights = 'scratch'.")
            layer.reset_parameters()
        he_initialised(model)
