"""What an artifact is opened with: its inputs, where they are placed, and the CPUs it may use."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edgekd.devices.agent import fitting, inputs, protocol, stored
else:  # on a device this folder is all there is
    import fitting
    import inputs
    import stored


class NoAcceleratorError(ValueError):
    """Transfers can't be left out where there are none. `hint` is the remedy."""

    hint = "Leave --no-transfers out: there is nothing to exclude."


class UnusableCpusError(ValueError):
    """CPUs that the device doesn't have, with a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


def feeds_of(taken: Sequence[Mapping[str, Any]], feeds: protocol.Feeds) -> dict[str, Any]:
    """The artifact's inputs: the values in a file on the device, or random ones of the given shapes and batch."""
    if feeds.file:
        return stored.file_feeds(taken, feeds.file)
    return inputs.random_feeds(taken, batch=feeds.batch, seed=feeds.seed, shapes=feeds.shapes)


def shapes_of(taken: Sequence[Mapping[str, Any]], feeds: protocol.Feeds) -> dict[str, tuple[int, ...]]:
    """The shape of each input as `feeds_of` feeds it."""
    if feeds.file:
        return {name: tuple(values.shape) for name, values in stored.file_feeds(taken, feeds.file).items()}
    return {name: tuple(shape) for name, shape in fitting.complete(taken, feeds.batch, feeds.shapes).items()}


def computing(session: Any, feeds: Mapping[str, Any]) -> Callable[[Any], None]:
    """Inference on inputs that lie in the accelerator's memory already."""
    if not hasattr(session, "compute"):
        raise NoAcceleratorError(f"{session.provider} has no accelerator with memory of its own")
    session.place(feeds)
    return lambda _: session.compute()


def pin(cpus: tuple[int, ...]) -> None:
    """Run this process and its future threads only on these CPUs."""
    if not hasattr(os, "sched_setaffinity"):
        raise ValueError("CPU affinity is not supported on this system")
    usable = sorted(os.sched_getaffinity(0))
    with contextlib.suppress(OSError):  # it knows none of them; it silently leaves out those that it doesn't know
        os.sched_setaffinity(0, cpus)
        if os.sched_getaffinity(0) == set(cpus):
            return
    raise UnusableCpusError(f"can't run on CPUs {list(cpus)}", f"Give --affinity some of these CPUs: {usable}.")
