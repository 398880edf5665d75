"""The real adb, with a phone of the tests behind it."""

import hashlib
import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from adbd import adb
from bundles import ONNXRUNTIME, bundle

from edgekd import catalog
from edgekd.cli import main
from edgekd.devices.bundle import manifest
from edgekd.devices.device import connect
from edgekd.devices.transports import adb as transport
from edgekd.errors import DeviceError, EdgekdError, ExitCode, MeasurementError
from edgekd.measuring.artifact import describe
from edgekd.measuring.disturbance import EMULATED
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

PHONE = catalog.target("android-phone").model_copy(update={"arch": "x86_64"})
pytestmark = pytest.mark.usefixtures("server")

SHORT = MeasuringProtocol(launches=1, seconds=0.1, block_seconds=0.02, warmup_seconds=0.1)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The user's cache folder, without a bundle."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "edgekd"


@pytest.fixture
def bundled(cache):
    """With one, and what puts it on a phone as if it had been sent before: sending takes many seconds."""
    (cache / "bundles").mkdir(parents=True)

    def sent(phone, arch="x86_64"):
        made = manifest.read(cache / "bundles" / arch)
        there = phone.phone.storage / "edgekd" / "files" / made.key
        shutil.copytree(cache / "bundles" / arch, there, copy_function=os.link)
        return phone

    for arch in ("x86_64", "aarch64"):
        (cache / "bundles" / arch).symlink_to(bundle(arch))
    return sent


class Listening(Silent):
    def __init__(self):
        self.notes = []

    def note(self, text):
        self.notes.append(text)


def test_a_phone_without_python_runs_the_bundle(plugged, bundled, model):
    phone, progress = plugged(), Listening()
    url = f"adb://{phone.serial}"
    first, second = model("first"), model("second", channels=4, external=True)
    found = profile([first, second], target=PHONE, device_url=url, protocol=SHORT, progress=progress)
    assert all(one.on_target and one.launches[0].blocks_ms for one in found)
    assert (found[0].device, found[0].host.os, found[0].runtime.version) == (url, "android", ONNXRUNTIME)
    assert found[0].runtime.origin == "Linux/amd64 build"
    assert any("Linux/amd64 build" in note for note in progress.notes)
    sent = phone.phone.received
    profile([first], target=PHONE, device_url=url, protocol=SHORT, progress=progress)
    assert phone.phone.received - sent < 100_000  # the requests; neither the bundle nor the model once more
    assert not [*phone.phone.storage.glob("edgekd/partial/*")]


def test_outputs_are_those_of_the_model(plugged, bundled, model):
    path = model(layers=3, batch=1)
    images = np.random.default_rng(0).standard_normal((40, 3, 8, 8)).astype("float32")
    session = onnxruntime.InferenceSession(path)
    expected = [session.run(None, {"image": image[None]})[0][0] for image in images]
    with connect(f"adb://{bundled(plugged()).serial}", PHONE) as device:
        found = np.concatenate(
            [*device.evaluate(describe(path, name="m", runtime="onnxruntime"), [images[:20], images[20:]])]
        )
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow  # an emulated Python takes seconds to import numpy
def test_an_arm_phone_computes_the_same_but_its_times_do_not_count(plugged, bundled, model, monkeypatch, capfd):
    """Programs for arm64 run as they do on a phone: the kernel starts them under qemu-user."""
    if why := emulating_is_impossible():
        pytest.skip(why)
    phone = bundled(plugged(machine="aarch64", setup=EMULATING), "aarch64")
    path, url = model(layers=3, batch=1), f"adb://{phone.serial}"
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype("float32")
    session = onnxruntime.InferenceSession(path)
    expected = [session.run(None, {"image": image[None]})[0][0] for image in images]
    with connect(url, catalog.target("android-phone")) as device:
        (found,) = device.evaluate(describe(path, name="m", runtime="onnxruntime"), [images])
        facts = device.facts
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert (facts.host.arch, facts.host.os, facts.host.emulated) == ("aarch64", "android", True)
    assert facts.runtimes["onnxruntime"].origin == "Linux/arm64 build"
    options = ["--launches", "1", "--seconds", "0.05"]
    monkeypatch.setattr("sys.argv", ["edgekd", "profile", str(path), "--target", "mobile", "--device", url, *options])
    with pytest.raises(SystemExit) as e:
        main()
    assert e.value.code == ExitCode.INVALID
    assert EMULATED in capfd.readouterr().out


_FIRST_BYTES = r"\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
EMULATING = f"""
/bin/mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
echo '{f":arm64:M::{_FIRST_BYTES}:{_MASK}:{shutil.which('qemu-aarch64-static')}:F"}' > /proc/sys/fs/binfmt_misc/register
"""


def emulating_is_impossible():
    if not shutil.which("qemu-aarch64-static"):
        return "no qemu-aarch64-static here: apt install qemu-user-static"
    tried = subprocess.run(["unshare", "-rm", "/bin/bash", "-ec", EMULATING], capture_output=True, text=True)
    return f"no binfmt_misc in a user namespace (Linux 6.7 has it): {tried.stderr}" if tried.returncode else ""


def test_without_a_bundle_the_command_that_makes_it_is_named(plugged, cache):
    with connect(f"adb://{plugged().serial}", PHONE) as device, pytest.raises(DeviceError) as e:
        _ = device.facts
    assert "there is no Python; edgekd needs 3.8 or newer there" in e.value.message
    assert e.value.hint == "Make what runs there without one: edgekd devices bundle --arch x86_64"
    assert e.value.exit_code == ExitCode.UNREACHABLE


def test_a_32_bit_phone_is_said_to_be_unsupported(plugged, cache):
    with connect(f"adb://{plugged(machine='armv7l').serial}", PHONE) as device, pytest.raises(DeviceError) as e:
        _ = device.facts
    assert e.value.hint == "Only 64-bit phones are supported (aarch64, x86_64); this one is armv7l."


def test_files_come_back_whole(plugged, tmp_path):
    phone = plugged()
    data = os.urandom(3_000_000)
    (phone.phone.storage / "a file").write_bytes(data)
    connection = transport.connect(phone.serial)
    connection.fetch(str(phone.phone.storage / "a file"), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == data
    with pytest.raises(DeviceError, match=r"can't copy .*nowhere from the device: .*No such file"):
        connection.fetch("/nowhere", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def pushing(connection, path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return connection.push(path.parent, {path.name: digest}, digest)


def test_a_push_is_whole_or_not_there(plugged, tmp_path):
    phone = plugged()
    large = tmp_path / "large.onnx"
    large.write_bytes(os.urandom(40_000_000))
    unplugging = threading.Thread(target=unplug_when, args=(phone, lambda: phone.phone.received > 5_000_000))
    unplugging.start()
    with pytest.raises(DeviceError, match=r"can't send large.onnx \(40.0 MB\).*: the connection was lost") as e:
        pushing(transport.connect(phone.serial), large)
    unplugging.join()
    assert "adb connect" in e.value.hint
    assert not [*phone.phone.storage.glob("edgekd/files/*")]
    adb("disconnect", phone.serial)
    adb("connect", phone.serial)
    there = pushing(transport.connect(phone.serial), large)
    assert Path(there, "large.onnx").read_bytes() == large.read_bytes()
    assert not [*phone.phone.storage.glob("edgekd/partial/*")]


def unplug_when(phone, condition):
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.002)
    phone.unplug()


def test_a_measurement_that_loses_its_phone_fails_and_leaves_nothing_running(plugged, bundled, model):
    phone = bundled(plugged())
    long = MeasuringProtocol(launches=2, seconds=30, block_seconds=0.05, warmup_seconds=0.1)

    class Noting(Silent):
        def advance(self, done, total, detail=""):
            if done > 3:
                phone.unplug()

    with pytest.raises((MeasurementError, DeviceError), match="the connection was lost: it is offline"):
        profile([model()], target=PHONE, device_url=f"adb://{phone.serial}", protocol=long, progress=Noting())


@pytest.mark.parametrize(
    ("facts", "says", "remedy"),
    [
        ({"authorized": False}, "it has not accepted this computer's key", "accept the question for USB debugging"),
        ({"features": "cmd"}, "it is too old", "Android 7"),
    ],
)
def test_a_phone_that_can_not_be_used_has_a_remedy(plugged, facts, says, remedy):
    with pytest.raises(DeviceError, match=says) as e:
        transport.connect(plugged(**facts).serial).cache  # noqa: B018
    assert remedy in e.value.hint


def test_a_phone_that_is_not_there_or_offline_has_a_remedy(plugged):
    with pytest.raises(DeviceError, match=r"adb://R58M: can't connect: adb does not know it") as e:
        transport.connect("R58M").cache  # noqa: B018
    assert e.value.hint.endswith("that `adb devices` lists.")
    with pytest.raises(DeviceError, match="adb does not know it") as e:
        transport.connect("127.0.0.1:1").cache  # noqa: B018
    assert e.value.hint.endswith("over a network: adb connect 127.0.0.1:1.")
    phone = plugged()
    phone.unplug()
    end = time.monotonic() + 30
    while f"{phone.serial}\toffline" not in adb("devices") and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(DeviceError, match="it is offline") as e:
        transport.connect(phone.serial).cache  # noqa: B018
    assert f"adb disconnect {phone.serial} && adb connect {phone.serial}" in e.value.hint


def test_without_adb_it_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DeviceError, match="adb://R58M: can't start adb: No such file") as e:
        transport.connect("R58M").cache  # noqa: B018
    assert "apt install adb" in e.value.hint


@pytest.mark.parametrize("serial", ["", "-s", "a b", "a\n", "a;b", "$(x)", "a/b"])
def test_what_can_be_no_serial_number_is_refused(serial):
    with pytest.raises(EdgekdError, match="is no serial number"):
        connect(f"adb://{serial}")


@pytest.mark.parametrize(
    "serial", ["R58M123ABC", "emulator-5554", "192.168.1.5:5555", "[fe80::1%eth0]:5555", "adb-1._adb-tls-connect._tcp"]
)
def test_serial_numbers_of_all_kinds(serial):
    assert connect(f"adb://{serial}").url == f"adb://{serial}"


def test_a_phone_whose_storage_is_full_is_reported(plugged, tmp_path):
    phone = plugged()
    df = phone.phone.folder / "bin" / "df"
    df.unlink()
    df.write_text("#!/bin/sh\necho Filesystem\necho x 1 1 100 1% /\n")
    df.chmod(0o755)
    (tmp_path / "model.onnx").write_bytes(bytes(200_000))
    with pytest.raises(DeviceError, match=r"its disk is full: 0.2 MB are to be sent, 0.1 MB are free"):
        pushing(transport.connect(phone.serial), tmp_path / "model.onnx")


def test_its_own_python_is_used_where_it_has_the_runtime(plugged, cache):
    phone = plugged()
    fake = phone.phone.folder / "bin" / "python3"
    fake.write_text(f'#!/bin/sh\n[ "$1" = -c ] && echo "3.9 onnxruntime" || exec {shutil.which("python3")} "$@"\n')
    fake.chmod(0o755)
    assert [*transport.connect(phone.serial).python(["onnxruntime"])] == [str(fake)]
