"""ncnn's INT8: weights and inputs of layers, symmetric, with scales beside the weights.

Source: what ncnn's tool ncnn2int8 writes. A scale is the factor from a value to its integer. Between two convolutions
in integers nothing is converted to floats: the first one has the scale of the second one's input as well.

ncnn's tool gives 3×3 convolutions six bits, because the sums of Winograd's algorithm may overflow with more; here they
have eight bits, and the file keeps them from that algorithm (24 → 31 dB for a ResNet-18).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgekd.deploy.ncnn.blobs import plain_floats
from edgekd.deploy.ncnn.convert import PRODUCTS
from edgekd.deploy.ncnn.layers import Layer, Weights, uses

_GREATEST = 127

_WITHOUT, _WINOGRAD = 31, 1 << 6
"""The parameter of every layer that switches optimisations off, and one of these."""

_INT8, _BY_GROUP, _TO_INT8 = 2, 1, 100
"""Of parameter 8: that there are scales; for each group; and that the output is in integers too."""


def in_integers(
    layers: Sequence[Layer], magnitude: Callable[[str], float | None], chosen: frozenset[str] | None
) -> tuple[Layer, ...]:
    """The same with integer layers.

    Args:
        layers: in fp32, without splits.
        magnitude: the greatest magnitude of a value of the ONNX graph, by its name; None where it isn't known.
        chosen: those that compute in integers, by their names; None: all that can.
    """
    scales: dict[str, float] = {}
    for layer in layers:
        greatest = magnitude(layer.reads) if _can(layer) else None
        if greatest and (chosen is None or layer.name in chosen):  # of an input that is always 0 there is no scale
            scales[layer.name] = _GREATEST / greatest
    after = _scales_after(layers, scales)
    return tuple(
        _quantised(layer, scales[layer.name], after.get(layer.tops[0])) if layer.name in scales else layer
        for layer in layers
    )


def _scales_after(layers: Sequence[Layer], scales: Mapping[str, float]) -> dict[str, float]:
    """The scale of each blob that only convolutions in integers read."""
    readers: dict[str, list[Layer]] = {name: [] for name in uses(layers)}
    for layer in layers:
        for name in layer.bottoms:
            readers[name].append(layer)
    return {
        blob: scales[those[0].name]
        for blob, those in readers.items()
        if all(one.name in scales and one.kind != "InnerProduct" for one in those)
    }


def _quantised(layer: Layer, scale: float, after: float | None) -> Layer:
    weight, *bias = layer.weights
    values = weight.values.reshape(_groups(layer), -1)
    absolute = np.abs(values).max(axis=1).astype(np.float64)
    factors = np.where(absolute > 0, _GREATEST / np.where(absolute > 0, absolute, 1), 1.0)
    integers = np.clip(np.rint(values * factors[:, None]), -_GREATEST, _GREATEST).astype(np.int8)
    term = _BY_GROUP if layer.kind == "ConvolutionDepthWise" else _INT8
    added: list[Weights] = [plain_floats(factors), plain_floats(np.array([scale]))]
    if after is not None and layer.kind != "InnerProduct":
        term, added = term + _TO_INT8, [*added, plain_floats(np.array([after]))]
    given = {8: term, **({_WITHOUT: _WINOGRAD} if _is_winograds(layer) else {})}
    return replace(layer.having(given), weights=(Weights(integers, tagged=True), *bias, *added))


def _groups(layer: Layer) -> int:
    """How many scales its weights have: one for each group of a grouped convolution, or for each output."""
    found = layer.parameters[7] if layer.kind == "ConvolutionDepthWise" else layer.parameters[0]
    assert isinstance(found, int)
    return found


def _can(layer: Layer) -> bool:
    """Whether ncnn computes it in integers: it gives wrong values for groups of several channels."""
    if layer.kind == "ConvolutionDepthWise":
        return layer.parameters[7] == layer.parameters[0] and layer.weights[0].values.shape[1] == 1
    return layer.kind in PRODUCTS


def _is_winograds(layer: Layer) -> bool:
    """Whether Winograd's algorithm would compute it."""
    square = all(layer.parameters.get(number) == 3 for number in (1, 11))
    plain = all(layer.parameters.get(number) == 1 for number in (2, 12, 3, 13))
    return layer.kind == "Convolution" and square and plain
