"""Runs the steps of a recipe in order."""

from collections.abc import Sequence

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.training.evaluate import evaluate
from edgekd.values import Accuracy
from edgekd.values.network import Network
from edgekd.zoo import networks


def run_steps(steps: Sequence[Stated], network: Network, task: Task) -> Network:
    """The student: the network after all steps, evaluated on the validation images; raises like the steps."""
    state = State(network)
    for step in steps:
        state = step.module.run(step.settings, state, task)
    return state.network if state.network.accuracy else _evaluated(state.network, task)


def _evaluated(network: Network, task: Task) -> Network:
    """A network whose last step didn't train."""
    score = evaluate(networks.load(network), task.data.val)
    accuracy = Accuracy(correct=score.correct, images=score.images, dataset=task.data.name, split="val")
    return network.model_copy(update={"accuracy": accuracy})
