import signal
import threading
import time

import pytest

from edgekd.devices.listed import Place
from edgekd.errors import DeviceError, EdgekdError, ExitCode, worst
from edgekd.pipeline.several import on_each, target_of
from edgekd.progress import Silent
from edgekd.values import Failure


def places(count):
    return [Place(f"d{number}", f"local:/{number}") for number in range(count)]


class Said(Silent):
    def __init__(self):
        self.lines, self.done = [], []

    def note(self, text):
        self.lines.append(text)

    def advance(self, done, total, detail=""):
        self.done.append((done, total, detail))


def test_all_work_at_once_and_answer_in_their_order():
    together = threading.Barrier(20, timeout=30)

    def work(place, progress):
        together.wait()
        return place.name

    assert on_each(places(20), work, Silent()) == [f"d{number}" for number in range(20)]


def test_one_that_fails_loses_no_other():
    def work(place, progress):
        if place.name == "d1":
            raise DeviceError("d1 is off", "Switch it on.")
        return place.name

    failed = Failure(message="d1 is off", hint="Switch it on.", exit_code=ExitCode.UNREACHABLE)
    assert on_each(places(3), work, Silent()) == ["d0", failed, "d2"]


def test_what_is_wrong_for_all_is_one_error():
    def work(place, progress):
        raise EdgekdError("no such file")

    with pytest.raises(EdgekdError, match="no such file"):
        on_each(places(3), work, Silent())


def test_a_bug_is_none_of_a_devices_failures():
    def work(place, progress):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        on_each(places(2), work, Silent())


def test_progress_says_of_which_device_and_how_far_all_are():
    said = Said()

    def work(place, progress):
        progress.stage("measure", "measuring")
        progress.note("launch 1 is repeated")
        progress.advance(1, 2, "launch 1")

    on_each(places(2), work, said)
    assert sorted(said.lines) == sorted(
        f"{name}: {text}" for name in ("d0", "d1") for text in ("measuring", "launch 1 is repeated")
    )
    assert [done for done, _, _ in said.done] == [50, 100]
    assert {total for _, total, _ in said.done} == {200}


def test_names_of_one_device_take_turns():
    """Both hold its lease alone, and another device doesn't wait for them."""
    same = [Place("a", "local:/x", "x86-cpu"), Place("other", "local:/y"), Place("b", "local:/x", "arm-cpu")]
    began, together = threading.Event(), threading.Barrier(2, timeout=30)

    def work(place, progress):
        if place.name == "b":
            began.set()
        else:
            together.wait()
        if place.name == "a":
            assert not began.wait(0.5)
            raise DeviceError("off")
        return place.name

    off = Failure(message="off", hint="", exit_code=ExitCode.UNREACHABLE)
    assert on_each(same, work, Silent()) == [off, "other", "b"]


def test_an_interrupted_command_unwinds_every_device_before_it_ends():
    ended, at_work = [], threading.Barrier(3, timeout=30)

    def work(place, progress):
        try:
            at_work.wait()
            while True:
                time.sleep(0.01)
        finally:
            ended.append(place.name)

    def interrupt():
        at_work.wait()
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            on_each(places(2), work, Silent())
    finally:
        signal.signal(signal.SIGINT, before)
    assert sorted(ended) == ["d0", "d1"]


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 3, 4, 5, 2, 1), 1), ((0, 3, 4, 5, 2), 2), ((0, 3, 4, 5), 5), ((3, 4), 4), ((0, 3), 3)]
)
def test_the_worst_exit_code_by_the_stated_order(codes, expected):
    assert worst(codes) == expected
    assert worst([]) == ExitCode.PASS


def test_a_target_is_stated_by_the_command_or_else_by_the_file():
    listed = Place("a", "local:", "x86-cpu")
    assert target_of(listed, None).name == "x86-cpu"
    assert target_of(listed, "android-phone").name == "android-phone"
    with pytest.raises(EdgekdError, match=r"^a in devices.toml: no target 'x86'"):
        target_of(Place("a", "local:", "x86"), None)
    with pytest.raises(EdgekdError, match=r"^b: no target"):
        target_of(Place("b", "local:"), None)
    with pytest.raises(EdgekdError, match=r"^this machine: no target"):
        target_of(Place("local:", "local:"), None)
