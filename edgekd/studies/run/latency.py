"""What networks cost: their artifacts, and their latency beside the teacher's."""

from collections.abc import Mapping
from dataclasses import dataclass

from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.measuring.statistics import percentile, ratio, samples_ms
from edgekd.pipeline.deploy import export_one
from edgekd.pipeline.job import Job
from edgekd.pipeline.measuring import measured
from edgekd.values import Artifact, Interval, Measurement
from edgekd.values.network import Network

TEACHER = "teacher"

_AT_ONCE = 7
"""Networks beside the teacher in one session: each is a process on the device."""


@dataclass(frozen=True)
class Latency:
    """A network's beside the teacher's."""

    median_ms: float
    ratio: Interval


def exported(job: Job, network: Network, name: str) -> Artifact:
    """A network in the target's reference variant; raises as `export_one`."""
    found = export_one(job.means, "network", network, job.deployment)
    return found.model_copy(update={"name": name})


def latencies(job: Job, teacher: Artifact, others: Mapping[str, Artifact]) -> dict[str, Latency]:
    """The latency of each artifact, by the same keys, measured in turns with the teacher's, which is at `TEACHER`.

    What couldn't be measured is left out, and a note says why: all of them, where there is no device.
    """
    found: dict[str, Latency] = {}
    keys = list(others) if job.device else []
    for start in range(0, len(keys), _AT_ONCE):
        now = keys[start : start + _AT_ONCE]
        job.progress.stage("measure", f"measuring {len(now)} networks beside {teacher.name}")
        artifacts = [teacher, *(others[key] for key in now)]
        try:
            measurements = measured(job, artifacts, job.recipe.measure)
            found.update(_latencies(dict(zip([TEACHER, *now], measurements, strict=True))))
        except (DeviceError, MeasurementError, UnsupportedModelError) as e:
            job.progress.note(f"not measured: {e.message}")
    return found


def _latencies(measurements: Mapping[str, Measurement]) -> dict[str, Latency]:
    baseline = measurements[TEACHER]
    return {key: Latency(percentile(samples_ms(one), 50), ratio(one, baseline)) for key, one in measurements.items()}
