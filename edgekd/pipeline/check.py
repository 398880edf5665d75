"""`check`: judge a budget on a stored measurement, or on ONNX files that are measured until the verdict is decided."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgekd import catalog
from edgekd.devices.listed import Place
from edgekd.errors import EdgekdError, NoDeviceError
from edgekd.gate.budget import Budget, for_given_device, require_baseline, require_engines, require_limits
from edgekd.gate.conditions import protocol_for
from edgekd.gate.judge import Judged, Outcome, Unjudged, judge_at_look
from edgekd.measuring.document import read_measurement
from edgekd.pipeline.several import on_each
from edgekd.progress import Progress
from edgekd.values import Artifact, Failure, Measurement, MeasuringProtocol, Setting, Target

_SHORT = {"seconds": 0.3, "block_seconds": 0.03, "warmup_seconds": 1.0}
"""For two models side by side: what is left open by short launches is decided by more of them."""


@dataclass(frozen=True)
class OnDevice:
    """How a model is measured that is to be judged."""

    target: Target
    url: str | None = None
    """The one device that milliseconds are meant for; this machine, which may be shared, if None."""
    protocol: MeasuringProtocol | None = None
    """Chosen by the budget if None."""
    settings: Mapping[str, Setting] | None = None
    """Of the runtime, in place of those of the target's variant."""
    inputs: Path | None = None
    """An .npz file that feeds it."""
    variant: str | None = None
    """One of the target's, by name; the first one of a model's precision if None."""
    baseline_variant: str | None = None
    """The baseline's; `variant` if None."""
    time_limit_s: float = 120
    """No further launches after about so many seconds."""
    wait_s: float = 0
    """How long the device is waited for while somebody else uses it."""


def check(
    subject: Path,
    budget: Budget,
    *,
    baseline: Path | None = None,
    on_device: OnDevice | None = None,
    progress: Progress,
) -> Judged:
    """The verdict on `subject`: a measurement (.json) or a model (any other file), and its baseline of the same kind.

    A model is measured on the device, interleaved with its baseline and with the baseline once more, as a control,
    until every limit is decided or the time is up. On a device that isn't of the target's kind nothing is measured,
    and only what needs no device is judged.

    Raises:
        EdgekdError: a file can't be read, a relative limit has no baseline, a model has no target, a measurement is of
            another one, or milliseconds are to be judged on a shared machine.
        DeviceError: the device is in use or can't be reached.
        MeasurementError: the measurements don't compare, or the runtime crashed or hung.
    """
    require_limits(budget)
    require_baseline(budget, given=baseline is not None)
    files = [subject, baseline] if baseline else [subject]
    stored_ones = [file.suffix.lower() == ".json" for file in files]
    if all(stored_ones):
        measurements = [read_measurement(file) for file in files]
        _require_target(subject, measurements[0], on_device)
        return judge_at_look(budget, *measurements)
    if not any(stored_ones):
        if on_device is None:
            hint = "Give --target; `edgekd targets` lists them."
            raise EdgekdError("a model is measured on a target, and none was given", hint)
        _refuse_milliseconds_on_shared(budget, on_device.url, baseline)
        return _measured(files, budget, on_device, progress)
    message = "a stored measurement doesn't compare with a model that is measured now"
    raise EdgekdError(message, "Give two .onnx files, or two measurements of one session.")


def _require_target(file: Path, stored: Measurement, on_device: OnDevice | None) -> None:
    """Raises EdgekdError if a stored measurement is of another target than the stated one."""
    if on_device and on_device.target.name != stored.target:
        hint = "Leave --target out, or measure the model on that target."
        raise EdgekdError(f"{file} was measured for {stored.target}, not for {on_device.target.name}", hint)


def check_each(
    subject: Path,
    budget: Budget,
    places: Sequence[Place],
    *,
    baseline: Path | None = None,
    on_device: Callable[[Place], OnDevice | None],
    progress: Progress,
) -> list[Outcome]:
    """As `check`, on several devices at once; a device that fails loses no other's verdict.

    Args:
        subject: the model.
        budget: the limits, the same for all.
        places: the devices.
        baseline: the original model.
        on_device: how a device measures; None where no target is known for it.
        progress: told about each step of each device.

    Raises:
        EdgekdError: as `check`, where it is the same for all devices; or the subject is a measurement.
    """
    if subject.suffix.lower() == ".json":
        raise EdgekdError(f"{subject}: a stored measurement is of one device", "Give a model (.onnx).")

    def on_one(place: Place, its: Progress) -> Judged:
        return check(subject, budget, baseline=baseline, on_device=on_device(place), progress=its)

    progress.stage("measure", f"measuring on {len(places)} devices side by side")
    found = zip(places, on_each(places, on_one, progress), strict=True)
    return [
        Unjudged(place.name, one) if isinstance(one, Failure) else replace(one, device=place.name)
        for place, one in found
    ]


def _refuse_milliseconds_on_shared(budget: Budget, url: str | None, baseline: Path | None) -> None:
    """Raises EdgekdError where milliseconds would be judged on a machine that isn't said to be the given device."""
    hosted = os.environ.get("RUNNER_ENVIRONMENT") == "github-hosted"
    if url is None and (baseline or hosted) and for_given_device(budget):
        why = "this is a GitHub-hosted runner" if hosted else "a baseline is measured because the machine is shared"
        raise EdgekdError(
            f"budget {budget.name}: milliseconds are for one given device, but {why}",
            "Use latency.max_ratio, or say which device the milliseconds are for, such as --device local:",
        )


def defaults(budget: Budget, *, compared: bool) -> MeasuringProtocol:
    """How a model is measured unless said otherwise: paced if the budget is, and in short launches where only ratios
    to a baseline count.
    """
    short = _SHORT if compared and not for_given_device(budget) else {}
    return protocol_for(budget, MeasuringProtocol.model_validate(short))


def _described(files: list[Path], how: OnDevice) -> list[Artifact]:
    """The model and its baseline, each in its variant."""
    described = catalog.require("edgekd.pipeline.profile").described
    if how.baseline_variant is None or len(files) == 1:
        found: list[Artifact] = described(files, how.target, how.settings, how.variant)
        return found
    variants = (how.variant, how.baseline_variant)
    each = [
        described([file], how.target, how.settings, wanted)[0] for file, wanted in zip(files, variants, strict=True)
    ]
    if each[0].name != each[1].name:
        return each
    return [one.model_copy(update={"name": f"{one.name}-{one.variant.name}"}) for one in each]


def _measured(files: list[Path], budget: Budget, on_device: OnDevice, progress: Progress) -> Judged:
    # here, not above: what measures imports onnx and numpy, and a stored measurement is to be judged at once
    measuring = catalog.require("edgekd.pipeline.profile")
    gating, devices = catalog.require("edgekd.gate.gate"), catalog.require("edgekd.devices.device")
    waiting = catalog.require("edgekd.devices.lease").Waiting(on_device.wait_s, progress.note)
    target = on_device.target
    protocol = on_device.protocol or defaults(budget, compared=len(files) > 1)
    artifacts = _described(files, on_device)
    batch = catalog.require("edgekd.measuring.batch")
    batch.require_batch(files, protocol)
    if len(files) > 1:
        batch.require_same_batch(*files, protocol)
    with devices.connect(on_device.url or devices.LOCAL, target, waiting=waiting) as device, device.leased():
        try:
            devices.require_target(device, target)
            require_engines(budget, device.facts, [artifacts[0].variant.runtime])
            progress.stage("measure", f"measuring {' and '.join(a.name for a in artifacts)} on {device.title}")
            used = device
        except NoDeviceError as e:
            progress.warn(e.message)
            used = None
        judged: Judged = gating.gate(
            budget,
            artifacts[0],
            artifacts[1] if len(artifacts) > 1 else None,
            used,
            target=target,
            protocol=measuring.fed(protocol, on_device.inputs),
            inputs=on_device.inputs,
            time_limit_s=on_device.time_limit_s,
            progress=progress,
        )
    return judged
