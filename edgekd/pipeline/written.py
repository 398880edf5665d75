"""Write: an ONNX file, calibrated once, in the files that runtimes open, by runtime and precision. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import edgekd
from edgekd import catalog
from edgekd.deploy.feeding import stamp_like
from edgekd.deploy.quantise.calibration import Calibrated, Calibration, Images, calibrate
from edgekd.deploy.writers._base import WRITERS, Source
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.measuring.graph.inspection import inspect_file
from edgekd.measuring.graph.ncnn_inspection import inspect_ncnn
from edgekd.measuring.ncnn_file import is_ncnn
from edgekd.run import Run, Workspace
from edgekd.values import Artifact, Lineage, Value, Variant
from edgekd.values.lineage import Quantised
from edgekd.values.result import Dropped


class Graph(Value):
    """A network as an fp32 ONNX file."""

    exporter: str
    """What wrote it: "dynamo" or "torchscript"; "" where the file was given."""
    artifact: Artifact
    """The file, whatever runs it."""


class Exported(Value):
    """A network's artifacts before they are checked."""

    exporter: str
    """As the graph's."""
    variants: tuple[Variant, ...]
    """All that were asked for."""
    artifacts: tuple[Artifact, ...]
    """Of those that could be written, in their order."""
    dropped: tuple[Dropped, ...] = ()
    """The variants that couldn't be written."""

    def of(self, variant: Variant) -> Artifact | None:
        """The artifact of a variant, if it could be written."""
        return next((artifact for artifact in self.artifacts if artifact.variant == variant), None)


class CalibrationImages(Protocol):
    """Some training images; a part of a stage's inputs, so a frozen dataclass, or with a method `key`."""

    def __call__(self) -> Images:
        """The images, as the file is fed."""


@dataclass(frozen=True)
class Calibrating:
    """The inputs of the stage that calibrates a network."""

    graph: Graph
    images: CalibrationImages
    learned: Mapping[str, tuple[float, float]]
    """Ranges that replace the calibrated ones, by the layers' names in the graph; see `Network.ranges`."""
    made_with: dict[str, str | None]


@dataclass(frozen=True)
class Making:
    """What a network's files are made of, and for which runtimes."""

    of: Calibrating
    layers: Mapping[str, tuple[str, ...]]
    """The layers that compute in integers, by the runtime, for precisions where the device's times decide that."""
    max_opset: Mapping[str, int]
    """The highest that the runtimes read, by name, where it is known."""
    float_layers: tuple[str, ...] = ()
    """Those that stay in floats for the accuracy, whatever else says that they compute in integers."""


def write_variants(run: Run, name: str, making: Making, variants: Sequence[Variant]) -> Exported:
    """A graph in every variant, not checked."""
    artifacts: list[Artifact] = []
    dropped: list[Dropped] = []
    for done, variant in enumerate(variants):
        called = f"{name}-{variant.name}"
        if len(variants) > 1:  # who writes several networks in one variant counts those
            run.progress.advance(done, len(variants), f"writing {called}")
        try:
            one = _written(run, name, variant, making)
        except UnsupportedModelError as e:
            dropped.append(Dropped(name=called, why=e.message))
            continue
        artifacts.append(one.model_copy(update={"name": called, "variant": variant}))
    return Exported(
        exporter=making.of.graph.exporter,
        variants=tuple(variants),
        artifacts=tuple(artifacts),
        dropped=tuple(dropped),
    )


def calibrated(run: Run, name: str, making: Making) -> Calibrated:
    """The calibration of a graph, made once.

    Raises:
        UnsupportedModelError: it can't be quantised.
    """
    outcome = run.stage(f"ranges-{name}", making.of, calibration_stage)
    if outcome.calibrated is None:
        raise UnsupportedModelError(outcome.why)
    if unknown := outcome.calibrated.unknown:
        run.progress.warn(f"{name}: {len(unknown)} learned ranges are of no layer in the graph, such as {unknown[0]}")
    return outcome.calibrated


def _written(run: Run, name: str, variant: Variant, making: Making) -> Artifact:
    """The artifact of a file; its name and variant are those of the file.

    Raises:
        UnsupportedModelError: it can't be written.
    """
    precision = catalog.load(WRITERS, variant.runtime).precisions[variant.precision]
    layers = None
    if precision.measured_layers:
        layers = making.layers.get(variant.runtime)
        if layers is None:
            raise UnsupportedModelError("which layers compute in integers is decided by their times on a device")
    found = calibrated(run, name, making) if precision.integers else None
    file, limit = precision.file or variant.precision, making.max_opset.get(variant.runtime)
    writing = _Writing(name, making.of, found, variant.runtime, file, layers, making.float_layers, limit)
    written = run.stage(f"write-{name}-{variant.runtime}-{file}", writing, write_stage)
    if written.artifact is None:
        raise UnsupportedModelError(written.why)
    return written.artifact


class CalibrationOutcome(Value):
    """A calibration, or why there is none."""

    calibrated: Calibrated | None = None
    why: str = ""


def calibration_stage(inputs: Calibrating, at: Workspace) -> CalibrationOutcome:
    """Calibrate a network on training images."""
    try:
        calibrated = calibrate(inputs.graph.artifact.path, inputs.images, at.folder, inputs.learned)
        return CalibrationOutcome(calibrated=calibrated)
    except UnsupportedModelError as e:
        return CalibrationOutcome(why=e.message)


@dataclass(frozen=True)
class _Writing:
    """The inputs of the stage that writes a file."""

    name: str
    calibrating: Calibrating
    calibrated: Calibrated | None
    runtime: str
    precision: str
    layers: tuple[str, ...] | None
    float_layers: tuple[str, ...]
    max_opset: int | None


class Written(Value):
    """A file, or why there is none."""

    artifact: Artifact | None = None
    why: str = ""


def _layers(inputs: _Writing) -> frozenset[str] | None:
    """The layers that compute in integers; None: all that can."""
    layers = None if inputs.layers is None else frozenset(inputs.layers)
    if not inputs.float_layers or inputs.calibrated is None:
        return layers
    return (layers if layers is not None else inputs.calibrated.layers()) - {*inputs.float_layers}


def write_stage(inputs: _Writing, at: Workspace) -> Written:
    """Write a network's file for a runtime in a precision."""
    calibrating, ranges = inputs.calibrating, inputs.calibrated
    exported = calibrating.graph.artifact.path
    taken: list[int] = []

    def images() -> Images:
        found = calibrating.images()
        taken.append(len(found))
        return found

    calibration = ranges.read(images) if ranges else None
    source = Source(exported, calibration, inputs.max_opset, _layers(inputs), calibrating.images)
    # a name of its own, so that no writer's file is taken for another's
    own = at.folder / f"{inputs.name}-{inputs.runtime}-{inputs.precision}.onnx"
    try:
        path = catalog.load(WRITERS, inputs.runtime).write(source, inputs.precision, own)
        if path == exported:
            return Written(artifact=calibrating.graph.artifact)
        origin = _lineage(inputs, path, calibration, taken)
        if path.suffix == own.suffix:  # other formats have no room for metadata
            stamp_like(exported, path, origin)
        found = describe(path, name=inputs.name, runtime=inputs.runtime, precision=inputs.precision)
        return Written(artifact=found.model_copy(update={"lineage": origin}))
    except UnsupportedModelError as e:
        return Written(why=e.message)


def made_of(given: Artifact) -> Lineage:
    """The lineage of what is made of a given ONNX file."""
    origin = given.lineage or Lineage(edgekd=edgekd.__version__)
    return origin.model_copy(update={"onnx": given.files[0].sha256})


def _lineage(inputs: _Writing, path: Path, calibration: Calibration | None, taken: Sequence[int]) -> Lineage:
    """What a written file was made from: what its graph was, and how it was quantised; `taken` are the numbers of
    images that its writer asked for.
    """
    graph, ranges = inputs.calibrating.graph.artifact, inputs.calibrated
    origin = graph.lineage or made_of(graph)
    if ranges is None or calibration is None:
        return origin
    library = catalog.load(WRITERS, inputs.runtime).precisions[inputs.precision].library
    layers = inspect_ncnn(path).layers if is_ncnn(path) else inspect_file(path).layers
    in_integers = tuple(layer.name for layer in layers if layer.precision == "int8")
    if library:  # it finds ranges of its own
        images = taken[-1] if taken else calibration.ranges.images
        found = Quantised(images=images, method=library, ranges=None, layers=in_integers)
    else:
        found = Quantised(
            images=calibration.ranges.images,
            method=calibration.ranges.method,
            learned=bool(inputs.calibrating.learned),
            equalised=calibration.ranges.equalised,
            ranges=ranges.ranges.sha256,
            layers=in_integers,
        )
    return origin.model_copy(update={"quantised": found})
