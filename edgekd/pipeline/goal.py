"""What a run is to meet: a budget on a device of the target, measured by one protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.devices._base import Device
from edgekd.gate.budget import Budget, for_given_device, traced
from edgekd.pipeline.measuring import TargetDevice, measured
from edgekd.run import Run
from edgekd.values import Artifact, DeviceFacts, Measurement, MeasuringProtocol, Target


@dataclass(frozen=True)
class Goal:
    """A budget, and where and how it is measured whether a network meets it."""

    budget: Budget
    target: Target
    device: Device | None
    """None: there is no device of the target's kind, so nothing is measured."""
    protocol: MeasuringProtocol

    @property
    def facts(self) -> DeviceFacts | None:
        """What is known of the device; None without one."""
        return self.device.facts if self.device else None

    def install_command(self, runtime: str) -> str | None:
        """What installs a runtime on the device; None without one, or where no such command is known."""
        return self.device.install_command(runtime) if self.device else None

    def measured(self, run: Run, artifacts: Sequence[Artifact], **changes: Any) -> tuple[Measurement, ...]:
        """All artifacts, interleaved, the first being the reference of the others; raises as `measuring.measured`.

        Args:
            run: keeps the measurements.
            artifacts: with the paths of their files.
            changes: of the protocol.
        """
        return self._measured(
            run, artifacts, changes, steady=for_given_device(self.budget), explained=traced(self.budget)
        )

    def compared(
        self, run: Run, artifacts: Sequence[Artifact], *, traced: bool = False, **changes: Any
    ) -> tuple[Measurement, ...]:
        """As `measured`, for their ratios alone, whatever the budget limits; `traced`: each node is timed as well. In a
        closed loop: what is slower than a cadence waits for itself there, and would seem slower than it is.
        """
        closed = {"loop": "closed", "cadence_hz": None, **changes}
        return self._measured(run, artifacts, closed, traced=traced, steady=False)

    def _measured(
        self,
        run: Run,
        artifacts: Sequence[Artifact],
        changes: Mapping[str, Any],
        *,
        steady: bool,
        traced: bool = False,
        explained: bool = False,
    ) -> tuple[Measurement, ...]:
        assert self.device is not None, "nothing is measured without a device"
        protocol, on = self.protocol.model_copy(update=changes), TargetDevice(self.device, self.target)
        return measured(run, on, artifacts, protocol, steady=steady, traced=traced, explained=explained)
