import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError, StorageError


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.delenv("EDGEKD_DATA", raising=False)


def write(root: Path, reader: type[CIFAR10], monkeypatch: pytest.MonkeyPatch, *, classes: int) -> dict[str, np.ndarray]:
    """A small set in CIFAR's layout, with torchvision's list of checksums changed to its own; returns the pixels."""
    folder = root / reader.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    key = "labels" if classes == 10 else "fine_labels"
    pixels = {}

    def add(name: str, content: dict[str, object]) -> list[str]:
        data = pickle.dumps(content)
        (folder / name).write_bytes(data)
        return [name, hashlib.md5(data).hexdigest()]

    def images(name: str, count: int) -> list[str]:
        pixels[name] = rng.integers(256, size=(count, 3072), dtype=np.uint8)
        return add(name, {"data": pixels[name], key: [i % classes for i in range(count)]})

    monkeypatch.setattr(reader, "train_list", [images("first", 2 * classes), images("second", 2 * classes)])
    monkeypatch.setattr(reader, "test_list", [images("test", classes)])
    names = add("meta", {reader.meta["key"]: [f"class {i}" for i in range(classes)]})
    monkeypatch.setattr(reader, "meta", {**reader.meta, "filename": names[0], "md5": names[1]})
    return pixels


@pytest.mark.parametrize(("reader", "classes"), [(CIFAR10, 10), (CIFAR100, 100)])
def test_is_read_in_three_splits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: type[CIFAR10], classes: int
) -> None:
    pixels = write(tmp_path, reader, monkeypatch, classes=classes)
    data = load_dataset(f"cifar{classes}", root=tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (3 * classes, classes, classes)
    assert data.train.shape == (3, 32, 32)
    assert data.classes == tuple(f"class {i}" for i in range(classes))
    assert torch.equal(data.test.labels, torch.arange(classes))
    assert (data.augmentation.pad, data.augmentation.flip) == (4, True)
    images, _ = next(data.test.batches(classes))
    scale, offset = (torch.tensor(values)[:, None, None] for values in (data.std, data.mean))
    expected = torch.from_numpy(pixels["test"]).view(-1, 3, 32, 32).float()
    assert torch.allclose((images * scale + offset) * 255, expected, atol=0.01)


def test_missing_set_names_all_ways_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match="cifar10 isn't on this machine") as caught:
        load_dataset("cifar10", root=tmp_path)
    for way in ("--data-root", "$EDGEKD_DATA", "--download", "cifar-10-batches-py", str(tmp_path)):
        assert way in caught.value.hint


def test_damaged_file_is_refused_before_it_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, CIFAR10, monkeypatch, classes=10)
    with (tmp_path / CIFAR10.base_folder / "second").open("ab") as f:
        f.write(b"x")
    with pytest.raises(StorageError, match="cifar-10-batches-py: cifar10 is damaged"):
        load_dataset("cifar10", root=tmp_path)
