"""The agent of a device that evaluates artifacts."""

import threading

from edgekd.devices.client import Agent
from edgekd.devices.starting import Agents


class Evaluating:
    """At most one agent is open, and it is reused for the next artifact of its runtime.

    Args:
        agents: starts it.
    """

    def __init__(self, agents: Agents) -> None:
        self._agents = agents
        self._open: tuple[str, Agent] | None = None
        self._lock = threading.RLock()

    def agent(self, runtime: str) -> Agent:
        """The agent with that runtime, started if there is none. Raises DeviceError."""
        with self._lock:
            if self._open and self._open[0] == runtime:
                return self._open[1]
            self.close()
            self._open = (runtime, self._agents.start([runtime]))
            return self._open[1]

    def close(self) -> None:
        """Close it."""
        with self._lock:
            ended, self._open = self._open, None
        if ended:
            ended[1].close()
