from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgekd.data.dataset import Dataset
from edgekd.data.load import load_dataset
from edgekd.errors import EdgekdError, StorageError


def image(path: Path, *, size: tuple[int, int] = (12, 8), mode: str = "RGB", level: int = 100) -> Path:
    """One image of (width, height), of one brightness but for its noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    noise = np.random.default_rng(level).integers(0, 20, size=shape)
    Image.fromarray((noise + level).astype(np.uint8)).save(path)
    return path


def images(folder: Path, count: int = 10, classes: tuple[str, ...] = ("cat", "dog"), mode: str = "RGB") -> Path:
    for number, name in enumerate(classes):
        for i in range(count):
            image(folder / name / f"{i}.png", mode=mode, level=20 + 60 * number + i)
    return folder


def load(folder: Path, seed: int = 0) -> Dataset:
    return load_dataset(f"folder:{folder}", seed=seed)


def error(folder: Path) -> EdgekdError:
    with pytest.raises(EdgekdError) as caught:
        load(folder)
    assert caught.value.hint
    return caught.value


def test_class_folders_are_split(tmp_path: Path) -> None:
    data = load(images(tmp_path, count=20))
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.val), len(data.test)) == (28, 4, 8)
    assert data.train.shape == (3, 8, 12)
    assert torch.bincount(data.test.labels).tolist() == [4, 4]
    assert (data.augmentation.pad, data.augmentation.flip) == (0, True)


def test_given_splits_are_kept(tmp_path: Path) -> None:
    for split, count in (("train", 6), ("val", 2), ("test", 1)):
        images(tmp_path / split, count=count)
    data = load(tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (12, 4, 2)


def test_validation_is_a_tenth_of_train_where_none_is_given(tmp_path: Path) -> None:
    images(tmp_path / "train", count=20)
    images(tmp_path / "test", count=3)
    data = load(tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (36, 4, 6)


def test_labels_go_with_their_images(tmp_path: Path) -> None:
    data = load(images(tmp_path, count=20))
    for split in (data.train, data.val, data.test):
        for pixels, labels in split.batches(8):
            levels = (pixels.mean((1, 2, 3)) * data.std[0] + data.mean[0]) * 255
            assert torch.equal((levels > 70).long(), labels)


def test_first_image_decides_between_grey_and_colour(tmp_path: Path) -> None:
    assert load(images(tmp_path / "grey", mode="L")).train.shape == (1, 8, 12)
    mixed = images(tmp_path / "mixed")
    image(mixed / "dog" / "0.png", mode="L")
    assert load(mixed).train.shape == (3, 8, 12)
    assert next(load(mixed).train.batches(100))[0].shape == (14, 3, 8, 12)


def test_other_files_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "cat" / "notes.txt").write_text("cats")
    (tmp_path / ".cache").mkdir()
    (tmp_path / "README").write_text("animals")
    assert load(tmp_path).classes == ("cat", "dog")


def test_fingerprint_follows_the_files_but_not_their_place(tmp_path: Path) -> None:
    one, same, other = (images(tmp_path / name) for name in ("one", "same", "other"))
    image(other / "cat" / "0.png", level=200)
    assert load(one).fingerprint == load(same).fingerprint
    assert load(one).fingerprint != load(other).fingerprint
    assert load(one).fingerprint != load(one, seed=1).fingerprint
    (one / "cat" / "0.png").rename(one / "cat" / "00.png")
    assert load(one).fingerprint != load(same).fingerprint


def test_missing_folder_is_told(tmp_path: Path) -> None:
    assert "no such folder" in error(tmp_path / "absent").message


def test_empty_folder_is_told(tmp_path: Path) -> None:
    assert "no class folders" in error(tmp_path).message


def test_images_without_class_folders_are_told(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    e = error(tmp_path)
    assert "no class folders" in e.message
    assert "PATH/CLASS/*.png" in e.hint


def test_class_folders_without_images_are_told(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    assert "no images in its 2 folders" in error(tmp_path).message
    images(tmp_path, classes=("cat", "emu"))
    assert f"{tmp_path / 'dog'}: no images in it" in error(tmp_path).message


def test_one_class_is_refused(tmp_path: Path) -> None:
    assert "only one class, 'cat'" in error(images(tmp_path, classes=("cat",))).message


def test_class_too_small_to_split_is_named(tmp_path: Path) -> None:
    images(tmp_path, classes=("cat",))
    images(tmp_path, classes=("dog",), count=2)
    e = error(tmp_path)
    assert f"{tmp_path / 'dog'}: 2 images" in e.message
    assert "at least 3" in e.hint
    image(tmp_path / "dog" / "third.png")
    assert torch.bincount(load(tmp_path).test.labels).tolist() == [2, 1]


def test_images_of_different_size_name_two_of_them(tmp_path: Path) -> None:
    images(tmp_path)
    odd = image(tmp_path / "dog" / "odd.png", size=(9, 7))
    e = error(tmp_path)
    assert f"{odd} is 9x7" in e.message
    assert "is 12x8" in e.message
    assert "Resize" in e.hint


def test_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "dog" / "fake.png").write_text("not an image")
    e = error(tmp_path)
    assert isinstance(e, StorageError)
    assert "fake.png: can't be read as an image" in e.message


def test_truncated_image_is_named_when_it_is_decoded(tmp_path: Path) -> None:
    images(tmp_path, count=20)
    for path in (tmp_path / "dog").glob("*.png"):
        path.write_bytes(path.read_bytes()[:-60])
    e = error(tmp_path)
    assert isinstance(e, StorageError)
    assert "can't be read as an image" in e.message


def test_images_of_16_bits_are_refused(tmp_path: Path) -> None:
    images(tmp_path)
    Image.fromarray(np.zeros((8, 12), np.uint16)).save(tmp_path / "cat" / "0.png")
    assert "more than 8 bits" in error(tmp_path).message


def test_splits_of_other_classes_are_refused(tmp_path: Path) -> None:
    images(tmp_path / "train")
    images(tmp_path / "test", classes=("cat", "emu"))
    assert "'dog' is in one alone" in error(tmp_path).message


@pytest.mark.parametrize("missing", ["train", "test"])
def test_missing_split_is_named(tmp_path: Path, missing: str) -> None:
    for split in {"train", "val", "test"} - {missing}:
        images(tmp_path / split)
    e = error(tmp_path)
    assert f"but no {missing}" in e.message
    assert str(tmp_path / missing) in e.hint


def test_sizes_are_checked_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgekd.data.sources._class_folders import class_files, common_shape

    paths = [path for files in class_files(images(tmp_path)).values() for path in files]
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    assert common_shape(paths) == (3, 8, 12)
