"""The training engine: a model learns from labels, from a teacher, or from both, by any loss of `distill.losses`."""

from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.distill.checkpoint import State, digest, read_state, write_state
from edgekd.distill.epoch import Epoch, Run, train_epoch
from edgekd.distill.evaluate import Score
from edgekd.distill.losses._base import Loss
from edgekd.distill.step import Learner, logits, on_threads, place, place_images, sgd, training_device
from edgekd.distill.teacher import frozen
from edgekd.errors import UnsupportedModelError
from edgekd.progress import Progress
from edgekd.recipe import default_epochs
from edgekd.results import Execution
from edgekd.schema import Training, Value, document
from edgekd.store import fingerprint


class Trained(Value):
    """How a training went, epoch by epoch."""

    history: tuple[Epoch, ...]

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the most correct validation images; the later of equals."""
        return max(range(1, self.epochs + 1), key=lambda epoch: (self.history[epoch - 1].validation.correct, epoch))

    @property
    def validation(self) -> Score:
        """The validation score of the best epoch."""
        return self.history[self.best_epoch - 1].validation

    @property
    def images_per_second(self) -> float:
        """Training images a second over all epochs."""
        return sum(e.images for e in self.history) / max(1e-9, sum(e.seconds for e in self.history))


def train(
    model: nn.Module,
    data: Dataset,
    settings: Training,
    *,
    seed: int,
    execution: Execution,
    loss: Loss,
    teacher: nn.Module | None = None,
    checkpoint: Path,
    progress: Progress,
) -> Trained:
    """Train the model, in place, on `data.train`; it ends on the CPU, in evaluation mode, with the weights of the
    epoch that classified most of `data.val` correctly. `data.test` isn't read.

    After every epoch the file `checkpoint` is replaced. Called again with the same arguments, a training that was
    stopped goes on after its last whole epoch and, on the same machine, ends with the same weights bit by bit; one
    that had ended gives its result at once. A checkpoint of other arguments is overwritten. Every random number is a
    function of seed and epoch.

    Args:
        model: gives logits (B, classes) for images (B, C, H, W).
        data: its images are normalised; each epoch sees its own augmented view, the teacher the same as the model.
        settings: `epochs` of None means `recipe.default_epochs`.
        seed: of the views and of dropout; the model's own initial weights are the caller's.
        execution: as `execution.choose_execution` found.
        loss: what to minimise.
        teacher: its logits go to the loss; it isn't changed.
        checkpoint: where to keep the training's state.
        progress: told the images done of all that training sees.

    Raises:
        UnsupportedModelError: the output isn't one logit for each class of the data.
        EdgekdError: the loss is no longer finite; the last checkpoint stays.
        StorageError: the checkpoint can't be written.
    """
    settings = settings.model_copy(update={"epochs": settings.epochs or default_epochs(len(data.train))})
    device = training_device()
    images, _ = next(iter(data.val.batches(settings.batch_size)))
    place(model, execution, device)
    _require_classes(model, place_images(images, execution, device), data)
    prepared = frozen(teacher, images, execution, device) if teacher is not None else None
    learner = Learner(model, prepared, loss, sgd(model, settings), execution, device)
    run = Run(learner, data, settings, seed, checkpoint, progress)
    with on_threads(execution.threads):
        history = _finish(run, _begin(run, _key(run, teacher)))
    place(model, Execution(), torch.device("cpu")).eval()
    return Trained(history=tuple(history))


def _key(run: Run, teacher: nn.Module | None) -> str:
    """What the trained weights depend on; read before the first step."""
    learner = run.learner
    return fingerprint(
        {
            "model": digest(learner.model),
            "teacher": digest(teacher) if teacher is not None else None,
            "data": run.data.fingerprint,
            "settings": run.settings,
            "seed": run.seed,
            "execution": learner.execution.model_copy(update={"images_per_second": {}}),
            "loss": repr(learner.loss),
            "device": learner.device.type,
        }
    )


def _require_classes(model: nn.Module, images: Tensor, data: Dataset) -> None:
    model.eval()
    with torch.inference_mode():
        given = logits(model, images, "fp32").shape[1]
    if given != len(data.classes):
        what = f"the model tells {given} classes apart, {data.name} has {len(data.classes)}"
        raise UnsupportedModelError(what, f"Build the model for {len(data.classes)} classes.")


def _begin(run: Run, key: str) -> State:
    """The state to go on from: the checkpoint's, or that before the first epoch."""
    model, optimizer = run.learner.model, run.learner.optimizer
    state = read_state(run.checkpoint, key)
    if state is None:
        if run.checkpoint.exists():
            run.progress.note(f"{run.checkpoint} is of another training; starting anew")
        return State(key, history=[], model=model.state_dict(), best={}, optimizer=optimizer.state_dict())
    model.load_state_dict(state.model)
    optimizer.load_state_dict(state.optimizer)
    return state


def _finish(run: Run, state: State) -> list[Epoch]:
    """Train the epochs that are left and put the best one's weights into the model; returns all epochs."""
    learner = run.learner
    history, best = [Epoch.model_validate(epoch) for epoch in state.history], state.best
    for epoch in range(len(history) + 1, run.epochs + 1):
        history.append(train_epoch(run, epoch, history))
        if Trained(history=tuple(history)).best_epoch == epoch:
            best = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
        documents = [document(e) for e in history]
        model, optimizer = learner.model.state_dict(), learner.optimizer.state_dict()
        write_state(run.checkpoint, State(state.key, documents, model, best, optimizer))
    learner.model.load_state_dict(best)
    return history
