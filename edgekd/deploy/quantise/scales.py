"""Scales and zero points: which real numbers an integer stands for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_Array = np.ndarray[Any, Any]

LEVELS = 127
"""The greatest integer of a symmetric range: -128 is left out."""
_OF_ZEROS = 2.0**-12
"""Where all values are 0 any scale does; with a small one, the biases in it stay exact."""
_LEAST_HALF = 2.0**-24  # the smallest float16 above 0


@dataclass(frozen=True)
class Scheme:
    """The integers in which a runtime wants a graph. Weights are symmetric S8 with a scale for each output channel."""

    unsigned: bool = False
    """Whether activations are U8; else S8."""
    symmetric: bool = False
    """Whether the zero point of activations is 0, and their range as wide on both sides."""
    integer_bias: bool = False
    """Whether biases are 32-bit integers in the scale of the products; else float."""
    packed: bool = True
    """Whether weights are stored as integers, behind a DequantizeLinear alone; else in float before a pair."""
    half: bool = False
    """Whether the scales will become float16: they are rounded to it, and weights are quantised by the rounded."""
    channels_first: bool = False
    """Whether a Gemm's weight is transposed where its output channels aren't its first axis."""


U8S8 = Scheme(unsigned=True, integer_bias=True)
S8S8 = Scheme(integer_bias=True)
SYMMETRIC = Scheme(symmetric=True, channels_first=True)


def of_activation(low: float, high: float, scheme: Scheme) -> tuple[_Array, _Array]:
    """The scale, float32, and the zero point of an activation's range; 0 is always one of the numbers."""
    if scheme.symmetric:
        return _rounded(np.array(max(abs(low), abs(high)) / LEVELS), scheme), np.zeros((), np.int8)
    low, high = min(low, 0.0), max(high, 0.0)
    kind = np.uint8 if scheme.unsigned else np.int8
    scale = _rounded(np.array((high - low) / 255), scheme)
    zero = np.iinfo(kind).min + np.rint(-low / scale.astype(np.float64))
    return scale, np.array(np.clip(zero, np.iinfo(kind).min, np.iinfo(kind).max), kind)


def of_weights(values: _Array, axis: int | None, scheme: Scheme) -> _Array:
    """The scales of a weight, float32, one for each place on an axis, or one for all of it."""
    others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
    return _rounded(np.asarray(np.abs(values).max(others) / LEVELS), scheme)


def integers(values: _Array, scale: _Array, axis: int | None) -> _Array:
    """Weights as S8."""
    found = np.rint(values / along(scale, axis, values.ndim))
    return np.asarray(np.clip(found, -LEVELS, LEVELS).astype(np.int8))


def along(scale: _Array, axis: int | None, rank: int) -> _Array:
    """Scales in a shape that spreads over values of that rank."""
    return scale if axis is None else scale.reshape([-1 if i == axis else 1 for i in range(rank)])


def _rounded(scale: _Array, scheme: Scheme) -> _Array:
    scale = np.where(scale > 0, scale, _OF_ZEROS).astype(np.float32)
    if scheme.half:
        scale = np.maximum(scale.astype(np.float16).astype(np.float32), np.float32(_LEAST_HALF))
    return np.asarray(np.maximum(scale, np.finfo(np.float32).tiny))
