import zlib

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Photos of two classes, dark and light, of mixed sizes and modes."""
    folder = tmp_path_factory.mktemp("photos")
    modes = ("RGB", "L", "CMYK", "P")
    for label, light in (("dark", 40), ("light", 150)):
        (folder / label).mkdir()
        for i in range(40):
            size = (40 + 7 * (i % 5), 60 - 9 * (i % 4), 3)
            pixels = light + np.random.default_rng(zlib.crc32(f"{label}{i}".encode())).integers(0, 60, size)
            image = Image.fromarray(pixels.astype(np.uint8)).convert(modes[i % 4])
            image.save(folder / label / f"{i}.{'png' if modes[i % 4] == 'P' else 'jpg'}")
    (folder / "dark" / "notes.txt").write_text("dark ones")
    return folder


def test_photos_are_prepared_as_the_command_line_says_and_the_run_tells_it(compress, photos, tmp_path):
    (tmp_path / "r.toml").write_text('steps = ["prune"]\n[data]\nsource = "digits"\nrotate = 5.0\nmixup = 0.2\n')
    data = ["--data", f"folder:{photos}", "--size", "32x24", "--normalize", "0.5", "--flip"]
    options = [*data, "--ratio", 0, "--recipe", tmp_path / "r.toml", "--json"]
    ended = compress(tmp_path / "run", *options, target="jetson")
    assert ended.code in (1, 3), ended.err
    stated = ended.document["recipe"]["data"]
    assert {name: stated[name] for name in ("size", "resize", "crop", "mean", "std", "flip", "rotate", "mixup")} == {
        "size": [32, 24],
        "resize": 37,
        "crop": "center",
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
        "flip": True,
        "rotate": 5.0,
        "mixup": 0.2,
    }
    assert ended.document["manifest"]["preprocessing"]["resize"] == 37
    notes = ended.document["data_notes"]
    assert any("20 of 80 images are grey" in note for note in notes)
    assert any("1 file is left out, without an image's extension" in note for note in notes)
    report = (ended.folder / "report.md").read_text()
    assert "flipped in every second epoch; rotated by up to 5°; mixed in pairs (mixup, alpha 0.2)" in report
    assert all(note in report for note in notes)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--size", "32by24"], "Write 224, or 240x320"),
        (["--size", "0"], "should be a number of pixels"),
        (["--size", "99999"], "should be a number of pixels up to 4096"),
        (["--normalize", "imagenett"], "is not one of 'imagenet', '0.5', '0-1', 'data'"),
    ],
)
def test_a_wrong_option_ends_in_2_and_says_what_it_takes(compress, tmp_path, options, says):
    ended = compress(tmp_path / "run", *options)
    assert ended.code == 2
    assert says in " ".join(ended.err.split())
