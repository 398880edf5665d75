"""A pilot: a short training that shows what its losses and its learning rate would make of a network."""

import math
import time
from dataclasses import dataclass

import torch

from edgekd.data.fixed_images import sample_images
from edgekd.run import Workspace
from edgekd.training import ranks
from edgekd.training.device import on_threads, place, place_images
from edgekd.training.divergence import DivergedError
from edgekd.training.epoch import learn
from edgekd.training.evaluate import Judged, judge
from edgekd.training.prepare import Run, prepared
from edgekd.training.setup import Means
from edgekd.training.stage import OUTPUTS, TrainingInputs, loaded, saved_from
from edgekd.values import Value
from edgekd.values.network import Network
from edgekd.values.training import Execution
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
    """Of training; until it diverged, where it did."""
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
    with ranks.together(train_pilot, inputs, at.cache):
        return _piloted(inputs, at)


def _piloted(inputs: PilotInputs, at: Workspace) -> Piloted:
    means = Means(at.folder / "none.pt", at.progress, at.cache / OUTPUTS)
    run = prepared(loaded(inputs.training, at), inputs.execution, means)
    start = time.perf_counter()
    try:
        with on_threads(inputs.execution.threads):
            seconds = sum(learn(run, epoch)[1] for epoch in range(1, run.schedule.epochs + 1))
            _recalibrate(run)
            judged = judge(run.evaluated, run.setup.data.val, inputs.execution)
    except DivergedError as e:
        return Piloted(why=e.message, seconds=time.perf_counter() - start)
    if not math.isfinite(judged.loss):
        return Piloted(why="its outputs are no longer finite", seconds=seconds)
    place(run.evaluated, Execution(), torch.device("cpu"))
    network = saved_from(inputs.training.network, run.evaluated, at, taught=run.teacher is not None)
    return Piloted(network=network, judged=judged, seconds=seconds)


def _recalibrate(run: Run) -> None:
    """Give the batch norms the statistics of the averaged weights: in few steps at a high learning rate, running ones
    fall so far behind that a good network seems to only guess.
    """
    if norms(run.evaluated):
        first = torch.from_numpy(sample_images(run.setup.data.train, 1))
        count = images_for(run.evaluated, place_images(first, run.learner.execution, run.learner.device), _IMAGES)
        images = torch.from_numpy(sample_images(run.setup.data.train, count))
        recalibrated(run.evaluated, place_images(images, run.learner.execution, run.learner.device))
