"""Measurements as tables and sentences."""

from collections import Counter
from collections.abc import Sequence
from statistics import median

from edgekd.errors import MeasurementError
from edgekd.measuring.disturbance import wavering
from edgekd.measuring.nodes import by_operator, by_provider, integer_coverage, total_ms
from edgekd.measuring.statistics import percentile, ratio, samples_ms, samples_needed, upper_bound
from edgekd.values import Measurement, Setting, State

BOUNDS = "(≤ …): upper bound of the percentile at 95 % confidence"

_PERCENTILES = (50, 90, 95, 99)
_SHOWN_ELSEWHERE = ("provider", "precision")
"""Settings that a measurement also shows elsewhere."""


def rows(found: Sequence[Measurement]) -> list[list[str]]:
    """A table with a column per measurement; the first row holds the artifacts' names, the first column labels."""
    table = [["", *(m.artifact.name for m in found)]]
    table += [[f"p{p}", *(_percentile(m, p) for m in found)] for p in _PERCENTILES]
    table.append(["throughput", *(_throughput(m) for m in found)])
    if any(launch.accelerator_ms for m in found for launch in m.launches):
        table.append(["on the accelerator", *(_on_accelerator(m) for m in found)])
    table.append(["load", *(_time([launch.load_ms for launch in m.launches]) for m in found)])
    table.append(["first inference", *(_time([launch.first_ms for launch in m.launches]) for m in found)])
    table.append(["peak memory", *(_peak(m) for m in found)])
    table.append(["size on disk", *(_megabytes(m.artifact.disk_bytes) for m in found)])
    table.append(["size gzipped", *(_megabytes(m.artifact.transfer_bytes) for m in found)])
    table.append(["size by zstd", *(_megabytes(m.artifact.zstd_bytes) for m in found)])
    if any(m.engine_bytes is not None for m in found):
        table.append(["engine", *("none" if m.engine_bytes is None else _megabytes(m.engine_bytes) for m in found)])
        table.append(
            ["engine built in", *("" if m.build_seconds is None else f"{m.build_seconds:.3g} s" for m in found)]
        )
    if any(launch.energy_mj is not None for m in found for launch in m.launches):
        table.append(["energy", *(_energy(m) for m in found)])
    table.append(["precision", *(m.artifact.precision for m in found)])
    table += _run_rows(found)
    table.append(["samples", *(_counts(m) for m in found)])
    return table


def _run_rows(found: Sequence[Measurement]) -> list[list[str]]:
    """Runtime, provider and settings, if they differ between measurements."""
    names = dict.fromkeys(name for m in found for name in m.runtime.settings if name not in _SHOWN_ELSEWHERE)
    rows = [
        ["runtime", *(m.runtime.title for m in found)],
        ["provider", *(m.runtime.provider for m in found)],
        *([name.replace("_", " "), *(_setting(m.runtime.settings.get(name)) for m in found)] for name in names),
    ]
    return [row for row in rows if len(set(row[1:])) > 1]


def _counts(m: Measurement) -> str:
    launches = len(m.launches)
    return f"{len(samples_ms(m)):,} in {launches} launch{'es' if launches != 1 else ''}"


def _percentile(m: Measurement, p: float) -> str:
    samples = samples_ms(m)
    bound = upper_bound(samples, p)
    if bound is None:
        return f"needs {samples_needed(p)} samples"
    return f"{percentile(samples, p):.4g} ms (≤ {bound:.4g})"


def _time(times: Sequence[float]) -> str:
    return f"{median(times):.4g} ms" if times else "not measured"


def _peak(m: Measurement) -> str:
    peaks = [launch.peak_bytes for launch in m.launches if launch.peak_bytes is not None]
    return _megabytes(median(peaks)) if peaks else "not measured"


def _energy(m: Measurement) -> str:
    found = [launch.energy_mj for launch in m.launches if launch.energy_mj is not None]
    return f"{median(found):.4g} mJ" if found else "not measured"


def _throughput(m: Measurement) -> str:
    """The throughput of one process with sequential inferences."""
    samples = samples_ms(m)
    if m.protocol.cadence_hz or not sum(samples):
        return f"paced at {m.protocol.cadence_hz:g} Hz" if m.protocol.cadence_hz else "not measured"
    return f"{1e3 * m.protocol.batch * len(samples) / sum(samples):,.1f} images/s"


def _on_accelerator(m: Measurement) -> str:
    of_blocks = [ms for launch in m.launches for ms in launch.accelerator_ms]
    return _time(of_blocks) if of_blocks else "none"


def _megabytes(count: float | None) -> str:
    return "not measured" if count is None else f"{count / 1e6:.2f} MB"


def comparison(m: Measurement, baseline: Measurement) -> str:
    """The ratio of two latencies, or why they can't be compared."""
    names = f"{m.artifact.name} ÷ {baseline.artifact.name}"
    try:
        found = ratio(m, baseline)
    except MeasurementError as e:
        return f"{names}: {e.message}"
    return f"{names}: latency ratio {found.estimate:.3f} ({found.low:.3f} to {found.high:.3f} at 95 %)"


def conditions(m: Measurement, others: Sequence[Measurement] = ()) -> list[str]:
    """The device, the protocol and the device's state during a measurement.

    Runtime and settings are omitted if they differ from those of other measurements of the session.
    """
    h, p = m.host, m.protocol
    cpu = h.cpu if h.board in (None, h.cpu) else f"{h.board}, {h.cpu}"
    where = f"{m.device} {cpu}, {h.cores} cores ({h.arch} {h.os} {h.os_version})"
    loop = f"paced at {p.cadence_hz:g} Hz" if p.cadence_hz else "closed loop"
    details = [f"batch {p.batch}", loop, f"{p.inputs.partition(':')[0]} inputs"]
    details += ["without transfers"] if p.transfers == "excluded" else []
    details += [f"CPUs {', '.join(map(str, p.affinity))}"] if p.affinity else []
    details += _pinned(m)
    details += ["taking turns on the same CPUs"] if p.same_cpus else []
    ways = {_how_run(one) for one in (m, *others)}
    lines = [f"measured on {where}; {'; '.join([*(ways if len(ways) == 1 else ()), ', '.join(details)])}"]
    repeated = Counter(m.retried).items()
    lines += [f"{f'{count} launches' if count > 1 else 'launch'} repeated: {why}" for why, count in repeated]
    return [*lines, *_states(m)]


def _pinned(m: Measurement) -> list[str]:
    """The CPUs that edgekd chose, if it chose the same ones in each launch."""
    chosen = {launch.cpus for launch in m.launches}
    if m.protocol.affinity or len(chosen) != 1 or not (cpus := chosen.pop()):
        return []
    return [f"on CPU{'s' if len(cpus) > 1 else ''} {', '.join(map(str, cpus))}"]


def _how_run(m: Measurement) -> str:
    """The runtime and its settings."""
    r = m.runtime
    stated = {
        name: value for name, value in r.settings.items() if value not in (None, {}) and name not in _SHOWN_ELSEWHERE
    }
    settings = ", ".join(f"{name} {_setting(value)}" for name, value in stated.items())
    return f"{r.title} {r.provider}" + (f", {settings}" if settings else "")


def _setting(value: Setting | None) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    return ", ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def _states(m: Measurement) -> list[str]:
    """The change of clocks, temperature and canary from the start of the first launch to the end of the last one."""
    before, after = (m.launches[0].before, m.launches[-1].after) if m.launches else (None, None)
    if before is None or after is None:
        return []
    found = [f"power mode {m.host.power_mode}"] if m.host.power_mode else []
    if m.host.clocks_locked is not None:
        found.append(f"clocks {'locked' if m.host.clocks_locked else 'not locked'}")
    found += [f"governor {after.governor}"] if after.governor else []
    if before.clocks_mhz and after.clocks_mhz:
        found.append(f"fastest clock {max(before.clocks_mhz):.0f} → {max(after.clocks_mhz):.0f} MHz")
    if before.gpu_clock_mhz and after.gpu_clock_mhz:
        found.append(f"GPU clock {before.gpu_clock_mhz:.0f} → {after.gpu_clock_mhz:.0f} MHz")
    if before.temperatures_c and after.temperatures_c:
        hottest = [max(state.temperatures_c.values()) for state in (before, after)]
        found.append(f"hottest {hottest[0]:.0f} → {hottest[1]:.0f} °C")
    found += _throttling(before, after)
    if (apart := wavering(m)) is not None:
        found.append(f"the canary differed by up to {apart:.0%} between launches")
    return [f"state: {', '.join(found)}"] if found else []


def _throttling(before: State, after: State) -> list[str]:
    """How often it has throttled in between, by each counter that it has."""
    counts = {"throttled": (before.throttle_count, after.throttle_count)}
    counts |= {f"over-current {alarm}": (before.over_current.get(alarm), n) for alarm, n in after.over_current.items()}
    return [
        f"{what} {now - then} times" for what, (then, now) in counts.items() if then is not None and now is not None
    ]


_COSTLIEST = 5


def operator_rows(m: Measurement) -> list[list[str]]:
    """A table of the most expensive operators; without a trace, only its header."""
    rows = [["operator", "nodes", "time", "share"]]
    if m.trace:
        whole = total_ms(m.trace.nodes) or 1
        for op, count, ms in by_operator(m.trace)[:_COSTLIEST]:
            rows.append([op, str(count), f"{ms:.4g} ms", f"{ms / whole:.0%}"])
    return rows


def where(m: Measurement) -> str:
    """The providers of the nodes, and integer coverage."""
    if m.trace is None:
        return "nodes not measured"
    providers = ", ".join(
        f"{count} node{'s' if count > 1 else ''} on {name}" for name, count in by_provider(m.trace).items()
    )
    integers, products = integer_coverage(m.trace)
    return f"{providers}; {integers} of {products} convolutions and matrix products in integers"
