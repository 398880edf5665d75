import gzip
from pathlib import Path

import numpy as np
import pytest

from edgekd.data.sources._idx import read_idx
from edgekd.errors import StorageError

ARRAY = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
IDX = b"\0\0\x08\x03" + b"".join(size.to_bytes(4, "big") for size in ARRAY.shape) + ARRAY.tobytes()


@pytest.mark.parametrize("name", ["images", "images.gz"])
def test_reads_plain_and_compressed(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(IDX) if name.endswith("gz") else IDX)
    assert np.array_equal(read_idx(path), ARRAY)


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(IDX)[:-20],
        gzip.compress(IDX)[:5],
        b"no gzip at all",
        gzip.compress(IDX)[:20] + b"\xff\xff\xff" + gzip.compress(IDX)[23:],
        gzip.compress(IDX)[:-8] + b"12345678",
    ],
    ids=["truncated", "header alone", "other", "damaged", "wrong checksum"],
)
def test_damaged_gzip_is_named(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "images.gz").write_bytes(data)
    with pytest.raises(StorageError, match=r"images\.gz: truncated or damaged") as caught:
        read_idx(tmp_path / "images.gz")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "not an IDX file"),
        (b"<html>not found</html>", "not an IDX file"),
        (IDX[:10], "don't match the sizes in its header"),
        (IDX[:-1], "don't match the sizes in its header"),
        (IDX + b"x", "don't match the sizes in its header"),
        (b"\0\0\x08\x01\0\0\0\0", "don't match the sizes in its header"),
    ],
)
def test_file_that_isnt_whole_idx_is_named(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "images").write_bytes(data)
    with pytest.raises(StorageError, match=f"images: .*{why}"):
        read_idx(tmp_path / "images")
