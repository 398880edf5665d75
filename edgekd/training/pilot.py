"""A pilot: a short training that shows what its losses and its learning rate would make of a network."""

import math
from dataclasses import dataclass

import torch

from edgekd.data.fixed_images import sample_images
from edgekd.run import Workspace
from edgekd.training import ranks
from edgekd.training.engine import prepared
from edgekd.training.epoch import DivergedError, Run, learn
from edgekd.training.evaluate import Judged, judge
from edgekd.training.stage import OUTPUTS, TrainingInputs, loaded
from edgekd.training.step import on_threads, place, place_images
from edgekd.values import Value
from edgekd.values.network import Network, Origin
from edgekd.values.training import Execution
from edgekd.zoo import networks
from edgekd.zoo.recalibration import images_for, norms, recalibrated

_IMAGES = 512
"""Training images for the statistics of batch norms."""


class Piloted(Value):
    """What a pilot came to."""

    network: Network | None = None
    """Its averaged weights; None if it diverged."""
    judged: Judged | None = None
    """On the validation images."""
    seconds: float = 0.0
    """Of training."""
    why: str = ""
    """Why it diverged."""


@dataclass(frozen=True)
class PilotInputs:
    """Everything that determines a pilot."""

    training: TrainingInputs
    """With its part."""
    execution: Execution


def train_pilot(inputs: PilotInputs, at: Workspace) -> Piloted:
    """Train for the steps of a part, as a stage. It takes a few per cent of a training, so it has no checkpoints: an
    interrupted one begins again.

    Raises:
        EdgekdError: as `engine.train`, but not if it diverges.
    """
    ranks.summon(train_pilot, inputs, at.cache)
    training = inputs.training
    model, objective, teacher = loaded(training, at)
    run = prepared(
        model,
        training.data,
        training.settings,
        seed=training.seed,
        execution=inputs.execution,
        objective=objective,
        teacher=teacher,
        cache=at.cache / OUTPUTS,
        keep_zeros=training.network.sparse,
        checkpoint=at.folder / "none.pt",
        progress=at.progress,
        part=training.part,
    )
    try:
        with on_threads(inputs.execution.threads):
            seconds = sum(learn(run, epoch)[1] for epoch in range(1, run.epochs + 1))
            _recalibrate(run)
            judged = judge(run.evaluated, run.data.val, inputs.execution)
    except DivergedError as e:
        return Piloted(why=e.message)
    if not math.isfinite(judged.loss):
        return Piloted(why="its outputs are no longer finite")
    return Piloted(network=_saved(run, training.network, at), judged=judged, seconds=seconds)


def _recalibrate(run: Run) -> None:
    """Give the batch norms the statistics of the averaged weights: in few steps at a high learning rate, running ones
    fall so far behind that a good network seems to only guess.
    """
    if norms(run.evaluated):
        first = torch.from_numpy(sample_images(run.data.train, 1))
        count = images_for(run.evaluated, place_images(first, run.learner.execution, run.learner.device), _IMAGES)
        images = torch.from_numpy(sample_images(run.data.train, count))
        recalibrated(run.evaluated, place_images(images, run.learner.execution, run.learner.device))


def _saved(run: Run, start: Network, at: Workspace) -> Network:
    """The network that the pilot made of the one that it began with."""
    origin: Origin = "trained" if run.teacher is None else "distilled"
    model = place(run.evaluated, Execution(), torch.device("cpu"))
    path = at.folder / "weights.safetensors"
    architecture, definition = start.architecture, start.definition
    return networks.save(model, path, architecture, origin=origin, definition=definition, sparse=start.sparse)
