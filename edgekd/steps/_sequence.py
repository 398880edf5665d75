"""Runs the steps of a recipe in order."""

from collections.abc import Sequence
from dataclasses import replace

from edgekd.steps._base import Stated
from edgekd.steps._task import State, Task
from edgekd.training.evaluated import evaluated
from edgekd.values.network import Network


def run_steps(steps: Sequence[Stated], network: Network, task: Task) -> State:
    """The student after all steps, evaluated on the validation images; raises like the steps."""
    state = State(network)
    for number, step in enumerate(steps, 1):
        state = replace(state, prunes_later=any(later.module.PRUNES for later in steps[number:]))
        state = step.module.run(step.settings, state, task)
    student = state.network if state.network.accuracy else evaluated(task.run, state.network, task.data)
    if state.record and not student.training:  # pruned since
        student = student.model_copy(update={"training": state.record})
    return replace(state, network=student)
