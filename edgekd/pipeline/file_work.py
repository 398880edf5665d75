"""What the variants of a given file are made of, compared on, and run by."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgekd.data.feeds.feeds import FeedSplits
from edgekd.deploy.given.prepared import Size
from edgekd.deploy.opset import ceilings, exported
from edgekd.deploy.variants import not_run_here, why_not
from edgekd.devices._base import Device
from edgekd.pipeline.file_images import file_images
from edgekd.pipeline.file_proof import Place, Proving
from edgekd.pipeline.labelling import labelled
from edgekd.pipeline.prepared import Prepared, Preparing, prepare_stage
from edgekd.pipeline.versions import made_with
from edgekd.pipeline.written import Calibrating, Making, made_of
from edgekd.run import Run
from edgekd.values import Artifact, Data, Target, Variant

COMPARED = 1_000
"""Held-out images on which outputs are compared, at most."""
_ANY_OPSET = 1_000
_FEW = 32
"""Images; with fewer, the ranges of INT8 depend on which they are."""


@dataclass(frozen=True)
class Asked:
    """What is asked of the variants of a given file."""

    data: Data
    """Where the images are, and how they are prepared as far as that is stated."""
    calibrated_on: int
    """Images, at most."""
    max_drop_pp: float
    """Points of accuracy that a variant may lose."""
    data_root: Path | None = None
    download: bool = False

    @property
    def size(self) -> Size | None:
        """Height and width of images, where they are stated."""
        size = self.data.size
        return (size, size) if isinstance(size, int) else size


@dataclass(frozen=True)
class Where:
    """Where variants are to run."""

    target: Target
    device: Device | None
    variants: tuple[Variant, ...]

    @property
    def versions(self) -> dict[str, str]:
        """Of the device's runtimes."""
        return {name: one.version for name, one in self.device.facts.runtimes.items()} if self.device else {}

    @property
    def runtimes(self) -> list[str]:
        """Those of the variants."""
        return list(dict.fromkeys(variant.runtime for variant in self.variants))

    def of(self, artifact: Artifact) -> Place:
        """What runs an artifact."""
        if self.device and why_not(artifact.variant, self.device.facts) is None:
            return "device"
        if not_run_here(artifact.variant) is None:
            return "here"
        return "literal" if artifact.format == "onnx" else "nowhere"


@dataclass(frozen=True)
class Work:
    """A given file, prepared, with images."""

    given: Artifact
    prepared: Prepared
    splits: FeedSplits
    asked: Asked
    where: Where
    notes: tuple[str, ...]


def prepared_work(run: Run, given: Artifact, asked: Asked, where: Where) -> Work:
    """Prepare a file and its images. Raises EdgekdError: they don't work, with the remedy."""
    most = exported(where.target, where.runtimes, where.versions, _ANY_OPSET)
    inputs = Preparing(given, asked.size, None if most == _ANY_OPSET else most)
    prepared = run.stage("given", inputs, prepare_stage)
    found = file_images(asked.data, prepared.given.takes, data_root=asked.data_root, download=asked.download)
    notes = [*prepared.given.notes, *found.notes]
    if (count := len(found.calibration)) < _FEW:
        notes.append(f"only {count} calibrate: ranges may be too narrow for other images; some hundred are better")
    splits = labelled(found, prepared.given, notes.append)
    return Work(given, prepared, splits, asked, where, tuple(notes))


def making_of(work: Work, variants: tuple[Variant, ...]) -> Making:
    """What its variants are made of."""
    # labels decide nothing of it
    images = replace(work.splits.calibration.first(work.asked.calibrated_on), labels=None)
    graph = work.prepared.graph
    of_given = graph.artifact.model_copy(update={"lineage": made_of(work.given)})
    calibrating = Calibrating(graph.model_copy(update={"artifact": of_given}), images, {}, made_with(variants))
    where = work.where
    most = ceilings(where.target, where.runtimes, where.versions)
    return Making(calibrating, {}, most)


def proving_of(work: Work) -> Proving:
    """What its variants are compared with; without the variants."""
    return Proving(
        given=work.given,
        artifacts=(),
        places=(),
        images=work.splits.held_out.first(COMPARED),
        name=work.splits.name,
        outputs=len(work.prepared.given.outputs),
        device=work.where.device,
        made_with=made_with(work.where.variants),
    )
