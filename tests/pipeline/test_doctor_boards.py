"""What `doctor` says of boards, by their files (tests/devices/boards)."""

import json
import os

import pytest

from edgekd.devices.device import connect
from edgekd.errors import ExitCode
from edgekd.pipeline.doctor import doctor
from edgekd.pipeline.doctor_text import lines
from edgekd.progress import Silent
from tests.devices import boards


def examined(device):
    found = doctor(device, noise=False, progress=Silent())
    return found, "\n".join(lines(found))


def test_a_jetson(tmp_path):
    found, text = examined(f"local:{boards.python('jetson-orin-nano', tmp_path)}")
    assert found.targets == ("jetson-orin-nano", "arm-cpu")
    for says in (
        "NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super, 6 cores (aarch64 linux",
        "JetPack 6.2.1, L4T 36.4.7, CUDA 12.6.68, TensorRT 10.3.0.30",
        "power mode MAXN_SUPER, clocks locked",
        "no tensorrt: this Python has no module tensorrt",
        "  to install it there: sudo apt-get install python3-libnvinfer python3-numpy",
        "CPU at 1728 of 1728 MHz, GPU at 1020 of 1020 MHz, governor schedutil, hottest 52 °C (gpu-thermal)",
        "VDD_IN 7.4 W",
        "- over-current alarm oc3 has throttled it 7 times since it started: use a stronger power supply",
        "- TensorRT 10.3.0.30 fails to build some INT8 networks on JetPack 6",
        "sudo nvpmodel -m N sets another: 0 (15W), 1 (25W)",
        "noise: not measured; --noise",
    ):
        assert says in text


def test_a_jetson_whose_clocks_follow_the_load(tmp_path):
    _, text = examined(f"local:{boards.python('jetson-orin-nx', tmp_path)}")
    assert "- its clocks are not locked: sudo jetson_clocks" in text
    assert "JetPack 5.1.2 (of this L4T; not reported)" in text


def test_a_raspberry_pi_over_ssh(sshd, tmp_path):
    found, text = examined(f"ssh://device{boards.python('raspberry-pi-5', tmp_path)}")
    assert found.targets[0] == "raspberry-pi-5"
    for says in (
        "device: ssh://device",
        "Raspberry Pi 5 Model B Rev 1.0, 4 cores (aarch64 linux",
        "- it is slowed down by under-voltage: use a stronger power supply and a short cable",
        "- it is slowed down by the soft temperature limit: let it cool down",
        "- the clock governor is ondemand, so the clock follows the load: echo performance | sudo tee",
        "not there, and not a runtime of its targets: tensorrt",
    ):
        assert says in text
    assert "no tensorrt" not in text


def test_a_phone(tmp_path):
    _, text = examined(f"local:{boards.python('android-phone', tmp_path)}")
    for says in (
        "device: local:",
        "Google Pixel 6, 8 cores (aarch64 android",
        "Android 14",
        "- it is slowed down by Android's thermal status moderate",
        "- it is charging",
        "- its clocks follow the load: adb shell cmd power set-fixed-performance-mode-enabled true",
        "- the battery saver slows it down: adb shell settings put global low_power 0",
    ):
        assert says in text


def test_a_device_in_use_is_examined_without_disturbing_its_user(tmp_path):
    """Importing runtimes would take its CPUs for seconds."""
    python = boards.python("raspberry-pi-4", tmp_path)
    with connect("local:") as holder, holder.leased():
        found, text = examined(f"local:{python}")
    assert (found.runtimes, found.missing) == ({}, {})
    assert f"pid {os.getpid()}" in text
    assert "- its runtimes are not read while it is in use" in text
    assert "nothing can be measured" not in text


def test_a_device_that_matches_no_target_gets_the_command_that_says_why(tmp_path):
    url = f"local:{boards.python('raspberry-pi-4', tmp_path, 'riscv64')}"
    found, text = examined(url)
    assert found.targets == ()
    assert f"edgekd targets detect --device {url} reports why" in text
    assert all(one.wanted for one in found.missing.values())


def test_an_emulated_device_is_named_as_such(tmp_path):
    python = boards.python("raspberry-pi-5", tmp_path)
    (tmp_path / "proc/cpuinfo").write_text("vendor_id\t: GenuineIntel\n")
    found, text = examined(f"local:{python}")
    assert found.host.emulated
    assert "- emulated: another processor" in text
    assert "measure on the device itself" in text


def test_it_ends_with_5_where_there_is_no_access_and_prints_json(tmp_path, monkeypatch, capfd):
    from edgekd.cli import main

    def ended(*arguments):
        monkeypatch.setattr("sys.argv", ["edgekd", "doctor", *arguments])
        with pytest.raises(SystemExit) as e:
            main()
        return e.value.code

    assert ended("--device", "local:/no/such/python") == ExitCode.UNREACHABLE
    assert "hint:" in capfd.readouterr().err
    assert ended("--device", f"local:{boards.python('jetson-thor', tmp_path)}", "--json") == ExitCode.PASS
    document = json.loads(capfd.readouterr().out)
    assert document["state"]["throttled_by"] == ["heat (gpu-throttle-alert)"]
    assert document["platform"]["tensorrt"] == "10.16.2.10"
