"""The training engine: trains a model with labels, a teacher, or both, and any losses of `training.losses`."""

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from edgekd.data.dataset import Dataset
from edgekd.data.identity import identity as data_identity
from edgekd.errors import EdgekdError, UnsupportedModelError
from edgekd.progress import Progress
from edgekd.store import fingerprint
from edgekd.training import ranks
from edgekd.training.average import averaged
from edgekd.training.cache import MOST_BYTES, TeacherCache, open_cache
from edgekd.training.checkpoint import State, read_state, write_state
from edgekd.training.epoch import DivergedError, Epoch, Part, Run, train_epoch
from edgekd.training.evaluate import Score
from edgekd.training.forward import logits
from edgekd.training.objective import Objective
from edgekd.training.step import learner, on_threads, place, place_images
from edgekd.training.teacher import frozen
from edgekd.training.trackers._base import Tracker
from edgekd.values import Recovery, Training, Value, document
from edgekd.values.defaults import training_for
from edgekd.values.training import Execution
from edgekd.zoo.identity import digest, identity

_SHOWN_DIGITS = 16
_LOWER, _CLIP = 10, 1.0
"""The retry's divisor of the learning rate, and its gradient norm limit. torchvision's squeezenet1_1, which has no
normalisation, diverged at 0.1, and after more steps at 0.01; with clipping it converged.
"""


class Trained(Value):
    """The history of a training."""

    history: tuple[Epoch, ...]
    features_alone: bool = False
    """Whether only features were trained, so that the validation accuracy doesn't show progress."""
    learning_rate: float | None = None
    """The reduced peak learning rate if the training diverged at the configured one; gradients were then clipped."""

    @property
    def epochs(self) -> int:
        """Epochs run."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, with the most correct validation images; the last one of several, or the last epoch if
        only features were trained.
        """
        if self.features_alone:
            return self.epochs
        return max(range(1, self.epochs + 1), key=lambda epoch: (self.history[epoch - 1].validation.correct, epoch))

    @property
    def validation(self) -> Score:
        """The validation score of the best epoch."""
        return self.history[self.best_epoch - 1].validation

    @property
    def seconds(self) -> float:
        """Training time of all epochs, without validation."""
        return sum(e.seconds for e in self.history)

    @property
    def images_per_second(self) -> float:
        """Training images per second over all epochs."""
        return sum(e.images for e in self.history) / max(1e-9, self.seconds)


def train(
    model: nn.Module,
    data: Dataset,
    settings: Training,
    *,
    seed: int,
    execution: Execution,
    objective: Objective,
    teacher: nn.Module | None = None,
    cache: Path | None = None,
    keep_zeros: bool = False,
    checkpoint: Path,
    progress: Progress,
    tracker: Tracker | None = None,
    part: Part | None = None,
) -> Trained:
    """Train the model in place on `data.train`. Afterwards it is on the CPU, in evaluation mode, with the weights of
    the epoch with the best accuracy on `data.val`. `data.test` isn't read. Of a `Recovery`, the weights are averaged
    over the last steps (`training.average`); the averaged ones are evaluated and kept.

    If the training diverges, it is restarted once at a tenth of the learning rate with clipped gradients.

    Processes joined by `ranks.joined` each train on their part of every batch; rank 0 writes.

    After every epoch the file `checkpoint` is replaced. Called again with the same arguments, an interrupted training
    resumes after its last complete epoch and, on the same machine, yields bit-identical weights; a finished one returns
    its result immediately. A checkpoint of other arguments is overwritten. Every random number is a function of seed
    and epoch.

    Args:
        model: maps images (B, C, H, W) to logits (B, classes).
        data: normalised images; each epoch sees a new augmented view, the same for teacher and model.
        settings: training settings; missing ones are filled in by `values.defaults.training_for`.
        seed: seed of views and dropout; the model's initial weights are the caller's.
        execution: the result of `execution.choose_execution`.
        objective: the objective built for these networks; its projections are trained too.
        teacher: the teacher; it isn't changed.
        cache: a folder that caches the teacher's outputs for other students with the same views.
        keep_zeros: whether zero weights of convolutions and linear layers stay zero, because they were pruned.
        checkpoint: the checkpoint file.
        progress: receives the number of images done, over all epochs.
        tracker: receives the values of every epoch.
        part: trains for its steps in place of the settings' epochs.

    Raises:
        UnsupportedModelError: the output isn't one logit per class of the data.
        DivergedError: the loss is no longer finite, or gradients vanished, at the lower learning rate as well.
        StorageError: the checkpoint can't be written.
    """
    run = prepared(
        model,
        data,
        settings,
        seed=seed,
        execution=execution,
        objective=objective,
        teacher=teacher,
        cache=cache,
        keep_zeros=keep_zeros,
        checkpoint=checkpoint,
        progress=progress,
        part=part,
    )
    with on_threads(execution.threads):
        history, lowered = _train_with_retry(replace(run, tracker=tracker), _key(run, teacher))
    place(model, Execution(), torch.device("cpu")).eval()
    return Trained(history=tuple(history), features_alone=objective.features_alone, learning_rate=lowered)


def prepared(
    model: nn.Module,
    data: Dataset,
    settings: Training,
    *,
    seed: int,
    execution: Execution,
    objective: Objective,
    teacher: nn.Module | None,
    cache: Path | None,
    keep_zeros: bool,
    checkpoint: Path,
    progress: Progress,
    part: Part | None,
) -> Run:
    """Everything that the epochs of a training need; arguments and errors as in `train`."""
    settings = training_for(settings, (len(data.train), *data.train.shape))
    assert settings.batch_size is not None
    _require_equal_parts(settings.batch_size)
    student = learner(model, objective, settings, execution, keep_zeros=keep_zeros)
    images, _ = next(iter(data.val.batches(settings.batch_size)))
    _require_classes(model, place_images(images, execution, student.device), data)
    student = replace(student, loss=ranks.parallel(student.loss))
    run = Run(student, None, data, settings, seed, checkpoint, progress, part=part)
    if isinstance(settings, Recovery):
        run = replace(run, average=averaged(model, run.all_steps))
    return _with_teacher(run, teacher, images, cache)


def _with_teacher(run: Run, teacher: nn.Module | None, images: Tensor, cache: Path | None) -> Run:
    """Adds the prepared teacher, if any, and the cache of its outputs if they are logits."""
    if teacher is None:
        return run
    learner = run.learner
    features = learner.objective.teacher_taps is not None
    prepared = frozen(teacher, images, learner.execution, learner.device, whole=features)
    kept = None if features or cache is None else _cache(cache, run, teacher)
    return replace(run, teacher=prepared, cache=kept)


def _train_with_retry(run: Run, key: str) -> tuple[list[Epoch], float | None]:
    """Train at the configured learning rate; if that diverges, or did before, at a lower one with clipped gradients.
    Returns the lower learning rate as well.
    """
    first, rate = copy.deepcopy(_now(run, key)), run.rate / _LOWER
    slower = run.settings.model_copy(update={"learning_rate": rate})
    careful = replace(run, settings=slower, learner=replace(run.learner, clip=_CLIP))
    careful_key = f"{key}, at {rate:g}"
    if ranks.broadcast(read_state(run.checkpoint, careful_key) is not None):
        return _finish(careful, _begin(careful, careful_key)), rate
    try:
        return _finish(run, _begin(run, key)), None
    except DivergedError as e:
        again = f"restarting at a tenth of that, at most {rate:g}, with gradients clipped to a norm of {_CLIP:g}"
        run.progress.note(f"{e.message}: {again}")
    if ranks.is_main():
        run.checkpoint.unlink(missing_ok=True)
    _restore(run, first)
    return _finish(careful, replace(first, key=careful_key)), rate


def _key(run: Run, teacher: nn.Module | None) -> str:
    """The key of a training: everything that determines the trained weights, before the first step."""
    learner = run.learner
    return fingerprint(
        {
            "model": _network(run, learner.model),
            "teacher": _network(run, teacher) if teacher is not None else None,
            "data": data_identity(run.data),
            "settings": run.settings,
            "seed": run.seed,
            "execution": learner.execution.model_copy(update={"images_per_second": {}}),
            "objective": [repr(learner.objective), digest(learner.objective)],
            "device": learner.device.type,
            "keep_zeros": len(learner.zeros),
            "processes": ranks.count(),
            "part": vars(run.part) if run.part else None,
        }
    )


def _network(run: Run, model: nn.Module) -> list[str]:
    """The identity of a network's computation and the digest of its weights."""
    return [identity(model, run.data.train.shape), digest(model)]


def _require_equal_parts(batch_size: int) -> None:
    if batch_size % ranks.count():
        what = f"a batch of {batch_size} images can't be divided equally among {ranks.count()} processes"
        raise EdgekdError(what, "Set batch_size to a multiple of --nproc-per-node.")


def _cache(folder: Path, run: Run, teacher: nn.Module) -> TeacherCache | None:
    """The cache of this teacher's outputs for these views, below `folder`; None if it would be too large."""
    if 4 * len(run.data.classes) * run.images(run.epochs) > MOST_BYTES:
        run.progress.note(f"the teacher's outputs are not cached: they need more than {MOST_BYTES / 1e9:g} GB")
        return None
    made_by = {
        "teacher": _network(run, teacher),
        "data": data_identity(run.data),
        "seed": run.seed,
        "images": [len(run.data.train), run.batch_size, ranks.number(), ranks.count()],
        "precision": run.learner.execution.teacher_precision,
        "device": run.learner.device.type,
    }
    return open_cache(folder / fingerprint(made_by)[:_SHOWN_DIGITS], made_by)


def _require_classes(model: nn.Module, images: Tensor, data: Dataset) -> None:
    model.eval()
    with torch.inference_mode():
        given = logits(model, images, "fp32").shape[1]
    if given != len(data.classes):
        what = f"the model has {given} classes, {data.name} has {len(data.classes)}"
        raise UnsupportedModelError(what, f"Build the model for {len(data.classes)} classes.")


def _begin(run: Run, key: str) -> State:
    """The state to resume from: the checkpoint's, or the initial state."""
    state = ranks.broadcast(read_state(run.checkpoint, key))
    if state is None:
        if run.checkpoint.exists():
            run.progress.note(f"{run.checkpoint} belongs to another training; starting from the beginning")
        return _now(run, key)
    _restore(run, state)
    return state


def _now(run: Run, key: str) -> State:
    """The current state of the networks, without a history."""
    learner = run.learner
    parts = (learner.model, learner.optimizer, learner.objective)
    model, optimizer, objective = (part.state_dict() for part in parts)
    average = run.average.model.state_dict() if run.average else {}
    return State(key, [], model, {}, optimizer, objective, average)


def _restore(run: Run, state: State) -> None:
    run.learner.model.load_state_dict(state.model)
    run.learner.objective.load_state_dict(state.objective)
    run.learner.optimizer.load_state_dict(state.optimizer)
    if run.average:
        run.average.model.load_state_dict(state.average)


def _finish(run: Run, state: State) -> list[Epoch]:
    """Train the remaining epochs and load the best epoch's weights into the model; returns all epochs."""
    learner = run.learner
    history, best = [Epoch.model_validate(epoch) for epoch in state.history], state.best
    for epoch in range(len(history) + 1, run.epochs + 1):
        history.append(train_epoch(run, epoch, history))
        if Trained(history=tuple(history), features_alone=learner.objective.features_alone).best_epoch == epoch:
            best = copy.deepcopy(run.evaluated.state_dict())  # with the modules' versions
        if ranks.is_main():
            now = replace(_now(run, state.key), history=[document(e) for e in history], best=best)
            write_state(run.checkpoint, now)
            _track(run, epoch, history[-1])
    learner.model.load_state_dict(best)
    return history


def _track(run: Run, epoch: int, done: Epoch) -> None:
    if run.tracker:
        rate = run.learner.optimizer.param_groups[0]["lr"]
        speed = done.images / max(1e-9, done.seconds)
        values = {"loss": done.loss, "validation/top1": done.validation.top1, "learning_rate": rate}
        run.tracker.epoch(epoch, {**values, "images_per_second": speed})
