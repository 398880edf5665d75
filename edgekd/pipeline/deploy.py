"""Deploy: a network as artifacts, one for each variant, each proven to be the network by the runtime that runs it."""

from dataclasses import dataclass

import numpy as np
from torch import nn

from edgekd import catalog
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.check import compare, failure
from edgekd.deploy.feeding import Array
from edgekd.deploy.outputs import Runner, accuracy
from edgekd.deploy.writers._base import WRITERS
from edgekd.devices._base import Device
from edgekd.devices.device import or_this_machine
from edgekd.errors import UnsupportedModelError
from edgekd.pipeline.deployment import Deployment
from edgekd.pipeline.graph import export
from edgekd.pipeline.written import Exported
from edgekd.run import Run, Workspace
from edgekd.training.evaluate import outputs
from edgekd.values import Accuracy, Artifact, Value
from edgekd.values.deployment import Parity
from edgekd.values.network import Network
from edgekd.values.result import Checked, Deployed, Dropped
from edgekd.zoo import networks

_PARITY_IMAGES = 256


@dataclass(frozen=True)
class Baseline:
    """The original network's artifacts, and the one among them that drops and ratios refer to."""

    deployed: Deployed
    reference: Checked


def baseline(run: Run, network: Network, how: Deployment, device: Device | None = None) -> Baseline:
    """The artifacts of the original network.

    Raises:
        UnsupportedModelError: the reference failed its check, so that nothing could be compared with it.
    """
    deployed = deploy(run, "baseline", network, how, device)
    found, reference = deployed.of(how.reference), f"baseline-{how.reference.name}"
    if found is None:
        why = "; ".join(gone.why for gone in deployed.dropped if gone.name == reference)
        what = f"{reference}, which all drops and ratios refer to, did not pass its check: {why}"
        hint = "Rewrite what can't be exported with plain layers, or name another variant in the target's [reference]."
        raise UnsupportedModelError(what, hint)
    run.progress.note(f"reference: {found.artifact.name}")
    return Baseline(deployed, found)


def deploy(run: Run, name: str, network: Network, how: Deployment, device: Device | None = None) -> Deployed:
    """A network in every variant in which it passed its check, run by the device, or by this machine for None.

    Raises:
        UnsupportedModelError: it can't be exported, its own outputs aren't finite, or no artifact passed its check.
    """
    run.progress.stage("deploy", f"writing {name} in {len(how.variants)} variants and checking each")
    exported = export(run, name, network, how)
    found = _deployed(exported, check(run, name, network, exported.artifacts, how=how, device=device))
    for gone in found.dropped:
        run.progress.note(f"{gone.name}: dropped: {gone.why}")
    if not found.artifacts:
        why = "; ".join(f"{gone.name}: {gone.why}" for gone in found.dropped)
        raise UnsupportedModelError(f"no export of {name} passed its check: {why}", "See the numbers above.")
    return found


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
    """What came of an artifact's check: all of it where it passed, the reason where it failed."""

    parity: Parity | None = None
    accuracy: Accuracy | None = None
    failed: str | None = None


class Checks(Value):
    """The checks of a network's artifacts, in their order."""

    checks: tuple[Check, ...]


def _check(inputs: _Checking, at: Workspace) -> Checks:
    images = sample_images(inputs.how.data.val, _PARITY_IMAGES)
    reference = _logits(inputs.name, networks.load(inputs.network), images)
    checks = []
    with or_this_machine(inputs.device, at.progress.note) as device:
        for done, artifact in enumerate(inputs.artifacts):
            at.progress.advance(done, len(inputs.artifacts), f"checking {artifact.name}")
            try:
                checks.append(_checked(Runner(device, artifact, inputs.how.feeding), inputs.how, images, reference))
            except UnsupportedModelError as e:
                checks.append(Check(failed=e.message))
    return Checks(checks=tuple(checks))


def _checked(runner: Runner, how: Deployment, images: Array, reference: Array) -> Check:
    artifact = runner.artifact
    parity = compare(reference, runner(images))
    tolerance = catalog.load(WRITERS, artifact.runtime).precisions[artifact.precision].tolerance
    if why := failure(parity, tolerance):
        return Check(failed=why)
    return Check(parity=parity, accuracy=accuracy(runner, how.data, "val"))


def _logits(name: str, model: nn.Module, images: Array) -> Array:
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


def _deployed(exported: Exported, checks: Checks) -> Deployed:
    passed, dropped = [], list(exported.dropped)
    for artifact, check in zip(exported.artifacts, checks.checks, strict=True):
        if check.parity and check.accuracy:
            passed.append(
                Checked(artifact=artifact, exporter=exported.exporter, parity=check.parity, accuracy=check.accuracy)
            )
        else:
            dropped.append(Dropped(name=artifact.name, why=check.failed or ""))
    return Deployed(artifacts=tuple(passed), dropped=tuple(dropped))
