"""`doctor`: what this machine and a device can do, what is missing, and how noisy the device is."""

import importlib.metadata
import platform
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
from edgekd.errors import DeviceError, MeasurementError
from edgekd.measuring.disturbance import EMULATED
from edgekd.measuring.noise import Noise, self_comparison
from edgekd.progress import Progress
from edgekd.values import DeviceRuntime, Host, Platform, State, Value
from edgekd.worker import WorkerError

_LIBRARIES = ("onnxruntime", "onnx", "numpy", "torch", "torchvision", "timm", "torch-pruning", "safetensors")
_NOISE_RUNTIME = "onnxruntime"


class MissingRuntime(Value):
    """A runtime that a device can't use."""

    why: str
    install: str | None = None
    """The command that installs it, to be typed there; None where none is known."""


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
    """Those that the device has, by name."""
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
        EdgekdError: the model can't be read or run.
        MeasurementError: the device is emulated, and its noise was asked for.
    """
    with connect(url or LOCAL, waiting=Waiting(wait_s, progress.note)) as device:
        with device.look_on() as agent:
            try:
                answer, in_use_by = agent.state(), _in_use(agent)
            except WorkerError as e:
                raise DeviceError(f"{device.url}: the agent does not answer: {e}", "Try again.") from e
        facts, state = device.facts, State(**asdict(answer.state))
        missing = _missing(device)
        if noise:
            _require_noise(device, missing)
        matching = tuple(target.name for target in fitting(facts, catalog.targets()))
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
            targets=matching,
            remarks=(*in_use_by, *_first_remarks(device, matching), *advice(facts, state)),
            noise=self_comparison(device, _NOISE_RUNTIME, model, progress) if noise else None,
        )


def _missing(device: Reached) -> dict[str, MissingRuntime]:
    return {
        name: MissingRuntime(why=why, install=device.install_command(name))
        for name, why in device.facts.unavailable.items()
    }


def _require_noise(device: Reached, missing: dict[str, MissingRuntime]) -> None:
    if device.facts.host.emulated:
        raise MeasurementError(f"{device.url}: {EMULATED}", "Leave --noise out, or give the real device.")
    if one := missing.get(_NOISE_RUNTIME):
        hint = f"Install it there: {one.install}" if one.install else "Leave --noise out."
        raise DeviceError(f"{device.url}: its noise is measured with {_NOISE_RUNTIME}: {one.why}", hint)


def _first_remarks(device: Reached, targets: tuple[str, ...]) -> list[str]:
    found = [EMULATED] if device.facts.host.emulated else []
    if not device.facts.runtimes:
        found.append("it has no runtime that edgekd knows: nothing can be measured there")
    if not targets:
        found.append(f"no target is of this kind: edgekd targets detect --device {device.url} proposes one")
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
