"""Single weights by their magnitude (Han et al., "Learning both Weights and Connections", NeurIPS 2015, arXiv
1506.02626).

Edgekd's choice: exactly the fraction goes, not what is below a threshold.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.pruning.criteria._base import Subject
from edgekd.pruning.single_weights import weight_of
from edgekd.values import Value

SCORES: Literal["weights"] = "weights"
FRACTIONS: tuple[float, ...] = ()
NEEDS_IMAGES = False
NEEDS_LATENCY = False


class Options(Value):
    """How the weights of different layers compare."""

    scope: Literal["global", "layer"] = "global"
    """"global" ranks the weights of all layers together, "layer" takes the same fraction of each."""


def scores(subject: Subject, layers: Sequence[nn.Module]) -> tuple[Tensor, ...]:
    """|weight|; with the scope "layer", its place among those of its layer, from 0 to 1."""
    magnitudes = [weight_of(layer).abs() for layer in layers]
    return tuple(magnitudes if subject.options.scope == "global" else map(_places, magnitudes))


def _places(magnitudes: Tensor) -> Tensor:
    places = torch.empty(magnitudes.numel(), dtype=torch.float64)
    places[magnitudes.flatten().argsort(stable=True)] = torch.arange(magnitudes.numel(), dtype=torch.float64)
    return ((places + 0.5) / magnitudes.numel()).view_as(magnitudes)
