"""What of ONNX a file needs a runtime to know."""

from collections.abc import Iterable

import onnx

from edgekd.values import Needs

_OWN = ("", "ai.onnx")


def needs(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> Needs:
    """What the model needs.

    Args:
        model: it need not have its external data.
        nodes: all of it, also those of functions and subgraphs.
    """
    opset = next((entry.version for entry in model.opset_import if entry.domain in _OWN), 1)
    own = {(function.domain, function.name) for function in model.functions}
    used = {(node.domain, node.op_type) for node in nodes} - own
    operators = sorted(_called(domain, name, opset) for domain, name in used)
    return Needs(ir_version=model.ir_version, opset=opset, operators=tuple(operators))


def _called(domain: str, name: str, opset: int) -> str:
    if domain not in _OWN:
        return f"{domain}:{name}"
    try:
        return f"{name}-{onnx.defs.get_schema(name, opset).since_version}"
    except onnx.defs.SchemaError:  # newer than this machine's ONNX, or none
        return name
