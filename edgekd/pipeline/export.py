"""`export`: a trained network in every variant of a target, each checked as far as it can be."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from edgekd import catalog, files
from edgekd.data.load import load_dataset
from edgekd.deploy.literal import in_place_of
from edgekd.deploy.variants import not_run_here, why_not, writable
from edgekd.devices._base import Device
from edgekd.devices.device import LOCAL
from edgekd.errors import DeviceError, EdgekdError, UnsupportedModelError
from edgekd.pipeline.acceptance import accepted
from edgekd.pipeline.beside import beside, proof
from edgekd.pipeline.classifier import require_classifier
from edgekd.pipeline.deployment import Deployment, deployment, require_feeding
from edgekd.pipeline.export_file import Preflights, destination
from edgekd.pipeline.export_folder import write_exports
from edgekd.pipeline.graph import export as export_variants
from edgekd.pipeline.images import load_images
from edgekd.pipeline.measuring import device_of_target
from edgekd.pipeline.mobile import for_app, is_for_app
from edgekd.pipeline.proof import Check, check
from edgekd.pipeline.teacher import TeacherImages, teacher
from edgekd.pipeline.wanted import states_normalisation
from edgekd.progress import Progress
from edgekd.run import Run, open_run
from edgekd.values import Artifact, Feeding, Recipe, Target
from edgekd.values.exported import Exported, Exports
from edgekd.values.network import Network
from edgekd.values.preflight import Finding

_NAME = "model"


def export(
    recipe: Recipe,
    out: Path,
    *,
    device_url: str | None = None,
    wait_s: float = math.inf,
    data_root: Path | None = None,
    download: bool = False,
    trust_checkpoint: bool = False,
    progress: Progress,
) -> Exports:
    """Write the recipe's network, with its weights, in every variant of the target that can be written.

    Args:
        recipe: model, weights, data, target, quantisation and export count.
        out: the folder for the files; what was written and checked before isn't made again.
        device_url: where files are run beside the network; this machine if None.
        wait_s: how long the device is waited for while somebody else uses it.
        data_root: where data sets are looked for first.
        download: whether a missing data set is fetched.
        trust_checkpoint: whether the weights may be a pickle, whose code is run.
        progress: told about each step.

    Raises:
        EdgekdError: a name, setting, file or model that doesn't work, with the remedy.
        DeviceError: the device can't be reached, or can run none of the files.
    """
    target = catalog.target(recipe.target)
    if not recipe.weights:
        raise EdgekdError("export needs trained weights", "Give --weights, or train the model with `edgekd compress`.")
    files.require_file(Path(recipe.weights), "Give the path of the model's weights.")
    load = partial(load_dataset, root=data_root, download=download)
    progress.stage("start", f"{recipe.model} on {recipe.data.source} for {target.name}")
    with open_run(out, progress) as run, device_of_target(device_url, target, run, wait_s) as device:
        data = load_images(recipe, load, progress)
        require_classifier(recipe, data)
        facts = device.facts if device else None
        how = deployment(recipe, target, data, facts, writable(target).variants)
        require_feeding(how)
        if device and device_url:
            _require_runtime(device, how)
        images = TeacherImages(data, states_normalisation(recipe.data), trust_checkpoint)
        network = teacher(run, recipe, recipe.teacher, images).network
        take = partial(_taken, root=run.store.root, feeding=how.feeding, recipe=recipe)
        return _exported(run, network, how, target, device, take=take)


def _require_runtime(device: Device, how: Deployment) -> None:
    """Raises DeviceError if the device runs no variant: a check on this machine says nothing about it."""
    whys = [why_not(variant, device.facts) for variant in how.variants]
    if whys and all(whys):
        message = f"{device.title}: no file can be checked there: {'; '.join(dict.fromkeys(filter(None, whys)))}"
        command = next(filter(None, (device.install_command(variant.runtime) for variant in how.variants)), None)
        here = "Leave --device out to check the files on this machine"
        raise DeviceError(message, f"{here}, or install a runtime there: {command}" if command else f"{here}.")


def _exported(
    run: Run,
    network: Network,
    how: Deployment,
    target: Target,
    device: Device | None,
    *,
    take: Callable[[Exported, Artifact], Exported],
) -> Exports:
    run.progress.stage("export", f"writing {len(how.variants)} variants")
    written = export_variants(run, _NAME, network, how)
    dropped = (*writable(target).left_out, *written.dropped)
    if not written.artifacts:
        why = "; ".join(f"{gone.name}: {gone.why}" for gone in dropped)
        raise UnsupportedModelError(f"no variant of {target.name} can be written: {why}", "Name another --target.")
    run.progress.stage("check", f"checking {len(written.artifacts)} variants")
    places = _Places(written.artifacts, device)
    for note in places.notes():
        run.progress.note(note)
    checks = {**_checked(run, network, how, places.here, None), **_checked(run, network, how, places.there, device)}
    checks |= accepted(run, _NAME, network, places.nowhere, how)
    preflights = Preflights(destination(target, device), run.progress)
    found = []
    for artifact in written.artifacts:
        checked = _with_check(artifact, checks.get(artifact.id), places)
        checked = preflights.added(checked, artifact.path)
        wanted = is_for_app(artifact, target) and checked.parity is not None
        found.append(_with_app(run, checked, artifact, how, places.device_of(artifact)) if wanted else checked)
    exports = Exports(
        target=target.name,
        device=device.url if device else None,
        folder=str(run.store.root),
        exported=tuple(take(one, artifact) for one, artifact in zip(found, written.artifacts, strict=True)),
        dropped=dropped,
    )
    write_exports(exports, run.store.root)
    return exports


class _Places:
    """Which artifacts the device runs, which this machine, and why the others are run by neither."""

    def __init__(self, artifacts: tuple[Artifact, ...], device: Device | None) -> None:
        self.device = device
        of_device = device and device.facts
        self.there = tuple(a for a in artifacts if of_device and why_not(a.variant, of_device) is None)
        others = [artifact for artifact in artifacts if artifact not in self.there]
        self.why_not = {artifact.id: not_run_here(artifact.variant) for artifact in others}
        self.here = tuple(artifact for artifact in others if self.why_not[artifact.id] is None)
        self.nowhere = tuple(artifact for artifact in others if artifact not in self.here)

    def notes(self) -> Iterator[str]:
        """Why files are checked on this machine although another device was given."""
        if self.device and self.device.url != LOCAL:
            for artifact in self.here:
                yield f"{artifact.name} is checked on this machine: {why_not(artifact.variant, self.device.facts)}"

    def device_of(self, artifact: Artifact) -> Device | None:
        """The device, if it runs it; None: this machine."""
        return self.device if artifact in self.there else None

    def of(self, artifact: Artifact) -> str:
        """What runs it, or stands in for what would."""
        if artifact in self.nowhere:
            return in_place_of(artifact.runtime)
        return device.title if (device := self.device_of(artifact)) else "this machine"


def _checked(
    run: Run, network: Network, how: Deployment, artifacts: tuple[Artifact, ...], device: Device | None
) -> Mapping[str, Check]:
    """Each artifact's check, by the artifact's id."""
    if not artifacts:
        return {}
    found = check(run, _NAME, network, artifacts, how=how, device=device).checks
    return {artifact.id: check for artifact, check in zip(artifacts, found, strict=True)}


def _with_check(artifact: Artifact, check: Check | None, places: _Places) -> Exported:
    if check is None:
        why = f"{places.why_not[artifact.id]}; or give a --device that has it"
        return Exported(artifact=artifact, not_checked=why)
    findings: tuple[Finding, ...] = ()
    if check.failed:
        remedy = "Don't deploy this file. Use another variant; for INT8, raise quantize.images in a recipe."
        findings = (Finding(rule="check", severity="error", message=check.failed, remedy=remedy),)
    return Exported(
        artifact=artifact,
        checked_by=places.of(artifact),
        parity=check.parity,
        accuracy=check.accuracy,
        findings=findings,
    )


def _with_app(run: Run, one: Exported, artifact: Artifact, how: Deployment, device: Device | None) -> Exported:
    """The same with what an app takes of it, run by the device, or by this machine for None."""
    try:
        app = for_app(run, artifact, how, device, artifact.path.stem)
    except UnsupportedModelError as e:
        found = Finding(rule="app", severity="warning", message=e.message, remedy=e.hint or "Use the ONNX file.")
        return one.model_copy(update={"findings": (*one.findings, found)})
    return one.model_copy(update={"app": app})


def _taken(one: Exported, artifact: Artifact, *, root: Path, feeding: Feeding, recipe: Recipe) -> Exported:
    """Copied, with its manifest, to where the user finds it."""
    name = f"{artifact.name}.json"
    shown = proof(one.parity, one.accuracy) if one.parity and one.accuracy else None
    found = beside(artifact, feeding, recipe, proof=shown)
    for file in artifact.files:
        files.copy(file.path, root / file.path.name)
    files.write_text(root / name, found.model_dump_json(indent=1))
    return one.model_copy(update={"artifact": artifact.without_folder(), "manifest": name})
