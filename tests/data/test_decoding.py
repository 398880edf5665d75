import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image, ImageOps

from edgekd.data import pixel_cache, threads
from edgekd.data.decoding import decoded, notes_on_room
from edgekd.data.pictures import Decoding, Picture
from edgekd.errors import StorageError

RGB = Decoding("rgb")


def one(path: Path, decoding: Decoding = RGB) -> Picture:
    return next(decoded([path], decoding, [np.array([0])]))[0]


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


def photo(path: Path, size: tuple[int, int] = (900, 700), **options: object) -> Path:
    """Waves of all lengths with a little noise."""
    y, x = np.mgrid[: size[1], : size[0]]
    waves = [np.sin(x * y / 3e4 * (n + 1)) + np.sin(x / (20 + n)) + np.cos(y / (30 - n)) for n in range(3)]
    noise = np.random.default_rng(0).normal(0, 5, (*y.shape, 3))
    pixels = (127 + 40 * np.stack(waves, 2) + noise).clip(0, 255).astype(np.uint8)
    return save(path, Image.fromarray(pixels), **options)


def pixels(path: Path) -> list[Path]:
    """What is kept below the folder of the cache."""
    return list(path.glob("pixels/??/*"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def half_red(width: int = 8, height: int = 4) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("orientation", "red"), [(1, (0, 0)), (3, (3, 7)), (6, (0, 0)), (8, (7, 3))])
def test_photos_are_turned_as_the_camera_was_held(tmp_path: Path, orientation: int, red: tuple[int, int]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = one(save(tmp_path / "a.png", half_red(), exif=exif))
    assert pixels.shape == ((3, 4, 8) if orientation in (1, 3) else (3, 8, 4))
    assert pixels[:, red[0], red[1]].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_images_are_seen_as_whoever_converts_them_sees_them(tmp_path: Path, mode: str) -> None:
    random = np.random.default_rng(0).integers(0, 256, (16, 16, 4), np.uint8)
    image = Image.fromarray(random)
    path = save(tmp_path / "a.png", image.quantize(40) if mode == "P" else image.convert(mode))
    with Image.open(path) as opened:
        assert opened.mode == mode
        assert opened.has_transparency_data
        coloured, grey = (np.asarray(opened.convert(kind)) for kind in ("RGB", "L"))
    assert one(path).transpose(1, 2, 0).tolist() == coloured.tolist()
    assert one(path, Decoding("grey"))[0].tolist() == grey.tolist()


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK"])
def test_every_mode_becomes_rgb_or_grey(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "a.tif", half_red().convert(mode))
    assert one(path).shape == (3, 4, 8)
    assert one(path, Decoding("grey")).shape == (1, 4, 8)


def test_sizes_are_as_stated(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", half_red(30, 20))
    shapes = [
        one(path, Decoding("rgb", **how)).shape[1:]
        for how in (
            {"size": (5, 7)},
            {"short_side": 8},
            {"short_side": 40},
            {"short_side": 40, "enlarge": False},
            {"short_side": 8, "enlarge": False},
        )
    ]
    assert shapes == [(5, 7), (8, 12), (40, 60), (20, 30), (8, 12)]


def numbered(index: int, image: Picture) -> Picture:
    return image + np.uint8(index % 256)


@pytest.mark.parametrize("count", [3, 300])
def test_images_are_finished_where_they_are_decoded(tmp_path: Path, count: int) -> None:
    path = save(tmp_path / "a.png", Image.new("L", (2, 2), 0))
    order = [np.array([2, 0]), np.arange(count)]
    seen = [image[0, 0, 0] for batch in decoded([path] * count, Decoding("grey"), order, numbered) for image in batch]
    assert seen == [2, 0, *(i % 256 for i in range(count))]


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_exact_pixels_are_those_of_the_whole_image_resized(
    tmp_path: Path, cache: Path, name: str, interpolation: str
) -> None:
    path = photo(tmp_path / name)
    time.sleep(0.11)
    decoding = Decoding("rgb", short_side=128, interpolation=interpolation)
    first, again = one(path, decoding), one(path, decoding)
    with Image.open(path) as image:
        whole = image.convert("RGB").resize((164, 128), Image.Resampling[interpolation.upper()])
    assert len(pixels(cache)) == 1
    assert first.transpose(1, 2, 0).tolist() == again.transpose(1, 2, 0).tolist() == np.asarray(whole).tolist()


def test_the_second_epoch_reads_what_the_first_one_kept(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [photo(tmp_path / f"{n}.jpg", (100 + n, 90)) for n in range(5)]
    time.sleep(0.11)
    batches = [np.array([2, 0]), np.array([1, 3, 4])]
    first = list(decoded(paths, RGB, batches))
    monkeypatch.setattr(Image, "open", None)
    again = list(decoded(paths, RGB, batches))
    assert [[image.tolist() for image in batch] for batch in first] == [[i.tolist() for i in b] for b in again]
    assert len(pixels(cache)) == 5


def test_a_file_that_changed_is_decoded_again(tmp_path: Path, cache: Path) -> None:
    path = save(tmp_path / "a.bmp", Image.new("RGB", (100, 100), (200, 0, 0)))
    status = path.stat()
    time.sleep(0.11)
    assert one(path)[:, 0, 0].tolist() == [200, 0, 0]
    with path.open("r+b") as f:  # in place: the same size, name and inode, and then the same time
        f.write(save(tmp_path / "b.bmp", Image.new("RGB", (100, 100), (0, 0, 90))).read_bytes())
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert one(path)[:, 0, 0].tolist() == [0, 0, 90]


def test_a_file_that_changed_just_now_is_not_kept(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_cache, "_CLOCK_SECONDS", 60)  # "just now" is not over on a busy machine
    path = photo(tmp_path / "a.jpg", (100, 90))
    os.utime(path)
    one(path)
    assert not pixels(cache)


def test_every_way_of_decoding_is_kept_by_itself(tmp_path: Path, cache: Path) -> None:
    path = photo(tmp_path / "a.png")
    time.sleep(0.11)
    ways = [
        RGB,
        Decoding("grey"),
        Decoding("rgb", size=(128, 164)),
        Decoding("rgb", short_side=128),
        Decoding("rgb", short_side=128, interpolation="nearest"),
        Decoding("rgb", short_side=128, exact=False),
    ]
    seen = [[one(path, way).tolist() for way in ways] for _ in range(2)]
    assert seen[0] == seen[1]
    assert len(pixels(cache)) == len(ways)


def test_small_images_are_not_kept(tmp_path: Path, cache: Path) -> None:
    path = photo(tmp_path / "a.png", (64, 64))
    time.sleep(0.11)
    one(path)
    assert not pixels(cache)


def test_nothing_is_kept_where_that_is_said(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photo(tmp_path / "a.png")
    time.sleep(0.11)
    monkeypatch.setenv("EDGEKD_PIXELS_GB", "0")
    one(path)
    assert not pixels(cache)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_inexact_pixels_hardly_differ_and_have_the_same_size(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photo(tmp_path / name, (1003, 701), exif=exif)
    how = {"short_side": 80, "interpolation": "bicubic"}
    exact, inexact = one(path, Decoding("rgb", **how)), one(path, Decoding("rgb", **how, exact=False))
    assert exact.shape == inexact.shape
    difference = np.abs(exact.astype(int) - inexact)
    assert 0 < difference.mean() < 3


def test_inexact_jpegs_are_reduced_while_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = photo(tmp_path / "a.jpg", (1000, 700))
    turned: list[tuple[int, int]] = []
    whole = ImageOps.exif_transpose

    def exif_transpose(image: Image.Image, **options: bool) -> None:
        turned.append(image.size)
        whole(image, **options)

    monkeypatch.setattr(ImageOps, "exif_transpose", exif_transpose)
    for short_side, size in ((40, (125, 88)), (80, (250, 175)), (150, (500, 350)), (300, (1000, 700))):
        for exact in (False, True):
            one(path, Decoding("rgb", short_side=short_side, exact=exact))
        assert turned[-2:] == [size, (1000, 700)]


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_pixels_do_not_depend_on_the_number_of_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int
) -> None:
    monkeypatch.setattr(threads, "cores", lambda: cores)
    paths = [save(tmp_path / f"{n}.png", Image.new("L", (20, 20), n)) for n in range(40)]
    order = np.random.default_rng(0).permutation(40)
    seen = [image[0, 0, 0] for some in decoded(paths, Decoding("grey"), [order[:9], order[9:]]) for image in some]
    assert seen == order.tolist()


def test_no_process_or_shared_memory_is_needed(tmp_path: Path) -> None:
    paths = [photo(tmp_path / "a.jpg")] * 400
    shared = Path("/dev/shm")
    before = set(shared.iterdir()) if shared.is_dir() else set()
    of_others = psutil.Process().children()  # such as the servers of other tests
    for number, _ in enumerate(decoded(paths, RGB, [np.arange(n, n + 4) for n in range(0, 40, 4)])):
        if number == 5:
            assert psutil.Process().children() == of_others
            assert not {path for path in (shared.iterdir() if before else ()) if path.name.startswith("torch")} - before


def test_depths_of_16_bits_become_8_and_what_has_no_white_is_refused(tmp_path: Path) -> None:
    deep = np.array([[0, 256, 32_768, 65_535]], np.uint16)
    path = save(tmp_path / "a.png", Image.fromarray(deep))
    assert one(path, Decoding("grey")).tolist() == [[[0, 1, 128, 255]]]
    path = save(tmp_path / "b.tif", Image.fromarray(np.ones((2, 2), np.float32)))
    with pytest.raises(StorageError, match=r"b\.tif: .*no defined white level"):
        one(path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_regular_file_is_named_and_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "a.jpg")
    with pytest.raises(StorageError, match=r"a\.jpg: .*not a regular file"):
        one(tmp_path / "a.jpg")


def test_more_images_than_are_kept_are_reported(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_PIXELS_GB", "0.001")
    decoding = Decoding("rgb", short_side=100)
    assert not notes_on_room([(200, 400)] * 16, decoding), "60 kB each"
    (note,) = notes_on_room([(200, 400)] * 5_000, decoding)
    assert "need 0.3 GB, of which 0.0 GB are cached" in note
    assert not notes_on_room([(200, 400)] * 40, Decoding("grey", short_side=100))
