"""What a file was made from, and how."""

from typing import Literal

from edgekd.values.value import Name, NonNegativeInt, PositiveInt, Value


class NetworkOrigin(Value):
    """A network, as far as it decides what a file computes."""

    model: Name
    """Its name, as `compress --model` takes it."""
    structure: str | None = None
    """The SHA-256 of what it computes whatever its weights, and of what was removed from it."""
    weights: str
    """The SHA-256 of its weights as edgekd keeps them."""


class DataOrigin(Value):
    """The images that a network was trained, calibrated or checked on."""

    name: Name
    """Without folders of the machine that they were on."""
    fingerprint: str
    """The SHA-256 of images, splits and labels."""
    train: NonNegativeInt
    validation: NonNegativeInt
    test: NonNegativeInt


class Quantised(Value):
    """How layers came to compute in integers."""

    images: PositiveInt
    """Of the training split, that it was calibrated on."""
    method: str
    """By which ranges were found; the library's name where one of its own found them."""
    learned: bool = False
    """Whether the ranges of some layers were learned in quantisation-aware training instead."""
    equalised: bool = False
    """Whether channels between layers were given similar magnitudes first."""
    ranges: str | None
    """The SHA-256 of the document of ranges; None where a library found its own."""
    layers: tuple[Name, ...]
    """The layers in INT8, by their weights."""


class Lineage(Value):
    """What a file was made from, and how: known when it is written, so part of it."""

    schema_version: Literal["edgekd.lineage/1"] = "edgekd.lineage/1"
    edgekd: str | None = None
    """The version that wrote it; like what follows, None where it isn't known."""
    exporter: str | None = None
    """What wrote the ONNX file that it was made from: "dynamo" or "torchscript"."""
    network: NetworkOrigin | None = None
    teacher: NetworkOrigin | None = None
    """The original that the network was made from; None where it is the original itself, or where that isn't known."""
    data: DataOrigin | None = None
    onnx: str | None = None
    """The SHA-256 of the ONNX file that it was made from, where that was given or is another one."""
    quantised: Quantised | None = None
