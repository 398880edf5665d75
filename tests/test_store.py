import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgekd import sources
from edgekd.errors import StorageError
from edgekd.store import Store, cache_folder, fingerprint, remembered
from edgekd.values import Accuracy, Value


class Count(Value):
    n: int


def test_a_stage_is_built_once_and_then_found(tmp_path):
    built = []

    def build(folder):
        built.append(folder)
        (folder / "weights").write_text("w")
        return Count(n=3)

    store = Store(tmp_path)
    first, found = store.stage("s", {"a": 1}, Count, build)
    again, found_again = store.stage("s", {"a": 1}, Count, build)
    assert (first, found) == (Count(n=3), False)
    assert (again, found_again) == (Count(n=3), True)
    [weights] = tmp_path.glob("stages/s-*/weights")
    assert weights.read_text() == "w"
    assert len(built) == 1


def test_changed_inputs_are_another_stage(tmp_path):
    store = Store(tmp_path)
    one, _ = store.stage("s", {"a": 1}, Count, lambda _: Count(n=1))
    two, found = store.stage("s", {"a": 2}, Count, lambda _: Count(n=2))
    assert (one.n, two.n, found) == (1, 2, False)


def test_what_other_code_built_is_built_again(tmp_path, monkeypatch):
    store = Store(tmp_path)
    one, _ = store.stage("s", {"a": 1}, Count, lambda _: Count(n=1))
    monkeypatch.setattr(sources, "digest", lambda: "of an edited checkout")
    two, found = store.stage("s", {"a": 1}, Count, lambda _: Count(n=2))
    assert (one.n, two.n, found) == (1, 2, False)


def test_fingerprint_ignores_the_order_of_keys_but_not_values():
    value = Accuracy(correct=1, images=2, dataset="d", split="val")
    assert fingerprint({"a": 1, "b": value}) == fingerprint({"b": value, "a": 1})
    assert fingerprint({"a": 1, "b": value}) != fingerprint({"a": 1, "b": value.model_copy(update={"correct": 2})})


def test_a_stage_that_fails_leaves_its_partial_folder_for_the_next_try(tmp_path):
    store = Store(tmp_path)

    def fails(folder):
        (folder / "checkpoint").write_text("epoch 3")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.stage("s", {}, Count, fails)
    seen = []

    def goes_on(folder):
        seen.append((folder / "checkpoint").read_text())
        return Count(n=1)

    assert store.stage("s", {}, Count, goes_on)[1] is False
    assert seen == ["epoch 3"]


def test_a_process_killed_in_a_stage_loses_nothing_that_was_finished(tmp_path):
    script = textwrap.dedent("""
        import sys, time
        from pathlib import Path
        from edgekd.values import Value
        from edgekd.store import Store
        class Count(Value):
            n: int
        store = Store(Path(sys.argv[1]))
        store.stage("first", {}, Count, lambda folder: Count(n=1))
        def slow(folder):
            (folder / "half").write_text("half")
            print("in", flush=True)
            time.sleep(60)
        store.stage("second", {}, Count, slow)
    """)
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "in\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    store = Store(tmp_path)

    def never(folder):
        raise AssertionError("the first stage was finished")

    assert store.stage("first", {}, Count, never)[0] == Count(n=1)
    assert store.stage("second", {}, Count, lambda folder: Count(n=2))[0] == Count(n=2)


def test_a_damaged_result_is_built_again(tmp_path):
    store = Store(tmp_path)
    store.stage("s", {}, Count, lambda _: Count(n=1))
    [folder] = tmp_path.glob("stages/s-*")
    (folder / "result.json").write_text('{"n": "trunc')
    assert store.stage("s", {}, Count, lambda _: Count(n=2))[0] == Count(n=2)
    assert store.stage("s", {}, Count, lambda _: Count(n=3))[0] == Count(n=2)


def _hold(root, held):
    with Store(root).lock():
        held.set()
        time.sleep(30)


def test_a_second_edgekd_in_the_same_folder_is_refused(tmp_path):
    context = multiprocessing.get_context("spawn")
    held = context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held))
    other.start()
    try:
        assert held.wait(20)
        with pytest.raises(StorageError, match="another edgekd"), Store(tmp_path).lock():
            pass
    finally:
        other.kill()
        other.join()
    with Store(tmp_path).lock():  # a killed one leaves no lock behind
        pass


def test_who_waits_for_a_stage_of_another_one_hears_of_it(tmp_path):
    store, notes, begun, may_end = Store(tmp_path), [], threading.Event(), threading.Event()

    def slow(folder):
        begun.set()
        assert may_end.wait(20)
        return Count(n=1)

    def note(text):
        notes.append(text)
        may_end.set()  # not before it is said

    with ThreadPoolExecutor() as pool:
        first = pool.submit(store.stage, "s", {}, Count, slow)
        assert begun.wait(20)
        try:
            assert store.stage("s", {}, Count, lambda _: Count(n=2), note) == (Count(n=1), True)
        finally:
            may_end.set()
        assert first.result() == (Count(n=1), False)
    assert notes == ["s is being made by another edgekd: waiting for it"]
    store.stage("s", {}, Count, slow, note)
    assert len(notes) == 1


def test_a_run_directory_is_made_with_the_folders_above_it(tmp_path):
    with Store(tmp_path / "some" / "where").lock():
        assert (tmp_path / "some" / "where").is_dir()


def test_a_full_disk_is_reported_as_such(tmp_path):
    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    from edgekd.files import writing

    with pytest.raises(StorageError, match="No space left"), writing(tmp_path):
        full(tmp_path)


def test_a_file_in_the_place_of_the_run_directory_is_reported(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(StorageError, match="run"), Store(tmp_path / "run").lock():
        pass


def test_a_timed_decision_is_taken_once(tmp_path):
    path = tmp_path / "d.json"
    assert remembered(path, Count, lambda: Count(n=1)) == Count(n=1)
    assert remembered(path, Count, lambda: Count(n=2)) == Count(n=1)


def test_the_cache_folder_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "some" / "where"))
    assert cache_folder() == tmp_path / "some" / "where"
    monkeypatch.delenv("EDGEKD_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "edgekd"


def test_a_cache_folder_that_was_named_and_cannot_be_written_is_reported(monkeypatch):
    monkeypatch.setenv("EDGEKD_CACHE", "/dev/null/cache")
    with pytest.raises(StorageError, match=r"\$EDGEKD_CACHE: /dev/null/cache can't be written") as e:
        cache_folder()
    assert e.value.hint


def test_a_home_that_cannot_be_written_is_reported_and_done_without(monkeypatch, tmp_path):
    monkeypatch.delenv("EDGEKD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = []
    folder = cache_folder(told.append)
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    (said,) = told
    assert said.startswith(f"/dev/null/edgekd can't be written: results to share are kept in {folder};")
    assert cache_folder() == folder
    # a folder that somebody else made there isn't trusted
    folder.rmdir()
    folder.symlink_to(tmp_path)
    assert cache_folder() not in (folder, tmp_path)


@pytest.mark.parametrize("other", [-1, 1])
def test_a_folder_that_another_user_owns_is_not_trusted(monkeypatch, tmp_path, other):
    user = os.getuid() + other
    monkeypatch.delenv("EDGEKD_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "getuid", lambda: user)
    assert cache_folder() != tmp_path / f"edgekd-cache-{user}"


@pytest.mark.skipif(not hasattr(os, "setuid") or os.getuid() != 0, reason="only root can be another user")
def test_a_user_without_a_home_has_a_cache_folder():
    code = """
import os
from edgekd.data.locations import bases
from edgekd.store import cache_folder
os.setuid(12345)  # nobody's
print(cache_folder(print))
print(bases(None))
"""
    with tempfile.TemporaryDirectory() as anybodys:
        Path(anybodys).chmod(0o777)
        kept = {"PATH": os.environ["PATH"], "TMPDIR": anybodys}
        command = [sys.executable, "-c", code]
        found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=kept)
    assert "there is no home folder: results to share are kept in" in found.stdout
    assert "edgekd-cache-12345/data" in found.stdout
