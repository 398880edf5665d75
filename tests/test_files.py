import subprocess
import sys

import pytest

from edgekd import files
from edgekd.errors import StorageError


def test_text_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "a" / "f.txt"
    files.write_text(path, "one")
    files.write_text(path, "two")
    assert path.read_text() == "two"
    assert [p.name for p in path.parent.iterdir()] == ["f.txt"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/dev/full is Linux's")
def test_a_write_that_the_disk_refuses_leaves_the_old_file(tmp_path):
    # A real limit on the size of files stands in for a full disk
    script = """
import resource, signal, sys
from pathlib import Path
from edgekd import files
from edgekd.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    files.write_text(Path(sys.argv[1]), "x" * 5000)
except StorageError as e:
    print(e.message)
"""
    path = tmp_path / "f.txt"
    path.write_text("old")
    run = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert "f.txt" in run.stdout
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f.txt"]


def test_copy_gives_the_same_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"\0\1\2" * 1000)
    files.copy(tmp_path / "a", tmp_path / "sub" / "b")
    assert files.sha256(tmp_path / "sub" / "b") == files.sha256(tmp_path / "a")


def test_a_missing_folder_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError) as e:
        files.write_text(tmp_path / "file" / "below", "text")
    assert "below" in e.value.message
    assert e.value.hint


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a file is where its folder should be") as e:
        files.write_text(tmp_path / "file" / "x.json", "{}")
    assert "space" not in e.value.hint
