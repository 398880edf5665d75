"""`devices`: the user's devices and their state, all asked at once."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.devices.lease import in_use
from edgekd.devices.listed import Place, stated_target
from edgekd.devices.recognition import fitting
from edgekd.errors import EdgekdError, ExitCode
from edgekd.pipeline.several import failure_of
from edgekd.pipeline.threads import at_once, wait
from edgekd.values import DeviceRuntime, Failure, Host, Value
from edgekd.values.value import Name


class DeviceState(Value):
    """A device as it was found."""

    device: Name
    """As `--device` takes it: a name of `devices.toml`, or a URL."""
    url: Name
    tags: tuple[str, ...] = ()
    target: str | None = None
    """What the file says that it is."""
    targets: tuple[str, ...] = ()
    """Those that it is of, as far as it was reached; that of its board first."""
    host: Host | None = None
    runtimes: dict[str, DeviceRuntime] | None = None
    """Those that edgekd knows and the device has; None: not asked for, since the device is in use."""
    in_use: str | None = None
    """By whom, and since when."""
    failure: Failure | None = None
    """Why it can't be used: it can't be reached (`host` is None), or its entry in the file is wrong."""


class DeviceStates(Value):
    """What `edgekd devices --json` prints."""

    schema_version: Literal["edgekd.devices/1"] = "edgekd.devices/1"
    devices: tuple[DeviceState, ...]


def devices(places: Sequence[Place], *, timeout_s: float) -> DeviceStates:
    """The state of each device, in their order; one that gives no answer in time is reported as such."""
    found: list[DeviceState | BaseException] = [_late(place, timeout_s) for place in places]

    def ask(number: int, place: Place) -> None:
        try:
            found[number] = _state(place)
        except BaseException as e:  # raised again below
            found[number] = e

    with at_once([partial(ask, *one) for one in enumerate(places)]) as works:
        wait(works, timeout_s)
        in_time = list(found)
    answered = []
    for one in in_time:
        if isinstance(one, BaseException):
            raise one
        answered.append(one)
    return DeviceStates(devices=tuple(answered))


def _state(place: Place) -> DeviceState:
    listed = _listed(place)
    try:
        with connect(place.url) as device:
            facts, holder = device.look()
            matching = tuple(target.name for target in fitting(facts, catalog.targets()))
    except EdgekdError as e:
        return listed.model_copy(update={"failure": failure_of(e)})
    seen = {
        "host": facts.host,
        "targets": matching,
        "runtimes": None if holder else facts.runtimes,
        "in_use": in_use(holder) if holder else None,
        "failure": _wrong_target(place),
    }
    return listed.model_copy(update=seen)


def _wrong_target(place: Place) -> Failure | None:
    try:
        stated_target(place)
    except EdgekdError as e:
        return failure_of(e)
    return None


def _late(place: Place, timeout_s: float) -> DeviceState:
    message = f"no answer within {timeout_s:g} s"
    failure = Failure(message=message, hint="Give it more time with --timeout.", exit_code=ExitCode.UNREACHABLE)
    return _listed(place).model_copy(update={"failure": failure})


def _listed(place: Place) -> DeviceState:
    return DeviceState(device=place.name, url=place.url, tags=place.tags, target=place.target)
