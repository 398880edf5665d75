"""How much of an artifact computes in integers, in the graph that its runtime runs on the device."""

from edgekd.devices._base import Device
from edgekd.measuring.launch import Setup, trace
from edgekd.measuring.nodes import integer_coverage
from edgekd.values import Artifact, MeasuringProtocol
from edgekd.values.deployment import Coverage


def coverage(device: Device, artifact: Artifact) -> Coverage | None:
    """The number of layers that compute in integers; None where the runtime doesn't report what layers compute in.

    Raises:
        UnsupportedModelError: the runtime can't load or run it.
        DeviceError, MeasurementError: the device can't be reached, or fails.
    """
    with device.leased():
        engine = device.build(artifact)
        with device.start(artifact.runtime) as agent:
            integers, layers = integer_coverage(trace(agent, artifact, engine, Setup(MeasuringProtocol())))
    return Coverage(integers=integers, layers=layers) if layers else None
