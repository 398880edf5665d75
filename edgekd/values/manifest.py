"""How to feed an artifact, and what its outputs mean."""

from typing import Literal

from edgekd.values.data import Preprocessing
from edgekd.values.deployment import Setting
from edgekd.values.value import PositiveInt, Value

PREPROCESSING, CLASSES = "edgekd.preprocessing", "edgekd.classes"
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


class Manifest(Feeding):
    """The file NAME.json beside an artifact's file: its preprocessing, and the meaning of its outputs."""

    schema_version: Literal["edgekd.manifest/1"] = "edgekd.manifest/1"
    file: str
    sha256: str
    precision: str
    runtime: str
    settings: dict[str, Setting] = {}
    """The runtime's settings that differ from its defaults."""
    input: Port
    output: Port
