"""Where and how something was measured, and what the samples look like."""

from collections.abc import Sequence

from edgekd.measuring import summary
from edgekd.measuring.disturbance import spoiled
from edgekd.report.blocks import Block, Details, Document, Items, Section, Table, Text
from edgekd.report.pictures import nodes, ratios, samples
from edgekd.values import Measurement, Status, Verdict

_SHOWN_NODES = 60


def session(found: Sequence[Measurement], verdict: Verdict | None = None) -> list[Block]:
    """The samples of measurements that took turns, over time, and each one's ratio to the last, the reference."""
    limit = next((one.limit for one in verdict.limits if one.name == "latency.max_ratio"), None) if verdict else None
    control = verdict.control if verdict else None
    trace = samples.picture(found)
    compared = [ratios.picture(m, found[-1], limit, control) for m in found[:-1]]
    return [*([trace] if trace else []), *(one for one in compared if one), *_disturbed(found)]


def _disturbed(found: Sequence[Measurement]) -> list[Block]:
    """Why the times say nothing, if so: all of them, or those that aren't compared with what took turns."""
    reasons = [f"{_invalid(m, why)}: {why}" for m in found for why in spoiled(m)]
    return [Items(reasons)] if reasons else []


def _invalid(measurement: Measurement, why: str) -> str:
    name = measurement.artifact.name
    if why in measurement.invalid:
        return f"**invalid**: {name}"
    return f"**milliseconds of {name} are invalid**, ratios to what took turns with it are not"


def where(found: Sequence[Measurement]) -> list[Block]:
    """The device, the runtime, its settings, the protocol and the device's state, of each session."""
    sessions: dict[str, list[Measurement]] = {}
    for m in found:
        sessions.setdefault(m.session, []).append(m)
    return [Items(summary.conditions(first, others)) for first, *others in sessions.values()]


def figures(found: Sequence[Measurement]) -> list[Block]:
    """Percentiles with their bounds, times, sizes: a row each, a column for each measurement."""
    header, *rows = summary.rows(found)
    return [Table(header, rows), Text(summary.BOUNDS)]


def time_of_nodes(after: Measurement, before: Measurement | None = None) -> Section | None:
    """Which nodes take the time, before and after; None without a trace."""
    found = nodes.table(after, before)
    if found is None:
        return None
    both = [m for m in (before, after) if m and m.trace]
    told = [f"`{m.artifact.name}`: {summary.where(m)}" for m in both]
    operators = [
        Details(f"Operators of {m.artifact.name}", [Table(rows[0], rows[1:])])
        for m in both
        if (rows := summary.operator_rows(m))
    ]
    by_node: Block = found if len(found.rows) <= _SHOWN_NODES else Details("Node by node", [found])
    return Section("Where the time goes", [Items(told), by_node, nodes.key(*both), *operators])


def measurements(found: Sequence[Measurement]) -> Document:
    """The page of measurements, the last of which is the one that the others are compared with."""
    devices = " and ".join(dict.fromkeys(m.target for m in found))
    if len({m.device for m in found}) > 1:
        found = [_on_its_device(m) for m in found]
    names = " and ".join(dict.fromkeys(m.artifact.name for m in found))
    compared = [summary.comparison(m, found[-1]) for m in found[:-1]]
    sections = [
        Section("Figures", [*figures(found), *([Items(compared)] if compared else [])]),
        Section("Where and how it was measured", [*where(found), *session(found)]),
        *(one for one in [time_of_nodes(found[0], found[-1] if len(found) > 1 else None)] if one),
        Section("Files", [_files(found)]),
    ]
    status: Status | None = "invalid" if any(spoiled(m) for m in found) else None
    return Document(f"{names} on {devices}", sections, status)


def _on_its_device(m: Measurement) -> Measurement:
    """The measurement with its device in the name: the same model may have been measured on several."""
    named = m.artifact.model_copy(update={"name": f"{m.artifact.name} ({m.device})"})
    return m.model_copy(update={"artifact": named})


def _files(found: Sequence[Measurement]) -> Table:
    rows = [
        [
            m.artifact.name,
            m.artifact.variant.name,
            f"{m.artifact.disk_bytes:,}",
            m.artifact.files[0].sha256,
            m.when or "–",
        ]
        for m in found
    ]
    return Table(["file", "variant", "bytes", "SHA-256", "measured (UTC)"], rows)
