"""For an app: a file for ONNX Runtime as an app on a phone takes it, run beside the ONNX file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekd import files
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.check import EXACT, compare, failure
from edgekd.deploy.mobile.convert import convert
from edgekd.deploy.outputs import Runner
from edgekd.devices._base import Device
from edgekd.devices.device import or_this_machine
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.artifact import describe_ort
from edgekd.pipeline.deployment import Deployment
from edgekd.run import Run, Workspace
from edgekd.values import Artifact, File, Target, Value
from edgekd.values.deployment import Parity
from edgekd.values.mobile import Accelerator, ForApp

_IMAGES = 64

_AS_IT_IS = "Use the ONNX file in the app."
_ON_THE_PHONE = f"Give the phone as --device, since x86 CPUs without VNNI saturate integers. Or: {_AS_IT_IS}"


@dataclass(frozen=True)
class _Converting:
    artifact: Artifact
    made_with: Mapping[str, str | None]


class _Converted(Value):
    ort: Artifact
    operators: File
    report: File
    made_by: str
    accelerators: tuple[Accelerator, ...]


@dataclass(frozen=True)
class _Comparing:
    artifact: Artifact
    ort: Artifact
    how: Deployment
    device: Device | None
    made_with: Mapping[str, str | None]


def is_for_app(artifact: Artifact, target: Target) -> bool:
    """Whether an app on a device of the target takes the artifact in another format."""
    return target.os == "android" and artifact.runtime == "onnxruntime"


def for_app(run: Run, artifact: Artifact, how: Deployment, device: Device | None, stem: str) -> ForApp:
    """An ONNX artifact as an app takes it, in files of the run directory.

    Args:
        run: in whose directory the files are.
        artifact: for ONNX Runtime.
        how: it was deployed.
        device: runs both files; this machine if None.
        stem: of the files' names.

    Raises:
        UnsupportedModelError: it can't be converted, its runtime doesn't open the new file, or the outputs differ.
    """
    run.progress.stage("app", f"converting {artifact.file} for an app")
    made = run.stage("for-app", _Converting(artifact, how.made_with()), _convert)
    parity = run.stage("check-for-app", _Comparing(artifact, made.ort, how, device, how.made_with()), _compare)
    if why := failure(parity, EXACT):
        message = f"{made.ort.file} is not {artifact.file}: {why.replace('the network', 'the ONNX file')}"
        integers_here = artifact.variant.quantised and device is None
        raise UnsupportedModelError(message, _ON_THE_PHONE if integers_here else _AS_IT_IS)
    root = run.store.root
    files.copy(made.ort.path, root / f"{stem}.ort")
    for file, end in ((made.operators, "required_operators_and_types.config"), (made.report, "mobile.txt")):
        files.copy(file.path, root / f"{stem}.{end}")
    weights = made.ort.files[0].model_copy(update={"path": Path(f"{stem}.ort")})
    return ForApp(
        artifact=made.ort.model_copy(update={"files": (weights,)}),
        operators=f"{stem}.required_operators_and_types.config",
        report=f"{stem}.mobile.txt",
        made_by=made.made_by,
        accelerators=made.accelerators,
        checked_by=device.title if device else "this machine",
        parity=parity,
    )


def _convert(inputs: _Converting, at: Workspace) -> _Converted:
    made = convert(inputs.artifact.path, at.folder)
    operators, report = (File(path=path, sha256=files.sha256(path)) for path in (made.config, made.report))
    return _Converted(
        ort=describe_ort(made.ort, inputs.artifact),
        operators=operators,
        report=report,
        made_by=made.made_by,
        accelerators=made.accelerators,
    )


def _compare(inputs: _Comparing, at: Workspace) -> Parity:
    images, feeding = sample_images(inputs.how.data.val, _IMAGES), inputs.how.feeding
    with or_this_machine(inputs.device, at.progress.note) as device:
        before, after = (Runner(device, one, feeding)(images) for one in (inputs.artifact, inputs.ort))
    return compare(before, after)
