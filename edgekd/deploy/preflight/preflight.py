"""The whole preflight of a file: the static rules, then NVIDIA's own parser."""

from pathlib import Path

from edgekd.deploy.preflight.lint import lint
from edgekd.deploy.preflight.parser import parse
from edgekd.deploy.preflight.rule import Destination
from edgekd.values.preflight import Finding, Preflight

_PARSER = "nvidia-parser"


def preflight(path: Path, to: Destination) -> Preflight:
    """What stands in the way of an ONNX file on a target's TensorRT, as far as this machine can tell.

    Args:
        path: of a valid model.
        to: the TensorRT that is to read it.
    """
    findings = lint(path, to)
    parsed = parse(path, to.compute_capability)
    if parsed.status == "refused":
        remedy = "Rewrite what it names with plain layers, or export the network in another precision."
        found = Finding(
            rule=_PARSER,
            severity="error",
            message=f"NVIDIA's parser or compiler refuses it: {parsed.message}",
            remedy=remedy,
        )
        findings = (*findings, found)
    return Preflight(findings=findings, parsed=parsed)
