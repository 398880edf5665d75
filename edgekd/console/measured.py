"""What was measured and judged."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekd.console.writing import coloured, error, say, show_table
from edgekd.errors import EdgekdError

if TYPE_CHECKING:
    from edgekd.measuring.explain import Explanation
    from edgekd.values import DevicesMeasured, Failure, Measurement, Verdict


def verdict(found: "Verdict", device: str = "") -> None:
    """A verdict with the evidence for each limit, and the device where there are several."""
    where = f" on {called(device)}" if device else ""
    say(f": {found.artifact} on budget {found.budget}{where}", first=coloured(found.status.upper(), found.status))
    for limit in found.limits:
        say(f"  {limit.evidence}", first=f"  {coloured(f'{limit.status:<12}', limit.status)}")
    for reason in found.reasons:
        say(f": {reason}", first=f"  {coloured('invalid', 'invalid')}")


def measurements(found: "Sequence[Measurement]", reference: int = -1) -> None:
    """Measurements of one session side by side, compared with the one at `reference`."""
    from edgekd.measuring import summary
    from edgekd.measuring.disturbance import spoiled

    show_table(summary.rows(found))
    say(f"\n{summary.BOUNDS}")
    others = [m for m in found if m is not found[reference]]
    for m in others:
        say(summary.comparison(m, found[reference]))
    for line in summary.conditions(found[0], found[1:]):
        say(line)
    for m in found:
        if m.trace:
            say(f"\n{m.artifact.name}: {summary.where(m)}")
            show_table(summary.operator_rows(m))
    for m in found:
        for reason in spoiled(m):
            say(f": {m.artifact.name}: {reason}", first=coloured("invalid", "invalid"))


def devices_measured(found: "DevicesMeasured", reference: int = -1) -> None:
    """Measurements of several devices, a group of rows for each, compared with the one at `reference`."""
    from edgekd.measuring import by_device, summary
    from edgekd.measuring.disturbance import spoiled

    show_table(by_device.rows(found.devices, reference))
    if any(device.measurements for device in found.devices):
        say(f"\n{summary.BOUNDS}")
    for device in found.devices:
        if device.measurements:
            first, *others = device.measurements
            for line in summary.conditions(first, others):
                say(f"{called(device.device)}: {line}")
        for m in device.measurements:
            for reason in spoiled(m):
                what = f"{called(device.device)}: {m.artifact.name}: {reason}"
                say(f": {what}", first=coloured("invalid", "invalid"))


def explanation(found: "Explanation") -> None:
    """Two artifacts node by node, their latencies, and the causes."""
    from edgekd.measuring.explain import summary

    rows = [["node", "op", found.artifact, "op", found.other, "ratio"]]
    for p in found.pairs:
        ratio = f"{p.other_ms / p.ms:.2f}" if p.ms else ""
        rows.append([p.name, p.op, f"{p.ms:.4g} ms", p.other_op, f"{p.other_ms:.4g} ms", ratio])
    rows.append(["all nodes", "", f"{found.nodes_ms:.4g} ms", "", f"{found.other_nodes_ms:.4g} ms", ""])
    show_table(rows)
    say(f"\n{summary(found)}")
    for cause in found.causes:
        say(f"- {cause}")
    for reason in found.invalid:
        say(f": {reason}", first=coloured("invalid", "invalid"))


def failure(device: str, found: "Failure", *, coded: bool = True) -> None:
    """Why a device gave no result, and the remedy; the exit code where it counts for the command's."""
    code = f" (exit code {found.exit_code})" if coded else ""
    error(EdgekdError(f"{_of(device, found.message)}{code}", found.hint))


def _of(device: str, text: str) -> str:
    """A line about a device; a text that begins with its name has it already."""
    name = called(device)
    return text if text.startswith((f"{name}:", f"{name} ")) else f"{name}: {text}"


def called(device: str) -> str:
    """How a device is named in texts."""
    from edgekd.devices.listed import called

    return called(device)
