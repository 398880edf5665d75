"""What networks cost: their artifacts, and their latency beside the teacher's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.measuring.statistics import median_ms, ratio
from edgekd.pipeline.graph import export_one
from edgekd.studies.run.arms import ArmRun
from edgekd.studies.run.failures import message
from edgekd.values import Artifact, Interval, Measurement
from edgekd.values.network import Network

TEACHER = "teacher"


@dataclass(frozen=True)
class Latency:
    """A network's beside the teacher's."""

    median_ms: float
    ratio: Interval


def exported(arm: ArmRun, network: Network, name: str) -> Artifact:
    """A network in the target's reference variant; raises as `export_one`."""
    found = export_one(arm.run, "network", network, arm.how)
    return found.model_copy(update={"name": name})


def latencies(
    arm: ArmRun, teacher: Artifact, others: Mapping[str, Artifact], unmeasured: list[str], **changes: Any
) -> dict[str, Latency]:
    """The latency of each artifact, by the same keys, measured in turns with the teacher's, which is at `TEACHER`.

    Where they can't be measured there are none, and a note says why, which `unmeasured` gets as well. The changes are
    those of the protocol.
    """
    if arm.device is None or not others:
        return {}
    try:
        return measured(arm, teacher, others, **changes)
    except (DeviceError, MeasurementError, UnsupportedModelError) as e:
        names = ", ".join(one.name for one in others.values())
        unmeasured.append(f"the latency of {names} was not measured: {message(e)}")
        arm.run.progress.warn(unmeasured[-1])
        return {}


def measured(arm: ArmRun, teacher: Artifact, others: Mapping[str, Artifact], **changes: Any) -> dict[str, Latency]:
    """As `latencies`, of an arm that has a device.

    Raises:
        DeviceError, MeasurementError: not now.
        UnsupportedModelError: never.
    """
    arm.run.progress.stage("measure", f"measuring {len(others)} networks beside {teacher.name}")
    found = arm.goal.measured(arm.run, [teacher, *others.values()], **changes)
    return _latencies(dict(zip([TEACHER, *others], found, strict=True)))


def _latencies(measurements: Mapping[str, Measurement]) -> dict[str, Latency]:
    baseline = measurements[TEACHER]
    return {key: Latency(median_ms(one), ratio(one, baseline)) for key, one in measurements.items()}
