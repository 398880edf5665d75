"""What an operator's conversion reads of the graph and of ncnn's blobs so far."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekd.deploy.ncnn.graph import Graph, Node, Values
from edgekd.deploy.ncnn.layers import Layer, Parameter, Weights
from edgekd.errors import UnsupportedModelError

_LONGEST = 200  # ncnn reads 255 characters of a name
_ODD = re.compile(r"[^!-~]")


@dataclass
class Blobs:
    """The blobs and layers that were made of the nodes so far.

    A blob has the axes of its ONNX value without the first, which is the image. That of a value (1, C, 1, 1) may be
    flat: it has one axis, as ncnn's global pooling gives it.
    """

    graph: Graph
    layers: list[Layer] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    """Of the blobs, by the name of the ONNX value."""
    flat: set[str] = field(default_factory=set)
    """Blobs of one axis."""
    taken: set[str] = field(default_factory=set)

    def constant(self, name: str) -> Values | None:
        """The value of a constant; None for anything else."""
        return self.graph.constants.get(name)

    def required(self, node: Node, position: int, what: str) -> Values:
        """A node's input that must be a constant."""
        found = self.constant(node.inputs[position]) if position < len(node.inputs) else None
        if found is None:
            raise unsupported(node, f"its {what} isn't a constant")
        return found

    def is_flat(self, name: str) -> bool:
        """Whether the blob of a value has one axis."""
        return self.names[name] in self.flat

    def same(self, node: Node) -> None:
        """The node's output is the blob of its first input."""
        self.names[node.outputs[0]] = self.names[node.inputs[0]]

    def spatial(self, name: str) -> str:
        """The blob of a value (1, C, H, W), with three axes."""
        if not self.is_flat(name):
            return self.names[name]
        blob, top = self.names[name], self.plain(f"{name}_spatial")
        self.layers.append(Layer("Reshape", top, (blob,), (top,), {0: 1, 1: 1, 2: -1}))
        return top

    def add(
        self,
        node: Node,
        kind: str,
        parameters: Mapping[int, Parameter] | None = None,
        *,
        bottoms: tuple[str, ...] | None = None,
        weights: tuple[Weights, ...] = (),
        named: str | None = None,
        flat: bool | None = None,
        product: bool = False,
    ) -> None:
        """A layer that computes the node's outputs, of its first input unless other bottoms are given."""
        bottoms = (self.names[node.inputs[0]],) if bottoms is None else bottoms
        tops = tuple(self.plain(name) for name in node.outputs)
        name = self.plain(named) if named else tops[0]
        ends = (node.inputs[0], node.inputs[1]) if product else ("", "")
        self.layers.append(Layer(kind, name, bottoms, tops, dict(parameters or {}), weights, ends))
        self.names.update(zip(node.outputs, tops, strict=True))
        if flat if flat is not None else self.is_flat(node.inputs[0]):
            self.flat.update(tops)

    def plain(self, name: str) -> str:
        """A name without blanks that nothing else has."""
        short = _ODD.sub("_", name)[-_LONGEST:]
        found, number = short, 1
        while found in self.taken:
            number += 1
            found = f"{short}_{number}"
        self.taken.add(found)
        return found


def unsupported(node: Node, why: str) -> UnsupportedModelError:
    """The error that ncnn can't compute a node as it is."""
    return UnsupportedModelError(f"{node.name} can't be converted to ncnn: {why}")


def stored(values: Any) -> Weights:
    """Weights with their type before them."""
    return Weights(np.ascontiguousarray(values, np.float32), tagged=True)


def plain_floats(values: Any) -> Weights:
    """Weights that are always fp32."""
    return Weights(np.ascontiguousarray(values, np.float32), tagged=False)
