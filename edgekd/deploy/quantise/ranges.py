"""The ranges of a float graph's activations, from which scales follow."""

from collections.abc import Mapping

from pydantic import Field

from edgekd.values import PositiveInt, Value


class Ranges(Value):
    """The ranges of a graph's activations over calibration images, and what else its layers are quantised by."""

    images: PositiveInt
    """That the ranges are from."""
    method: str
    """By which they were found; one of those in `methods`, or of `clipping.METHODS`."""
    tensors: dict[str, tuple[float, float]]
    """The least and the greatest value of each activation, by its name in the graph; what is beyond is clipped."""
    methods: dict[str, dict[str, tuple[float, float]]] = Field(default_factory=dict)
    """The same by each method; only one where there were few images."""
    sqnr_db: dict[str, float] = Field(default_factory=dict)
    """The signal to quantisation noise of the network's outputs in INT8 for each method, on images that were held out
    of the calibration."""
    equalised: bool = False
    """Whether channels of activations between layers were given similar magnitudes, in the weights of the graph."""
    biases: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    """What is added to the bias of a layer in integers, by the name of its weight, against the mean error that rounding
    its weights makes."""

    def magnitude(self, name: str) -> float:
        """The greatest magnitude of a tensor."""
        return max(map(abs, self.tensors[name]))


def by(method: str, methods: Mapping[str, Mapping[str, tuple[float, float]]], images: int) -> Ranges:
    """The ranges of one method."""
    return Ranges(
        images=images,
        method=method,
        tensors=dict(methods[method]),
        methods={name: dict(found) for name, found in methods.items()},
    )
