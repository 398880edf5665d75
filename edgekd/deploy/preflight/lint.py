"""Holds a file to the static rules."""

from pathlib import Path

import onnx

from edgekd.deploy.preflight import half, quantisation, versions
from edgekd.deploy.preflight.model import Model
from edgekd.deploy.preflight.rule import Destination
from edgekd.values.preflight import Finding

RULES = (*quantisation.RULES, *versions.RULES, *half.RULES)

_SHOWN = 3


def lint(path: Path, to: Destination) -> tuple[Finding, ...]:
    """What of an ONNX file the rules find, the errors first.

    Args:
        path: of a model; the files of its external data aren't read.
        to: the TensorRT that is to read it.
    """
    # explicit format: otherwise the suffix decides, and the file might be parsed as text
    model = Model(onnx.load(path, format="protobuf", load_external_data=False))
    found = []
    for rule in RULES:
        if places := list(dict.fromkeys(rule.broken(model, to))):
            more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
            message = f"{rule.message}: {', '.join(places[:_SHOWN])}{more}"
            found.append(Finding(rule=rule.id, severity=rule.severity, message=message, remedy=rule.remedy))
    return tuple(sorted(found, key=lambda finding: finding.severity))
