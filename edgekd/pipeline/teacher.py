"""Teacher: the original network, loaded, or trained once and found again by the hash of what made it; and its like."""

from dataclasses import dataclass, replace
from pathlib import Path

from torch import nn

from edgekd.pipeline.doubts import doubts
from edgekd.pipeline.given import WEIGHTS, Given, given_weights, load_given, try_given
from edgekd.pipeline.job import Job
from edgekd.pipeline.learn import Lessons, learn, named
from edgekd.store import fingerprint
from edgekd.training import processes
from edgekd.training.ensemble import Ensemble
from edgekd.values.network import Network
from edgekd.values.result import NormalisationTrial
from edgekd.zoo import networks
from edgekd.zoo.frozen import frozen, frozen_at_random, unfreeze
from edgekd.zoo.identity import digest


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
    found = doubts(job.means, network, job.data)
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
    given = Given(job.architecture, given_weights(weights), job.data, job.trust_checkpoint)
    trial = None if job.normalisation_stated else try_given(job.means, given)
    return load_given(job.means, given), trial


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
