"""The test set, read once through every artifact: how many images each has right, and of which classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekd.deploy.feeding import Array
from edgekd.deploy.outputs import NO_CLASS, Runner, answers, counted, without_class
from edgekd.devices._base import Device
from edgekd.devices.device import or_this_machine
from edgekd.pipeline.deployment import Deployment
from edgekd.run import Workspace
from edgekd.values import Accuracy, Artifact, Value
from edgekd.values.classes import ByClass


class Tested(Value):
    """What was found on the test set, in the order of the artifacts."""

    accuracies: tuple[Accuracy, ...]
    classes: tuple[ByClass, ...] = ()
    """Beside the first artifact, the reference; empty where an earlier version read the test set."""


@dataclass(frozen=True)
class Testing:
    """All that decides what is found on the test set."""

    artifacts: tuple[Artifact, ...]
    """The reference first."""
    how: Deployment
    dataset: str
    """What the images are called."""
    made_with: Mapping[str, str | None]
    device: Device | None


def test_stage(inputs: Testing, at: Workspace) -> Tested:
    """Read the test set through every artifact, run by the device, or by this machine where there is none."""
    how, found = inputs.how, []
    with or_this_machine(inputs.device, at.progress.note) as device:
        runners = [Runner(device, artifact, how.feeding) for artifact in inputs.artifacts]
        for done, (artifact, runner) in enumerate(zip(inputs.artifacts, runners, strict=True)):
            at.progress.advance(done, len(runners), f"reading it through {artifact.name}")
            found.append(answers(runner, how.data.test))
            if why := without_class(found[-1]):
                at.progress.warn(f"{artifact.name} {why} of the test set, which count as wrong")
    return Tested(
        accuracies=tuple(counted(each, how.data, "test") for each in found),
        classes=tuple(by_class(each[0], found[0][0], each[1], len(how.data.classes)) for each in found),
    )


def by_class(given: Array, reference: Array, true: Array, classes: int) -> ByClass:
    """The answers of an artifact and of the reference, class by class.

    Args:
        given: the class that each image (N,) is taken for, or NO_CLASS.
        reference: the same by the reference.
        true: the images' classes.
        classes: how many there are.
    """
    right, first = given == true, reference == true
    wrong = ~right & (given != NO_CLASS)
    confused = np.zeros((classes, classes), np.int64)
    np.add.at(confused, (true[wrong], given[wrong]), 1)

    def count(which: Array) -> tuple[int, ...]:
        return tuple(np.bincount(true[which], minlength=classes).tolist())

    return ByClass(
        images=count(np.ones_like(right)),
        correct=count(right),
        lost=count(first & ~right),
        gained=count(right & ~first),
        taken_for=tuple(int(row.argmax()) if row.any() else None for row in confused),
    )
