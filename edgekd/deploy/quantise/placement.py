"""Where a graph gets pairs of QuantizeLinear and DequantizeLinear: one value, whatever runtime it is for."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from edgekd.deploy.quantise.layers import Weight

MOVING = ("MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Resize")
"""They give the numbers that they take, so ONNX Runtime runs them on integers of one scale and zero point."""


@dataclass(frozen=True)
class Placement:
    """What gets a pair; nodes by their position in the graph. An activation has one pair at most."""

    activations: tuple[tuple[int, int], ...]
    """What reads an activation behind its pair: a node, and which of its inputs."""
    weights: tuple[Weight, ...]
    """Of the layers that compute in integers."""
    outputs: tuple[str, ...] = ()
    """The graph's outputs that are given behind their pair."""
    like: Mapping[str, str] = field(default_factory=dict)
    """Activations with the scale and zero point of another one, because the operator between only moves values."""
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Between what the activations are that a function gives which saturates."""
    saturating: Set[int] = frozenset()
    """The HardSigmoids that are written as an addition whose integers saturate."""
