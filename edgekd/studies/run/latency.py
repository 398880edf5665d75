"""What networks cost: their fp32 files, and their latency beside the teacher's."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekd.deploy.export import OPSET, export_onnx
from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.measuring.artifact import describe
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.job import Job, made_with
from edgekd.pipeline.ladder import runtimes
from edgekd.pipeline.measuring import measured
from edgekd.values import Artifact, Interval, Measurement, Value
from edgekd.values.network import Network
from edgekd.zoo import networks

TEACHER = "teacher"

_AT_ONCE = 7
"""Networks beside the teacher in one session: each is a process on the device."""


class Exported(Value):
    """A network's fp32 file."""

    artifact: Artifact


@dataclass(frozen=True)
class File:
    """It, where it is."""

    artifact: Artifact
    path: Path


@dataclass(frozen=True)
class Latency:
    """A network's beside the teacher's."""

    median_ms: float
    ratio: Interval


def export(job: Job, network: Network, name: str) -> File:
    """The fp32 file of a network; raises as `export_onnx`."""
    opset = min((OPSET, *job.target.max_opset.values()))

    def build(folder: Path) -> Exported:
        path = folder / "model.onnx"
        export_onnx(networks.load(network), job.example, path, opset=opset)
        found = describe(
            path, name=name, precision="fp32", runtime=runtimes(job)[0], lineage={"weights": network.weights.sha256}
        )
        return Exported(artifact=found.without_folder())

    inputs = {
        "network": network.key(),
        "opset": opset,
        "shape": job.data.train.shape,
        "runtimes": job.target.runtimes,
        "made with": made_with(),
    }
    stored, folder, _ = job.run.stage("exported", inputs, Exported, build)
    return File(stored.artifact.model_copy(update={"name": name}), folder / stored.artifact.file)


def latencies(job: Job, teacher: File, others: Mapping[str, File]) -> dict[str, Latency]:
    """The latency of each file, by the same keys, measured in turns with the teacher's, which is at `TEACHER`.

    What couldn't be measured is left out, and a note says why: all of them, where there is no device.
    """
    found: dict[str, Latency] = {}
    keys = list(others) if job.device else []
    for start in range(0, len(keys), _AT_ONCE):
        now = keys[start : start + _AT_ONCE]
        job.progress.stage("measure", f"measuring {len(now)} networks beside {teacher.artifact.name}")
        files = [teacher, *(others[key] for key in now)]
        try:
            measurements = measured(job, [f.artifact.below(f.path.parent) for f in files], job.recipe.measure)
            found.update(_latencies(dict(zip([TEACHER, *now], measurements, strict=True))))
        except (DeviceError, MeasurementError, UnsupportedModelError) as e:
            job.progress.note(f"not measured: {e.message}")
    return found


def _latencies(measurements: Mapping[str, Measurement]) -> dict[str, Latency]:
    baseline = measurements[TEACHER]
    return {key: Latency(percentile(samples_ms(one), 50), ratio(one, baseline)) for key, one in measurements.items()}
