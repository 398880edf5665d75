"""`export MODEL.onnx --calibrate IMAGES`: every variant of a target that can be made of a given file, each proven,
measured beside it, and the fastest within the stated loss chosen. Imports no torch.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path

from edgekd.data.feeds.feeds import FeedSplits
from edgekd.deploy.given.prepared import Size
from edgekd.deploy.opset import ceilings, exported
from edgekd.deploy.variants import deployable, not_run_here, why_not, writable
from edgekd.deploy.variants import reference as reference_of
from edgekd.devices._base import Device
from edgekd.errors import UnsupportedModelError
from edgekd.gate.budget import Budget
from edgekd.measuring.artifact import describe
from edgekd.pipeline.concluded import Made, concluded
from edgekd.pipeline.export_file import Preflights, destination
from edgekd.pipeline.file_images import file_images
from edgekd.pipeline.file_proof import Place, Proving, proof_stage
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.labelling import labelled
from edgekd.pipeline.measuring import device_of_target
from edgekd.pipeline.partial import with_partial
from edgekd.pipeline.prepared import Prepared, Preparing, plain, prepare_stage
from edgekd.pipeline.race import HOPELESS, race
from edgekd.pipeline.versions import made_with
from edgekd.pipeline.written import Calibrating, Exported, Making, made_of, write_variants
from edgekd.progress import Progress
from edgekd.run import Run, open_run
from edgekd.values import Artifact, Data, MeasuringProtocol, Target, Variant
from edgekd.values.exported import Exports
from edgekd.values.result import Dropped

COMPARED = 1_000
"""Held-out images on which outputs are compared, at most."""
_FP32 = "fp32"
_ANY_OPSET = 1_000
_NO_LIMITS = Budget(name="export")


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


def export_from_file(
    path: Path,
    target: Target,
    out: Path,
    asked: Asked,
    *,
    device_url: str | None = None,
    wait_s: float = math.inf,
    progress: Progress,
) -> Exports:
    """Make, prove and measure a given file's variants, and choose one.

    Args:
        path: the fp32 ONNX file; it isn't changed.
        target: of which kind of device.
        out: the folder for the files; what was made and measured before isn't made again.
        asked: images, and the loss that is allowed.
        device_url: where they are measured; this machine if None.
        wait_s: how long the device is waited for while somebody else uses it.
        progress: told about each step.

    Raises:
        EdgekdError: the file or the images don't work, with the remedy.
        DeviceError, NoDeviceError, MeasurementError: as `measuring.measured`.
    """
    given = describe(path, name=plain(path.stem), runtime="")
    with open_run(out, progress) as run, device_of_target(device_url, target, run, wait_s) as device:
        facts = device.facts if device else None
        found = deployable(target, facts, device.install_command) if device else writable(target)
        given = given.model_copy(update={"variant": _reference(target, device, found.variants)})
        progress.stage("start", f"{path.name} for {target.name}")
        work = _prepared(run, given, asked, _Where(target, device, found.variants))
        for note in work.notes:
            progress.note(note)
        variants = tuple(v for v in found.variants if work.prepared.given.changed or v != given.variant)
        progress.stage("export", f"writing {len(variants)} variants")
        making = _making(work, variants)
        written = write_variants(run, given.name, making, variants)
        if device:
            written = _worth_proving(run, Goal(_NO_LIMITS, target, device, MeasuringProtocol()), given, making, written)
        progress.stage("check", f"checking {len(written.artifacts)} variants")
        proving = _proving(work, written.artifacts)
        proofs = run.stage("proof", proving, proof_stage)
        if proofs.doubt:
            progress.note(proofs.doubt)
        notes = (*work.notes, *filter(None, [proofs.doubt]))
        made = Made(proving, proofs, work.splits, target, notes)
        preflights = Preflights(destination(target, device), progress)
        left_out = (*found.left_out, *written.dropped)
        return concluded(run, made, left_out, preflights, calibrated_on=asked.calibrated_on, drop=asked.max_drop_pp)


@dataclass(frozen=True)
class _Where:
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
class _Work:
    """A given file, prepared, with images."""

    given: Artifact
    prepared: Prepared
    splits: FeedSplits
    asked: Asked
    where: _Where
    notes: tuple[str, ...]


def _reference(target: Target, device: Device | None, variants: tuple[Variant, ...]) -> Variant:
    """The variant in which the given file itself runs: the target's reference, or another one in fp32."""
    wanted = reference_of(target, device.facts if device else None)
    if wanted in variants and wanted.precision == _FP32:
        return wanted
    found = next((variant for variant in variants if variant.precision == _FP32), None)
    if found is None:
        why = "; ".join(
            f"{one.name}: {one.why}" for one in deployable(target, device.facts if device else None).left_out
        )
        what = f"target {target.name} has no variant in fp32 that can be run, to compare the others with: {why}"
        raise UnsupportedModelError(what, "Name another --target, or add such a variant to yours.")
    return found


def _prepared(run: Run, given: Artifact, asked: Asked, where: _Where) -> _Work:
    most = exported(where.target, where.runtimes, where.versions, _ANY_OPSET)
    inputs = Preparing(given, asked.size, None if most == _ANY_OPSET else most)
    prepared = run.stage("given", inputs, prepare_stage)
    found = file_images(asked.data, prepared.given.takes, data_root=asked.data_root, download=asked.download)
    notes = [*prepared.given.notes, *found.notes]
    splits = labelled(found, prepared.given, notes.append)
    return _Work(given, prepared, splits, asked, where, tuple(notes))


def _making(work: _Work, variants: tuple[Variant, ...]) -> Making:
    # labels decide nothing of it
    images = replace(work.splits.calibration.first(work.asked.calibrated_on), labels=None)
    graph = work.prepared.graph
    of_given = graph.artifact.model_copy(update={"lineage": made_of(work.given)})
    calibrating = Calibrating(graph.model_copy(update={"artifact": of_given}), images, {}, made_with(variants))
    where = work.where
    most = ceilings(where.target, where.runtimes, where.versions)
    return Making(calibrating, {}, most)


def _worth_proving(run: Run, goal: Goal, given: Artifact, making: Making, written: Exported) -> Exported:
    """What was written, without what is hopelessly slow beside the given file, and with the variants whose layers the
    device's times choose.
    """
    raced = race(run, goal, given, (given, *written.artifacts))
    slow = raced.slow_runtimes((given, *written.artifacts), HOPELESS)
    found, _ = with_partial(run, goal, given.name, making, written, slow=slow)
    whys = {artifact.name: raced.hopeless(artifact, (given,), HOPELESS) for artifact in found.artifacts}
    left_out = tuple(Dropped(name=name, why=why) for name, why in whys.items() if why)
    kept = tuple(artifact for artifact in found.artifacts if not whys[artifact.name])
    return found.model_copy(update={"artifacts": kept, "dropped": (*found.dropped, *left_out)})


def _proving(work: _Work, artifacts: tuple[Artifact, ...]) -> Proving:
    return Proving(
        given=work.given,
        artifacts=artifacts,
        places=tuple(work.where.of(artifact) for artifact in artifacts),
        images=work.splits.held_out.first(COMPARED),
        name=work.splits.name,
        outputs=len(work.prepared.given.outputs),
        device=work.where.device,
        made_with=made_with(artifact.variant for artifact in artifacts),
    )
