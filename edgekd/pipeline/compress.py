"""`compress`: model + data + target + budget → the most accurate network that measurably fits, with the evidence."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgekd import catalog
from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.deploy.variants import deployable, require_reference
from edgekd.files import require_file
from edgekd.gate import budget as budgets
from edgekd.gate.budget import Budget
from edgekd.gate.conditions import protocol_for
from edgekd.pipeline.again import dropped_out, further, gone
from edgekd.pipeline.candidates import NetworkBench
from edgekd.pipeline.classifier import require_classifier
from edgekd.pipeline.conclude import Finished, conclude
from edgekd.pipeline.deploy import Baseline, baseline, deploy, require_feeding
from edgekd.pipeline.finish import finish
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import device_of_target
from edgekd.pipeline.mirrored import with_flip_decided
from edgekd.pipeline.planning import learns_unpruned, planned, planned_again, require_plan
from edgekd.pipeline.prunable import require_prunable
from edgekd.pipeline.recover import random_student, recovered, require_losses
from edgekd.pipeline.teacher import Teacher, TeacherImages, supervision, teacher
from edgekd.pipeline.wanted import believed, states_normalisation, wanted
from edgekd.progress import Progress, Silent
from edgekd.recipe import settle
from edgekd.store import Store, cache_folder
from edgekd.training import ranks
from edgekd.training.supervision import Supervision
from edgekd.training.trackers._base import TRACKERS
from edgekd.values import Data, Plan, Recipe, Target
from edgekd.values.network import Network
from edgekd.values.result import Result


@dataclass(frozen=True)
class Original:
    """The teacher with its exports, and what students learn from."""

    network: Network
    baseline: Baseline
    supervision: Supervision


def compress(
    recipe: Recipe,
    out: Path,
    *,
    device_url: str | None = None,
    data_root: Path | None = None,
    download: bool = False,
    trust_checkpoint: bool = False,
    track: str | None = None,
    progress: Progress,
) -> Result | None:
    """Run, or go on with, the compression that `recipe` describes, in the run directory `out`.

    Under `torchrun` all ranks train; rank 0 gives the result, the others None.

    Raises:
        EdgekdError: a name, setting, file or model that doesn't work, with the remedy; what was finished is kept.
    """
    started = time.monotonic()
    for weights in (recipe.weights, *(other.weights for other in recipe.teachers)):
        if weights:
            require_file(Path(weights), "Give the path of the model's weights.")
    target, budget = catalog.target(recipe.target), budgets.load(recipe.budget)
    if track:
        catalog.load(TRACKERS, track)
    with ranks.joined() as rank:
        progress = progress if rank.is_main else Silent()
        progress.stage("start", f"{recipe.model} on {recipe.data.source} for {recipe.target}")
        load = partial(load_dataset, root=data_root, download=download)
        if not rank.is_main:
            ranks.serve(_loaded(recipe, load, progress))
            return None
        store = Store(out)
        with store.lock(), device_of_target(device_url, target, store, progress) as device:
            progress.stage("data", f"loading {recipe.data.source}")
            data = _loaded(recipe, load, progress)
            job = Job(
                recipe=_settled(recipe, data, target, budget),
                target=target,
                budget=budget,
                data=data,
                device=device,
                run=store,
                shared=Store(cache_folder(progress.note)),
                progress=progress,
                trust_checkpoint=trust_checkpoint,
                normalisation_stated=states_normalisation(recipe.data),
                track=track,
            )
            job, original, finished = _compressed(job)
            return conclude(job, original, finished, time.monotonic() - started)


def _loaded(recipe: Recipe, load: Callable[[Data], Dataset], progress: Progress) -> Dataset:
    """The recipe's data, prepared as the weights want it where that is known and nothing else is said."""
    data = load(recipe.data)
    asked = wanted(recipe, data)
    if asked != recipe.data:
        data = load(asked)
        progress.note(f"data: prepared as the images of {recipe.model}'s own weights, since nothing else is said")
    data = believed(data)
    for note in data.notes:
        progress.note(f"data: {note}")
    return data


def _compressed(job: Job) -> tuple[Job, Teacher, Finished]:
    """The job with what was decided on the way; the teacher, and the student that was planned, trained, exported and
    measured.
    """
    # before anything is trained, not after the teacher
    require_classifier(job.recipe, job.data)
    require_losses(job)
    require_feeding(job.data, job.feeding)
    require_reference(job.target)
    for left_out in deployable(job.target).left_out:
        job.progress.note(f"{left_out.name} is left out: {left_out.why}")
    require_plan(job)
    require_prunable(job)
    images = TeacherImages(job.data, job.normalisation_stated, job.trust_checkpoint)
    found = teacher(job.means, job.recipe, job.recipe.teacher, images)
    network = found.network
    data, mirrored = with_flip_decided(job.means, job.recipe.data, job.data, network)
    job = replace(job, data=data, mirrored=mirrored)
    taught_by = supervision(job.means, job.recipe, network, replace(images, data=data))
    original = Original(network, baseline(job.means, network, job.deployment, job.device), taught_by)
    start = random_student(job) if job.recipe.student else network
    plan = planned(job, NetworkBench(job, start, original.baseline), original.baseline.deployed.variants)
    job.resources.close()
    return job, found, _finish(job, start, original, plan)


def _settled(stated: Recipe, data: Dataset, target: Target, budget: Budget) -> Recipe:
    """The recipe with nothing left open, measured as the budget wants it."""
    recipe = settle(stated, (len(data.train), *data.train.shape))
    return recipe.model_copy(update={"measure": protocol_for(budget, recipe.measure)})


def _finish(job: Job, start: Network, original: Original, plan: Plan) -> Finished:
    """Train what was planned; and what is planned again where a variant that the plan counted on drops out, or where
    the student misses the latency by a little.
    """
    left, stepped = original.baseline.deployed.variants, False
    while True:
        finished = _train(job, start, original, plan)
        again: Plan | None = None
        if out := gone(plan, finished.selection):
            left = left - {*out}
            again = _without(job, start, original, plan, out=out, left=left)
            if not again.feasible:
                # a student of another structure wouldn't meet it either
                job.progress.note(f"plan: {again.why}")
                return replace(finished, plan=again.model_copy(update={"proposal": plan.proposal}))
        elif not stepped:
            again, stepped = further(plan, finished.selection), True
        if again is None:
            return finished
        job.progress.note(f"plan: take out {again.proposal.what}: {again.why}")
        plan = again


def _without(
    job: Job, start: Network, original: Original, plan: Plan, *, out: tuple[str, ...], left: frozenset[str]
) -> Plan:
    """What to prune where these variants dropped out and those are left."""
    bench = NetworkBench(job, start, original.baseline)
    found = planned_again(job, bench, plan, variants=left, why=dropped_out(out))
    job.resources.close()
    return found


def _train(job: Job, start: Network, original: Original, plan: Plan) -> Finished:
    """The student of the plan's structure: every step taken, deployed, measured, one artifact chosen."""
    reference = original.baseline.reference
    if plan.structure.is_whole and not learns_unpruned(job.recipe):
        return Finished(plan, original.network, finish(job, reference, original.baseline.deployed))
    network = recovered(job, start, plan.structure, original.supervision)
    student = deploy(job.means, "student", network, job.deployment, job.device)
    return Finished(plan, network, finish(job, reference, student))
