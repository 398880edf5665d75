"""`doctor`: what this machine and a device can do, what is missing, and how noisy the device is."""

import importlib.metadata
import platform
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import edgekd
from edgekd import catalog
from edgekd.devices.client import Agent
from edgekd.devices.device import LOCAL, connect
from edgekd.devices.lease import Waiting, in_use
from edgekd.errors import DeviceError, MeasurementError
from edgekd.measuring.disturbance import EMULATED
from edgekd.measuring.noise import Noise, self_comparison
from edgekd.progress import Progress
from edgekd.runtimes._base import RUNTIMES
from edgekd.values import Host, RuntimeInfo, State, Value
from edgekd.worker import WorkerError

_LIBRARIES = ("onnxruntime", "onnx", "numpy", "torch", "torchvision", "timm", "torch-pruning", "safetensors")


class Diagnosis(Value):
    """What `edgekd doctor --json` prints."""

    schema_version: Literal["edgekd.doctor/2"] = "edgekd.doctor/2"
    edgekd: str
    python: str
    libraries: dict[str, str | None]
    device: str
    host: Host
    runtime: RuntimeInfo
    state: State
    energy: bool
    """Whether the device tells what energy it takes."""
    targets: tuple[str, ...]
    """Whose kind the device is."""
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
        DeviceError: the device can't be reached, or has no runtime.
        EdgekdError: the model can't be read or run.
        MeasurementError: the device is emulated, and its noise was asked for.
    """
    runtime = catalog.names(RUNTIMES)[0]
    with connect(url or LOCAL, waiting=Waiting(wait_s, progress.note)) as device:
        with device.start(runtime) as agent:
            try:
                answer, in_use_by = agent.state(), _in_use(agent)
            except WorkerError as e:
                raise DeviceError(f"{device.url}: the agent does not answer: {e}", "Try again.") from e
        facts, state = device.facts, State(**asdict(answer.state))
        if noise and facts.host.emulated:
            raise MeasurementError(f"{device.url}: {EMULATED}", "Leave --noise out, or give the real device.")
        matching = tuple(target.name for target in catalog.targets() if device.is_of(target))
        found = facts.runtimes[runtime]
        return Diagnosis(
            edgekd=edgekd.__version__,
            python=platform.python_version(),
            libraries={name: _version(name) for name in _LIBRARIES},
            device=device.url,
            host=facts.host,
            runtime=RuntimeInfo(name=runtime, version=found.version, provider=found.provider, origin=found.origin),
            state=state,
            energy=answer.energy,
            targets=matching,
            remarks=(*in_use_by, *_remarks(facts.host, state, matching)),
            noise=self_comparison(device, runtime, model, progress) if noise else None,
        )


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


def _remarks(host: Host, state: State, targets: Sequence[str]) -> list[str]:
    found = [EMULATED] if host.emulated else []
    if not targets:
        kind = f"{host.arch} {host.os}"
        found.append(f"no target is of this kind ({kind}): write one, see `edgekd targets show x86-cpu`")
    if state.governor and state.governor != "performance":
        found.append(
            f"the clock governor is {state.governor}: set performance, so that the clock doesn't follow the load"
        )
    if state.throttled_by:
        found.append(f"it is throttled by {', '.join(state.throttled_by)}: fix this before measuring")
    if state.governor is None:
        found.append("clocks are not reported, as in most virtual machines: prefer relative limits")
    if state.throttle_count is None:
        found.append("throttling is not reported: only the canary can show it")
    return found
