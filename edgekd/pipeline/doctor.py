"""`doctor`: what this machine and a device can do, what is missing, and how noisy the device is."""

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import edgekd
from edgekd import catalog
from edgekd.devices import jetson
from edgekd.devices.advice import advice
from edgekd.devices.client import Agent
from edgekd.devices.device import LOCAL, Reached, connect
from edgekd.devices.lease import Waiting, in_use
from edgekd.devices.recognition import fitting
from edgekd.errors import DeviceError, EdgekdError, MeasurementError
from edgekd.measuring.disturbance import EMULATED
from edgekd.measuring.noise import Noise, self_comparison
from edgekd.progress import Progress
from edgekd.values import DeviceFacts, DeviceRuntime, Host, Platform, State, Target, Value
from edgekd.worker import WorkerError

_LIBRARIES = ("onnxruntime", "onnx", "numpy", "torch", "torchvision", "timm", "torch-pruning", "safetensors")
_NOISE_RUNTIME = "onnxruntime"


class MissingRuntime(Value):
    """A runtime that a device can't use."""

    why: str
    install: str | None = None
    """The command that installs it, to be typed there, and the URL to use then if it changes; None: none is known."""
    wanted: bool = True
    """Whether it is a runtime of a target that the device is of; True for all where it is of none."""


class Diagnosis(Value):
    """What `edgekd doctor --json` prints."""

    schema_version: Literal["edgekd.doctor/3"] = "edgekd.doctor/3"
    edgekd: str
    python: str
    libraries: dict[str, str | None]
    device: str
    host: Host
    platform: Platform
    shipped: dict[str, str]
    """What NVIDIA ships with the device's L4T, of what `platform` lacks: the device may have another version."""
    runtimes: dict[str, DeviceRuntime]
    """Those that the device has, by name. None are asked for while somebody else uses it."""
    missing: dict[str, MissingRuntime]
    """The others."""
    state: State
    energy: bool
    """Whether the device reports the energy that it takes."""
    targets: tuple[str, ...]
    """Those that the device is of, that of its board first."""
    remarks: tuple[str, ...]
    """What makes measuring here less exact, and what to do about it."""
    noise: Noise | None = None


def doctor(
    url: str | None, *, noise: bool, model: Path | None = None, wait_s: float = 0, progress: Progress
) -> Diagnosis:
    """Examine this machine and the device at `url` (this machine if None).

    Args:
        url: the device.
        noise: whether a model is compared with itself, which takes a minute or two.
        model: the model to do it with; a small built-in one if None.
        wait_s: how long the device is waited for while somebody else uses it, to compare the model with itself.
        progress: told about each step.

    Raises:
        DeviceError: the device can't be reached, or lacks the runtime by which its noise is measured.
        EdgekdError: the model can't be read or run, or is given though no noise was asked for.
        MeasurementError: the device is emulated, and its noise was asked for.
    """
    if model and not noise:
        raise EdgekdError("--model is compared with itself by --noise alone", "Add --noise, or leave --model out.")
    with connect(url or LOCAL, waiting=Waiting(wait_s, progress.note)) as device:
        with device.look_on() as agent:
            try:
                answer, in_use_by = agent.state(), _in_use(agent)
            except WorkerError as e:
                raise DeviceError(f"{device.title}: the agent does not answer: {e}", "Try again.") from e
        state = State(**asdict(answer.state))
        # importing runtimes would disturb whoever uses it
        facts = device.facts if noise or not in_use_by else device.identify()
        matching = fitting(facts, catalog.targets())
        missing = _missing(device, facts, matching)
        if noise:
            _require_noise(device, missing)
        return Diagnosis(
            edgekd=edgekd.__version__,
            python=platform.python_version(),
            libraries={name: _version(name) for name in _LIBRARIES},
            device=device.url,
            host=facts.host,
            platform=facts.platform,
            shipped=jetson.missing(facts.platform),
            runtimes=facts.runtimes,
            missing=missing,
            state=state,
            energy=answer.energy,
            targets=tuple(target.name for target in matching),
            remarks=(*_first_remarks(device.url, facts, matching, in_use_by), *advice(facts, state)),
            noise=self_comparison(device, _NOISE_RUNTIME, model, progress) if noise else None,
        )


def _missing(device: Reached, facts: DeviceFacts, matching: Sequence[Target]) -> dict[str, MissingRuntime]:
    wanted = {runtime for target in matching for runtime in target.runtimes}
    return {
        name: MissingRuntime(why=why, install=device.install_command(name), wanted=name in wanted or not matching)
        for name, why in facts.unavailable.items()
    }


def _require_noise(device: Reached, missing: dict[str, MissingRuntime]) -> None:
    if device.facts.host.emulated:
        raise MeasurementError(f"{device.title}: {EMULATED}", "Leave --noise out, or give the real device.")
    if one := missing.get(_NOISE_RUNTIME):
        hint = f"Install it there: {one.install}" if one.install else "Leave --noise out."
        raise DeviceError(f"{device.title}: its noise is measured with {_NOISE_RUNTIME}: {one.why}", hint)


def _first_remarks(url: str, facts: DeviceFacts, matching: Sequence[Target], in_use_by: Sequence[str]) -> list[str]:
    found = [*in_use_by]
    if facts.host.emulated:
        found.append(f"{EMULATED}. Its outputs count; measure on the device itself")
    if in_use_by and not facts.runtimes:
        found.append("its runtimes are not read while it is in use: that would disturb its user")
    elif not facts.runtimes:
        found.append("it has no runtime that edgekd knows, and nothing can be measured there: install one")
    if not matching:
        found.append(f"it matches no target: edgekd targets detect --device {url} reports why, and what to do")
    return found


def _in_use(agent: Agent) -> list[str]:
    """Who uses the device, or why nobody can. Raises WorkerError if the agent does not answer."""
    try:
        holder = agent.lease().holder
    except WorkerError as e:
        if e.kind != "error":
            raise
        return [f"the lease on the device can't be taken: {e}: {e.hint}"]
    return [in_use(holder)] if holder else []


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None
