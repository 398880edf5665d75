"""Write: a network as an ONNX file, calibrated once, and in the files that runtimes open, by runtime and precision."""

from dataclasses import dataclass

import torch

from edgekd import catalog
from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import fed, graph, stamp
from edgekd.deploy.quantise.calibration import Calibrated, Images, calibrate
from edgekd.deploy.writers._base import WRITERS, Source
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.pipeline.deployment import Deployment, rough
from edgekd.run import Run, Workspace
from edgekd.values import Artifact, Feeding, Value, Variant
from edgekd.values.network import Network
from edgekd.values.result import Dropped
from edgekd.zoo import networks


class Graph(Value):
    """A network as an fp32 ONNX file."""

    exporter: str
    """What wrote it: "dynamo" or "torchscript"."""
    artifact: Artifact
    """The file, whatever runs it."""


class Exported(Value):
    """A network's artifacts before they are checked."""

    exporter: str
    """What wrote the ONNX file: "dynamo" or "torchscript"."""
    artifacts: tuple[Artifact, ...]
    dropped: tuple[Dropped, ...] = ()
    """The variants that couldn't be written."""

    def of(self, variant: Variant) -> Artifact | None:
        """The artifact of a variant, if it could be written."""
        return next((artifact for artifact in self.artifacts if artifact.variant == variant), None)


def export(run: Run, name: str, network: Network, how: Deployment) -> Exported:
    """A network in every variant, not checked: what candidates need, whose latency alone counts.

    Raises:
        UnsupportedModelError: the network can't be exported at all.
    """
    made_with = how.made_with()
    found = run.stage(f"graph-{name}", _Exporting(name, network, how.feeding, how.opset, made_with), graph_stage)
    calibrating = Calibrating(found, how.data, how.calibration_images, how.feeding, made_with)
    lineage = {"model": network.architecture.model, "weights": network.weights.sha256}
    artifacts: list[Artifact] = []
    dropped: list[Dropped] = []
    for variant in how.variants:
        called = f"{name}-{variant.name}"
        try:
            one = _written(run, name, variant, calibrating, how)
        except UnsupportedModelError as e:
            dropped.append(Dropped(name=called, why=e.message))
            continue
        artifacts.append(one.model_copy(update={"name": called, "variant": variant, "lineage": lineage}))
    return Exported(exporter=found.exporter, artifacts=tuple(artifacts), dropped=tuple(dropped))


def export_one(run: Run, name: str, network: Network, how: Deployment) -> Artifact:
    """An untrained network in the reference variant, not checked.

    Raises:
        UnsupportedModelError: it can't be exported, or not be written for that variant.
    """
    exported = export(run, name, network, rough(how, (how.reference,)))
    if found := exported.of(how.reference):
        return found
    raise UnsupportedModelError(f"the network can't be deployed as {how.reference.name}: {exported.dropped[0].why}")


def _written(run: Run, name: str, variant: Variant, calibrating: "Calibrating", how: Deployment) -> Artifact:
    """The artifact of a file; its name and variant are those of the file.

    Raises:
        UnsupportedModelError: it can't be written.
    """
    precision = catalog.load(WRITERS, variant.runtime).precisions[variant.precision]
    calibrated = None
    if precision.integers:
        outcome = run.stage(f"ranges-{name}", calibrating, calibration_stage)
        if outcome.calibrated is None:
            raise UnsupportedModelError(outcome.why)
        calibrated = outcome.calibrated
    layers = how.layers.get(variant.runtime) if precision.measured_layers else None
    file, limit = precision.file or variant.precision, how.max_opset.get(variant.runtime)
    writing = _Writing(name, calibrating, calibrated, variant.runtime, file, layers, limit)
    written = run.stage(f"write-{name}-{variant.runtime}-{file}", writing, write_stage)
    if written.artifact is None:
        raise UnsupportedModelError(written.why)
    return written.artifact


@dataclass(frozen=True)
class _Exporting:
    """The inputs of the stage that exports a network."""

    name: str
    network: Network
    feeding: Feeding
    opset: int
    made_with: dict[str, str | None]


def graph_stage(inputs: _Exporting, at: Workspace) -> Graph:
    """Export a network. Raises UnsupportedModelError if it can't be exported."""
    network, feeding = inputs.network, inputs.feeding
    module, example = graph(networks.load(network), torch.zeros(1, *network.architecture.shape), feeding)
    path = at.folder / f"{inputs.name}.onnx"
    exporter = export_onnx(module, example, path, opset=inputs.opset)
    stamp(path, feeding)
    return Graph(exporter=exporter, artifact=describe(path, name=inputs.name, runtime="", precision=""))


@dataclass(frozen=True)
class Calibrating:
    """The inputs of the stage that calibrates a network."""

    graph: Graph
    data: Dataset
    count: int
    """Of the training images that it is calibrated on."""
    feeding: Feeding
    made_with: dict[str, str | None]

    def images(self) -> Images:
        """Those images, as the file is fed."""
        return fed(sample_images(self.data.train, self.count), self.feeding)


class CalibrationOutcome(Value):
    """A calibration, or why there is none."""

    calibrated: Calibrated | None = None
    why: str = ""


def calibration_stage(inputs: Calibrating, at: Workspace) -> CalibrationOutcome:
    """Calibrate a network on training images."""
    try:
        return CalibrationOutcome(calibrated=calibrate(inputs.graph.artifact.path, inputs.images, at.folder))
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
    max_opset: int | None


class Written(Value):
    """A file, or why there is none."""

    artifact: Artifact | None = None
    why: str = ""


def write_stage(inputs: _Writing, at: Workspace) -> Written:
    """Write a network's file for a runtime in a precision."""
    calibrating, calibrated = inputs.calibrating, inputs.calibrated
    exported = calibrating.graph.artifact.path
    layers = None if inputs.layers is None else frozenset(inputs.layers)

    calibration = calibrated.read(calibrating.images) if calibrated else None
    source = Source(exported, calibration, inputs.max_opset, layers)
    # a name of its own, so that no writer's file is taken for another's
    own = at.folder / f"{inputs.name}-{inputs.runtime}-{inputs.precision}.onnx"
    try:
        path = catalog.load(WRITERS, inputs.runtime).write(source, inputs.precision, own)
        if path == exported:
            return Written(artifact=calibrating.graph.artifact)
        stamp(path, calibrating.feeding)
        return Written(artifact=describe(path, name=inputs.name, runtime=inputs.runtime, precision=inputs.precision))
    except UnsupportedModelError as e:
        return Written(why=e.message)
