"""Reads what the fake needs to know of an ONNX file, without the package onnx: a device has none.

Source: protobuf's wire format, and the field numbers of onnx.proto.
"""

from dataclasses import dataclass, field

FLOAT, INT8, HALF = 1, 3, 10


@dataclass
class Node:
    op: str
    name: str
    inputs: list
    outputs: list
    attributes: dict
    types: list = field(default_factory=list)
    """ONNX's number of the type of each output."""
    scales: list = field(default_factory=list)
    """That of the second input, the scale of Q and DQ."""


@dataclass
class Graph:
    nodes: list
    inputs: dict
    """Name → (type, shape, None where open)."""
    outputs: list


def read(model):
    """The graph of a file's bytes. Raises ValueError where it is none."""
    try:
        graph = _one(_fields(model), 7)
        fields = _fields(graph)
        nodes = [_node(value) for value in fields.get(1, ())]
        types = dict(_weight(value) for value in fields.get(5, ()))
        inputs = dict(_value(value) for value in fields.get(11, ()))
    except (IndexError, KeyError, UnicodeDecodeError) as e:
        raise ValueError("Failed to parse the ONNX model.") from e
    inputs = {name: given for name, given in inputs.items() if name not in types}
    types.update({name: kind for name, (kind, _) in inputs.items()})
    for node in nodes:
        node.types = [_type_of(node, types)] * len(node.outputs)
        node.scales = [types[name] for name in node.inputs[1:2] if name in types]
        types.update(dict.fromkeys(node.outputs, node.types[0]))
    return Graph(nodes, inputs, [_value(value)[0] for value in fields.get(12, ())])


def _type_of(node, types):
    if node.op == "QuantizeLinear":
        return INT8
    if node.op == "DequantizeLinear":
        return types.get(node.inputs[1], FLOAT)
    if node.op == "Cast":
        return node.attributes["to"]
    return types.get(node.inputs[0] if node.inputs else "", FLOAT)


def _node(data):
    fields = _fields(data)
    attributes = {_text(_one(_fields(a), 1)): _fields(a).get(3, [None])[0] for a in fields.get(5, ())}
    name = _text(fields.get(3, [b""])[0])
    inputs, outputs = ([*map(_text, fields.get(number, ()))] for number in (1, 2))
    return Node(_text(_one(fields, 4)), name, inputs, outputs, attributes)


def _weight(data):
    fields = _fields(data)
    return _text(_one(fields, 8)), _one(fields, 2)


def _value(data):
    fields = _fields(data)
    if 2 not in fields:
        return _text(_one(fields, 1)), (FLOAT, ())
    tensor = _fields(_one(_fields(_one(fields, 2)), 1))
    axes = [_fields(axis) for axis in _fields(tensor[2][0]).get(1, ())] if 2 in tensor else []
    return _text(_one(fields, 1)), (_one(tensor, 1), tuple(axis[1][0] if 1 in axis else None for axis in axes))


def _one(fields, number):
    return fields[number][-1]


def _text(data):
    return data.decode()


def _fields(data):
    """The values of each field by its number."""
    found, at = {}, 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        else:
            raise IndexError(kind)
        found.setdefault(number, []).append(value)
    return found


def _varint(data, at):
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
