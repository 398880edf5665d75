import json
import shutil
import subprocess
import zipfile

import pytest
from bundles import ONNXRUNTIME, bundle, described

from edgekd.devices.bundle import make as making
from edgekd.devices.bundle import manifest
from edgekd.devices.bundle.make import Wanted, make
from edgekd.devices.bundle.wheels import download, unpack
from edgekd.errors import EdgekdError, StorageError
from edgekd.files import sha256
from edgekd.progress import Silent

SAYS = """
import json, sys, numpy, onnxruntime, ncnn, _hashlib
print(json.dumps([sys.path, sys.prefix, onnxruntime.__version__, sys.version_info[:2]]))
"""


@pytest.fixture
def no_network(monkeypatch):
    def fail(*_):
        raise AssertionError("it is made once more")

    monkeypatch.setattr(making.debian, "Apt", fail)


@pytest.mark.slow
def test_it_runs_without_anything_of_the_system():
    """Of this machine's architecture, so without an emulator; variables for other Pythons don't reach it."""
    folder = bundle("x86_64")
    made = manifest.read(folder)
    environment = {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere", "PATH": ""}
    ran = subprocess.run([*made.command(str(folder)), "-c", SAYS], env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    path, prefix, runtime, version = json.loads(ran.stdout)
    assert prefix == str(folder)
    assert all(one.startswith(str(folder)) for one in path)
    assert runtime == ONNXRUNTIME == made.runtimes["onnxruntime"]
    assert f"{version[0]}.{version[1]}" == made.python


@pytest.mark.slow
def test_its_manifest_lists_every_file_and_all_licences():
    folder = bundle("x86_64")
    made = manifest.read(folder)
    names = [name for name in made.files if sha256(folder / name) == made.files[name]]
    assert len(names) == len(made.files) > 1000
    assert made.bytes == sum((folder / name).stat().st_size for name in names)
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    parts = {part.name: part for part in (*made.packages, *made.wheels)}
    assert {"libc6", "libstdc++6", f"python{made.python}-minimal", "numpy", "onnxruntime", "ncnn"} <= parts.keys()
    assert "dpkg" not in parts  # what nothing needs isn't in it
    for part in parts.values():
        assert part.licence_files, part.name
        assert all((folder / name).stat().st_size > 100 for name in part.licence_files)
        assert len(part.sha256) == 64
    assert "License" in (folder / parts["libstdc++6"].licence_files[0]).read_text()
    assert (folder / "licences" / "common" / "GPL-3").is_file()
    assert parts["onnxruntime"].licence.startswith("MIT")


@pytest.mark.slow
def test_a_version_that_does_not_exist_is_reported(tmp_path):
    bundle("x86_64")  # else there is no network
    with pytest.raises(EdgekdError, match=r"can't get onnxruntime==99.0 for Python 3.11 on x86_64") as e:
        download(["onnxruntime==99.0"], arch="x86_64", python="3.11", glibc="2.36", into=tmp_path)
    assert "another --onnxruntime" in e.value.hint
    with pytest.raises(EdgekdError, match=r"can't get Debian's amd64 packages .* python3.99-minimal"):
        make(Wanted("x86_64", python="3.99"), Silent(), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def written(folder, **changes):
    folder.mkdir(parents=True)
    made = described(**changes)
    manifest.write(made, folder)
    return made


def test_one_that_is_there_is_not_made_again(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made = written(tmp_path / "edgekd" / "bundles" / "aarch64")
    for wanted in (Wanted("aarch64"), Wanted("aarch64", "3.11"), Wanted("aarch64", "3.11", "1.23.2")):
        assert make(wanted, Silent()) == (made, manifest.place("aarch64"))
    manifest.write(made.model_copy(update={"runtimes": {"onnxruntime": "1.23.2"}}), manifest.place("aarch64"))
    with pytest.raises(AssertionError, match="once more"):  # an earlier version of edgekd made it, without ncnn
        make(Wanted("aarch64"), Silent())
    manifest.write(made, manifest.place("aarch64"))
    for other in (Wanted("aarch64", "3.12"), Wanted("aarch64", onnxruntime="1.24.0")):
        with pytest.raises(AssertionError, match="once more"):
            make(other, Silent())
    assert manifest.read(manifest.place("aarch64")) == made  # it stays until another is whole


def test_a_new_one_takes_the_place_of_the_old(tmp_path):
    written(tmp_path / "aarch64")
    new = written(tmp_path / "new", python="3.12").model_copy(update={"python": "3.12"})
    manifest.replace(tmp_path / "aarch64", tmp_path / "new")
    assert manifest.read(tmp_path / "aarch64") == new
    assert [path.name for path in tmp_path.iterdir()] == ["aarch64"]


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (Wanted("aarch46"), "no bundle for 'aarch46'"),
        (Wanted("aarch64", python="3"), "'3' is no version of Python"),
        (Wanted("aarch64", python="3.4"), r"Python 3\.4 is older than 3\.8"),
        (Wanted("aarch64", python="3.11 --x"), "is no version of Python"),
    ],
)
def test_what_can_not_be_is_refused_before_anything_is_downloaded(tmp_path, no_network, wanted, says):
    with pytest.raises(EdgekdError, match=says):
        make(wanted, Silent(), tmp_path / "bundle")


def test_a_folder_of_something_else_is_kept(tmp_path, no_network):
    (tmp_path / "photos").mkdir()
    with pytest.raises(EdgekdError, match="photos exists and is no bundle"):
        make(Wanted("aarch64"), Silent(), tmp_path / "photos")
    (tmp_path / "photos" / "manifest.json").write_text("{}")
    with pytest.raises(StorageError, match=r"manifest.json: isn't the manifest of a bundle"):
        make(Wanted("aarch64"), Silent(), tmp_path / "photos")


def test_a_system_without_apt_gets_the_way_around(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(EdgekdError, match="this system has no apt-get and no dpkg-deb") as e:
        make(Wanted("aarch64"), Silent(), tmp_path / "bundle")
    assert "in a Debian container" in e.value.hint
    assert f"copy the folder aarch64 to {manifest.place('aarch64')}" in e.value.hint
    assert not (tmp_path / "bundle").exists()


def test_sources_that_can_not_be_read_are_reported(tmp_path, monkeypatch):
    if not shutil.which("apt-get"):
        pytest.skip("this system has no apt-get")
    (tmp_path / "sources.list").write_text(f"deb [trusted=yes] file:{tmp_path}/nowhere stable main\n")
    (tmp_path / "apt.conf").write_text(
        f'Dir::Etc::SourceList "{tmp_path}/sources.list";\nDir::Etc::SourceParts "{tmp_path}/none";\n'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(
        EdgekdError, match=r"can't get Debian's arm64 packages from this system's sources: apt-get update"
    ):
        make(Wanted("aarch64"), Silent(), tmp_path / "bundle")


def test_a_wheel_writes_nothing_outside_the_bundle(tmp_path):
    with zipfile.ZipFile(tmp_path / "evil.whl", "w") as archive:
        archive.writestr("evil-1.dist-info/METADATA", "Name: evil\nVersion: 1\nLicense: MIT\n")
        archive.writestr("../../../../evil.py", "")
        archive.writestr("evil/tests/test_evil.py", "")
    part = unpack(tmp_path / "evil.whl", tmp_path / "bundle")
    assert (part.name, part.version, part.licence) == ("evil", "1", "MIT")
    found = {path.name for path in (tmp_path / "bundle").rglob("*") if path.is_file()}
    assert found == {"METADATA", "evil.py"}
    assert {path.name for path in tmp_path.iterdir()} == {"bundle", "evil.whl"}
