"""Agents that lie, to see that nothing of what they say is used."""

import sys
import zlib

from edgekd.devices.client import Agent
from edgekd.worker import Worker

_SCRIPT = """
import json, sys, zlib
answer = zlib.decompress({answer!r})
for line in iter(sys.stdin.buffer.readline, b""):
    if line.startswith(b"#"):
        sys.stdin.buffer.read(int(line[1:]))
        continue
    nonce = json.loads(line)["nonce"].encode()
    {also}
    sys.stdout.buffer.write(answer.replace(b"NONCE", nonce))
    sys.stdout.buffer.flush()
"""


def lying(answer: bytes | str, also: str = "pass") -> Agent:
    """An agent that gives that answer to each request, with the request's nonce for NONCE.

    Args:
        answer: what it writes to stdout.
        also: a statement of what it does before.
    """
    raw = answer if isinstance(answer, bytes) else answer.encode() + b"\n"
    script = _SCRIPT.format(answer=zlib.compress(raw), also=also)  # a command line has at most 128 kB
    return Agent(Worker([sys.executable, "-c", script]), "test:")
