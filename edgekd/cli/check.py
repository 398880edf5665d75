"""`edgekd check`: gate."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd import console
from edgekd.cli.options import (
    Affinity,
    Baseline,
    Batch,
    DeviceUrl,
    Inputs,
    Json,
    Launches,
    Out,
    Provider,
    ProviderOptions,
    Seconds,
    Shapes,
    Spinning,
    Threads,
)
from edgekd.cli.panels import BUDGET, DEVICE, MEASURING
from edgekd.cli.protocol import measuring
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.pipeline.check import Checked

OnInconclusive = Literal["fail", "warn", "pass"]


def check(
    subject: Annotated[Path, typer.Argument(metavar="MEASUREMENT_OR_ARTIFACT", help="What to judge: .json or .onnx.")],
    *,
    budget: Annotated[
        str,
        typer.Option(
            "--budget", metavar="NAME|FILE", help="The limits; `edgekd budgets` lists some.", rich_help_panel=BUDGET
        ),
    ],
    baseline: Baseline = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target", metavar="NAME|FILE", help="The kind of device to measure an .onnx on.", rich_help_panel=DEVICE
        ),
    ] = None,
    device: DeviceUrl = None,
    on_inconclusive: Annotated[
        OnInconclusive,
        typer.Option(metavar="fail|warn|pass", help="If undecided, exit with 3 (fail) or 0.", rich_help_panel=BUDGET),
    ] = "fail",
    time_limit: Annotated[
        float,
        typer.Option(min=1, metavar="S", help="Stop measuring after about this long.", rich_help_panel=MEASURING),
    ] = 120,
    batch: Batch = None,
    shape: Shapes = None,
    inputs: Inputs = None,
    threads: Threads = None,
    spinning: Spinning = None,
    affinity: Affinity = None,
    provider: Provider = None,
    provider_option: ProviderOptions = None,
    launches: Launches = None,
    seconds: Seconds = None,
    out: Out = None,
    junit: Annotated[Path | None, typer.Option(help="Write JUnit XML, a case for each limit.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a summary in Markdown.")] = None,
    github: Annotated[
        bool, typer.Option("--github", help="Annotate on stderr, and add the summary to $GITHUB_STEP_SUMMARY.")
    ] = False,
    badge: Annotated[Path | None, typer.Option(help="Write the JSON of a shields.io badge.")] = None,
    bencher: Annotated[Path | None, typer.Option(help="Write Bencher Metric Format.")] = None,
    benchmark_action: Annotated[
        Path | None, typer.Option(help="Write what github-action-benchmark reads as customSmallerIsBetter.")
    ] = None,
    json: Json = False,
) -> int:
    """Check a model or a measurement against a budget.

    A model is measured until every limit is decided.

    Exit codes: 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement.
    """
    from edgekd import catalog
    from edgekd.gate.judge import exit_code
    from edgekd.pipeline import check as verb

    with console.ConsoleProgress() as progress, _told_github(on=github):
        limits, kind = catalog.budget(budget), catalog.target(target) if target else None
        given = {
            "batch": batch,
            "shapes": shape,
            "threads": threads,
            "spinning": spinning,
            "affinity": affinity,
            "provider": provider,
            "provider_options": provider_option,
            "launches": launches,
            "seconds": seconds,
        }
        on_device = None
        if kind:
            stated = verb.defaults(kind, limits, compared=baseline is not None)
            settings = measuring(kind, stated=stated, **given)
            on_device = verb.OnDevice(kind, device, settings, inputs, time_limit)
        found = verb.check(subject, limits, baseline=baseline, on_device=on_device, progress=progress)
    tolerate = on_inconclusive != "fail"
    files = {"out": out, "junit": junit, "markdown": markdown, "badge": badge, "bencher": bencher}
    _write_reports(found, {**files, "benchmark_action": benchmark_action}, tolerate=tolerate)
    if github:
        _tell_github(found, tolerate=tolerate)
    console.json(found.verdict) if json else console.verdict(found.verdict)
    code = exit_code(found.verdict)
    if code != ExitCode.INCONCLUSIVE or not tolerate:
        return code
    if on_inconclusive == "warn":
        console.note(f"warning: {found.verdict.status}, and passed by --on-inconclusive warn")
    return ExitCode.PASS


def _write_reports(found: "Checked", files: dict[str, Path | None], *, tolerate: bool) -> None:
    from edgekd.files import write_text

    for kind, path in files.items():
        if path:
            write_text(path, _report(kind, found, tolerate=tolerate))


def _report(kind: str, found: "Checked", *, tolerate: bool) -> str:
    if kind == "out":
        return found.verdict.model_dump_json(indent=1) + "\n"
    if kind == "junit":
        from edgekd.gate.junit import junit

        return junit(found.verdict, tolerate=tolerate)
    if kind == "markdown":
        from edgekd.gate.markdown import markdown

        return markdown(found.verdict, found.measurement, found.baseline)
    if kind == "badge":
        from edgekd.gate.badge import badge

        return badge(found.verdict, found.measurement)
    from edgekd.gate import trackers

    of_kind = {"bencher": trackers.bencher, "benchmark_action": trackers.benchmark_action}
    return of_kind[kind](found.verdict, found.measurement)


@contextmanager
def _told_github(*, on: bool) -> Iterator[None]:
    """Annotates what went wrong before there was a verdict."""
    try:
        yield
    except EdgekdError as e:
        if on:
            from edgekd.gate.github import failure

            console.note(failure(e.message, e.hint))
        raise


def _tell_github(found: "Checked", *, tolerate: bool) -> None:
    """Annotations on stderr, where the runner reads them too; the summary where it says."""
    from edgekd.files import append_text
    from edgekd.gate.github import annotations

    console.note(annotations(found.verdict, tolerate=tolerate).rstrip())
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_text(Path(summary), _report("markdown", found, tolerate=tolerate))
