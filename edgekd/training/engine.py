"""The training engine: trains a model with labels, a teacher, or both, and any losses of `training.losses`.

A training is prepared (`prepare.py`), then trained epoch by epoch (`epoch.py`), step by step (`step.py`).
"""

import copy
import time
from dataclasses import replace

import torch

from edgekd.training import ranks
from edgekd.training.checkpoint import State, begin, read_state, restore, state_of, write_state
from edgekd.training.device import on_threads, place
from edgekd.training.divergence import DivergedError, require_remembered
from edgekd.training.epoch import train_epoch
from edgekd.training.evaluate import evaluate
from edgekd.training.history import Epoch, Trained
from edgekd.training.prepare import Run, key_of, prepared
from edgekd.training.setup import Means, Setup
from edgekd.values import Recovery, document
from edgekd.values.training import Execution

_LOWER, _CLIP = 10, 1.0
"""The retry's divisor of the learning rate, and its gradient norm limit. torchvision's squeezenet1_1, which has no
normalisation, diverged at 0.1, and after more steps at 0.01; with clipping it converged.
"""


def train(setup: Setup, execution: Execution, means: Means) -> Trained:
    """Train the model in place on `data.train`. Afterwards it is on the CPU, in evaluation mode, with the weights of
    the epoch with the best accuracy on `data.val`. `data.test` isn't read. Of a `Recovery`, the weights are averaged
    over the last steps (`training.average`); the averaged ones are evaluated and kept.

    If the training diverges, or the first epoch of a `Recovery` takes more than half of what the network knew, it is
    restarted once at a tenth of the learning rate with clipped gradients.

    Processes joined by `ranks.joined` each train on their part of every batch; rank 0 writes.

    After every epoch the checkpoint is replaced. Called again with the same arguments, an interrupted training resumes
    after its last complete epoch and, on the same machine, yields bit-identical weights; a finished one returns its
    result immediately. A checkpoint of other arguments is overwritten. Every random number is a function of seed and
    epoch.

    Args:
        setup: what is trained, from what, and how.
        execution: the result of `execution.choose_execution`.
        means: the files that it writes, and who hears of it.

    Raises:
        UnsupportedModelError: the output isn't one logit per class of the data.
        DivergedError: the loss is no longer finite, or gradients vanished, at the lower learning rate as well.
        StorageError: the checkpoint can't be written.
    """
    run = prepared(setup, execution, means)
    with on_threads(execution.threads):
        trained = _train_with_retry(run, key_of(run))
    place(setup.model, Execution(), torch.device("cpu")).eval()
    return trained


def _train_with_retry(run: Run, key: str) -> Trained:
    """Train at the configured learning rate; if that diverges, or did before, at a lower one with clipped gradients."""
    first, rate = copy.deepcopy(state_of(run, key)), run.schedule.peak / _LOWER
    schedule, learner = replace(run.schedule, peak=rate), replace(run.learner, clip=_CLIP)
    careful, careful_key = replace(run, schedule=schedule, learner=learner), f"{key}, at {rate:g}"
    checkpoint = run.means.checkpoint
    if ranks.broadcast(read_state(checkpoint, careful_key) is not None):
        return _finish(careful, begin(careful, careful_key), lowered=rate)
    try:
        return _finish(run, begin(run, key), remembers=_remembers(run))
    except DivergedError as e:
        again = f"restarting at a tenth of that, at most {rate:g}, with gradients clipped to a norm of {_CLIP:g}"
        run.means.progress.warn(f"{e.message}: {again}")
        lost = e.seconds
    if ranks.is_main():
        checkpoint.unlink(missing_ok=True)
    restore(run, first)
    return _finish(careful, replace(first, key=careful_key, lost_seconds=lost), lowered=rate)


def _remembers(run: Run) -> bool:
    """Whether a training begins with what the network knows: a teacher may learn all anew, and what features alone
    learn doesn't show.
    """
    return isinstance(run.setup.settings, Recovery) and not run.learner.objective.features_alone


def _finish(run: Run, state: State, *, remembers: bool = False, lowered: float | None = None) -> Trained:
    """Train the remaining epochs and load the best epoch's weights into the model.

    Raises:
        DivergedError: with the seconds of what was trained.
    """
    learner, best = run.learner, state.best
    trained = Trained(
        history=tuple(Epoch.model_validate(epoch) for epoch in state.history),
        features_alone=learner.objective.features_alone,
        learning_rate=lowered,
        lost_seconds=state.lost_seconds,
    )
    before = (
        None
        if trained.history or not remembers
        else evaluate(run.evaluated, run.setup.data.val, execution=learner.execution)
    )
    for epoch in range(trained.epochs + 1, run.schedule.epochs + 1):
        start = time.perf_counter()
        try:
            done = train_epoch(run, epoch, trained.history)
            if before and epoch == 1:
                require_remembered(run, before, done.validation)
        except DivergedError as e:
            e.seconds = trained.seconds + time.perf_counter() - start
            raise
        trained = trained.model_copy(update={"history": (*trained.history, done)})
        if trained.best_epoch == epoch:
            best = copy.deepcopy(run.evaluated.state_dict())  # with the modules' versions
        if ranks.is_main():
            history = [document(each) for each in trained.history]
            now = replace(state_of(run, state.key), history=history, best=best, lost_seconds=state.lost_seconds)
            write_state(run.means.checkpoint, now)
            _track(run, epoch, done)
    learner.model.load_state_dict(best)
    return trained


def _track(run: Run, epoch: int, done: Epoch) -> None:
    if run.means.tracker:
        rate, speed = run.schedule.last_rate(epoch), done.images / max(1e-9, done.seconds)
        values = {"loss": done.loss, "validation/top1": done.validation.top1, "learning_rate": rate}
        run.means.tracker.epoch(epoch, {**values, "images_per_second": speed})
