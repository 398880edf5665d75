"""The lease on a device, as the host holds it: one measurement at a time on each device.

A process on the device, the keeper, holds it (`agent/lease.py`), and the host renews it. So neither a host that is
killed or suspended nor a connection that breaks leaves a lease behind. The keeper takes the lease once and holds it
until it ends: an answer to a renewal proves that nobody else has had it since.
"""

import getpass
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgekd.devices.agent.protocol import Holder, Leased
from edgekd.devices.client import Agent
from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.visible import visible
from edgekd.worker import WorkerError

EXPIRES_S = 60.0
"""How long a lease outlives its last renewal."""

_RENEWALS = 6  # within that time
_POLL_S = 1.0
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Waiting:
    """What is done while somebody else holds the lease."""

    longest_s: float = 0
    """How long it is waited for; infinite: as long as it takes."""
    note: Callable[[str], None] = lambda text: None
    """Called with whom it is waited for, whenever that changes, and with what else is worth a line of the device."""


NO_WAITING = Waiting()


class Lease:
    """The lease on one device, for one host; threads of the host share it.

    Args:
        start: starts an agent on the device, the keeper. Raises DeviceError.
        title: the device, for messages.
        waiting: for others that hold it.
        expires_s: how long it outlives its last renewal.
    """

    def __init__(
        self, start: Callable[[], Agent], title: str, waiting: Waiting = NO_WAITING, expires_s: float = EXPIRES_S
    ) -> None:
        self._start, self._title, self._waiting, self._expires_s = start, title, waiting, expires_s
        self._lock = threading.RLock()  # of all that follows, and of what the keeper is asked
        self._keeper: Agent | None = None
        self._depth = 0
        self._lost = ""
        self._ended = threading.Event()  # of the renewals
        self._closing = threading.Event()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lease within the block, which may hold it again.

        Raises:
            DeviceError: somebody else holds it, for longer than is waited, or the device can't be reached.
            MeasurementError: it was lost: what the block gave doesn't count.
        """
        with self._lock:
            if not self._depth:
                self._take()
            self._depth += 1
        try:
            try:
                yield
            except UnsupportedModelError:  # a verdict on a model, as numbers are
                self._confirm()
                raise
            self._confirm()
        finally:
            with self._lock:
                self._depth -= 1
                if not self._depth:
                    self._give_back()

    def require(self) -> None:
        """Raises MeasurementError where the lease was taken and is known to be lost."""
        if self._depth and self._lost:
            hint = "Somebody else may have used the device meanwhile, so nothing is concluded. Run the command again."
            raise MeasurementError(f"{self._title}: the lease on the device was lost: {self._lost}", hint)

    def close(self) -> None:
        """End the keeper, and with it the lease; who waits for it waits no longer."""
        self._closing.set()
        with self._lock:
            self._ended.set()
            self._end_keeper()
            self._closing.clear()

    def _take(self) -> None:
        deadline, told = time.monotonic() + self._waiting.longest_s, ""
        while True:
            leased = self._acquire()
            if leased.mine:
                break
            left = deadline - time.monotonic()
            if leased.holder is not None:
                self._require_time(left, leased.holder)
                if leased.holder.who != told:
                    told = leased.holder.who
                    self._waiting.note(f"waiting for {self._title}: {in_use(leased.holder)}")
            if self._closing.wait(min(_POLL_S, max(left, 0))):
                raise DeviceError(f"{self._title}: closed while waiting for it")
        self._lost, self._ended = "", threading.Event()
        threading.Thread(target=self._renew_until, args=(self._ended,), daemon=True).start()

    def _require_time(self, left: float, holder: Holder) -> None:
        if left > 0:
            return
        try:
            self._asked_keeper().release()  # it would end by itself, but later
        except (WorkerError, MeasurementError):
            self._end_keeper()
        hint = "Wait for the device with --wait MINUTES; --wait inf waits as long as it takes."
        raise DeviceError(f"{self._title}: {in_use(holder)}", hint)

    def _acquire(self) -> Leased:
        """The keeper's answer; a keeper that ended since it was last used is started again."""
        known = self._keeper is not None
        try:
            return self._asked_keeper().acquire(_who(), self._expires_s)
        except (WorkerError, MeasurementError) as e:
            self._end_keeper()
            if isinstance(e, WorkerError) and e.kind == "error":
                raise DeviceError(f"{self._title}: the lease on the device can't be taken: {e}", e.hint) from e
            if known:
                return self._acquire()
            if isinstance(e, MeasurementError):
                raise
            raise DeviceError(f"{self._title}: the agent does not answer: {e}", "Try again.") from e

    def _asked_keeper(self) -> Agent:
        if self._keeper is None:
            self._keeper = self._start()
        return self._keeper

    def _confirm(self) -> None:
        """Raises MeasurementError unless the keeper has held the lease from the beginning until now."""
        self._renew()
        self.require()

    def _renew(self) -> None:
        with self._lock:
            if self._lost or self._keeper is None:
                self._lost = self._lost or "the device was closed"
                return
            try:
                self._keeper.renew(self._expires_s)
            except (WorkerError, MeasurementError) as e:
                self._lost = str(e)
                self._end_keeper()

    def _renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(self._expires_s / _RENEWALS):
            with self._lock:
                if not ended.is_set():
                    self._renew()

    def _give_back(self) -> None:
        self._ended.set()
        if self._keeper is None:
            return
        try:
            self._keeper.release()
        except (WorkerError, MeasurementError):  # without its keeper nothing is held
            self._end_keeper()

    def _end_keeper(self) -> None:
        ended, self._keeper = self._keeper, None
        if ended:
            ended.close()


def in_use(holder: Holder) -> str:
    """Who holds a lease since when, by the clock of this machine."""
    by = f"in use by {visible(holder.who[:_LONGEST_NAME])}"
    if holder.held_s is None:
        return by
    since = time.strftime("%H:%M", time.localtime(time.time() - holder.held_s))
    return f"{by}, since {since} ({_lasting(holder.held_s)})"


def _lasting(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _who() -> str:
    """The user, this machine and this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"user {os.getuid()}"
    return f"{user}@{socket.gethostname()}, pid {os.getpid()}"
