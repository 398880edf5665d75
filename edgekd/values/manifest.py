"""What lies beside an artifact's file: how to feed it, what its outputs mean, where it comes from, what was proven."""

from typing import Any, Literal

from edgekd.values.data import Preprocessing
from edgekd.values.deployment import Parity, Setting
from edgekd.values.lineage import Lineage
from edgekd.values.measurement import Accuracy
from edgekd.values.value import Interval, Milliseconds, Name, NonNegativeInt, PositiveInt, Value

PREPROCESSING, CLASSES, LINEAGE = "edgekd.preprocessing", "edgekd.classes", "edgekd.lineage"
"""Keys of an ONNX file's metadata; their values are JSON."""


class Feeding(Value):
    """How an image becomes the input of a file, and the classes of its logits."""

    preprocessing: Preprocessing
    normalised_by: Literal["caller", "graph"] = "caller"
    """Who subtracts `mean` and divides by `std`: the caller, and the input is float32 (1, C, H, W); or the file's
    graph, and the input is pixels, uint8 (1, H, W, C).
    """
    classes: tuple[str, ...]
    """In the order of the logits."""


class Port(Value):
    """An input or output of a file."""

    name: str
    dtype: str
    """The name of the type in numpy."""
    shape: tuple[PositiveInt, ...]
    layout: str
    """The axes: N images, C channels (or classes), H rows, W columns."""


class Proof(Value):
    """What was shown of a file by the runtime that runs it."""

    parity: Parity
    """How far its outputs are from the network's."""
    validation: Accuracy
    test: Accuracy | None = None
    """None where the test set was not read."""


class MeasuredLatency(Value):
    """A summary of a file's measurement; the document with its samples has the same SHA-256."""

    device: Name
    """The board or the processor, and its cores."""
    arch: Name
    os: Name
    power_mode: Name | None = None
    runtime: Name
    """With its version."""
    provider: Name
    settings: dict[str, Setting | None]
    """All of the runtime's, its defaults included."""
    median_ms: Milliseconds
    samples: PositiveInt
    ratio: Interval | None = None
    """Of its latency to the reference's, measured in turns; None where it is the reference."""
    reference: Name | None = None
    """The reference's name."""
    when: str | None = None
    """The time (UTC) at which it was measured."""


class Manifest(Feeding):
    """The file NAME.json beside an artifact's file.

    What is known when a file is written (preprocessing, classes, lineage) is in the file's own metadata too. What is
    found out later, by running it, is only here: the file that was measured is the file that is shipped, byte for byte.
    """

    schema_version: Literal["edgekd.manifest/2"] = "edgekd.manifest/2"
    file: str
    sha256: str
    further_files: dict[Name, str] = {}
    """The SHA-256 of the other files of a format that has several, by name."""
    disk_bytes: NonNegativeInt | None = None
    """Of all files; None where an earlier version wrote the manifest."""
    precision: str
    runtime: str
    settings: dict[str, Setting] = {}
    """The runtime's settings that differ from its defaults."""
    input: Port
    output: Port
    lineage: Lineage | None = None
    recipe: dict[str, Any] | None = None
    """Every setting of the run that made it; paths are reduced to their last part."""
    recipe_sha256: str | None = None
    """Of the run's `recipe.toml`."""
    proof: Proof | None = None
    measured: MeasuredLatency | None = None
