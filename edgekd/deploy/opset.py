"""The opset in which a target's files are written, and the IR version of a file."""

from collections.abc import Iterable, Mapping

import onnx

from edgekd.devices.reading import reads
from edgekd.values import Target


def ceiling(target: Target, runtime: str, version: str | None = None) -> int | None:
    """The highest opset that a runtime reads on the target's devices; None where it isn't known.

    Args:
        target: its `max_opset` states one for each major version, such as `tensorrt-10`, or one for all.
        runtime: its name.
        version: what the device has; if None, or its major version isn't listed, the newest that is listed counts.
    """
    stated = _stated(target, runtime)
    major = (version or "").partition(".")[0]
    row = reads(runtime, version) if version else None
    of_target = stated.get(f"{runtime}-{major}") or max(stated.values(), default=None)
    known = [opset for opset in (of_target, row and row["opset"]) if opset is not None]
    return min(known, default=None)


def ceilings(target: Target, runtimes: Iterable[str], versions: Mapping[str, str]) -> dict[str, int]:
    """The `ceiling` of each of the runtimes that has one; `versions` are the device's, by runtime."""
    found = {name: ceiling(target, name, versions.get(name)) for name in runtimes}
    return {name: opset for name, opset in found.items() if opset is not None}


def exported(target: Target, runtimes: Iterable[str], versions: Mapping[str, str], usual: int) -> int:
    """The opset of a file that all of the runtimes read: on the device with these versions, and of a runtime whose
    version isn't known, in every version that the target states.

    Args:
        target: of the device.
        runtimes: that are to read the file.
        versions: the device's, by runtime.
        usual: the opset where none of them is too old for it.
    """
    found = [usual]
    for name in runtimes:
        if name in versions:
            found += ceilings(target, [name], versions).values()
        else:
            found += _stated(target, name).values()
    return min(found)


def lower_ir_version(model: onnx.ModelProto) -> None:
    """State the lowest IR version that a model's opsets need: exporters state their own library's, which older runtimes
    refuse.
    """
    needed = onnx.helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    # functions are of IR version 8
    model.ir_version = max(needed, 8) if model.functions else needed


def _stated(target: Target, runtime: str) -> dict[str, int]:
    return {key: opset for key, opset in target.max_opset.items() if key.partition("-")[0] == runtime}
