"""`compress`: model + data + target + budget → the most accurate network that measurably fits, with the evidence."""

import math
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from edgekd import catalog
from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.deploy.variants import deployable, notes, require_reference
from edgekd.errors import EdgekdError
from edgekd.files import require_file
from edgekd.gate import budget as budgets
from edgekd.gate.budget import Budget, require_engines
from edgekd.gate.conditions import protocol_for, require_met, state_of
from edgekd.pipeline.candidates import NetworkCandidates
from edgekd.pipeline.classifier import require_classifier
from edgekd.pipeline.conclude import STUDENT, TEACHER, conclude
from edgekd.pipeline.deploy import baseline
from edgekd.pipeline.deployment import Deployment, deployment, require_feeding
from edgekd.pipeline.finish import finish
from edgekd.pipeline.forecast import Forecast
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.images import load_images
from edgekd.pipeline.measuring import device_of_target
from edgekd.pipeline.mirrored import with_flip_decided
from edgekd.pipeline.origins import network_origin
from edgekd.pipeline.outline import phases
from edgekd.pipeline.prunable import Pruner, require_prunable
from edgekd.pipeline.search import Searching
from edgekd.pipeline.student import beginning, require_losses
from edgekd.pipeline.teacher import TeacherImages, supervision, teacher
from edgekd.pipeline.wanted import states_normalisation
from edgekd.progress import Progress, Silent
from edgekd.pruning.criteria._base import CRITERIA
from edgekd.recipe import settle
from edgekd.run import Run, open_run
from edgekd.steps._read import trainings
from edgekd.training import ranks
from edgekd.training.losses._base import LOSSES
from edgekd.training.trackers._base import TRACKERS
from edgekd.values import Recipe
from edgekd.values.result import Result
from edgekd.variants import complete
from edgekd.variants import settle as settle_variant
from edgekd.zoo.build import require_known


def compress(
    recipe: Recipe,
    out: Path,
    *,
    device_url: str | None = None,
    wait_s: float = math.inf,
    data_root: Path | None = None,
    download: bool = False,
    trust_checkpoint: bool = False,
    track: str | None = None,
    progress: Progress,
) -> Result | None:
    """Run, or resume, the compression that `recipe` describes, in the run directory `out`.

    Under `torchrun` all ranks train; rank 0 gives the result, the others None.

    Raises:
        EdgekdError: a name, setting, file or model that doesn't work, with the remedy; finished stages are kept.
    """
    started, progress = time.monotonic(), Forecast(progress)
    target, budget = catalog.target(recipe.target), budgets.load(recipe.budget)
    _require_names(recipe, out, track)
    load = partial(load_dataset, root=data_root, download=download)
    with ranks.joined() as rank:
        if not rank.is_main:
            ranks.serve(load_images(recipe, load, Silent()))
            return None
        progress.stage("start", f"{recipe.model} on {recipe.data.source} for {target.name}")
        with open_run(out, progress, track) as run, device_of_target(device_url, target, run, wait_s) as device:
            data = load_images(recipe, load, progress)
            images = TeacherImages(data, states_normalisation(recipe.data), trust_checkpoint)
            recipe = settled(recipe, data, budget)
            goal = Goal(budget, target, device, recipe.measure)
            how = deployment(recipe, target, data, goal.facts)
            progress.plan(phases(recipe, goal, len(data.train), len(how.variants)))
            _require_feasible(run, recipe, goal, how)
            original = teacher(run, recipe, recipe.teacher, images)
            data, mirrored = with_flip_decided(run, recipe.data, data, original.network)
            origin = network_origin(original.network)
            how = replace(deployment(recipe, target, data, goal.facts), teacher=origin)
            reference = baseline(run, original.network, how, goal)
            taught_by = supervision(run, recipe, original.network, replace(images, data=data))
            start = beginning(run, recipe, data, original.network)
            pruner = Pruner(run, data, recipe.prune, target.channel_block)
            candidates = NetworkCandidates(start, pruner, goal, how, reference, recipe.search.margin)
            plan = Searching(recipe, device is not None).plan(candidates, reference.deployed.variants, progress)
            finished = finish(recipe, original.network, taught_by, candidates, plan)
            seconds = time.monotonic() - started
            result = conclude(run, recipe, goal, how, finished, teacher=original, mirrored=mirrored, seconds=seconds)
            progress.end()
            return result


def settled(stated: Recipe, data: Dataset, budget: Budget) -> Recipe:
    """The recipe with nothing left open, measured as the budget wants it."""
    recipe = settle(stated, (len(data.train), *data.train.shape))
    return recipe.model_copy(update={"measure": protocol_for(budget, recipe.measure)})


def _require_names(recipe: Recipe, out: Path, track: str | None) -> None:
    """Raises EdgekdError if a model, criterion, loss, tracker or file of weights doesn't exist, or the run would write
    over such a file: before there is a run folder, and before images are read, which may take minutes.
    """
    for weights in (recipe.weights, *(further.weights for further in recipe.teachers)):
        if weights:
            require_file(Path(weights), "Give the path of the model's weights.")
    _require_kept(recipe, out)
    for model in (recipe.model, recipe.student, *(further.model for further in recipe.teachers)):
        if model:
            require_known(model)
    catalog.load(CRITERIA, recipe.prune.criterion)
    for training in trainings(recipe):
        for loss in training.losses or ():
            catalog.load(LOSSES, loss)
    if track:
        catalog.load(TRACKERS, track)


def _require_kept(recipe: Recipe, out: Path) -> None:
    """Raises EdgekdError if a file of weights lies where the run writes other ones: what they began as would be lost.
    The original's own weights may be in the place of the teacher's, which are the same.
    """
    given = [(recipe.weights, (STUDENT,)), *((further.weights, (STUDENT, TEACHER)) for further in recipe.teachers)]
    for weights, written in given:
        for name in written:
            if weights and Path(weights).resolve() == (out / name).resolve():
                what = f"{weights}: this run writes its {name.removesuffix('.safetensors')} there"
                raise EdgekdError(what, "Give another --out, or copy the weights.")


def _measured(goal: Goal, how: Deployment) -> dict[str, dict[str, object]]:
    """What a budget's conditions refer to, of each variant that is measured."""
    shared: dict[str, object] = {"target": goal.target.name, "artifact": "named by compress"}
    if goal.facts is None:
        return {"target": shared}
    host = goal.facts.host
    shared |= {"machine": host.machine, "cpu": host.cpu, "batch": goal.protocol.batch, **state_of(host)}
    found = {}
    for variant in how.variants:
        runtime, settings = goal.facts.runtimes[variant.runtime], complete(variant)
        found[variant.name] = {
            **shared,
            "runtime": variant.runtime,
            "runtime_version": runtime.version,
            "provider": settings.get("provider") or runtime.provider,
            "threads": settings.get("threads"),
        }
    return found


def _require_feasible(run: Run, recipe: Recipe, goal: Goal, how: Deployment) -> None:
    """Find out what can't work before anything is trained; raises EdgekdError."""
    data, target, has_device = how.data, goal.target, goal.device is not None
    require_classifier(recipe, data)
    require_losses(recipe, data)
    require_feeding(how)
    require_reference(target, goal.facts, goal.install_command)
    if goal.facts:
        require_engines(goal.budget, goal.facts, target.runtimes)
    require_met(goal.budget, _measured(goal, how))
    for note in notes(deployable(target, goal.facts, goal.install_command).left_out):
        run.progress.note(note)
    if how.reference != settle_variant(target.reference):
        instead = f"{how.reference.name} stands in for the reference {target.reference.name}"
        run.progress.warn(f"{instead}, which can't be run without a device: accuracies alone are compared")
    Searching(recipe, has_device).check()
    require_prunable(run, recipe, data, channel_block=target.channel_block, has_device=has_device)
