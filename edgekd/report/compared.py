"""Two runs, or two measurements, side by side: first what differs, then what each found."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from edgekd.errors import EdgekdError
from edgekd.measuring import summary
from edgekd.report import reproduce
from edgekd.report.blocks import Block, Cell, Document, Section, Table, Text
from edgekd.report.cells import interval, number
from edgekd.report.keys import flat
from edgekd.report.pictures import nodes, samples
from edgekd.values import LimitVerdict, Measurement, document
from edgekd.values.result import Result

if TYPE_CHECKING:
    from edgekd.report.formats._base import Report

_NAMES = ("first", "second")
_NOT_BESIDE = (
    "The two were measured in different sessions: their milliseconds are shown side by side and never divided. For a "
    "ratio, measure both in turns: `edgekd profile FIRST SECOND`."
)


def runs(first: "Report", second: "Report") -> Document:
    """Two runs.

    Raises:
        EdgekdError: they are of different images or targets, so none of their numbers compare.
    """
    both = first.result, second.result
    _require_alike(*both)
    titles = [f"{result.recipe.model}, {result.folder}" for result in both]
    stated = [dict(_stated(report)) for report in (first, second)]
    judged = [report.judged[0] for report in (first, second) if report.judged]
    head = Text(f"First: **{titles[0]}**. Second: **{titles[1]}**.")
    sections = [
        Section("What differs", [head, *_differences(*stated)]),
        Section("Verdicts", [Table(["limit", *_NAMES], list(_limits(*both)))]),
        Section("Kept artifacts", [Table(["", *_NAMES], _kept(both))]),
        Section("Layers", [_widths(*both)]),
        *(_session(judged) if len(judged) == len(both) else []),
    ]
    return Document(f"{titles[0]} beside {titles[1]}", sections)


def measurements(first: Measurement, second: Measurement) -> Document:
    """Two measurements.

    Raises:
        EdgekdError: they are of different targets.
    """
    if first.target != second.target:
        raise _incomparable("targets", first.target, second.target)
    stated = [dict(flat(document(_without_samples(m)))) for m in (first, second)]
    header, *rows = summary.rows([first, second])
    sections = [
        Section("What differs", _differences(*stated)),
        Section("Figures", [Table(header, rows), Text(summary.BOUNDS)]),
        *_session([first, second]),
    ]
    return Document(f"{first.artifact.name} beside {second.artifact.name}", sections)


def _require_alike(first: Result, second: Result) -> None:
    tested = [result.tried[0].test for result in (first, second)]
    images = [f"{each.images:,} test images of {each.dataset}" for each in tested]
    if images[0] != images[1]:
        raise _incomparable("images", *images)
    origins = [result.manifest.lineage and result.manifest.lineage.data for result in (first, second)]
    contents = [origin.fingerprint[:12] for origin in origins if origin]
    if len({*contents}) > 1:
        raise _incomparable("images", *(f"{images[0]} with the fingerprint {content}" for content in contents))
    if first.recipe.target != second.recipe.target:
        raise _incomparable("targets", first.recipe.target, second.recipe.target)


def _incomparable(what: str, first: str, second: str) -> EdgekdError:
    message = f"different {what} don't compare: {first} and {second}"
    return EdgekdError(message, "Give two runs, or two measurements, of the same target and the same test images.")


def _stated(report: "Report") -> Iterator[tuple[str, str]]:
    """All that was set, and what it was made and measured with."""
    yield from reproduce.settings(report.result)
    for name, version in reproduce.versions(report.result, report.reference):
        yield f"version of {name}", version
    if report.reference:
        yield from flat(document(report.reference.host), "host")


def _without_samples(m: Measurement) -> Measurement:
    """What was measured and how."""
    return m.model_copy(update={"launches": (), "trace": None, "session": "", "when": None})


def _differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[Block]:
    keys = dict.fromkeys([*first, *second])
    differ = [key for key in keys if first.get(key) != second.get(key)]
    rows = [[f"`{key}`", first.get(key, "–"), second.get(key, "–")] for key in differ]
    same = Text(f"{len(keys) - len(differ)} settings, versions and facts of the device are the same.")
    return [Table(["what", *_NAMES], rows), same] if rows else [same]


def _limits(first: Result, second: Result) -> Iterator[list[Cell]]:
    yield ["verdict", first.verdict.status, second.verdict.status]
    found = [{limit.name: limit for limit in result.verdict.limits} for result in (first, second)]
    for name in dict.fromkeys([*found[0], *found[1]]):
        yield [f"`{name}`", *(_limit(each.get(name)) for each in found)]


def _limit(limit: LimitVerdict | None) -> str:
    return f"**{limit.status}**: {limit.evidence}" if limit else "–"


def _kept(both: Sequence[Result]) -> list[list[Cell]]:
    chosen = [next(t for t in result.tried if t.name == result.choice.artifact) for result in both]
    return [
        ["artifact", *(t.name for t in chosen)],
        ["why", *(result.choice.why for result in both)],
        ["test accuracy", *(f"{t.test.top1:.2%}" for t in chosen)],
        ["latency ÷ its own reference's (95 %)", *(interval(t.ratio) for t in chosen)],
        ["bytes", *(number(t.artifact.disk_bytes, "bytes") for t in chosen)],
        ["parameters", *(f"{result.student.cost.parameters:,}" for result in both)],
        ["MACs", *(f"{result.student.cost.macs:,}" for result in both)],
        ["minutes, of the last start", *(f"{result.seconds / 60:.1f}" for result in both)],
    ]


def _widths(first: Result, second: Result) -> Block:
    """The widths of the groups that one of them narrowed, those that differ first."""
    widths = [result.plan.structure.widths for result in (first, second)]
    roots = sorted(dict.fromkeys([*widths[0], *widths[1]]), key=lambda root: widths[0].get(root) == widths[1].get(root))
    rows = [[f"`{root}`", *(str(each.get(root, "whole")) for each in widths)] for root in roots]
    return Table(["channels made by", *_NAMES], rows) if rows else Text("Neither has a narrower layer.")


def _session(found: Sequence[Measurement]) -> Iterator[Section]:
    """Nodes and samples of both; of different sessions, side by side alone."""
    first, second = found
    beside = summary.comparison(second, first) if first.session == second.session else _NOT_BESIDE
    pictures = [drawn for m in found if (drawn := samples.picture([m]))]
    yield Section("Samples", [Text(beside), *pictures])
    if table := nodes.table(second, first):
        yield Section("Where the time goes", [Text("The first, then the second."), table, nodes.key(*found)])
