import errno
import os
import subprocess
import sys
from pathlib import Path

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


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EACCES, "can be written"), (errno.EROFS, "can be written"), (errno.ENOSPC, "Free some space")],
)
def test_the_remedy_is_that_of_what_the_system_says(tmp_path, number, remedy):
    with pytest.raises(StorageError) as e, files.writing(tmp_path / "file"):
        raise OSError(number, os.strerror(number))
    assert remedy in e.value.hint


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_what_cant_be_written_is_found_out_before_the_work(tmp_path, pipe):
    (tmp_path / "file").touch()
    for fine in (tmp_path / "file", tmp_path / "new" / "folder" / "file", pipe, Path("/dev/null")):
        files.require_writable(fine)
    with pytest.raises(StorageError, match="is a folder, not a file"):
        files.require_writable(tmp_path)
    with pytest.raises(StorageError, match="can't be written"):
        files.require_writable(tmp_path / "file" / "inside")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "pipe"}
    with pytest.raises(StorageError, match=r"/proc/x.json: can't be written: No such file") as e:
        files.require_writable(Path("/proc/x.json"))
    assert e.value.hint == "Use a folder that can be written."


def test_pipes_devices_and_folders_are_not_read(tmp_path, pipe):
    for path, says in ((pipe, "a pipe"), (Path(os.devnull), "a device"), (tmp_path, "a folder")):
        for read in (lambda p: files.read_text(p, hint="Give one.", at_most=10), files.sha256):
            with pytest.raises(StorageError, match=f"{path.name}: is {says}, not a file"):
                read(path)
    for path in (tmp_path / "missing", tmp_path / "a\0b"):
        with pytest.raises(StorageError) as e:
            files.read_text(path, hint="Give one.", at_most=10)
        assert e.value.hint == "Give one."


def test_texts_come_without_a_byte_order_mark_and_are_not_endless(tmp_path):
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbftext")
    assert files.read_text(path, hint="", at_most=10) == "text"
    with pytest.raises(StorageError, match="is longer than"):
        files.read_text(path, hint="", at_most=6)
    path.write_bytes("text".encode("utf-16"))
    with pytest.raises(StorageError, match="isn't UTF-8 text") as e:
        files.read_text(path, hint="", at_most=99)
    assert "save it as UTF-8" in e.value.hint


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path):
    there, link = tmp_path / "there", tmp_path / "link"
    there.write_text("old")
    link.symlink_to(there)
    files.write_text(link, "new")
    assert link.is_symlink()
    assert there.read_text() == "new"


def test_a_pipe_gets_what_is_written_and_stays_one(pipe):
    with pytest.raises(StorageError, match="pipe"):  # nobody reads
        files.write_text(pipe, "text")
    with os.fdopen(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK), "rb") as reader:
        files.write_text(pipe, "text")
        assert reader.read() == b"text"
    assert pipe.is_fifo()


def test_the_longest_names_and_any_bytes_can_be_written(tmp_path):
    path = tmp_path / ("n" * 255)
    files.write_text(path, b"class \xff".decode(errors="surrogateescape"))
    assert path.read_text() == "class \\udcff"
