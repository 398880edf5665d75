"""The shapes of values between ncnn's layers. A .param file states those of its inputs alone.

Source: ncnn's layers, docs/developer-guide/operators.md. Shapes are (channels, height, width), or (elements,) of a
flat value.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from edgekd.runtimes.ncnn import Layer

Shape = tuple[int, ...]

_SAME_UPPER, _SAME_LOWER = -233, -234
_ARRAY = -23300
"""What is added, negative, to the number of a parameter that is an array."""
_SAME = (
    *("BatchNorm", "Cast", "Clip", "Dequantize", "Dropout", "ELU", "GELU", "GroupNorm", "HardSigmoid", "HardSwish"),
    *("InstanceNorm", "LRN", "LayerNorm", "Mish", "Noop", "PReLU", "Quantize", "ReLU", "Requantize", "Scale"),
    *("ShuffleChannel", "Sigmoid", "Softmax", "Softplus", "Split", "Swish", "TanH", "UnaryOp"),
)


def shapes(layers: Sequence[Layer]) -> dict[str, Shape]:
    """The shape of each value by name, as far as it is known."""
    found: dict[str, Shape] = {}
    for layer in layers:
        given = [found[name] for name in layer.bottoms if name in found]
        if len(given) == len(layer.bottoms) and layer.kind in _RULES:
            try:
                made = _RULES[layer.kind](layer, given)
            except (ValueError, LookupError, ArithmeticError):  # a damaged or a new kind of layer
                continue
            for name, shape in zip(layer.tops, made, strict=False):
                if shape and all(axis > 0 for axis in shape):
                    found[name] = shape
    return found


def integer(layer: Layer, number: int, default: int) -> int:
    """A parameter that is one."""
    return int(layer.parameters.get(str(number), default))


def window(layer: Layer, first: int, fallback: int = 0) -> tuple[int, int]:
    """A parameter of height and width: that of the width has the number `first`, that of the height 10 more."""
    width = integer(layer, first, fallback)
    return integer(layer, first + 10, width), width


def _input(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    return [tuple(size for number in (2, 1, 0) if (size := integer(layer, number, 0)))]


def _same(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    return [given[0]] * len(layer.tops)


def _convolved(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    _, *sides = given[0]
    kernels, dilations, strides = window(layer, 1), window(layer, 2, 1), window(layer, 3, 1)
    before = integer(layer, 14, integer(layer, 4, 0)), integer(layer, 4, 0)
    after = integer(layer, 16, before[0]), integer(layer, 15, before[1])
    reach = [dilation * (kernel - 1) + 1 for kernel, dilation in zip(kernels, dilations, strict=True)]
    out = []
    for side, size, stride, low, high in zip(sides, reach, strides, before, after, strict=True):
        same = low in (_SAME_UPPER, _SAME_LOWER)
        out.append(-(-side // stride) if same else (side + low + high - size) // stride + 1)
    return [(integer(layer, 0, 0), *out)]


def _transposed(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    _, *sides = given[0]
    if integer(layer, 20, 0) or integer(layer, 4, 0) < 0:  # a stated size, or padding by it
        return []
    kernels, dilations, strides = window(layer, 1), window(layer, 2, 1), window(layer, 3, 1)
    before = integer(layer, 14, integer(layer, 4, 0)), integer(layer, 4, 0)
    after = integer(layer, 16, before[0]), integer(layer, 15, before[1])
    more = integer(layer, 19, integer(layer, 18, 0)), integer(layer, 18, 0)
    out = [
        (side - 1) * stride + dilation * (kernel - 1) + 1 + extra - low - high
        for side, kernel, dilation, stride, low, high, extra in zip(
            sides, kernels, dilations, strides, before, after, more, strict=True
        )
    ]
    return [(integer(layer, 0, 0), *out)]


def _pooled(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    channels, *sides = given[0]
    if integer(layer, 4, 0):
        return [(channels,)]
    if integer(layer, 7, 0):
        return [(channels, *window(layer, 8))]
    kernels, strides = window(layer, 1), window(layer, 2, 1)
    before = integer(layer, 13, integer(layer, 3, 0)), integer(layer, 3, 0)
    after = integer(layer, 15, before[0]), integer(layer, 14, before[1])
    mode, out = integer(layer, 5, 0), []
    for side, kernel, stride, low, high in zip(sides, kernels, strides, before, after, strict=True):
        room = side + low + high - kernel
        whole, partly = room // stride + 1, -(-room // stride) + 1
        out.append({0: partly, 1: whole}.get(mode, -(-side // stride)))
    return [(channels, *out)]


def _flat(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    return [(math.prod(given[0]),)]


def _product(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    rows = given[0][:-1] if len(given[0]) == 2 else ()
    return [(*rows, integer(layer, 0, 0))]


def _reshaped(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    stated = [integer(layer, number, _ARRAY) for number in (2, 1, 0)]
    sizes = [size for size in stated if size != _ARRAY]
    if 0 in sizes:  # as it was
        return []
    rest = math.prod(given[0]) // abs(math.prod(sizes))
    return [tuple(rest if size == -1 else size for size in sizes)]


def _largest(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    return [max(given, key=math.prod)]


def _joined(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    axis = integer(layer, 0, 0) % len(given[0])
    return [tuple(sum(shape[i] for shape in given) if i == axis else size for i, size in enumerate(given[0]))]


def _cut(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    axis, stated = integer(layer, 1, 0) % len(given[0]), _integers(layer, 0)
    sizes, left = [], given[0][axis]
    for number, size in enumerate(stated):
        sizes.append(left // (len(stated) - number) if size == _SAME_UPPER else size)
        left -= sizes[-1]
    return [tuple(size if i == axis else old for i, old in enumerate(given[0])) for size in sizes]


def _cropped(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    found = list(given[0])
    starts, ends, axes = (_integers(layer, number) for number in (9, 10, 11))
    for start, end, axis in zip(starts, ends, axes, strict=True):
        found[axis] = len(range(found[axis])[slice(start, None if end == _SAME_UPPER else end)])
    return [tuple(found)]


def _integers(layer: Layer, number: int) -> list[int]:
    """A parameter that is an array of integers."""
    return [int(word) for word in layer.parameters[str(_ARRAY - number)].split(",")[1:]]


def _padded(layer: Layer, given: Sequence[Shape]) -> list[Shape]:
    if len(given[0]) != 3:
        return []
    added = [integer(layer, low, 0) + integer(layer, low + 1, 0) for low in (7, 0, 2)]
    return [tuple(size + more for size, more in zip(given[0], added, strict=True))]


_RULES: Mapping[str, Callable[[Layer, Sequence[Shape]], list[Shape]]] = {
    **dict.fromkeys(_SAME, _same),
    **dict.fromkeys(("Convolution", "ConvolutionDepthWise"), _convolved),
    **dict.fromkeys(("Deconvolution", "DeconvolutionDepthWise"), _transposed),
    "Input": _input,
    "Pooling": _pooled,
    "Flatten": _flat,
    "InnerProduct": _product,
    "Reshape": _reshaped,
    "BinaryOp": _largest,
    "Eltwise": _largest,
    "Concat": _joined,
    "Slice": _cut,
    "Padding": _padded,
    "Crop": _cropped,
}
