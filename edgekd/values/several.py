"""What several devices gave for one command, side by side."""

from typing import Literal

from edgekd.values.measurement import Measurement
from edgekd.values.value import Name, Value
from edgekd.values.verdict import Verdict


class Failure(Value):
    """Why a device gave no result; the others did."""

    message: str
    hint: str = ""
    exit_code: int


class DeviceMeasurements(Value):
    """What was measured on one device, or why nothing was."""

    device: Name
    """As it was asked for: a name of `devices.toml`, or a URL."""
    url: Name
    measurements: tuple[Measurement, ...] = ()
    """Those of one session, in the order of the artifacts."""
    failure: Failure | None = None


class DevicesMeasured(Value):
    """What `edgekd profile --json` prints of several devices."""

    schema_version: Literal["edgekd.profiles/1"] = "edgekd.profiles/1"
    devices: tuple[DeviceMeasurements, ...]


class DeviceVerdict(Value):
    """The verdict that was reached on one device, or why there is none."""

    device: Name
    """As it was asked for: a name of `devices.toml`, or a URL."""
    verdict: Verdict | None = None
    failure: Failure | None = None


class Verdicts(Value):
    """What `edgekd check --json` prints of several devices."""

    schema_version: Literal["edgekd.verdicts/1"] = "edgekd.verdicts/1"
    exit_code: int
    """The worst of the devices': 1, 2, 5, 4, 3, 0 in this order."""
    devices: tuple[DeviceVerdict, ...]
