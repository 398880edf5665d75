"""What edgekd logs, shown to whoever asked for it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_LONGEST = 400  # characters of a detail: a command may hold a script


class _Telling(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self._say(f"  {text[:_LONGEST]}{' …' if len(text) > _LONGEST else ''}")


@contextmanager
def told(say: Callable[[str], None]) -> Iterator[None]:
    """Within this context the details of the library are said."""
    logger, telling = logging.getLogger("edgekd"), _Telling(say)
    level, propagates = logger.level, logger.propagate
    logger.addHandler(telling)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(telling)
        logger.setLevel(level)
        logger.propagate = propagates
