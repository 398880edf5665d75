"""What lies beside an artifact's file: its manifest, with what was proven and measured of exactly that file."""

import hashlib
from collections.abc import Sequence

from edgekd.deploy.feeding import manifest
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.origins import stated, without_folders
from edgekd.recipe import to_toml
from edgekd.values import Accuracy, Artifact, Feeding, Manifest, Measurement, Recipe
from edgekd.values.deployment import Parity
from edgekd.values.manifest import MeasuredLatency, Proof


def beside(
    artifact: Artifact,
    feeding: Feeding,
    recipe: Recipe,
    *,
    proof: Proof | None = None,
    measured: MeasuredLatency | None = None,
) -> Manifest:
    """The manifest of an artifact that a recipe made."""
    more = {
        "recipe": stated(recipe),
        "recipe_sha256": hashlib.sha256(to_toml(recipe).encode()).hexdigest(),
        "proof": proof,
        "measured": measured,
    }
    return manifest(artifact, artifact.path, feeding).model_copy(update=more)


def proof(parity: Parity, validation: Accuracy, test: Accuracy | None = None) -> Proof:
    """What was shown of a file, without the folders that its images were in."""
    return Proof(parity=parity, validation=_placeless(validation), test=test and _placeless(test))


def latency(measurement: Measurement, reference: Measurement) -> MeasuredLatency | None:
    """A summary of a measurement, compared with the reference of its session; None where nothing was measured."""
    samples = samples_ms(measurement)
    if not samples:
        return None
    host, runtime, compared = measurement.host, measurement.runtime, measurement is not reference
    return MeasuredLatency(
        device=f"{host.board or host.cpu}, {host.cores} cores",
        arch=host.arch,
        os=host.os,
        power_mode=host.power_mode,
        runtime=runtime.title,
        provider=runtime.provider,
        settings=runtime.settings,
        median_ms=percentile(samples, 50),
        samples=len(samples),
        ratio=ratio(measurement, reference) if compared else None,
        reference=reference.artifact.name if compared else None,
        when=measurement.when,
    )


def latencies(measurements: Sequence[Measurement]) -> list[MeasuredLatency | None]:
    """Of the measurements of a session, the first of which is the reference."""
    return [latency(measurement, measurements[0]) for measurement in measurements]


def _placeless(accuracy: Accuracy) -> Accuracy:
    return accuracy.model_copy(update={"dataset": without_folders(accuracy.dataset)})
