"""The ranges that a quantisation-aware training ended with, in place of the calibrated ones."""

from collections.abc import Iterator, Mapping

import onnx

from edgekd.deploy.quantise.layers import LAYERS
from edgekd.deploy.quantise.ranges import Ranges
from edgekd.values.network import output_of


def with_learned(
    graph: onnx.GraphProto, ranges: Ranges, learned: Mapping[str, tuple[float, float]]
) -> tuple[Ranges, tuple[str, ...]]:
    """The ranges of a float graph with the learned ones in their place and without corrections of biases, and the names
    of those that it doesn't have.

    Args:
        graph: its layers are found by the names of their weights.
        ranges: of its activations.
        learned: what layers read and give, as `Network.ranges`.
    """
    tensors = dict(_tensors(graph))
    found = {tensors[name]: between for name, between in learned.items() if name in tensors}
    missing = tuple(name for name in learned if name not in tensors)
    if not found:
        return ranges, missing
    # what rounding weights adds was there in training, and the biases were trained with it
    return ranges.model_copy(update={"tensors": {**ranges.tensors, **found}, "biases": {}}), missing


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, str]]:
    for node in graph.node:
        if node.op_type in LAYERS:
            yield node.input[1], node.input[0]
            yield output_of(node.input[1]), node.output[0]
