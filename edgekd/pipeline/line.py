"""The line: the recipe's steps, from the network that it begins with to the student."""

from dataclasses import replace
from pathlib import Path

import torch

from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import Lessons, learn, named, two_images
from edgekd.pipeline.students import Students
from edgekd.pruning.kept import channels_kept
from edgekd.recipe import settings_of
from edgekd.training import processes
from edgekd.training.evaluate import evaluate
from edgekd.training.forward import forward
from edgekd.training.objective import build_objective
from edgekd.training.step import pruned_weights
from edgekd.values import Accuracy, Recovery
from edgekd.values.network import Network
from edgekd.zoo import networks
from edgekd.zoo.cost import parameters
from edgekd.zoo.definition import Definition
from edgekd.zoo.frozen import unfreeze
from edgekd.zoo.identity import digest
from edgekd.zoo.reinitialize import another, reinitialize

WEIGHTS = "student.safetensors"


def fresh(job: Job) -> Network:
    """The recipe's student with random weights."""
    assert job.recipe.student is not None
    own = networks.architecture(job.recipe.student, classes=len(job.data.classes), shape=job.data.train.shape)
    drawn = networks.untrained(own, another(job.recipe.seed))

    def build(folder: Path) -> Network:
        return networks.save(drawn, folder / WEIGHTS, own, origin="random")

    return job.run.stage("fresh", {"network": own.identity, "weights": digest(drawn)}, Network, build)[0]


def require_losses(job: Job) -> None:
    """Raises EdgekdError if a step's losses don't exist, have no such options, or can't take this network."""
    network, images = job.network(), two_images(job)
    # a student that is pruned has some of the network's channels; which ones isn't known before
    kept: dict[str, tuple[int, ...]] | None = None if job.recipe.student else {}
    for step in job.recipe.steps:
        if step.do in ("distil", "finetune"):
            losses = settings_of(job.recipe, step).losses
            objective = build_objective(losses, network, network, images, kept=kept)
            outputs = forward(network.eval(), images, "fp32", objective.student_taps)
            objective(outputs, outputs, torch.zeros(2, dtype=torch.int64))


def walk(job: Job, network: Network, ratio: float, lessons: Lessons) -> Network:
    """Take every step of the recipe, pruning `ratio` in all; the student."""
    int8, seconds = False, 0.0
    for step in job.recipe.steps:
        if step.do == "prune":
            network = _prune(job, network, ratio * step.share, whole=ratio)
        elif step.do == "int8":
            int8 = True
        elif step.do == "reset":
            network = _reset(job, network)
        else:
            network, taken = _train(job, network, settings_of(job.recipe, step), lessons, int8=int8, before=seconds)
            seconds += taken
    return network if network.accuracy else _evaluated(job, network)


def _prune(job: Job, network: Network, ratio: float, *, whole: float) -> Network:
    """The network with this ratio of the original gone, or where that is a part of the `whole`, about as much."""
    with Students(job, network.architecture, network.weights, definition=network.definition) as students:
        if ratio < whole:
            # a part of the way may lie between two networks, or before the first
            ratio = max(level for level in students.levels() if level <= ratio)
        if ratio == 0:
            return network
        pruned = students.at(ratio)
    return pruned.model_copy(update={"sparse": network.sparse or pruned.sparse})


def _reset(job: Job, network: Network) -> Network:
    """The network with new random weights; what was pruned of it stays gone."""

    def build(folder: Path) -> Network:
        model = networks.load(network)
        zeros = pruned_weights(model) if network.sparse else []
        reinitialize(model, job.recipe.seed)
        with torch.no_grad():
            for weight, zero in zeros:
                weight.masked_fill_(zero, 0)
        return networks.save(
            model,
            folder / WEIGHTS,
            network.architecture,
            origin="random",
            definition=network.definition,
            sparse=network.sparse,
        )

    return job.run.stage("reset", {"network": network.key(), "seed": job.recipe.seed}, Network, build)[0]


def _train(
    job: Job, network: Network, settings: Recovery, lessons: Lessons, *, int8: bool, before: float
) -> tuple[Network, float]:
    """The network after a training, whose record counts the seconds `before` too; the seconds of this one."""
    model = networks.load(network)
    if count := unfreeze(model):
        job.progress.note(f"student: trains all its parameters, {count:,} of which the model froze")
    if network.definition and "kept_channels" in settings.losses:
        definition = Definition.read(network.definition.path)
        lessons = replace(lessons, kept=channels_kept(job.network().eval(), job.example, definition))
    job.progress.stage("recover", f"training the student ({parameters(model):,} parameters)")
    inputs = {
        "student": network.key(),
        "teacher": lessons.key,
        "kept": {layer: list(channels) for layer, channels in (lessons.kept or {}).items()},
        "data": job.images,
        "seed": job.recipe.seed,
        "settings": settings,
        "int8": job.recipe.quantize.images if int8 else None,
        "processes": processes.count(),
    }
    trained, _, _ = job.run.stage(
        "recover",
        inputs,
        Network,
        lambda to: learn(job, model, settings, network, folder=to, weights=WEIGHTS, lessons=lessons, int8=int8),
        together=True,
    )
    assert trained.accuracy is not None
    assert trained.training is not None
    told = f"validation accuracy {trained.accuracy.top1:.2%}, {trained.cost.parameters:,} parameters"
    job.progress.note(f"student: {told}")
    record = trained.training.model_copy(update={"seconds": before + trained.training.seconds})
    return named(trained, job.data.name).model_copy(update={"training": record}), trained.training.seconds


def _evaluated(job: Job, network: Network) -> Network:
    """A network that ends untrained."""
    score = evaluate(networks.load(network), job.data.val)
    accuracy = Accuracy(correct=score.correct, images=score.images, dataset=job.data.name, split="val")
    return network.model_copy(update={"accuracy": accuracy})
