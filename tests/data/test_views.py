import tracemalloc

import numpy as np
import pytest
import torch

from edgekd.data.dataset import Augmentation, View
from edgekd.data.views import Draw, augment, channel_statistics, draw, in_batches, normalise

BOTH = Augmentation(pad=2, flip=True)


def test_draw_depends_on_seed_and_epoch_alone() -> None:
    first = draw(View(BOTH, seed=1, epoch=3), 50)
    torch.manual_seed(99)
    draw(View(BOTH, seed=1, epoch=4), 50)
    again = draw(View(BOTH, seed=1, epoch=3), 50)
    for name in ("order", "top", "left", "flipped"):
        assert np.array_equal(getattr(first, name), getattr(again, name))


@pytest.mark.parametrize("view", [View(BOTH, seed=2, epoch=3), View(BOTH, seed=1, epoch=5)])
def test_another_seed_or_epoch_draws_otherwise(view: View) -> None:
    one, other = draw(View(BOTH, seed=1, epoch=3), 50), draw(view, 50)
    assert not np.array_equal(one.order, other.order)
    assert not np.array_equal(one.top, other.top)
    assert not np.array_equal(one.left, other.left)


def test_drawing_leaves_the_shared_generator_alone() -> None:
    before = torch.get_rng_state()
    draw(View(BOTH, seed=1, epoch=3), 50)
    assert torch.equal(torch.get_rng_state(), before)


def test_flip_alternates_from_a_random_half() -> None:
    flips = [draw(View(BOTH, seed=0, epoch=epoch), 1000).flipped for epoch in range(4)]
    assert 400 < flips[0].sum() < 600
    assert np.array_equal(flips[1], ~flips[0])
    assert np.array_equal(flips[2], flips[0])
    assert np.array_equal(flips[3], ~flips[0])
    assert not np.array_equal(draw(View(BOTH, seed=1, epoch=0), 1000).flipped, flips[0])


def test_every_position_is_drawn_and_order_is_a_permutation() -> None:
    drawn = draw(View(BOTH, seed=0, epoch=0), 1000)
    assert set(drawn.top.tolist()) == set(drawn.left.tolist()) == set(range(5))
    assert sorted(drawn.order.tolist()) == list(range(1000))


def test_nothing_to_augment_leaves_pixels_alone() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(4, 1, 5, 5), dtype=np.uint8)
    drawn = draw(View(Augmentation(pad=0, flip=False), seed=0, epoch=1), 4)
    assert np.array_equal(augment(pixels, np.arange(4), drawn, pad=0), pixels)


def test_augmented_batch_is_that_of_one_image_at_a_time() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(30, 3, 6, 9), dtype=np.uint8)
    drawn = draw(View(BOTH, seed=0, epoch=1), 100)
    indices = np.arange(100)[::-1][:30]
    seen = augment(pixels, indices, drawn, pad=2)
    for image, index, result in zip(pixels, indices, seen, strict=True):
        padded = np.zeros((3, 10, 13), np.uint8)
        padded[:, 2:8, 2:11] = image
        crop = padded[:, drawn.top[index] :, drawn.left[index] :][:, :6, :9]
        assert np.array_equal(result, crop[:, :, ::-1] if drawn.flipped[index] else crop)


def test_augmenting_leaves_the_images_as_they_were() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(8, 1, 4, 4), dtype=np.uint8)
    before = pixels.copy()
    flipped = Draw(np.arange(8), np.zeros(8, np.int64), np.zeros(8, np.int64), np.ones(8, np.bool_))
    assert np.array_equal(augment(pixels, np.arange(8), flipped, pad=0), before[..., ::-1])
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize(
    ("images", "whole", "sizes"),
    [(10, True, [4, 4]), (10, False, [4, 4, 2]), (8, True, [4, 4]), (3, True, [3]), (0, True, [])],
)
def test_incomplete_batch_is_left_out_unless_it_is_the_only_one(images: int, whole: bool, sizes: list[int]) -> None:
    assert [len(batch) for batch in in_batches(np.arange(images), 4, whole=whole)] == sizes


def test_statistics_make_normalised_images_standard() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(3000, 2, 3, 5), dtype=np.uint8)
    pixels[:, 1] //= 3
    mean, std = channel_statistics(pixels)
    assert np.allclose(mean, pixels.mean((0, 2, 3)) / 255)
    assert np.allclose(std, pixels.std((0, 2, 3)) / 255)
    values = normalise(pixels, mean, std)
    assert values.dtype == torch.float32
    assert torch.allclose(values.mean((0, 2, 3)), torch.zeros(2), atol=1e-4)
    assert torch.allclose(values.std((0, 2, 3)), torch.ones(2), atol=1e-3)


def test_images_of_one_brightness_stay_finite() -> None:
    pixels = np.full((5, 1, 2, 2), 7, np.uint8)
    assert normalise(pixels, *channel_statistics(pixels)).abs().max() < 1e-5


def test_statistics_of_photos_take_little_memory_and_are_exact() -> None:
    pixels = np.random.default_rng(0).integers(256, size=(100, 3, 224, 224), dtype=np.uint8)
    tracemalloc.start()
    mean, std = channel_statistics(pixels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * pixels.nbytes, "as floats they take 8 times as much"
    values = pixels.astype(np.float64) / 255
    assert mean == pytest.approx(values.mean((0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(values.std((0, 2, 3)), rel=1e-12)
