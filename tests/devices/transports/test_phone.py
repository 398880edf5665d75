"""A phone's state, read through the real adb: its files and outputs are those of `boards/android-phone.txt`."""

import pytest

from edgekd import catalog
from edgekd.pipeline.detect import detect
from edgekd.pipeline.doctor import doctor
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol
from tests.devices import boards

HEAT = "IsStatusOverride: false\nThermal Status: {}\nHAL Ready: true\n"


@pytest.fixture
def phone(plugged, tmp_path):
    """Its URL, and what sets its thermal status."""
    python = boards.python("android-phone", tmp_path / "board")
    served = plugged(machine="aarch64")
    (served.phone.folder / "bin/python3").symlink_to(python)
    status = tmp_path / "status"
    program = tmp_path / "board/bin/dumpsys"
    program.write_text(f'#!/bin/sh\n[ "$1" = thermalservice ] && cat {status}\n')

    def heat(number):
        status.write_text(HEAT.format(number))

    heat(0)
    return f"adb://{served.serial}", heat


def test_it_is_recognised_and_examined(phone):
    url, heat = phone
    heat(3)
    assert [one.target for one in detect(url).targets] == ["android-phone"]
    found = doctor(url, noise=False, progress=Silent())
    assert (found.host.board, found.platform.android) == ("Google Pixel 6", "14")
    assert (found.state.throttled_by, found.state.clocks_locked) == (("Android's thermal status severe",), False)
    assert [cluster.cpus for cluster in found.platform.clusters] == [(6, 7), (4, 5), (0, 1, 2, 3)]


def test_a_launch_during_which_it_gets_hot_is_made_again_on_the_fastest_cpus(phone, model):
    url, heat = phone

    class Heating(Silent):
        hot = False

        def advance(self, done, total, detail=""):
            if done == 1 and not self.hot:
                self.hot = True
                heat(2)

        def note(self, text):
            if "repeated" in text:
                heat(0)

    protocol = MeasuringProtocol(launches=1, seconds=0.1, block_seconds=0.02, warmup_seconds=0.1)
    target = catalog.target("android-phone")
    (found,) = profile([model()], target=target, device_url=url, protocol=protocol, progress=Heating())
    assert found.on_target
    assert "Android's thermal status moderate" in found.retried[0]
    # the canary may drift on a busy machine, the phone is cool
    assert not any("thermal" in why for why in found.invalid)
    assert [launch.cpus for launch in found.launches] == [(6, 7)]
    assert (found.launches[0].before.power_mode, found.host.power_mode) == ("battery saver", "battery saver")
