"""A float graph without what only an exporter needs: constants folded, batch normalisations inside convolutions."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnxruntime
from onnx import numpy_helper

from edgekd.deploy.quantise.view import View, attribute, view
from edgekd.errors import StorageError, UnsupportedModelError

_SCALES_BY_CHANNEL_FROM = 13
_FOLDED = re.compile(r"^(Conv(Bn|Mul)Fusion_W_)+")
"""What ONNX Runtime puts before the name of a weight into which it folds what follows the convolution."""


def simplified(path: Path) -> onnx.ModelProto:
    """The model in a file after ONNX Runtime's basic optimisations, which leave ONNX's own operators, with shapes.

    Raises:
        StorageError: the folder for temporary files is full.
        Exception: whatever ONNX Runtime raises for a model that it can't open.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        written = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(written)
        with _writing(Path(folder)):
            onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        model = onnx.load(written)
    used = {node.domain for node in model.graph.node} | {""}
    kept = [entry for entry in model.opset_import if entry.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    original = onnx.load(path, load_external_data=False)
    model.producer_name, model.producer_version = original.producer_name, original.producer_version
    _name_weights_back(model.graph)
    _replace(model.graph, _pooled, _hard_sigmoid)
    return onnx.shape_inference.infer_shapes(model)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """ONNX Runtime doesn't report why it couldn't write a model, which it had read and optimised by then."""
    try:
        yield
    except Exception as e:
        if "serialization failed" not in str(e):
            raise
        hint = "Free some space there, or set TMPDIR to a folder with more of it."
        raise StorageError(f"{folder.parent}: ONNX Runtime can't write a temporary file there", hint) from e


def _name_weights_back(graph: onnx.GraphProto) -> None:
    """Give weights into which something was folded their own names, by which layers are called."""
    taken = {name for node in graph.node for name in (*node.input, *node.output)}
    renamed: dict[str, str] = {}
    for node in graph.node:
        for name in node.input:
            own = _FOLDED.sub("", name)
            # where layers shared a weight, the first one keeps its name
            if own not in taken:
                renamed[name] = own
                taken.add(own)
        node.input[:] = [renamed.get(name, name) for name in node.input]
    for tensor in graph.initializer:
        tensor.name = renamed.get(tensor.name, tensor.name)


_Replacement = Callable[[onnx.NodeProto, View], Sequence[onnx.NodeProto]]


def _replace(graph: onnx.GraphProto, *replacements: _Replacement) -> None:
    """Put what runtimes have integer kernels for in place of operators that they haven't."""
    seen, nodes = view(graph), list(graph.node)
    del graph.node[:]
    for node in nodes:
        graph.node.extend(next((found for replace in replacements if (found := replace(node, seen))), [node]))


def _pooled(node: onnx.NodeProto, seen: View) -> Sequence[onnx.NodeProto]:
    """A GlobalAveragePool for a mean over an image's axes."""
    if node.op_type != "ReduceMean" or len(seen.shapes.get(node.input[0], ())) != 4 or _axes(node, seen) != {2, 3}:
        return ()
    make = onnx.helper.make_node
    if attribute(node, "keepdims", 1):
        return (make("GlobalAveragePool", node.input[:1], node.output, node.name),)
    pooled = f"{node.output[0]}_pooled"
    return (
        make("GlobalAveragePool", node.input[:1], [pooled], node.name),
        make("Flatten", [pooled], node.output, f"{node.name}_flat"),
    )


def _hard_sigmoid(node: onnx.NodeProto, seen: View) -> Sequence[onnx.NodeProto]:
    """A HardSigmoid and a product for a HardSwish, as which runtimes compute it in any case."""
    if node.op_type != "HardSwish":
        return ()
    make, gate = onnx.helper.make_node, f"{node.output[0]}_gate"
    return (
        make("HardSigmoid", node.input, [gate], f"{node.name}_gate", alpha=1 / 6, beta=0.5),
        make("Mul", [*node.input, gate], node.output, node.name),
    )


def _axes(node: onnx.NodeProto, seen: View) -> set[int]:
    """Of a reduction of four axes; none where they are computed."""
    given: list[int] = [axis for found in node.attribute if found.name == "axes" for axis in found.ints]
    if len(node.input) > 1 and node.input[1] in seen.constants:
        given = numpy_helper.to_array(seen.constants[node.input[1]]).tolist()
    return {axis % 4 for axis in given}


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that a model uses."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def require_scales_by_channel(model: onnx.ModelProto) -> None:
    """Raises UnsupportedModelError if Q/DQ pairs can't have a scale for each channel in the model's opset."""
    if (found := opset(model)) < _SCALES_BY_CHANNEL_FROM:
        what = (
            f"INT8 takes opset {_SCALES_BY_CHANNEL_FROM}, where weights have a scale for each channel, and the runtime"
        )
        hint = "Use a newer version of the runtime on the device, or another variant."
        raise UnsupportedModelError(f"{what} reads no more than opset {found}", hint)


def at_least(model: onnx.ModelProto, wanted: int) -> onnx.ModelProto:
    """The model in the opset `wanted`, or as it is where its own is not lower.

    Raises:
        Exception: whatever ONNX's converter raises for an operator that it can't convert.
    """
    if opset(model) >= wanted:
        return model
    return onnx.shape_inference.infer_shapes(onnx.version_converter.convert_version(model, wanted))
