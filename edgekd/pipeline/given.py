"""Weights that were trained elsewhere: loaded, evaluated, and tried with the usual normalisations."""

from dataclasses import dataclass
from pathlib import Path

from edgekd.data.dataset import Dataset
from edgekd.errors import StorageError
from edgekd.pipeline.trial import require_normalisation, try_normalisations
from edgekd.run import Run, Workspace
from edgekd.training.evaluate import evaluate
from edgekd.values import Accuracy, Architecture, File
from edgekd.values.network import Network
from edgekd.values.result import NormalisationTrial
from edgekd.zoo import networks
from edgekd.zoo.weights import load_weights

WEIGHTS = "teacher.safetensors"


@dataclass(frozen=True)
class Given:
    """A file of weights, and the architecture and images that it is for."""

    architecture: Architecture
    weights: File
    data: Dataset
    trust_checkpoint: bool
    """Whether it may be a pickle, whose code is run."""


def given_weights(path: Path) -> File:
    """The file of weights. Raises StorageError."""
    try:
        return networks.file_of(path)
    except OSError as e:
        raise StorageError(f"{path}: {e.strerror}", "Give the path of the model's weights.") from e


def load_given(run: Run, given: Given) -> Network:
    """The network with these weights, evaluated on the validation images; raises as `load_weights`."""
    return run.stage("teacher", given, _load)


def _load(given: Given, at: Workspace) -> Network:
    model = networks.untrained(given.architecture, 0)
    load_weights(model, given.weights.path, trust_checkpoint=given.trust_checkpoint, spec=given.architecture.model)
    network = networks.save(model, at.folder / WEIGHTS, given.architecture, origin="given")
    score = evaluate(model, given.data.val)
    accuracy = Accuracy(correct=score.correct, images=score.images, dataset=given.data.name, split="val")
    return network.model_copy(update={"accuracy": accuracy})


def try_given(run: Run, given: Given) -> NormalisationTrial:
    """The usual normalisations, tried with the weights.

    Raises:
        EdgekdError: one is clearly better than the one that is used.
    """
    trial = run.stage("trial", given, _try)
    require_normalisation(trial, given.architecture.model, given.data.name)
    for way in trial.tried[1:]:
        numbers = f"{way.top1:.1%} of {way.images} images are classified correctly, {trial.tried[0].top1:.1%} without"
        run.progress.note(f"teacher: normalised by {way.name}, {numbers}: not clearly more, so it isn't used")
    return trial


def _try(given: Given, at: Workspace) -> NormalisationTrial:
    # of photos it takes minutes
    at.progress.stage("teacher", "trying the usual normalisations with its weights")
    model = networks.untrained(given.architecture, 0)
    load_weights(model, given.weights.path, trust_checkpoint=given.trust_checkpoint, spec=given.architecture.model)
    return try_normalisations(given.data, model)
