from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.data.decoding import Decoding, Picture, decoded

RGB = Decoding("rgb")


def one(path: Path, decoding: Decoding = RGB) -> Picture:
    return next(decoded([path], decoding, [np.array([0])]))[0]


def save(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


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


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparent_images_are_seen_on_black(tmp_path: Path, mode: str) -> None:
    white = Image.new("RGBA", (4, 4), (255, 255, 255, 255))
    white.paste((255, 255, 255, 0), (0, 0, 2, 4))
    image = white.convert("LA") if mode in ("LA", "PA") else white
    pixels = one(save(tmp_path / "a.png", image.quantize(4) if mode == "P" else image))
    assert pixels[:, 0].tolist() == [[0, 0, 255, 255]] * 3


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
