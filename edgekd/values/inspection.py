"""What a model's file consists of, as counted from its graph."""

from typing import Annotated, Literal

from pydantic import Field

from edgekd.values.lineage import Lineage
from edgekd.values.manifest import Feeding, Manifest
from edgekd.values.value import Name, Value

Count = Annotated[int, Field(ge=0)]
"""Any size: what a damaged file states may be more than memory holds."""
Shape = tuple[Count | Name | None, ...]
"""An open axis is its name, or None where it has none."""


class Tensor(Value):
    """An input or output of a graph."""

    name: Name
    dtype: str
    """Of its elements, such as "fp32", "uint8" or "int64"; what isn't a tensor by its kind, such as "sequence"."""
    shape: Shape | None
    """None: not stated."""


class Layer(Value):
    """A convolution or matrix product."""

    name: Name
    """Of its weight in the network; of the node where the weight is computed."""
    op: Name
    """Such as `Conv`, or `com.microsoft:QGemm` with the operator's domain; the kind of a layer of ncnn."""
    node: Name
    precision: str
    """What it computes in: "int8" where weights and inputs are quantised, otherwise the type of its inputs."""
    weights: str
    """The type in which they are stored."""
    activations: str
    """The type of its input; where it is dequantised right before, that of the integers."""
    input: Shape | None
    output: Shape | None
    parameters: Count
    """Elements of its weight and bias, as far as they are constants."""
    macs: Count | None
    """Multiply-accumulates of one inference; None where they can't be counted."""
    within: Name | None = None
    """The If, Loop or Scan in whose body it is: how often it runs is not known."""


class NotCounted(Value):
    """Operators whose multiply-accumulates are not in the total."""

    op: Name
    nodes: Count
    why: str


class ExternalFile(Value):
    """A file with weights, as the model names it."""

    path: Name
    bytes: Count | None
    """None: it is missing, or outside the model's folder, where edgekd doesn't look."""


class Totals(Value):
    """Sums over the graph."""

    nodes: Count
    """Those of bodies of If, Loop and Scan included."""
    parameters: Count
    """Elements of all weights: constants of floating-point numbers with two or more elements, and quantised weights.
    Each counts once; scales, zero points and shapes don't count.
    """
    macs: Count
    """Multiply-accumulates of convolutions and matrix products for one inference, as far as they can be counted."""
    int8_macs: Count
    """Those of layers whose weights and inputs are 8-bit integers."""
    file_bytes: Count
    external_bytes: Count

    @property
    def int8_coverage(self) -> float | None:
        """The fraction of the MACs in INT8; None without any MACs."""
        return self.int8_macs / self.macs if self.macs else None


class Beside(Value):
    """A manifest in the folder of the file that names it."""

    file: Name
    problem: str | None = None
    """Why nothing of it holds for the file: another SHA-256, or a manifest that can't be read."""
    manifest: Manifest | None = None
    """None where there is a problem."""


class Inspection(Value):
    """The document of `edgekd inspect --json`."""

    schema_version: Literal["edgekd.inspection/1"] = "edgekd.inspection/1"
    file: Name
    sha256: str
    """Of the file, without external data."""
    format: str
    ir_version: int | None = None
    """Of ONNX alone, like what follows."""
    opsets: dict[Name, int] = {}
    """By domain; ONNX's own is "ai.onnx"."""
    producer: Name = ""
    """What wrote the file, with its version; empty where it isn't stated."""
    metadata: dict[Name, str] = {}
    """All that the file states in its metadata."""
    feeding: Feeding | None = None
    """How it is fed and what its classes are, as edgekd writes it into the metadata; None where it doesn't say."""
    lineage: Lineage | None = None
    """What it was made from, likewise."""
    unreadable: tuple[Name, ...] = ()
    """Keys of edgekd's own in the metadata whose values this version of edgekd can't read."""
    manifests: tuple[Beside, ...] = ()
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    dynamic: bool
    """Whether an input has an open axis."""
    counted_for: dict[Name, Shape] = {}
    """The shapes of the inputs that shapes and MACs below refer to, where they differ from the stated ones: an open
    first axis counts as 1.
    """
    layers: tuple[Layer, ...]
    operators: dict[Name, Count]
    """How many nodes of each."""
    totals: Totals
    not_counted: tuple[NotCounted, ...] = ()
    shapes_failed: str | None = None
    """Why shapes could not be inferred, so that those that the file states count."""
    external: tuple[ExternalFile, ...] = ()
