"""`export` of a given ONNX file: its preflight for TensorRT, and fp16 made of fp32. Imports no torch."""

from contextlib import nullcontext
from pathlib import Path

from edgekd import catalog, files
from edgekd.deploy.feeding import stamp_like
from edgekd.deploy.opset import ceiling
from edgekd.deploy.preflight.parser import is_installed
from edgekd.deploy.preflight.preflight import preflight
from edgekd.deploy.preflight.rule import Destination
from edgekd.deploy.variants import why_not
from edgekd.deploy.writers._base import WRITERS, Source
from edgekd.devices._base import Device
from edgekd.devices.device import connect, not_of
from edgekd.devices.lease import Waiting
from edgekd.errors import DeviceError, EdgekdError, NoDeviceError, UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.pipeline.export_folder import write_exports
from edgekd.pipeline.written import made_of
from edgekd.progress import Progress
from edgekd.values import Artifact, Target, Variant
from edgekd.values.exported import Exported, Exports
from edgekd.values.preflight import Preflight
from edgekd.values.result import Dropped

_TENSORRT = "tensorrt"
_NO_NETWORK = "a file alone has no network and no images to compare it with"


def destination(target: Target, device: Device | None) -> Destination:
    """The TensorRT of the target: the device's own, where one was asked."""
    found = device.facts.runtimes.get(_TENSORRT) if device else None
    version = found.version if found else None
    capability = (found.compute_capability if found else None) or target.compute_capability
    return Destination(ceiling(target, _TENSORRT, version), capability, version)


class Preflights:
    """The preflights of files for one TensorRT; each file's is made once."""

    def __init__(self, to: Destination, progress: Progress) -> None:
        self._to, self._progress = to, progress
        self._known: dict[Path, Preflight] = {}

    def added(self, one: Exported, path: Path) -> Exported:
        """The same with its preflight, where it is for TensorRT."""
        if one.artifact.runtime != _TENSORRT:
            return one
        if path not in self._known:
            if is_installed():
                self._progress.stage("preflight", f"asking NVIDIA's parser and compiler about {path.name}")
            self._known[path] = preflight(path, self._to)
        found = self._known[path]
        findings = sorted((*one.findings, *found.findings), key=lambda finding: finding.severity)
        return one.model_copy(update={"findings": tuple(findings), "parsed": found.parsed})


def export_file(
    path: Path, target: Target, out: Path, *, device_url: str | None = None, wait_s: float = 0, progress: Progress
) -> Exports:
    """Check an ONNX file for the target's TensorRT, and an fp16 file made of it where it is fp32.

    Args:
        path: the file; it isn't changed.
        target: of which kind of device.
        out: the folder for the fp16 file.
        device_url: a device whose own TensorRT counts; None: the newest that the target states.
        wait_s: how long the device is waited for while somebody else uses it.
        progress: told about each step.

    Raises:
        EdgekdError: the target has no TensorRT; the file isn't a model.
        DeviceError, NoDeviceError: there is no such device, or not of the target's kind, or it has no TensorRT.
    """
    variants = [variant for variant in target.variants if variant.runtime == _TENSORRT]
    if not variants:
        what = f"target {target.name} has no TensorRT, and an ONNX file is checked for that alone"
        raise EdgekdError(
            what, "Give --calibrate IMAGES to make the target's variants of it, or measure it by `edgekd profile`."
        )
    given = describe(path, name=path.stem, runtime=_TENSORRT)
    waiting = Waiting(wait_s, progress.note)
    with connect(device_url, target, waiting=waiting) if device_url else nullcontext() as device:
        if device:
            with device.leased():
                if not device.is_of(target):
                    raise NoDeviceError(not_of(device, target), "Leave --device out, or give one of that target.")
                if _TENSORRT not in device.facts.runtimes:
                    why = why_not(variants[0], device.facts)
                    hint = "Leave --device out to check for the TensorRT that the target states."
                    raise DeviceError(f"{device.title}: {why}", hint)
        to = destination(target, device)
    written, dropped = _written(given, variants, out, to.max_opset)
    preflights = Preflights(to, progress)
    found = [preflights.added(Exported(artifact=a, not_checked=_NO_NETWORK), a.path) for a in (given, *written)]
    exports = Exports(
        target=target.name,
        device=device_url,
        folder=str(out),
        exported=tuple(_named(one, given) for one in found),
        dropped=dropped,
    )
    write_exports(exports, out)
    return exports


def _named(one: Exported, given: Artifact) -> Exported:
    """The given file under its absolute path, another one as it is called in the folder."""
    here = Path.cwd()  # a path that is absolute already stays what it is
    named = given.below(here) if one.artifact.path == given.path else one.artifact.without_folder()
    return one.model_copy(update={"artifact": named})


def _written(
    given: Artifact, variants: list[Variant], out: Path, max_opset: int | None
) -> tuple[list[Artifact], tuple[Dropped, ...]]:
    """The target's variants that can be made of a file alone, in other files than that, and the others."""
    artifacts, dropped = [], []
    source = Source(given.path, max_opset=max_opset)
    with files.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        name, precision = f"{given.path.stem}-{variant.name}", variant.precision
        if precision == given.precision:
            continue
        if given.variant.quantised and precision.startswith("int8"):  # that is what it is
            continue
        if (given.precision, precision) != ("fp32", "fp16"):
            images = "--calibrate IMAGES, or " if given.precision == "fp32" else ""
            why = f"it takes more than an {given.precision} file: give {images}--model, --weights and --data"
            dropped.append(Dropped(name=name, why=why))
            continue
        own = out / f"{name}.onnx"
        try:
            made = catalog.load(WRITERS, _TENSORRT).write(source, precision, own)
        except UnsupportedModelError as e:
            dropped.append(Dropped(name=name, why=e.message))
            continue
        if made == given.path:
            dropped.append(Dropped(name=name, why=f"it is the given file, built with {precision} (trtexec --fp16)"))
            continue
        stamp_like(given.path, made, made_of(given))
        artifacts.append(describe(made, name=name, runtime=_TENSORRT).model_copy(update={"variant": variant}))
    return artifacts, tuple(dropped)
