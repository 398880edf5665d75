"""Teacher: the original network, loaded, or trained once and found again by the hash of what made it; and its like."""

from dataclasses import dataclass, replace
from pathlib import Path

from edgekd.pipeline.doubts import doubts
from edgekd.pipeline.given import Given, given_weights, load_given, try_given
from edgekd.pipeline.job import Job
from edgekd.training import ranks
from edgekd.training.initial import initial
from edgekd.training.stage import TrainingInputs, as_named, train_network
from edgekd.training.supervision import Supervision
from edgekd.training.supervision import Teacher as Member
from edgekd.values.network import Network
from edgekd.values.result import NormalisationTrial
from edgekd.zoo import networks
from edgekd.zoo.frozen import frozen, frozen_at_random


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
    network = as_named(network, job.data)
    assert network.accuracy is not None
    told = f"validation accuracy {network.accuracy.top1:.2%}, {network.cost.parameters:,} parameters"
    job.progress.note(f"teacher: {told}")
    found = doubts(job.means, network, job.data)
    for doubt in found:
        job.progress.note(f"teacher: {doubt}")
    return Teacher(network, trial, found)


def supervision(job: Job, network: Network) -> Supervision:
    """Who teaches the students: the teacher, and the recipe's further ones beside it."""
    others = []
    for further in job.recipe.teachers:
        own = {"model": further.model, "weights": further.weights, "seed": further.seed}
        trained = teacher(replace(job, recipe=job.recipe.model_copy(update=own))).network
        others.append(Member(trained, further.weight))
    return Supervision((Member(network), *others))


def _given(job: Job, weights: Path) -> tuple[Network, NormalisationTrial | None]:
    job.progress.stage("teacher", f"loading {weights}")
    given = Given(job.architecture, given_weights(weights), job.data, job.trust_checkpoint)
    trial = None if job.normalisation_stated else try_given(job.means, given)
    return load_given(job.means, given), trial


def _trained(job: Job) -> Network:
    job.progress.stage("teacher", f"training {job.recipe.model} on {job.data.name}")
    inputs = TrainingInputs(
        network=initial(job.means, job.architecture, job.recipe.seed, shared=True),
        settings=job.recipe.teacher,
        data=job.data,
        seed=job.recipe.seed,
        frozen=_stays_frozen(job),
        ranks=ranks.count(),
    )
    return job.means.stage(
        "teacher", inputs, train_network, shared=True, if_found="teacher: trained before, found again"
    )


def _stays_frozen(job: Job) -> int:
    """How many parameters stay as the model loaded and froze them: all train where it froze random ones."""
    model = job.network()
    if not (count := frozen(model)):
        return 0
    if frozen_at_random(model, networks.untrained(job.architecture, job.recipe.seed + 1)):
        job.progress.note(f"teacher: trains all its parameters: the model froze {count:,} at random values")
        return 0
    job.progress.note(f"teacher: {count:,} parameters stay as the model loaded and froze them")
    return count
