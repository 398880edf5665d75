"""What layers take by their widths, learned from the traced times of whole networks of other widths.

Kernels compute channels in blocks, so a layer's time is a sum of products of whole blocks: a constant, what each block
of inputs and of outputs costs, and what each pair of them does. Layers of one kind share these numbers. The block is
the one that explains the times best.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

BLOCKS = (1, 4, 8, 16, 32, 64)
_TINY = 1e-9
_CLOSER = 0.9
"""What a larger block's error must be of a smaller one's: of those that explain equally much the smallest is taken."""


@dataclass(frozen=True)
class Timed:
    """A layer in a network that was traced."""

    kind: str
    """What decides its time but for its widths."""
    inputs: int
    """0 where each channel is computed by itself."""
    outputs: int
    time: float


@dataclass(frozen=True)
class Times:
    """The times of a kind: none negative, for the constant, a block of inputs, of outputs, and a pair."""

    block: int
    constant: float
    of_inputs: float
    of_outputs: float
    of_pairs: float

    def of(self, inputs: int, outputs: int) -> float:
        """Of a layer with these widths."""
        i, o = math.ceil(inputs / self.block), math.ceil(outputs / self.block)
        return self.constant + self.of_inputs * i + self.of_outputs * o + self.of_pairs * i * o


def fitted(layers: Sequence[Timed]) -> dict[str, Times]:
    """The times of every kind that is among the layers."""
    by_kind: dict[str, list[Timed]] = {}
    for layer in layers:
        by_kind.setdefault(layer.kind, []).append(layer)
    return {kind: _times(found) for kind, found in by_kind.items()}


def _times(layers: Sequence[Timed]) -> Times:
    best, least = None, math.inf
    for block in BLOCKS:
        found, error = _fit(layers, block)
        if error < least * (1.0 if best is None else _CLOSER):
            best, least = found, error
    assert best is not None
    return best


def _fit(layers: Sequence[Timed], block: int) -> tuple[Times, float]:
    """The times with that block, and the root of their mean squared relative error."""
    i = np.array([math.ceil(layer.inputs / block) for layer in layers], float)
    o = np.array([math.ceil(layer.outputs / block) for layer in layers], float)
    times = np.array([max(layer.time, _TINY) for layer in layers])
    basis = np.stack([np.ones_like(i), i, o, i * o], 1) / times[:, None]  # relative errors count
    found, residual = nnls(basis, np.ones_like(times))
    return Times(block, *map(float, found)), float(residual) / math.sqrt(len(layers))
