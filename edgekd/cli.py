"""The command line: parse, call one verb, show, end in its exit code.

Bodies import what they need, so that `edgekd --help` costs nothing but typer.
"""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

import edgekd
from edgekd import console
from edgekd.errors import ExitCode
from edgekd.failures import run

if TYPE_CHECKING:
    from edgekd.schema import Measuring, Recipe, Target

app = typer.Typer(
    name="edgekd",
    help="Compress a trained CNN until it measurably fits a device.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

TargetName = Annotated[
    str, typer.Option("--target", help="What kind of device: a name (see `targets`) or a TOML file.")
]
DeviceUrl = Annotated[
    str | None, typer.Option("--device", help="Which device: local: (default) or local:/path/to/python.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Write the JSON document to this file.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else there.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads that an operator runs on; by default the target's.")]
Launches = Annotated[int | None, typer.Option(min=1, help="Fresh processes to measure in; 5 by default.")]
Seconds = Annotated[float | None, typer.Option(min=0.01, help="Timed seconds in each launch; 2 by default.")]
Baseline = Annotated[Path | None, typer.Option("--baseline", help="What relative limits and ratios refer to.")]
OnInconclusive = Literal["fail", "warn", "pass"]


def main() -> None:
    """The `edgekd` command. Never ends in 1 for any other reason than a broken budget."""
    sys.exit(run(lambda: app(standalone_mode=False)))


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"edgekd {edgekd.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Options before the command."""


@app.command()
def compress(
    *,
    target: Annotated[str | None, typer.Option(help="What kind of device: a name (see `targets`) or a file.")] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="mobilenet_v1:width=0.5 (default), resnet32, vgg8, torchvision:NAME, timm:NAME, module:factory"
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The trained model: .safetensors or .pt. Without, it is trained first.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="digits (default), fashion-mnist, cifar10, cifar100, folder:PATH, module:factory"),
    ] = None,
    data_root: Annotated[Path | None, typer.Option(help="Where data sets lie; also $EDGEKD_DATA.")] = None,
    download: Annotated[bool, typer.Option("--download", help="Fetch the data set if it isn't there.")] = False,
    budget: Annotated[str | None, typer.Option(help="The limits: a name (see `budgets`) or a TOML file.")] = None,
    device: DeviceUrl = None,
    ratio: Annotated[
        float | None, typer.Option(min=0, max=0.99, help="Prune this fraction of the channels instead of planning it.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of distillation; chosen from the data if absent.")
    ] = None,
    teacher_epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs to train the model where it has no weights.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="Settings in a TOML file, such as a run's recipe.toml.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of weights, augmentation and order; 0 by default.")] = None,
    trust_checkpoint: Annotated[
        bool, typer.Option("--trust-checkpoint", help="Unpickle --weights: it may run any code it holds.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="The run directory; the same one goes on where it was.")] = None,
    json: Json = False,
) -> int:
    """Make a trained network meet a budget on a device: prune, distil, quantise, export, measure, judge.

    Ends in 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement.
    """
    from edgekd import catalog
    from edgekd.gate.judge import exit_code
    from edgekd.recipe import recipe as made

    given = {
        "target": target,
        "model": model,
        "weights": str(weights.absolute()) if weights else None,
        "data": data,
        "budget": budget,
        "prune.ratio": ratio,
        "recover.epochs": epochs,
        "teacher.epochs": teacher_epochs,
        "seed": seed,
    }
    settings = made(recipe, given)
    with console.ConsoleProgress() as progress:
        progress.stage("start", f"{settings.model} on {settings.data} for {settings.target}")
        result = catalog.require("edgekd.pipeline.compress").compress(
            settings,
            out or _run_folder(settings),
            device_url=device,
            data_root=data_root,
            download=download,
            trust_checkpoint=trust_checkpoint,
            progress=progress,
        )
    console.json(result) if json else console.result(result)
    return exit_code(result.verdict)


@app.command()
def profile(
    artifact: Annotated[Path, typer.Argument(help="An ONNX model.")],
    *,
    target: TargetName,
    device: DeviceUrl = None,
    baseline: Baseline = None,
    threads: Threads = None,
    launches: Launches = None,
    seconds: Seconds = None,
    out: Out = None,
    json: Json = False,
) -> int:
    """Measure an ONNX model on a device: latency, load, first inference, memory, size.

    With a baseline, both are measured side by side and compared; its document goes beside --out as NAME.baseline.json.
    """
    from edgekd import catalog
    from edgekd.profiling.document import write

    measuring = catalog.require("edgekd.pipeline.profile")
    kind = catalog.target(target)
    settings = _measuring(kind, threads=threads, launches=launches, seconds=seconds)
    with console.ConsoleProgress() as progress:
        found = measuring.profile(
            artifact, target=kind, device_url=device, settings=settings, baseline=baseline, progress=progress
        )
    if out:
        for path, measurement in zip((out, out.with_suffix(f".baseline{out.suffix}")), found, strict=False):
            write(path, measurement)
            console.note(f"wrote {path}")
    console.json(found[0]) if json else console.measurements(found)
    return ExitCode.INVALID if any(m.invalid for m in found) else ExitCode.PASS


@app.command()
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
    threads: Threads = None,
    launches: Launches = None,
    seconds: Seconds = None,
    out: Out = None,
    json: Json = False,
) -> int:
    """Judge a budget. Ends in 0 pass, 1 over budget, 3 inconclusive or not measured, 4 invalid measurement."""
    from edgekd import catalog
    from edgekd.gate.judge import exit_code
    from edgekd.pipeline import check as verb
    from edgekd.profiling.document import write

    limits, kind = catalog.budget(budget), catalog.target(target) if target else None
    settings = _measuring(kind, threads=threads, launches=launches, seconds=seconds) if kind else None
    with console.ConsoleProgress() as progress:
        found = verb.check(
            subject,
            limits,
            baseline=baseline,
            target=kind,
            device_url=device,
            settings=settings,
            progress=progress,
        )
    if out:
        write(out, found)
    console.json(found) if json else console.verdict(found)
    code = exit_code(found)
    if code == ExitCode.INCONCLUSIVE and on_inconclusive != "fail":
        if on_inconclusive == "warn":
            console.note(f"warning: {found.status}, and passed by --on-inconclusive warn")
        return ExitCode.PASS
    return code


@app.command()
def targets(
    name: Annotated[str | None, typer.Argument(help="Only this one, in full.")] = None, json: Json = False
) -> int:
    """List the kinds of devices, or show one."""
    from edgekd import catalog
    from edgekd.schema import Targets

    known = [catalog.target(name)] if name else catalog.targets()
    if json:
        console.json(Targets(targets=tuple(known)))
    else:
        console.settings(known[0]) if name else console.targets(known)
    return ExitCode.PASS


@app.command()
def budgets(
    name: Annotated[str | None, typer.Argument(help="Only this one, in full.")] = None, json: Json = False
) -> int:
    """List the budgets, or show one."""
    from edgekd import catalog
    from edgekd.schema import Budgets

    known = [catalog.budget(name)] if name else catalog.budgets()
    if json:
        console.json(Budgets(budgets=tuple(known)))
    else:
        console.settings(known[0]) if name else console.budgets(known)
    return ExitCode.PASS


def _run_folder(settings: "Recipe") -> Path:
    """Where a run goes that wasn't told: the same job finds its own results again."""
    name = "-".join((settings.model, Path(settings.data).name, Path(settings.target).stem))
    return Path("runs") / re.sub(r"[^\w.=]+", "-", name)


def _measuring(target: "Target", **given: float | None) -> "Measuring":
    """The measuring protocol with what was given on the command line."""
    from edgekd.schema import Measuring

    return Measuring.model_validate({"threads": target.threads, **{k: v for k, v in given.items() if v is not None}})
