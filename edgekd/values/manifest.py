"""How to feed an artifact, and what its outputs mean."""

from typing import Literal

from edgekd.values.data import Preprocessing
from edgekd.values.deployment import Setting
from edgekd.values.value import PositiveInt, Value

PREPROCESSING, CLASSES = "edgekd.preprocessing", "edgekd.classes"
"""Keys of an ONNX file's metadata; their values are JSON."""


class Feeding(Value):
    """How an image becomes the input of a file, and the classes that its logits stand for."""

    preprocessing: Preprocessing
    normalised_by: Literal["caller", "graph"] = "caller"
    """Who takes `mean` off and divides by `std`: whoever feeds the file, which then takes float32 (1, C, H, W), or the
    file's graph, which then takes the pixels themselves, uint8 (1, H, W, C).
    """
    classes: tuple[str, ...]
    """In the order of the logits."""


class Port(Value):
    """An input or output of a file."""

    name: str
    dtype: str
    """As numpy calls it."""
    shape: tuple[PositiveInt, ...]
    layout: str
    """What the axes are: N images, C channels (or classes), H rows, W columns."""


class Manifest(Feeding):
    """What lies beside an artifact's file, as NAME.json: how to feed it, and what its outputs mean."""

    schema_version: Literal["edgekd.manifest/1"] = "edgekd.manifest/1"
    file: str
    sha256: str
    precision: str
    runtime: str
    settings: dict[str, Setting] = {}
    """Of the runtime, those that differ from its defaults."""
    input: Port
    output: Port
