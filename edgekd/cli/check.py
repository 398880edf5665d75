"""`edgekd check`: gate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd import console
from edgekd.cli import protocol as stated
from edgekd.cli.formats import announced, with_formats, write
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
    VariantName,
    WaitMinutes,
)
from edgekd.cli.panels import BUDGET, DEVICE, MEASURING
from edgekd.console_progress import ConsoleProgress
from edgekd.errors import ExitCode

if TYPE_CHECKING:
    from edgekd.values import Verdict

Inconclusive = Literal["fail", "warn", "pass"]

Subject = Annotated[Path, typer.Argument(metavar="MEASUREMENT_OR_ARTIFACT", help="What to judge: .json or .onnx.")]
Budget = Annotated[
    str,
    typer.Option(
        "--budget", metavar="NAME|FILE", help="The limits; `edgekd budgets` lists some.", rich_help_panel=BUDGET
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME|FILE", help="The kind of device to measure an .onnx on.", rich_help_panel=DEVICE
    ),
]
OnInconclusive = Annotated[
    Inconclusive,
    typer.Option(metavar="fail|warn|pass", help="If undecided, exit with 3 (fail) or 0.", rich_help_panel=BUDGET),
]
TimeLimit = Annotated[
    float,
    typer.Option(min=1, metavar="S", help="Stop measuring after about this long.", rich_help_panel=MEASURING),
]


@with_formats
def check(
    subject: Subject,
    *,
    budget: Budget,
    baseline: Baseline = None,
    target: Target = None,
    device: DeviceUrl = None,
    wait: WaitMinutes = None,
    on_inconclusive: OnInconclusive = "fail",
    time_limit: TimeLimit = 120,
    batch: Batch = None,
    shape: Shapes = None,
    inputs: Inputs = None,
    threads: Threads = None,
    spinning: Spinning = None,
    affinity: Affinity = None,
    variant: VariantName = None,
    provider: Provider = None,
    provider_option: ProviderOptions = None,
    launches: Launches = None,
    seconds: Seconds = None,
    out: Out = None,
    json: Json = False,
    **formats: Path | bool | None,
) -> int:
    """Check a model or a measurement against a budget; a model is measured until every limit is decided.

    Exit codes: 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement.
    """
    from edgekd import catalog
    from edgekd.files import require_writable, write_text
    from edgekd.gate.budget import load
    from edgekd.pipeline import check as verb

    with ConsoleProgress() as progress, announced(formats):
        for file in (out, *formats.values()):
            if isinstance(file, Path):
                require_writable(file)
        limits, kind = load(budget), catalog.target(target) if target else None
        settings = stated.settings(
            threads=threads, spinning=spinning, provider=provider, provider_options=provider_option
        )
        on_device = None
        if kind:
            protocol = stated.protocol(
                verb.defaults(limits, compared=baseline is not None),
                batch=batch,
                shapes=shape,
                affinity=affinity,
                launches=launches,
                seconds=seconds,
            )
            on_device = verb.OnDevice(kind, device, protocol, settings, inputs, variant, time_limit, 60 * (wait or 0))
        found = verb.check(subject, limits, baseline=baseline, on_device=on_device, progress=progress)
    tolerate = on_inconclusive != "fail"
    if out:
        write_text(out, found.verdict.model_dump_json(indent=1) + "\n")
    write(found, formats, tolerate=tolerate)
    console.json(found.verdict) if json else console.verdict(found.verdict)
    return _exit_code(found.verdict, on_inconclusive)


def _exit_code(verdict: "Verdict", on_inconclusive: Inconclusive) -> int:
    from edgekd.gate.judge import exit_code

    code = exit_code(verdict)
    if code != ExitCode.INCONCLUSIVE or on_inconclusive == "fail":
        return code
    if on_inconclusive == "warn":
        console.note(f"warning: {verdict.status}, and passed by --on-inconclusive warn")
    return ExitCode.PASS
