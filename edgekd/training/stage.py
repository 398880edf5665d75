"""Training as a stage: trains a stored network with labels or teachers."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from edgekd import catalog
from edgekd.data.dataset import Dataset
from edgekd.data.fixed_images import sample_images
from edgekd.errors import EdgekdError
from edgekd.run import Workspace
from edgekd.store import remembered
from edgekd.training import ranks
from edgekd.training.device import on_threads, place, training_device
from edgekd.training.engine import train
from edgekd.training.evaluate import Score, evaluate
from edgekd.training.execution import choose_execution
from edgekd.training.history import Trained
from edgekd.training.int8 import Rounded, rounded
from edgekd.training.objective import build_objective
from edgekd.training.schedule import Part
from edgekd.training.setup import Means, Setup
from edgekd.training.supervision import Supervision
from edgekd.training.trackers._base import TRACKERS, Tracker
from edgekd.training.tracking import Attended
from edgekd.values import Accuracy, Recovery, Training, document
from edgekd.values.losses import LABELS_ALONE
from edgekd.values.network import Network, Origin
from edgekd.values.rounding import Rounding
from edgekd.values.training import EpochRecord, Execution, TrainingRecord
from edgekd.zoo import networks
from edgekd.zoo.frozen import unfreeze

OUTPUTS = "teacher-outputs"
"""The folder of the teachers' outputs, in the cache that all runs share."""


@dataclass(frozen=True)
class Simulation:
    """How a training simulates INT8."""

    images: int
    """Number of training images for the initial ranges of activations."""
    rounding: Rounding
    learned: bool
    """Whether ranges are learned; else they are observed."""


@dataclass(frozen=True)
class TrainingInputs:
    """Everything that determines the result of a training."""

    network: Network
    """The initial network; single weights that were pruned stay zero."""
    settings: Training
    """A `Recovery` has its losses and learning rate decided; other settings train with labels only."""
    data: Dataset
    seed: int
    """Of views, dropout, and the losses' projections."""
    supervision: Supervision | None = None
    int8: Simulation | None = None
    """None: INT8 isn't simulated."""
    frozen: int = 0
    """Number of parameters frozen by the model's factory; 0: none, or they are trained too."""
    ranks: int = 1
    """Processes that share each batch."""
    part: Part | None = None
    """None: all epochs of the settings."""


def train_network(inputs: TrainingInputs, at: Workspace) -> Network:
    """The network with the weights of its best epoch; resumes from a checkpoint that is there.

    Raises:
        EdgekdError: as `engine.train`, and `build_objective` where the losses can't take these networks.
    """
    at.resources.close()  # the training needs the memory
    with ranks.together(train_network, inputs, at.cache):
        return _trained(inputs, at)


def _trained(inputs: TrainingInputs, at: Workspace) -> Network:
    setup, checkpoint = loaded(inputs, at), at.folder / "checkpoint.pt"
    with _rounding(inputs, setup) as int8, _tracked(inputs, at) as tracker:
        execution = _execution(setup, at)
        timed = ": the fastest timed here" if execution.images_per_second else ""
        at.progress.note(f"training in {execution.precision}, {execution.memory_format}{timed}")
        trained = train(setup, execution, Means(checkpoint, at.progress, at.cache / OUTPUTS, tracker))
        ranges = int8.ranges() if int8 else {}
    saved = saved_from(inputs.network, setup.model, at, taught=setup.teacher is not None)
    score = trained.validation if inputs.int8 else _in_fp32(setup, trained, execution)
    found = _with_record(saved, inputs.data, trained, score, execution).model_copy(update={"ranges": ranges})
    # not before all that may fail or be interrupted: without it the training would begin again
    checkpoint.unlink(missing_ok=True)
    return found


def loaded(inputs: TrainingInputs, at: Workspace) -> Setup:
    """The networks and their objective, with the teacher if a loss needs one; raises as `build_objective`."""
    model = networks.load(inputs.network)
    if not inputs.frozen and (count := unfreeze(model)) and inputs.supervision:
        at.progress.note(f"student: training all parameters, including {count:,} that the model's factory froze")
    teacher = inputs.supervision.load() if inputs.supervision else None
    losses = LABELS_ALONE
    if isinstance(inputs.settings, Recovery):
        assert inputs.settings.losses is not None, "chosen before the training"
        losses = inputs.settings.losses
    kept = inputs.supervision.kept if inputs.supervision else None
    images = two_images(inputs.data.train.shape)
    objective = build_objective(losses, model, teacher, images, kept=kept, seed=inputs.seed)
    needed = teacher if objective.needs_teacher else None
    zeros, part = inputs.network.sparse, inputs.part
    return Setup(model, objective, inputs.data, inputs.settings, inputs.seed, needed, keep_zeros=zeros, part=part)


def saved_from(start: Network, model: nn.Module, at: Workspace, *, taught: bool) -> Network:
    """What a training made of a network that it began with, whose layers it left as they are."""
    origin: Origin = "distilled" if taught else "trained"
    path, definition = at.folder / "weights.safetensors", start.definition
    return networks.save(model, path, start.architecture, origin=origin, definition=definition, sparse=start.sparse)


def time_execution(inputs: TrainingInputs, at: Workspace) -> Execution:
    """The fastest way to train these networks on this machine, as a stage; raises as `choose_execution`."""
    return choose_execution(loaded(inputs, at))


def as_named(network: Network, data: Dataset) -> Network:
    """The network with the data set's current name in its accuracy: the same images can have several names."""
    assert network.accuracy is not None
    return network.model_copy(update={"accuracy": network.accuracy.model_copy(update={"dataset": data.name})})


def two_images(shape: tuple[int, int, int]) -> Tensor:
    """What losses are built with: two images (2, C, H, W)."""
    return torch.zeros(2, *shape)


def _rounding(inputs: TrainingInputs, setup: Setup) -> AbstractContextManager[Rounded | None]:
    if inputs.int8 is None:
        return nullcontext()
    images = torch.from_numpy(sample_images(inputs.data.train, inputs.int8.images))
    return rounded(setup.model, images, inputs.int8.rounding, learned=inputs.int8.learned)


@contextmanager
def _tracked(inputs: TrainingInputs, at: Workspace) -> Iterator[Tracker | None]:
    """The tracker of this training, if one was asked for."""
    if at.tracker is None:
        yield None
        return
    name = at.folder.name.strip(".").removesuffix(".partial")
    model = inputs.network.architecture.model
    stated = {**document(inputs.settings), "model": model, "data": inputs.data.name, "seed": inputs.seed}
    tracker = Attended(catalog.load(TRACKERS, at.tracker).begin(at.tracked, name, stated), at.tracker, at.progress)
    try:
        yield tracker
    finally:
        tracker.close()


def _execution(setup: Setup, at: Workspace) -> Execution:
    """How to train: as it was decided when this training began, by rank 0. All ranks raise what that raises."""

    def choose() -> Execution:
        at.progress.note("timing ways to train it on this machine")
        return choose_execution(setup)

    decided: Execution | EdgekdError = Execution()
    if ranks.is_main():
        try:
            decided = remembered(at.folder / "execution.json", Execution, choose)
        except EdgekdError as e:
            decided = e
    decided = ranks.broadcast(decided)
    if isinstance(decided, EdgekdError):
        raise decided
    return decided


def _in_fp32(setup: Setup, trained: Trained, execution: Execution) -> Score:
    """The validation score in the arithmetic of every other network's, whatever the epochs were evaluated in."""
    if execution.precision == "fp32" or not ranks.is_main():
        return trained.validation
    device = training_device()
    place(setup.model, Execution(), device)
    with on_threads(execution.threads):
        score = evaluate(setup.model, setup.data.val)
    place(setup.model, Execution(), torch.device("cpu"))
    return score


def _with_record(network: Network, data: Dataset, trained: Trained, score: Score, execution: Execution) -> Network:
    record = TrainingRecord(
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        seconds=trained.seconds,
        images_per_second=trained.images_per_second,
        learning_rate=trained.learning_rate,
        features_alone=trained.features_alone,
        execution=execution,
        history=(_epochs(trained),),
    )
    accuracy = Accuracy(correct=score.correct, images=score.images, dataset=data.name, split="val")
    return network.model_copy(update={"accuracy": accuracy, "training": record})


def _epochs(trained: Trained) -> tuple[EpochRecord, ...]:
    return tuple(
        EpochRecord(
            loss=epoch.loss,
            validation=epoch.validation.top1,
            learning_rate=epoch.learning_rate,
            kept=number == trained.best_epoch,
        )
        for number, epoch in enumerate(trained.history, 1)
    )
