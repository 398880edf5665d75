"""`targets detect`: which target a device matches."""

from collections.abc import Sequence
from typing import Literal

from edgekd import catalog
from edgekd.devices import jetson
from edgekd.devices.device import LOCAL, connect
from edgekd.devices.recognition import close, fitting, is_general
from edgekd.errors import ExitCode
from edgekd.measuring.disturbance import EMULATED
from edgekd.values import DeviceFacts, Host, Platform, Target, Value
from edgekd.values.value import Name


class Comparison(Value):
    """A target, and why the device matches it or doesn't."""

    target: Name
    title: str
    why: tuple[str, ...]


class Detected(Value):
    """What `edgekd targets detect --json` prints."""

    schema_version: Literal["edgekd.detected/1"] = "edgekd.detected/1"
    device: str
    host: Host
    platform: Platform
    targets: tuple[Comparison, ...]
    """Those that it matches, the proposed one first: that of its board precedes that of every computer like it."""
    close: tuple[Comparison, ...]
    """The others that it is most like."""
    remarks: tuple[str, ...]
    """What to do where no target is for this board, and what else matters."""

    @property
    def exit_code(self) -> ExitCode:
        """0 if it matches a target, else 3."""
        return ExitCode.PASS if self.targets else ExitCode.INCONCLUSIVE


def detect(url: str | None) -> Detected:
    """Compare the device at `url` (this machine if None) with all known targets. Nothing is measured.

    Raises:
        DeviceError: it can't be reached.
    """
    with connect(url or LOCAL) as device:
        facts = device.identify()
    return compared(device.url, facts, catalog.targets())


def compared(device: str, facts: DeviceFacts, targets: Sequence[Target]) -> Detected:
    """The device with these facts compared with targets."""
    fits, near = fitting(facts, targets), close(facts, targets)
    remarks = [EMULATED] if facts.host.emulated else []
    if remedy := _remedy(facts, fits, targets):
        remarks.append(remedy)
    return Detected(
        device=device,
        host=facts.host,
        platform=facts.platform,
        targets=tuple(Comparison(target=t.name, title=t.title, why=facts.agreements(t)) for t in fits),
        close=tuple(Comparison(target=t.name, title=t.title, why=why) for t, why in near),
        remarks=tuple(remarks),
    )


def _remedy(facts: DeviceFacts, fits: Sequence[Target], targets: Sequence[Target]) -> str:
    """How to get a target for it; empty where one fits."""
    capability = jetson.compute_capability(facts.platform)
    if capability and (not fits or is_general(fits[0])):
        alike = next((t for t in targets if t.compute_capability == capability), None)
        lacks = f"no target is for this module, whose GPU has compute capability {capability}"
        gpu = f', compute_capability = "{capability}"' if not alike else ""
        return f"{lacks}: {_own(alike or _nearest(facts, targets))} compatible = [{_identifier(facts)}]{gpu}"
    if fits:
        return ""
    what = f'arch = "{facts.host.arch}", os = "{facts.host.os}"'
    return f"no target is for such a device: {_own(_nearest(facts, targets))} {what}"


def _own(start: Target) -> str:
    path = catalog.toml_files("targets").get(start.name, start.name)
    return f"write one of your own (docs/targets.md), for example a copy of {path}, with a name of its own and"


def _nearest(facts: DeviceFacts, targets: Sequence[Target]) -> Target:
    """The target of every computer of its architecture, else the one that it is most like."""
    general = [target for target in targets if target.arch == facts.host.arch and is_general(target)]
    # of the systems without a target, all are more like Linux than like Android
    return min(general, key=lambda target: target.os != "linux") if general else close(facts, targets)[0][0]


def _identifier(facts: DeviceFacts) -> str:
    """The most exact one, as a TOML string: a device tree lists the board first and its processor last."""
    return f'"{facts.platform.compatible[0]}"'
