from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgekd.data.dataset import Augmentation, View
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.data.variation import crop_box, varied
from edgekd.values import Jitter, Preprocessing

PLAIN = Augmentation(pad=0, flip=False)
EVERYTHING = Augmentation(
    pad=1, flip=True, crop=(0.3, 0.9), rotate=20.0, jitter=Jitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1)
)
COUNT = 40


def pixels(channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(COUNT, channels, 16, 16), dtype=np.uint8)


def in_memory(channels: int = 3) -> MemoryImages:
    return MemoryImages(pixels(channels), torch.arange(COUNT) % 4, (0.0,) * channels, (1.0,) * channels)


def seen(images: MemoryImages | FolderImages, view: View, batch_size: int = 8) -> torch.Tensor:
    return torch.cat([batch for batch, _ in images.batches(batch_size, view)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> FolderImages:
    folder = tmp_path_factory.mktemp("images")
    paths = tuple(folder / f"{i}.png" for i in range(COUNT))
    for path, image in zip(paths, pixels(), strict=True):
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(path)
    how = Preprocessing(height=16, width=16, colour="rgb", mean=(0.0,) * 3, std=(1.0,) * 3)
    return FolderImages(paths, torch.arange(COUNT) % 4, how)


@pytest.mark.parametrize("what", [EVERYTHING, replace(PLAIN, crop=(0.5, 0.5)), replace(PLAIN, rotate=30.0)])
def test_files_vary_as_images_in_memory_and_in_any_batches(files: FolderImages, what: Augmentation) -> None:
    view = View(what, seed=3, epoch=2)
    torch.manual_seed(1)
    expected = seen(in_memory(), view)
    torch.manual_seed(2)
    assert torch.equal(seen(files, view), expected)
    assert torch.equal(seen(files, view, 20), expected)


def test_every_part_is_that_of_the_whole(files: FolderImages) -> None:
    whole = seen(files, View(EVERYTHING, seed=0, epoch=1), 8)
    parts = [seen(files, View(EVERYTHING, seed=0, epoch=1, part=part, parts=2), 8) for part in (0, 1)]
    joined = torch.cat([half for pair in zip(*(p.split(4) for p in parts), strict=True) for half in pair])
    assert torch.equal(joined, whole)


@pytest.mark.parametrize("other", [View(EVERYTHING, seed=1, epoch=1), View(EVERYTHING, seed=0, epoch=3)])
def test_another_seed_or_epoch_varies_otherwise(other: View) -> None:
    one, another = varied(View(EVERYTHING, seed=0, epoch=1), COUNT, (16, 16)), varied(other, COUNT, (16, 16))
    assert one is not None
    assert another is not None
    assert not np.isclose(one.draws, another.draws).any(axis=0).any()


@pytest.mark.parametrize(
    "jitter", [Jitter(brightness=0.5), Jitter(contrast=0.5), Jitter(saturation=0.5), Jitter(hue=0.3)]
)
@pytest.mark.parametrize("channels", [1, 3])
def test_colours_vary_within_what_is_stated(jitter: Jitter, channels: int) -> None:
    view = View(replace(PLAIN, jitter=jitter), seed=0, epoch=1)
    vary = varied(view, COUNT, (16, 16))
    assert vary is not None
    image = np.full((channels, 16, 16), 100, np.uint8)
    image[0, :, :8] = 140
    results = np.stack([vary(i, image) for i in range(COUNT)])
    changed = (results != image).any(axis=(1, 2, 3)).mean()
    assert changed > 0.9 if channels == 3 or jitter.brightness or jitter.contrast else changed == 0
    if jitter.brightness:
        assert 0.5 * 140 - 1 <= results.max(axis=(1, 2, 3)).min() < 90
        assert 190 < results.max() <= 1.5 * 140


def test_what_is_cut_out_has_the_area_and_aspect_that_are_stated() -> None:
    rng = np.random.default_rng(0)
    for area, aspect, across, down in rng.uniform((0.1, 0.75, 0, 0), (0.5, 1.33, 1, 1), size=(200, 4)):
        left, top, right, bottom = crop_box((300, 200), area, aspect, (across, down))
        assert 0 <= left < right <= 300
        assert 0 <= top < bottom <= 200
        assert (right - left) * (bottom - top) == pytest.approx(area * 60_000, rel=0.02)
        assert (right - left) / (bottom - top) == pytest.approx(aspect, rel=0.02)
    assert crop_box((300, 20), 1.0, 0.75, (0.5, 0.5))[1::2] == (0, 20)
    assert crop_box((1, 1), 0.25, 1.0, (0.9, 0.9)) == (0, 0, 1, 1)


def test_random_crops_reach_all_places_and_the_whole_image(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(0, 250, 2, dtype=np.uint8), (100, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    how = Preprocessing(height=10, width=10, resize=12, crop="center", colour="grey", mean=(0.0,), std=(1.0,))
    images = FolderImages((tmp_path / "a.png",) * 100, torch.zeros(100, dtype=torch.int64), how)
    values = 255 * seen(images, View(replace(PLAIN, crop=(0.1, 1.0)), seed=0, epoch=1), 50)
    left, right = values[:, 0, :, 0].mean(1), values[:, 0, :, -1].mean(1)
    assert left.min() < 15
    assert right.max() > 235
    assert (right - left).min() < 90
    assert (right - left).max() > 180


def test_nothing_to_vary_is_not_looked_at() -> None:
    assert varied(View(Augmentation(pad=2, flip=True), seed=0, epoch=1), 5, (4, 4)) is None
