"""A device with an address of its own, whose network goes away: a network namespace with a real ssh server in it."""

import os
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sshd import Sshd, assert_no_clients, assert_nothing_left, serving, true

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.devices.transports import _master
from edgekd.errors import DeviceError, ExitCode, MeasurementError
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

pytestmark = pytest.mark.slow  # TCP tries again after seconds

LONG = MeasuringProtocol(launches=1, seconds=60, block_seconds=0.02, warmup_seconds=0.1)


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True)


@dataclass(frozen=True)
class Network:
    """A server in a namespace, behind a link."""

    server: Sshd
    namespace: str
    link: str
    addresses: str
    """The first three numbers of those that are here."""

    def switch(self, state):
        """Take the device's end of the link up or down."""
        assert not ip("-n", self.namespace, "link", "set", f"{self.link}d", state).stderr

    @contextmanager
    def down_once(self, condition):
        """The link goes down when a condition holds, and is up again at the end."""
        thread = threading.Thread(target=lambda: holds(condition) and self.switch("down"))
        thread.start()
        try:
            yield
        finally:
            thread.join()
            self.switch("up")


def holds(condition, seconds=60):
    """Whether a condition comes true within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true(condition):
            return True
        time.sleep(0.02)
    return False


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    number = os.getpid()
    name, link, net = f"edgekd-{number}", f"ekd{number}", f"10.213.{number % 256}"
    try:
        made = ip("netns", "add", name)
    except FileNotFoundError:
        pytest.skip("no program `ip` here: apt install iproute2")
    if made.returncode:
        pytest.skip(f"no network namespace can be made here: {made.stderr.strip()}")
    try:
        steps = [
            ("link", "add", f"{link}h", "type", "veth", "peer", "name", f"{link}d", "netns", name),
            ("address", "add", f"{net}.1/24", "dev", f"{link}h"),
            ("link", "set", f"{link}h", "up"),
            ("-n", name, "address", "add", f"{net}.2/24", "dev", f"{link}d"),
            ("-n", name, "link", "set", f"{link}d", "up"),
        ]
        for step in steps:
            if (done := ip(*step)).returncode:
                pytest.skip(f"no link to a network namespace can be made here: {done.stderr.strip()}")
        root, within = tmp_path_factory.mktemp("sshd"), ("ip", "netns", "exec", name)
        with serving(root, address=f"{net}.2", within=within) as server:
            yield Network(server, name, link, net)
    finally:
        ip("link", "delete", f"{link}h")
        ip("netns", "delete", name)


@pytest.fixture
def impatient(monkeypatch):
    """A silent server is given up after three seconds, not fifteen."""
    options = ["ServerAliveInterval=1" if one.startswith("ServerAliveInterval") else one for one in _master._OPTIONS]
    assert options != _master._OPTIONS
    monkeypatch.setattr(_master, "_OPTIONS", options)


def test_a_network_that_goes_away_in_the_middle_of_a_measurement(network, impatient, model):
    server, target = network.server, catalog.target("x86-cpu")

    def measuring():
        return any(one.cpu_times().user > 1.5 for one in server.agents())

    with network.down_once(measuring):
        with pytest.raises(MeasurementError) as e:
            profile([model()], target=target, device_url=server.url, protocol=LONG, progress=Silent())
        assert e.value.exit_code == ExitCode.INVALID
        assert f"model.onnx: not measured: the connection to {server.url} was lost" in e.value.message
        assert e.value.hint == "Check its power and its network, then try again."
        assert_no_clients(server)
        assert server.agents()  # nobody has told the device
    assert holds(lambda: not server.programs(), 30)
    assert_nothing_left(server)
    with connect(server.url) as device:
        assert device.holder() is None


def test_a_push_into_a_network_that_goes_away(network, impatient, tmp_path):
    server, large = network.server, tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(3_000_000_000)

    def arriving():
        return any(one.stat().st_size > 10_000_000 for one in server.cache.glob("partial/*/*/large"))

    with connect(server.url) as device, network.down_once(arriving), pytest.raises(DeviceError, match="was lost") as e:
        device._connection.push(tmp_path, {"large": "0" * 64}, "key")
    assert "can't send large (3000.0 MB), after " in e.value.message
    assert holds(lambda: not server.programs(), 30)
    assert_nothing_left(server)
    assert not (server.cache / "files/key").exists()


def test_an_address_that_nobody_has(network):
    url = f"ssh://{network.addresses}.9"
    with connect(url) as device, pytest.raises(DeviceError) as e:
        _ = device.facts
    assert e.value.message == f"{url}: can't connect: there is no route to it"
    assert e.value.exit_code == ExitCode.UNREACHABLE
