"""Proof: an artifact is the network, and computes in integers if it claims to, by the runtime that runs it."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from edgekd import catalog
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.check import compare, failure
from edgekd.deploy.feeding import Array
from edgekd.deploy.outputs import Runner, answers, counted, without_class
from edgekd.deploy.writers._base import WRITERS, Precision
from edgekd.devices._base import Device
from edgekd.devices.device import or_this_machine
from edgekd.errors import UnsupportedModelError
from edgekd.measuring.coverage import coverage
from edgekd.pipeline.deployment import Deployment
from edgekd.run import Run, Workspace
from edgekd.training.evaluate import outputs
from edgekd.values import Accuracy, Artifact, Value
from edgekd.values.deployment import Coverage, Parity
from edgekd.values.network import Network
from edgekd.values.result import Checked
from edgekd.zoo import networks

_PARITY_IMAGES = 256

_LEAST_IN_INTEGERS = 0.1
"""Of the layers of a precision that quantises all it can: a few may stay float, but not nearly all."""


def check(
    run: Run,
    name: str,
    network: Network,
    artifacts: tuple[Artifact, ...],
    *,
    how: Deployment,
    device: Device | None,
) -> "Checks":
    """The checks of a network's artifacts, run by the device, or by this machine for None.

    Raises:
        UnsupportedModelError: the network's own outputs aren't finite.
    """
    return run.stage(f"check-{name}", _Checking(name, network, artifacts, how, how.made_with(), device), _check)


@dataclass(frozen=True)
class _Checking:
    """The inputs of the stage that checks artifacts."""

    name: str
    network: Network
    artifacts: tuple[Artifact, ...]
    how: Deployment
    made_with: dict[str, str | None]
    device: Device | None


class Check(Value):
    """What came of an artifact's check: all of it where it passed; the reason where it failed, with the parity where
    that is the reason.
    """

    parity: Parity | None = None
    coverage: Coverage | None = None
    accuracy: Accuracy | None = None
    failed: str | None = None


def proven(artifact: Artifact, exporter: str, check: Check | None) -> Checked | None:
    """An artifact with its check; None if it isn't checked, or failed.

    Args:
        artifact: the checked one.
        exporter: what wrote the ONNX file that it was made from.
        check: of the artifact.
    """
    if check is None or check.parity is None or check.accuracy is None:
        return None
    return Checked(
        artifact=artifact,
        exporter=exporter,
        parity=check.parity,
        accuracy=check.accuracy,
        coverage=check.coverage,
    )


class Checks(Value):
    """The checks of a network's artifacts, in their order."""

    checks: tuple[Check, ...]


def _check(inputs: _Checking, at: Workspace) -> Checks:
    images = sample_images(inputs.how.data.val, _PARITY_IMAGES)
    reference = logits(inputs.name, networks.load(inputs.network), images)
    checks = []
    with or_this_machine(inputs.device, at.progress.note) as device:
        for done, artifact in enumerate(inputs.artifacts):
            at.progress.advance(done, len(inputs.artifacts), f"checking {artifact.name}")
            try:
                runner = Runner(device, artifact, inputs.how.feeding)
                checks.append(_checked(runner, inputs.how, images, reference, traced=inputs.device is not None))
            except UnsupportedModelError as e:
                checks.append(Check(failed=e.message))
    return Checks(checks=tuple(checks))


def _checked(runner: Runner, how: Deployment, images: Array, reference: Array, *, traced: bool) -> Check:
    """The check of one artifact.

    Args:
        runner: runs it.
        how: its data.
        images: of the parity.
        reference: what the network gives for them.
        traced: whether it is proven to compute in integers, if it claims to: on the device that it is for.
    """
    artifact = runner.artifact
    precision = catalog.load(WRITERS, artifact.runtime).precisions[artifact.precision]
    parity = compare(reference, runner(images))
    if why := failure(parity, precision.tolerance):
        return Check(parity=parity, failed=why)
    covered = coverage(runner.device, artifact) if traced and precision.integers else None
    if covered and (why := _uncovered(artifact, precision, covered)):
        return Check(failed=why)
    answered = answers(runner, how.data.val)
    if why := without_class(answered):
        return Check(failed=why)
    return Check(parity=parity, coverage=covered, accuracy=counted(answered, how.data, "val"))


def _uncovered(artifact: Artifact, precision: Precision, covered: Coverage) -> str | None:
    least = 1 if precision.measured_layers else max(1.0, _LEAST_IN_INTEGERS * covered.layers)
    if covered.integers >= least:
        return None
    return (
        f"{covered.integers or 'none'} of its {covered.layers} convolutions and matrix products compute in integers on "
        f"the device, though it is {artifact.precision}"
    )


def logits(name: str, model: nn.Module, images: Array) -> Array:
    """What the network itself gives, (N, classes).

    Raises:
        UnsupportedModelError: its forward fails, or not all of it is finite.
    """
    given = outputs(model, images)
    if not np.isfinite(given).all():
        what = f"the {name} gives NaN or infinity on real images, before any export"
        hint = (
            "Its statistics of batches may not have settled: train longer, or raise the momentum of its batch "
            "normalisations; or its training diverged: lower the learning rate."
        )
        raise UnsupportedModelError(what, hint)
    return given
