import filecmp
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sshd import Cutting, assert_no_clients, assert_nothing_left, serving

from edgekd import catalog
from edgekd.devices.device import connect
from edgekd.devices.transports import _master, _posix
from edgekd.errors import DeviceError, ExitCode, MeasurementError
from edgekd.measuring.artifact import describe
from edgekd.pipeline.profile import profile
from edgekd.progress import Silent
from edgekd.values import MeasuringProtocol

SHORT = MeasuringProtocol(launches=1, seconds=0.1, block_seconds=0.02, warmup_seconds=0.1)


@pytest.fixture
def device(sshd):
    with connect(sshd.url) as found:
        yield found
    assert_nothing_left(sshd)


def test_models_are_measured_over_ssh(sshd, model):
    first, second = model("first"), model("second", channels=4, external=True)
    target = catalog.target("x86-cpu")
    found = profile([first, second], target=target, device_url=sshd.url, protocol=SHORT, progress=Silent())
    assert [one.device for one in found] == [sshd.url] * 2
    assert all(one.on_target and one.launches[0].blocks_ms for one in found)
    assert_nothing_left(sshd)
    assert_no_clients(sshd)


def test_the_device_needs_nothing_of_edgekds_own(sshd, device):
    with device._connection.start([str(sshd.python), "-c", IMPORTS]) as worker:
        assert worker.receive(30) == {"torch": False, "typer": False, "pydantic": False, "onnxruntime": True}


IMPORTS = """
import json, importlib.util
names = ("torch", "typer", "pydantic", "onnxruntime")
print(json.dumps({name: importlib.util.find_spec(name) is not None for name in names}))
"""


def test_outputs_are_the_same_as_here(device, model):
    artifact = describe(model(batch=1), name="n", runtime="onnxruntime")
    images = np.random.default_rng(0).standard_normal((3, 3, 8, 8)).astype("float32")
    with connect("local:") as here:
        (expected,), (found,) = (list(one.evaluate(artifact, [images])) for one in (here, device))
    np.testing.assert_array_equal(found, expected)


def test_what_the_device_has_is_not_sent_again(sshd, device, tmp_path):
    (tmp_path / "a.bin").write_bytes(b"1" * 100_000)
    there = Path(device.push([tmp_path / "a.bin"]))
    assert there.read_bytes() == b"1" * 100_000
    written, sessions = there.stat().st_mtime_ns, sshd.log.count("Starting session")
    assert Path(device.push([tmp_path / "a.bin"])) == there
    assert sshd.log.count("Starting session") == sessions
    with connect(sshd.url) as again:
        assert Path(again.push([tmp_path / "a.bin"])) == there
    assert there.stat().st_mtime_ns == written
    assert sshd.log.count("Starting session") == sessions + 1


ODD = ["a b", "it's", 'say "hi"', "naïve ü 日本", "back\\slash", "$HOME `x`", "new\nline", "-rf", "~", "*", "a;b&c|d"]


@pytest.fixture(params=["sh", "fish", "tcsh", "bash", "dash"])
def shell(request):
    """A login shell, by its name."""
    found = shutil.which(request.param)
    return found or pytest.skip(f"no {request.param} here")


def test_odd_names_arrive_whatever_the_login_shell(shell, tmp_path):
    folder = tmp_path / "from here"
    (folder / "in a 'folder").mkdir(parents=True)
    paths = [folder / name for name in ODD] + [folder / "in a 'folder" / "x"]
    for number, path in enumerate(paths):
        path.write_text(str(number))
    forced = {"ForceCommand": f'exec {shell} -c "$SSH_ORIGINAL_COMMAND"'}
    with serving(tmp_path / "sshd", options=forced) as server:
        odd = server.root / "py 'ü $x"
        odd.symlink_to(server.root / "venv")
        with connect(f"ssh://device{odd}/bin/python") as device:
            there = Path(device.push(paths)).parent
            assert {one.relative_to(there): one.read_text() for one in there.rglob("*") if one.is_file()} == {
                path.relative_to(folder): path.read_text() for path in paths
            }
            assert device.facts.runtimes.keys() == {"onnxruntime"}
            for number, name in enumerate(ODD):
                device.fetch(str(there / name), tmp_path / "back")
                assert (tmp_path / "back").read_text() == str(number)


def test_a_link_is_sent_as_the_file_that_it_leads_to(device, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/real").write_text("content")
    (tmp_path / "model.onnx").symlink_to("elsewhere/real")
    there = Path(device.push([tmp_path / "model.onnx"]))
    assert there.name == "model.onnx"
    assert not there.is_symlink()
    assert there.read_text() == "content"


def test_what_an_interrupted_push_left_is_removed_by_the_next(sshd, device, tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    host = os.uname().nodename
    left = sshd.cache / "partial" / f"{host}.{gone.pid}"
    used = sshd.cache / "partial" / f"{host}.{os.getpid()}"
    elsewhere = sshd.cache / "partial" / f"other-host.{gone.pid}"
    for folder in (left, used, elsewhere):
        folder.mkdir(parents=True)
    (tmp_path / "file").write_text(str(time.time()))
    device.push([tmp_path / "file"])
    assert not left.exists()
    assert used.exists()
    assert elsewhere.exists()
    used.rmdir()
    elsewhere.rmdir()


def test_two_pushes_of_the_same_at_once(sshd, tmp_path):
    (tmp_path / "file").write_bytes(os.urandom(3_000_000))
    with ExitStack() as stack, ThreadPoolExecutor(4) as pool:
        devices = [stack.enter_context(connect(sshd.url)) for _ in range(4)]
        for device in devices:
            device._connection.python([])  # each is connected before one sends
        there = {one.result() for one in [pool.submit(device.push, [tmp_path / "file"]) for device in devices]}
    (found,) = there
    assert Path(found).read_bytes() == (tmp_path / "file").read_bytes()
    assert [one.name for one in Path(found).parent.iterdir()] == ["file"]
    assert_nothing_left(sshd)


PUSH = """
import resource, sys
from pathlib import Path
from edgekd.devices.device import connect
with connect(sys.argv[1]) as device:
    _ = device._connection.cache
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    device.push([Path(sys.argv[2])])
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_file_is_streamed_both_ways(sshd, tmp_path):
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(100_000_000)
    done = subprocess.run([sys.executable, "-c", PUSH, sshd.url, large], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 20_000  # kB
    with connect(sshd.url) as device:
        there = device.push([large])
        device.fetch(there, tmp_path / "back")
    assert filecmp.cmp(large, tmp_path / "back", shallow=False)
    shutil.rmtree(Path(there).parent)


def test_more_programs_at_once_than_a_connection_carries(sshd, device):
    with ExitStack() as stack:
        echo = [str(sshd.python), "-c", "print('{}', flush=True); input()"]
        workers = [stack.enter_context(device._connection.start(echo)) for _ in range(12)]
        assert [worker.receive(60) for worker in workers] == [{}] * 12
        assert len(device._connection._masters) == 2


def test_many_connections_at_once_to_a_server_that_limits_them(tmp_path, monkeypatch):
    monkeypatch.setattr(_master, "_ATTEMPTS", 12)  # a busy machine greets slowly, and so drops more of them
    with serving(tmp_path, options={"MaxStartups": "2:90:3"}) as server, ExitStack() as stack:
        devices = [stack.enter_context(connect(server.url)) for _ in range(8)]
        with ThreadPoolExecutor(8) as pool:
            found = [pool.submit(device._connection.python, ["onnxruntime"]) for device in devices]
            assert {tuple(one.result()) for one in found} == {(str(server.python),)}
        assert "drop connection" in server.log


def test_a_jump_host(sshd):
    config = sshd.root / "config"
    before = config.read_text()
    config.write_text(before + f"Host behind\n  HostName 127.0.0.1\n  Port {sshd.port}\n  ProxyJump device\n")
    try:
        with connect(f"ssh://behind{sshd.python}") as device:
            assert device.facts.runtimes.keys() == {"onnxruntime"}
            assert len(sshd.connections()) == 2
    finally:
        config.write_text(before)
    assert_nothing_left(sshd)


def test_a_connection_that_breaks_in_the_middle_of_a_push(sshd, tmp_path):
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(3_000_000_000)

    def arriving():
        return any(one.stat().st_size > 10_000_000 for one in sshd.cache.glob("partial/*/*/large"))

    with connect(sshd.url) as device, Cutting(sshd, arriving), pytest.raises(DeviceError) as e:
        device._connection.push(tmp_path, {"large": "0" * 64}, "key")
    assert e.value.exit_code == ExitCode.UNREACHABLE
    assert re.search(
        r"can't send large \(3000\.0 MB\), after \d+\.\d MB: the connection to .* was lost", e.value.message
    )
    assert "try again" in e.value.hint
    assert not (sshd.cache / "files/key").exists()
    assert_nothing_left(sshd)


def test_a_connection_that_breaks_in_the_middle_of_a_measurement(sshd, model):
    target = catalog.target("x86-cpu")
    long = SHORT.model_copy(update={"seconds": 60.0})

    def measuring():
        return any(one.cpu_times().user > 1.5 for one in sshd.agents())

    with Cutting(sshd, measuring) as _, pytest.raises(MeasurementError) as e:
        profile([model()], target=target, device_url=sshd.url, protocol=long, progress=Silent())
    assert e.value.exit_code == ExitCode.INVALID
    assert f"model.onnx: not measured: the connection to {sshd.url} was lost" in e.value.message
    assert_nothing_left(sshd)
    # and no lease is left
    profile([model()], target=target, device_url=sshd.url, protocol=SHORT, progress=Silent())


def test_a_connection_that_breaks_in_the_middle_of_an_evaluation(sshd, model):
    artifact = describe(model(batch=1), name="n", runtime="onnxruntime")
    with connect(sshd.url) as device:
        batches = device.evaluate(artifact, [np.zeros((1, 3, 8, 8), np.float32)] * 1000)
        next(batches)
        sshd.cut()
        with pytest.raises(MeasurementError, match=r"model\.onnx: .* the connection to .* was lost"):
            list(batches)
        # the device is reached again when it is next needed
        assert [one.shape for one in device.evaluate(artifact, [np.zeros((1, 3, 8, 8), np.float32)])]
    assert_nothing_left(sshd)


def test_a_program_that_is_killed_is_no_broken_connection(sshd, device, model):
    artifact = describe(model(batch=1), name="n", runtime="onnxruntime")
    batches = device.evaluate(artifact, [np.zeros((1, 3, 8, 8), np.float32)] * 1000)
    next(batches)
    for agent in sshd.agents():
        agent.kill()
    with pytest.raises(MeasurementError, match="ended with exit code 137"):
        list(batches)


def cut(sshd, device):
    """Cut the connections of a device that is idle, and wait until it is noticed."""
    sshd.cut()
    for master in device._connection._masters:
        master.session._process.wait(10)


def test_a_device_that_was_restarted_meanwhile_is_reported_once(sshd, tmp_path, monkeypatch):
    boot = tmp_path / "boot_id"
    boot.write_text("first")
    monkeypatch.setattr(_posix, "_PROBE", _posix._PROBE.replace("/proc/sys/kernel/random/boot_id", str(boot)))
    with connect(sshd.url) as device:
        assert device.facts
        cut(sshd, device)
        device.start("onnxruntime").close()
        boot.write_text("second")
        cut(sshd, device)
        with pytest.raises(DeviceError, match="was restarted while it was in use"):
            device.start("onnxruntime")
        device.start("onnxruntime").close()


@pytest.fixture
def temporary():
    """A folder for temporary ones, whose path is short enough for the socket."""
    with tempfile.TemporaryDirectory(prefix="edgekd-test-") as folder:
        yield Path(folder)


RUNS = """
import sys
from edgekd.cli import main
sys.exit(main())
"""


@pytest.mark.parametrize(
    ("number", "more"),
    [(signal.SIGINT, []), (signal.SIGINT, ["--device", "local:"]), (signal.SIGTERM, []), (signal.SIGKILL, [])],
)
def test_nothing_is_left_on_either_side_however_a_command_ends(sshd, model, number, more, temporary):
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    options = ["--target", "x86-cpu", "--device", sshd.url, *more, "--launches", "1", "--seconds", "30"]
    line = [sys.executable, "-c", RUNS, "profile", model(), *options]
    env = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True, preexec_fn=heed, env=env) as command:
        end = time.monotonic() + 60
        while not sshd.agents() and time.monotonic() < end:
            time.sleep(0.05)
        command.send_signal(number)
        command.communicate()
    assert command.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert_nothing_left(sshd)
    assert_no_clients(sshd)
    if number != signal.SIGKILL:
        assert not [*temporary.glob("edgekd-*")]


def test_a_connection_that_is_never_closed_leaves_no_folder(sshd, temporary):
    """As of a thread that could not be unwound."""
    line = "from edgekd.devices.transports.ssh import connect; device = connect('device'); device.cache"
    env = {**os.environ, "TMPDIR": str(temporary)}
    subprocess.run([sys.executable, "-c", line], env=env, check=True)
    assert not [*temporary.iterdir()]
    assert_no_clients(sshd)


def test_the_connections_socket_is_private_and_goes_with_it(sshd):
    device = connect(sshd.url)
    assert device.facts
    (master,) = device._connection._masters
    assert stat.S_IMODE(master.folder.stat().st_mode) == 0o700
    assert (master.folder / "s").is_socket()
    device.close()
    assert not master.folder.exists()
    assert_nothing_left(sshd)
    assert_no_clients(sshd)


def test_a_long_or_odd_temporary_folder_is_not_used_for_the_socket(sshd, tmp_path, monkeypatch):
    for name in ("x" * 90, "50% $HOME"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
        with connect(sshd.url) as device:
            assert device._connection.cache == str(sshd.cache)
