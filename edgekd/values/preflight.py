"""What is known about a file for TensorRT before a device builds an engine from it."""

from typing import Literal

from edgekd.values.value import Name, Value


class Finding(Value):
    """Something about a file that a target or its runtime doesn't take, or takes for something else."""

    rule: str
    """Its name, such as `zero-point`."""
    severity: Literal["error", "warning"]
    """An error: no engine can be built, or it computes something else."""
    message: Name
    remedy: Name


class Parsed(Value):
    """What NVIDIA's ONNX parser and compiler made of a file on this machine, without a GPU."""

    status: Literal["accepted", "parsed", "refused", "not judged"]
    """parsed: by the parser alone, since the file leaves axes open; not judged: they can't be run here, crashed or took
    too long.
    """
    message: Name
    compiler: str | None = None
    """Which, and for which GPU; None where there is none."""


class Preflight(Value):
    """The static rules' findings, and what NVIDIA's own parser and compiler said."""

    findings: tuple[Finding, ...]
    parsed: Parsed | None = None
    """None where they weren't asked."""
