"""An ONNX graph as ncnn's layers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx

from edgekd.deploy.ncnn.blobs import Blobs
from edgekd.deploy.ncnn.graph import Graph, read
from edgekd.deploy.ncnn.layers import Layer, Parameter, uses
from edgekd.deploy.ncnn.operators import OPERATORS
from edgekd.deploy.ncnn.patterns import with_gates, with_pixels, with_shuffles
from edgekd.errors import UnsupportedModelError

PRODUCTS = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""Layers that take an activation after themselves, and compute in integers."""

_ACTIVATIONS = {"ReLU": 1, "Clip": 3, "Sigmoid": 4, "Mish": 5, "HardSwish": 6}
_LEAKY = 2


def converted(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The layers of a float model, whose constants are folded and whose shapes are inferred.

    Raises:
        UnsupportedModelError: it has a layer that isn't converted; the message names it.
    """
    graph = with_shuffles(with_gates(with_pixels(read(model))))
    blobs = Blobs(graph)
    for name in graph.inputs:
        _, channels, height, width = graph.shapes[name]
        blobs.names[name] = blob = blobs.plain(name)
        blobs.layers.append(
            Layer("Input", blobs.plain(f"{name}_input"), (), (blob,), {0: width, 1: height, 2: channels})
        )
    for node in graph.nodes:
        if node.op not in OPERATORS:
            hint = "Deploy it with another runtime, or write the network with plain layers."
            raise UnsupportedModelError(f"{node.name} can't be converted to ncnn: edgekd has no such layer", hint)
        OPERATORS[node.op](blobs, node)
    return _in_order(with_activations(_with_outputs(blobs.layers, blobs, graph), graph.outputs), graph.outputs)


def _with_outputs(layers: Sequence[Layer], blobs: Blobs, graph: Graph) -> tuple[Layer, ...]:
    """The same with outputs called as in the ONNX graph, whatever computes them."""
    called = {blobs.names[name]: name for name in graph.outputs}
    if len(called) < len(graph.outputs) or {blobs.names[name] for name in graph.inputs} & called.keys():
        raise UnsupportedModelError("ncnn can't give an output that is another output too, or the input")
    if read := [called[name] for name in uses(layers) if name in called]:
        raise UnsupportedModelError(f"ncnn can't give the output {read[0]}, since layers read it")

    def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(called.get(name, name) for name in names)

    return tuple(replace(layer, bottoms=renamed(layer.bottoms), tops=renamed(layer.tops)) for layer in layers)


def _in_order(layers: Sequence[Layer], outputs: Sequence[str]) -> tuple[Layer, ...]:
    """The same with the layers that give outputs behind the others, in the order of the outputs: ncnn's outputs are in
    that of its layers.
    """
    giving = {layer.tops[0]: layer for layer in layers if layer.tops[:1] and set(layer.tops) <= set(outputs)}
    names = {layer.name for layer in giving.values()}
    others = [layer for layer in layers if layer.name not in names]
    found = (*others, *(giving[name] for name in outputs if name in giving))
    if [top for layer in found for top in layer.tops if top in outputs] != list(outputs):
        raise UnsupportedModelError("ncnn can't give the outputs in the order of the ONNX file")
    return found


def with_activations(layers: Sequence[Layer], outputs: Sequence[str]) -> tuple[Layer, ...]:
    """The same with activations computed by the layers before them, where ncnn can."""
    count = uses(layers)
    made_by = {top: layer for layer in layers for top in layer.tops}
    fused: dict[str, Layer] = {}
    found: list[Layer] = []
    for layer in layers:
        before = made_by.get(layer.bottoms[0]) if layer.bottoms else None
        alone = before is not None and count[before.tops[0]] == 1 and before.tops[0] not in outputs
        activation = _activation(layer) if before is not None and alone and before.kind in PRODUCTS else None
        if before is None or activation is None:
            found.append(layer)
        else:
            fused[before.name] = replace(before.having(activation), tops=layer.tops)
    return tuple(fused.get(layer.name, layer) for layer in found)


def _activation(layer: Layer) -> Mapping[int, Parameter] | None:
    """As parameters of the layer before it; None where ncnn has no such activation there."""
    if layer.kind not in _ACTIVATIONS:
        return None
    values = tuple(float(value) for value in layer.parameters.values() if not isinstance(value, tuple))
    if layer.kind == "ReLU" and values:
        return {9: _LEAKY, 10: values}
    return {9: _ACTIVATIONS[layer.kind], **({10: values} if values else {})}
