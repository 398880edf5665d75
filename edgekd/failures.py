"""From what a command raises to a message on stderr and its exit code."""

import errno
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

import edgekd
from edgekd import console
from edgekd.errors import EdgekdError, ExitCode, StorageError, is_out_of_memory
from edgekd.signals import Interrupted, unwinding

_SIGNALLED = 128  # with the signal's number, as shells say it
_INTERRUPTED = _SIGNALLED + 2
_NOBODY_READS = _SIGNALLED + 13
_UNWRITABLE = (errno.ENOSPC, errno.EACCES, errno.EPERM, errno.EROFS, errno.EDQUOT, errno.EFBIG)
_REMEDIES = {
    **dict.fromkeys(_UNWRITABLE, "Free some space, or use another folder."),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR), "Use another path."),
    **dict.fromkeys(
        (errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        "The system refused it: check its disk, its memory and its limits (ulimit -a).",
    ),
}

# whether typer brings its own click or uses the installed one depends on its version
_UsageError: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def run(command: Callable[[], Any]) -> int:
    """The exit code of a command; what it raises is reported on stderr, and a terminating signal unwinds it."""
    with unwinding() as received:
        code = _run(command, received)
    return _SIGNALLED + received[-1] if received else code


def _run(command: Callable[[], Any], received: Sequence[int]) -> int:
    try:
        code = command()
        sys.stdout.flush()
        return _reported(KeyboardInterrupt(), received) if code == _INTERRUPTED else int(code or 0)
    except SystemExit as e:
        return _exited(e)
    except (KeyboardInterrupt, Interrupted, Exception) as e:
        code = _reported(e, received)
        for line in getattr(e, "__notes__", ()):
            console.note(line)
        return code


def _reported(e: BaseException, received: Sequence[int]) -> int:
    if isinstance(e, OSError):
        return _system_refused(e)
    if isinstance(e, Exception):
        return _failed(e)
    console.note("terminated" if received else "interrupted")
    return _INTERRUPTED


def _failed(e: Exception) -> int:
    if isinstance(e, EdgekdError):
        console.error(e)
        return e.exit_code
    if is_out_of_memory(e):
        hint = "Free some, use smaller images or models, or a lower batch_size in the recipe's [teacher] and [recover]."
        console.error(StorageError("not enough memory", hint))
        return ExitCode.USAGE
    if isinstance(e, _UsageError):
        e.show()  # type: ignore[attr-defined]
        return ExitCode.USAGE
    # the last resort: an unforeseen error is a bug, never a verdict
    console.bug(e, _log(e))
    return ExitCode.BUG


def _exited(e: SystemExit) -> int:
    if "_EDGEKD_COMPLETE" in os.environ:  # a shell's completion
        return e.code if isinstance(e.code, int) else ExitCode.PASS
    # typer turns a closed pipe into exit code 1, which is a broken budget here
    return _NOBODY_READS if isinstance(e.__context__, BrokenPipeError) else ExitCode.BUG


def _system_refused(e: OSError) -> int:
    if isinstance(e, BrokenPipeError) or e.errno in _UNWRITABLE:
        _drop_output()
    if isinstance(e, BrokenPipeError):
        return _NOBODY_READS
    if e.errno in _REMEDIES:
        where = f"{e.filename}: " if e.filename else "can't write: " if e.errno in _UNWRITABLE else ""
        console.error(StorageError(f"{where}{e.strerror}", _REMEDIES[e.errno]))
        return ExitCode.USAGE
    console.bug(e, _log(e))
    return ExitCode.BUG


def _drop_output() -> None:
    """Drop what stdout still holds: Python would try to write it at exit, and exit with 120."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _log(e: Exception) -> Path | None:
    """Write what a bug report needs to a new file, or to stderr if no file can be written."""
    lines = [
        f"edgekd {edgekd.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"{time.strftime('%Y-%m-%d %H:%M:%S')}: {sys.argv}",
        *traceback.format_exception(e),
    ]
    try:
        with tempfile.NamedTemporaryFile("w", prefix="edgekd-", suffix=".log", delete=False, encoding="utf-8") as file:
            file.write("\n".join(lines))
    except OSError:
        console.note("\n".join(lines))
        return None
    return Path(file.name)
