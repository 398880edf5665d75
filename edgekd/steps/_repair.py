"""Repairs a pruned network, and tells what it brought."""

from dataclasses import replace

from edgekd.steps._repaired import FEWEST, Attempt, Repaired, Repairing, repair_network
from edgekd.steps._task import State, Task
from edgekd.values import Accuracy
from edgekd.values.network import Network
from edgekd.values.result import Brought

_NAMED = 5


def repair(state: State, original: Network, task: Task) -> State:
    """The state with the pruned network repaired, as far as it helps; random weights have nothing to regain.

    Args:
        state: after pruning.
        original: the network that was pruned.
        task: the data.
    """
    if original.origin == "random":
        return state
    if len(task.data.train) < FEWEST:
        task.run.progress.note(f"repair: none, with {len(task.data.train)} training images; it takes {FEWEST}")
        return state
    found = task.run.stage("repaired", Repairing(state.network, original, task.data), repair_network)
    steps = tuple(_brought(attempt, found, task.data.name) for attempt in found.attempts)
    for step in steps:
        end = "" if step.kept else "; not kept"
        task.run.progress.note(f"repair: {step.what}: validation accuracy {step.accuracy.top1:.2%}, {step.note}{end}")
    accuracy = next((step.accuracy for step in reversed(steps) if step.kept), state.network.accuracy)
    network = found.network.called(state.network.architecture).model_copy(update={"accuracy": accuracy})
    return replace(state, network=network, brought=(*state.brought, *steps))


def _brought(attempt: Attempt, found: Repaired, dataset: str) -> Brought:
    what = {"recalibrated": "batch norms recalibrated", "refitted": "layers fitted to the original's by least squares"}
    before, after = (f"{loss:.3f}" if loss is not None else "not finite" for loss in (attempt.before, attempt.after))
    note = f"cross-entropy on {found.held_out:,} held-out training images {before} → {after}"
    if attempt.skipped:
        more = f" and {len(attempt.skipped) - _NAMED} more" if len(attempt.skipped) > _NAMED else ""
        note += f"; skipped, as their values aren't finite: {', '.join(attempt.skipped[:_NAMED])}{more}"
    return Brought(
        step="repair",
        what=f"{what[attempt.way]} ({found.images:,} images)",
        accuracy=Accuracy(correct=attempt.score.correct, images=attempt.score.images, dataset=dataset, split="val"),
        kept=attempt.kept,
        note=note,
    )
