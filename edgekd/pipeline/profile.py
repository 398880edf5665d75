"""`profile`: measure ONNX files side by side on a device of a target's kind."""

from collections.abc import Sequence
from pathlib import Path

from edgekd.devices.connect import connect_target, runtime_of
from edgekd.errors import StorageError
from edgekd.files import require_file, sha256
from edgekd.measuring import session
from edgekd.measuring.artifact import describe
from edgekd.progress import Progress
from edgekd.values import Artifact, Measurement, Measuring, Target

LOCAL = "local:"

_AN_NPZ = "Give the path of an .npz file, as numpy.savez writes it."


def profile(
    files: Sequence[Path],
    *,
    target: Target,
    device_url: str | None = None,
    settings: Measuring | None = None,
    inputs: Path | None = None,
    traced: bool = True,
    steady: bool = True,
    enough: session.Enough | None = None,
    progress: Progress,
) -> tuple[Measurement, ...]:
    """Measure the models in the files, interleaved, one measurement each in their order.

    A file that is given twice is measured twice, as if it were two models.

    Args:
        files: the models.
        target: what kind of device it is for.
        device_url: where; this machine if None.
        settings: how; the target's defaults if None.
        inputs: an .npz file with a value for each input; random ones if None.
        traced: whether each node is timed as well.
        steady: whether launches that drifted are made again.
        enough: when to stop, see `session.measure`.
        progress: told about each step.

    Raises:
        NoDeviceError: the device isn't one of the target's kind; nothing was measured.
        DeviceError: the device can't be reached, or doesn't have the target's runtime.
        EdgekdError: a file can't be read, or not run by the target's runtime.
        MeasurementError: the runtime crashed or hung.
    """
    artifacts = _described(files, target)
    settings = settings or Measuring(threads=target.threads)
    if inputs:
        settings = settings.model_copy(update={"inputs": f"sha256:{_sha256(inputs)}"})
    device = connect_target(device_url or LOCAL, target)
    progress.stage("measure", f"measuring {', '.join(dict.fromkeys(a.name for a, _ in artifacts))} on {device.url}")
    return session.measure(
        artifacts,
        device=device,
        target=target,
        settings=settings,
        progress=progress,
        inputs=inputs,
        traced=traced,
        steady=steady,
        enough=enough,
    )


def unmeasured(files: Sequence[Path], *, target: Target, settings: Measuring) -> tuple[Measurement, ...]:
    """As `profile`, but without samples, for a device that isn't there."""
    artifacts = _described(files, target)
    return tuple(session.unmeasured(artifact, target=target, settings=settings) for artifact, _ in artifacts)


def _described(files: Sequence[Path], target: Target) -> list[tuple[Artifact, Path]]:
    """Each file's artifact, named by its stem, or by its path where two have the same."""
    runtime = runtime_of(target)
    paths = list(dict.fromkeys(files))
    stems = [path.stem for path in paths]
    known = {
        path: describe(path, name=path.stem if stems.count(path.stem) == 1 else str(path), runtime=runtime)
        for path in paths
    }
    return [(known[path], path) for path in files]


def _sha256(path: Path) -> str:
    require_file(path, _AN_NPZ)
    try:
        return sha256(path)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror}", _AN_NPZ) from e
