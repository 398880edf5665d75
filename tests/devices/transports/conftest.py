"""Phones for the real adb; see tests/devices/adbd.py."""

import time

import psutil
import pytest
from adbd import Adbd, Phone, adb, adb_server, missing


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """An adb server; the test is skipped where there is none."""
    if missing():
        pytest.skip(missing())
    with adb_server(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture
def plugged(server, tmp_path):
    """Makes phones that adb knows, of this machine's architecture."""
    opened = []

    def plug(name="phone", **facts):
        served = Adbd(Phone(tmp_path / name, **{"machine": "x86_64", **facts}))
        opened.append(served)
        adb("connect", served.serial)
        return served

    yield plug
    for one in opened:
        adb("disconnect", one.serial)
        one.__exit__()
        end = time.monotonic() + 10
        while (left := programs(one.phone)) and time.monotonic() < end:
            time.sleep(0.05)
        assert not left


def programs(phone):
    """The command lines of what runs on it."""
    found = [process.info["cmdline"] or () for process in psutil.process_iter(["cmdline"])]
    return [line for line in found if str(phone.folder) in " ".join(line)]
