import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgekd.data.pixel_cache import PixelCache, image_key, pixel_cache, settled
from edgekd.errors import EdgekdError

PIXELS = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
MANY = 10**9


def keys() -> Iterator[str]:
    return (f"{i:064x}" for i in range(1, 1_000))


def unread_since(folder: Path, seconds: float) -> None:
    for path in folder.glob("??/*"):
        os.utime(path, (time.time() - seconds,) * 2)


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("??/*"))


def image(number: int) -> np.ndarray:
    return np.full((10, 10, 3), number, np.uint8)


def test_gives_back_what_was_kept(tmp_path: Path) -> None:
    cache, key = PixelCache(tmp_path, MANY), next(keys())
    assert cache.read(key) is None
    cache.keep(key, PIXELS)
    found = PixelCache(tmp_path, MANY).read(key)
    assert found is not None
    assert found.tolist() == PIXELS.tolist()


@pytest.mark.parametrize("damage", ["cut", "zeroed", "one bit", "empty", "header"])
def test_a_damaged_image_counts_as_not_there(tmp_path: Path, damage: str) -> None:
    cache, key = PixelCache(tmp_path, MANY), next(keys())
    cache.keep(key, PIXELS)
    path = next(tmp_path.glob("??/*"))
    content = bytearray(path.read_bytes())
    damaged = {
        "cut": content[:-1],
        "zeroed": content[:40] + bytes(len(content) - 40),
        "one bit": content[:-1] + bytes([content[-1] ^ 1]),
        "empty": b"",
        "header": bytes(len(content)),
    }
    path.write_bytes(damaged[damage])
    assert cache.read(key) is None
    cache.keep(key, PIXELS)
    assert cache.read(key) is not None


def test_never_holds_more_than_its_limit_and_keeps_what_is_being_read(tmp_path: Path) -> None:
    limit = 10_000  # 30 images of 332 bytes
    cache, all_keys = PixelCache(tmp_path, limit), list(keys())[:50]
    for number, key in enumerate(all_keys):
        cache.keep(key, image(number))
    assert 0.85 * limit < size(tmp_path) <= limit
    kept = [cache.read(key) is not None for key in all_keys]
    assert kept == sorted(kept, reverse=True), "the first ones stay: an epoch that replaced them would find none"


def test_what_was_not_read_for_longest_makes_room_for_another_run(tmp_path: Path) -> None:
    limit, all_keys = 10_000, list(keys())
    before, after = all_keys[:26], all_keys[100:110]
    first = PixelCache(tmp_path, limit)
    for number, key in enumerate(before):
        first.keep(key, image(number))
    unread_since(tmp_path, 60)
    for key in before[:5]:
        first.read(key)  # used lately, though kept first
    time.sleep(0.02)
    second = PixelCache(tmp_path, limit)
    for key in after:
        second.keep(key, image(0))
    assert size(tmp_path) <= limit
    assert all(second.read(key) is not None for key in (*before[:5], *after))
    assert any(second.read(key) is None for key in before)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    for name, age in (("old.partial", 2 * 3_600), ("new.partial", 1)):
        (folder / name).write_bytes(b"half")
        os.utime(folder / name, (time.time() - age,) * 2)
    PixelCache(tmp_path, MANY).keep(next(keys()), PIXELS)
    assert [path.name for path in folder.iterdir()] == ["new.partial"]


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("in the way")
    cache, key = PixelCache(place / "pixels", MANY), next(keys())
    cache.keep(key, PIXELS)
    assert cache.read(key) is None


def test_a_disk_that_fills_up_keeps_what_was_whole(tmp_path: Path) -> None:
    cache, (first, second, third) = PixelCache(tmp_path, MANY), list(keys())[:3]
    cache.keep(first, PIXELS)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # writing fails in the middle of the second image
    try:
        cache.keep(second, image(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    cache.keep(third, PIXELS)
    assert [cache.read(key) is not None for key in (first, second, third)] == [True, False, False]
    assert not list(tmp_path.glob("??/*.partial"))


def test_two_processes_may_write_the_same_images_at_once(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np; from pathlib import Path; from edgekd.data.pixel_cache import PixelCache\n"
        "cache = PixelCache(Path(sys.argv[1]), 10**9); pixels = np.full((100, 100, 3), 7, np.uint8)\n"
        "for turn in range(20):\n"
        "    for n in range(20):\n"
        "        cache.keep(f'{n:064x}', pixels); found = cache.read(f'{n:064x}')\n"
        "        assert found is not None and (found == 7).all()\n"
    )
    both = [subprocess.Popen([sys.executable, "-c", code, tmp_path]) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert not list(tmp_path.glob("??/*.partial"))


def test_the_key_distinguishes_files_and_ways_of_decoding(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"1234")
    other.write_bytes(b"1234")
    status = path.stat()
    seen = {image_key(path, "how"), image_key(other, "how"), image_key(path, "otherwise")}
    assert image_key(path, "how") in seen
    path.write_bytes(b"5678")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    seen.add(image_key(path, "how"))
    assert len(seen) == 4, "the same name, size, inode and time of change, but other bytes"


@pytest.mark.parametrize(("stated", "most"), [("2", 2_000_000_000), ("0.5", 500_000_000), ("0", None), ("-1", None)])
def test_its_size_can_be_stated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stated: str, most: int | None) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.setenv("EDGEKD_PIXELS_GB", stated)
    cache = pixel_cache()
    assert (cache and cache.most_bytes) == most


@pytest.mark.parametrize("stated", ["much", "nan", "inf", ""])
def test_a_size_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, stated: str) -> None:
    monkeypatch.setenv("EDGEKD_PIXELS_GB", stated)
    with pytest.raises(EdgekdError, match="not a number"):
        pixel_cache()


def test_by_itself_takes_at_most_a_tenth_of_the_free_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    monkeypatch.delenv("EDGEKD_PIXELS_GB", raising=False)
    cache = pixel_cache()
    assert cache is not None
    assert cache.most_bytes == pytest.approx(min(8e9, shutil.disk_usage(tmp_path).free / 10), rel=0.1)


@pytest.mark.parametrize(
    ("changed_s", "now_s", "expected"),
    [(7.25, 7.3, False), (7.25, 7.4, True), (7.25, 7.2, False), (6.0, 7.9, False), (6.0, 9.1, True)],
)
def test_where_clocks_are_coarse_a_change_is_waited_for_longer(changed_s: float, now_s: float, expected: bool) -> None:
    assert settled(int(changed_s * 1e9), int(now_s * 1e9)) == expected
