"""Conclude: the test set is read, once; the verdict is given; what the user takes away is written."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd import files
from edgekd.data.chosen import settled
from edgekd.data.dataset import Dataset
from edgekd.errors import UnsupportedModelError
from edgekd.gate.judge import Judged
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.beside import beside, latencies, proof
from edgekd.pipeline.deployment import Deployment
from edgekd.pipeline.export_folder import remove_all
from edgekd.pipeline.finish import Finished
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.mobile import for_app, is_for_app
from edgekd.pipeline.selection import Selection
from edgekd.pipeline.teacher import Teacher
from edgekd.pipeline.tested import Testing, test_stage
from edgekd.pipeline.verdict import judged, take_away
from edgekd.recipe import to_toml
from edgekd.report.formats._base import Report
from edgekd.report.pictures.latency import FILE as PICTURE
from edgekd.report.write import names as report_files
from edgekd.report.write import write as write_report
from edgekd.run import Run
from edgekd.values import Accuracy, Artifact, Manifest, Measurement, Recipe, SearchSettings, Value
from edgekd.values.mobile import ForApp
from edgekd.values.network import Network
from edgekd.values.result import Checked, Mirrored, Result, Tried
from edgekd.zoo.narrowed import layer_widths

TEACHER, STUDENT = "teacher.safetensors", "student.safetensors"
"""The files of weights that a run leaves in its folder."""


def conclude(
    run: Run,
    recipe: Recipe,
    goal: Goal,
    how: Deployment,
    finished: Finished,
    *,
    teacher: Teacher,
    mirrored: Mirrored | None,
    seconds: float,
) -> Result:
    """Judge the chosen artifact on the test set and write the run's documents and files."""
    selection = finished.selection
    artifacts = tuple(checked.artifact for checked in selection.options)
    run.progress.stage("test", "reading the test set through every artifact")
    testing = Testing(artifacts, how, how.data.name, how.made_with(), goal.device)
    on_test = run.stage("tested", testing, test_stage)
    tested = on_test.accuracies
    measurements = tuple(
        m.model_copy(update={"accuracy": a}) for m, a in zip(selection.measurements, tested, strict=True)
    )
    choice, reference = artifacts[selection.chosen], artifacts[0]
    found = judged(run, goal, choice, reference, (tested[selection.chosen], tested[0]))
    root, settings = run.store.root, _reproducing(recipe, how.data, teacher.network, finished)
    manifests = _manifests(how, selection, tested, measurements, settings)
    taken = _take_away(root, finished, teacher.network, measurements, manifests) | take_away(found, root)
    if goal.device:
        taken["picture"] = PICTURE
    app = _for_app(run, choice, how, goal)
    if app:
        taken |= {"app": app.artifact.file, "operators for an app": app.operators, "usability in an app": app.report}
    result = Result(
        recipe=settings,
        data_notes=how.data.notes,
        mirrored=mirrored,
        folder=str(root),
        device=goal.device.url if goal.device else None,
        target_title=goal.target.title,
        budget_title=goal.budget.title,
        teacher=taken_away(teacher.network, taken, "teacher"),
        trial=teacher.trial,
        doubts=teacher.doubts,
        student=taken_away(finished.network, taken, "student"),
        plan=finished.plan,
        widths=layer_widths(finished.network),
        reference=reference.name,
        tried=tuple(
            _tried(checked, measurement, measurements[0])
            for checked, measurement in zip(selection.options, measurements, strict=True)
        ),
        recovered=finished.recovered,
        brought=finished.brought,
        choice=selection.choice,
        classes=on_test.classes[selection.chosen] if on_test.classes else None,
        manifest=manifests["model.json"],
        app=app,
        verdict=found.verdict,
        files=taken,
        seconds=round(seconds, 1),
    )
    _remove_earlier(root, taken, recipe)
    files.write_text(root / "recipe.toml", to_toml(result.recipe))
    files.write_text(root / "verdict.json", found.verdict.model_dump_json(indent=1))
    write_report(Report(result, measurements[0], _judged_on(found) if goal.device else ()), root)
    files.write_text(root / "result.json", result.model_dump_json(indent=1))
    return result


def _remove_earlier(root: Path, taken: Mapping[str, str], recipe: Recipe) -> None:
    """Remove what an earlier result in the same folder lists and this one doesn't: files of other settings. What the
    recipe names as weights stays.
    """
    try:
        earlier = json.loads((root / "result.json").read_text(encoding="utf-8"))["files"].values()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # there is none, or it is of another version
        return
    weights = [Path(given) for given in (recipe.weights, *(one.weights for one in recipe.teachers)) if given]
    remove_all(root, {str(name) for name in earlier} - {*taken.values()}, but=weights)


def _judged_on(found: Judged) -> tuple[Measurement, ...]:
    return (found.measurement, *([found.baseline] if found.baseline else []))


def _for_app(run: Run, choice: Artifact, how: Deployment, goal: Goal) -> ForApp | None:
    if not is_for_app(choice, goal.target):
        return None
    try:
        return for_app(run, choice, how, goal.device, "model")
    except UnsupportedModelError as e:
        run.progress.warn(f"no file for an app: {e.message}")
        return None


def taken_away(network: Network, taken: Mapping[str, str], name: str) -> Network:
    """The network with its files where they lie below the run directory; an unpruned student's are the teacher's."""
    weights = Path(taken.get(name, taken["teacher"]))
    definition = network.definition and network.definition.model_copy(update={"path": Path(taken["structure"])})
    return network.model_copy(
        update={"weights": network.weights.model_copy(update={"path": weights}), "definition": definition}
    )


def _tried(checked: Checked, measurement: Measurement, baseline: Measurement) -> Tried:
    assert measurement.accuracy is not None
    samples = samples_ms(measurement)
    return Tried(
        name=checked.artifact.name,
        artifact=checked.artifact.without_folder(),
        parity=checked.parity,
        coverage=checked.coverage,
        val=checked.accuracy,
        test=measurement.accuracy,
        median_ms=percentile(samples, 50) if samples else None,
        ratio=ratio(measurement, baseline) if samples else None,
    )


def _reproducing(recipe: Recipe, data: Dataset, teacher: Network, finished: Finished) -> Recipe:
    """The recipe with what was decided by the data, and by measuring and timing on this machine, written into it."""
    decided: dict[str, Value] = {
        "data": settled(recipe.data, data),
        "search": SearchSettings(method="fixed", structure=finished.plan.structure, margin=recipe.search.margin),
        "teacher": recipe.teacher,
        "recover": recipe.recover,
    }
    # [recover] states the student's training; the short one with simulated INT8 only where there is no other
    stepped = finished.stepped
    student = stepped if stepped and stepped.weights != teacher.weights else finished.network
    for part, network in (("teacher", teacher), ("recover", student)):
        if network.training and (part == "teacher" or network.weights != teacher.weights):
            ways = network.training.execution.model_dump(exclude={"images_per_second"})
            known = {key: value for key, value in ways.items() if key in type(decided[part]).model_fields}
            decided[part] = decided[part].model_copy(update=known)
    return recipe.model_copy(update=decided)


def _take_away(
    root: Path,
    finished: Finished,
    teacher: Network,
    measurements: Sequence[Measurement],
    manifests: Mapping[str, Manifest],
) -> dict[str, str]:
    """Copy what the user wants out of the stages; returns the paths below the run directory, by what they are."""
    selection, student = finished.selection, finished.network
    artifacts = {checked.artifact.name: checked.artifact for checked in selection.options}
    chosen = selection.options[selection.chosen].artifact
    sources = {**_of(chosen, "model", "model"), "teacher": (teacher.weights.path, TEACHER)}
    if student.weights != teacher.weights:
        sources["student"] = (student.weights.path, STUDENT)
    if student.definition:
        sources["structure"] = (student.definition.path, "student.json")
    for name, stem in _stems(selection).items():
        sources |= _of(artifacts[name], name, f"artifacts/{stem}")
    taken = {name: name_in_run for name, (_, name_in_run) in sources.items()}
    for source, name_in_run in sources.values():
        files.copy(source, root / name_in_run)
    for name, its in manifests.items():
        files.write_text(root / name, its.model_dump_json(indent=1))
        taken["manifest" if name == "model.json" else f"manifest of {Path(name).stem}"] = name
    for measurement in measurements:
        name = f"measurements/{measurement.artifact.name}.json"
        files.write_text(root / name, measurement.model_dump_json())
        taken[f"measurement of {measurement.artifact.name}"] = name
    return {**taken, **report_files(), "recipe": "recipe.toml", "verdict": "verdict.json", "result": "result.json"}


def _stems(selection: Selection) -> dict[str, str]:
    """What each artifact's files are called in the run directory, by its name: as in their stage, where artifacts share
    them; after the artifact where another one has other files of that name.
    """
    artifacts = [checked.artifact for checked in selection.options]
    shared = [(one.path.stem, tuple(file.sha256 for file in one.files)) for one in artifacts]
    different = Counter(stem for stem, _ in {*shared})
    return {
        one.name: stem if different[stem] == 1 else one.name for one, (stem, _) in zip(artifacts, shared, strict=True)
    }


def _of(artifact: Artifact, what: str, stem: str) -> dict[str, tuple[Path, str]]:
    """Where an artifact's files are, and their paths below the run directory, by what they are."""
    model, *beside = (file.path for file in artifact.files)
    weights = {f"weights of {what}": (path, f"{stem}{path.suffix}") for path in beside}
    return {what: (model, f"{stem}{model.suffix}"), **weights}


def _manifests(
    how: Deployment,
    selection: Selection,
    tested: Sequence[Accuracy],
    measurements: Sequence[Measurement],
    recipe: Recipe,
) -> dict[str, Manifest]:
    """What lies beside the artifacts of the run directory, by its path there: artifacts may share a file, and are then
    opened with other settings.
    """
    found, stems = zip(selection.options, tested, latencies(measurements), strict=True), _stems(selection)
    each = {
        f"artifacts/{checked.artifact.name}.json": beside(
            checked.artifact,
            how.feeding,
            recipe,
            proof=proof(checked.parity, checked.accuracy, test),
            measured=measured,
        ).model_copy(update=_called(checked.artifact, stems[checked.artifact.name]))
        for checked, test, measured in found
    }
    chosen = selection.options[selection.chosen].artifact
    named = each[f"artifacts/{chosen.name}.json"].model_copy(update=_called(chosen, "model"))
    return {"model.json": named, **each}


def _called(artifact: Artifact, stem: str) -> dict[str, object]:
    """What a manifest says of the names of an artifact's files in the run directory."""
    model, *beside = artifact.files
    return {
        "file": f"{stem}{model.path.suffix}",
        "further_files": {f"{stem}{file.path.suffix}": file.sha256 for file in beside},
    }
