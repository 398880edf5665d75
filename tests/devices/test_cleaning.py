import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sshd import serving

from edgekd.devices import cleaning
from edgekd.devices.device import connect
from edgekd.devices.transports import local
from edgekd.errors import DeviceError, DiskFullError, ExitCode

FULL = """#!/bin/sh
echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'
echo '/dev/sda 1 1 2 99% /'
"""


@pytest.fixture
def filled(sshd):
    """A device's cache folder with all that may be in it; what isn't the device's is a teacher of a host."""
    for name in ("files/abc/model.onnx", "partial/host.1/x", "engines/key", "teachers/keep"):
        (sshd.cache / name).parent.mkdir(parents=True, exist_ok=True)
        (sshd.cache / name).write_bytes(os.urandom(200_000))
    yield sshd.cache
    shutil.rmtree(sshd.cache)


def clean(*urls):
    line = [sys.executable, "-m", "edgekd", "devices", "clean", *urls]
    return subprocess.run(line, capture_output=True, text=True, check=False)


def test_only_what_edgekd_keeps_on_a_device_is_removed(sshd, filled):
    done = clean(sshd.url)
    assert done.returncode == 0, done.stderr
    assert f"{sshd.url}: " in done.stdout
    assert float(done.stdout.rpartition(": ")[2].partition(" ")[0]) >= 0.6
    assert [one.name for one in filled.iterdir()] == ["teachers"]
    with connect(sshd.url) as device:  # and what is needed is sent again
        assert device.facts.runtimes


def test_it_can_be_used_again_by_the_same_device(sshd, filled):
    with connect(sshd.url) as device:
        assert device.facts
        assert device.clean() > 600_000
        device.start("onnxruntime").close()


def test_a_device_that_was_cleaned_by_another_is_filled_again(sshd, filled):
    with connect(sshd.url) as device:
        assert device.facts
        shutil.rmtree(sshd.cache / "files")
        with pytest.raises(DeviceError, match="was removed there meanwhile"):
            device.start("onnxruntime")
        device.start("onnxruntime").close()


def test_a_device_in_use_is_not_cleaned(sshd, filled):
    with connect(sshd.url) as other, other.leased():
        done = clean(sshd.url)
    assert done.returncode == ExitCode.UNREACHABLE
    assert "in use by" in done.stderr
    assert (filled / "engines/key").exists()


def test_one_that_fails_keeps_no_other_from_being_cleaned(sshd, filled):
    done = clean("local:/no/such/python", sshd.url)
    assert done.returncode == ExitCode.UNREACHABLE
    assert "/no/such/python" in done.stderr
    assert f"{sshd.url}: " in done.stdout
    assert not (filled / "engines").exists()


@pytest.fixture
def without_python(tmp_path, monkeypatch):
    """A device that has no Python and no `du`, and something of edgekd's; there is no bundle for it here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "path"
    path.mkdir()
    for name in ("cat", "mkdir", "uname", "rm", "df", "grep", "sh"):
        (path / name).symlink_to(shutil.which(name))
    with serving(tmp_path, env={"PATH": str(path)}) as server:
        program = server.cache / "files/abc/program"
        program.parent.mkdir(parents=True)
        shutil.copy(shutil.which("sleep"), program)
        yield program


def test_a_device_without_python_is_cleaned_and_sent_nothing(without_python):
    done = clean("ssh://device")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ssh://device: removed (of unknown size, since the device has no du)\n"
    assert not without_python.exists()
    assert not without_python.parent.parent.exists()


def test_a_device_without_python_is_not_cleaned_while_edgekd_runs_there(without_python):
    with subprocess.Popen([without_python, "60"]) as running:
        done = clean("ssh://device")
        running.kill()
    assert done.returncode == ExitCode.UNREACHABLE
    assert "edgekd is running there" in done.stderr
    assert without_python.exists()


def test_no_bundle_is_sent_to_be_removed(without_python, monkeypatch):
    asked = []
    monkeypatch.setattr("edgekd.devices.bundle.manifest.read", lambda folder: asked.append(folder))
    with connect("ssh://device") as device:
        assert device.clean() is None
    assert not asked


def test_a_full_disk_can_be_cleaned(tmp_path):
    with serving(tmp_path) as server:
        (server.root / "path").mkdir()
        (server.root / "path/df").write_text(FULL)
        (server.root / "path/df").chmod(0o755)
    with serving(tmp_path, env={"PATH": f"{tmp_path / 'path'}:{os.environ['PATH']}"}) as server:
        large = server.cache / "files/abc/large"
        large.parent.mkdir(parents=True)
        large.write_bytes(os.urandom(500_000))
        with connect(server.url) as device:
            with pytest.raises(DiskFullError):
                _ = device.facts
            assert device.clean() > 500_000
        assert not large.exists()


def test_this_machine_is_cleaned_as_well(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cleaning.remove(local.connect("")) == 0
    (tmp_path / "edgekd/engines").mkdir(parents=True)
    (tmp_path / "edgekd/engines/one").write_bytes(os.urandom(100_000))
    assert cleaning.remove(local.connect("")) >= 100_000
    assert not (tmp_path / "edgekd/engines").exists()


def test_what_cannot_be_removed_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "edgekd/engines").mkdir(parents=True)
    (tmp_path / "rm").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "rm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(DeviceError, match=r"^this machine: can't be cleaned: some of it") as e:
        cleaning.remove(local.connect(""))
    assert "~/.cache/edgekd" in e.value.hint
    assert Path(tmp_path / "edgekd/engines").exists()


@pytest.mark.parametrize("says", ['{"kilobytes": 1e999}', '{"kilobytes": []}', "{}", "[]", '{"kilobytes": NaN}'])
def test_a_device_that_gives_no_number_was_not_cleaned(says):
    class Lying(local.Local):
        def start(self, command):
            return super().start(["echo", says])

    with pytest.raises(DeviceError, match="can't be cleaned"):
        cleaning.remove(Lying("lying:", ""))
