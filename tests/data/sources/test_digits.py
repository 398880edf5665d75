import subprocess
import sys

import numpy as np
import torch

from edgekd.data.load import load_dataset
from edgekd.data.memory_images import MemoryImages


def pixels(images: object) -> np.ndarray:
    assert isinstance(images, MemoryImages)
    return images.pixels


def test_all_1797_images_are_there_in_fixed_splits() -> None:
    data = load_dataset("digits")
    assert (len(data.train), len(data.val), len(data.test)) == (1259, 179, 359)
    assert data.classes == tuple("0123456789")
    assert data.train.shape == (1, 16, 16)
    whole = np.concatenate([pixels(s) for s in (data.train, data.val, data.test)])
    assert len(np.unique(whole.reshape(1797, -1), axis=0)) == 1797
    # any change of these bytes changes every result on digits: it must be meant
    assert data.content == "e1e8e38d9c7349cae6dcce4a46505a642d9cb8f7e6f93020f560dd1b5ebc1842"


def test_every_split_has_every_class_alike() -> None:
    data = load_dataset("digits")
    for images, fraction in ((data.train, 0.7), (data.val, 0.1), (data.test, 0.2)):
        counts = torch.bincount(images.labels, minlength=10)
        assert ((counts - fraction * 179.7).abs() < 5).all()


def test_images_look_like_their_labels() -> None:
    data = load_dataset("digits")
    train, test = (torch.from_numpy(pixels(s)).float().flatten(1) for s in (data.train, data.test))
    means = torch.stack([train[data.train.labels == digit].mean(0) for digit in range(10)])
    nearest = torch.cdist(test, means).argmin(1)
    assert (nearest == data.test.labels).float().mean() > 0.85


def test_split_is_the_seeds_and_digits_arent_mirrored() -> None:
    data = load_dataset("digits")
    assert load_dataset("digits", seed=1).fingerprint != data.fingerprint
    assert (data.augmentation.pad, data.augmentation.flip) == (2, False)


def test_needs_no_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None; from edgekd.data.load import load_dataset; load_dataset('digits')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
