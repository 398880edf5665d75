"""ncnn's INT8: weights and inputs of layers, symmetric, with scales beside the weights.

Source: what ncnn's tool ncnn2int8 writes. A scale is the factor from a value to its integer. Between two convolutions
in integers nothing is converted to floats: the first one has the scale of the second one's input as well.

ncnn's tool gives 3×3 convolutions six bits, because the sums of Winograd's algorithm may overflow with more. Here they
have eight bits (24 → 31 dB for a ResNet-18), and the file keeps those from that algorithm whose sums come near.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from edgekd.deploy.ncnn.blobs import plain_floats
from edgekd.deploy.ncnn.convert import PRODUCTS
from edgekd.deploy.ncnn.layers import Layer, Parameter, Values, Weights, uses
from edgekd.deploy.quantise.ranges import Ranges

_GREATEST = 127

_WITHOUT, _WINOGRAD = 31, 1 << 6
"""The parameter of every layer that switches optimisations off, and one of these."""
_FACTOR = 576
"""By how much sums are greater in Winograd's algorithm F(4, 3) than in the end; those before may wrap around."""

_HAS_BIAS = {"Convolution": 5, "ConvolutionDepthWise": 5, "InnerProduct": 1}
"""The parameter that says whether there is a bias."""

_INT8, _BY_GROUP, _TO_INT8 = 2, 1, 100
"""Of parameter 8: that there are scales; for each group; and that the output is in integers too."""


def in_integers(layers: Sequence[Layer], ranges: Ranges, chosen: frozenset[str] | None) -> tuple[Layer, ...]:
    """The same with integer layers.

    Args:
        layers: in fp32, without splits.
        ranges: of the ONNX graph's activations.
        chosen: the weights of the layers that compute in integers; None: all that can.
    """
    scales: dict[str, float] = {}
    for layer in layers:
        reads, weight = layer.product
        greatest = ranges.magnitude(reads) if _can(layer) and reads in ranges.tensors else 0
        if greatest > 0 and (chosen is None or weight in chosen):  # what is always 0 has no scale
            scales[layer.name] = _GREATEST / greatest
    after = _scales_after(layers, scales)
    return tuple(
        _quantised(layer, scales[layer.name], after.get(layer.tops[0]), ranges) if layer.name in scales else layer
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


def _quantised(layer: Layer, scale: float, after: float | None, ranges: Ranges) -> Layer:
    """A layer in integers; `scale` is its input's, `after` its output's, None where that is in floats."""
    reads, named = layer.product
    weight, bias = layer.weights[0].values, _bias(layer, ranges.biases.get(named))
    values = weight.reshape(_groups(layer), -1)
    absolute = np.abs(values).max(axis=1).astype(np.float64)
    factors = np.where(absolute > 0, _GREATEST / np.where(absolute > 0, absolute, 1), 1.0)
    integers = np.clip(np.rint(values * factors[:, None]), -_GREATEST, _GREATEST).astype(np.int8)
    term, scales = _BY_GROUP if layer.kind == "ConvolutionDepthWise" else _INT8, [factors, np.array([scale])]
    if after is not None and layer.kind != "InnerProduct":
        term, scales = term + _TO_INT8, [*scales, np.array([after])]
    given: dict[int, Parameter] = {_HAS_BIAS[layer.kind]: int(bool(bias)), 8: term}
    if _is_winograds(layer) and _greatest_sum(integers, signed=ranges.tensors[reads][0] < 0) * _FACTOR >= 2**31:
        given[_WITHOUT] = _WINOGRAD
    stored = Weights(integers.reshape(weight.shape), tagged=True)
    return replace(layer.having(given), weights=(stored, *bias, *map(plain_floats, scales)))


def _bias(layer: Layer, correction: tuple[float, ...] | None) -> tuple[Weights, ...]:
    """With what is added to it in integers."""
    own = [one.values for one in layer.weights[1:]]
    added = [np.array(correction)] if correction else []
    return (plain_floats(sum([*own, *added])),) if own or added else ()


def _greatest_sum(integers: Values, *, signed: bool) -> int:
    """The greatest sum that a channel can have, of inputs that are signed or not."""
    positive, negative = (np.maximum(values, 0).sum(axis=1, dtype=np.int64) for values in (integers, -integers))
    return _GREATEST * int((positive + negative if signed else np.maximum(positive, negative)).max())


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
