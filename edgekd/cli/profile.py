"""`edgekd profile`: measure."""

import itertools
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
    DevicesFile,
    DeviceUrls,
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
    Transfers,
    WaitMinutes,
)
from edgekd.cli.panels import DEVICE, MEASURING, OUTPUT
from edgekd.cli.working import working
from edgekd.errors import EdgekdError, ExitCode, worst

if TYPE_CHECKING:
    from edgekd.values import DevicesMeasured, Measurement

Target = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="The kind of device; `edgekd targets` lists them (default: as in devices.toml).",
        rich_help_panel=DEVICE,
    ),
]
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
    bool, typer.Option("--explain", help="Explain why the second model isn't faster.", rich_help_panel=OUTPUT)
]


def profile(
    artifacts: Artifacts,
    *,
    target: Target = None,
    device: DeviceUrls = None,
    devices: DevicesFile = None,
    wait: WaitMinutes = None,
    baseline: BaselineOption = None,
    cadence_hz: CadenceHz = None,
    batch: Batch = None,
    shape: Shapes = None,
    inputs: Inputs = None,
    threads: Threads = None,
    spinning: Spinning = None,
    affinity: Affinity = None,
    transfers: Transfers = None,
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
    first one's document; the others are written as OUT.NAME.json, the baseline's as OUT.baseline.json. Several
    devices are measured at once; their documents are OUT.DEVICE.json, and so on.

    Exit codes: 0 measured, 3 the device is not of the target's kind, 4 invalid measurement, 5 device unavailable.
    """
    from edgekd import catalog
    from edgekd.devices import listed
    from edgekd.files import require_writable

    files = [*artifacts, baseline] if baseline else artifacts
    places = listed.chosen(device or (), devices)
    side_by_side = listed.several(device or (), places)
    _require_two(len(files), len(variant or ()), explain=explain, baseline=baseline is not None)
    if explain and side_by_side:
        raise EdgekdError("--explain on several devices", "Name one --device.")
    if out:
        require_writable(out)
    verb = catalog.require("edgekd.pipeline.profile")
    how = {
        "reference": len(files) - 1 if baseline else 0,
        "protocol": stated.protocol(
            cadence_hz=cadence_hz,
            batch=batch,
            shapes=shape,
            affinity=affinity,
            transfers=transfers,
            launches=launches,
            seconds=seconds,
        ),
        "settings": stated.settings(
            threads=threads, spinning=spinning, provider=provider, provider_options=provider_option
        ),
        "variants": variant or (),
        "inputs": inputs,
        "wait_s": 60 * (wait or 0),
    }
    with working() as progress:
        found: DevicesMeasured = verb.profile_each(files, places, target=target, progress=progress, **how)
    reference = -1 if baseline else 0
    try:
        if out:
            _write_all(out, found, baseline=baseline is not None, side_by_side=side_by_side)
    finally:  # what was measured is shown, even if it can't be written
        if side_by_side:
            console.json(found) if json else console.devices_measured(found, reference)
        elif explain:
            _explain(found.devices[0].measurements, reference, json)
        else:
            _show(found.devices[0].measurements, reference, json)
        for one in found.devices:
            if one.failure:
                console.failure(one.device, one.failure)
    return _exit_code(found)


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


def _explain(found: "Sequence[Measurement]", reference: int, json: bool) -> None:
    from edgekd.measuring.explain import explain

    explanation = explain(found[reference], found[1 if reference == 0 else 0])
    console.json(explanation) if json else console.explanation(explanation)


def _write_all(out: Path, found: "DevicesMeasured", *, baseline: bool, side_by_side: bool) -> None:
    """The first document of a single device to `out`, the others beside it, none over another."""
    from edgekd.measuring.document import write

    written: set[Path] = set()
    for device in found.devices:
        for number, measurement in enumerate(device.measurements):
            last = number == len(device.measurements) - 1
            artifact = "baseline" if baseline and last else measurement.artifact.name
            names = [device.device] * side_by_side + [artifact] * bool(number)
            path = _free(out, [re.sub(r"[^\w.-]+", "-", name).strip("-") for name in names], written)
            write(path, measurement)
            console.note(f"wrote {path}")


def _free(out: Path, names: list[str], written: set[Path]) -> Path:
    """The file beside `out` of these names that this command has not written yet."""
    for count in itertools.count(1):
        more = [*names, *([str(count)] if count > 1 else [])]
        path = out.with_suffix(".".join(["", *more]) + out.suffix) if more else out
        if path not in written:
            written.add(path)
            return path
    raise AssertionError


def _exit_code(found: "DevicesMeasured") -> int:
    """The worst of the devices'."""
    from edgekd.measuring.disturbance import spoiled

    failed = [device.failure.exit_code for device in found.devices if device.failure]
    measured = [m for device in found.devices for m in device.measurements]
    return worst([*failed, *(ExitCode.INVALID for m in measured if spoiled(m))])
