"""A budget to start from: the limits that a measurement meets with some headroom, as a commented TOML file."""

from collections.abc import Iterator
from itertools import chain

from edgekd.errors import EdgekdError, MeasurementError
from edgekd.gate.budget import known_limits
from edgekd.gate.headroom import toml_string
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.statistics import confidence_of
from edgekd.values import Measurement

_LEAST_HEADROOM, _MOST_HEADROOM = 1, 1000


def start_budget(measurement: Measurement, *, name: str, headroom: float) -> str:
    """The text of a budget file that the measurement passes.

    What varies is limited to its upper bound × headroom, at 95 %, or at the confidence by which a verdict's samples are
    judged, what is counted to itself × headroom, both rounded up
    to three digits; what the sample is too small to bound, and what wasn't measured, is left out.

    Raises:
        EdgekdError: the headroom isn't between 1 and 1000.
        MeasurementError: the measurement is invalid, or of a device that isn't one of its target's kind.
    """
    if not _LEAST_HEADROOM <= headroom <= _MOST_HEADROOM:
        message = f"a headroom of {headroom:g} isn't between {_LEAST_HEADROOM} and {_MOST_HEADROOM}"
        raise EdgekdError(message, "Give --headroom 1.25 for limits a quarter above what was measured.")
    _require_usable(measurement)
    lines = chain(
        _head(measurement, name, headroom),
        *(limit.start(measurement, headroom) for limit in known_limits().values()),
        _conditions(measurement),
    )
    return "\n".join(lines) + "\n"


def _require_usable(measurement: Measurement) -> None:
    what = f"the measurement of {measurement.artifact.name!r}"
    if reasons := spoiled(measurement):
        raise MeasurementError(f"{what} is invalid: {'; '.join(reasons)}", "Measure again.")
    if not measurement.on_target:
        message = f"{what} says nothing of {measurement.target!r}: it wasn't made on such a device"
        raise MeasurementError(message, "Measure on one: `edgekd profile --target … --device … --out …`.")


def _head(measurement: Measurement, name: str, headroom: float) -> Iterator[str]:
    yield f"# Made by `edgekd budgets init` from a measurement of {toml_string(measurement.artifact.name)}."
    level = f"{100 * confidence_of(measurement.looks):.5g} %"
    yield f"# A limit is what was measured × {headroom:g}, rounded up; of what varies, its upper bound at {level}."
    yield "# Change the numbers to what you need, and delete what shouldn't be checked."
    yield f"name = {toml_string(name)}"


def _conditions(measurement: Measurement) -> Iterator[str]:
    runtime, protocol = measurement.runtime, measurement.protocol
    yield "\n[conditions] # a measurement made otherwise is refused; delete the lines that don't matter"
    yield f"target = {toml_string(measurement.target)}"
    yield f"machine = {toml_string(measurement.host.machine)} # this one device"
    yield f"cpu = {toml_string(measurement.host.cpu)}"
    if governor := measurement.host.governor:
        yield f"governor = {toml_string(governor)}"
    if mode := measurement.host.power_mode:
        yield f"power_mode = {toml_string(mode)}"
    if (locked := measurement.host.clocks_locked) is not None:
        yield f"clocks_locked = {str(locked).lower()}"
    yield f"runtime = {toml_string(runtime.name)}"
    yield f"runtime_version = {toml_string(runtime.version)}"
    yield f"provider = {toml_string(runtime.provider)}"
    if threads := runtime.settings.get("threads"):
        yield f"threads = {threads}"
    yield f"batch = {protocol.batch}"
    if protocol.transfers == "excluded":
        yield 'transfers = "excluded"'
