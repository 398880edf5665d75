"""`profile`: measure ONNX files side by side on a device of a target's kind."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.devices.device import LOCAL, connect, require_target
from edgekd.devices.lease import Waiting
from edgekd.devices.listed import Place
from edgekd.errors import StorageError
from edgekd.files import require_file, sha256
from edgekd.measuring import session
from edgekd.measuring.artifact import describe
from edgekd.measuring.batch import require_batch
from edgekd.pipeline.several import on_each, target_of
from edgekd.progress import Progress
from edgekd.values import (
    Artifact,
    DeviceMeasurements,
    DevicesMeasured,
    Failure,
    Measurement,
    MeasuringProtocol,
    Setting,
    Target,
    Variant,
)
from edgekd.variants import of_file, preferred, settle

_AN_NPZ = "Give the path of an .npz file, as numpy.savez writes it."


def profile(
    files: Sequence[Path],
    *,
    target: Target,
    device_url: str | None = None,
    reference: int = 0,
    protocol: MeasuringProtocol | None = None,
    settings: Mapping[str, Setting] | None = None,
    variants: Sequence[str] = (),
    inputs: Path | None = None,
    wait_s: float = 0,
    progress: Progress,
) -> tuple[Measurement, ...]:
    """Measure the models in the files, interleaved, one measurement each in their order.

    A file that is given twice is measured twice, as if it were two models.

    Args:
        files: the models.
        target: what kind of device it is for.
        device_url: where; this machine if None.
        reference: which of the files the others are compared with.
        protocol: how; as usual if None.
        settings: of the runtime, in place of those of the target's variant.
        variants: each model is measured in each of them, see `variants.of_file`; if none, in the target's first one of
            the model's precision.
        inputs: an .npz file with a value for each input; random ones if None.
        wait_s: how long the device is waited for while somebody else uses it.
        progress: told about each step.

    Raises:
        NoDeviceError: the device isn't one of the target's kind; nothing was measured.
        DeviceError: the device is in use or can't be reached, or doesn't have the target's runtime.
        EdgekdError: a file can't be read, or not run by the target's runtime.
        MeasurementError: the runtime crashed or hung.
    """
    artifacts = [one for file in _described_in(files, target, settings, variants) for one in file]
    # the device is asked for the runtimes of its target
    target = target.model_copy(update={"variants": tuple({a.variant.name: a.variant for a in artifacts}.values())})
    protocol = fed(protocol or MeasuringProtocol(), inputs)
    require_batch(files, protocol)
    waiting = Waiting(wait_s, progress.note)
    with connect(device_url or LOCAL, target, waiting=waiting) as device, device.leased():
        require_target(device, target)
        progress.stage("measure", f"measuring {', '.join(dict.fromkeys(a.name for a in artifacts))} on {device.title}")
        return session.measure(
            artifacts,
            device=device,
            target=target,
            protocol=protocol,
            progress=progress,
            inputs=inputs,
            traced=True,
            reference=reference,
        )


def profile_each(
    files: Sequence[Path], places: Sequence[Place], *, target: str | None = None, progress: Progress, **how: Any
) -> DevicesMeasured:
    """As `profile`, on each device at once; a device that fails loses no other's measurements.

    Args:
        files: the models.
        places: the devices.
        target: what kind of device they are; each one's own of `devices.toml` if None.
        progress: told about each step of each device.
        how: further arguments of `profile`.

    Raises:
        EdgekdError: as `profile`, where it is the same for all devices, or for the only one.
    """

    def on_one(place: Place, its: Progress) -> tuple[Measurement, ...]:
        return profile(files, target=target_of(place, target), device_url=place.url, progress=its, **how)

    if len(places) > 1:
        progress.stage("measure", f"measuring on {len(places)} devices side by side")
    devices = []
    for place, found in zip(places, on_each(places, on_one, progress), strict=True):
        gave = {"failure": found} if isinstance(found, Failure) else {"measurements": found}
        devices.append(DeviceMeasurements(device=place.name, url=place.url, **gave))
    return DevicesMeasured(devices=tuple(devices))


def _described_in(
    files: Sequence[Path], target: Target, settings: Mapping[str, Setting] | None, variants: Sequence[str]
) -> list[list[Artifact]]:
    """Each file's artifacts, one of each variant, and named by it where there are several."""
    if len(variants) < 2:
        return [[artifact] for artifact in described(files, target, settings, *variants)]
    of_each = zip(*(described(files, target, settings, variant) for variant in variants), strict=True)
    return [[a.model_copy(update={"name": f"{a.name}-{a.variant.name}"}) for a in same] for same in of_each]


def fed(protocol: MeasuringProtocol, inputs: Path | None) -> MeasuringProtocol:
    """The protocol with the name of what feeds the models: the hash of an .npz file, if one is given."""
    return protocol.model_copy(update={"inputs": f"sha256:{_sha256(inputs)}"}) if inputs else protocol


def described(
    files: Sequence[Path], target: Target, settings: Mapping[str, Setting] | None = None, variant: str | None = None
) -> list[Artifact]:
    """Each file's artifact, named by its stem, or by its path where two have the same.

    Raises:
        EdgekdError: a file can't be read, isn't a model, or isn't one for that variant.
    """
    paths = list(dict.fromkeys(files))
    stems = [path.stem for path in paths]
    known = {
        path: _artifact(path, path.stem if stems.count(path.stem) == 1 else str(path), target, settings or {}, variant)
        for path in paths
    }
    return [known[path] for path in files]


def _artifact(path: Path, name: str, target: Target, settings: Mapping[str, Setting], wanted: str | None) -> Artifact:
    """A file as the wanted variant, or the target's first one of its precision, with these settings in place of the
    variant's.
    """
    found = describe(path, name=name, runtime="")
    variant = _variant(found, target, wanted)
    variant = settle(variant.model_copy(update={"settings": {**variant.settings, **settings}}))
    return found.model_copy(update={"variant": variant})


def _variant(found: Artifact, target: Target, wanted: str | None) -> Variant:
    if wanted:
        return of_file(target, wanted, found.precision, found.format)
    return preferred(target, found.precision, found.format)


def _sha256(path: Path) -> str:
    require_file(path, _AN_NPZ)
    try:
        return sha256(path)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror}", _AN_NPZ) from e
