"""What each block of a network costs on the device: how much faster it is without it, measured untrained."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd.data.fixed_images import sample_images
from edgekd.errors import NoDeviceError, UnsupportedModelError
from edgekd.measuring.statistics import percentile, samples_ms
from edgekd.pipeline.job import Job, made_with
from edgekd.pipeline.ladder import Written, write_rungs, written_for
from edgekd.pipeline.measuring import QUICK, measured
from edgekd.pruning.pruner import Pruner
from edgekd.values import Architecture, Artifact, Cost, Value
from edgekd.values.network import Network
from edgekd.values.result import Dropped
from edgekd.zoo import networks

_CALIBRATION_IMAGES = 32
"""Ranges that are only roughly right don't change which integer kernels run."""

_AT_ONCE = 8
"""Blocks of one session: each artifact is a process on the device, next to the others."""


class Shortened(Value):
    """A network, and what it is without each block that can go, as files in the target's reference precision."""

    whole: Artifact
    without: dict[str, Artifact]
    """By the block's name."""


def savings_ms(
    job: Job, architecture: Architecture, pruner: Callable[[], Pruner], network: Mapping[str, Any]
) -> dict[str, float]:
    """The milliseconds that the network saves without each block that can go, by the block's name: differences of
    medians within a session, in the target's reference precision.

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
    inputs = {
        "network": dict(network),
        "target": written_for(job),
        "calibration": [job.images, _CALIBRATION_IMAGES],
        "made with": made_with(),
    }
    found, folder, _ = job.run.stage("blocks", inputs, Shortened, lambda to: _write(job, architecture, pruner(), to))
    names, saved = list(found.without), {}
    for first in range(0, len(names), _AT_ONCE):
        now = names[first : first + _AT_ONCE]
        job.progress.stage("plan", f"measuring it without each of {', '.join(now)}")
        whole, *shorter = _medians_ms(job, [found.whole, *(found.without[name] for name in now)], folder)
        saved.update({name: whole - shortened for name, shortened in zip(now, shorter, strict=True)})
    return saved


def _medians_ms(job: Job, artifacts: Sequence[Artifact], folder: Path) -> list[float]:
    placed = [artifact.below(folder) for artifact in artifacts]
    measurements = measured(job, placed, job.recipe.measure.model_copy(update=QUICK))
    return [percentile(samples_ms(measurement), 50) for measurement in measurements]


def _write(job: Job, architecture: Architecture, pruner: Pruner, folder: Path) -> Shortened:
    calibration = sample_images(job.data.train, _CALIBRATION_IMAGES)

    def without(block: str, ratio: float) -> Artifact:
        name = f"without-{block}" if block else "whole"
        with tempfile.TemporaryDirectory(dir=folder) as at:
            pruned = pruner.prune(ratio, Path(at), options={"remove": block})
            network = Network(
                architecture=architecture,
                definition=networks.file_of(pruned.structure),
                weights=networks.file_of(pruned.weights),
                cost=Cost(parameters=pruned.parameters, nonzero=pruned.nonzero, macs=pruned.macs),
                origin="pruned",
            )
            rungs = write_rungs(job, name, network, folder, calibration=calibration)
            return _reference(job, list(rungs))

    whole = without("", 0.0)
    return Shortened(whole=whole, without={block: without(block, ratio) for block, ratio in pruner.blocks().items()})


def _reference(job: Job, rungs: Sequence[Written | Dropped]) -> Artifact:
    """The file in the target's reference precision; raises UnsupportedModelError if it couldn't be written."""
    precision = job.target.reference.precision
    for rung in rungs:
        if isinstance(rung, Written) and rung.artifact.precision == precision:
            return rung.artifact
    why = "; ".join(f"{rung.name}: {rung.why}" for rung in rungs if isinstance(rung, Dropped))
    message = f"order = 'latency' needs the network without each block in {precision}, which can't be written: {why}"
    raise UnsupportedModelError(message, "Take order = 'position' or 'influence'.")
