"""What a writer provides: one module a runtime family, named as the runtime.

One file can't serve all: TensorRT wants symmetric S8 with no Q between Conv and ReLU, ONNX Runtime on x86 U8S8.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from edgekd import catalog
from edgekd.catalog import Kind
from edgekd.deploy.check import Tolerance
from edgekd.deploy.quantise.calibration import Calibration, Images
from edgekd.values import Manifest, Value, Variant
from edgekd.values.rounding import Rounding
from edgekd.variants import complete


class Precision(Value):
    """A precision in which a writer writes networks."""

    tolerance: Tolerance
    """What the check demands of it when the runtime runs it."""
    integers: bool = False
    """Whether layers compute in integers, so that the network is calibrated first."""
    rounding: Rounding = Rounding()
    """Where layers compute in integers: what quantisation-aware training simulates."""
    measured_layers: bool = False
    """Whether only those layers compute in integers that the device computes faster so: `Source.layers`."""
    file: str | None = None
    """The precision whose file it runs, with another setting of the runtime; None: a file of its own."""
    library: str | None = None
    """What its file is written with and an extra of edgekd brings, by the name of its import; None: nothing such."""


@dataclass(frozen=True)
class Source:
    """What a writer makes files of."""

    exported: Path
    """The network as an fp32 ONNX file."""
    calibration: Calibration | None = None
    """What quantised precisions are made with, the same for all writers; None for the others."""
    max_opset: int | None = None
    """The highest that the runtime reads on the devices of the target; None where it isn't known."""
    layers: frozenset[str] | None = None
    """The layers that compute in integers, by the names of their weights; None: all that can."""
    images: Callable[[], Images] | None = None
    """Gives training images as the file is fed, to see what its values reach; None: there are none."""

    @property
    def calibrated(self) -> Calibration:
        """The calibration of a precision that declares `integers`."""
        assert self.calibration is not None, "only precisions that declare integers are calibrated"
        return self.calibration


@dataclass(frozen=True)
class Usage:
    """Python with which a user runs an artifact, by the runtime alone."""

    library: str
    """What is imported, and what `title` calls."""
    title: str
    model: str
    """The expression that opens the file, or what `build` made of it."""
    logits: str
    """The expression of the logits (C,) for `values`, an array as the file is fed, by `model`."""
    classes: str
    """The expression of the classes' names, by `model` and what lies beside it."""
    prepare: str = ""
    """Statements before `model`, with the settings of the variant that it takes."""
    build: str = ""
    """The command that builds, on the device, what `model` opens; none where that is the file itself."""
    start: str = ""
    """Statements after `model`."""
    feed: str = ""
    """Statements after `values`, before `logits`."""


class Writer(Protocol):
    """The members of a writer module."""

    @property
    def precisions(self) -> Mapping[str, Precision]:
        """Those that it writes, by name."""

    def write(self, source: Source, precision: str, path: Path) -> Path:
        """The file that the runtime opens for a network in one of the precisions.

        Args:
            source: the network.
            precision: one of `precisions`.
            path: what to call the file, in a folder that is there.

        Returns:
            `path`, written, with another suffix where the runtime's format has its own; or `source.exported`, where
            that file serves as it is.

        Raises:
            UnsupportedModelError: it can't be written for this network, for whatever reason; nothing is left at `path`.
            StorageError: the folder isn't writable or the disk is full.
        """

    def usage(self, manifest: Manifest) -> Usage:
        """How a user runs one of its artifacts, with the settings with which it was measured."""


def settings_of(manifest: Manifest) -> dict[str, Any]:
    """All settings with which an artifact was measured, the runtime's defaults included."""
    variant = Variant(runtime=manifest.runtime, precision=manifest.precision, settings=manifest.settings)
    return dict(complete(variant))


def declared(runtime: str, precision: str) -> Precision | None:
    """What a runtime's writer declares of a precision; None where edgekd writes no such files."""
    return catalog.load(WRITERS, runtime).precisions.get(precision) if runtime in catalog.names(WRITERS) else None


def integers(runtime: str, precision: str) -> bool:
    """Whether a runtime computes layers in integers in that precision, as far as edgekd writes such files."""
    found = declared(runtime, precision)
    return found is not None and found.integers


def first_rounding(variants: Iterable[Variant]) -> Rounding:
    """The rounding of the first variant that computes in integers; that of ONNX Runtime's INT8 where none does."""
    for variant in variants:
        if integers(variant.runtime, variant.precision):
            return catalog.load(WRITERS, variant.runtime).precisions[variant.precision].rounding
    return catalog.load(WRITERS, "onnxruntime").precisions["int8"].rounding


WRITERS = Kind[Writer]("deploy.writers", "writer")
