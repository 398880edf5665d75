"""The verdict of a run: what was chosen is measured once more, by the same gate as `check`.

The samples that an artifact was chosen by favour it, so they don't judge it. A verdict is kept like the result of any
stage; an invalid one isn't, so that the next start measures again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekd.files import sha256
from edgekd.gate.budget import Budget
from edgekd.gate.gate import Accuracies, gate
from edgekd.gate.judge import Judged
from edgekd.measuring.document import read_measurement, write
from edgekd.pipeline.goal import Goal
from edgekd.pipeline.measuring import TargetDevice
from edgekd.progress import Progress
from edgekd.run import Run, Workspace
from edgekd.values import Artifact, DeviceRuntime, File, MeasuringProtocol, Value, Verdict

_FILES = ("model.json", "reference.json")


class Kept(Value):
    """A verdict, and the measurements that it was reached on as documents: the choice's and the reference's."""

    verdict: Verdict
    documents: tuple[File, ...]


@dataclass(frozen=True)
class Inputs:
    """All that decides a verdict."""

    budget: Budget
    choice: Artifact
    reference: Artifact
    accuracies: Accuracies
    protocol: MeasuringProtocol
    on: TargetDevice
    runtimes: Mapping[str, DeviceRuntime | None]
    """Those of the artifacts, as the device has them."""


class _InvalidError(Exception):
    """Carries an invalid verdict past the store."""

    def __init__(self, judged: Judged) -> None:
        super().__init__(judged.verdict.status)
        self.judged = judged


def judged(run: Run, goal: Goal, choice: Artifact, reference: Artifact, accuracies: Accuracies) -> Judged:
    """The verdict on the choice beside the reference, on the goal's device if there is one.

    Args:
        run: keeps it.
        goal: the budget, and where it is judged.
        choice: with the path of its file.
        reference: with the path of its file.
        accuracies: the choice's and the reference's on the test set.

    Raises:
        EdgekdError: as `gate`.
    """
    if goal.device is None:
        return gate(
            goal.budget,
            choice,
            reference,
            None,
            target=goal.target,
            protocol=goal.protocol,
            accuracies=accuracies,
            progress=run.progress,
        )
    run.progress.stage("verdict", f"measuring {choice.name} beside {reference.name}, until every limit is decided")
    inputs = Inputs(
        budget=goal.budget,
        choice=choice,
        reference=reference,
        accuracies=accuracies,
        protocol=goal.protocol,
        on=TargetDevice(goal.device, goal.target),
        runtimes={one.runtime: goal.device.facts.runtimes.get(one.runtime) for one in (choice, reference)},
    )
    try:
        kept = run.stage("verdict", inputs, judge_stage)
    except _InvalidError as e:
        return e.judged
    return Judged(kept.verdict, *(read_measurement(document.path) for document in kept.documents))


def judge_stage(inputs: Inputs, at: Workspace) -> Kept:
    """Measure and judge; raises as `judged`."""
    found = _asked(inputs, at.progress)
    if found.verdict.status == "invalid":
        raise _InvalidError(found)
    return Kept(verdict=found.verdict, documents=_written(found, at.folder))


def _asked(inputs: Inputs, progress: Progress) -> Judged:
    return gate(
        inputs.budget,
        inputs.choice,
        inputs.reference,
        inputs.on.device,
        target=inputs.on.target,
        protocol=inputs.protocol,
        accuracies=inputs.accuracies,
        explained=True,
        progress=progress,
    )


def take_away(found: Judged, root: Path) -> dict[str, str]:
    """Write the samples that a verdict was reached on below the run directory; their paths there, by what they are."""
    return {
        f"measurement of the verdict's {Path(file.path).stem}": f"verdict/{file.path.name}"
        for file in _written(found, root / "verdict")
    }


def _written(found: Judged, folder: Path) -> tuple[File, ...]:
    measurements = [m for m in (found.measurement, found.baseline) if m]
    paths = [folder / name for name, _ in zip(_FILES, measurements, strict=False)]
    for path, measurement in zip(paths, measurements, strict=True):
        write(path, measurement)
    return tuple(File(path=path, sha256=sha256(path)) for path in paths)
