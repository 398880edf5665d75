"""What the steps that train have in common."""

from dataclasses import replace

from edgekd.pruning.kept import channels_kept
from edgekd.steps._task import State, Task
from edgekd.training import ranks
from edgekd.training.stage import TrainingInputs, as_named, train_network, two_images
from edgekd.training.supervision import Supervision
from edgekd.values import PositiveInt, Recovery, Value
from edgekd.values.network import Network
from edgekd.values.value import Positive
from edgekd.zoo import networks
from edgekd.zoo.definition import Definition


class TrainingSettings(Value):
    """What a step may state of its training; what it doesn't is the recipe's [recover]."""

    epochs: PositiveInt | None = None
    learning_rate: Positive | None = None


def stated_over(recover: Recovery, settings: TrainingSettings) -> Recovery:
    """The recipe's [recover] with what the step states in its place."""
    return recover.model_copy(update=dict(settings.model_dump(exclude_none=True)))


def train(settings: Recovery, state: State, task: Task) -> State:
    """The network trained; its record counts the seconds of all trainings before, too."""
    network, run = state.network, task.run
    inputs = TrainingInputs(
        network=network,
        settings=settings,
        data=task.data,
        seed=task.seed,
        supervision=_with_kept(task.supervision, network, settings),
        rounds_on=task.calibration_images if state.quantised else None,
        ranks=ranks.count(),
    )
    run.progress.stage("recover", f"training the student ({network.cost.parameters:,} parameters)")
    trained = as_named(run.stage("recover", inputs, train_network), task.data)
    assert trained.training is not None
    assert trained.accuracy is not None
    told = f"validation accuracy {trained.accuracy.top1:.2%}, {trained.cost.parameters:,} parameters"
    run.progress.note(f"student: {told}")
    seconds = state.seconds + trained.training.seconds
    record = trained.training.model_copy(update={"seconds": seconds})
    return replace(state, network=trained.model_copy(update={"training": record}), seconds=seconds)


def _with_kept(supervision: Supervision, network: Network, settings: Recovery) -> Supervision:
    """The supervision with what of the first teacher the network kept, where a loss asks for it."""
    if network.definition is None or "kept_channels" not in settings.losses:
        return supervision
    original = networks.untrained(network.architecture, 0).eval()
    example = two_images(network.architecture.shape)[:1]
    return replace(supervision, kept=channels_kept(original, example, Definition.read(network.definition.path)))
