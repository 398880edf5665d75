"""Shared code of the steps that train."""

from dataclasses import replace

from edgekd.pruning.kept import channels_kept
from edgekd.steps._task import State, Task
from edgekd.training import ranks
from edgekd.training.race import Raced, decided, race, rounds
from edgekd.training.rate import restart_rate
from edgekd.training.stage import TrainingInputs, as_named, train_network, two_images
from edgekd.training.supervision import Supervision
from edgekd.values import PositiveInt, Recovery, Value
from edgekd.values.defaults import training_for
from edgekd.values.losses import HALF_AND_HALF
from edgekd.values.network import Network
from edgekd.values.race import TrainedBy
from edgekd.values.result import Brought
from edgekd.values.training import TrainingRecord
from edgekd.values.value import Positive
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition


class TrainingSettings(Value):
    """A step's training settings; missing ones are taken from the recipe's [recover]."""

    epochs: PositiveInt | None = None
    learning_rate: Positive | None = None


def stated_over(recover: Recovery, settings: TrainingSettings) -> Recovery:
    """The recipe's [recover], overridden by the step's settings."""
    return recover.model_copy(update=dict(settings.model_dump(exclude_none=True)))


def train(settings: Recovery, state: State, task: Task, step: str) -> State:
    """Train the network; its record includes all previous trainings. Weights that classify fewer validation images
    correctly than those before the training don't take their place.

    Args:
        settings: of the training.
        state: the network, and how INT8 is simulated.
        task: the data.
        step: the name of the recipe's step.
    """
    network, run = state.network, task.run
    inputs = TrainingInputs(
        network=network,
        settings=settings,
        data=task.data,
        seed=task.seed,
        supervision=_with_kept(task.supervision, network, settings),
        int8=state.int8,
        ranks=ranks.count(),
    )
    run.progress.stage("recover", f"training the student ({network.cost.parameters:,} parameters)")
    raced = _decided(inputs, settings, state.cut or network, task)
    trained = run.stage("recover", raced.inputs, train_network)
    trained = as_named(trained.called(network.architecture), task.data)
    assert trained.training is not None
    assert trained.accuracy is not None
    score = f"validation accuracy {trained.accuracy.top1:.2%}, {trained.cost.parameters:,} parameters"
    run.progress.note(f"student: {score}")
    better = not _is_worse(trained, state)
    if not better:
        run.progress.note(_KEPT)
    record = _added(trained.training if better else _without_result(trained.training), raced.by, state.record)
    epochs = f"{record.epochs} epoch{'s' if record.epochs != 1 else ''}"
    what = f"{epochs} with simulated INT8" if state.int8 else epochs
    restarted = f", restarted at {record.learning_rate:g} with clipped gradients" if record.learning_rate else ""
    note = f"{raced.by.told()}{restarted}"
    brought = Brought(step=step, what=what, accuracy=trained.accuracy, kept=better, note=note)
    return replace(
        state,
        network=(trained if better else network).model_copy(update={"training": record}),
        record=record,
        cut=None if better else state.cut,
        brought=(*state.brought, brought),
    )


_KEPT = (
    "student: the weights before this training are more accurate, and are kept: train for more epochs, or state a "
    "lower learning_rate"
)


def _is_worse(trained: Network, state: State) -> bool:
    """Whether a training made its network less accurate, where that can be told and matters: rounding costs accuracy as
    well, the accuracy says nothing of features alone, and what is pruned later needn't be the most accurate now.
    """
    before, after, record = state.network.accuracy, trained.accuracy, trained.training
    if before is None or state.int8 is not None or state.prunes_later or record is None or record.features_alone:
        return False
    assert after is not None
    return after.correct < before.correct


def _without_result(record: TrainingRecord) -> TrainingRecord:
    """The record of a training whose weights aren't kept."""
    history = tuple(tuple(epoch.model_copy(update={"kept": False}) for epoch in epochs) for epochs in record.history)
    return record.model_copy(update={"best_epoch": 0, "history": history})


def _added(record: TrainingRecord, by: TrainedBy, before: TrainingRecord | None) -> TrainingRecord:
    """The record of a training with all those before it in its seconds, its losses and its history."""
    seconds = record.seconds + (by.race.seconds if by.race else 0.0)
    by = by.model_copy(update={"kept": record.best_epoch > 0})
    so_far = {"seconds": seconds, "trained_by": (by,)}
    if before:
        so_far = {
            "seconds": before.seconds + seconds,
            "trained_by": (*before.trained_by, by),
            "history": (*before.history, *record.history),
        }
    return record.model_copy(update=so_far)


def _decided(inputs: TrainingInputs, settings: Recovery, cut: Network, task: Task) -> Raced:
    """The training with its losses and its learning rate: stated, or found by a race, or the defaults. `cut` is the
    network before its repair: what was removed of the original.
    """
    shape = (len(task.data.train), *task.data.train.shape)
    epochs = training_for(settings, shape).epochs
    assert epochs is not None
    original = task.supervision.teachers[0].network
    rate = settings.learning_rate or restart_rate(cut, original, epochs, training_for(task.teacher, shape))
    why = _no_race(inputs, settings)
    if not why and (found := rounds(settings, task.data)):
        return race(task.run, inputs, found, rate)
    by = TrainedBy(losses=settings.losses or HALF_AND_HALF, learning_rate=rate)
    if settings.losses is None or settings.learning_rate is None:
        asked = f"no race of losses, {why or 'the training is too short'}" if settings.race else "recover"
        task.run.progress.note(f"{asked}: {by.told()}")
    return Raced(decided(inputs, by.losses, rate), by)


def _no_race(inputs: TrainingInputs, settings: Recovery) -> str:
    """Why there is none, whatever the number of steps; empty if there may be one."""
    if inputs.int8 is not None:
        return "INT8 is simulated"
    if settings.losses is not None or settings.learning_rate is not None:
        return "losses or the learning rate are stated"
    return "" if settings.race else "none is asked for"


def _with_kept(supervision: Supervision, network: Network, settings: Recovery) -> Supervision:
    """Adds the first teacher's kept channels to the supervision, if a loss needs them."""
    if network.definition is None or "kept_channels" not in (settings.losses or {}):
        return supervision
    original = networks.untrained(network.architecture, 0).eval()
    example = two_images(network.architecture.shape)[:1]
    return replace(supervision, kept=channels_kept(original, example, Definition.read(network.definition.path)))
