"""What may fail without ending a study."""

from collections.abc import Callable
from typing import TypeVar

from edgekd.errors import EdgekdError, StorageError

T = TypeVar("T")


def outcome(make: Callable[[], T]) -> T | Exception:
    """What this makes, or the error that it ends in.

    Raises:
        StorageError: a full disk would stop everything else as well.
    """
    try:
        return make()
    except StorageError:
        raise
    except Exception as e:  # a night's other cells are worth more than the place where a bug shows
        return e


def value_of(found: T | Exception) -> T:
    """What was made; raises the error in its place."""
    if isinstance(found, Exception):
        raise found
    return found


def message(error: Exception) -> str:
    """An error, with its remedy, in a line of a table."""
    if isinstance(error, EdgekdError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    return f"{type(error).__name__}: {error}"
