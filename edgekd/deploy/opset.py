"""The highest ONNX opset that a target's runtimes read, and the IR version of a file."""

from collections.abc import Mapping

import onnx

from edgekd.values import Target


def ceiling(target: Target, runtime: str, version: str | None = None) -> int | None:
    """The highest opset that a runtime reads on the target's devices; None where the target doesn't state one.

    Args:
        target: its `max_opset` states one for each major version, such as `tensorrt-10`, or one for all.
        runtime: its name.
        version: what the device has; if None, or not listed, the newest that is listed counts.
    """
    stated = {key: opset for key, opset in target.max_opset.items() if key.partition("-")[0] == runtime}
    major = (version or "").partition(".")[0]
    return stated.get(f"{runtime}-{major}") or max(stated.values(), default=None)


def ceilings(target: Target, versions: Mapping[str, str] | None = None) -> dict[str, int]:
    """The `ceiling` of each of the target's runtimes that has one; `versions` are the device's, by runtime."""
    found = {name: ceiling(target, name, (versions or {}).get(name)) for name in target.runtimes}
    return {name: opset for name, opset in found.items() if opset is not None}


def lower_ir_version(model: onnx.ModelProto) -> None:
    """State the lowest IR version that a model's opsets need: exporters state their own library's, which older runtimes
    refuse.
    """
    needed = onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    # functions are of IR version 8
    model.ir_version = max(needed, 8) if model.functions else needed
