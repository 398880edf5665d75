"""Numbers of channels for which ONNX Runtime has blocked kernels: groups as wide as a block, and no odd widths.

Neighbouring groups are joined in one, with zero weights between them. Channels that are added are computed from zero
weights and read with zero weights. The outputs are those of before.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from edgekd.deploy.rewrite.tensors import constants, copied, groups_of, shapes, width_of

_AT_MOST = 4
"""Groups joined in one: each multiplies the products of the convolution by so much."""

_POINTWISE = ("Relu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "LeakyRelu", "Tanh", "GlobalAveragePool")
_POOLING = ("MaxPool", "AveragePool")
_BINARY = ("Mul", "Add")

_MULTIPLE = 4
"""Of which a blocked convolution takes input channels."""


def with_even_channels(model: onnx.ModelProto, block: int) -> onnx.ModelProto:
    """The same model with groups of one block, and with numbers of channels that blocked kernels take, as far as they
    can be changed; itself where nothing changes.

    Args:
        model: an fp32 one, with fixed shapes.
        block: channels of a block.
    """
    found = [channels for channels in _channels(model) if channels.changes(block)]
    if not found:
        return model
    result = copied(model)
    held = {tensor.name: tensor for tensor in result.graph.initializer}
    for channels in found:
        _widened(result.graph, held, channels, block)
    return result


@dataclass
class _Channels:
    """Tensors with the same channels, by the nodes that make and read them; nodes by their position in the graph."""

    count: int
    made: list[int] = field(default_factory=list)
    """Convolutions with one group whose outputs they are."""
    read: list[int] = field(default_factory=list)
    """Those whose inputs they are."""
    depthwise: list[int] = field(default_factory=list)
    grouped: list[int] = field(default_factory=list)
    width: int | None = None
    """Of the groups of all of them; None: there are none, or they differ."""
    fixed: bool = False
    """Whether something reads or makes them that can't have more of them."""

    def wanted(self, block: int) -> int:
        """How many there should be."""
        if self.fixed or not (self.made and self.read):
            return self.count
        multiple = block if self._joins(block) else 1 if self.grouped else _MULTIPLE
        return -(-self.count // multiple) * multiple

    def changes(self, block: int) -> bool:
        """Whether there are to be more of them, or other groups."""
        return self.wanted(block) != self.count or (self._joins(block) and not self.fixed)

    def _joins(self, block: int) -> bool:
        """Whether some of its groups make one block."""
        return self.width is not None and block % self.width == 0 and 1 < block // self.width <= _AT_MOST


class _Names:
    """Which values have the same channels: a union-find over their names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def first(self, name: str) -> str:
        """The name that stands for all that are joined with this one."""
        while self._parent.setdefault(name, name) != name:
            name = self._parent[name]
        return name

    def join(self, names: Sequence[str]) -> None:
        """Say that they have the same channels."""
        for name in names[1:]:
            self._parent[self.first(name)] = self.first(names[0])


def _channels(model: onnx.ModelProto) -> list[_Channels]:
    """The channels of a graph's tensors with four axes, as far as convolutions make or read them."""
    graph, known, held = model.graph, shapes(model), constants(model.graph)
    uses = Counter(name for node in graph.node for name in node.input)
    names, roles = _Names(), list[tuple[str, str, int]]()
    fixed = {value.name for value in (*graph.input, *graph.output)}
    for number, node in enumerate(graph.node):
        values = [name for name in (*node.input, *node.output) if len(known.get(name, ())) == 4 and name not in held]
        role = _role(node, held, uses)
        if role == "same" and len({known[name][1] for name in values}) == 1:
            names.join(values)
        elif role in {"depthwise", "grouped"}:
            names.join([node.input[0], node.output[0]])
            roles.append((role, node.input[0], number))
        elif role == "one group":
            roles += [("read", node.input[0], number), ("made", node.output[0], number)]
        else:
            fixed.update(values)
    fixed = {names.first(name) for name in fixed}
    found: dict[str, _Channels] = {}
    for role, name, number in roles:
        if name in known:
            first = names.first(name)
            channels = found.setdefault(first, _Channels(known[name][1], fixed=first in fixed))
            getattr(channels, role).append(number)
    for channels in found.values():
        widths = {width_of(graph.node[number], held) for number in channels.grouped}
        channels.width = widths.pop() if len(widths) == 1 else None
    return [*found.values()]


def _role(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto], uses: Mapping[str, int]) -> str | None:
    """What a node does with channels; None for what can't have more of them."""
    if node.op_type in (*_POINTWISE, *_POOLING) and len(node.output) == 1:
        return "same"
    if node.op_type in _BINARY:
        return None if any(name in held for name in node.input) else "same"
    return _role_of_conv(node, held, uses) if node.op_type == "Conv" and node.domain in ("", "ai.onnx") else None


def _role_of_conv(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto], uses: Mapping[str, int]) -> str | None:
    for name in node.input[1:]:
        if name not in held or held[name].data_type != onnx.TensorProto.FLOAT or uses[name] > 1:
            return None
    made, width, groups = held[node.input[1]].dims[0], held[node.input[1]].dims[1], groups_of(node)
    if groups == 1:
        return "one group"
    if made != groups * width:
        return None
    return "depthwise" if width == 1 else "grouped"


def _widened(graph: onnx.GraphProto, held: Mapping[str, onnx.TensorProto], channels: _Channels, block: int) -> None:
    """Give these tensors more channels, and their groups one block each."""
    count = channels.wanted(block)
    added = count - channels.count
    for number in channels.made:
        for name in graph.node[number].input[1:]:
            _set(held[name], _with_zeros(_of(held[name]), added, 0))
    for number in channels.read:
        tensor = held[graph.node[number].input[1]]
        _set(tensor, _with_zeros(_of(tensor), added, 1))
    for number in (*channels.depthwise, *channels.grouped):
        node = graph.node[number]
        for name in node.input[1:]:
            _set(held[name], _with_zeros(_of(held[name]), added, 0))
        groups = count if number in channels.depthwise else _joined(held[node.input[1]], block)
        next(attribute for attribute in node.attribute if attribute.name == "group").i = groups


def _joined(tensor: onnx.TensorProto, block: int) -> int:
    """Join neighbouring groups of a weight (out, width, …) to groups of one block; returns how many there are."""
    old = _of(tensor)
    count, width = int(old.shape[0]), int(old.shape[1])
    new = np.zeros((count, block, *old.shape[2:]), old.dtype)
    for first in range(0, count, width):
        place = first % block
        new[first : first + width, place : place + width] = old[first : first + width]
    _set(tensor, new)
    return count // block


def _with_zeros(values: np.ndarray[Any, Any], added: int, axis: int) -> np.ndarray[Any, Any]:
    return np.pad(values, [(0, added if i == axis else 0) for i in range(values.ndim)])


def _of(tensor: onnx.TensorProto) -> np.ndarray[Any, Any]:
    return numpy_helper.to_array(tensor)


def _set(tensor: onnx.TensorProto, values: np.ndarray[Any, Any]) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
