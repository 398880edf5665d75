"""The line: the recipe's steps, from the network that it begins with to the student."""

from dataclasses import replace
from pathlib import Path

import torch

from edgekd import files
from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import Lessons, learn, two_images
from edgekd.pipeline.net import Net
from edgekd.pipeline.students import Students
from edgekd.pruning.kept import channels_kept
from edgekd.recipe import settings_of
from edgekd.training import processes
from edgekd.training.evaluate import evaluate
from edgekd.training.forward import forward
from edgekd.training.objective import build_objective
from edgekd.training.step import pruned_weights
from edgekd.values import Accuracy, Recovery, Value
from edgekd.values.result import Network
from edgekd.zoo.cost import macs, parameters
from edgekd.zoo.definition import Definition
from edgekd.zoo.frozen import unfreeze
from edgekd.zoo.identity import digest
from edgekd.zoo.reinitialize import another, reinitialize
from edgekd.zoo.weights import save_weights

WEIGHTS = "student.safetensors"


class Fresh(Value):
    """Random weights in a file."""

    file: str
    sha256: str


def fresh(job: Job) -> Net:
    """The recipe's student with random weights."""
    assert job.recipe.student is not None
    own = replace(job, recipe=job.recipe.model_copy(update={"model": job.recipe.student}))
    drawn = replace(own, recipe=own.recipe.model_copy(update={"seed": another(job.recipe.seed)})).network()

    def build(folder: Path) -> Fresh:
        save_weights(drawn, folder / WEIGHTS)
        return Fresh(file=WEIGHTS, sha256=files.sha256(folder / WEIGHTS))

    inputs = {"network": own.identity, "weights": digest(drawn)}
    made, folder, _ = job.run.stage("fresh", inputs, Fresh, build)
    return Net(own, folder / made.file, made.sha256)


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


def walk(net: Net, ratio: float, lessons: Lessons) -> tuple[Network, Net]:
    """Take every step of the recipe, pruning `ratio` in all; the student as it is documented, and where it is."""
    network = None
    for step in net.job.recipe.steps:
        if step.do == "prune":
            network, net = None, _prune(net, ratio * step.share, whole=ratio)
        elif step.do == "int8":
            net = replace(net, int8=True)
        elif step.do == "reset":
            network, net = None, _reset(net)
        else:
            network, net = _train(net, settings_of(net.job.recipe, step), lessons)
    return network or _as_it_is(net), net


def _prune(net: Net, ratio: float, *, whole: float) -> Net:
    """The network with this ratio of the original gone, or where that is a part of the `whole`, about as much."""
    with Students(net.job, net.weights, net.sha256, structure=net.structure) as students:
        if ratio < whole:
            # a part of the way may lie between two networks, or before the first
            ratio = max(level for level in students.levels() if level <= ratio)
        if ratio == 0:
            return net
        student, folder = students.at(ratio)
    sparse = net.sparse or net.job.recipe.prune.method == "weights"
    return replace(
        net,
        weights=folder / student.weights,
        sha256=student.sha256,
        structure=folder / student.structure,
        sparse=sparse,
    )


def _reset(net: Net) -> Net:
    """The network with new random weights; what was pruned of it stays gone."""

    def build(folder: Path) -> Fresh:
        model = net.module()
        zeros = pruned_weights(model) if net.sparse else []
        reinitialize(model, net.job.recipe.seed)
        with torch.no_grad():
            for weight, zero in zeros:
                weight.masked_fill_(zero, 0)
        save_weights(model, folder / WEIGHTS)
        return Fresh(file=WEIGHTS, sha256=files.sha256(folder / WEIGHTS))

    inputs = {"network": net.key, "sparse": net.sparse, "seed": net.job.recipe.seed}
    made, folder, _ = net.job.run.stage("reset", inputs, Fresh, build)
    return replace(net, weights=folder / made.file, sha256=made.sha256)


def _train(net: Net, settings: Recovery, lessons: Lessons) -> tuple[Network, Net]:
    """The network after a training, and its weights."""
    job, model = net.job, net.module()
    if count := unfreeze(model):
        job.progress.note(f"student: trains all its parameters, {count:,} of which the model froze")
    if net.structure and "kept_channels" in settings.losses:
        structure = Definition.read(net.structure)
        lessons = replace(lessons, kept=channels_kept(job.network().eval(), job.example, structure))
    job.progress.stage("recover", f"training the student ({parameters(model):,} parameters)")
    inputs = {
        "student": net.key,
        "teacher": lessons.key,
        "kept": {layer: list(channels) for layer, channels in (lessons.kept or {}).items()},
        "data": job.images,
        "seed": job.recipe.seed,
        "settings": settings,
        "sparse": net.sparse,
        "int8": job.recipe.quantize.images if net.int8 else None,
        "processes": processes.count(),
    }
    network, folder, _ = job.run.stage(
        "recover",
        inputs,
        Network,
        lambda to: learn(
            job,
            model,
            settings,
            folder=to,
            weights=WEIGHTS,
            lessons=lessons,
            keep_zeros=net.sparse,
            int8=net.int8,
        ),
        together=True,
    )
    job.progress.note(f"student: validation accuracy {network.val.top1:.2%}, {network.parameters:,} parameters")
    taken = net.seconds + network.seconds
    # the same images may have been called otherwise before
    network = network.model_copy(update={"val": network.val.model_copy(update={"dataset": job.data.name})})
    return network, replace(net, weights=folder / WEIGHTS, sha256=network.sha256, seconds=taken)


def _as_it_is(net: Net) -> Network:
    """A network that ends pruned and untrained."""
    model, data = net.module(), net.job.data
    score = evaluate(model, data.val)
    return Network(
        weights=net.weights.name,
        sha256=net.sha256,
        parameters=parameters(model),
        macs=macs(model, data.train.shape),
        val=Accuracy(correct=score.correct, images=score.images, dataset=data.name, split="val"),
        origin="pruned",
    )
