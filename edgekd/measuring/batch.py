"""Whether files can be measured with the batch size that was asked for, and beside each other."""

from collections.abc import Iterable
from pathlib import Path

import onnx

from edgekd.errors import UnsupportedModelError
from edgekd.measuring.ncnn_file import is_ncnn
from edgekd.values import MeasuringProtocol


def require_batch(files: Iterable[Path], protocol: MeasuringProtocol) -> None:
    """Raises UnsupportedModelError if the protocol states a batch size that a file's inputs don't have.

    A batch size that is left at its default is replaced by that of a model with a fixed one.

    Args:
        files: models, already read once.
        protocol: with the stated shapes.
    """
    if "batch" not in protocol.model_fields_set:
        return
    for file in dict.fromkeys(files):
        sizes = _first_axes(file, protocol)
        if sizes and protocol.batch not in sizes:
            raise UnsupportedModelError(
                f"--batch {protocol.batch}: {file} is for batch size {_listed(sizes)}",
                "Leave --batch out, or export the model with an open batch axis.",
            )


def require_same_batch(file: Path, baseline: Path, protocol: MeasuringProtocol) -> None:
    """Raises UnsupportedModelError if two models would be measured with other batch sizes.

    Args:
        file: a model, already read once.
        baseline: what it is compared with.
        protocol: with the stated shapes.
    """
    ours, theirs = _first_axes(file, protocol), _first_axes(baseline, protocol)
    if ours and theirs and not ours & theirs:
        raise UnsupportedModelError(
            f"{file} is for batch size {_listed(ours)}, and {baseline} for {_listed(theirs)}",
            "Export both with one batch size, or with an open batch axis.",
        )


def _listed(sizes: set[int]) -> str:
    return " and ".join(map(str, sorted(sizes)))


def _first_axes(file: Path, protocol: MeasuringProtocol) -> set[int]:
    """The sizes of the inputs' first axes as they would be measured."""
    if is_ncnn(file):  # its runtime takes one image
        return {1}
    graph = onnx.load(file, format="protobuf", load_external_data=False).graph
    weights = {tensor.name for tensor in graph.initializer}  # before IR version 4 these are inputs too
    inputs = [one for one in graph.input if one.name not in weights]
    stated = dict(protocol.shapes)
    if "" in stated and len(inputs) == 1:
        stated[inputs[0].name] = stated[""]
    sizes = set()
    for one in inputs:
        axes = one.type.tensor_type.shape.dim
        if shape := stated.get(one.name):
            sizes.add(shape[0])
        elif axes:
            sizes.add(max(0, axes[0].dim_value) or protocol.batch)  # some converters write -1 for an open one
    return sizes
