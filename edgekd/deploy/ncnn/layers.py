"""ncnn's layers, and the two files of a model: its layers as text (.param), and their weights (.bin).

Source of the formats: ncnn's documentation, "param and model file structure", and its modelbin.cpp.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import UnsupportedModelError
from edgekd.files import writing

Values = np.ndarray[Any, np.dtype[Any]]
Parameter = int | float | tuple[int, ...] | tuple[float, ...]

_MAGIC = 7767517
_ARRAY = -23300  # added to the number of a parameter that holds several values
_TAGS = {"float32": 0, "float16": 0x01306B47, "int8": 0x000D4B38}
_ALIGNED = 4


@dataclass(frozen=True)
class Weights:
    """An array of a layer's weights."""

    values: Values
    tagged: bool
    """Whether its type precedes it in the file: it is then stored as it is, and otherwise always in fp32."""


@dataclass(frozen=True)
class Layer:
    """A layer: it reads and writes blobs, each of which is written once."""

    kind: str
    name: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    parameters: Mapping[int, Parameter] = field(default_factory=dict)
    """By their numbers; those that are left out have ncnn's defaults."""
    weights: tuple[Weights, ...] = ()
    product: tuple[str, str] = ("", "")
    """Of a convolution or matrix product, what its input and its weight are called in the ONNX graph."""

    def having(self, parameters: Mapping[int, Parameter]) -> "Layer":
        """The same with further parameters."""
        return replace(self, parameters={**self.parameters, **parameters})


def write(layers: Sequence[Layer], param: Path) -> None:
    """Write the two files: `param`, and the one of that name with the suffix .bin.

    Raises:
        StorageError: the folder isn't writable or the disk is full.
    """
    whole = with_splits(layers)
    with writing(param):
        param.with_suffix(".bin").write_bytes(b"".join(_packed(one) for layer in whole for one in layer.weights))
        param.write_text(_text(whole), encoding="utf-8")


def in_half(layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The same with weights in fp16, where the file can hold such.

    Raises:
        UnsupportedModelError: a weight is beyond the range of fp16.
    """
    return tuple(replace(layer, weights=tuple(_half(one, layer.name) for one in layer.weights)) for layer in layers)


def uses(layers: Iterable[Layer]) -> Counter[str]:
    """How often each blob is read."""
    return Counter(name for layer in layers for name in layer.bottoms)


def with_splits(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The same where each blob is read once at most, as ncnn wants it: one that several read is split."""
    count, taken = uses(layers), Counter[str]()
    found: list[Layer] = []
    for layer in layers:
        bottoms = []
        for name in layer.bottoms:
            bottoms.append(_part(name, taken[name]) if count[name] > 1 else name)
            taken[name] += 1
        found.append(replace(layer, bottoms=tuple(bottoms)))
        for top in layer.tops:
            if count[top] > 1:
                parts = tuple(_part(top, i) for i in range(count[top]))
                found.append(Layer("Split", f"split_{top}", (top,), parts))
    return tuple(found)


def _part(name: str, number: int) -> str:
    return f"{name}_part{number}"


def _half(one: Weights, layer: str) -> Weights:
    if not one.tagged or one.values.dtype != np.float32:
        return one
    with np.errstate(over="ignore"):
        values = one.values.astype(np.float16)
    if not np.isfinite(values).all():
        raise UnsupportedModelError(f"{layer}: its weights are beyond the range of fp16", "Deploy it in fp32.")
    return replace(one, values=values)


def _packed(one: Weights) -> bytes:
    tag = _TAGS[one.values.dtype.name].to_bytes(4, "little") if one.tagged else b""
    data = tag + np.ascontiguousarray(one.values).astype(one.values.dtype.newbyteorder("<")).tobytes()
    return data + bytes(-len(data) % _ALIGNED)


def _text(layers: Sequence[Layer]) -> str:
    blobs = sum(len(layer.tops) for layer in layers)
    return "\n".join([str(_MAGIC), f"{len(layers)} {blobs}", *map(" ".join, map(_words, layers))]) + "\n"


def _words(layer: Layer) -> Iterator[str]:
    yield from (layer.kind, layer.name, str(len(layer.bottoms)), str(len(layer.tops)), *layer.bottoms, *layer.tops)
    for number, value in layer.parameters.items():
        if isinstance(value, tuple):
            yield f"{_ARRAY - number}={','.join([str(len(value)), *map(_number, value)])}"
        else:
            yield f"{number}={_number(value)}"


def _number(value: float) -> str:
    # ncnn takes a number with a point or an exponent for a float, and any other for an integer
    return str(value) if isinstance(value, int) else f"{value:e}"
