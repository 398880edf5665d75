"""This machine. `local:` runs the agent in edgekd's own Python, `local:/path/to/python` in another one."""

import sys
from dataclasses import dataclass
from pathlib import Path

from edgekd.devices._base import AGENT, runtime_file, start_agent
from edgekd.devices.client import Agent
from edgekd.files import require_utf8
from edgekd.visible import visible


@dataclass(frozen=True)
class Local:
    """This machine as a device; see `_base.Device`."""

    url: str
    python: str

    def put(self, path: Path) -> str:
        """Files are readable where they are.

        A link isn't followed: a runtime looks for a model's data beside the link, and so do its hash and its size.
        """
        there = str(path.absolute())
        require_utf8("a runtime can't open it", there)
        return there

    def start(self, runtime: str) -> Agent:
        """A fresh agent process with that runtime, ready for requests."""
        return start_agent([self.python, str(AGENT), "--runtime", str(runtime_file(runtime))], self.url)


def connect(where: str) -> Local:
    """This machine, with the Python at `where` or, if that is empty, edgekd's own."""
    return Local(url=visible(f"local:{where}"), python=where or sys.executable)
