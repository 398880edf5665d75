import subprocess
import sys

from edgekd.devices.shipped import AGENT

BUSY = """
import sys, time
sys.path.insert(0, sys.argv[1])
import host
for line in host.requests():
    print(line, flush=True)
    while line == "busy":
        pass
print("in order")
"""


def started():
    command = [sys.executable, "-c", BUSY, str(AGENT)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_each_line_is_a_request_and_the_end_is_in_order():
    with started() as child:
        out, _ = child.communicate("one\ntwö\n", timeout=20)
    assert (child.returncode, out) == (0, "one\ntwö\nin order\n")


def test_what_is_computed_for_nobody_is_given_up():
    with started() as child:
        out, _ = child.communicate("busy\n", timeout=20)
    assert (child.returncode, out) == (1, "busy\n")


FRAMED = """
import sys
sys.path.insert(0, sys.argv[1])
import host
for line, frame in host.framed():
    print(line, len(frame), sum(frame) % 251, flush=True)
"""


def test_frames_come_with_the_line_after_them():
    frames = [b"", b"\n#1\n", bytes(range(251)) * 20_000]
    sent = b"".join(b"#%d\n%sline\n" % (len(frame), frame) for frame in frames) + b"last\n"
    out = subprocess.run([sys.executable, "-c", FRAMED, str(AGENT)], input=sent, capture_output=True, check=True).stdout
    assert out.decode().splitlines() == [*(f"line {len(f)} {sum(f) % 251}" for f in frames), "last 0 0"]
