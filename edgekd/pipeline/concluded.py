"""Conclude an export of a given file: its variants measured beside it, one chosen, and the files for the user."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekd import files
from edgekd.data.feeds.feeds import FeedSplits
from edgekd.deploy.literal import in_place_of
from edgekd.deploy.variants import not_run_here
from edgekd.devices._base import Device
from edgekd.measuring.document import write
from edgekd.pipeline.chosen_file import choose, figures, loss
from edgekd.pipeline.export_file import Preflights
from edgekd.pipeline.export_folder import write_exports
from edgekd.pipeline.file_proof import Place, Proof, Proofs
from edgekd.pipeline.measuring import TargetDevice, measured
from edgekd.pipeline.proof_rounds import Proven
from edgekd.report import summary
from edgekd.run import Run
from edgekd.values import Artifact, Measurement, MeasuringProtocol, Target
from edgekd.values.exported import Calibrated, Exported, Exports
from edgekd.values.preflight import Finding
from edgekd.values.result import Choice, Dropped

PROTOCOL = MeasuringProtocol(seconds=1.0, block_seconds=0.03, warmup_seconds=1.0)
"""Of the given file and what may be chosen, interleaved."""
MEASURED = "measured"
"""The folder with the measurements."""


@dataclass(frozen=True)
class Made:
    """A given file's variants with their proofs."""

    proven: Proven
    splits: FeedSplits
    target: Target
    protocol: MeasuringProtocol
    stated: tuple[str, ...]
    """What is to be known of the file and the images."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Those, and why labels aren't used, where that was seen."""
        return (*self.stated, *filter(None, [self.proofs.doubt]))

    @property
    def proofs(self) -> Proofs:
        """Of the variants, in their order."""
        return self.proven.proofs

    @property
    def given(self) -> Artifact:
        """The given file, in the variant that ratios refer to."""
        return self.proven.proving.given

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        """Its variants."""
        return self.proven.proving.artifacts

    @property
    def device(self) -> Device | None:
        """Where they are measured."""
        return self.proven.proving.device

    @property
    def places(self) -> tuple[Place, ...]:
        """What runs each of them."""
        return self.proven.proving.places

    @property
    def passed(self) -> list[tuple[Artifact, Proof]]:
        """The artifacts that passed, and that the device runs."""
        found = zip(self.artifacts, self.places, self.proofs.proofs, strict=True)
        return [(artifact, proof) for artifact, place, proof in found if proof.failed is None and place == "device"]


def concluded(
    run: Run, made: Made, left_out: tuple[Dropped, ...], preflights: Preflights, *, calibrated_on: int, drop: float
) -> Exports:
    """Measure, choose, and write everything that the user takes away.

    Args:
        run: keeps the measurements.
        made: the variants.
        left_out: those that couldn't be written.
        preflights: for files for TensorRT.
        calibrated_on: images, at most.
        drop: points that may be lost.
    """
    measurements = _measured(run, made)
    choice = None
    if measurements:
        choice = choose(made.given, made.passed, measurements, made.proofs, drop)
    root = run.store.root
    taken = [_given(made, measurements, preflights)]
    for number, artifact in enumerate(made.artifacts):
        one = preflights.added(_exported(made, number, measurements), artifact.path)
        for file in artifact.files:
            files.copy(file.path, root / file.path.name)
        taken.append(one.model_copy(update={"artifact": artifact.without_folder()}))
    measured_in = {name: f"{MEASURED}/{name}.json" for name in measurements}
    for name, measurement in measurements.items():
        write(root / measured_in[name], measurement)
    exports = Exports(
        target=made.target.name,
        device=made.device.url if made.device else None,
        folder=str(root),
        exported=tuple(taken),
        dropped=left_out,
        calibrated=_calibrated(made, choice, calibrated_on, drop),
    )
    write_exports(exports, root, measured_in.values())
    files.write_text(root / summary.FILE, summary.summary(exports))
    return exports


def _calibrated(made: Made, choice: Choice | None, calibrated_on: int, drop: float) -> Calibrated:
    parities = [proof.parity.images for proof in made.proofs.proofs if proof.parity]
    return Calibrated(
        images=made.splits.name,
        calibrated_on=min(calibrated_on, len(made.splits.calibration)),
        compared_on=max(parities, default=len(made.splits.held_out)),
        loss=loss(made.proofs, drop),
        notes=made.notes,
        accuracy=made.proofs.given,
        choice=choice,
        shape=made.protocol.shapes.get(""),
    )


def _measured(run: Run, made: Made) -> Mapping[str, Measurement]:
    """The measurement of the given file and of each variant that passed, by name; nothing without a device."""
    if made.device is None:
        return {}
    artifacts = [made.given, *(artifact for artifact, _ in made.passed)]
    run.progress.stage("measure", f"measuring {len(artifacts)} files in turns on {made.device.title}")
    found = measured(run, TargetDevice(made.device, made.target), artifacts, made.protocol, steady=False)
    accuracies = [made.proofs.given, *(proof.accuracy for _, proof in made.passed)]
    return {
        artifact.name: measurement.model_copy(update={"accuracy": accuracy})
        for artifact, measurement, accuracy in zip(artifacts, found, accuracies, strict=True)
    }


def _given(made: Made, measurements: Mapping[str, Measurement], preflights: Preflights) -> Exported:
    here = Path.cwd()  # a path that is absolute already stays what it is
    one = Exported(artifact=made.given.below(here), given=True)
    one = preflights.added(one, made.given.path)
    return _timed(one.model_copy(update={"accuracy": made.proofs.given}), made, measurements)


def _exported(made: Made, number: int, measurements: Mapping[str, Measurement]) -> Exported:
    artifact, place, proof = made.artifacts[number], made.places[number], made.proofs.proofs[number]
    by = "this machine" if made.device is None else made.device.title
    findings: tuple[Finding, ...] = ()
    if proof.failed:
        remedy = "Don't deploy this file. Use another variant; for INT8, give more images like those of the task."
        findings = (Finding(rule="check", severity="warning", message=f"dropped: {proof.failed}", remedy=remedy),)
    if place == "nowhere":
        why = f"{not_run_here(artifact.variant)}; or give a --device that has it"
        return Exported(artifact=artifact, not_checked=why)
    one = Exported(
        artifact=artifact,
        checked_by={"device": by, "here": "this machine", "literal": in_place_of(artifact.runtime)}[place],
        parity=proof.parity,
        accuracy=proof.accuracy,
        findings=findings,
    )
    return _timed(one, made, measurements)


def _timed(one: Exported, made: Made, measurements: Mapping[str, Measurement]) -> Exported:
    found = measurements.get(one.artifact.name)
    if found is None:
        return one
    median, ratio = figures(found, measurements[made.given.name])
    return one.model_copy(update={"median_ms": median, "ratio": ratio})
