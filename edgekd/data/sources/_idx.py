"""The IDX format of MNIST (Y. LeCun, http://yann.lecun.com/exdb/mnist/, "file formats"), for unsigned bytes."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import StorageError


def read_idx(path: Path) -> NDArray[np.uint8]:
    """The array of an IDX file, plain or gzip.

    Raises:
        StorageError: the file can't be read, is damaged or isn't IDX of unsigned bytes.
    """
    hint = "Copy or download the file again."
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as e:
        raise StorageError(f"{path}: truncated or damaged: {e}", hint) from e
    except OSError as e:
        raise StorageError(f"{path}: can't be read: {e.strerror or e}", "Check the file and its permissions.") from e
    # two zero bytes, 8 for unsigned bytes, the number of axes, their sizes as big-endian words, the values
    if len(data) < 8 or data[:3] != b"\0\0\x08" or data[3] == 0:
        raise StorageError(f"{path}: not an IDX file of bytes", hint)
    start = 4 + 4 * data[3]
    sizes = np.frombuffer(data[4:start], dtype=">u4").tolist() if len(data) >= start else []
    if not sizes or len(data) != start + math.prod(sizes) or 0 in sizes:
        raise StorageError(f"{path}: {len(data)} bytes don't match the sizes in its header, {sizes}", hint)
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(sizes).copy()
