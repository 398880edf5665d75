"""PyTorch → ONNX, one image a batch: what the device runs is what is written."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator, Set
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn
from torch.onnx import TrainingMode

import edgekd
from edgekd.deploy.opset import lower_ir_version
from edgekd.errors import UnsupportedModelError
from edgekd.files import writing

_FOLDING = ("Conv", "ConvTranspose")
"""What the TorchScript exporter folds batch normalisations into; the weights lose their names then."""
INPUT, OUTPUT = "input", "logits"
OPSET = 18
"""The lowest that the dynamo exporter really writes: asked for 17, it gives 18 silently."""


def export_onnx(model: nn.Module, example: Tensor, path: Path, *, opset: int = OPSET) -> str:
    """Write `model` to `path` with the shape of `example` (1, C, H, W); weights inside the file.

    Returns:
        The exporter that did it: "dynamo", or "torchscript" where that one failed or `opset` is too low for it.

    Raises:
        UnsupportedModelError: neither can export this model.
        StorageError: the file can't be written.
    """
    model = model.eval()
    problems = []
    for exporter in ("dynamo", "torchscript") if opset >= OPSET else ("torchscript",):
        try:
            with _quiet():
                proto = _dynamo(model, example, opset) if exporter == "dynamo" else _torchscript(model, example, opset)
        # The exporters raise whatever the model's code or their own passes raise; the message is what the user needs.
        except Exception as e:
            problems.append(f"{exporter}: {type(e).__name__}: {str(e).strip().splitlines()[0][:300] if str(e) else ''}")
            continue
        proto.producer_name, proto.producer_version = "edgekd", edgekd.__version__
        lower_ir_version(proto)
        with writing(path):
            onnx.save(proto, path)
        return exporter
    raise UnsupportedModelError(
        f"the model can't be exported to ONNX: {'; '.join(problems)}",
        "Its forward may branch on data or use an operator that ONNX lacks; rewrite that part with plain layers.",
    )


def _dynamo(model: nn.Module, example: Tensor, opset: int) -> onnx.ModelProto:
    program = torch.onnx.export(
        model, (example,), dynamo=True, opset_version=opset, input_names=[INPUT], output_names=[OUTPUT], verbose=False
    )
    assert program is not None
    proto = program.model_proto
    # Traces of the exporter: they double a small file and name the folders of this machine
    for node in (*proto.graph.node, *(n for f in proto.functions for n in f.node)):
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    proto.graph.ClearField("metadata_props")
    for value in (*proto.graph.value_info, *proto.graph.input, *proto.graph.output, *proto.graph.initializer):
        value.ClearField("metadata_props")
    return proto


def _torchscript(model: nn.Module, example: Tensor, opset: int) -> onnx.ModelProto:
    """The model with batch normalisations inside convolutions, whose weights keep their names as with dynamo."""
    folded, whole = (_traced(model, example, opset, mode) for mode in (TrainingMode.EVAL, TrainingMode.PRESERVE))
    _name_weights(folded, whole, {name for name, _ in model.named_parameters()})
    return folded


def _traced(model: nn.Module, example: Tensor, opset: int, mode: TrainingMode) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        path = Path(folder) / "model.onnx"
        torch.onnx.export(
            model,
            (example,),
            path,
            dynamo=False,
            opset_version=opset,
            input_names=[INPUT],
            output_names=[OUTPUT],
            training=mode,
        )
        return onnx.load(path)


def _name_weights(folded: onnx.ModelProto, whole: onnx.ModelProto, parameters: Set[str]) -> None:
    """Name the weights of convolutions as in the same graph where nothing is folded; its nodes have the same order."""
    ours, theirs = ([node for node in each.graph.node if node.op_type in _FOLDING] for each in (folded, whole))
    if len(ours) != len(theirs):
        return
    taken = {tensor.name for tensor in folded.graph.initializer}
    names = {
        mine.input[1]: other.input[1]
        for mine, other in zip(ours, theirs, strict=True)
        if other.input[1] in parameters - taken
    }
    for tensor in folded.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in ours:
        node.input[1] = names.get(node.input[1], node.input[1])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporters talk on every channel there is; what matters is what they raise."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
