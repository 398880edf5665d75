from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from edgekd.data import samples
from edgekd.data.dataset import Augmentation, Dataset, View
from edgekd.data.samples import sampled
from edgekd.errors import EdgekdError


@dataclass(frozen=True, eq=False)
class Own:
    """Images of the user's own kind."""

    values: torch.Tensor
    labels: torch.Tensor
    said: int | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return tuple(self.values.shape[1:])  # type: ignore[return-value]

    def __len__(self) -> int:
        return self.said or len(self.labels)

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(self.labels), batch_size):
            yield self.values[start : start + batch_size], self.labels[start : start + batch_size]


def own(seed: int = 0, **changed: object) -> Dataset:
    rng = np.random.default_rng(seed)
    splits = {
        split: Own(torch.from_numpy(rng.normal(size=(100, 1, 4, 4)).astype(np.float32)), torch.arange(100) % 2)
        for split in ("train", "val", "test")
    }
    return replace(
        Dataset("own", ("a", "b"), **splits, augmentation=Augmentation(0, False), mean=(0,), std=(1,), fingerprint="x"),
        **changed,
    )


def changed(split: str, image: int) -> Dataset:
    data = own()
    getattr(data, split).values[image, 0, 3, 3] += 1
    return data


def test_the_images_decide_and_not_what_their_maker_says() -> None:
    assert sampled(own()).content == sampled(own()).content
    others = [sampled(changed(split, image)).content for split in ("train", "val", "test") for image in (0, 99)]
    others.append(sampled(own(classes=("a", "c"))).content)
    relabelled = own()
    relabelled.train.labels[0] = 1
    assert len({sampled(own()).content, *others, sampled(relabelled).content}) == 9


def test_what_is_too_much_to_look_at_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "_MOST_BYTES", 64 * 16 * 4 - 1)
    assert sampled(own()).notes == tuple(
        f"64 of 100 {split} images were hashed to detect changes" for split in ("train", "val", "test")
    )
    assert sampled(changed("val", 10)).content != sampled(own()).content


def test_a_wrong_number_of_images_is_refused() -> None:
    data = own()
    with pytest.raises(EdgekdError, match="is 90, but batches") as caught:
        sampled(replace(data, val=replace(data.val, said=90)))  # type: ignore[type-var]
    assert caught.value.hint


@dataclass(frozen=True, eq=False)
class Flipped(Own):
    """Varied as the view says, by a way of its own, which is drawn from a state that all share."""

    axes: tuple[int, ...] = (2,)

    def batches(self, batch_size: int, view: View | None = None) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for images, labels in super().batches(batch_size, view):
            if view and view.augmentation.flip:
                images = torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(*self.axes), images)
            yield images, labels


def test_how_a_users_code_varies_images_is_part_of_the_content() -> None:
    def content(axes: tuple[int, ...], flip: bool = True) -> str:
        data = own(augmentation=Augmentation(0, flip))
        return sampled(replace(data, train=Flipped(data.train.values, data.train.labels, axes=axes))).content

    assert content((2,)) == content((2,)) != content((3,))
    assert content((2,), flip=False) == content((3,), flip=False)
