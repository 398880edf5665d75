"""Export: a network as an ONNX file, and from that in the files that runtimes open."""

from dataclasses import dataclass

import torch

from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.export import export_onnx
from edgekd.deploy.feeding import fed, stamp
from edgekd.deploy.normalising import exported_name, graph
from edgekd.deploy.quantise.calibration import Images
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.pipeline.deployment import Deployment, rough
from edgekd.pipeline.origins import lineage
from edgekd.pipeline.written import Calibrating, Exported, Graph, Making, write_variants
from edgekd.run import Run, Workspace
from edgekd.values import Artifact, Feeding, Lineage
from edgekd.values.network import Network
from edgekd.zoo import networks


def export(run: Run, name: str, network: Network, how: Deployment) -> Exported:
    """A network in every variant, not checked: what candidates need. Raises as `made_of`."""
    return write_variants(run, name, made_of(run, name, network, how), how.variants)


def made_of(run: Run, name: str, network: Network, how: Deployment) -> Making:
    """What a network's files are made of: its graph, and the images that calibrate it.

    Raises:
        UnsupportedModelError: the network can't be exported at all.
    """
    made_with = how.made_with()
    exporting = _Exporting(name, network, how.feeding, how.opset, lineage(network, how.data, how.teacher), made_with)
    found = run.stage(f"graph-{name}", exporting, graph_stage)
    images = TrainingImages(how.data, how.calibration_images, how.feeding)
    learned = {exported_name(name, how.feeding): between for name, between in network.ranges.items()}
    return Making(Calibrating(found, images, learned, made_with), how.layers, how.max_opset)


@dataclass(frozen=True)
class TrainingImages:
    """Images that calibrate a network; satisfies `written.CalibrationImages`."""

    data: Dataset
    count: int
    feeding: Feeding

    def __call__(self) -> Images:
        """The images, as the file is fed."""
        return fed(sample_images(self.data.train, self.count), self.feeding)


def export_one(run: Run, name: str, network: Network, how: Deployment) -> Artifact:
    """An untrained network in the reference variant, not checked.

    Raises:
        UnsupportedModelError: it can't be exported, or not be written for that variant.
    """
    exported = export(run, name, network, rough(how, (how.reference,)))
    if found := exported.of(how.reference):
        return found
    raise UnsupportedModelError(f"the network can't be deployed as {how.reference.name}: {exported.dropped[0].why}")


@dataclass(frozen=True)
class _Exporting:
    """The inputs of the stage that exports a network."""

    name: str
    network: Network
    feeding: Feeding
    opset: int
    lineage: Lineage
    made_with: dict[str, str | None]


def graph_stage(inputs: _Exporting, at: Workspace) -> Graph:
    """Export a network. Raises UnsupportedModelError if it can't be exported."""
    network, feeding = inputs.network, inputs.feeding
    module, example = graph(networks.load(network), torch.zeros(1, *network.architecture.shape), feeding)
    path = at.folder / f"{inputs.name}.onnx"
    exporter = export_onnx(module, example, path, opset=inputs.opset)
    stamp(path, feeding, inputs.lineage.model_copy(update={"exporter": exporter}))
    return Graph(exporter=exporter, artifact=describe(path, name=inputs.name, runtime="", precision=""))
