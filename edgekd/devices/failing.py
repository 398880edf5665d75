"""What it means that an agent failed."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from edgekd.errors import DeviceError, MeasurementError, UnsupportedModelError
from edgekd.values import Artifact
from edgekd.worker import WorkerError

_SENT = re.compile(r"[^\s'\"]*/files/[0-9a-f]{64}/")


def reported(error: WorkerError) -> str:
    """An agent's words, in which files that were sent have the names that the user knows."""
    return _SENT.sub("", str(error))


@contextmanager
def answering(device: str) -> Iterator[None]:
    """Raises DeviceError if the agent of the device, called so in messages, fails, hangs or ends."""
    try:
        yield
    except WorkerError as e:
        raise DeviceError(f"{device}: the agent does not answer: {e}", e.hint or "Try again.") from e


@contextmanager
def running(artifact: Artifact, what: str) -> Iterator[None]:
    """Raises an error if the agent fails.

    Raises:
        UnsupportedModelError: the runtime rejects the artifact.
        DeviceError: the device is at fault, such as its disk.
        MeasurementError: the runtime crashed or hung.
    """
    try:
        yield
    except WorkerError as e:
        if e.kind == "error":
            hint = f"Export it with operators that {artifact.runtime} supports; check that the file is complete."
            message = f"{artifact.file}: {artifact.runtime} can't {what} it: {reported(e)}"
            if e.answer.get("fault") == "device":
                raise DeviceError(message, e.hint) from e
            raise UnsupportedModelError(message, e.hint or hint) from e
        hint = "Check the device's memory and temperature, then retry."
        message = f"{artifact.file}: {artifact.runtime} failed to {what} it: {reported(e)}"
        raise MeasurementError(message, e.hint or hint) from e
