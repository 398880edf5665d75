"""What each block of a network costs on the device: how much faster it is without it, measured untrained."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.errors import NoDeviceError
from edgekd.measuring.statistics import percentile, samples_ms
from edgekd.pipeline.deploy import export_one
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import QUICK, measured
from edgekd.pruning.pruner import Pruner
from edgekd.values import Architecture, Artifact, Cost, Value
from edgekd.values.network import Network
from edgekd.zoo import networks

_AT_ONCE = 8
"""Blocks of one session: each artifact is a process on the device, next to the others."""


class Shortened(Value):
    """A network, and what it is without each block that can go."""

    whole: Network
    without: dict[str, Network]
    """By the block's name."""


def savings_ms(
    job: Job, architecture: Architecture, pruner: Callable[[], Pruner], network: Mapping[str, Any]
) -> dict[str, float]:
    """The milliseconds that the network saves without each block that can go, by the block's name: differences of
    medians within a session, in the target's reference variant.

    Args:
        job: says which target and device, and what is known already.
        architecture: of the network.
        pruner: starts the process that takes blocks out of the network, with the method `layerwise`.
        network: what the stored results are found by; JSON-able.

    Raises:
        NoDeviceError: there is no device of the target's kind.
        EdgekdError: as `Pruner.prune` and `measured` raise.
    """
    if job.device is None:
        message = "order = 'latency' needs the latency without each block, and there is no device to measure it on"
        raise NoDeviceError(message, "Give a --device of the target, or set the order to 'position' or 'influence'.")
    found, _, _ = job.run.stage(
        "blocks", {"network": dict(network)}, Shortened, lambda to: _write(job, architecture, pruner(), to)
    )
    names, saved = list(found.without), {}
    artifacts = {
        name: export_one(job.means, "shortened", each, job.deployment)
        for name, each in {"": found.whole, **found.without}.items()
    }
    for first in range(0, len(names), _AT_ONCE):
        now = names[first : first + _AT_ONCE]
        job.progress.stage("plan", f"measuring it without each of {', '.join(now)}")
        whole, *shorter = _medians_ms(job, [artifacts[name] for name in ("", *now)])
        saved.update({name: whole - shortened for name, shortened in zip(now, shorter, strict=True)})
    return saved


def _medians_ms(job: Job, artifacts: Sequence[Artifact]) -> list[float]:
    measurements = measured(job, artifacts, job.recipe.measure.model_copy(update=QUICK))
    return [percentile(samples_ms(measurement), 50) for measurement in measurements]


def _write(job: Job, architecture: Architecture, pruner: Pruner, folder: Path) -> Shortened:
    def without(block: str, ratio: float) -> Network:
        at = folder / (block or "whole")
        at.mkdir()
        pruned = pruner.prune(ratio, at, options={"remove": block})
        return Network(
            architecture=architecture,
            definition=networks.file_of(pruned.structure),
            weights=networks.file_of(pruned.weights),
            cost=Cost(parameters=pruned.parameters, nonzero=pruned.nonzero, macs=pruned.macs),
            origin="pruned",
        )

    whole = without("", 0.0)
    return Shortened(whole=whole, without={block: without(block, ratio) for block, ratio in pruner.blocks().items()})
