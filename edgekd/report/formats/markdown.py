"""Markdown: report.md."""

from typing import TYPE_CHECKING

from edgekd.report import app, usage
from edgekd.report.brought import HEADER as BROUGHT
from edgekd.report.brought import brought_rows
from edgekd.report.cells import code, interval, table
from edgekd.report.content import artifact_rows
from edgekd.report.formats._base import Report
from edgekd.report.picture import FILE as PICTURE
from edgekd.report.pilots import HEADER as PILOTS
from edgekd.report.pilots import pilot_rows, races
from edgekd.report.planned import planned
from edgekd.report.training import students_trainings, training
from edgekd.values import Data, Manifest, Measurement
from edgekd.values.result import Result, Tried

if TYPE_CHECKING:
    from edgekd.gate.budget import Budget

_REPRODUCE = (
    "`recipe.toml` beside this report contains every setting, including those found by measuring. "
    "Remove its `[search]` to plan again, for example on another device."
)


SUFFIX = "md"


def text(report: Report) -> str:
    """The whole report."""
    result = report.result
    parts = [
        f"# {result.recipe.model} on {report.target.title}: {result.verdict.status}",
        _summary(result, report.budget),
        "## Verdict",
        _verdict(result),
        "## Artifacts",
        _artifacts(result),
        "## Use the model",
        _use(result.manifest),
        *_in_app(result),
        "## Data",
        _data(result),
        "## Plan",
        planned(result.plan, result.device),
        "## Training",
        training(result),
        *_brought(result),
        *_pilots(result),
        "## Where and how it was measured",
        _environment(result, report.reference),
        "## Reproduce",
        "```\nedgekd compress --recipe recipe.toml\n```",
        _REPRODUCE,
    ]
    return "\n\n".join(parts) + "\n"


def _summary(result: Result, budget: "Budget") -> str:
    baseline, chosen = result.tried[0], _chosen(result)
    drop = 100 * (baseline.test.top1 - chosen.test.top1)
    return (
        f"Budget **{budget.name}** ({budget.title}). Kept: **{chosen.name}**: {result.choice.why}. "
        f"Test accuracy {chosen.test.top1:.2%} against the original's {baseline.test.top1:.2%} ({-drop:+.2f} points), "
        f"{chosen.artifact.disk_bytes:,} bytes against {baseline.artifact.disk_bytes:,}, "
        f"latency {interval(chosen.ratio)} of the original's. The run took {result.seconds / 60:.1f} minutes."
    )


def _chosen(result: Result) -> Tried:
    return next(t for t in result.tried if t.name == result.choice.artifact)


def _verdict(result: Result) -> str:
    rows = [[limit.name, limit.status, limit.evidence] for limit in result.verdict.limits]
    reasons = "".join(f"\n\n- {reason}" for reason in result.verdict.reasons)
    return table(["limit", "verdict", "evidence"], rows) + reasons


def _artifacts(result: Result) -> str:
    header, *rows = artifact_rows(result)
    shown = table(
        [*header, "layers in integers"], [[*row, _integers(t)] for row, t in zip(rows, result.tried, strict=True)]
    )
    reference = f"Drops and ratios refer to `{result.reference}`."
    seen = [f"![Validation accuracy over latency, with the limits of the budget]({PICTURE})"] if result.device else []
    dropped = [f"- {gone.name}: {gone.why}" for gone in result.choice.dropped]
    return "\n\n".join(
        [shown, reference, *seen, *(["Not kept:", "\n".join(dropped)] if dropped else []), *_recovered(result)]
    )


def _integers(tried: Tried) -> str:
    return f"{tried.coverage.integers} of {tried.coverage.layers}" if tried.coverage else "–"


def _recovered(result: Result) -> list[str]:
    """What became of INT8 variants that lost too much accuracy."""
    if not result.recovered:
        return []
    layers = [
        f"In floats in {one.name}, those first that INT8 costs most: {', '.join(map(code, one.float_layers))}."
        for one in result.recovered
        if one.kept and one.float_layers
    ]
    lines = "\n".join(f"- {one.told()}" for one in result.recovered)
    return ["INT8 that lost too much accuracy at first:", lines, *layers]


_SHOWN_CLASSES = 10


def _use(manifest: Manifest) -> str:
    """What the model takes and gives, and the lines that classify a photo with it."""
    taken, how = manifest.input, manifest.preprocessing
    metadata = "its metadata and in " if manifest.file.endswith(".onnx") else ""
    first = ", ".join(code(name) for name in manifest.classes[:_SHOWN_CLASSES])
    more = ", …" if len(manifest.classes) > _SHOWN_CLASSES else ""
    rows = [
        ["file", f"`{manifest.file}`; also stated in {metadata}`model.json`"],
        ["input", f"`{taken.name}`: {taken.dtype}, {'×'.join(map(str, taken.shape))} ({taken.layout})"],
        ["colour", {"grey": "grey", "rgb": "RGB", None: "channels as the data set gives them"}[how.colour]],
        ["size", usage.size(how)],
        ["normalisation", usage.normalisation(manifest)],
        ["output", f"`{manifest.output.name}`: logits of {len(manifest.classes)} classes: {first}{more}"],
    ]
    text = f"With {usage.usage(manifest).title}, numpy and Pillow alone, here in the run directory:"
    return f"{table(['what', ''], rows)}\n\n{text}\n\n```python\n{usage.lines(manifest)}\n```"


def _in_app(result: Result) -> list[str]:
    """For a phone."""
    return ["## In an app", "\n".join(f"- {line}" for line in app.lines(result.app))] if result.app else []


def _data(result: Result) -> str:
    """Which images, how training varied them, and what was found in them."""
    stated, trained = result.recipe.data, result.teacher.training or students_trainings(result)
    lines = [f"`{stated.source}`, prepared as in *Use the model*.{_variation(stated) if trained else ''}"]
    if result.mirrored and trained:
        told = result.mirrored.told()
        lines.append(f"{told[0].upper()}{told[1:]}.")
    notes = "\n".join(f"- {note}" for note in result.data_notes)
    return "\n\n".join([*lines, *([notes] if notes else [])])


def _variation(stated: Data) -> str:
    """What training changed at random."""
    words = []
    if stated.random_resized_crop:
        least, most = stated.random_resized_crop
        words.append(f"{least:.0%} to {most:.0%} of the area cropped and resized")
    words += [f"cropped after padding by {stated.pad} pixels"] if stated.pad else []
    words += ["flipped in every second epoch"] if stated.flip else ["never mirrored"]
    words += [f"rotated by up to {stated.rotate:g}°"] if stated.rotate else []
    changed = {name: by for name, by in stated.jitter if by} if stated.jitter else {}
    words += [f"{name} changed by up to {by:g}" for name, by in changed.items()]
    words += [f"mixed in pairs (mixup, alpha {stated.mixup:g})"] if stated.mixup else []
    return f" At random in training: {'; '.join(words)}."


def _brought(result: Result) -> list[str]:
    rows = brought_rows(result)
    return ["## What each step brought", table(BROUGHT, rows)] if rows else []


def _pilots(result: Result) -> list[str]:
    found: list[str] = []
    for race in races(result):
        found += ["## Pilots", table(PILOTS, pilot_rows(race)), f"The race: {race.told()}."]
    return found


def _environment(result: Result, reference: Measurement | None) -> str:
    if result.device is None or reference is None:
        return f"Nothing was measured: no device of target `{result.recipe.target}` was given."
    measuring, host, threads = result.recipe.measure, reference.host, reference.runtime.settings.get("threads")
    return (
        f"`{result.device}`: {host.cpu}, {host.cores} cores, {host.os} {host.arch}; "
        f"{reference.runtime.title}, {reference.runtime.provider}; {threads} thread(s), "
        f"batch {measuring.batch}, {measuring.loop} loop. {measuring.launches} launches, each a fresh process a file; "
        f"{measuring.seconds:g} s timed a launch in turns of {measuring.block_seconds:g} s in random order, after "
        "warm-up. Ratios are medians over block pairs, with a bootstrap interval over launches and blocks. "
        "Raw samples are in `measurements/`."
    )
