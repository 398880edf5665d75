"""Convolutions, matrix products, batch normalisations and pooling as ncnn's layers.

Layers with a weight are called as that in the ONNX graph.
"""

from collections.abc import Sequence

import numpy as np

from edgekd.deploy.ncnn.blobs import Blobs, plain_floats, stored, unsupported
from edgekd.deploy.ncnn.graph import Node, Values
from edgekd.deploy.ncnn.layers import Parameter

_FULL, _VALID = 0, 1
"""How ncnn's pooling ends: with a window that is only partly inside, or with the last whole one."""


def convolution(blobs: Blobs, node: Node) -> None:
    """A convolution in two dimensions; one of a flat blob is a matrix product."""
    weight = blobs.required(node, 1, "weight")
    bias = blobs.required(node, 2, "bias") if len(node.inputs) > 2 and node.inputs[2] else None
    group = int(node.attributes.get("group", 1))
    if weight.ndim != 4:
        raise unsupported(node, "it isn't one of images")
    if blobs.is_flat(node.inputs[0]) and weight.shape[2:] == (1, 1) and group == 1 and not any(_pads(node)):
        _inner_product(blobs, node, weight.reshape(len(weight), -1), bias)
        return
    out, _, height, width = weight.shape
    top, left, bottom, right = _pads(node)
    strides, dilations = (node.attributes.get(name, [1, 1]) for name in ("strides", "dilations"))
    given: dict[int, Parameter] = {0: out, 1: width, 11: height, 2: dilations[1], 12: dilations[0]}
    given |= {3: strides[1], 13: strides[0], 4: left, 14: top, 15: right, 16: bottom}
    given |= {5: int(bias is not None), 6: weight.size, **({7: group} if group > 1 else {})}
    kind = "ConvolutionDepthWise" if group > 1 else "Convolution"
    weights = (stored(weight), *([plain_floats(bias)] if bias is not None else []))
    bottoms = (blobs.spatial(node.inputs[0]),)
    blobs.add(node, kind, given, bottoms=bottoms, weights=weights, named=node.inputs[1], flat=False, product=True)


def gemm(blobs: Blobs, node: Node) -> None:
    """A matrix product (1, inputs) × (inputs, outputs)."""
    weight = blobs.required(node, 1, "weight")
    bias = blobs.required(node, 2, "bias") if len(node.inputs) > 2 and node.inputs[2] else None
    numbers = {name: node.attributes.get(name, 1) for name in ("alpha", "beta")}
    if weight.ndim != 2 or set(numbers.values()) != {1} or node.attributes.get("transA", 0):
        raise unsupported(node, "it isn't a plain linear layer")
    if not blobs.is_flat(node.inputs[0]):
        raise unsupported(node, "its input isn't one row")
    rows = weight if node.attributes.get("transB", 0) else weight.T
    _inner_product(blobs, node, rows, None if bias is None else np.broadcast_to(bias.reshape(-1), len(rows)))


def _inner_product(blobs: Blobs, node: Node, weight: Values, bias: Values | None) -> None:
    given: dict[int, Parameter] = {0: len(weight), 1: int(bias is not None), 2: weight.size}
    weights = (stored(weight), *([plain_floats(bias)] if bias is not None else []))
    blobs.add(node, "InnerProduct", given, weights=weights, named=node.inputs[1], flat=True, product=True)


def batch_norm(blobs: Blobs, node: Node) -> None:
    """A batch normalisation that no convolution absorbed."""
    gain, shift, mean, variance = (
        blobs.required(node, i, "statistics").astype(np.float64).reshape(-1) for i in range(1, 5)
    )
    scale = gain / np.sqrt(variance + node.attributes.get("epsilon", 1e-5))
    scaled(blobs, node, scale, shift - mean * scale)


def scaled(blobs: Blobs, node: Node, scale: Values, bias: Values, *, bottoms: tuple[str, ...] | None = None) -> None:
    """By channel: x · scale + bias."""
    weights = (plain_floats(scale), plain_floats(bias))
    blobs.add(node, "Scale", {0: scale.size, 1: 1}, bottoms=bottoms, weights=weights)


def global_pool(blobs: Blobs, node: Node) -> None:
    """The mean or the greatest value of each channel, which is flat in ncnn."""
    if node.op.startswith("Reduce"):
        axes = blobs.required(node, 1, "axes").tolist() if len(node.inputs) > 1 else node.attributes.get("axes")
        rank = len(blobs.graph.shape(node.inputs[0], node))
        if rank != 4 or axes is None or sorted(axis % 4 for axis in axes) != [2, 3]:
            raise unsupported(node, "it isn't one value of each channel")
    bottoms = (blobs.spatial(node.inputs[0]),)
    blobs.add(node, "Pooling", {0: int("Max" not in node.op), 4: 1}, bottoms=bottoms, flat=True)


def max_pool(blobs: Blobs, node: Node) -> None:
    """The greatest value of each window."""
    if len(node.outputs) > 1:
        raise unsupported(node, "it gives indices")
    _pool(blobs, node, {0: 0})


def average_pool(blobs: Blobs, node: Node) -> None:
    """The mean of each window."""
    _pool(blobs, node, {0: 1, 6: int(node.attributes.get("count_include_pad", 0))})


def _pool(blobs: Blobs, node: Node, given: dict[int, Parameter]) -> None:
    kernel, strides = node.attributes["kernel_shape"], node.attributes.get("strides", [1, 1])
    if len(kernel) != 2 or set(node.attributes.get("dilations", [1])) != {1}:
        raise unsupported(node, "it isn't plain pooling of images")
    top, left, bottom, right = pads = _pads(node)
    ceil = bool(node.attributes.get("ceil_mode", 0))
    sides = blobs.graph.shape(node.inputs[0], node)[2:]
    outcome = [_windows(sides[i] + pads[i] + pads[i + 2] - kernel[i], strides[i], ceil=ceil) for i in (0, 1)]
    if outcome != list(blobs.graph.shape(node.outputs[0], node)[2:]):
        raise unsupported(node, "it leaves out the last window, which ncnn's doesn't")
    given |= {1: kernel[1], 11: kernel[0], 2: strides[1], 12: strides[0], 5: _FULL if ceil else _VALID}
    given |= {3: left, 13: top, 14: right, 15: bottom}
    blobs.add(node, "Pooling", given, bottoms=(blobs.spatial(node.inputs[0]),), flat=False)


def _windows(room: int, stride: int, *, ceil: bool) -> int:
    return 1 + (-(-room // stride) if ceil else room // stride)


def _pads(node: Node) -> Sequence[int]:
    """At the top, the left, the bottom and the right."""
    if node.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise unsupported(node, "its padding follows from the image's size (auto_pad)")
    found: Sequence[int] = node.attributes.get("pads", [0, 0, 0, 0])
    return found
