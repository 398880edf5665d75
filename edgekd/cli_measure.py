"""`edgekd profile`, `edgekd check` and `edgekd doctor`: measure, gate, examine."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgekd import console
from edgekd.cli_catalog import Json
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.pipeline.check import Checked
    from edgekd.schema import Measurement, Measuring, Target

DeviceUrl = Annotated[
    str | None, typer.Option("--device", help="Which device: local: (default) or local:/path/to/python.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Write the JSON document to this file.")]
TargetName = Annotated[
    str, typer.Option("--target", help="What kind of device: a name (see `targets`) or a TOML file.")
]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="What relative limits and ratios refer to.")]
OnInconclusive = Literal["fail", "warn", "pass"]

Threads = Annotated[int | None, typer.Option(min=1, help="Threads that an operator runs on; by default the target's.")]
Launches = Annotated[int | None, typer.Option(min=1, help="Fresh processes to measure in; 5 by default.")]
Seconds = Annotated[float | None, typer.Option(min=0.01, help="Timed seconds in each launch; 2 by default.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Size of a first axis that is left open; 1 by default.")]
Shapes = Annotated[
    list[str] | None, typer.Option("--shape", metavar="NAME=1x3x224x224", help="Of an input with open axes.")
]
Inputs = Annotated[Path | None, typer.Option(help="An .npz file with a value for each input; random ones by default.")]
Spinning = Annotated[bool | None, typer.Option(help="Whether waiting threads stay awake; they do by default.")]
Affinity = Annotated[str | None, typer.Option(metavar="0,1", help="The CPUs it may run on; all by default.")]
Provider = Annotated[str | None, typer.Option(help="The runtime's provider, such as CUDAExecutionProvider.")]
ProviderOptions = Annotated[
    list[str] | None, typer.Option("--provider-option", metavar="KEY=VALUE", help="An option of the provider.")
]


def profile(
    artifacts: Annotated[list[Path], typer.Argument(metavar="ARTIFACT...", help="ONNX models.")],
    *,
    target: TargetName,
    device: DeviceUrl = None,
    baseline: Baseline = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what makes the second of two models slower than it might be.")
    ] = False,
    cadence_hz: Annotated[
        float | None, typer.Option(help="Inferences a second, as from a camera; by default one after the other.")
    ] = None,
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
    json: Json = False,
) -> int:
    """Measure ONNX models on a device: latency, load, first inference, memory, size, nodes.

    Several are measured side by side and compared with the baseline, or with the first; the documents of the others
    go beside --out as OUT.NAME.json, that of the baseline as OUT.baseline.json.
    """
    from edgekd import catalog
    from edgekd.profiling.disturbance import spoiled

    files = [*artifacts, baseline] if baseline else artifacts
    if explain and len(files) != 2:
        raise EdgekdError("--explain compares two models", "Give two, such as fp32.onnx int8.onnx.")
    kind = catalog.target(target)
    settings = _measuring(
        kind,
        cadence_hz=cadence_hz,
        batch=batch,
        shapes=shape,
        threads=threads,
        spinning=spinning,
        affinity=affinity,
        provider=provider,
        provider_options=provider_option,
        launches=launches,
        seconds=seconds,
    )
    measuring = catalog.require("edgekd.pipeline.profile")
    with console.ConsoleProgress() as progress:
        found = measuring.profile(
            files, target=kind, device_url=device, settings=settings, inputs=inputs, progress=progress
        )
    if out:
        _write_all(out, found, baseline=baseline is not None)
    if explain:
        _explain(found[-1], found[0], json) if baseline else _explain(found[0], found[1], json)
    else:
        _show(found, -1 if baseline else 0, json)
    return ExitCode.INVALID if any(map(spoiled, found)) else ExitCode.PASS


def check(
    subject: Annotated[Path, typer.Argument(metavar="MEASUREMENT_OR_ARTIFACT", help="What to judge: .json or .onnx.")],
    *,
    budget: Annotated[str, typer.Option("--budget", help="The limits: a name (see `budgets`) or a TOML file.")],
    baseline: Baseline = None,
    target: Annotated[str | None, typer.Option("--target", help="Where an .onnx is to be measured.")] = None,
    device: DeviceUrl = None,
    on_inconclusive: Annotated[
        OnInconclusive, typer.Option(help="How to end when not all could be decided: 3, or 0.")
    ] = "fail",
    time_limit: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="Measure no longer than about this, decided or not.")
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
    """Judge a budget. Ends in 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement.

    A model is measured until every limit is decided, or until the time limit.
    """
    from edgekd import catalog
    from edgekd.gate.judge import exit_code
    from edgekd.pipeline import check as verb

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
        settings = _measuring(kind, stated=stated, **given)
        on_device = verb.OnDevice(kind, device, settings, inputs, time_limit)
    with console.ConsoleProgress() as progress, _told_github(on=github):
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


def doctor(
    *,
    device: DeviceUrl = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Compare a model with itself: how small a difference can be told here?")
    ] = False,
    model: Annotated[Path | None, typer.Option(help="The ONNX model to do it with; a small one by default.")] = None,
    json: Json = False,
) -> int:
    """Say what this machine and a device can do, and how noisy it is."""
    from edgekd import catalog

    with console.ConsoleProgress() as progress:
        examining = catalog.require("edgekd.pipeline.doctor")
        found = examining.doctor(device, noise=noise, model=model, progress=progress)
    console.json(found) if json else console.diagnosis(found)
    return ExitCode.PASS


def _measuring(target: "Target", stated: "Measuring | None" = None, **given: Any) -> "Measuring":
    """The measuring protocol: the stated one, or the target's, with what was given on the command line.

    Raises:
        EdgekdError: an option doesn't say what it should.
    """
    from pydantic import ValidationError

    from edgekd.schema import Measuring, document

    stated = stated or Measuring(threads=target.threads)
    given = {key: value for key, value in given.items() if value is not None}
    if "cadence_hz" in given:
        given["loop"] = "paced"
    if "affinity" in given:
        given["affinity"] = _numbers("--affinity", given["affinity"], ",")
    if "shapes" in given:
        given["shapes"] = dict(_shape(text) for text in given["shapes"])
    if "provider_options" in given:
        if "provider" not in given:
            raise EdgekdError("--provider-option without --provider", "Say which provider it is an option of.")
        given["provider_options"] = dict(_pair("--provider-option", text) for text in given["provider_options"])
    try:
        return Measuring.model_validate({**document(stated), **given})
    except ValidationError as e:
        problem = e.errors()[0]
        option = "--" + "-".join(map(str, problem["loc"])).replace("_", "-")
        raise EdgekdError(f"{option}: {problem['msg']}", "See `edgekd profile --help`.") from e


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`image=1x3x224x224`; the name may be left out where a model has one input."""
    name, _, sizes = text.rpartition("=")
    return name, tuple(_numbers("--shape", sizes, "x"))


def _numbers(option: str, text: str, separator: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(separator)]
    except ValueError as e:
        example = "image=1x3x224x224" if separator == "x" else "0,1"
        raise EdgekdError(f"{option} {text}: not whole numbers", f"Write them like {option} {example}") from e
    if min(numbers) < 0:
        raise EdgekdError(f"{option} {text}: there is nothing below 0", "Correct the number.")
    return numbers


def _pair(option: str, text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise EdgekdError(f"{option} {text}: not KEY=VALUE", f"Write it like {option} device_id=0")
    return key, value


def _show(found: "Sequence[Measurement]", reference: int, json: bool) -> None:
    from edgekd.schema import Measurements

    if not json:
        console.measurements(found, reference)
    elif len(found) == 1:
        console.json(found[0])
    else:
        console.json(Measurements(measurements=tuple(found)))


def _explain(reference: "Measurement", other: "Measurement", json: bool) -> None:
    from edgekd.profiling.explain import explain

    explanation = explain(reference, other)
    console.json(explanation) if json else console.explanation(explanation)


def _write_all(out: Path, found: "Sequence[Measurement]", *, baseline: bool) -> None:
    """The first document to `out`, the others beside it."""
    from edgekd.profiling.document import write

    for number, measurement in enumerate(found):
        last = number == len(found) - 1
        name = "baseline" if baseline and last else re.sub(r"[^\w.-]+", "-", measurement.artifact.name)
        path = out.with_suffix(f".{name}{out.suffix}") if number else out
        write(path, measurement)
        console.note(f"wrote {path}")


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
