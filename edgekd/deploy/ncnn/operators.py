"""What computes each ONNX operator in ncnn, except for convolutions, matrix products and pooling (`products`)."""

from collections.abc import Callable, Mapping

import numpy as np

from edgekd.deploy.ncnn.blobs import Blobs, plain_floats, unsupported
from edgekd.deploy.ncnn.graph import Node, Values
from edgekd.deploy.ncnn.layers import Layer, Parameter
from edgekd.deploy.ncnn.products import average_pool, batch_norm, convolution, gemm, global_pool, max_pool, scaled

_BINARY = {"Add": 0, "Sub": 1, "Mul": 2, "Div": 3}
_REVERSED = {0: 0, 1: 7, 2: 2, 3: 8}
_UNARY = {"Abs": 0, "Neg": 1, "Floor": 2, "Ceil": 3, "Sqrt": 5, "Exp": 7, "Log": 8, "Reciprocal": 15}
_PADDED = {"constant": 0, "edge": 1, "reflect": 2}
_CHANNELS_FIRST = 4  # of ncnn's orders: from channels, columns, rows to columns, rows, channels
_SCALED = ("scale", "bias")
_LOWEST, _HIGHEST = (float(bound) for bound in (np.finfo(np.float32).min, np.finfo(np.float32).max))


def _same(blobs: Blobs, node: Node) -> None:
    blobs.same(node)


def _elementwise(kind: str, **parameters: tuple[str, float]) -> Callable[[Blobs, Node], None]:
    """A layer whose parameters p0, p1 … are attributes with these names and defaults."""

    def convert(blobs: Blobs, node: Node) -> None:
        given = {int(key[1:]): float(node.attributes.get(*named)) for key, named in parameters.items()}
        blobs.add(node, kind, given)

    return convert


def _fixed(kind: str, parameters: Mapping[int, Parameter]) -> Callable[[Blobs, Node], None]:
    return lambda blobs, node: blobs.add(node, kind, parameters)


def _clip(blobs: Blobs, node: Node) -> None:
    bounds = []
    for position, (name, default) in enumerate((("min", _LOWEST), ("max", _HIGHEST)), 1):
        stated = position < len(node.inputs) and node.inputs[position]
        found = blobs.required(node, position, name).item() if stated else node.attributes.get(name, default)
        bounds.append(float(found))
    blobs.add(node, "Clip", dict(enumerate(bounds)))


def _binary(blobs: Blobs, node: Node) -> None:
    op = _BINARY[node.op]
    constants = [blobs.constant(name) for name in node.inputs]
    if constants[0] is not None:
        node = Node(node.op, (node.inputs[1], node.inputs[0]), node.outputs, node.attributes)
        _with_constant(blobs, node, _REVERSED[op], constants[0])
    elif constants[1] is not None:
        _with_constant(blobs, node, op, constants[1])
    else:
        ranks = {len(blobs.graph.shape(name, node)) for name in node.inputs}
        if len(ranks) > 1:
            raise unsupported(node, "its inputs have different numbers of axes")
        flat = all(map(blobs.is_flat, node.inputs))
        blobs.add(node, "BinaryOp", {0: op}, bottoms=tuple(blobs.names[name] for name in node.inputs), flat=flat)


def _with_constant(blobs: Blobs, node: Node, op: int, constant: Values) -> None:
    if constant.size == 1:
        blobs.add(node, "BinaryOp", {0: op, 1: 1, 2: float(constant.item())})
        return
    shape = blobs.graph.shape(node.inputs[0], node)
    by_channel = (1, *constant.shape) if len(constant.shape) < len(shape) else constant.shape
    if by_channel != (1, shape[1], *[1] * (len(shape) - 2)):
        raise unsupported(node, f"a constant of shape {constant.shape} isn't one value for each channel")
    if op in (_BINARY["Div"], _REVERSED[_BINARY["Div"]]):
        raise unsupported(node, "it divides by channel")
    values, none, one = constant.reshape(-1), np.zeros(shape[1]), np.ones(shape[1])
    scaled(blobs, node, *{0: (one, values), 1: (one, -values), 2: (values, none), 7: (-one, values)}[op])


def _prelu(blobs: Blobs, node: Node) -> None:
    slope = blobs.required(node, 1, "slope").reshape(-1)
    blobs.add(node, "PReLU", {0: slope.size}, weights=(plain_floats(slope),))


def _flattened(blobs: Blobs, node: Node) -> None:
    """Flatten, Reshape, Squeeze, Unsqueeze: as far as they leave one image with its channels first."""
    shape = blobs.graph.shape(node.outputs[0], node)
    if blobs.is_flat(node.inputs[0]) and all(axis == 1 for i, axis in enumerate(shape) if i != 1):
        blobs.same(node)
    elif len(shape) == 2 and shape[0] == 1:
        blobs.add(node, "Reshape", {0: -1}, flat=True)
    elif len(shape) == 4 and shape[0] == 1:
        blobs.add(node, "Reshape", {0: shape[3], 1: shape[2], 2: shape[1]}, flat=False)
    else:
        raise unsupported(node, f"its output has the shape {tuple(shape)}")


def _axis(blobs: Blobs, node: Node, default: int) -> int:
    """The axis of ncnn's blobs for a node's."""
    rank = len(blobs.graph.shape(node.inputs[0], node))
    found = int(node.attributes.get("axis", default)) % rank
    if found == 0 or (blobs.is_flat(node.inputs[0]) and found != 1):
        raise unsupported(node, f"it works along axis {found}")
    return found - 1


def _concat(blobs: Blobs, node: Node) -> None:
    axis = _axis(blobs, node, 1)
    flat = all(map(blobs.is_flat, node.inputs))
    bottoms = tuple(blobs.names[name] if flat else blobs.spatial(name) for name in node.inputs)
    blobs.add(node, "Concat", {0: axis}, bottoms=bottoms, flat=flat)


def _split(blobs: Blobs, node: Node) -> None:
    axis = _axis(blobs, node, 0)
    sizes = tuple(blobs.graph.shape(name, node)[axis + 1] for name in node.outputs)
    blobs.add(node, "Slice", {0: sizes, 1: axis})


def _slice(blobs: Blobs, node: Node) -> None:
    starts, ends, axes = (
        blobs.required(node, i, what).tolist() for i, what in enumerate(("starts", "ends", "axes"), 1)
    )
    steps = blobs.required(node, 4, "steps").tolist() if len(node.inputs) > 4 else [1]
    shape = blobs.graph.shape(node.inputs[0], node)
    axes = [axis % len(shape) for axis in axes]
    if set(steps) != {1} or 0 in axes or blobs.is_flat(node.inputs[0]):
        raise unsupported(node, "it takes every second value, or some of the images")
    between = [slice(start, end).indices(shape[axis]) for start, end, axis in zip(starts, ends, axes, strict=True)]
    crop = [start for start, _, _ in between], [end for _, end, _ in between], [axis - 1 for axis in axes]
    blobs.add(node, "Crop", {9 + i: tuple(values) for i, values in enumerate(crop)})


def _pad(blobs: Blobs, node: Node) -> None:
    pads = blobs.required(node, 1, "pads").tolist()
    value = blobs.required(node, 2, "value").item() if len(node.inputs) > 2 and node.inputs[2] else 0.0
    mode = node.attributes.get("mode", b"constant").decode()
    if len(pads) != 8 or pads[0] or pads[4] or min(pads) < 0 or mode not in _PADDED or len(node.inputs) > 3:
        raise unsupported(node, f"padding by {pads} ({mode})")
    _, front, top, left, _, behind, bottom, right = pads
    given: dict[int, Parameter] = {0: top, 1: bottom, 2: left, 3: right, 4: _PADDED[mode], 5: float(value)}
    blobs.add(node, "Padding", {**given, 7: front, 8: behind})


def _softmax(blobs: Blobs, node: Node) -> None:
    blobs.add(node, "Softmax", {0: _axis(blobs, node, -1), 1: 1})


def _pixels(blobs: Blobs, node: Node) -> None:
    """The axes are turned first, so that they are channels that get scaled."""
    top = blobs.plain(f"{node.outputs[0]}_permuted")
    blobs.layers.append(Layer("Permute", top, (blobs.names[node.inputs[0]],), (top,), {0: _CHANNELS_FIRST}))
    scale, bias = (np.broadcast_to(node.attributes[name], blobs.graph.shapes[node.outputs[0]][1]) for name in _SCALED)
    scaled(blobs, node, scale, bias, bottoms=(top,))


def _shuffle(blobs: Blobs, node: Node) -> None:
    blobs.add(node, "ShuffleChannel", {0: int(node.attributes["group"])})


OPERATORS: Mapping[str, Callable[[Blobs, Node], None]] = {
    "Conv": convolution,
    "Gemm": gemm,
    "MatMul": gemm,
    "BatchNormalization": batch_norm,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "ReduceMean": global_pool,
    "ReduceMax": global_pool,
    "Relu": _fixed("ReLU", {}),
    "LeakyRelu": _elementwise("ReLU", p0=("alpha", 0.01)),
    "PRelu": _prelu,
    "Clip": _clip,
    "Sigmoid": _fixed("Sigmoid", {}),
    "Tanh": _fixed("TanH", {}),
    "Swish": _fixed("Swish", {}),
    "Elu": _elementwise("ELU", p0=("alpha", 1.0)),
    "HardSigmoid": _elementwise("HardSigmoid", p0=("alpha", 0.2), p1=("beta", 0.5)),
    "HardSwish": _elementwise("HardSwish", p0=("alpha", 1 / 6), p1=("beta", 0.5)),
    "Mish": _fixed("Mish", {}),
    "Softplus": _fixed("Softplus", {}),
    "Softmax": _softmax,
    "Concat": _concat,
    "Split": _split,
    "Slice": _slice,
    "Pad": _pad,
    "ChannelShuffle": _shuffle,
    "Pixels": _pixels,
    **dict.fromkeys(_BINARY, _binary),
    **{op: _fixed("UnaryOp", {0: number}) for op, number in _UNARY.items()},
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), _flattened),
    **dict.fromkeys(("Identity", "Dropout"), _same),
}
