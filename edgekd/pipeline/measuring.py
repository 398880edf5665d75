"""Measuring inside a run: the same artifacts on the same device in the same way are measured once."""

from collections.abc import Sequence
from pathlib import Path

from edgekd.devices._base import Device
from edgekd.devices.connect import connect_target
from edgekd.errors import NoDeviceError
from edgekd.gate.judge import is_absolute
from edgekd.pipeline.job import Job
from edgekd.profiling.session import environment, measure
from edgekd.progress import Progress
from edgekd.schema import Artifact, Measurement, Measuring, Target, Value

QUICK = {"launches": 3, "seconds": 0.4, "block_seconds": 0.03, "warmup_seconds": 0.5}
"""Enough to tell apart networks that differ by a step of the staircase; the verdict is measured in full."""


def device_of_target(url: str | None, target: Target, progress: Progress) -> Device | None:
    """The device at `url` (this machine if None) if it is one of the target's kind, else None.

    Raises:
        EdgekdError: there is no such transport.
        DeviceError: the device can't be reached.
    """
    try:
        return connect_target(url or "local:", target)
    except NoDeviceError as e:
        progress.note(e.message)
        return None


class Measured(Value):
    """Measurements of one session, in the order of the artifacts."""

    measurements: tuple[Measurement, ...]


def measured(job: Job, artifacts: Sequence[tuple[Artifact, Path]], settings: Measuring) -> tuple[Measurement, ...]:
    """All artifacts on the job's device, interleaved; the first is the baseline of the others."""
    assert job.device is not None, "nothing is measured without a device"
    inputs = {
        "artifacts": [artifact.sha256 for artifact, _ in artifacts],
        "settings": settings,
        "target": job.target.name,
        "device": job.device.url,
        "environment": environment(job.device, artifacts[0][0].runtime),
    }

    def build(_: Path) -> Measured:
        assert job.device is not None
        return Measured(
            measurements=measure(
                artifacts,
                device=job.device,
                target=job.target,
                settings=settings,
                progress=job.progress,
                steady=is_absolute(job.budget),
            )
        )

    return job.run.stage("measured", inputs, Measured, build)[0].measurements
