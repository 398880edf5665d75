"""Teacher: the original network, loaded, or trained once and found again by the hash of what made it; and its like."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edgekd import files
from edgekd.errors import StorageError
from edgekd.pipeline.doubts import doubts
from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import Lessons, learn, named
from edgekd.pipeline.trial import require_normalisation, try_normalisations
from edgekd.store import fingerprint
from edgekd.training import processes
from edgekd.training.ensemble import Ensemble
from edgekd.training.evaluate import evaluate
from edgekd.values import Accuracy
from edgekd.values.network import Network
from edgekd.values.result import NormalisationTrial
from edgekd.zoo import networks
from edgekd.zoo.frozen import frozen, frozen_at_random, unfreeze
from edgekd.zoo.identity import digest
from edgekd.zoo.weights import load_weights

WEIGHTS = "teacher.safetensors"


@dataclass(frozen=True)
class Teacher:
    """The original network, and what is known of it as a teacher."""

    network: Network
    trial: NormalisationTrial | None
    doubts: tuple[str, ...]


def teacher(job: Job) -> Teacher:
    """The teacher, loaded or trained."""
    if job.recipe.weights:
        network, trial = _given(job, Path(job.recipe.weights))
    else:
        network, trial = _trained(job), None
    network = named(network, job.data.name)
    assert network.accuracy is not None
    told = f"validation accuracy {network.accuracy.top1:.2%}, {network.cost.parameters:,} parameters"
    job.progress.note(f"teacher: {told}")
    found = doubts(job, network)
    for doubt in found:
        job.progress.note(f"teacher: {doubt}")
    return Teacher(network, trial, found)


def lessons(job: Job, network: Network) -> Lessons:
    """What students learn from: the teacher, and the recipe's tutors beside it."""
    model = networks.load(network)
    if not job.recipe.tutors:
        return Lessons(model, fingerprint({"network": network.key()}))
    members, weights, keys = [model], [1.0], [network.key()]
    for tutor in job.recipe.tutors:
        own = {"model": tutor.model, "weights": tutor.weights, "seed": tutor.seed}
        trained = teacher(replace(job, recipe=job.recipe.model_copy(update=own))).network
        members.append(networks.load(trained))
        weights.append(tutor.weight)
        keys.append(trained.key())
    return Lessons(Ensemble(members, weights), fingerprint({"teachers": keys, "weights": weights}))


def _given(job: Job, weights: Path) -> tuple[Network, NormalisationTrial | None]:
    job.progress.stage("teacher", f"loading {weights}")

    def build(folder: Path) -> Network:
        model = job.network()
        load_weights(model, weights, trust_checkpoint=job.trust_checkpoint, spec=job.recipe.model)
        network = networks.save(model, folder / WEIGHTS, job.architecture, origin="given")
        score = evaluate(model, job.data.val)
        accuracy = Accuracy(correct=score.correct, images=score.images, dataset=job.data.name, split="val")
        return network.model_copy(update={"accuracy": accuracy})

    try:
        sha256 = files.sha256(weights)
    except OSError as e:
        raise StorageError(f"{weights}: {e.strerror}", "Give the path of the model's weights.") from e
    inputs = {"network": job.architecture.identity, "data": job.images, "weights": sha256}
    trial = None if job.normalisation_stated else _tried(job, weights, inputs)
    return job.run.stage("teacher", inputs, Network, build)[0], trial


def _tried(job: Job, weights: Path, inputs: Mapping[str, str]) -> NormalisationTrial:
    """The usual normalisations, tried with the weights; raises EdgekdError where one is clearly better."""

    def build(_: Path) -> NormalisationTrial:
        model = job.network()
        load_weights(model, weights, trust_checkpoint=job.trust_checkpoint, spec=job.recipe.model)
        return try_normalisations(job, model)

    trial, _, _ = job.run.stage("trial", inputs, NormalisationTrial, build)
    require_normalisation(trial, job.recipe.model, job.data.name)
    for way in trial.tried[1:]:
        numbers = f"{way.top1:.1%} of {way.images} images right, and {trial.tried[0].top1:.1%} as they are"
        job.progress.note(f"teacher: normalised by {way.name} it gets {numbers}: not clearly more, so they stay")
    return trial


def _trained(job: Job) -> Network:
    settings, model = job.recipe.teacher, job.network()
    job.progress.stage("teacher", f"training {job.recipe.model} on {job.data.name}")
    _unfreeze_random(job, model)
    inputs = {
        "network": job.architecture.identity,
        "weights": digest(model),
        "data": job.images,
        "seed": job.recipe.seed,
        "settings": settings,
        "frozen": frozen(model),
        "processes": processes.count(),
    }

    def build(folder: Path) -> Network:
        initial = networks.save(model, folder / WEIGHTS, job.architecture, origin="random")
        return learn(job, model, settings, initial, folder=folder, weights=WEIGHTS)

    network, _, found = job.shared.stage("teacher", inputs, Network, build, together=True)
    if found:
        job.progress.note("teacher: trained before, found again")
    return network


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
