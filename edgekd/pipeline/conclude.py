"""Conclude: the test set is read, once; the verdict is given; what the user takes away is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd import files
from edgekd.data.chosen import settled
from edgekd.deploy.feeding import manifest
from edgekd.deploy.outputs import Runner, accuracy
from edgekd.devices.device import or_this_machine
from edgekd.measuring.statistics import percentile, ratio
from edgekd.pipeline.finish import Selection
from edgekd.pipeline.job import Job
from edgekd.pipeline.teacher import Teacher
from edgekd.pipeline.verdict import judged, take_away
from edgekd.recipe import to_toml
from edgekd.report.formats._base import Report
from edgekd.report.write import names as report_files
from edgekd.report.write import write as write_report
from edgekd.values import Accuracy, Manifest, Measurement, Plan, Recipe, SearchSettings, Value
from edgekd.values.network import Network
from edgekd.values.result import Checked, Result, Tried


@dataclass(frozen=True)
class Finished:
    """A trained student, and what was chosen of it."""

    plan: Plan
    network: Network
    selection: Selection


class Tested(Value):
    """Accuracies on the test set, in the order of the files."""

    accuracies: tuple[Accuracy, ...]


def conclude(job: Job, teacher: Teacher, finished: Finished, seconds: float) -> Result:
    """Judge the chosen artifact on the test set and write the run's documents and files."""
    selection = finished.selection
    tested = _tested(job, selection)
    measurements = tuple(
        m.model_copy(update={"accuracy": a}) for m, a in zip(selection.measurements, tested.accuracies, strict=True)
    )
    choice, reference = (selection.options[at].artifact for at in (selection.chosen, 0))
    found = judged(job, choice, reference, (tested.accuracies[selection.chosen], tested.accuracies[0]))
    taken = _take_away(job, finished, teacher.network, measurements) | take_away(found, job.run.root)
    result = Result(
        recipe=_reproducing(job, teacher.network, finished),
        data_notes=job.data.notes,
        mirrored=job.mirrored,
        folder=str(job.run.root),
        device=job.device.url if job.device else None,
        teacher=teacher.network,
        trial=teacher.trial,
        doubts=teacher.doubts,
        student=finished.network,
        plan=finished.plan,
        reference=selection.options[0].artifact.name,
        tried=tuple(
            _tried(checked, measurement, measurements[0])
            for checked, measurement in zip(selection.options, measurements, strict=True)
        ),
        choice=selection.choice,
        manifest=_manifests(job, selection)["model.json"],
        verdict=found.verdict,
        files=taken,
        seconds=round(seconds, 1),
    )
    root = job.run.root
    files.write_text(root / "recipe.toml", to_toml(result.recipe))
    files.write_text(root / "verdict.json", found.verdict.model_dump_json(indent=1))
    write_report(Report(result, job.target, job.budget, measurements[0]), root)
    files.write_text(root / "result.json", result.model_dump_json(indent=1, context={"folder": root}))
    return result


def _tested(job: Job, selection: Selection) -> Tested:
    job.progress.stage("test", "reading the test set through every artifact")

    def build(_: Path) -> Tested:
        with or_this_machine(job.device) as device:
            runners = [Runner(device, checked.artifact, job.feeding) for checked in selection.options]
            return Tested(accuracies=tuple(accuracy(runner, job.data, "test") for runner in runners))

    inputs = {
        "artifacts": [checked.artifact.id for checked in selection.options],
        "data": [job.data.name, job.images],
        "feeding": job.feeding,
        "made with": job.deployment.made_with(),
        "run on": job.device and job.device.facts,
    }
    return job.run.stage("tested", inputs, Tested, build)[0]


def _tried(checked: Checked, measurement: Measurement, baseline: Measurement) -> Tried:
    assert measurement.accuracy is not None
    samples = [ms for launch in measurement.launches for block in launch.blocks_ms for ms in block]
    return Tried(
        name=checked.artifact.name,
        artifact=checked.artifact.without_folder(),
        parity=checked.parity,
        val=checked.accuracy,
        test=measurement.accuracy,
        median_ms=percentile(samples, 50) if samples else None,
        ratio=ratio(measurement, baseline) if samples else None,
    )


def _reproducing(job: Job, teacher: Network, finished: Finished) -> Recipe:
    """The recipe with what was decided by the data, and by measuring and timing on this machine, written into it."""
    recipe = job.recipe
    decided: dict[str, Value] = {
        "data": settled(recipe.data, job.data),
        "search": SearchSettings(method="fixed", structure=finished.plan.structure, margin=recipe.search.margin),
        "teacher": recipe.teacher,
        "recover": recipe.recover,
    }
    for part, network in (("teacher", teacher), ("recover", finished.network)):
        if network.training and (part == "teacher" or network.weights != teacher.weights):
            ways = network.training.execution.model_dump(exclude={"images_per_second"})
            known = {key: value for key, value in ways.items() if key in type(decided[part]).model_fields}
            decided[part] = decided[part].model_copy(update=known)
    return recipe.model_copy(update=decided)


def _take_away(job: Job, finished: Finished, teacher: Network, measurements: Sequence[Measurement]) -> dict[str, str]:
    """Copy what the user wants out of the stages; returns the paths below the run directory, by what they are."""
    root, selection, student = job.run.root, finished.selection, finished.network
    chosen = selection.options[selection.chosen].artifact
    sources = {"model": (chosen.path, "model.onnx"), "teacher": (teacher.weights.path, "teacher.safetensors")}
    if student.weights != teacher.weights:
        sources["student"] = (student.weights.path, "student.safetensors")
    if student.definition:
        sources["structure"] = (student.definition.path, "student.json")
    for checked in selection.options:
        sources[checked.artifact.name] = (checked.artifact.path, f"artifacts/{checked.artifact.file}")
    taken = {name: name_in_run for name, (_, name_in_run) in sources.items()}
    for source, name_in_run in sources.values():
        files.copy(source, root / name_in_run)
    for name, beside in _manifests(job, selection).items():
        files.write_text(root / name, beside.model_dump_json(indent=1))
        taken["manifest" if name == "model.json" else f"manifest of {Path(name).stem}"] = name
    for measurement in measurements:
        name = f"measurements/{measurement.artifact.name}.json"
        files.write_text(root / name, measurement.model_dump_json())
        taken[f"measurement of {measurement.artifact.name}"] = name
    return {**taken, **report_files(), "recipe": "recipe.toml", "verdict": "verdict.json", "result": "result.json"}


def _manifests(job: Job, selection: Selection) -> dict[str, Manifest]:
    """What lies beside the artifacts of the run directory, by its path there: artifacts may share a file, and are then
    opened with other settings.
    """
    beside = {
        f"artifacts/{checked.artifact.name}.json": manifest(checked.artifact, checked.artifact.path, job.feeding)
        for checked in selection.options
    }
    chosen = selection.options[selection.chosen].artifact
    named = beside[f"artifacts/{chosen.name}.json"].model_copy(update={"file": "model.onnx"})
    return {"model.json": named, **beside}
