"""What ONNX's, ONNX Runtime's and our own passes raise for graphs that are new to them, as one kind of error."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from edgekd.errors import EdgekdError, UnsupportedModelError


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Within the block, whatever a graph makes passes raise becomes an UnsupportedModelError that begins with `what`,
    and what they log below errors is not shown. EdgekdError and OSError stay what they are.
    """
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    except (EdgekdError, OSError):
        raise
    # asserts, broadcasts, look-ups and conversions of several libraries: any kind may come
    except Exception as e:
        reason = " ".join(f"{type(e).__name__}: {e}".split())
        raise UnsupportedModelError(f"{what}: {reason[:300]}") from e
    finally:
        logging.disable(level)
