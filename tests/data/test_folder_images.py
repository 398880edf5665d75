from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgekd.data.dataset import Augmentation, View
from edgekd.data.folder_images import FolderImages
from edgekd.data.memory_images import MemoryImages
from edgekd.errors import StorageError
from edgekd.values import Preprocessing

COUNT = 300  # enough for worker processes
VIEW = View(Augmentation(pad=2, flip=True), seed=3, epoch=1)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[FolderImages, MemoryImages]:
    """The same images in files and in memory."""
    folder = tmp_path_factory.mktemp("images")
    pixels = np.random.default_rng(0).integers(256, size=(COUNT, 3, 6, 9), dtype=np.uint8)
    paths = tuple(folder / f"{i}.png" for i in range(COUNT))
    for path, image in zip(paths, pixels, strict=True):
        Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0))).save(path)
    labels = torch.arange(COUNT) % 4
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    how = Preprocessing(height=6, width=9, colour="rgb", mean=mean, std=std)
    return FolderImages(paths, labels, how), MemoryImages(pixels, labels, mean, std)


@pytest.mark.parametrize("view", [None, VIEW])
@pytest.mark.parametrize("batch_size", [64, 1000])
def test_gives_what_the_same_images_in_memory_give(
    both: tuple[FolderImages, MemoryImages], view: View | None, batch_size: int
) -> None:
    files, memory = (list(images.batches(batch_size, view)) for images in both)
    assert len(files) == len(memory)
    for (pixels, labels), (expected, expected_labels) in zip(files, memory, strict=True):
        assert torch.equal(pixels, expected)
        assert torch.equal(labels, expected_labels)


def test_reading_leaves_the_shared_generator_alone(both: tuple[FolderImages, MemoryImages]) -> None:
    before = torch.get_rng_state()
    next(both[0].batches(8, VIEW))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("count", [10, COUNT])
def test_damaged_image_is_named_with_a_hint(
    both: tuple[FolderImages, MemoryImages], tmp_path: Path, count: int
) -> None:
    files = both[0]
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(files.paths[5].read_bytes()[:-40])
    paths = (*files.paths[:5], damaged, *files.paths[6:count])
    images = replace(files, paths=paths, labels=files.labels[:count])
    with pytest.raises(StorageError, match=r"damaged\.png: can't be read as an image") as caught:
        list(images.batches(4))
    assert caught.value.hint
