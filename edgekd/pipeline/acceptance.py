"""Acceptance: files whose runtime is nowhere at hand, as ONNX Runtime runs them without graph optimisations."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgekd import catalog
from edgekd.data.fixed_images import sample_images
from edgekd.deploy.check import compare, failure
from edgekd.deploy.feeding import fed
from edgekd.deploy.literal import literal_outputs
from edgekd.deploy.writers._base import WRITERS
from edgekd.errors import UnsupportedModelError
from edgekd.pipeline.deployment import Deployment
from edgekd.pipeline.proof import Check, Checks, logits
from edgekd.run import Run, Workspace
from edgekd.values import Artifact
from edgekd.values.network import Network
from edgekd.zoo import networks

_IMAGES = 64
"""Unoptimised, and in types that no CPU computes in, files are slow."""


def accepted(
    run: Run, name: str, network: Network, artifacts: tuple[Artifact, ...], how: Deployment
) -> Mapping[str, Check]:
    """The checks of artifacts beside their network, by the artifact's id; without accuracy.

    Raises:
        UnsupportedModelError: the network's own outputs aren't finite.
    """
    of_onnx = tuple(artifact for artifact in artifacts if artifact.format == "onnx")
    if not of_onnx:
        return {}
    inputs = _Accepting(name, network, of_onnx, how, how.made_with())
    found = run.stage(f"accept-{name}", inputs, accept_stage).checks
    return {artifact.id: check for artifact, check in zip(of_onnx, found, strict=True)}


@dataclass(frozen=True)
class _Accepting:
    """The inputs of the stage that runs files as they are written."""

    name: str
    network: Network
    artifacts: tuple[Artifact, ...]
    how: Deployment
    made_with: dict[str, str | None]


def accept_stage(inputs: _Accepting, at: Workspace) -> Checks:
    """Run files as they are written, and compare them with their network. Raises as `accepted`."""
    images = sample_images(inputs.how.data.val, _IMAGES)
    reference = logits(inputs.name, networks.load(inputs.network), images)
    given = fed(images, inputs.how.feeding)
    checks = []
    for artifact in inputs.artifacts:
        precision = catalog.load(WRITERS, artifact.runtime).precisions[artifact.precision]
        try:
            parity = compare(reference, literal_outputs(artifact.path, [given])[0])
        except UnsupportedModelError as e:
            checks.append(Check(failed=e.message))
            continue
        checks.append(Check(parity=parity, failed=failure(parity, precision.tolerance)))
    return Checks(checks=tuple(checks))
