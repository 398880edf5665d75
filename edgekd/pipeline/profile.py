"""`profile`: measure an ONNX file on a device of a target's kind."""

from collections.abc import Sequence
from pathlib import Path

from edgekd.devices.connect import connect_target, runtime_of
from edgekd.profiling import session
from edgekd.profiling.artifact import describe
from edgekd.progress import Progress
from edgekd.schema import Artifact, Measurement, Measuring, Target

LOCAL = "local:"


def profile(
    path: Path,
    *,
    target: Target,
    device_url: str | None = None,
    settings: Measuring | None = None,
    baseline: Path | None = None,
    progress: Progress,
) -> tuple[Measurement, ...]:
    """Measure the model at `path` and, interleaved with it, the baseline if there is one.

    Returns:
        The model's measurement, then the baseline's.

    Raises:
        NoDeviceError: the device isn't one of the target's kind; nothing was measured.
        DeviceError: the device can't be reached, or doesn't have the target's runtime.
        EdgekdError: a file can't be read, or not run by the target's runtime.
        MeasurementError: the runtime crashed or hung.
    """
    artifacts = _described([path, baseline], target)
    device = connect_target(device_url or LOCAL, target)
    progress.stage("measure", f"measuring {' and '.join(artifact.file for artifact, _ in artifacts)} on {device.url}")
    settings = settings or Measuring(threads=target.threads)
    return session.measure(artifacts, device=device, target=target, settings=settings, progress=progress)


def unmeasured(
    path: Path, *, target: Target, settings: Measuring, baseline: Path | None = None
) -> tuple[Measurement, ...]:
    """As `profile`, but without samples, for a device that isn't there."""
    files = _described([path, baseline], target)
    return tuple(session.unmeasured(artifact, target=target, settings=settings) for artifact, _ in files)


def _described(files: Sequence[Path | None], target: Target) -> list[tuple[Artifact, Path]]:
    runtime = runtime_of(target)
    return [(describe(file, name=file.stem, runtime=runtime), file) for file in files if file]
