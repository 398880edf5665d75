import pytest
import torch
from PIL import Image

from edgekd.data.load import load_dataset
from edgekd.data.subset import of_each_class, subset
from edgekd.errors import EdgekdError


def test_so_many_of_each_class_are_drawn_and_always_the_same():
    data = load_dataset("digits")
    part = subset(data, train_per_class=7, val_per_class=3)
    assert torch.bincount(part.train.labels).tolist() == [7] * 10
    assert torch.bincount(part.val.labels).tolist() == [3] * 10
    again = subset(load_dataset("digits"), train_per_class=7, val_per_class=3)
    assert (part.train.pixels == again.train.pixels).all()
    assert part.fingerprint == again.fingerprint


def test_images_keep_their_labels_and_normalisation():
    data = load_dataset("digits")
    part = subset(data, train_per_class=5)
    chosen = of_each_class(data.train.labels, 5)
    assert torch.equal(part.train.labels, data.train.labels[chosen])
    images, _ = next(part.train.batches(4))
    all_images = next(data.train.batches(len(data.train)))[0]
    assert torch.equal(images, all_images[chosen[:4]])
    assert part.test is data.test
    assert part.val is data.val


def test_another_part_is_another_data_set_and_all_is_the_same_one():
    data = load_dataset("digits")
    parts = {subset(data, train_per_class=n).fingerprint for n in (5, 6)} | {data.fingerprint}
    parts.add(subset(data, val_per_class=5).fingerprint)
    assert len(parts) == 4
    assert subset(data) is data


def test_a_class_with_fewer_images_gives_all_of_them():
    labels = torch.tensor([0, 0, 0, 1, 2, 2])
    assert torch.bincount(labels[of_each_class(labels, 2)]).tolist() == [2, 1, 2]


def test_a_folder_of_images_has_parts_too(tmp_path):
    for split in ("train", "test"):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(20):
                Image.new("L", (8, 8), 10 * i + len(split) + 2 * (label == "b")).save(
                    tmp_path / split / label / f"{i:02}.png"
                )
    data = load_dataset(f"folder:{tmp_path}")
    part = subset(data, train_per_class=4)
    assert len(part.train) == 8
    images, labels = next(part.train.batches(8))
    assert images.shape[0] == 8
    assert torch.bincount(labels).tolist() == [4, 4]


def test_a_users_own_images_are_refused(monkeypatch):
    class Own:
        labels = torch.zeros(3, dtype=torch.int64)

    data = load_dataset("digits")
    with pytest.raises(EdgekdError, match="which are of Own"):
        subset(type(data)(**{**vars(data), "train": Own()}), train_per_class=1)
