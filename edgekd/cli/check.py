"""`edgekd check`: gate."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgekd import console
from edgekd.cli import protocol as stated
from edgekd.cli.formats import Given, announced, with_formats, write
from edgekd.cli.options import (
    Affinity,
    Baseline,
    Batch,
    CheckedVariants,
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
from edgekd.cli.panels import BUDGET, DEVICE, MEASURING
from edgekd.cli.working import working
from edgekd.errors import EdgekdError, ExitCode, worst

if TYPE_CHECKING:
    from edgekd.gate.judge import Outcome
    from edgekd.values import Verdict, Verdicts

Inconclusive = Literal["fail", "warn", "pass"]

Subject = Annotated[
    Path,
    typer.Argument(
        metavar="MEASUREMENT_OR_ARTIFACT", help="A measurement (.json), or a model.", rich_help_panel=BUDGET
    ),
]
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
    device: DeviceUrls = None,
    devices: DevicesFile = None,
    wait: WaitMinutes = None,
    on_inconclusive: OnInconclusive = "fail",
    time_limit: TimeLimit = 120,
    batch: Batch = None,
    shape: Shapes = None,
    inputs: Inputs = None,
    threads: Threads = None,
    spinning: Spinning = None,
    affinity: Affinity = None,
    transfers: Transfers = None,
    variant: CheckedVariants = None,
    provider: Provider = None,
    provider_option: ProviderOptions = None,
    launches: Launches = None,
    seconds: Seconds = None,
    out: Out = None,
    json: Json = False,
    **formats: Path | bool | None,
) -> int:
    """Check a model or a measurement against a budget; a model is measured until it is decided.

    Exit codes: 0 pass, 1 over budget, 3 undecided or not measured, 4 invalid, 5 device unavailable.
    """
    from edgekd import catalog
    from edgekd.devices import listed
    from edgekd.files import require_writable
    from edgekd.gate.budget import load
    from edgekd.pipeline import check as verb

    with working() as progress, announced(formats):
        for file in (out, *formats.values()):
            if isinstance(file, Path):
                require_writable(file)
        limits, places = load(budget), listed.chosen(device or (), devices)

        def on_device(place: listed.Place) -> verb.OnDevice | None:
            if not (name := target or listed.stated_target(place)):
                return None
            usual = verb.defaults(limits, compared=baseline is not None)
            return verb.OnDevice(
                catalog.target(name),
                place.url if device else None,
                stated.protocol(
                    usual,
                    batch=batch,
                    shapes=shape,
                    affinity=affinity,
                    transfers=transfers,
                    launches=launches,
                    seconds=seconds,
                ),
                stated.settings(
                    threads=threads, spinning=spinning, provider=provider, provider_options=provider_option
                ),
                inputs,
                *_variants(variant or (), baseline),
                time_limit,
                60 * (wait or 0),
            )

        several = listed.several(device or (), places)
        outcomes: Sequence[Outcome]
        if several:
            outcomes = verb.check_each(
                subject, limits, places, baseline=baseline, on_device=on_device, progress=progress
            )
        else:
            how = on_device(places[0])
            outcomes = [verb.check(subject, limits, baseline=baseline, on_device=how, progress=progress)]
    return _shown(outcomes, several=several, out=out, formats=formats, json=json, on_inconclusive=on_inconclusive)


def _variants(names: Sequence[str], baseline: Path | None) -> tuple[str | None, str | None]:
    """The model's variant and the baseline's, where they are given."""
    model, other = [*names, None, None][:2]
    if len(names) > 2 or (other and baseline is None):
        raise EdgekdError(f"--variant is given {len(names)} times", "Give the model's, then the baseline's.")
    return model, other


def _shown(
    outcomes: "Sequence[Outcome]",
    *,
    several: bool,
    out: Path | None,
    formats: Given,
    json: bool,
    on_inconclusive: Inconclusive,
) -> int:
    """Write and print the verdicts; the exit code."""
    from edgekd.files import write_text
    from edgekd.gate.judge import Judged

    codes = [_exit_code(outcome, on_inconclusive) for outcome in outcomes]
    document = _document(outcomes, several, codes)
    try:
        if out:
            write_text(out, document.model_dump_json(indent=1) + "\n")
        write(outcomes, formats, tolerate=on_inconclusive != "fail")
    finally:  # a verdict is shown, even if it can't be written
        if json:
            console.json(document)
        for outcome in outcomes:
            if not isinstance(outcome, Judged):
                console.failure(outcome.device, outcome.failure)
            elif not json:
                console.verdict(outcome.verdict, outcome.device)
    return worst(codes)


def _document(outcomes: "Sequence[Outcome]", several: bool, codes: Sequence[int]) -> "Verdict | Verdicts":
    from edgekd.gate.judge import Judged
    from edgekd.values import DeviceVerdict, Verdicts

    if not several and isinstance(outcomes[0], Judged):
        return outcomes[0].verdict
    return Verdicts(
        exit_code=worst(codes),
        devices=tuple(
            DeviceVerdict(device=outcome.device, verdict=outcome.verdict)
            if isinstance(outcome, Judged)
            else DeviceVerdict(device=outcome.device, failure=outcome.failure)
            for outcome in outcomes
        ),
    )


def _exit_code(outcome: "Outcome", on_inconclusive: Inconclusive) -> int:
    from edgekd.devices.listed import called
    from edgekd.gate.judge import Judged, exit_code

    code = exit_code(outcome)
    if not isinstance(outcome, Judged) or code != ExitCode.INCONCLUSIVE or on_inconclusive == "fail":
        return code
    if on_inconclusive == "warn":
        where = f"{called(outcome.device)}: " if outcome.device else ""
        console.note(f"warning: {where}{outcome.verdict.status}, and passed by --on-inconclusive warn")
    return ExitCode.PASS
