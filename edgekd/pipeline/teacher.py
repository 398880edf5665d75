"""Teachers: the original network, loaded or trained once, and the recipe's further teachers."""

from dataclasses import dataclass
from pathlib import Path

from edgekd.data.dataset import Dataset
from edgekd.errors import EdgekdError
from edgekd.pipeline.doubts import doubts
from edgekd.pipeline.given import Given, given_weights, load_given, try_given
from edgekd.run import Run
from edgekd.training import ranks
from edgekd.training.initial import initial
from edgekd.training.stage import TrainingInputs, as_named, train_network
from edgekd.training.supervision import Supervision
from edgekd.training.supervision import Teacher as Member
from edgekd.values import Architecture, FurtherTeacher, Recipe, Training
from edgekd.values.network import Network
from edgekd.values.result import NormalisationTrial
from edgekd.zoo import networks
from edgekd.zoo.frozen import frozen, frozen_at_random


@dataclass(frozen=True)
class Teacher:
    """A teacher with the findings about it."""

    network: Network
    trial: NormalisationTrial | None
    """For given weights, if nothing states how their images were normalised."""
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class TeacherImages:
    """The images that teachers are loaded or trained for."""

    data: Dataset
    normalisation_stated: bool = True
    """Whether the normalisation is stated; otherwise given weights are tried with the usual ones."""
    trust_checkpoint: bool = False
    """Whether given weights may be a pickle, whose code is run."""


def teacher(run: Run, asked: Recipe | FurtherTeacher, training: Training, images: TeacherImages) -> Teacher:
    """The original network, or a further teacher.

    Args:
        run: stores it; a trained one is shared with other runs.
        asked: states the model, and its weights or seed.
        training: how it is trained if there are no weights.
        images: the images that it is loaded or trained for.

    Raises:
        EdgekdError: the weights don't fit the model, or seem to be for images with another normalisation.
    """
    data, trial = images.data, None
    architecture = networks.architecture(asked.model, classes=len(data.classes), shape=data.train.shape)
    if asked.weights:
        run.progress.stage("teacher", f"loading {asked.weights}")
        given = Given(architecture, given_weights(Path(asked.weights)), data, images.trust_checkpoint)
        trial = None if images.normalisation_stated else try_given(run, given)
        network = load_given(run, given)
    else:
        run.progress.stage("teacher", f"training {asked.model} on {data.name}")
        network = _trained(run, architecture, asked.seed, training, data)
    network = as_named(network.called(architecture), data)
    assert network.accuracy is not None
    told = f"validation accuracy {network.accuracy.top1:.2%}, {network.cost.parameters:,} parameters"
    run.progress.note(f"teacher: {told}")
    found = doubts(run, network, data)
    for doubt in found:
        run.progress.warn(f"teacher: {doubt}")
    return Teacher(network, trial, found)


def supervision(run: Run, recipe: Recipe, network: Network, images: TeacherImages) -> Supervision:
    """The teachers of the student: this network, and the recipe's further ones.

    Raises:
        EdgekdError: two are the same network with the same weights, and as `teacher`.
    """
    others = (
        Member(teacher(run, further, recipe.teacher, images).network, further.weight) for further in recipe.teachers
    )
    members = (Member(network), *others)
    keys = [member.network.key() for member in members]
    for number, (member, key) in enumerate(zip(members, keys, strict=True)):
        if key in keys[:number]:
            what = f"two teachers are the same network with the same weights: {member.network.architecture.model}"
            raise EdgekdError(what, "Give the further teacher another seed, or weights of its own, in the recipe.")
    return Supervision(members)


def _trained(run: Run, architecture: Architecture, seed: int, settings: Training, data: Dataset) -> Network:
    inputs = TrainingInputs(
        network=initial(run, architecture, seed, shared=True),
        settings=settings,
        data=data,
        seed=seed,
        frozen=_stays_frozen(run, architecture, seed),
        ranks=ranks.count(),
    )
    return run.stage("teacher", inputs, train_network, shared=True, if_found="teacher: already trained, reused")


def _stays_frozen(run: Run, architecture: Architecture, seed: int) -> int:
    """How many parameters stay frozen, as loaded by the model; all train if it froze random ones."""
    model = networks.untrained(architecture, seed)
    if not (count := frozen(model)):
        return 0
    if frozen_at_random(model, networks.untrained(architecture, seed + 1)):
        run.progress.note(f"teacher: training all parameters: the model froze {count:,} at random values")
        return 0
    run.progress.note(f"teacher: {count:,} parameters stay frozen, as loaded by the model")
    return count
