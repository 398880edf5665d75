import threading
import time

import pytest

from edgekd.devices.transports._session import Session
from edgekd.pipeline import threads
from edgekd.pipeline.threads import at_once, wait


def test_what_has_ended_is_left_alone():
    done = []
    with at_once([lambda: done.append(1), lambda: done.append(2)]) as started:
        wait(started, 30)
    assert sorted(done) == [1, 2]


def test_one_that_does_not_unwind_is_not_waited_for(monkeypatch):
    """It waits for the system, which no exception ends."""
    monkeypatch.setattr(threads, "_UNWINDING_S", 0.1)
    free, start = threading.Event(), time.monotonic()
    with at_once([lambda: free.wait(30)]):
        pass
    assert time.monotonic() - start < 20
    free.set()


def test_one_that_waits_for_a_device_that_says_nothing_is_stopped():
    """As while it connects."""
    waiting = threading.Event()

    def connect():
        with Session(["sleep", "60"]) as session:
            waiting.set()
            session.line(60)

    with at_once([connect]) as (work,):
        waiting.wait(30)
    assert work.ended.is_set()


def test_one_that_an_interrupt_meets_as_it_starts_is_unwound(monkeypatch):
    started, at_work, ended = threading.Thread.start, threading.Event(), threading.Event()

    def interrupted(self):
        started(self)
        at_work.wait(30)
        raise KeyboardInterrupt

    def work():
        try:
            at_work.set()
            while True:
                time.sleep(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), at_once([work]):
        pass
    assert ended.is_set()


def test_one_that_has_not_begun_does_not_begin(monkeypatch):
    started, begun = [], []

    def interrupted(self):
        started.append(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(threads, "_UNWINDING_S", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt), at_once([lambda: begun.append(1)]):
            pass
    started[0].start()
    started[0].join(30)
    assert not begun
