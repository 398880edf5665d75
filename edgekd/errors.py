"""The errors that edgekd raises, and their exit codes.

EdgekdError                  2   wrong usage or configuration, with the remedy as `hint`
├── UnsupportedModelError    2   this model can't be loaded, pruned, exported or run
│   └── PruningProcessError  2   the process that prunes it ended, or exceeded its limits
├── StorageError             2   a file can't be read or written
├── NoDeviceError            3   there is no device of the target's kind to measure on
├── MeasurementError         4   the measurement is invalid
│   └── ConnectionLostError  4   the device was lost while it measured
└── DeviceError              5   the device can't be reached, or is in use
    ├── DiskFullError        5   it has no room for what is to be sent
    └── NoPythonError        5   it has no Python that runs edgekd's agent

A missed budget is a verdict, not an error.
"""

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the `edgekd` command; CI branches on them."""

    PASS = 0
    OVER_BUDGET = 1
    USAGE = 2
    INCONCLUSIVE = 3
    INVALID = 4
    UNREACHABLE = 5
    BUG = 70


WORST_FIRST = (
    ExitCode.OVER_BUDGET,  # whatever the other devices say, the model doesn't fit
    ExitCode.USAGE,
    ExitCode.UNREACHABLE,
    ExitCode.INVALID,
    ExitCode.INCONCLUSIVE,
    ExitCode.PASS,
)
"""The exit codes of several devices: that of the command is the first of these that one of them has."""


def worst(codes: Iterable[int]) -> ExitCode:
    """The exit code of a command by those of its devices."""
    found = set(codes)
    return next((code for code in WORST_FIRST if code in found), ExitCode.PASS)


class EdgekdError(Exception):
    """A failure that the user can fix: what happened, and the remedy."""

    exit_code = ExitCode.USAGE

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UnsupportedModelError(EdgekdError):
    """The model can't be loaded, pruned, exported or run as asked."""


class PruningProcessError(UnsupportedModelError):
    """The process that prunes the model ended, or exceeded its time or memory: another day it may not."""


class StorageError(EdgekdError):
    """A file can't be read or written."""


class NoDeviceError(EdgekdError):
    """No device of the target's kind is there to measure on."""

    exit_code = ExitCode.INCONCLUSIVE


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out; PyTorch says so by a RuntimeError."""
    words = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error).lower() for each in words)
    )


class MeasurementError(EdgekdError):
    """The measurement is invalid: it doesn't describe the device."""

    exit_code = ExitCode.INVALID


class ConnectionLostError(MeasurementError):
    """The connection to the device was lost while it measured."""


class DeviceError(EdgekdError):
    """The device can't be reached, is in use by somebody else, or what should run there can't be started."""

    exit_code = ExitCode.UNREACHABLE


class DiskFullError(DeviceError):
    """The device has no room for what is to be sent."""


class NoPythonError(DeviceError):
    """The device has no Python of its own that can run edgekd's agent."""
