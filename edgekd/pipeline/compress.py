"""`compress`: model + data + target + budget → the most accurate network that measurably fits, with the evidence."""

import time
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from edgekd import catalog
from edgekd.data.load import load_dataset
from edgekd.gate.conditions import protocol_for
from edgekd.pipeline.candidates import candidate
from edgekd.pipeline.conclude import conclude
from edgekd.pipeline.finish import Finished, finish
from edgekd.pipeline.job import Job
from edgekd.pipeline.ladder import ladder
from edgekd.pipeline.learn import require_loss
from edgekd.pipeline.measuring import device_of_target
from edgekd.pipeline.plan import search
from edgekd.pipeline.recover import recover
from edgekd.pipeline.students import Students
from edgekd.pipeline.teacher import teacher
from edgekd.progress import Progress
from edgekd.recipe import settle
from edgekd.results import Ladder, Network, Plan, Result
from edgekd.schema import Budget, Recipe
from edgekd.store import Store, cache_folder


@dataclass(frozen=True)
class Original:
    """The teacher with its exports."""

    network: Network
    model: nn.Module
    weights: Path
    ladder: Ladder
    folder: Path


def compress(
    recipe: Recipe,
    out: Path,
    *,
    device_url: str | None = None,
    data_root: Path | None = None,
    download: bool = False,
    trust_checkpoint: bool = False,
    progress: Progress,
) -> Result:
    """Run, or go on with, the compression that `recipe` describes, in the run directory `out`.

    Raises:
        EdgekdError: a name, setting, file or model that doesn't work, with the remedy; what was finished is kept.
    """
    started = time.monotonic()
    target, budget = catalog.target(recipe.target), catalog.budget(recipe.budget)
    store = Store(out)
    with store.lock():
        progress.stage("data", f"loading {recipe.data}")
        data = load_dataset(recipe.data, root=data_root, download=download)
        # before anything is trained, not after the teacher
        require_loss(recipe.recover, len(data.classes))
        job = Job(
            recipe=_settled(recipe, len(data.train), budget),
            target=target,
            budget=budget,
            data=data,
            device=device_of_target(device_url, target, progress),
            run=store,
            shared=Store(cache_folder()),
            progress=progress,
            trust_checkpoint=trust_checkpoint,
        )
        network, model, weights = teacher(job)
        original = Original(network, model, weights, *ladder(job, "baseline", model, network.sha256))
        with Students(job, weights, network.sha256) as students:
            plan = _plan(job, students, original)
            finished = _finish(job, students, original, plan)
        return conclude(job, original.network, original.weights, finished, time.monotonic() - started)


def _settled(stated: Recipe, train_images: int, budget: Budget) -> Recipe:
    """The recipe with nothing left open, measured as the budget wants it."""
    recipe = settle(stated, train_images)
    return recipe.model_copy(update={"measure": protocol_for(budget, recipe.measure)})


def _plan(job: Job, students: Students, original: Original) -> Plan:
    """How much to prune: as asked, else as measured, else nothing."""
    asked = job.recipe.prune.ratio
    if asked is not None:
        return Plan(levels=(asked,), candidates=(), ratio=asked, feasible=None, why=f"{asked:.0%} was asked for")
    if job.device is None:
        why = "there is no device to plan by; --ratio prunes without one"
        return Plan(levels=(0.0,), candidates=(), ratio=0.0, feasible=None, why=why)
    plan = search(students.levels(), lambda ratio: candidate(job, students, ratio, (original.ladder, original.folder)))
    job.progress.note(f"plan: prune {plan.ratio:.0%}: {plan.why}")
    return plan


def _finish(job: Job, students: Students, original: Original, plan: Plan) -> Finished:
    """Train what was planned; where it misses the latency after all, once more with what is one step smaller."""
    finished = _train(job, students, original, plan)
    further = plan.further()
    if not plan.feasible or further is None or finished.latency == "pass":
        return finished
    why = f"{plan.why}; trained, it missed the latency by a little, so one step further"
    job.progress.note(f"plan: {further:.0%}: {why}")
    return _train(job, students, original, plan.model_copy(update={"ratio": further, "why": why}))


def _train(job: Job, students: Students, original: Original, plan: Plan) -> Finished:
    """The student of the plan's ratio: distilled, exported, measured, one rung chosen."""
    baseline = (original.ladder, original.folder)
    if plan.ratio == 0:
        return finish(
            job,
            plan,
            network=original.network,
            weights=original.weights,
            structure=None,
            baseline=baseline,
            student=baseline,
        )
    student, folder = students.at(plan.ratio)
    students.close()
    network, model, weights = recover(job, student, folder, original.model, original.network.sha256)
    exported = ladder(job, "student", model, network.sha256)
    return finish(
        job,
        plan,
        network=network,
        weights=weights,
        structure=folder / student.structure,
        baseline=baseline,
        student=exported,
    )
