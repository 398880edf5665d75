import shutil

import numpy as np
import pytest
from bundles import ONNXRUNTIME, bundle, described
from sshd import serving

from edgekd import catalog
from edgekd.devices.bundle import fallback, manifest
from edgekd.devices.device import connect
from edgekd.devices.lease import Waiting
from edgekd.devices.pythons import Python
from edgekd.errors import DeviceError
from edgekd.measuring.artifact import describe

IMAGES = np.zeros((3, 3, 8, 8), "float32")
OLD, BARE, WHOLE = (
    Python("/old", (3, 6), ("onnxruntime",)),
    Python("/bare", (3, 11)),
    Python("/whole", (3, 9), ("onnxruntime",)),
)


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Puts a bundle for arm64 in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def make():
        found = described(files={"lib/x": "0"})
        manifest.place("aarch64").mkdir(parents=True)
        manifest.write(found, manifest.place("aarch64"))

    return make


def chosen(*found, runtimes=("tensorrt", "onnxruntime"), arch="aarch64", named=None):
    pushed = []

    def push(folder, hashes, key):
        pushed.append((folder, dict(hashes), key))
        return "/there"

    command = fallback.python("ssh://pi", found, runtimes, arch=arch, push=push, named=named)
    assert pushed == ([] if len(command) == 1 else [(manifest.place("aarch64"), {"lib/x": "0"}, "k")])
    return [*command]


BUNDLE = ["/there/lib/ld-linux-aarch64.so.1", "--library-path", "/there/lib", "/there/bin/python3.11", "-I"]


def test_the_devices_own_python_is_used_where_it_has_a_runtime(made):
    made()
    assert chosen(BARE, WHOLE) == ["/whole"]
    assert chosen(OLD, BARE, named="/bare") == ["/bare"]


def test_the_bundle_is_used_where_it_has_none(made):
    made()
    assert chosen() == chosen(OLD) == chosen(BARE) == BUNDLE


def test_a_bundle_without_the_runtime_is_of_no_use(made):
    made()
    assert chosen(BARE, runtimes=["tensorrt"]) == ["/bare"]
    assert chosen(BARE, arch="riscv64") == ["/bare"]
    with pytest.raises(DeviceError) as e:
        chosen(arch="riscv64")
    assert "bundle" not in e.value.hint


def test_what_makes_it_is_named_where_it_is_needed(made):
    assert chosen(BARE) == ["/bare"]  # its agent starts, and says what is missing
    for found in ((), (OLD,)):
        with pytest.raises(DeviceError, match=r"edgekd needs 3\.8 or newer") as e:
            chosen(*found)
        assert e.value.hint.endswith("edgekd devices bundle --arch aarch64")


def test_a_board_without_python_runs_the_bundle_over_ssh(tmp_path, monkeypatch, model):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = manifest.place("x86_64")
    folder.parent.mkdir(parents=True)
    folder.symlink_to(bundle("x86_64"))
    (tmp_path / "path").mkdir()
    for name in ("cat", "mkdir", "uname", "rm", "df", "tar", "sha256sum", "sync", "mv", "sh"):
        (tmp_path / "path" / name).symlink_to(shutil.which(name))
    notes = []
    with serving(tmp_path / "board", env={"PATH": str(tmp_path / "path")}) as server:
        # as if it had been sent before: a phone of the tests gets it in full
        shutil.copytree(folder, server.cache / "files" / manifest.read(folder).key)
        waiting = Waiting(0, notes.append)
        with connect("ssh://device", catalog.target("x86-cpu"), waiting=waiting) as device:
            artifact = describe(model(batch=1), name="m", runtime="onnxruntime")
            assert next(iter(device.evaluate(artifact, [IMAGES]))).shape[0] == len(IMAGES)
            assert device.facts.runtimes["onnxruntime"].version == ONNXRUNTIME
    assert any("it runs edgekd's bundle" in note for note in notes)
