import subprocess
import sys

from edgekd.devices._base import AGENT

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
