"""What a report says of a run, whatever it is written as."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgekd.report import app, classes, images, measured, reproduce, usage, variants, verdicts
from edgekd.report.blocks import Block, Document, Items, Section, Table, Text
from edgekd.report.brought import HEADER as BROUGHT
from edgekd.report.brought import brought_rows
from edgekd.report.cells import interval
from edgekd.report.pilots import races
from edgekd.report.pilots import told as raced
from edgekd.report.planned import planned
from edgekd.report.training import training
from edgekd.values import Measurement
from edgekd.values.result import Result, Tried

if TYPE_CHECKING:
    from edgekd.report.formats._base import Report


def document(report: "Report") -> Document:
    """The verdict first, then what explains it, then how to use and to repeat it."""
    result = report.result
    title = f"{result.recipe.model} on {result.target_title or result.recipe.target}"
    return Document(title, list(_sections(report)), result.verdict.status)


def _sections(report: "Report") -> Iterator[Section]:
    result = report.result
    verdict = verdicts.section(result.verdict)
    yield Section(verdict.title, [Text(_summary(result)), *verdict.blocks])
    yield variants.section(result)
    if by_class := classes.section(result.classes, result.manifest.classes):
        yield by_class
    yield Section("Plan", planned(result.plan, result.device, result.widths))
    if report.judged and (time := measured.time_of_nodes(*_traced(report))):
        yield time
    yield Section("Where and how it was measured", _session(report))
    yield Section("Training", training(result))
    if rows := brought_rows(result):
        yield Section("What each step brought", [Table(BROUGHT, rows)])
    if found := races(result):
        yield Section("Pilots", [block for race in found for block in raced(race)])
    yield usage.section(result.manifest)
    if result.app:
        yield Section("In an app", [Items(list(app.lines(result.app)))])
    yield images.section(result)
    yield reproduce.section(result, report.reference)


def _summary(result: Result) -> str:
    baseline, chosen = result.tried[0], _chosen(result)
    gain = 100 * (chosen.test.top1 - baseline.test.top1)
    latency = f"latency {interval(chosen.ratio)} of the original's" if chosen.ratio else "latency not measured"
    title = f" ({result.budget_title})" if result.budget_title else ""
    return (
        f"Budget **{result.verdict.budget}**{title}. Kept: **{chosen.name}**: {result.choice.why}. "
        f"Test accuracy {chosen.test.top1:.2%} against the original's {baseline.test.top1:.2%} ({gain:+.2f} points), "
        f"{chosen.artifact.disk_bytes:,} bytes against {baseline.artifact.disk_bytes:,}, "
        f"{latency}. From its last start to the test set it took {result.seconds / 60:.1f} minutes."
    )


def _chosen(result: Result) -> Tried:
    return next(t for t in result.tried if t.name == result.choice.artifact)


def _traced(report: "Report") -> tuple[Measurement, Measurement | None]:
    """What is kept, and the reference where it is another file."""
    kept, *others = report.judged
    return kept, others[0] if others and others[0].artifact.id != kept.artifact.id else None


def _session(report: "Report") -> list[Block]:
    """How and where, and the samples that the verdict was reached on."""
    result, reference = report.result, report.reference
    if result.device is None or reference is None:
        return [Text(f"Nothing was measured: no device of target `{result.recipe.target}` was given.")]
    stored = Text("Raw samples are in `measurements/`, those of the verdict in `verdict/`.")
    return [*measured.where([reference]), stored, *measured.session(report.judged, result.verdict)]
