"""Measurements of several devices as one table, a group of rows for each device."""

from collections.abc import Iterator, Sequence

from edgekd.errors import MeasurementError
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import ratio
from edgekd.measuring.summary import rows as columns
from edgekd.values import DeviceMeasurements, Measurement

_SHOWN = ("p50", "p95", "p99", "load", "peak memory")


def rows(devices: Sequence[DeviceMeasurements], reference: int = -1) -> list[list[str]]:
    """The table, the headings first. The ratio is to the measurement at `reference` of the same device."""
    headings = ["device", "model", *_SHOWN]
    compared = any(len(device.measurements) > 1 for device in devices)
    table = [headings + (["ratio"] if compared else [])]
    for device in devices:
        table += [[*row, ""][: len(table[0])] for row in _failed(device)]
        for number, m in enumerate(device.measurements):
            beside = [_ratio(m, device.measurements[reference])] if compared else []
            table.append([device.device if not number else "", m.artifact.name, *_figures(m), *beside])
    return table


def _figures(m: Measurement) -> Iterator[str]:
    """A device's figures don't count if it was disturbed, and aren't shown then."""
    why = spoiled(m)
    found = {row[0]: row[1] for row in columns([m])[1:]}
    return (("invalid" if why else found[name]) for name in _SHOWN)


def _ratio(m: Measurement, reference: Measurement) -> str:
    if m is reference:
        return ""
    if m.invalid or reference.invalid:  # drift, which `spoiled` has too, changes both alike
        return "invalid"
    try:
        found = ratio(m, reference)
    except MeasurementError:
        return "doesn't compare"
    return f"{found.estimate:.3f} ({found.low:.3f} to {found.high:.3f})"


def _failed(device: DeviceMeasurements) -> list[list[str]]:
    if not device.failure:
        return []
    return [[device.device, f"failed, exit code {device.failure.exit_code}", *[""] * len(_SHOWN)]]
