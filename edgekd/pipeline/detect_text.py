"""Which target a device matches, as lines of text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgekd.pipeline.doctor_text import hardware

if TYPE_CHECKING:  # the command line imports nothing heavy
    from edgekd.pipeline.detect import Detected


def lines(found: "Detected") -> Iterator[str]:
    """What `edgekd targets detect` prints."""
    host = found.host
    yield f"device: {found.device} {hardware(host)} ({host.arch} {host.os})"
    if found.platform.compatible:
        yield f"identifiers: {', '.join(found.platform.compatible)}"
    for one in found.targets[:1]:
        yield f"target: {one.target} ({one.title})"
        yield f"  because {', '.join(one.why)}"
    for one in found.targets[1:]:
        yield f"also: {one.target} ({one.title})"
    if not found.targets:
        yield "target: none"
    for one in found.close:
        yield f"not {one.target}: {', '.join(one.why)}"
    for remark in found.remarks:
        yield f"- {remark}"
    if found.targets:
        yield f"What is installed there: edgekd doctor --device {found.device}"
