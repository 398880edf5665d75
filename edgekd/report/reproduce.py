"""The versions that made a run, its recipe, and the commands that give each of its numbers again."""

import shlex

from edgekd.report.blocks import Block, Code, Details, Section, Table, Text
from edgekd.report.keys import flat
from edgekd.values import Measurement, document
from edgekd.values.result import Result

_SETTINGS = (
    "`recipe.toml` beside this report contains every setting, including those found by measuring. "
    "Remove its `[search]` to plan again, for example on another device."
)


def section(result: Result, reference: Measurement | None) -> Section:
    """Versions, commands and recipe."""
    blocks: list[Block] = [
        Code(f"edgekd compress --recipe recipe.toml{_on(result)}"),
        Text(_SETTINGS),
        Text("Here in the run directory, each number by itself:"),
        Table(["what", "command"], [[what, f"`{command}`"] for what, command in _commands(result)]),
        Table(["made with", "version"], versions(result, reference)),
        Details("The recipe, setting by setting", [Table(["setting", "value"], settings(result))]),
    ]
    return Section("Reproduce", blocks)


def settings(result: Result) -> list[tuple[str, str]]:
    """Every setting of the recipe, with its value."""
    return [(key, value) for key, value in flat(document(result.recipe)) if value != "None"]


def _commands(result: Result) -> list[tuple[str, str]]:
    recipe, model = result.recipe, result.files["model"]
    look = ("lineage, layers and sizes of the model", f"edgekd inspect {model}")
    if not result.device:
        return [look]
    variants = {tried.name: tried.artifact.variant.name for tried in result.tried}
    target, budget, device = map(shlex.quote, (recipe.target, recipe.budget, result.device))
    on = f"--target {target} --device {device}"
    kept, other = result.choice.variant.name, variants[result.reference]
    beside = f"--baseline {result.files[result.reference]} --budget {budget} {on}"
    stored = f"verdict/model.json --baseline verdict/reference.json --budget {budget}"
    return [
        ("the verdict, from the stored samples", f"edgekd check {stored}"),
        ("latency, load time, memory, nodes, measured anew", f"edgekd profile {model} --variant {kept} {on}"),
        (
            "the verdict on latency and size, measured anew",
            f"edgekd check {model} {beside} --variant {kept} --variant {other}",
        ),
        look,
    ]


def _on(result: Result) -> str:
    return f" --device {shlex.quote(result.device)}" if result.device and result.device != "local:" else ""


def versions(result: Result, reference: Measurement | None) -> list[tuple[str, str]]:
    """What made the run and measured it, each with its version."""
    lineage = result.manifest.lineage
    rows = [("edgekd", lineage.edgekd)] if lineage and lineage.edgekd else []
    rows += [("exporter", lineage.exporter)] if lineage and lineage.exporter else []
    if reference and result.device:
        rows += [(reference.runtime.name, reference.runtime.title), ("Python on the device", reference.host.python)]
    return rows
