"""`edgekd profile`: measure."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd import console
from edgekd.cli import protocol as stated
from edgekd.cli.options import (
    Affinity,
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
    TargetName,
    Threads,
    WaitMinutes,
)
from edgekd.cli.panels import MEASURING, OUTPUT
from edgekd.console_progress import ConsoleProgress
from edgekd.errors import EdgekdError, ExitCode

if TYPE_CHECKING:
    from edgekd.values import Measurement

Artifacts = Annotated[list[Path], typer.Argument(metavar="ARTIFACT...", help="ONNX models.")]
BaselineOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Compare with this model, measured beside them.", rich_help_panel=MEASURING),
]
CadenceHz = Annotated[
    float | None,
    typer.Option(metavar="HZ", help="Inferences per second (default: back to back).", rich_help_panel=MEASURING),
]
Variant = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME", help="A variant to run the models in; repeat to compare several.", rich_help_panel=MEASURING
    ),
]
Explain = Annotated[
    bool, typer.Option("--explain", help="Explain why the second model is slow.", rich_help_panel=OUTPUT)
]


def profile(
    artifacts: Artifacts,
    *,
    target: TargetName,
    device: DeviceUrl = None,
    wait: WaitMinutes = None,
    baseline: BaselineOption = None,
    cadence_hz: CadenceHz = None,
    batch: Batch = None,
    shape: Shapes = None,
    inputs: Inputs = None,
    threads: Threads = None,
    spinning: Spinning = None,
    affinity: Affinity = None,
    variant: Variant = None,
    provider: Provider = None,
    provider_option: ProviderOptions = None,
    launches: Launches = None,
    seconds: Seconds = None,
    explain: Explain = False,
    out: Out = None,
    json: Json = False,
) -> int:
    """Measure ONNX models on a device: latency, load time, memory, size, nodes.

    Several models are measured side by side and compared with the baseline, or else with the first. --out is the
    first one's document; the others are written as OUT.NAME.json, the baseline's as OUT.baseline.json.

    Exit codes: 0 measured, 4 invalid measurement.
    """
    from edgekd import catalog
    from edgekd.files import require_writable
    from edgekd.measuring.disturbance import spoiled

    files = [*artifacts, baseline] if baseline else artifacts
    _require_two(len(files), len(variant or ()), explain=explain, baseline=baseline is not None)
    if out:
        require_writable(out)
    kind = catalog.target(target)
    protocol = stated.protocol(
        cadence_hz=cadence_hz, batch=batch, shapes=shape, affinity=affinity, launches=launches, seconds=seconds
    )
    settings = stated.settings(threads=threads, spinning=spinning, provider=provider, provider_options=provider_option)
    verb = catalog.require("edgekd.pipeline.profile")
    with ConsoleProgress() as progress:
        found = verb.profile(
            files,
            target=kind,
            device_url=device,
            reference=len(files) - 1 if baseline else 0,
            protocol=protocol,
            settings=settings,
            variants=variant or (),
            inputs=inputs,
            wait_s=60 * (wait or 0),
            progress=progress,
        )
    if out:
        _write_all(out, found, baseline=baseline is not None)
    if explain:
        _explain(found[-1], found[0], json) if baseline else _explain(found[0], found[1], json)
    else:
        _show(found, -1 if baseline else 0, json)
    return ExitCode.INVALID if any(map(spoiled, found)) else ExitCode.PASS


def _require_two(files: int, variants: int, *, explain: bool, baseline: bool) -> None:
    if explain and files * max(1, variants) != 2:
        raise EdgekdError("--explain compares two measurements", "Give two models, or one in two variants.")
    if baseline and variants > 1:
        raise EdgekdError("--baseline with several variants", "Leave it out: the first model's first variant is it.")


def _show(found: "Sequence[Measurement]", reference: int, json: bool) -> None:
    from edgekd.values import Measurements

    if not json:
        console.measurements(found, reference)
    elif len(found) == 1:
        console.json(found[0])
    else:
        console.json(Measurements(measurements=tuple(found)))


def _explain(reference: "Measurement", other: "Measurement", json: bool) -> None:
    from edgekd.measuring.explain import explain

    explanation = explain(reference, other)
    console.json(explanation) if json else console.explanation(explanation)


def _write_all(out: Path, found: "Sequence[Measurement]", *, baseline: bool) -> None:
    """The first document to `out`, the others beside it."""
    from edgekd.measuring.document import write

    for number, measurement in enumerate(found):
        last = number == len(found) - 1
        name = "baseline" if baseline and last else re.sub(r"[^\w.-]+", "-", measurement.artifact.name)
        path = out.with_suffix(f".{name}{out.suffix}") if number else out
        write(path, measurement)
        console.note(f"wrote {path}")
