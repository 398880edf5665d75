"""Makes a folder of photographs as people have them: PATH/CLASS/*.{jpg,png}, of mixed sizes and modes.

    python tools/photos.py photos --each 60

They are crops of scikit-image's photographs, scaled, some of them turned with EXIF's orientation, grey, with an alpha
channel or a palette. scikit-image is in edgekd's `dev` extra.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

try:
    import skimage
except ModuleNotFoundError:
    raise SystemExit("photos.py: the photographs are scikit-image's: pip install scikit-image") from None

CLASSES = {
    "astronaut": "astronaut.png",
    "cat": "chelsea.png",
    "coffee": "coffee.png",
    "galaxies": "hubble_deep_field.jpg",
    "motorcycle": "motorcycle_left.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
    "tissue": "ihc.png",
}
_ORIENTATION = 0x0112
_TURNED = 6  # stored turned by 90°, to be shown upright by turning it back
_SHARES = {"grey": 0.04, "alpha": 0.04, "palette": 0.04, "turned": 0.08}
"""How often a photograph is stored so, instead of as a plain JPEG."""


def make(folder: Path, *, each: int, seed: int = 0, smallest: int = 120, largest: int = 420) -> int:
    """Write `each` photographs of every class, with sides of `smallest` to `largest` pixels; returns their number."""
    random = np.random.default_rng(seed)
    for name, file in CLASSES.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        with Image.open(Path(skimage.__file__).parent / "data" / file) as image:
            whole = image.convert("RGB")
        for index in range(each):
            photo = _photo(whole, random, smallest, largest)
            _write(photo, folder / name / f"{name}-{index:03}", random.choice(["jpg", *_SHARES], p=_probabilities()))
    return each * len(CLASSES)


def _photo(whole: Image.Image, random: np.random.Generator, smallest: int, largest: int) -> Image.Image:
    """A crop of 35 to 80 % of either side, scaled to a size of its own, a bit brighter or darker."""
    width, height = (int(side * random.uniform(0.35, 0.8)) for side in whole.size)
    left, top = random.integers(0, whole.size[0] - width + 1), random.integers(0, whole.size[1] - height + 1)
    size = tuple(random.integers(smallest, largest + 1, 2).tolist())
    photo = whole.crop((left, top, left + width, top + height)).resize(size, Image.Resampling.BICUBIC)
    light = random.uniform(0.7, 1.3)
    return photo.point(lambda value: min(255, int(value * light)))


def _probabilities() -> list[float]:
    return [1 - sum(_SHARES.values()), *_SHARES.values()]


def _write(photo: Image.Image, path: Path, kind: str) -> None:
    if kind == "grey":
        photo.convert("L").save(path.with_suffix(".jpg"), quality=85)
    elif kind == "alpha":
        photo.putalpha(photo.convert("L"))
        photo.save(path.with_suffix(".png"))
    elif kind == "palette":
        photo.convert("P").save(path.with_suffix(".png"))
    elif kind == "turned":
        exif = Image.Exif()
        exif[_ORIENTATION] = _TURNED
        photo.transpose(Image.Transpose.ROTATE_90).save(path.with_suffix(".jpg"), quality=85, exif=exif)
    else:
        photo.save(path.with_suffix(".jpg"), quality=85)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=60, help="photographs of each class")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(f"{make(asked.folder, each=asked.each, seed=asked.seed)} photographs in {asked.folder}")
