"""Shared code of the steps that train."""

from dataclasses import replace

from edgekd.pruning.kept import channels_kept
from edgekd.steps._task import State, Task
from edgekd.training import ranks
from edgekd.training.stage import TrainingInputs, as_named, train_network, two_images
from edgekd.training.supervision import Supervision
from edgekd.values import PositiveInt, Recovery, Value
from edgekd.values.network import Network
from edgekd.values.result import Brought
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
    """Train the network; its record includes the time of all previous trainings.

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
    trained = as_named(run.stage("recover", inputs, train_network), task.data)
    assert trained.training is not None
    assert trained.accuracy is not None
    score = f"validation accuracy {trained.accuracy.top1:.2%}, {trained.cost.parameters:,} parameters"
    run.progress.note(f"student: {score}")
    seconds = state.seconds + trained.training.seconds
    record = trained.training.model_copy(update={"seconds": seconds})
    epochs = f"{record.epochs} epoch{'s' if record.epochs != 1 else ''}"
    what = f"{epochs} with simulated INT8" if state.int8 else epochs
    brought = Brought(step=step, what=what, accuracy=trained.accuracy)
    network = trained.model_copy(update={"training": record})
    return replace(state, network=network, seconds=seconds, brought=(*state.brought, brought))


def _with_kept(supervision: Supervision, network: Network, settings: Recovery) -> Supervision:
    """Adds the first teacher's kept channels to the supervision, if a loss needs them."""
    if network.definition is None or "kept_channels" not in settings.losses:
        return supervision
    original = networks.untrained(network.architecture, 0).eval()
    example = two_images(network.architecture.shape)[:1]
    return replace(supervision, kept=channels_kept(original, example, Definition.read(network.definition.path)))
