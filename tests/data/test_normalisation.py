from dataclasses import replace

import numpy as np
import pytest
import torch

from edgekd.data.dataset import Augmentation, Dataset
from edgekd.data.memory_images import dataset_in_memory
from edgekd.data.normalisation import NORMALISATIONS
from edgekd.data.renormalised import Renormalised, normalised
from edgekd.errors import EdgekdError


def of_channels(channels: int) -> Dataset:
    pixels = np.random.default_rng(0).integers(256, size=(12, channels, 4, 5), dtype=np.uint8)
    split = (pixels, torch.arange(12) % 3)
    names = ("train", "val", "test")
    return dataset_in_memory("a", ("x", "y", "z"), dict.fromkeys(names, split), Augmentation(pad=0, flip=False))


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_images_are_normalised_as_stated(name: str) -> None:
    data = of_channels(3)
    mean, std = (np.broadcast_to(np.array(values)[:, None, None], (3, 1, 1)) for values in NORMALISATIONS[name])
    changed = normalised(data, *NORMALISATIONS[name])
    seen, _ = next(changed.val.batches(12))
    pixels = data.val.pixels  # type: ignore[attr-defined]
    assert np.allclose(seen.numpy(), (pixels / 255 - mean) / std, atol=1e-6)
    assert changed.preprocessing.mean == changed.mean == tuple(mean[:, 0, 0])
    assert changed.preprocessing.std == changed.std == tuple(std[:, 0, 0])
    assert changed.fingerprint != data.fingerprint


def test_the_same_normalisation_changes_nothing() -> None:
    data = of_channels(3)
    assert normalised(data, data.mean, data.std) is data


def test_images_of_the_users_own_kind_are_normalised_alike() -> None:
    data = of_channels(3)
    ones, zeros = torch.ones(3, 1, 1), torch.zeros(3, 1, 1)
    own = replace(
        data, **{split: Renormalised(getattr(data, split), ones, zeros) for split in ("train", "val", "test")}
    )
    (given, _), (expected, _) = (next(normalised(d, (0.1, 0.2, 0.3), (0.5,)).test.batches(5)) for d in (own, data))
    assert torch.allclose(given, expected, atol=1e-5)


def test_three_channels_are_averaged_for_grey_and_other_numbers_refused() -> None:
    assert normalised(of_channels(1), *NORMALISATIONS["imagenet"]).mean == (pytest.approx(0.449),)
    with pytest.raises(EdgekdError, match="mean or std has 2 values") as caught:
        normalised(of_channels(3), (0.5, 0.5), (0.5,))
    assert caught.value.hint


def test_preprocessing_follows_a_changed_mean() -> None:
    data = of_channels(3)
    assert (data.preprocessing.height, data.preprocessing.width, data.preprocessing.colour) == (4, 5, "rgb")
    assert replace(data, mean=(0.1, 0.2, 0.3)).preprocessing.mean == (0.1, 0.2, 0.3)
    assert of_channels(2).preprocessing.colour is None
