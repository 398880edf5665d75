from dataclasses import replace

import numpy as np
import torch

from edgekd.data.dataset import Augmentation, View
from edgekd.data.memory_images import MemoryImages, Split, dataset_in_memory

VIEW = View(Augmentation(pad=1, flip=True), seed=0, epoch=0)


def split(count: int, seed: int) -> Split:
    pixels = np.random.default_rng(seed).integers(256, size=(count, 1, 4, 4), dtype=np.uint8)
    return pixels, torch.arange(count) % 3


def images(count: int = 23) -> MemoryImages:
    return MemoryImages(*split(count, 0), mean=(0.5,), std=(0.25,))


def all_of(images: MemoryImages, batch_size: int, view: View | None) -> tuple[torch.Tensor, torch.Tensor]:
    pixels, labels = zip(*images.batches(batch_size, view), strict=True)
    return torch.cat(pixels), torch.cat(labels)


def test_without_a_view_all_images_come_in_order() -> None:
    pixels, labels = all_of(images(), 5, None)
    assert torch.equal(labels, images().labels)
    assert pixels.shape == (23, *images().shape)
    assert torch.allclose(pixels * 0.25 + 0.5, torch.from_numpy(images().pixels) / 255, atol=1e-6)


def test_view_is_the_same_whatever_the_batch_size_and_how_often() -> None:
    whole, labels = all_of(images(), 23, VIEW)
    for batch_size in (1, 4, 23):
        pixels, seen = all_of(images(), batch_size, VIEW)
        assert torch.equal(pixels, whole[: len(pixels)])
        assert torch.equal(seen, labels[: len(seen)])


def test_view_leaves_out_the_last_incomplete_batch() -> None:
    assert len(all_of(images(23), 5, VIEW)[1]) == 20
    assert len(all_of(images(3), 5, VIEW)[1]) == 3


def test_labels_go_with_their_images() -> None:
    some = images(60)
    some.pixels[:] = (some.labels.numpy() * 50 + 50)[:, None, None, None]
    pixels, labels = all_of(some, 7, replace(VIEW, augmentation=Augmentation(pad=1, flip=True)))
    brightest = (pixels * 0.25 + 0.5).amax((1, 2, 3)) * 255
    assert torch.allclose(brightest, labels * 50.0 + 50)


def test_epochs_differ() -> None:
    assert not torch.equal(all_of(images(), 23, VIEW)[0], all_of(images(), 23, replace(VIEW, epoch=1))[0])


def fingerprint(name: str = "a", train: Split | None = None, val: Split | None = None) -> str:
    splits = {"train": train or split(9, 0), "val": val or split(3, 1), "test": split(3, 2)}
    return dataset_in_memory(name, ("x", "y", "z"), splits, Augmentation(pad=1, flip=False)).fingerprint


def test_fingerprint_distinguishes_data_sets() -> None:
    assert fingerprint() == fingerprint()
    pixels, labels = split(9, 0)
    pixels = pixels.copy()
    pixels[4, 0, 1, 1] ^= 1
    others = [
        fingerprint("b"),
        fingerprint(train=(pixels, labels)),
        fingerprint(train=(split(9, 0)[0], labels.flip(0))),
        fingerprint(train=split(9, 0), val=split(3, 2)),
    ]
    assert len({fingerprint(), *others}) == 5


def test_normalised_by_the_training_split_alone() -> None:
    splits = {"train": split(9, 0), "val": split(3, 1), "test": split(3, 2)}
    data = dataset_in_memory("a", ("x", "y", "z"), splits, Augmentation(pad=1, flip=False))
    assert np.allclose(data.mean, splits["train"][0].mean() / 255)
    assert data.val.mean == data.mean  # type: ignore[attr-defined]
