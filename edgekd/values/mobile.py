"""A model as an app on a phone takes it."""

from typing import Literal

from edgekd.values.deployment import Artifact, Parity
from edgekd.values.value import Name, NonNegativeInt, Value


class Accelerator(Value):
    """What ONNX Runtime's usability checker says of an execution provider; nothing was run by it."""

    provider: Name
    suits: Literal["yes", "maybe", "no"]
    """Whether the model should be tried with it."""
    nodes: NonNegativeInt
    supported: NonNegativeInt
    """Nodes that it takes."""
    partitions: NonNegativeInt
    """Pieces in which it takes them: between two of them the CPU computes."""
    unsupported: tuple[Name, ...] = ()
    """Operators that it doesn't take."""


class ForApp(Value):
    """A model in ONNX Runtime's own format, and what a build of ONNX Runtime that runs no other model must contain."""

    artifact: Artifact
    """The `.ort` file, with its sizes; all optimisations for Arm CPUs are in it (the fixed style)."""
    operators: Name
    """The file with the operators and types that the model needs, for a reduced build."""
    report: Name
    """The file with what the usability checker says."""
    made_by: Name
    """What converted it; versions of ONNX Runtime before 1.16 don't read it."""
    accelerators: tuple[Accelerator, ...]
    checked_by: str
    """What ran it beside the ONNX file."""
    parity: Parity
    """With the ONNX file."""
