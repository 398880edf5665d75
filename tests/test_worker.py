import sys

import pytest

from edgekd.worker import Worker, WorkerError

ECHO = """
import json, sys
for line in sys.stdin:
    print(json.dumps({"got": json.loads(line)}), flush=True)
"""


def worker(code, **limits):
    return Worker([sys.executable, "-c", code], **limits)


def test_each_request_has_its_answer():
    with worker(ECHO) as child:
        assert child.ask({"a": 1}, 20) == {"got": {"a": 1}}
        assert child.ask({"b": [2]}, 20) == {"got": {"b": [2]}}


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("import sys; sys.exit('the error')", "crashed", "the error"),
        ("import os; os.abort()", "crashed", "signal 6"),
        ("import time; time.sleep(60)", "timeout", "1 s"),
        ("print('not json', flush=True); input(); input()", "garbled", "not json"),
        ('print(\'{"error": "no such model"}\', flush=True); input(); input()', "error", "no such model"),
    ],
)
def test_a_child_that_fails_is_distinguished(code, kind, says):
    with worker(code) as child, pytest.raises(WorkerError, match=says) as e:
        child.ask({}, 1 if kind == "timeout" else 20)
    assert e.value.kind == kind


def test_a_child_that_eats_memory_is_killed():
    code = "import time\nheld = []\nwhile True:\n    held.append(bytearray(20_000_000)); time.sleep(0.02)"
    with worker(code, memory_bytes=200e6) as child, pytest.raises(WorkerError, match="memory") as e:
        child.ask({}, 60)
    assert e.value.kind == "memory"


def test_a_child_never_outlives_the_block():
    import psutil

    with worker("import time; time.sleep(600)") as child:
        pid = child._process.pid
        with pytest.raises(WorkerError):
            child.ask({}, 0.5)
    assert not psutil.pid_exists(pid)


FRAMES = """
import sys
for line in iter(sys.stdin.buffer.readline, b""):
    frame = sys.stdin.buffer.read(int(line[1:])) if line.startswith(b"#") else b""
    line = sys.stdin.buffer.readline() if frame else line
    sys.stdout.buffer.write(b"#%d\\n" % len(frame) + frame[::-1] if frame else b"")
    print('{"bytes": %d}' % len(frame), flush=True)
"""


def test_a_frame_goes_before_its_message_in_both_directions():
    with worker(FRAMES) as child:
        for frame in (b"one\n#3\n{}", bytes(range(256)) * 4_000):  # more than a pipe holds
            child.send({}, frame)
            assert child.receive_framed(20) == ({"bytes": len(frame)}, frame[::-1])
        assert child.ask({}, 20) == {"bytes": 0}


@pytest.mark.parametrize("claims", ["#99999999999999999999", "#-3", "#x"])
def test_a_frame_of_no_size_or_of_more_than_memory_is_garbled(claims):
    with worker(f"print({claims!r}, flush=True); input()") as child, pytest.raises(WorkerError, match="#") as e:
        child.receive(20)
    assert e.value.kind == "garbled"


def test_a_child_that_stops_reading_is_killed():
    with worker("import time; time.sleep(60)") as child, pytest.raises(WorkerError) as e:
        child.send({}, bytes(10_000_000), timeout_s=0.5)
    assert (e.value.kind, str(e.value)) == ("timeout", "did not read the request within 0.5 s")
