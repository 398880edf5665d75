import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.data.load import load_dataset
from edgekd.data.sources import fashion_mnist
from edgekd.errors import EdgekdError, StorageError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="the package dataset-fashion-mnist isn't installed")


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set of this machine is found."""
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "no-debian")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "no-cache"))
    monkeypatch.delenv("EDGEKD_DATA", raising=False)


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write(folder: Path, *, compressed: bool = True, seed: int = 0) -> Path:
    """A small set in the layout of Fashion-MNIST, random pixels."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for split, count in (("train", 100), ("t10k", 20)):
        arrays = {
            "images-idx3": rng.integers(256, size=(count, 28, 28), dtype=np.uint8),
            "labels-idx1": np.arange(count, dtype=np.uint8) % 10,
        }
        for what, array in arrays.items():
            data = idx(array)
            name = f"{split}-{what}-ubyte" + (".gz" if compressed else "")
            (folder / name).write_bytes(gzip.compress(data) if compressed else data)
    return folder


@needs_debian
def test_the_real_one_is_read_from_the_debian_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", DEBIAN)
    data = load_dataset("fashion-mnist")
    assert (len(data.train), len(data.val), len(data.test)) == (54_000, 6_000, 10_000)
    assert data.train.shape == (1, 28, 28)
    assert torch.bincount(data.val.labels).tolist() == [600] * 10
    assert torch.bincount(data.test.labels).tolist() == [1000] * 10
    # of the whole 60,000 they are known to be 0.2860 and 0.3530
    assert data.mean[0] == pytest.approx(0.2860, abs=1e-3)
    assert data.std[0] == pytest.approx(0.3530, abs=1e-3)
    assert data.classes[9] == "Ankle boot"
    assert (data.augmentation.pad, data.augmentation.flip) == (2, True)


@pytest.mark.parametrize("inner", ["", "fashion-mnist", "FashionMNIST/raw"])
@pytest.mark.parametrize("compressed", [True, False])
def test_is_found_below_the_data_root(tmp_path: Path, inner: str, compressed: bool) -> None:
    write(tmp_path / "root" / inner, compressed=compressed)
    data = load_dataset("fashion-mnist", root=tmp_path / "root")
    assert (len(data.train), len(data.val), len(data.test)) == (90, 10, 20)


def test_data_root_comes_before_the_environment_before_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, name in enumerate(("root", "named", "debian")):
        write(tmp_path / name, seed=seed)
    alone = [load_dataset("fashion-mnist", root=tmp_path / name).fingerprint for name in ("root", "named", "debian")]
    monkeypatch.setattr(fashion_mnist, "_DEBIAN", tmp_path / "debian")
    assert load_dataset("fashion-mnist").fingerprint == alone[2]
    monkeypatch.setenv("EDGEKD_DATA", str(tmp_path / "named"))
    assert load_dataset("fashion-mnist").fingerprint == alone[1]
    assert load_dataset("fashion-mnist", root=tmp_path / "root").fingerprint == alone[0]
    assert len(set(alone)) == 3


def test_missing_set_names_all_ways_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(EdgekdError, match="fashion-mnist isn't on this machine") as caught:
        load_dataset("fashion-mnist", root=tmp_path)
    for way in ("--data-root", "$EDGEKD_DATA", "dataset-fashion-mnist", "--download", str(tmp_path)):
        assert way in caught.value.hint


def test_is_downloaded_only_if_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(fashion_mnist, "_download", lambda base: asked.append(write(base / "FashionMNIST" / "raw")))
    with pytest.raises(EdgekdError):
        load_dataset("fashion-mnist", root=tmp_path)
    assert not asked
    assert len(load_dataset("fashion-mnist", root=tmp_path, download=True).train) == 90
    assert asked == [tmp_path / "FashionMNIST" / "raw"]


def test_failed_download_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import FashionMNIST

    monkeypatch.setattr(FashionMNIST, "mirrors", ["http://127.0.0.1:9/"])  # nothing listens on the discard port
    with pytest.raises(StorageError, match="can't be downloaded"):
        load_dataset("fashion-mnist", root=tmp_path, download=True)


def test_incomplete_set_names_what_is_missing(tmp_path: Path) -> None:
    folder = write(tmp_path / "root")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(StorageError, match="lacks t10k-labels-idx1-ubyte"):
        load_dataset("fashion-mnist", root=folder)


def test_truncated_file_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path / "root")
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(StorageError, match=r"train-images-idx3-ubyte\.gz: truncated or damaged"):
        load_dataset("fashion-mnist", root=folder)


@pytest.mark.parametrize("labels", [np.zeros(99, np.uint8), np.full(100, 10, np.uint8), np.zeros((100, 1), np.uint8)])
def test_labels_that_dont_fit_the_images_are_refused(tmp_path: Path, labels: np.ndarray) -> None:
    folder = write(tmp_path / "root")
    (folder / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    with pytest.raises(StorageError, match="don't match"):
        load_dataset("fashion-mnist", root=folder)
