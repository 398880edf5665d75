"""Alarms of a board that are on for a moment, within a launch."""

import pytest

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.measuring.artifact import describe
from edgekd.measuring.session import measure
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol
from tests.devices import boards

SHORT = MeasuringProtocol(launches=1, seconds=0.2, block_seconds=0.05, warmup_seconds=0.1)


@pytest.mark.parametrize(
    ("board", "file", "cause"),
    [
        # its firmware remembers under-voltage already, from before
        ("raspberry-pi-4", "sys/class/hwmon/hwmon1/in0_lcrit_alarm", "under-voltage"),
        ("jetson-orin-nano", "sys/class/thermal/cooling_device4/cur_state", "heat (cpu-throttle-alert)"),
    ],
)
def test_an_alarm_that_is_on_for_a_moment_within_a_launch_makes_it_again(model, tmp_path, board, file, cause):
    python = boards.python(board, tmp_path)
    alarm = tmp_path / file

    class Disturbing(Silent):
        """Switches the alarm on before the second block, once, and off before the third."""

        rounds = 0

        def advance(self, done, total, detail=""):
            self.rounds += 1
            alarm.write_text(f"{int(self.rounds == 2)}\n")

    artifact = describe(model(), name="m", runtime="onnxruntime")
    with connect(f"local:{python}") as device:
        (found,) = measure(
            [artifact], device=device, target=catalog.target(board), protocol=SHORT, progress=Disturbing()
        )
    assert found.retried[0].startswith(f"the device was slowed down by {cause}")
    assert not any(cause in why for why in found.invalid)
