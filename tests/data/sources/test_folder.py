import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from edgekd.data.chosen import settled
from edgekd.data.dataset import Augmentation, Dataset, View
from edgekd.data.load import load_dataset
from edgekd.data.sources._headers import header
from edgekd.errors import EdgekdError, StorageError
from edgekd.values import Data


def image(path: Path, *, size: tuple[int, int] = (12, 8), mode: str = "RGB", level: int = 100) -> Path:
    """One image of (width, height), of one brightness but for its noise, which differs by split, class and name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (size[1], size[0], 3) if mode == "RGB" else (size[1], size[0])
    split = path.parts[-3] if path.parts[-3] in ("train", "val", "test") else ""
    seed = zlib.crc32(f"{split}/{path.parts[-2]}/{path.name}".encode(errors="surrogateescape"))
    noise = np.random.default_rng(seed).integers(0, 20, size=shape)
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
    assert (data.augmentation.pad, data.augmentation.flip) == (0, False)


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


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("odd", "rare"), [("L", "grey"), ("RGB", "coloured")])
def test_one_image_of_another_colour_is_reported_wherever_it_is(
    tmp_path: Path, first: bool, odd: str, rare: str
) -> None:
    images(tmp_path, mode="RGB" if odd == "L" else "L")
    path = image(tmp_path / "cat" / ("-.png" if first else "zz.png"), mode=odd)
    data = load(tmp_path)
    assert data.train.shape[0] == 3
    assert any(f"1 of 21 images are {rare}, such as {path}" in note for note in data.notes)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_images_of_one_colour_are_read_so_without_a_word(tmp_path: Path, mode: str) -> None:
    data = load(images(tmp_path, mode=mode))
    assert (data.train.shape[0], data.notes) == (3 if mode == "RGB" else 1, ())


def test_hidden_and_system_files_are_left_out_and_others_told(tmp_path: Path) -> None:
    images(tmp_path)
    for name in (".ipynb_checkpoints/0-checkpoint.png", "__MACOSX/0.png", "._0.png", "Thumbs.db", "@eaDir/0.png"):
        image(tmp_path / "cat" / "x.png").replace(_made(tmp_path / "cat" / name))
    image(tmp_path / "__MACOSX" / "0.png")
    for name in ("a.txt", "IMG_0001"):
        (tmp_path / "cat" / name).write_text("words")
    os.mkfifo(tmp_path / "dog" / "pipe.png")
    data = load(tmp_path)
    assert sum(map(len, (data.train, data.val, data.test))) == 20
    assert data.notes == (
        f"3 files are left out, without an image's extension, such as {tmp_path / 'cat' / 'IMG_0001'}",
    )


def _made(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    return path


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    images(tmp_path / "all", count=5)
    for name in ("cat", "dog"):
        for i in range(20):
            image(tmp_path / "elsewhere" / name / f"{i}.png")
        (tmp_path / "all" / name / "more").symlink_to(tmp_path / "elsewhere" / name)
        (tmp_path / "all" / name / "again").symlink_to(tmp_path / "elsewhere" / name)
        (tmp_path / "elsewhere" / name / "loop").symlink_to(tmp_path / "all" / name)
    data = load(tmp_path / "all")
    assert sum(map(len, (data.train, data.val, data.test))) == 50
    assert data.notes == ()


def test_fingerprint_follows_the_files_but_not_their_place(tmp_path: Path) -> None:
    one, same, other = (images(tmp_path / name) for name in ("one", "same", "other"))
    image(other / "cat" / "0.png", level=200)
    assert load(one).fingerprint == load(same).fingerprint
    assert load(one).fingerprint != load(other).fingerprint
    assert load(one).fingerprint != load(one, seed=1).fingerprint
    (one / "cat" / "0.png").rename(one / "cat" / "00.png")
    assert load(one).fingerprint != load(same).fingerprint


def test_missing_folder_is_reported(tmp_path: Path) -> None:
    assert "no such folder" in error(tmp_path / "absent").message
    assert "no such folder" in error("~nobody-of-this-name/photos").message


def test_empty_folder_is_reported(tmp_path: Path) -> None:
    assert "no class folders" in error(tmp_path).message


def test_images_without_class_folders_are_reported(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    e = error(tmp_path)
    assert "no class folders" in e.message
    assert "PATH/CLASS/*.png" in e.hint


def test_class_folders_without_images_are_reported(tmp_path: Path) -> None:
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


def test_a_class_too_small_for_the_splits_that_are_missing_is_named_where_it_is(tmp_path: Path) -> None:
    for split in ("train", "test"):
        images(tmp_path / split, classes=("cat",))
        images(tmp_path / split, classes=("dog",), count=1)
    e = error(tmp_path)
    assert f"{tmp_path / 'train' / 'dog'}: 1 images can't be split into training, validation" in e.message
    assert "at least 2" in e.hint
    image(tmp_path / "train" / "dog" / "second.png")
    assert torch.bincount(load(tmp_path).val.labels).tolist() == [1, 1]


@pytest.mark.parametrize("name", ["0.tif", "0.jpg"])
def test_the_size_of_an_image_on_its_side_is_that_of_what_is_seen(tmp_path: Path, name: str) -> None:
    """Pillow turns the size of a TIFF itself."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(tmp_path / name, exif=exif)
    found = header(tmp_path / name)
    assert (found.height, found.width) == (12, 8)


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


def test_images_of_16_bits_are_reported_and_those_without_a_white_refused(tmp_path: Path) -> None:
    images(tmp_path, mode="L")
    deep = tmp_path / "cat" / "0.png"
    Image.fromarray(np.full((8, 12), 40_000, np.uint16)).save(deep)
    assert load(tmp_path).notes == (
        f"1 of 20 images have 16 bits per channel, of which the upper 8 are used, such as {deep}",
    )
    Image.fromarray(np.zeros((8, 12), np.float32)).save(tmp_path / "dog" / "0.tif")
    assert "no defined white level" in error(tmp_path).message


def test_a_class_that_training_lacks_is_refused(tmp_path: Path) -> None:
    images(tmp_path / "train")
    images(tmp_path / "test", classes=("cat", "emu"))
    assert "'emu'" in error(tmp_path).message


@pytest.mark.parametrize("empty", [True, False])
def test_a_class_that_a_split_lacks_is_reported(tmp_path: Path, empty: bool) -> None:
    images(tmp_path / "train")
    images(tmp_path / "test", classes=("cat",))
    if empty:
        (tmp_path / "test" / "dog").mkdir()
    data = load(tmp_path)
    assert (data.classes, len(data.test)) == (("cat", "dog"), 10)
    assert data.notes == (f"{tmp_path / 'test'} has no images of 1 of 2 classes: 'dog' …",)


@pytest.mark.parametrize(
    "names", [("Train", "Val", "TEST"), ("training", "valid", "testing"), ("TRAINING", "validation", "Testing")]
)
def test_splits_have_the_names_that_people_give(tmp_path: Path, names: tuple[str, str, str]) -> None:
    for name, count in zip(names, (6, 2, 1), strict=True):
        images(tmp_path / name, count=count).replace(tmp_path / name)
        for path in (tmp_path / name).rglob("*.png"):
            path.write_bytes(path.read_bytes() + name.encode())
    data = load(tmp_path)
    assert data.classes == ("cat", "dog")
    assert (len(data.train), len(data.val), len(data.test)) == (12, 4, 2)


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("train", "Training", "test"):
        images(tmp_path / name)
    assert "both name the train split" in error(tmp_path).message


def test_a_class_named_train_is_a_class(tmp_path: Path) -> None:
    assert load(images(tmp_path, classes=("bus", "car", "train"))).classes == ("bus", "car", "train")


def test_splits_of_images_without_classes_are_refused(tmp_path: Path) -> None:
    images(tmp_path / "train")
    image(tmp_path / "test" / "0.png")
    assert f"{tmp_path / 'test'}: no class folders" in error(tmp_path).message


def test_missing_train_is_named(tmp_path: Path) -> None:
    images(tmp_path / "val")
    images(tmp_path / "test")
    e = error(tmp_path)
    assert "but no train" in e.message
    assert str(tmp_path / "train") in e.hint


def test_without_a_test_folder_validation_images_are_the_test(tmp_path: Path) -> None:
    images(tmp_path / "train", count=20)
    images(tmp_path / "val", count=3)
    data = load(tmp_path)
    assert (len(data.train), len(data.val), len(data.test)) == (36, 4, 6)
    assert data.notes == ("there is no test folder: val is the test set, and a tenth of train is the validation set",)
    assert not {*data.train.paths, *data.val.paths} & {*data.test.paths}  # type: ignore[attr-defined]


def test_a_train_folder_alone_is_cut_like_a_folder_without_splits(tmp_path: Path) -> None:
    data = load(images(tmp_path / "train", count=20).parent)
    assert (len(data.train), len(data.val), len(data.test)) == (28, 4, 8)


def test_classes_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    e = error(images(tmp_path, classes=("Cat", "cat", "dog")))
    assert "'Cat' and 'cat' differ only in case" in e.message


def test_names_may_be_of_any_bytes(tmp_path: Path) -> None:
    images(tmp_path, classes=("cat", os.fsdecode(b"d\xffg")))
    (tmp_path / "cat" / "0.png").rename(tmp_path / "cat" / os.fsdecode(b"\xfe.png"))
    data = load(tmp_path)
    assert data.classes == ("cat", "d\\xffg")
    assert sum(len(labels) for _, labels in data.train.batches(4)) == len(data.train)


def test_the_folder_itself_is_named_in_utf_8(tmp_path: Path) -> None:
    assert "isn't UTF-8" in error(images(tmp_path / os.fsdecode(b"\xff"))).message


def test_copies_stay_in_the_split_of_the_first(tmp_path: Path) -> None:
    images(tmp_path, count=20)
    for name in ("cat", "dog"):
        for i in range(20):
            (tmp_path / name / f"copy-{i}.png").write_bytes((tmp_path / name / f"{i}.png").read_bytes())
    data = load(tmp_path)
    seen = [{path.read_bytes() for path in split.paths} for split in (data.train, data.val, data.test)]  # type: ignore[attr-defined]
    assert [len(some) for some in seen] == [28, 4, 8]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    assert len(data.notes) == 1
    assert "40 of 80 images are copies of others" in data.notes[0]


@pytest.mark.parametrize(("count", "refused"), [(1, False), (2, True)])
def test_more_than_one_percent_of_test_images_in_training_is_refused(tmp_path: Path, count: int, refused: bool) -> None:
    images(tmp_path / "train", count=20)
    images(tmp_path / "test", count=50)
    for i in range(count):
        (tmp_path / "test/dog" / f"{i}.png").write_bytes((tmp_path / "train/dog" / f"{i}.png").read_bytes())
    says = f"{count} of 100 test images are "
    if refused:
        e = error(tmp_path)
        assert says in e.message
        assert "allow_duplicates" in e.hint
    allowed = load_dataset(Data(source=f"folder:{tmp_path}", allow_duplicates=True if refused else None))
    assert any(says in note for note in allowed.notes)


def test_headers_are_read_without_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = image(tmp_path / "cat" / "0.png", mode="L")
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    found = header(path)
    assert (found.width, found.height, found.grey, found.transparent, found.animated) == (12, 8, True, False, False)


def test_photos_on_their_side_have_the_size_that_is_seen(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg", exif=exif)
    assert (header(tmp_path / "a.jpg").width, header(tmp_path / "a.jpg").height) == (30, 40)


def test_an_image_too_large_to_decode_is_named(tmp_path: Path) -> None:
    images(tmp_path)
    large = tmp_path / "cat" / "large.png"
    Image.new("1", (20_000, 20_000)).save(large)
    assert f"{large}: the image is too large" in error(tmp_path).message


def test_images_that_move_or_are_seen_through_are_reported(tmp_path: Path) -> None:
    images(tmp_path)
    first, second = (Image.new("L", (12, 8), level) for level in (0, 200))
    first.save(tmp_path / "cat" / "a.gif", save_all=True, append_images=[second])
    Image.new("RGBA", (12, 8)).save(tmp_path / "dog" / "a.png")
    told = "\n".join(load(tmp_path).notes)
    assert "1 of 22 images have an alpha channel, which is dropped" in told
    assert "1 of 22 images are animated: their first frames are used" in told


# what the network sees


def photos(folder: Path, sizes: tuple[tuple[int, int], ...] = ((300, 400), (500, 260), (320, 320))) -> Path:
    for name in ("cat", "dog"):
        for i in range(10):
            image(folder / name / f"{i}.png", size=sizes[i % len(sizes)], level=20 * i)
    return folder


def prepared(folder: Path, **stated: Any) -> Dataset:
    return load_dataset(Data(source=f"folder:{folder}", **stated))


@pytest.mark.parametrize(
    ("sizes", "stated", "seen"),
    [
        (((300, 400), (500, 260)), {}, (224, 224, 256, "center")),
        (((300, 400), (500, 260)), {"size": 64}, (64, 64, 73, "center")),
        (((300, 400), (500, 260)), {"size": (60, 80), "resize": 90}, (60, 80, 90, "center")),
        (((300, 400), (500, 260)), {"size": 64, "crop": "none"}, (64, 64, None, "none")),
        (((400, 300),), {}, (224, 224, 256, "center")),
        (((320, 320),), {}, (224, 224, 256, "center")),
        (((320, 320),), {"size": 320}, (320, 320, None, "none")),
        (((320, 240),), {"size": (120, 160)}, (120, 160, None, "none")),
        (((48, 32),), {}, (32, 48, None, "none")),
        (((48, 32),), {"size": (16, 24)}, (16, 24, None, "none")),
        (((48, 32),), {"size": 24}, (24, 24, 27, "center")),
        (((70, 90), (100, 80)), {}, (64, 64, 73, "center")),
        (((9, 20), (8, 8)), {}, (8, 8, 9, "center")),
    ],
)
def test_photos_are_resized_and_cropped(
    tmp_path: Path, sizes: tuple[tuple[int, int], ...], stated: dict[str, Any], seen: tuple[object, ...]
) -> None:
    data = prepared(photos(tmp_path, sizes), **stated)
    how = data.preprocessing
    assert (how.height, how.width, how.resize, how.crop) == seen
    assert data.train.shape == (3, how.height, how.width)
    assert next(data.test.batches(4))[0].shape == (4, 3, how.height, how.width)
    view = View(data.augmentation, seed=0, epoch=1)
    assert next(data.train.batches(4, view))[0].shape == (4, 3, how.height, how.width)


def test_evaluation_is_that_of_torchvision(tmp_path: Path) -> None:
    from torchvision.transforms import v2

    # of 71 and 67 pixels after resizing: the middle lies between two
    sizes = ((355, 320), (320, 335))
    data = prepared(photos(tmp_path, sizes), size=56, resize=64, mean="imagenet", std="imagenet")
    expected = v2.Compose(
        [
            v2.PILToTensor(),
            v2.ToPILImage(),
            v2.Resize(64),
            v2.CenterCrop(56),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    seen, _ = next(data.test.batches(4))
    for path, image_seen in zip(data.test.paths, seen, strict=False):  # type: ignore[attr-defined]
        assert torch.allclose(image_seen, expected(Image.open(path)), atol=1e-5)


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        ({"size": 64, "resize": 60}, "too small for a crop"),
        ({"crop": "none", "resize": 60}, "resize requires crop"),
        ({"mean": (0.5, 0.5)}, "has 2 values"),
    ],
)
def test_settings_that_contradict_are_refused(tmp_path: Path, stated: dict[str, Any], says: str) -> None:
    with pytest.raises(EdgekdError, match=says) as caught:
        prepared(photos(tmp_path), **stated)
    assert caught.value.hint


def test_photos_are_cut_out_at_random_and_never_mirrored_unasked(tmp_path: Path) -> None:
    photos(tmp_path)
    assert prepared(tmp_path).augmentation == Augmentation(pad=0, flip=False, crop=(0.25, 1.0))
    assert prepared(tmp_path, pad=4, flip=True).augmentation == Augmentation(pad=4, flip=True)
    assert prepared(tmp_path, random_resized_crop=False).augmentation == Augmentation(pad=14, flip=False)


@pytest.mark.parametrize("stated", [{}, {"size": 64, "flip": True, "mean": "imagenet", "rotate": 5.0, "mixup": 0.2}])
def test_the_settled_section_gives_the_same_data_again(tmp_path: Path, stated: dict[str, Any]) -> None:
    section = Data(source=f"folder:{photos(tmp_path)}", **stated)
    data = load_dataset(section)
    whole = settled(section, data)
    open_ones = {name for name, value in whole if value is None}
    assert not open_ones
    again = load_dataset(Data.model_validate_json(whole.model_dump_json()))
    assert (again.fingerprint, again.preprocessing, again.augmentation) == (
        data.fingerprint,
        data.preprocessing,
        data.augmentation,
    )
    assert settled(whole, again) == whole


def test_grey_can_be_requested(tmp_path: Path) -> None:
    data = prepared(photos(tmp_path), colour="grey", size=32)
    assert next(data.val.batches(2))[0].shape == (2, 1, 32, 32)
    assert data.notes == ("the images are coloured and read as grey",)


def test_links_that_lead_in_a_circle_are_no_classes(tmp_path: Path) -> None:
    images(tmp_path)
    (tmp_path / "eel").symlink_to(tmp_path / "eel")
    assert load(tmp_path).classes == ("cat", "dog")


def test_a_path_that_is_too_long_is_no_folder() -> None:
    assert "no such folder" in error(Path("/" + "a" * 5000)).message
