"""`export MODEL.onnx --calibrate IMAGES`: every variant of a target that can be made of a given file, each proven,
measured beside it, and the fastest within the stated loss chosen. Imports no torch.
"""

import math
from pathlib import Path

from edgekd.deploy.variants import deployable, writable
from edgekd.deploy.variants import reference as reference_of
from edgekd.devices._base import Device
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.pipeline.chosen_file import loss_budget
from edgekd.pipeline.concluded import PROTOCOL, Made, concluded
from edgekd.pipeline.export_file import Preflights, destination
from edgekd.pipeline.file_work import Asked, Where, Work, making_of, prepared_work, proving_of
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.measuring import device_of_target
from edgekd.pipeline.partial import with_partial
from edgekd.pipeline.prepared import plain
from edgekd.pipeline.proof_rounds import Rounds
from edgekd.pipeline.race import HOPELESS, Race, race
from edgekd.pipeline.written import Exported, Making, write_variants
from edgekd.progress import Progress
from edgekd.run import Run, open_run
from edgekd.values import MeasuringProtocol, Target, Variant
from edgekd.values.exported import Exports

_FP32 = "fp32"


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
        work = prepared_work(run, given, asked, Where(target, device, found.variants))
        for note in work.notes:
            progress.note(note)
        variants = tuple(v for v in found.variants if work.prepared.given.changed or v != given.variant)
        progress.stage("export", f"writing {len(variants)} variants")
        making, protocol = making_of(work, variants), _protocol(work)
        written, raced = _raced(run, work, making, protocol, write_variants(run, given.name, making, variants))
        rounds = Rounds(run, proving_of(work), work.where.of, raced, asked.max_drop_pp)
        made = Made(rounds.proven(written.artifacts), work.splits, target, protocol, work.notes)
        if made.proven.proofs.doubt:
            progress.warn(made.proven.proofs.doubt)
        preflights = Preflights(destination(target, device), progress)
        left_out = (*found.left_out, *written.dropped, *made.proven.left_out)
        return concluded(run, made, left_out, preflights, calibrated_on=asked.calibrated_on, drop=asked.max_drop_pp)


def _protocol(work: Work) -> MeasuringProtocol:
    """How files are measured: with images of the stated size, which the given file may leave open."""
    shapes = {"": work.prepared.given.takes.shape} if work.asked.size else {}
    return PROTOCOL.model_copy(update={"shapes": shapes})


def _raced(
    run: Run, work: Work, making: Making, protocol: MeasuringProtocol, written: Exported
) -> tuple[Exported, Race]:
    """The variants with those whose layers are chosen by the device's times, and the quick race of the others."""
    where = work.where
    if where.device is None:
        return written, Race()
    budget = loss_budget(work.asked.max_drop_pp)
    goal = Goal(budget, where.target, where.device, protocol)
    competing = (work.given, *(artifact for artifact in written.artifacts if where.of(artifact) == "device"))
    raced = race(run, goal, work.given, competing)
    slow = raced.slow_runtimes(competing, HOPELESS)
    return with_partial(run, goal, work.given.name, making, written, slow=slow)[0], raced


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
