"""Agents that lie, to see that nothing of what they say is used."""

import sys
import zlib
from pathlib import Path

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


_PYTHON = """#!{python}
import json, os, subprocess, sys
if sys.argv[1] == "-c":
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
agent = subprocess.Popen([{python!r}, *sys.argv[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
said, asked = sys.stdout.buffer, []
for line in iter(sys.stdin.buffer.readline, b""):
    agent.stdin.write(line)
    if line.startswith(b"#"):
        agent.stdin.write(sys.stdin.buffer.read(int(line[1:])))
        continue
    agent.stdin.flush()
    asked.append(json.loads(line)["do"])
    line, frame = agent.stdout.readline(), b""
    if line.startswith(b"#"):
        frame, line = line + agent.stdout.read(int(line[1:])), agent.stdout.readline()
    answer = json.loads(line)
    if asked[-1] == {about!r}:
        {lie}
    said.write(frame + json.dumps(answer).encode() + b"\\n")
    said.flush()
agent.stdin.close()
agent.wait()
"""


def lying_python(path: Path, about: str, lie: str, python: Path | str = sys.executable) -> Path:
    """Writes an interpreter that runs the agent and changes what it answers to one request.

    Args:
        path: where.
        about: the request's name.
        lie: a statement that changes `answer`, a dictionary, or writes to `said`.
        python: what really runs the agent.
    """
    path.write_text(_PYTHON.format(python=str(python), about=about, lie=lie))
    path.chmod(0o755)
    return path
