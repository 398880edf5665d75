import hashlib
import os
import subprocess
import sys
import threading
import time

import pytest


@pytest.fixture
def busy():
    """Another program that wants the CPU that this process runs on, and no other."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    with subprocess.Popen([sys.executable, "-c", "print(flush=True)\nwhile True: pass"], stdout=-1) as process:
        process.stdout.readline()
        yield
        process.kill()
    os.sched_setaffinity(0, before)


def compute(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def test_beside_another_program_a_thread_waits_for_about_half_of_the_time(busy):
    import waiting

    before = waiting.waited_ns()
    compute(0.5)
    assert 100 < waiting.longest_ms(before, waiting.waited_ns()) < 500


def test_a_thread_that_sleeps_does_not_wait(busy):
    import waiting

    before = waiting.waited_ns()
    time.sleep(0.5)
    assert waiting.longest_ms(before, waiting.waited_ns()) < 50


def test_the_thread_that_waited_longest_counts_and_new_ones_from_their_first_count():
    import waiting

    assert waiting.longest_ms({"1": 10_000_000, "2": 5}, {"1": 12_000_000, "2": 8, "3": 90_000_000}) == 2
    assert waiting.longest_ms({}, {}) is None


def test_it_is_waited_for_threads_that_run():
    import waiting

    running = threading.Thread(target=hashlib.sha256, args=(bytes(100_000_000),))  # it needs no lock of Python's
    running.start()
    waiting.until_idle()
    running.join(0.02)
    assert not running.is_alive()


def test_it_is_not_waited_for_threads_that_sleep_nor_for_ever(monkeypatch):
    import waiting

    sleeping = threading.Thread(target=time.sleep, args=(1,))
    sleeping.start()
    start = time.monotonic()
    waiting.until_idle()
    assert time.monotonic() - start < 0.3
    sleeping.join()
    monkeypatch.setattr(waiting, "_states", lambda: {"0": "R"})
    waiting.until_idle()


@pytest.mark.parametrize("text", [None, "", "1"])
def test_a_system_that_does_not_count_it_says_nothing(system, text, tmp_path):
    import waiting

    if text is not None:
        file = tmp_path / "proc/self/task/1/schedstat"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    assert waiting.waited_ns() == {}
