"""Teacher: the original network, loaded, or trained once and found again by the hash of what made it; and its like."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import nn

from edgekd import files
from edgekd.errors import StorageError
from edgekd.pipeline.doubts import doubts
from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import Lessons, learn
from edgekd.pipeline.net import Net
from edgekd.pipeline.trial import require_normalisation, try_normalisations
from edgekd.store import fingerprint
from edgekd.training import processes
from edgekd.training.ensemble import Ensemble
from edgekd.training.evaluate import evaluate
from edgekd.values import Accuracy
from edgekd.values.result import Network, NormalisationTrial
from edgekd.zoo.cost import macs, parameters
from edgekd.zoo.frozen import frozen, frozen_at_random, unfreeze
from edgekd.zoo.identity import digest
from edgekd.zoo.weights import load_weights, save_weights

WEIGHTS = "teacher.safetensors"


def teacher(job: Job) -> tuple[Network, nn.Module, Path]:
    """The teacher, ready to teach, and its weights file."""
    model = job.network()
    if job.recipe.weights:
        network, folder = _given(job, model, Path(job.recipe.weights))
    else:
        network, folder = _trained(job, model)
    load_weights(model, folder / WEIGHTS)
    job.progress.note(f"teacher: validation accuracy {network.val.top1:.2%}, {network.parameters:,} parameters")
    found = doubts(job, network, model)
    for doubt in found:
        job.progress.note(f"teacher: {doubt}")
    # the same images may be called otherwise in another run
    val = network.val.model_copy(update={"dataset": job.data.name})
    return network.model_copy(update={"doubts": found, "val": val}), model.eval(), folder / WEIGHTS


def lessons(job: Job, network: Network, model: nn.Module) -> Lessons:
    """What students learn from: the teacher, and the recipe's tutors beside it."""
    if not job.recipe.tutors:
        return Lessons(model, _key(job, network))
    members, weights, keys = [model], [1.0], [_key(job, network)]
    for tutor in job.recipe.tutors:
        own = {"model": tutor.model, "weights": tutor.weights, "seed": tutor.seed}
        theirs = replace(job, recipe=job.recipe.model_copy(update=own))
        trained, other, _ = teacher(theirs)
        members.append(other)
        weights.append(tutor.weight)
        keys.append(_key(theirs, trained))
    return Lessons(Ensemble(members, weights), fingerprint({"teachers": keys, "weights": weights}))


def _key(job: Job, network: Network) -> str:
    return Net(job, Path(network.weights), network.sha256).key


def _given(job: Job, model: nn.Module, weights: Path) -> tuple[Network, Path]:
    job.progress.stage("teacher", f"loading {weights}")

    def build(folder: Path) -> Network:
        load_weights(model, weights, trust_checkpoint=job.trust_checkpoint, spec=job.recipe.model)
        save_weights(model, folder / WEIGHTS)
        score = evaluate(model, job.data.val)
        return Network(
            weights=WEIGHTS,
            sha256=files.sha256(folder / WEIGHTS),
            parameters=parameters(model),
            macs=macs(model, job.data.train.shape),
            val=Accuracy(correct=score.correct, images=score.images, dataset=job.data.name, split="val"),
            origin="given",
        )

    try:
        sha256 = files.sha256(weights)
    except OSError as e:
        raise StorageError(f"{weights}: {e.strerror}", "Give the path of the model's weights.") from e
    inputs = {"network": job.identity, "data": job.images, "weights": sha256}
    trial = None if job.normalisation_stated else _tried(job, model, weights, inputs)
    network, folder, _ = job.run.stage("teacher", inputs, Network, build)
    return network.model_copy(update={"trial": trial}), folder


def _tried(job: Job, model: nn.Module, weights: Path, inputs: Mapping[str, str]) -> NormalisationTrial:
    """The usual normalisations, tried with the weights; raises EdgekdError where one is clearly better."""

    def build(_: Path) -> NormalisationTrial:
        load_weights(model, weights, trust_checkpoint=job.trust_checkpoint, spec=job.recipe.model)
        return try_normalisations(job, model)

    trial, _, _ = job.run.stage("trial", inputs, NormalisationTrial, build)
    require_normalisation(trial, job.recipe.model, job.data.name)
    for way in trial.tried[1:]:
        numbers = f"{way.top1:.1%} of {way.images} images right, and {trial.tried[0].top1:.1%} as they are"
        job.progress.note(f"teacher: normalised by {way.name} it gets {numbers}: not clearly more, so they stay")
    return trial


def _trained(job: Job, model: nn.Module) -> tuple[Network, Path]:
    settings = job.recipe.teacher
    job.progress.stage("teacher", f"training {job.recipe.model} on {job.data.name}")
    _unfreeze_random(job, model)
    inputs = {
        "network": job.identity,
        "weights": digest(model),
        "data": job.images,
        "seed": job.recipe.seed,
        "settings": settings,
        "frozen": frozen(model),
        "processes": processes.count(),
    }
    network, folder, found = job.shared.stage(
        "teacher",
        inputs,
        Network,
        lambda folder: learn(job, model, settings, folder=folder, weights=WEIGHTS),
        together=True,
    )
    if found:
        job.progress.note("teacher: trained before, found again")
    return network, folder


def _unfreeze_random(job: Job, model: nn.Module) -> None:
    """Let all parameters train where the model froze random ones; what it loaded and froze stays as it is."""
    if not (count := frozen(model)):
        return
    again = replace(job, recipe=job.recipe.model_copy(update={"seed": job.recipe.seed + 1}))
    if frozen_at_random(model, again.network()):
        unfreeze(model)
        job.progress.note(f"teacher: trains all its parameters: the model froze {count:,} at random values")
    else:
        job.progress.note(f"teacher: {count:,} parameters stay as the model loaded and froze them")
