"""A budget to start from: the limits that a measurement meets with some headroom, as a commented TOML file."""

import json
from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from itertools import chain
from statistics import median

from edgekd.errors import EdgekdError, MeasurementError
from edgekd.measuring.disturbance import spoiled
from edgekd.measuring.nodes import fallen_back
from edgekd.measuring.statistics import percentile, samples_ms, samples_needed, upper_bound
from edgekd.values import Measurement

_PERCENTILES = (95, 90, 50)
_LEAST_HEADROOM, _MOST_HEADROOM = 1, 1000
_ACCURACY_GIVEN_UP = Decimal("0.01")
_UP = Context(prec=3, rounding=ROUND_CEILING)


def start_budget(measurement: Measurement, *, name: str, headroom: float) -> str:
    """The text of a budget file that the measurement passes.

    What varies is limited to its upper bound at 95 % × headroom, what is counted to itself × headroom, both rounded up
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
        _latency(measurement, headroom),
        _once(measurement, headroom),
        _memory(measurement, headroom),
        _size(measurement, headroom),
        _fallback(measurement),
        _accuracy(measurement),
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
    yield f"# Made by `edgekd budgets init` from a measurement of {_string(measurement.artifact.name)}."
    yield f"# A limit is what was measured × {headroom:g}, rounded up; what varies counts with its upper bound at 95 %."
    yield "# Change the numbers to what you need, and delete what isn't to be judged."
    yield f"name = {_string(name)}"


def _latency(measurement: Measurement, headroom: float) -> Iterator[str]:
    samples = sorted(samples_ms(measurement))
    supported = [(p, bound) for p in _PERCENTILES if (bound := upper_bound(samples, p))]
    if not supported:
        yield f"\n# [latency] limit_ms: {len(samples)} samples tell no percentile; to limit it, measure for longer"
        return
    p, bound = supported[0]
    cadence = measurement.protocol.cadence_hz
    yield "\n[latency] # milliseconds that an inference takes in steady state"
    yield f"percentile = {p} # the highest of 95, 90 and 50 that {len(samples):,} samples tell"
    yield f"limit_ms = {_up(bound * headroom)} # measured {percentile(samples, p):.4g}, at most {bound:.4g}"
    if cadence:
        yield f"cadence_hz = {cadence!r} # inferences a second, as measured; another cadence has another latency"


def _once(measurement: Measurement, headroom: float) -> Iterator[str]:
    launches = measurement.launches
    loads, firsts = [launch.load_ms for launch in launches], [launch.first_ms for launch in launches]
    yield from _each_launch("load", "limit_ms", "milliseconds that loading takes", loads, headroom)
    yield from _each_launch("first_inference", "limit_ms", "milliseconds that the first takes", firsts, headroom)
    if taken := [launch.energy_mj for launch in launches if launch.energy_mj is not None]:
        yield from _each_launch("energy", "limit_mj", "millijoules that an inference takes", taken, headroom)


def _memory(measurement: Measurement, headroom: float) -> Iterator[str]:
    peaks = [launch.peak_bytes for launch in measurement.launches if launch.peak_bytes is not None]
    if peaks and median(peaks) > 0:
        yield "\n[memory] # bytes that loading and running add to the process"
        yield f"peak_bytes = {_up_bytes(median(peaks) * headroom)} # measured {median(peaks):,.0f}"


def _size(measurement: Measurement, headroom: float) -> Iterator[str]:
    artifact = measurement.artifact
    yield "\n[size] # bytes"
    for key, found, what in (
        ("disk_bytes", artifact.disk_bytes, "of the file"),
        ("transfer_bytes", artifact.transfer_bytes, "of the gzipped file"),
        ("engine_bytes", measurement.engine_bytes, "of what the device built from it"),
    ):
        if found:
            yield f"{key} = {_up_bytes(found * headroom)} # {what}; measured {found:,}"


def _fallback(measurement: Measurement) -> Iterator[str]:
    if measurement.trace:
        first = measurement.environment.provider
        fallen = len(fallen_back(measurement.trace, first))
        yield f"\n[fallback] # nodes that another provider than {_string(first)} runs"
        yield f"max_nodes = {fallen} # as measured, without headroom"


def _accuracy(measurement: Measurement) -> Iterator[str]:
    found = measurement.accuracy
    if not found:
        return
    floor = (Decimal(found.correct) / found.images - _ACCURACY_GIVEN_UP).quantize(Decimal("0.0001"), ROUND_FLOOR)
    if floor > 0:
        yield "\n[accuracy] # fraction of the images that are classified correctly"
        yield f"min_top1 = {floor} # measured {found.top1:.6g}, less one point, whatever the headroom"


def _conditions(measurement: Measurement) -> Iterator[str]:
    environment, protocol = measurement.environment, measurement.protocol
    yield "\n[conditions] # a measurement made otherwise is refused; delete the lines that don't matter"
    yield f"target = {_string(measurement.target)}"
    yield f"machine = {_string(environment.machine)} # this one device"
    for key in ("cpu", "runtime", "runtime_version", "provider"):
        yield f"{key} = {_string(getattr(environment, key))}"
    yield f"threads = {protocol.threads}"
    yield f"batch = {protocol.batch}"


def _each_launch(table: str, key: str, what: str, found: Sequence[float], headroom: float) -> Iterator[str]:
    """A limit on what each launch has one of, if the launches are enough to bound their median."""
    bound, needed = upper_bound(found, 50), samples_needed(50)
    if bound:
        yield f"\n[{table}] # {what}, median over launches"
        yield f"{key} = {_up(bound * headroom)} # measured {median(found):.4g}, at most {bound:.4g}"
    elif bound is None:
        yield f"\n# [{table}] {key}: {what}; to limit it, measure in {needed} launches, not {len(found)}"


def _up(value: float) -> str:
    return f"{_UP.create_decimal_from_float(value):f}"


def _up_bytes(value: float) -> str:
    return f"{int(_UP.create_decimal_from_float(value).to_integral_value(ROUND_CEILING)):_}"


def _string(text: str) -> str:
    """A TOML basic string: as JSON's, but for DEL, which TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
