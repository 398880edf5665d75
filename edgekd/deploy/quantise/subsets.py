"""Which sets of layers are worth trying in integers, by what each layer costs in both precisions.

Conversions between integers and floats cost time too, and which of them a runtime needs shows in whole files alone. So
few sets are proposed, from those that trust the times of single layers to those that avoid conversions, and each is
measured as a whole file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

_PENALTIES = (1.0, 0.5, 2.0, 0.0, 4.0)
"""Conversions that leaving or entering integers is taken to cost, the likeliest first."""

_PARTS = (2, 4)
"""The layers that save most: one in so many of those that save time."""

_WIDE = 96
"""Input channels from which integer kernels of 1x1 convolutions gain most on CPUs: rows long enough for their dot
products.
"""


@dataclass(frozen=True)
class Layer:
    """A layer with its times in a float file and in one with all layers in integers."""

    name: str
    """Of its weight."""
    pointwise: int
    """The input channels of a 1x1 convolution of one group; 0 for other layers."""
    float_ms: float | None
    """None: its node wasn't found in the trace of that file."""
    integer_ms: float | None

    @property
    def saved_ms(self) -> float:
        """What it saves in integers, conversions aside; 0 where that isn't known."""
        return 0.0 if self.float_ms is None or self.integer_ms is None else self.float_ms - self.integer_ms


def subsets(layers: Sequence[Layer], conversion_ms: float, most: int) -> tuple[frozenset[str], ...]:
    """Sets of layers to try in integers, without the empty one and that of all layers.

    Args:
        layers: in the order of the graph.
        conversion_ms: what a conversion between floats and integers costs.
        most: how many sets.
    """
    everything = frozenset(layer.name for layer in layers)
    found = dict.fromkeys(one for one in _proposed(layers, conversion_ms) if one and one != everything)
    return tuple(found)[:most]


def _proposed(layers: Sequence[Layer], conversion_ms: float) -> Iterator[frozenset[str]]:
    saving = sorted((layer for layer in layers if layer.saved_ms > 0), key=lambda layer: -layer.saved_ms)
    wide = frozenset(layer.name for layer in layers if layer.pointwise >= _WIDE)
    for penalty in _PENALTIES:
        yield _along(layers, penalty * conversion_ms)
    yield wide
    yield wide & frozenset(layer.name for layer in saving)
    for part in _PARTS:
        yield frozenset(layer.name for layer in saving[: len(saving) // part])


def _along(layers: Sequence[Layer], switch_ms: float) -> frozenset[str]:
    """The set that saves most time, if every change between integers and floats along the graph costs so much: found by
    dynamic programming over the layers, as if they were a chain that begins and ends in floats.

    What saves nothing stays in floats.
    """
    best: Mapping[bool, tuple[float, tuple[str, ...]]] = {False: (0.0, ()), True: (-switch_ms, ())}
    for layer in layers:
        in_floats, in_integers = best[False], best[True]
        taken = (in_integers[0] + layer.saved_ms, (*in_integers[1], layer.name))
        best = {
            False: max(in_floats, (taken[0] - switch_ms, taken[1]), key=lambda one: one[0]),
            True: max((in_floats[0] - switch_ms, in_floats[1]), taken, key=lambda one: one[0]),
        }
    return frozenset(best[False][1])
