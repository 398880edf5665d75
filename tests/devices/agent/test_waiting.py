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

    waits = []
    for _ in range(3):  # others may take the CPU when it wakes up
        before = waiting.waited_ns()
        time.sleep(0.5)
        waits.append(waiting.longest_ms(before, waiting.waited_ns()))
    assert min(waits) < 50


def test_the_thread_that_waited_longest_counts_and_new_ones_from_their_first_count():
    import waiting

    assert waiting.longest_ms({"1": 10_000_000, "2": 5}, {"1": 12_000_000, "2": 8, "3": 90_000_000}) == 2
    assert waiting.longest_ms({}, {}) is None


def test_it_is_waited_for_threads_that_run(monkeypatch):
    import waiting

    monkeypatch.setattr(waiting, "_PATIENCE_S", 60)  # the thread may get little of the CPU
    seen, used = threading.Event(), []

    def run():
        hashlib.sha256(bytes(100_000_000))  # it needs no lock of Python's
        used.append(time.thread_time())
        seen.wait()

    running = threading.Thread(target=run)
    running.start()
    clock = time.pthread_getcpuclockid(running.ident)
    while time.clock_gettime(clock) < 0.01:  # until it runs
        time.sleep(0.001)
    waiting.until_idle()
    so_far = time.clock_gettime(clock)
    seen.set()
    running.join()
    assert so_far > 0.95 * used[0]


def test_it_is_not_waited_for_threads_that_sleep_nor_for_ever(monkeypatch):
    import waiting

    monkeypatch.setattr(waiting, "_PATIENCE_S", 60)
    seen = threading.Event()
    sleeping = threading.Thread(target=seen.wait)
    sleeping.start()
    start = time.monotonic()
    waiting.until_idle()
    assert time.monotonic() - start < 20
    seen.set()
    sleeping.join()
    monkeypatch.setattr(waiting, "_PATIENCE_S", 0.5)
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
